// What is counted around an engine, for `stats`: refused calls, and how late events came.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "host/cursor.hpp"

namespace grantwheel {

// Refused calls by public code. Counted where an error is raised, so that a call which succeeds pays nothing. Thread-safe.
class Refusals {
public:
    static constexpr std::int32_t codes[] = {
#define GRANTWHEEL_PUBLIC(code, name, message) code,
        GRANTWHEEL_PUBLIC_LIST(GRANTWHEEL_PUBLIC)
#undef GRANTWHEEL_PUBLIC
    };

    void note(Status status) noexcept {
        const std::int32_t code = public_code(status);
        for (std::size_t i = 0; i < std::size(codes); ++i) {
            if (codes[i] == code) counts_[i].fetch_add(1, std::memory_order_relaxed);
        }
    }
    // How many with the i-th code.
    [[nodiscard]] std::uint64_t count(std::size_t i) const noexcept {
        return counts_[i].load(std::memory_order_relaxed);
    }

private:
    std::array<std::atomic<std::uint64_t>, std::size(codes)> counts_{};
};

// How late things came, all together.
struct Histogram {
    Lateness lateness{};
    std::uint64_t sum = 0;  // ms

    void note(Instant instant, Instant now) noexcept {
        lateness.note(instant, now);
        sum += lateness.last;
    }
    void add(const Histogram& later) noexcept {
        lateness.add(later.lateness);
        sum += later.sum;
    }
};

struct Tally {
    Refusals refusals;
    // Under the lock of the manager:
    std::uint64_t missed = 0;  // events, by all readers together
    Histogram advanced;        // from the earliest deadline of what an advance has ended to that advance
    Histogram delivered;       // from the instant of an event to a reader that waited for it
};

}  // namespace grantwheel
