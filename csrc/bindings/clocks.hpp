// The clocks that a manager can read: those of the host, one that is set by hand, and any Python object with now().
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "bindings/errors.hpp"
#include "bindings/gil.hpp"
#include "grantwheel/clock.hpp"
#include "host/waker.hpp"

namespace grantwheel::bindings {

// The time since boot, by that much more or less: of a log that has gone on since another boot.
struct BootClock {
    std::int64_t offset_ms = 0;

    [[nodiscard]] Instant now() const noexcept {
        const auto instant = static_cast<std::int64_t>(boot_now()) + offset_ms;
        return instant < 0 ? 0 : static_cast<Instant>(instant);
    }
};
struct MonotonicClock {};

// A clock that stands still until it is told. Thread-safe.
class ManualClock {
public:
    explicit ManualClock(Instant start) : now_(start) {}
    ~ManualClock();
    ManualClock(const ManualClock&) = delete;
    ManualClock& operator=(const ManualClock&) = delete;

    // Sets off the alarms that this reaches, and those of them that it does not reach any more it silences.
    void set(Instant now);
    // Goes on by that much. False, and nothing happens, when that would lead beyond max_now.
    [[nodiscard]] bool advance(Instant length);
    [[nodiscard]] Instant now() const noexcept { return now_.load(std::memory_order_relaxed); }

    // Pre: the clock outlives it.
    [[nodiscard]] std::shared_ptr<Alarm> make_alarm() const;

private:
    class OwnAlarm;
    // Those that were made in one process. What a fork has found locked or half changed is left alone in the child.
    struct Alarms {
        Home home;
        std::mutex mutex;
        std::vector<std::weak_ptr<OwnAlarm>> all;
    };

    // Those of this process.
    [[nodiscard]] Alarms& alarms() const;
    // Under the lock of the alarms.
    void show(const Alarms& own, Instant now);

    std::atomic<Instant> now_;
    mutable GilOrMutex replacing_;  // over the pointer, which a child replaces
    mutable std::shared_ptr<Alarms> alarms_ = std::make_shared<Alarms>();
};

// The clock of one manager. The clocks of C++ are read under the lock of the manager; a Python object is asked before.
class ClockReader {
public:
    // TypeError when the object has no now().
    explicit ClockReader(py::object clock);

    [[nodiscard]] bool is_python() const noexcept { return kind_ == Kind::python; }
    // Pre: not is_python(). Needs no GIL.
    [[nodiscard, gnu::always_inline]] Instant read() const noexcept {
        if (kind_ == Kind::manual) return manual_->now();
        return kind_ == Kind::boot ? boot_.now() : monotonic_now();
    }
    // Pre: is_python(). TypeError for an answer that is not an int; an answer below 0 is out of range.
    [[nodiscard]] Instant ask() const;
    // An alarm of this clock. ValueError for a Python object, which cannot wake anybody. The clock must outlive it.
    [[nodiscard]] std::shared_ptr<Alarm> make_alarm() const;

    [[nodiscard]] const py::object& object() const noexcept { return clock_; }
    [[nodiscard]] py::object& object() noexcept { return clock_; }

private:
    enum class Kind { boot, monotonic, manual, python };
    py::object clock_;
    Kind kind_ = Kind::python;
    const ManualClock* manual_ = nullptr;
    BootClock boot_{};
};

// An instant or a span as Python gave it. TypeError for what is no int, ValueError beyond 0..2^62.
[[nodiscard]] Instant to_instant(py::handle value, const char* name);

void bind_clocks(py::module_& module);

}  // namespace grantwheel::bindings
