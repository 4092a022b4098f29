// The clocks that a manager can read: those of the host, one that is set by hand, and any Python object with now().
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>

#include "bindings/errors.hpp"
#include "grantwheel/clock.hpp"

namespace grantwheel::bindings {

struct BootClock {};
struct MonotonicClock {};

// A clock that stands still until it is told. Thread-safe.
class ManualClock {
public:
    explicit ManualClock(Instant start) : now_(start) {}
    void set(Instant now) noexcept { now_.store(now, std::memory_order_relaxed); }
    [[nodiscard]] Instant now() const noexcept { return now_.load(std::memory_order_relaxed); }

private:
    std::atomic<Instant> now_;
};

// The clock of one manager. The clocks of C++ are read under the lock of the manager; a Python object is asked before.
class ClockReader {
public:
    // TypeError when the object has no now().
    explicit ClockReader(py::object clock);

    [[nodiscard]] bool is_python() const noexcept { return kind_ == Kind::python; }
    // Pre: not is_python(). Needs no GIL.
    [[nodiscard]] Instant read() const noexcept;
    // Pre: is_python(). TypeError for an answer that is not an int; an answer below 0 is out of range.
    [[nodiscard]] Instant ask() const;

    [[nodiscard]] const py::object& object() const noexcept { return clock_; }
    [[nodiscard]] py::object& object() noexcept { return clock_; }

private:
    enum class Kind { boot, monotonic, manual, python };
    py::object clock_;
    Kind kind_ = Kind::python;
    const ManualClock* manual_ = nullptr;
};

void bind_clocks(py::module_& module);

}  // namespace grantwheel::bindings
