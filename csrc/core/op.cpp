#include "grantwheel/op.hpp"

#include "core/bits.hpp"
#include "core/command_bytes.hpp"
#include "core/frame.hpp"
#include "core/mark.hpp"
#include "core/notes.hpp"
#include "grantwheel/manager.hpp"

namespace grantwheel {

namespace {

constexpr std::size_t key_size = sizeof(std::uint32_t);         // of a recovery
constexpr std::size_t counts_size = 2 * sizeof(std::uint32_t);  // and its numbers of keys

// The bytes of an op. Asked only where there is hardly any room.
[[gnu::noinline]] std::size_t size_of(const Command& command, Instant now) noexcept {
    const Mask caps = has_caps(command) ? command.capped : 0;
    std::size_t body = head_size + number_size(now) + 2 + number_size(command.mask);
    body += number_size(command.uid) + number_size(command.pid) + number_size(command.timeout_ms);
    if (caps != 0) body += number_size(caps);
    for_each_type(caps, [&](int type) { body += number_size(command.caps_ms[static_cast<std::size_t>(type)]); });
    for (const std::string_view text : {command.bundle, command.reason}) body += number_size(text.size()) + text.size();
    return op_head + body + op_check;
}

void read_caps(Reader& reader, Command& command) noexcept {
    command.capped = static_cast<Mask>(reader.number(rules.all));
    if (command.capped == 0 || command.kind != CommandKind::apply) reader.fail();
    for_each_type(command.capped, [&](int type) {
        command.caps_ms[static_cast<std::size_t>(type)] = static_cast<std::uint32_t>(reader.number(max_timeout));
    });
}

Command read_command(Reader& reader, unsigned kind) noexcept {
    Command command;
    command.kind = static_cast<CommandKind>(kind);
    const unsigned flags = reader.byte(command_flag::all);
    command.is_persist = (flags & command_flag::persist) != 0;
    command.is_process = (flags & command_flag::process) != 0;
    command.only_held = (flags & command_flag::only_held) != 0;
    command.cpu_level = static_cast<std::int8_t>(static_cast<int>(reader.byte(max_level + 1)) - 1);
    command.mask = static_cast<Mask>(reader.number(rules.all));
    command.uid = static_cast<std::uint32_t>(reader.number(max_uid));
    command.pid = static_cast<std::uint32_t>(reader.number(max_pid));
    command.timeout_ms = static_cast<std::uint32_t>(reader.number(max_timeout));
    if ((flags & command_flag::capped) != 0) read_caps(reader, command);
    const std::size_t bundle = reader.number(max_text_bytes);
    const std::size_t reason = reader.number(max_text_bytes);
    command.bundle = reader.text(bundle);
    command.reason = reader.text(reason);
    return command;
}

// Keys where they lie. Fails the reader when they are not in range, or do not ascend.
Keys read_keys(Reader& reader, std::size_t count, std::uint32_t most) noexcept {
    if (count > reader.left() / key_size) reader.fail();
    if (reader.failed()) return {};
    const std::string_view bytes = reader.text(key_size * count);
    const Keys keys = Keys::packed(std::as_bytes(std::span(bytes)).data(), count);
    if (!keys.ascend_to(most)) reader.fail();
    return keys;
}

void read_recovery(Reader& reader, Op& op) noexcept {
    const std::size_t apps = reader.fixed<std::uint32_t>();
    const std::size_t processes = reader.fixed<std::uint32_t>();
    op.apps = read_keys(reader, apps, max_uid);
    op.processes = read_keys(reader, processes, max_pid);
}

// Notes where they lie. Fails the reader when there are none, or they do not ascend.
void read_notes(Reader& reader, NoteChanges& notes) noexcept {
    const auto count = static_cast<std::size_t>(reader.number(max_notes));
    const std::byte* const first = reader.at();
    std::string_view last;
    for (std::size_t i = 0; i < count; ++i) {
        const Note note = read_note(reader);
        if (note.key <= last) reader.fail();
        if (reader.failed()) return;
        last = note.key;
    }
    if (count == 0) reader.fail();
    notes = NoteChanges::packed(first, count);
}

// What a kind of op is to those who carry it out.
OpKind kind_of(unsigned kind) noexcept {
    switch (kind) {
        case advance_kind: return OpKind::advance;
        case batch_kind: return OpKind::batch;
        case mark_kind: return OpKind::mark;
        case limits_kind: return OpKind::limits;
        case recovery_kind: return OpKind::recovery;
        case notes_kind: return OpKind::notes;
        default: return OpKind::command;
    }
}

// Reads what a frame has, whose check is right. False when it says what cannot be, or what is not known here.
bool read_body(std::span<const std::byte> body, Op& op, bool& is_newer) noexcept {
    Reader reader(body);
    const bool is_known = reader.byte() == op_version;
    const unsigned kind = reader.byte();
    if (reader.failed()) return false;
    is_newer = !is_known || (kind >= command_count && kind_of(kind) == OpKind::command);
    if (is_newer) return false;
    op.kind = kind_of(kind);
    op.now = reader.number(max_now);
    switch (op.kind) {
        case OpKind::command: op.command = read_command(reader, kind); break;
        case OpKind::batch: return !reader.failed() && op.rows.read(body.last(reader.left()));
        case OpKind::advance:
            op.endings = reader.number();
            if (op.endings == 0) reader.fail();
            break;
        case OpKind::mark:
            op.mark.now = op.now;
            read_clocks(reader, op.mark);
            break;
        case OpKind::limits: read_limits(reader, op.limits); break;
        case OpKind::recovery: read_recovery(reader, op); break;
        case OpKind::notes: read_notes(reader, op.notes); break;
    }
    if (reader.failed() || reader.left() != 0) return false;
    return op.kind != OpKind::command || Manager::check(op.command) == Status::ok;
}

// The status of a batch, in which memory may have been lacking for any of the rows.
Status replay_rows(Engine& engine, const Op& op) noexcept {
    bool has_lacked = false;
    const Status status = execute_many(engine, op.rows, op.now,
                                       [&](std::size_t, Result) { has_lacked = has_lacked || engine.lacked_memory(); });
    return has_lacked ? Status::out_of_memory : status;
}

// Calls `visit(op)` for the ops of a group, until it answers otherwise than ok.
template <typename Visit>
GroupResult for_each_op(std::span<const std::byte> group, Visit&& visit) noexcept {
    GroupResult result;
    while (result.place < group.size()) {
        const Decoded decoded = decode(group.subspan(result.place));
        result.status = decoded.status == Status::ok ? visit(decoded.op) : decoded.status;
        result.is_newer = decoded.is_newer;
        if (result.status != Status::ok) break;
        result.place += decoded.size;
    }
    return result;
}

}  // namespace

std::size_t encode(const Command& command, Instant now, std::span<std::byte> out) noexcept {
    const std::size_t texts = command.bundle.size() + command.reason.size();
    if (out.size() < max_bare_op_bytes + texts && out.size() < size_of(command, now)) return 0;
    return write_command(command, now, texts, out.data());
}

std::size_t encode_advance(std::uint64_t endings, Instant now, std::span<std::byte> out) noexcept {
    return frame_op(head_size + number_size(now) + number_size(endings), out, [&](Writer& writer) {
        write_head(writer, advance_kind, now);
        writer.number(endings);
    });
}

std::size_t encode_mark(const Mark& mark, std::span<std::byte> out) noexcept {
    return frame_op(head_size + number_size(mark.now) + clocks_size(mark), out, [&](Writer& writer) {
        write_head(writer, mark_kind, mark.now);
        write_clocks(writer, mark);
    });
}

std::size_t encode_limits(const Limits& limits, Instant now, std::span<std::byte> out) noexcept {
    return frame_op(head_size + number_size(now) + limits_size(limits), out, [&](Writer& writer) {
        write_head(writer, limits_kind, now);
        write_limits(writer, limits);
    });
}

std::size_t encode_recovery(const Keys& apps, const Keys& processes, Instant now, std::span<std::byte> out) noexcept {
    const std::size_t body = recovery_size(apps, processes, now) - op_head - op_check;
    if (body > max_batch_bytes) return 0;
    return frame_op(body, out, [&](Writer& writer) {
        write_head(writer, recovery_kind, now);
        writer.fixed(static_cast<std::uint32_t>(apps.size()));
        writer.fixed(static_cast<std::uint32_t>(processes.size()));
        for (std::size_t i = 0; i < apps.size(); ++i) writer.fixed(apps[i]);
        for (std::size_t i = 0; i < processes.size(); ++i) writer.fixed(processes[i]);
    });
}

std::size_t recovery_size(const Keys& apps, const Keys& processes, Instant now) noexcept {
    const std::size_t keys = apps.size() + processes.size();
    return op_head + head_size + number_size(now) + counts_size + key_size * keys + op_check;
}

std::size_t encode_notes(const NoteChanges& changes, Instant now, std::span<std::byte> out) noexcept {
    const std::size_t body = notes_size(changes, now) - op_head - op_check;
    if (body > max_batch_bytes) return 0;
    return frame_op(body, out, [&](Writer& writer) {
        write_head(writer, notes_kind, now);
        writer.number(changes.size());
        changes.for_each([&](const Note& note) { write_note(writer, note); });
    });
}

std::size_t notes_size(const NoteChanges& changes, Instant now) noexcept {
    std::size_t size = op_head + head_size + number_size(now) + number_size(changes.size()) + op_check;
    changes.for_each([&](const Note& note) { size += note_size(note); });
    return size;
}

Decoded decode(std::span<const std::byte> bytes) noexcept {
    Decoded decoded{Status::parcel_failed};
    Reader reader(bytes);
    const std::size_t body = reader.fixed<std::uint32_t>();
    if (reader.failed() || body > max_batch_bytes || reader.left() < body + op_check) return decoded;
    Reader check(bytes.subspan(op_head + body));
    if (check.fixed<std::uint32_t>() != check_of_op(bytes.first(op_head + body))) return decoded;
    if (read_body(bytes.subspan(op_head, body), decoded.op, decoded.is_newer)) {
        decoded.status = Status::ok;
        decoded.size = op_head + body + op_check;
    } else {
        decoded.op = {};
    }
    return decoded;
}

Result replay(Engine& engine, const Op& op) noexcept {
    switch (op.kind) {
        case OpKind::command: return engine.execute(op.command, op.now);
        case OpKind::batch: return {replay_rows(engine, op), 0};
        case OpKind::advance: return {engine.end(op.now, op.endings).status, 0};
        case OpKind::mark: return {engine.set_mark(op.mark), 0};
        case OpKind::limits: return {engine.set_limits(op.limits, op.now), 0};
        case OpKind::recovery: return {engine.recover(op.apps, op.processes, op.now).status, 0};
        case OpKind::notes: return {engine.write_notes(op.notes, op.now), 0};
    }
    return {Status::argument_invalid, 0};
}

Status replay_logged(Engine& engine, const Op& op) noexcept {
    const Status status = replay(engine, op).status;
    const bool may_be_refused = op.kind == OpKind::command || op.kind == OpKind::limits || op.kind == OpKind::notes;
    const bool is_limit = status == Status::out_of_memory && may_be_refused && !engine.lacked_memory();
    return is_limit ? Status::ok : status;
}

GroupResult check_group(std::span<const std::byte> group) noexcept {
    return for_each_op(group, [](const Op&) { return Status::ok; });
}

GroupResult replay_group(Engine& engine, std::span<const std::byte> group) noexcept {
    return for_each_op(group, [&](const Op& op) { return replay_logged(engine, op); });
}

BatchRows written_rows(std::span<const std::byte> op) noexcept {
    const std::span<const std::byte> body = op.subspan(op_head, fixed_at<std::uint32_t>(op.data()));
    Reader reader(body.subspan(head_size));
    static_cast<void>(reader.number());  // the instant
    BatchRows rows;
    static_cast<void>(rows.find(body.last(reader.left())));
    return rows;
}

}  // namespace grantwheel
