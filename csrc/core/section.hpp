// The sections of a snapshot: how they are framed, and what their kinds are. docs/log-format.md has the bytes.
#pragma once

#include <cstdint>

#include "core/bytes.hpp"
#include "core/checksum.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

inline constexpr std::string_view snapshot_name = "grantwheel";
inline constexpr unsigned snapshot_version = 1;
inline constexpr unsigned snapshot_version_with_notes = 2;  // which an engine without notes does not need

enum class SectionKind : std::uint8_t { none = 0, head = 1, mark = 2, counters = 3, records = 4, end = 5, notes = 6 };

inline constexpr std::size_t section_head = 4;   // the size of the body
inline constexpr std::size_t section_check = 8;  // of all bytes of the snapshot that stand before it

// A section of records ends with the one that makes its body this long.
inline constexpr std::size_t full_body = std::size_t{16} << 10;
// The notes are cut into so many bytes a section, the last one left out.
inline constexpr std::size_t full_notes = std::size_t{16} << 10;

// The first byte of a record: one bit for its kind, two for the level.
[[nodiscard]] inline unsigned record_head(OwnerKind kind, std::int8_t level) noexcept {
    return (kind == OwnerKind::app ? 1u : 0u) | static_cast<unsigned>(level + 1) << 1;
}

}  // namespace grantwheel
