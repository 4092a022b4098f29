// When what is to be done next, again and again. Python's `_core.Schedule`: each of its calls is done in one go, so that
// no signal handler, finaliser or other thread finds it half done.
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/instances.hpp"
#include "host/timer.hpp"

namespace grantwheel::bindings {

namespace {

// Objects with the instants at which they are due. It does not keep them alive, and runs no Python while it changes.
// One that goes is forgotten by no code that could be interrupted.
class Schedule {
public:
    Schedule() : forget_(py::cpp_function([this](const py::handle reference) { forget(reference); })) {}

    // For who sleeps until one is due: goes off at once when one goes, as nobody may have to be waited for any more.
    [[nodiscard]] const py::object& timer() {
        if (!timer_) {
            py::object made = py::type::of<Timer>()();
            // cppcheck-suppress identicalInnerCondition ; a finaliser may have been faster
            if (!timer_) timer_ = std::move(made);
        }
        return timer_;
    }

    // Due at an instant, and then each time that an interval has passed. Replaces what was said of it before.
    void add(const py::object& one, Instant due, Instant interval) {
        const py::weakref reference(one, forget_);
        discard(one);
        const Key key{due, ++last_serial_};
        entries_.emplace(key, Entry{one.ptr(), reference, interval});
        try {
            keys_[one.ptr()] = key;
            keys_[reference.ptr()] = key;
        } catch (...) {
            keys_.erase(one.ptr());
            entries_.erase(key);
            throw;
        }
    }

    void discard(const py::object& one) {
        const auto place = keys_.find(one.ptr());
        if (place != keys_.end()) drop(entries_.find(place->second));
    }

    // One that is due, which is then due again an interval after `now`; None when there is none.
    py::object take(Instant now) {
        while (!entries_.empty() && entries_.begin()->first.first <= now) {
            const auto first = entries_.begin();
            py::object one = living(first->second);
            if (!one) {
                drop(first);
                continue;
            }
            auto node = entries_.extract(first);
            node.key() = {now + node.mapped().interval, ++last_serial_};
            keys_.at(one.ptr()) = keys_.at(node.mapped().reference.ptr()) = node.key();
            entries_.insert(std::move(node));
            return one;
        }
        return py::none();
    }

    // When the first one is due; None when there is none.
    py::object next() {
        while (!entries_.empty()) {
            const auto first = entries_.begin();
            if (living(first->second)) return py::int_(first->first.first);
            drop(first);
        }
        return py::none();
    }

    // All of them.
    [[nodiscard]] py::list all() const {
        std::vector<py::object> found;  // before there is a list, for which garbage may be collected
        for (const auto& [key, entry] : entries_) {
            if (py::object one = living(entry)) found.push_back(std::move(one));
        }
        return take_list(found);
    }

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    using Key = std::pair<Instant, std::uint64_t>;  // due, then in the order in which they were added
    struct Entry {
        PyObject* address;
        py::object reference;  // weak
        Instant interval;
    };
    using Entries = std::map<Key, Entry>;

    [[nodiscard]] static py::object living(const Entry& entry) {
        const auto one = py::reinterpret_steal<py::object>(PyObject_CallNoArgs(entry.reference.ptr()));
        return one.is_none() ? py::object() : one;
    }
    void drop(Entries::iterator place) {
        const Entry entry = place->second;  // whose reference goes when nothing is half done any more
        keys_.erase(entry.address);
        keys_.erase(entry.reference.ptr());
        entries_.erase(place);
    }
    // What Python calls when an object of a reference goes.
    void forget(const py::handle reference) {
        const auto place = keys_.find(reference.ptr());
        if (place == keys_.end()) return;
        drop(entries_.find(place->second));
        if (timer_) value_of<Timer>(timer_.ptr())->set(0);
    }

    Entries entries_;
    std::map<PyObject*, Key> keys_;  // of an object, and of the reference to it
    py::object forget_;
    py::object timer_;  // null until somebody sleeps
    std::uint64_t last_serial_ = 0;
};

}  // namespace

void bind_schedules(py::module_& module) {
    bind_class<Schedule>(module, "Schedule", "Objects and when each is due, again and again. Keeps none of them alive.")
        .def(py::init([] { return std::make_unique<Schedule>(); }))
        .def(
            "add",
            [](Schedule& schedule, const py::object& one, const py::object& due_ms, const py::object& interval_ms) {
                schedule.add(one, to_instant(due_ms, "due_ms"), to_instant(interval_ms, "interval_ms"));
            },
            py::arg("one"), py::arg("due_ms"), py::arg("interval_ms"), py::pos_only(),
            "Have something due at an instant, and each time that an interval has passed since it was taken.")
        .def("discard", &Schedule::discard, py::arg("one"), py::pos_only(), "Forget something, if it is known.")
        .def("timer", &Schedule::timer,
             "Return the timer for who sleeps until one is due: it goes off when one goes that was not discarded.")
        .def(
            "take",
            [](Schedule& schedule, const py::object& now_ms) { return schedule.take(to_instant(now_ms, "now_ms")); },
            py::arg("now_ms"), py::pos_only(),
            "Return one that is due, which is put off by its interval; None for none.")
        .def("next", &Schedule::next, "Return when the first one is due, in ms; None for none.")
        .def("all", &Schedule::all, "Return a list of all that are alive.")
        .def("__len__", &Schedule::size);
}

}  // namespace grantwheel::bindings
