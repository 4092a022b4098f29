// A mutex whose holder can let those go first who wait for it. A std::mutex that is given back and taken again at once
// mostly goes to the same thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace grantwheel {

class PoliteMutex {
public:
    using Time = std::chrono::steady_clock::time_point;

    [[nodiscard]] bool try_lock() noexcept { return mutex_.try_lock(); }
    void lock() {
        if (mutex_.try_lock()) return;
        came_.fetch_add(1, std::memory_order_relaxed);
        mutex_.lock();
        served_.fetch_add(1, std::memory_order_relaxed);
        served_.notify_all();
    }
    void unlock() noexcept { mutex_.unlock(); }

    // Waits until as many have had it as wait for it now. Pre: this thread does not hold it.
    void let_others() const noexcept {
        const std::uint32_t came = came_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint32_t served = served_.load(std::memory_order_relaxed);
            if (static_cast<std::int32_t>(came - served) <= 0) return;
            served_.wait(served, std::memory_order_relaxed);
        }
    }

    // Lets go of it until somebody tells of a change, or that time has come; it may come back for nothing. Time::max() is
    // never. Pre: this thread holds it.
    void wait_for(std::condition_variable& change, Time until) noexcept {
        std::unique_lock lock(mutex_, std::adopt_lock);
        if (until == Time::max()) {
            change.wait(lock);  // NOLINT(bugprone-spuriously-wake-up-functions,cert-con36-c,cert-con54-cpp)
        } else {
            change.wait_until(lock, until);
        }
        static_cast<void>(lock.release());
    }

private:
    std::mutex mutex_;
    std::atomic<std::uint32_t> came_{0};    // those who had to wait
    std::atomic<std::uint32_t> served_{0};  // those of them who have had it
};

}  // namespace grantwheel
