#include "core/events.hpp"

#include "core/strings.hpp"

namespace grantwheel {

bool Events::open(std::uint32_t capacity) noexcept {
    capacity_ = capacity;
    return ring_.reserve(capacity);
}

TextId Events::push(const StoredEvent& event) noexcept {
    constexpr std::size_t ahead = 8;  // beyond the end there is nothing that asking could harm
    prefetch(ring_.data() + next_ + ahead);
    TextId overwritten = Strings::empty;
    if (ring_.size() < capacity_) {
        ring_.push(event);
    } else {
        overwritten = ring_[next_].bundle;
        ring_[next_] = event;
    }
    if (++next_ == capacity_) next_ = 0;
    ++last_;
    return overwritten;
}

}  // namespace grantwheel
