// The clocks of the host, in milliseconds, for whoever drives a manager. Thread-safe; the core does not include this.
#pragma once

#include <ctime>

#include "grantwheel/types.hpp"

namespace grantwheel {

namespace detail {
inline Instant read_clock(clockid_t id) noexcept {
    timespec time{};
    ::clock_gettime(id, &time);
    return static_cast<Instant>(time.tv_sec) * 1000u + static_cast<Instant>(time.tv_nsec) / 1'000'000u;
}
}  // namespace detail

// Time since boot, suspend included: the right clock for grants, which must not outlive a night in suspend.
inline Instant boot_now() noexcept { return detail::read_clock(CLOCK_BOOTTIME); }

// Time since boot, suspend left out.
inline Instant monotonic_now() noexcept { return detail::read_clock(CLOCK_MONOTONIC); }

}  // namespace grantwheel
