#include "bindings/clocks.hpp"

#include <sys/timerfd.h>

#include <type_traits>

#include "bindings/gil.hpp"
#include "bindings/instances.hpp"

namespace grantwheel::bindings {

Instant to_instant(py::handle value, const char* name) {
    if (!PyLong_Check(value.ptr()) || PyBool_Check(value.ptr()))
        throw py::type_error(std::string(name) + " must be an int");
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow != 0 || number < 0 || static_cast<Instant>(number) > max_now) {
        throw py::value_error(std::string(name) + " must be within 0..2^62");
    }
    return static_cast<Instant>(number);
}

namespace {

// An alarm on a clock of the kernel's, whose instants are by that much more or less than the kernel's.
class KernelAlarm final : public Alarm {
public:
    explicit KernelAlarm(clockid_t clock, std::int64_t offset_ms = 0)
        : offset_ms_(offset_ms), descriptor_(::timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK)) {}

    void set(Instant at) noexcept override {
        itimerspec when{};  // all zero: never
        if (at != no_deadline) {
            const auto kernels = static_cast<std::int64_t>(at) - offset_ms_;
            at = kernels < 0 ? 0 : static_cast<Instant>(kernels);
            when.it_value.tv_sec = static_cast<time_t>(at / 1000);
            when.it_value.tv_nsec = at == 0 ? 1 : static_cast<long>(at % 1000) * 1'000'000;
        }
        static_cast<void>(::timerfd_settime(descriptor_.number(), TFD_TIMER_ABSTIME, &when, nullptr));
    }
    [[nodiscard]] int descriptor() const noexcept override { return descriptor_.number(); }

private:
    const std::int64_t offset_ms_;
    Descriptor descriptor_;
};

}  // namespace

// An alarm that the clock itself sets off.
class ManualClock::OwnAlarm final : public Alarm {
public:
    explicit OwnAlarm(const ManualClock& clock) : clock_(clock), alarms_(clock.alarms_) {}

    void set(Instant at) noexcept override {
        const std::lock_guard lock(alarms_->mutex);
        at_ = at;
        look();
    }
    [[nodiscard]] int descriptor() const noexcept override { return bell_.descriptor(); }

    // Under the lock of the alarms.
    void look() noexcept {
        if (clock_.now() >= at_) {
            bell_.ring();
        } else {
            bell_.clear();
        }
    }

private:
    const ManualClock& clock_;
    std::shared_ptr<Alarms> alarms_;
    Bell bell_;
    Instant at_ = no_deadline;
};

ManualClock::~ManualClock() {
    if (!alarms_->home.is_here()) static_cast<void>(new std::shared_ptr<Alarms>(std::move(alarms_)));  // kept for ever
}

ManualClock::Alarms& ManualClock::alarms() const {
    const std::lock_guard lock(replacing_);
    if (!alarms_->home.is_here()) {
        auto own = std::make_shared<Alarms>();
        static_cast<void>(new std::shared_ptr<Alarms>(std::exchange(alarms_, std::move(own))));  // kept for ever
    }
    return *alarms_;
}

void ManualClock::set(Instant now) {
    Alarms& own = alarms();
    const std::lock_guard lock(own.mutex);
    show(own, now);
}

bool ManualClock::advance(Instant length) {
    Alarms& own = alarms();
    const std::lock_guard lock(own.mutex);
    if (length > max_now - this->now()) return false;
    show(own, this->now() + length);
    return true;
}

void ManualClock::show(const Alarms& own, Instant now) {
    now_.store(now, std::memory_order_relaxed);
    for (const std::weak_ptr<OwnAlarm>& one : own.all) {
        if (const auto alarm = one.lock()) alarm->look();
    }
}

std::shared_ptr<Alarm> ManualClock::make_alarm() const {
    Alarms& own = alarms();
    const auto alarm = std::make_shared<OwnAlarm>(*this);
    const std::lock_guard lock(own.mutex);
    std::erase_if(own.all, [](const std::weak_ptr<OwnAlarm>& one) { return one.expired(); });
    own.all.emplace_back(alarm);
    return alarm;
}

ClockReader::ClockReader(py::object clock) : clock_(std::move(clock)) {
    if (py::isinstance<ManualClock>(clock_)) {
        kind_ = Kind::manual;
        manual_ = clock_.cast<const ManualClock*>();
    } else if (py::isinstance<BootClock>(clock_)) {
        boot_ = clock_.cast<const BootClock&>();  // made by `__new__` alone it is no clock
        kind_ = Kind::boot;
    } else if (py::isinstance<MonotonicClock>(clock_)) {
        static_cast<void>(clock_.cast<const MonotonicClock&>());
        kind_ = Kind::monotonic;
    } else if (!py::hasattr(clock_, "now") || PyCallable_Check(clock_.attr("now").ptr()) == 0) {
        throw py::type_error("clock must have a method now() that returns milliseconds as an int");
    }
}

