// A mark and limits as bytes, as they are in ops and in snapshots, and back. Free functions; thread-safe as values are.
#pragma once

#include "core/bytes.hpp"
#include "grantwheel/recovery.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

// A mark but for its instant of the log.
[[nodiscard]] inline std::size_t clocks_size(const Mark& mark) noexcept {
    return mark.boot_id.size() + number_size(mark.boot_ms) + sizeof mark.wall_ms;
}
inline void write_clocks(Writer& writer, const Mark& mark) noexcept {
    for (const std::uint8_t byte : mark.boot_id) writer.byte(byte);
    writer.number(mark.boot_ms);
    writer.fixed(static_cast<std::uint64_t>(mark.wall_ms));
}
inline void read_clocks(Reader& reader, Mark& mark) noexcept {
    for (std::uint8_t& byte : mark.boot_id) byte = static_cast<std::uint8_t>(reader.byte());
    mark.boot_ms = reader.number(max_now);
    mark.wall_ms = static_cast<std::int64_t>(reader.fixed<std::uint64_t>());
}

// The limits that belong to a log.
[[nodiscard]] inline std::size_t limits_size(const Limits& limits) noexcept {
    return number_size(limits.max_records) + number_size(limits.max_strings) + number_size(limits.event_capacity);
}
inline void write_limits(Writer& writer, const Limits& limits) noexcept {
    writer.number(limits.max_records);
    writer.number(limits.max_strings);
    writer.number(limits.event_capacity);
}
inline void read_limits(Reader& reader, Limits& limits) noexcept {
    limits.max_records = static_cast<std::uint32_t>(reader.number(INT32_MAX));
    limits.max_strings = static_cast<std::uint32_t>(reader.number(INT32_MAX));
    limits.event_capacity = static_cast<std::uint32_t>(reader.number(INT32_MAX));
    if (limits.first_invalid() != nullptr) reader.fail();
}

}  // namespace grantwheel
