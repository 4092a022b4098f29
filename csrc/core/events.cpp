#include "core/events.hpp"

#include "core/strings.hpp"

namespace grantwheel {

bool Events::open(std::uint32_t capacity) noexcept {
    capacity_ = capacity;
    return ring_.reserve(capacity);
}

StoredEvent& Events::add() noexcept {
    constexpr std::size_t ahead = 8;  // beyond the end there is nothing that asking could harm
    prefetch(ring_.data() + next_ + ahead);
    if (ring_.size() < capacity_) ring_.push({});
    StoredEvent& place = ring_[next_];
    if (++next_ == capacity_) next_ = 0;
    ++last_;
    return place;
}

}  // namespace grantwheel
