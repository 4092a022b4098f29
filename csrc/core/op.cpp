#include "grantwheel/op.hpp"

#include "core/bytes.hpp"
#include "core/checksum.hpp"
#include "grantwheel/manager.hpp"

namespace grantwheel {

namespace {

constexpr unsigned version = 1;
constexpr unsigned advance_kind = 255;
constexpr std::size_t head_size = 2;  // version and kind
constexpr std::size_t check_size = 4;

enum Flag : unsigned { persist = 1, process = 2, only_held = 4, all_flags = 7 };

std::uint32_t check_of(std::span<const std::byte> bytes) noexcept { return static_cast<std::uint32_t>(checksum_of(bytes)); }

// Frames a body of that size, which `write` writes, if all of it fits.
template <typename Write>
std::size_t encode_frame(std::size_t body, std::span<std::byte> out, Write&& write) noexcept {
    const std::size_t framed = number_size(body) + body;
    if (out.size() < framed + check_size) return 0;
    Writer writer(out.data());
    writer.number(body);
    write(writer);
    writer.fixed(check_of(out.first(framed)));
    return framed + check_size;
}

unsigned flags_of(const Command& command) noexcept {
    return (command.is_persist ? persist : 0u) | (command.is_process ? process : 0u) |
           (command.only_held ? only_held : 0u);
}

Command read_command(Reader& reader, unsigned kind) noexcept {
    Command command;
    command.kind = static_cast<CommandKind>(kind);
    const unsigned flags = reader.byte(all_flags);
    command.is_persist = (flags & persist) != 0;
    command.is_process = (flags & process) != 0;
    command.only_held = (flags & only_held) != 0;
    command.cpu_level = static_cast<std::int8_t>(static_cast<int>(reader.byte(max_level + 1)) - 1);
    command.mask = static_cast<Mask>(reader.number(rules.all));
    command.uid = static_cast<std::uint32_t>(reader.number(max_uid));
    command.pid = static_cast<std::uint32_t>(reader.number(max_pid));
    command.timeout_ms = static_cast<std::uint32_t>(reader.number(max_timeout));
    const std::size_t bundle = reader.number(max_text_bytes);
    const std::size_t reason = reader.number(max_text_bytes);
    command.bundle = reader.text(bundle);
    command.reason = reader.text(reason);
    return command;
}

// Reads what a frame has, whose check is right. False when it says what cannot be, or what is not known here.
bool read_body(std::span<const std::byte> body, Op& op, bool& is_newer) noexcept {
    Reader reader(body);
    const bool is_known = reader.byte() == version;
    const unsigned kind = reader.byte();
    if (reader.failed()) return false;
    is_newer = !is_known || (kind >= command_count && kind != advance_kind);
    if (is_newer) return false;
    op.now = reader.number(max_now);
    if (kind == advance_kind) {
        op.ended = reader.number();
        if (op.ended == 0) reader.fail();
    } else {
        op.command = read_command(reader, kind);
    }
    if (reader.failed() || reader.left() != 0) return false;
    return kind == advance_kind || Manager::check(op.command) == Status::ok;
}

}  // namespace

std::size_t encode(const Command& command, Instant now, std::span<std::byte> out) noexcept {
    std::size_t body = head_size + number_size(now) + 2 + number_size(command.mask);
    body += number_size(command.uid) + number_size(command.pid) + number_size(command.timeout_ms);
    for (const std::string_view text : {command.bundle, command.reason}) body += number_size(text.size()) + text.size();
    return encode_frame(body, out, [&](Writer& writer) {
        writer.byte(version);
        writer.byte(static_cast<unsigned>(command.kind));
        writer.number(now);
        writer.byte(flags_of(command));
        writer.byte(static_cast<unsigned>(command.cpu_level + 1));
        writer.number(command.mask);
        writer.number(command.uid);
        writer.number(command.pid);
        writer.number(command.timeout_ms);
        writer.number(command.bundle.size());
        writer.number(command.reason.size());
        writer.bytes(command.bundle);
        writer.bytes(command.reason);
    });
}

std::size_t encode_advance(std::uint64_t ended, Instant now, std::span<std::byte> out) noexcept {
    return encode_frame(head_size + number_size(now) + number_size(ended), out, [&](Writer& writer) {
        writer.byte(version);
        writer.byte(advance_kind);
        writer.number(now);
        writer.number(ended);
    });
}

Decoded decode(std::span<const std::byte> bytes) noexcept {
    Decoded decoded{Status::parcel_failed};
    Reader reader(bytes);
    const std::size_t body = reader.number(max_op_bytes);
    const std::size_t head = bytes.size() - reader.left();
    if (reader.failed() || reader.left() < body + check_size) return decoded;
    Reader check(bytes.subspan(head + body));
    if (check.fixed<std::uint32_t>() != check_of(bytes.first(head + body))) return decoded;
    if (read_body(bytes.subspan(head, body), decoded.op, decoded.is_newer)) {
        decoded.status = Status::ok;
        decoded.size = head + body + check_size;
    } else {
        decoded.op = {};
    }
    return decoded;
}

Result replay(Engine& engine, const Op& op) noexcept {
    return op.is_advance() ? Result{engine.end(op.now, op.ended), 0} : engine.execute(op.command, op.now);
}

}  // namespace grantwheel
