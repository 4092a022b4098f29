// The place of one reader in the events of one manager, with what it wants to see and how it has fared. Used under the
// lock of that manager, but for `after` and `missed`, which anybody may read.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "grantwheel/types.hpp"
#include "host/waker.hpp"

namespace grantwheel {

// Which events a reader wants.
struct Filter {
    std::uint32_t kinds = ~std::uint32_t{0};           // a bit per kind
    std::optional<std::vector<std::uint32_t>> uids{};  // sorted; nothing: all

    [[nodiscard]] bool wants(const Event& event) const noexcept {
        if ((kinds >> static_cast<unsigned>(event.kind) & 1u) == 0) return false;
        return !uids || std::binary_search(uids->begin(), uids->end(), event.uid);
    }
};

// How long after their instants events came to a reader.
struct Lateness {
    static constexpr std::size_t steps = 18;

    Instant last = 0;
    Instant most = 0;
    std::array<std::uint64_t, steps> counts{};  // below 1 ms, below 2 ms, below 4 ms, ...; the last: all others

    void note(Instant late) noexcept {
        last = late;
        most = std::max(most, late);
        ++counts[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(late)), steps - 1)];
    }
    // All that another one has noted, after what this one has.
    void add(const Lateness& later) noexcept {
        most = std::max(most, later.most);
        for (std::size_t i = 0; i < steps; ++i) {
            if (later.counts[i] > 0) last = later.last;
            counts[i] += later.counts[i];
        }
    }
    // One event, of an instant, that came at another. A clock that was set back is not late.
    void note(Instant instant, Instant now) noexcept { note(now > instant ? now - instant : 0); }
};

struct Cursor;

// All cursors of one manager that there are.
class Readers {
public:
    void enter(Cursor& cursor);
    void leave(const Cursor& cursor) noexcept;

    // Under the lock of the manager: the last event that all of them have dealt with; `last` when there are none.
    [[nodiscard]] std::uint64_t least_after(std::uint64_t last) const noexcept;
    // The same: wakes whoever waits.
    void ring_all() const noexcept;

private:
    mutable std::mutex mutex_;  // over the list alone
    std::vector<Cursor*> cursors_;
};

struct Cursor {
    explicit Cursor(std::shared_ptr<Readers> all) : readers(std::move(all)) { readers->enter(*this); }
    ~Cursor() {
        if (home.is_here()) readers->leave(*this);
    }
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;

    Home home{};
    std::shared_ptr<Readers> readers;
    std::size_t place = 0;  // in the list of all
    // They change under the lock of the manager:
    std::atomic<std::uint64_t> after = 0;   // the last event that was dealt with
    std::atomic<std::uint64_t> missed = 0;  // overwritten before they were read, all kinds and uids
    // Under that lock:
    std::uint64_t until = UINT64_MAX;  // the last one that is to be seen
    Filter filter{};
    Lateness lateness{};
    std::shared_ptr<Bell> bell{};  // null until somebody waits

    [[nodiscard]] bool has_seen_all() const noexcept { return after >= until; }
    [[nodiscard]] std::uint64_t pending(std::uint64_t last_sequence) const noexcept {
        const std::uint64_t last = std::min(last_sequence, until);
        return after < last ? last - after : 0;
    }
};

inline void Readers::enter(Cursor& cursor) {
    const std::lock_guard lock(mutex_);
    cursor.place = cursors_.size();
    cursors_.push_back(&cursor);
}

inline void Readers::leave(const Cursor& cursor) noexcept {
    const std::lock_guard lock(mutex_);
    Cursor* const last = cursors_.back();
    cursors_[cursor.place] = last;
    last->place = cursor.place;
    cursors_.pop_back();
}

inline std::uint64_t Readers::least_after(std::uint64_t last) const noexcept {
    const std::lock_guard lock(mutex_);
    std::uint64_t least = last;
    for (const Cursor* cursor : cursors_) {
        if (!cursor->has_seen_all()) least = std::min(least, cursor->after.load());
    }
    return least;
}

inline void Readers::ring_all() const noexcept {
    const std::lock_guard lock(mutex_);
    for (const Cursor* cursor : cursors_) {
        if (cursor->bell) cursor->bell->ring();
    }
}

}  // namespace grantwheel
