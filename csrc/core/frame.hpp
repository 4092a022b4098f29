// How an op is framed: the size of its body, the body, the check. docs/log-format.md has the bytes.
#pragma once

#include "core/bytes.hpp"
#include "core/checksum.hpp"

namespace grantwheel {

inline constexpr unsigned op_version = 1;
inline constexpr unsigned notes_kind = 250;  // commands are numbered from 0
inline constexpr unsigned recovery_kind = 251;
inline constexpr unsigned limits_kind = 252;
inline constexpr unsigned mark_kind = 253;
inline constexpr unsigned batch_kind = 254;
inline constexpr unsigned advance_kind = 255;

inline constexpr std::size_t op_head = 4;   // the size of the body
inline constexpr std::size_t op_check = 4;  // of all bytes that stand before it

[[nodiscard]] inline std::uint32_t check_of_op(std::span<const std::byte> bytes) noexcept {
    return static_cast<std::uint32_t>(checksum_of(bytes));
}

// Writes what stands around a body, which lies from `op_head` bytes behind `op` up to `end`. Returns the size of all.
[[nodiscard]] inline std::size_t close_frame(std::byte* op, std::byte* end) noexcept {
    const auto framed = static_cast<std::size_t>(end - op);
    put_fixed(op, static_cast<std::uint32_t>(framed - op_head));
    put_fixed(end, check_of_op({op, framed}));
    return framed + op_check;
}

// Frames a body of that size, which `write` writes, if all of it fits. Returns how many bytes that are, or 0.
template <typename Write>
[[nodiscard]] std::size_t frame_op(std::size_t body, std::span<std::byte> out, Write&& write) noexcept {
    if (out.size() < op_head + body + op_check) return 0;
    Writer writer(out.data() + op_head);
    write(writer);
    return close_frame(out.data(), writer.at());
}

}  // namespace grantwheel
