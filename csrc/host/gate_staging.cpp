#include <algorithm>
#include <new>

#include "core/command_bytes.hpp"
#include "grantwheel/op.hpp"
#include "host/gate_parts.hpp"

namespace grantwheel {

namespace {

// Whether a command goes to the record of its process, whatever else it does.
bool is_about_process(const Command& command) noexcept {
    switch (command.kind) {
        case CommandKind::apply:
        case CommandKind::release: return command.is_process;
        case CommandKind::process_died:
        case CommandKind::admin_reset_process: return true;
        default: return false;
    }
}

bool has_uid(CommandKind kind) noexcept {
    return kind != CommandKind::admin_reset_process && kind != CommandKind::admin_reset_all;
}

}  // namespace

Status Gate::Parts::check_open() const noexcept {
    if (gate.closed_) return Status::not_connected;
    return state == State::open ? Status::ok : Status::transaction_failed;
}

// Room in the open group, and for all that comes with an op.
bool Gate::Parts::make_room(std::size_t bytes, std::size_t text) noexcept {
    const std::size_t waiting = open.bytes.size() + (is_behind ? flying.bytes.size() : 0);
    return waiting + bytes <= max_group_bytes && open.bytes.reserve(open.bytes.size() + bytes) &&
           open.texts.reserve(open.texts.size() + text);
}

std::uint32_t Gate::Parts::add(Entry::Kind kind, Watcher* watcher) noexcept {
    const std::uint32_t place = entries.take();
    if (place == no_entry) return place;
    Entry& entry = entries[place];
    entry.group = open.number;
    entry.next = no_entry;
    entry.kind = kind;
    entry.abandoned = false;
    entry.now = gate.latest_;
    entry.watcher = watcher;
    entry.answer = {};
    return place;
}

// Pre: there is room.
std::size_t Gate::Parts::write(const Command& command) noexcept {
    ++open.changes;
    return open.write_op([&](std::span<std::byte> out) { return encode(command, gate.latest_, out); });
}

void Gate::Parts::mark(const Command& command) noexcept {
    if (command.kind == CommandKind::admin_reset_all) return marks.set_all(open.number);
    const bool names_uid = has_uid(command.kind);
    if (names_uid) marks.set({OwnerKind::app, command.uid}, command.uid, open.number, settled);
    if (is_about_process(command)) mark_process(command.pid, names_uid ? &command.uid : nullptr);
}

// What happens to a process concerns all those whose it is, or will be by then: another uid may lose its record.
void Gate::Parts::mark_process(std::uint32_t pid, const std::uint32_t* uid) noexcept {
    const Owner owner{OwnerKind::process, pid};
    RecordView found;
    std::uint32_t staged_uid = 0;
    const bool is_recorded = gate.manager_->engine().find(owner, gate.latest_, found) == Status::ok && found.mask != 0;
    const bool is_staged = marks.find_uid(pid, staged_uid);
    if (is_recorded) marks.set({OwnerKind::app, found.uid}, found.uid, open.number, settled);
    if (is_staged) marks.set({OwnerKind::app, staged_uid}, staged_uid, open.number, settled);
    const std::uint32_t last_uid = is_staged ? staged_uid : found.uid;
    if (uid != nullptr || is_staged || is_recorded) {
        marks.set(owner, uid != nullptr ? *uid : last_uid, open.number, settled);
    }
}

Staged Gate::Parts::staged(std::uint32_t place) noexcept {
    if (is_behind) {
        tell();
        return {Status::ok, {open.number, place}};
    }
    const bool was_empty = open.is_empty();
    open.add(place, entries);
    if ((was_empty && has_thread) || (gathers && open.count == expected)) filled.notify_one();
    const Ticket ticket{open.number, place};
    if (is_immediate) commit();
    return {Status::ok, ticket};
}

Status Gate::Parts::put_behind(const Command& command, std::size_t text) noexcept {
    if (!make_room(max_bare_op_bytes + text, 0) || !reserve(command, text)) return Status::out_of_memory;
    came(write(command));
    return Status::ok;
}

// The open group is empty, and stays so: the op lies in its memory only.
Status Gate::Parts::put_at_once(const Command& command, std::size_t text, Instant now) noexcept {
    const std::size_t most = max_bare_op_bytes + text;
    if (most > max_group_bytes || !open.bytes.reserve(most) || !reserve(command, text)) return Status::out_of_memory;
    std::byte* const bytes = open.bytes.data();
    return append_at_once({bytes, write_command(command, now, text, bytes)}, 1);
}

// As it came, as no text of it moves while room is made.
inline Staged Gate::Parts::carry_out(const Command& command, std::size_t text, Instant now, Watcher* watcher) noexcept {
    const Status status = is_immediate ? put_at_once(command, text, now) : put_behind(command, text);
    if (status != Status::ok) return {status};
    Engine& engine = gate.manager_->engine();
    const Result result = execute(engine, command, now, watcher);
    tell(engine, now);
    return {.answer = {.status = result.status, .mask = result.mask}};
}

// Its texts may be the engine's own, which move when room is made for more: what goes into the log, and is executed, has
// copies of them. No command that waits has any here.
Staged Gate::Parts::carry_out_texts(Command command, std::size_t text, Instant now, Watcher* watcher) noexcept {
    open.texts.clear();
    if (!open.texts.reserve(text)) return {Status::out_of_memory};
    open.add_text(command.bundle);
    open.add_text(command.reason);
    command.bundle = {open.texts.data(), command.bundle.size()};
    command.reason = {open.texts.data() + command.bundle.size(), command.reason.size()};
    return carry_out(command, text, now, watcher);
}

Staged Gate::stage(const Admission& admission, Watcher* watcher) noexcept {
    if (admission.status != Status::ok) return {admission.status};
    Parts& parts = *parts_;
    const Instant now = latest_;
    if (closed_) return {Status::not_connected};
    if (parts.state != LogState::open) return {Status::transaction_failed};
    const Command& command = admission.command;
    const std::size_t text = command.bundle.size() + command.reason.size();
    if (parts.is_immediate || parts.is_behind) {  // nothing is ever waiting
        return text == 0 ? parts.carry_out(command, 0, now, watcher)
                         : parts.carry_out_texts(command, text, now, watcher);
    }
    if (!parts_->make_room(max_bare_op_bytes + text, text)) return {Status::out_of_memory};
    const std::uint32_t place = parts_->add(Entry::Kind::command, watcher);
    if (place == no_entry) return {Status::out_of_memory};
    static_cast<void>(parts_->write(command));
    Entry& entry = parts_->entries[place];
    entry.command = command;
    entry.texts_at = parts_->open.texts.size();
    parts_->open.add_text(command.bundle);
    parts_->open.add_text(command.reason);
    parts_->open.needs.add(command);
    parts_->mark(command);
    return parts_->staged(place);
}

Staged Gate::stage_advance(std::uint64_t records) noexcept {
    if (const Status status = parts_->check_open(); status != Status::ok) return {status};
    if (!parts_->make_room(max_bare_op_bytes, 0)) return {Status::out_of_memory};
    const std::uint64_t most = std::max<std::uint64_t>(records, 1);
    const auto encode_it = [&](std::span<std::byte> out) { return encode_advance(most, latest_, out); };
    if (parts_->is_behind) {
        Staged staged;
        if (!parts_->reserve({})) return {Status::out_of_memory};
        parts_->came(parts_->open.write_op(encode_it));
        static_cast<void>(parts_->end_some(staged.answer, latest_, most));
        parts_->tell();
        return staged;
    }
    const std::uint32_t place = parts_->add(Entry::Kind::advance, nullptr);
    if (place == no_entry) return {Status::out_of_memory};
    parts_->entries[place].records = most;
    parts_->open.write_op(encode_it);
    return parts_->staged(place);
}

Staged Gate::stage_mark(const Mark& mark) noexcept {
    if (mark.boot_ms > max_now) return {Status::time_out_of_range};
    if (const Status status = parts_->check_open(); status != Status::ok) return {status};
    if (!parts_->make_room(max_bare_op_bytes, 0)) return {Status::out_of_memory};
    Mark own = mark;
    own.now = latest_;
    const auto encode_it = [&](std::span<std::byte> out) { return encode_mark(own, out); };
    if (parts_->is_behind) {
        parts_->came(parts_->open.write_op(encode_it));
        const Staged staged{.answer = {.status = manager_->engine().set_mark(own)}};
        parts_->tell();
        return staged;
    }
    const std::uint32_t place = parts_->add(Entry::Kind::mark, nullptr);
    if (place == no_entry) return {Status::out_of_memory};
    parts_->entries[place].texts_at = parts_->open.bytes.size();
    parts_->open.write_op(encode_it);
    return parts_->staged(place);
}

Staged Gate::stage_wait() noexcept {
    if (closed_) return {Status::not_connected};
    if (parts_->is_behind) return {};
    const std::uint32_t place = parts_->add(Entry::Kind::wait, nullptr);
    if (place == no_entry) return {Status::out_of_memory};
    return parts_->staged(place);
}

std::uint64_t Gate::staged_about(Owner owner) const noexcept {
    std::uint64_t group = parts_->marks.group(owner);
    if (owner.kind == OwnerKind::app || manager_ == nullptr) return group;
    RecordView found;
    std::uint32_t uid = 0;
    if (parts_->marks.find_uid(owner.key, uid)) group = std::max(group, parts_->marks.group({OwnerKind::app, uid}));
    if (manager_->engine().find(owner, latest_, found) == Status::ok && found.mask != 0) {
        group = std::max(group, parts_->marks.group({OwnerKind::app, found.uid}));
    }
    return group;
}

}  // namespace grantwheel
