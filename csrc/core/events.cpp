#include "core/events.hpp"

#include "core/strings.hpp"

namespace grantwheel {

bool Events::open(std::uint32_t capacity) noexcept {
    capacity_ = capacity;
    return ring_.reserve(capacity);
}

}  // namespace grantwheel
