// The ring of events: the last `capacity` of them, numbered from 1. Not thread-safe. It keeps no readers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/array.hpp"
#include "core/record.hpp"

namespace grantwheel {

// An event as it is stored; its sequence number is its place.
struct StoredEvent {
    Instant time;
    std::uint32_t uid;
    std::uint32_t pid;
    TextId bundle;
    std::uint16_t mask;
    std::uint8_t kind_and_cause;  // as `pack` makes it
    std::int8_t cpu_level;

    [[nodiscard]] static constexpr std::uint8_t pack(EventKind kind, Cause cause) noexcept {
        return static_cast<std::uint8_t>(static_cast<unsigned>(cause) << 4 | static_cast<unsigned>(kind));
    }
    [[nodiscard]] EventKind kind() const noexcept { return static_cast<EventKind>(kind_and_cause & 15u); }
    [[nodiscard]] Cause cause() const noexcept { return static_cast<Cause>(kind_and_cause >> 4); }
};
static_assert(sizeof(StoredEvent) == 24);

class Events {
public:
    // Takes the memory for all of it. False when there is none.
    [[nodiscard]] bool open(std::uint32_t capacity) noexcept;
    // Goes on behind an event that another ring had. Pre: nothing has been added.
    void begin_after(std::uint64_t sequence) noexcept { last_ = before_ = sequence; }

    // The place of one more event, to be written at once. Until then it has what is overwritten, which is the oldest event
    // when the ring is full, and else one with the empty text.
    [[nodiscard, gnu::always_inline]] StoredEvent& add() noexcept {
        constexpr std::size_t ahead = 8;  // beyond the end there is nothing that asking could harm
        prefetch(ring_.data() + next_ + ahead);
        if (ring_.size() < capacity_) ring_.push({});
        StoredEvent& place = ring_[next_];
        if (++next_ == capacity_) next_ = 0;
        ++last_;
        return place;
    }

    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
    // The number of the oldest event that is still there; last() + 1 when there is none.
    [[nodiscard]] std::uint64_t first() const noexcept { return std::max(before_ + 1, first_of(last_)); }
    // The number of the first of as many events as it has room for, the last of which has this number.
    [[nodiscard]] std::uint64_t first_of(std::uint64_t last) const noexcept {
        return last < capacity_ ? 1 : last - capacity_ + 1;
    }
    // Pre: first() <= sequence <= last().
    [[nodiscard]] const StoredEvent& at(std::uint64_t sequence) const noexcept {
        return ring_[(sequence - before_ - 1) % capacity_];
    }

private:
    Array<StoredEvent> ring_;
    std::uint64_t capacity_ = 0;
    std::uint64_t last_ = 0;
    std::uint64_t before_ = 0;  // the number of the event before the first that was added
    std::size_t next_ = 0;      // where the next event goes; it saves a division per event
};

}  // namespace grantwheel
