// Walking the set bits of a mask.
#pragma once

#include <bit>
#include <cstddef>

#include "grantwheel/types.hpp"

namespace grantwheel {

// Calls `visit(index)` for each type of the mask, ascending.
template <typename Visit>
constexpr void for_each_type(Mask mask, Visit&& visit) noexcept {
    for (; mask != 0; mask &= mask - 1) visit(std::countr_zero(mask));
}

[[nodiscard]] constexpr Mask type_bit(int index) noexcept { return Mask{1} << index; }

// A loop, as masks have few bits and std::popcount is a library call for a portable processor.
[[nodiscard]] constexpr std::size_t count_bits(Mask mask) noexcept {
    std::size_t count = 0;
    for (; mask != 0; mask &= mask - 1) ++count;
    return count;
}

}  // namespace grantwheel
