// A descriptor that is readable some time from now on. Time in suspend counts. Mute in the child of a fork.
#pragma once

#include <sys/timerfd.h>
#include <unistd.h>

#include "grantwheel/types.hpp"
#include "host/descriptor.hpp"
#include "host/home.hpp"

namespace grantwheel {

class Timer {
public:
    Timer() : descriptor_(opened(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK))) {}

    // Pre: 0 <= ms <= max_now. Replaces what was set before.
    void set(Instant ms) const noexcept {
        itimerspec when{};
        when.it_value.tv_sec = static_cast<time_t>(ms / 1000);
        when.it_value.tv_nsec = ms == 0 ? 1 : static_cast<long>(ms % 1000) * 1'000'000;
        arm(when);
    }
    void stop() const noexcept { arm({}); }
    // Makes it unreadable, if it is readable.
    void clear() const noexcept {
        if (!home_.is_here()) return;
        std::uint64_t count = 0;
        static_cast<void>(::read(descriptor(), &count, sizeof count) < 0);
    }
    [[nodiscard]] int descriptor() const noexcept { return descriptor_.number(); }

private:
    void arm(const itimerspec& when) const noexcept {
        if (home_.is_here()) static_cast<void>(::timerfd_settime(descriptor(), 0, &when, nullptr));
    }

    Descriptor descriptor_;
    Home home_;
};

}  // namespace grantwheel
