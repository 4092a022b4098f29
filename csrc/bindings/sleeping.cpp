// What the Python layer sleeps on besides the descriptors of a manager: a bell, a timer, and others that it owns.
#include <mutex>

#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/instances.hpp"
#include "host/timer.hpp"

namespace grantwheel::bindings {

namespace {

GilOrMutex ringing;  // over what all bells of Python's say of themselves

void ring_bell(Bell& bell) {
    const std::lock_guard lock(ringing);
    bell.ring();
}

void clear_bell(Bell& bell) {
    const std::lock_guard lock(ringing);
    bell.clear();
}

void set_timer(const Timer& timer, const py::object& ms) {
    if (ms.is_none()) return timer.stop();
    timer.set(to_instant(ms, "ms"));
}

}  // namespace

void bind_sleeping(py::module_& module) {
    bind_class<Bell>(module, "Bell",
                     "A descriptor that is readable from `ring` on, until `clear`. Mute in the child of a fork.")
        .def(py::init([] { return std::make_unique<Bell>(); }))
        .def("ring", &ring_bell, "Make it readable.")
        .def("clear", &clear_bell, "Make it unreadable.")
        .def("fileno", &Bell::descriptor, "Return the descriptor. It belongs to the bell.");
    bind_class<Timer>(
        module, "Timer",
        "A descriptor that is readable some time from now on, time in suspend included. Mute in the child of\n"
        "a fork.")
        .def(py::init([] { return std::make_unique<Timer>(); }))
        .def("set", &set_timer, py::arg("ms"), py::pos_only(),
             "Make it readable after so many milliseconds, 0..2^62, and not before; None: never.")
        .def("clear", &Timer::clear, "Make it unreadable, until the time set last has passed if it has not yet.")
        .def("fileno", &Timer::descriptor, "Return the descriptor. It belongs to the timer.");
}

}  // namespace grantwheel::bindings