Instant ClockReader::ask() const { return to_instant(call_method(clock_, "now"), "now of the clock"); }

std::shared_ptr<Alarm> ClockReader::make_alarm() const {
    switch (kind_) {
        case Kind::boot: return std::make_shared<KernelAlarm>(CLOCK_BOOTTIME, boot_.offset_ms);
        case Kind::monotonic: return std::make_shared<KernelAlarm>(CLOCK_MONOTONIC);
        case Kind::manual: return manual_->make_alarm();
        case Kind::python: break;
    }
    throw py::value_error("a manager on a clock of type " +
                          std::string(py::str(py::type::of(clock_).attr("__name__"))) +
                          " cannot be slept on: use BootClock, MonotonicClock or ManualClock, or drive it by hand");
}

namespace {

// A length of time as ms: an int, or a timedelta.
Instant to_length(const py::object& given) {
    if (PyLong_Check(given.ptr()) != 0) return to_instant(given, "ms");
    return to_instant(py::module_::import("grantwheel._times").attr("to_ms")(given, "ms"), "ms");
}

std::int64_t to_offset(const py::object& given) {
    if (PyLong_Check(given.ptr()) == 0 || PyBool_Check(given.ptr()) != 0)
        throw py::type_error("offset_ms must be an int");
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(given.ptr(), &overflow);
    constexpr auto most = static_cast<long long>(max_now);
    if (overflow != 0 || number < -most || number > most) throw py::value_error("offset_ms must be within -2^62..2^62");
    return number;
}

// How it is made, or what it shows; of one that `__new__` alone has made its class.
template <typename Clock>
py::str represent(const py::object& clock) {
    const py::object name = py::type::of(clock).attr("__name__");
    const Clock* const value = value_of<Clock>(clock.ptr());
    if (value == nullptr) return py::str("<{} without a value>").format(name);
    if constexpr (std::is_same_v<Clock, ManualClock>) return py::str("{}({})").format(name, value->now());
    if constexpr (std::is_same_v<Clock, BootClock>) {
        if (value->offset_ms != 0) return py::str("{}(offset_ms={})").format(name, value->offset_ms);
    }
    return py::str("{}()").format(name);
}

}  // namespace

void bind_clocks(py::module_& module) {
    bind_class<BootClock>(
        module, "BootClock",
        "Milliseconds since boot, time in suspend included.\n\n"
        "Parameters\n----------\noffset_ms : int\n    By how much it shows more, -2^62..2^62: for what goes on "
        "since an earlier boot.\n    It never shows less than 0.")
        .def(py::init(
                 [](const py::object& offset) { return std::make_unique<BootClock>(BootClock{to_offset(offset)}); }),
             py::arg("offset_ms") = 0)
        .def("__repr__", &represent<BootClock>)
        .def_readonly("offset_ms", &BootClock::offset_ms, "By how much it shows more than the time since boot.")
        .def("now", &BootClock::now, "Return the milliseconds since boot, with the offset.");
    bind_class<MonotonicClock>(module, "MonotonicClock", "Milliseconds since boot, time in suspend left out.")
        .def(py::init([] { return std::make_unique<MonotonicClock>(); }))
        .def("__repr__", &represent<MonotonicClock>)
        .def("now", [](const MonotonicClock&) { return monotonic_now(); }, "Return the milliseconds since boot.");
    bind_class<ManualClock>(module, "ManualClock",
                            "A clock that stands still until it is told: virtual time for tests and simulations.\n\n"
                            "Parameters\n----------\nstart_ms : int\n    Where it starts, 0..2^62.")
        .def(py::init(
                 [](const py::object& start) { return std::make_unique<ManualClock>(to_instant(start, "start_ms")); }),
             py::arg("start_ms") = 0)
        .def("__repr__", &represent<ManualClock>)
        .def("now", &ManualClock::now, "Return the milliseconds that it shows.")
        .def(
            "set", [](ManualClock& clock, const py::object& ms) { clock.set(to_instant(ms, "ms")); }, py::arg("ms"),
            "Show this instant, 0..2^62. Backwards is possible; a manager refuses it with ValueError.")
        .def(
            "advance",
            [](ManualClock& clock, const py::object& ms) {
                if (!clock.advance(to_length(ms))) throw py::value_error("ms must not lead beyond 2^62");
            },
            py::arg("ms"), "Go on by this many milliseconds, at least 0, or by a timedelta of whole ones.");
}

}  // namespace grantwheel::bindings
