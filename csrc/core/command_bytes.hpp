// A command as the bytes of an op, where room has been made: what `encode` writes, for those who ask for room once.
// Free functions; thread-safe as values are. docs/log-format.md has the bytes.
#pragma once

#include "core/frame.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

inline constexpr std::size_t head_size = 2;  // version and kind

namespace command_flag {
inline constexpr unsigned persist = 1;
inline constexpr unsigned process = 2;
inline constexpr unsigned only_held = 4;
inline constexpr unsigned capped = 8;
inline constexpr unsigned all = 15;
}  // namespace command_flag

// Whether types of a command have timeouts of their own, and these mean anything.
[[nodiscard]] inline bool has_caps(const Command& command) noexcept {
    return command.capped != 0 && command.kind == CommandKind::apply;
}

[[gnu::always_inline]] inline void write_head(Writer& writer, unsigned kind, Instant now) noexcept {
    writer.bytes_of(op_version, kind);
    writer.number(now);
}

// What comes before texts and timeouts of its own; `more` are flags of these.
[[gnu::always_inline]] inline void write_numbers(const Command& command, Instant now, unsigned more,
                                                 Writer& writer) noexcept {
    const unsigned flags = (command.is_persist ? command_flag::persist : 0u) +
                           (command.is_process ? command_flag::process : 0u) +
                           (command.only_held ? command_flag::only_held : 0u) + more;
    write_head(writer, static_cast<unsigned>(command.kind), now);
    writer.bytes_of(flags, static_cast<unsigned>(command.cpu_level + 1));
    writer.number(command.mask);
    writer.number(command.uid);
    writer.number(command.pid);
    writer.number(command.timeout_ms);
}

// The sizes of its texts, and these; where they end.
[[nodiscard]] std::byte* write_texts(const Command& command, std::byte* out) noexcept;
// The whole op of one that has timeouts of its own.
[[nodiscard]] std::size_t write_capped(const Command& command, Instant now, std::byte* out) noexcept;

// Writes the whole op of a command, with so many bytes of texts. Returns its size.
[[nodiscard, gnu::always_inline]] inline std::size_t write_command(const Command& command, Instant now,
                                                                   std::size_t texts, std::byte* out) noexcept {
    if (has_caps(command)) return write_capped(command, now, out);
    Writer writer(out + op_head);
    write_numbers(command, now, 0, writer);
    if (texts != 0) return close_frame(out, write_texts(command, writer.at()));
    writer.bytes_of(0, 0);
    return close_frame(out, writer.at());
}

}  // namespace grantwheel
