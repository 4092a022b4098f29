#include "core/command_bytes.hpp"

#include "core/bits.hpp"

namespace grantwheel {

namespace {

void write_caps(const Command& command, Writer& writer) noexcept {
    writer.number(command.capped);
    for_each_type(command.capped, [&](int type) { writer.number(command.caps_ms[static_cast<std::size_t>(type)]); });
}

}  // namespace

std::byte* write_texts(const Command& command, std::byte* out) noexcept {
    Writer writer(out);
    writer.number(command.bundle.size());
    writer.number(command.reason.size());
    writer.bytes(command.bundle);
    writer.bytes(command.reason);
    return writer.at();
}

std::size_t write_capped(const Command& command, Instant now, std::byte* out) noexcept {
    Writer writer(out + op_head);
    write_numbers(command, now, command_flag::capped, writer);
    write_caps(command, writer);
    return close_frame(out, write_texts(command, writer.at()));
}

}  // namespace grantwheel
