// What the Python layer sleeps on besides the descriptors of a manager: a bell, a timer, and others that it owns.
#include <sys/timerfd.h>
#include <unistd.h>

#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/instances.hpp"
#include "bindings/waker.hpp"

namespace grantwheel::bindings {

namespace {

// A descriptor that is readable some time from now on. Time in suspend counts. Mute in the child of a fork.
class Timer {
public:
    Timer() : descriptor_(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {}

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

void set_timer(const Timer& timer, const py::object& ms) {
    if (ms.is_none()) return timer.stop();
    timer.set(to_instant(ms, "ms"));
}

}  // namespace

void bind_sleeping(py::module_& module) {
    bind_class<Descriptor>(module, "Descriptor",
                           "A descriptor that is closed with this object, by no code that could be interrupted.")
        .def(py::init([](int number) { return std::make_unique<Descriptor>(number); }), py::arg("number"),
             py::pos_only())
        .def("fileno", &Descriptor::number, "Return the descriptor.");
    bind_class<Bell>(module, "Bell",
                     "A descriptor that is readable from `ring` on, until `clear`. Mute in the child of a fork.")
        .def(py::init([] { return std::make_unique<Bell>(); }))
        .def("ring", &Bell::ring, "Make it readable.")
        .def("clear", &Bell::clear, "Make it unreadable.")
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
