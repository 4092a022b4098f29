// Walking the set bits of a mask.
#pragma once

#include <bit>

#include "grantwheel/types.hpp"

namespace grantwheel {

// Calls `visit(index)` for each type of the mask, ascending.
template <typename Visit>
constexpr void for_each_type(Mask mask, Visit&& visit) noexcept {
    for (; mask != 0; mask &= mask - 1) visit(std::countr_zero(mask));
}

[[nodiscard]] constexpr Mask type_bit(int index) noexcept { return Mask{1} << index; }

}  // namespace grantwheel
