// When what is to be done next, again and again. Python's `_core.Schedule`: each of its calls is done in one go, so that
// no signal handler, finaliser or other thread finds it half done.
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/instances.hpp"
#include "host/timer.hpp"

namespace grantwheel::bindings {

namespace {

// Objects with the instants at which they are due. It does not keep them alive, and runs no Python while it changes.
class Table {
public:
    // `forget` is called with a reference when its object goes: it is to call that of this table.
    void begin(py::object forget) { forget_ = std::move(forget); }

    [[nodiscard]] py::object timer() {
        if (py::object there = made_timer()) return there;
        const py::object made = py::type::of<Timer>()();
        const std::lock_guard lock(mutex_);
        if (!timer_) timer_ = made;  // a finaliser or another thread may have been faster
        return timer_;
    }

    void add(const py::object& one, Instant due, Instant interval) {
        const py::weakref reference(one, forget_);
        Entry before;  // goes when nothing is half done any more
        const std::lock_guard lock(mutex_);
        if (const auto place = keys_.find(one.ptr()); place != keys_.end()) before = take_out(place->second);
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
        Entry gone;
        const std::lock_guard lock(mutex_);
        if (const auto place = keys_.find(one.ptr()); place != keys_.end()) gone = take_out(place->second);
    }

    py::object take(Instant now) {
        for (;;) {
            Entry gone;
            const std::lock_guard lock(mutex_);
            const auto first = entries_.begin();
            if (first == entries_.end() || first->first.first > now) return py::none();
            if (py::object one = living(first->second)) {
                auto node = entries_.extract(first);
                node.key() = {now + node.mapped().interval, ++last_serial_};
                keys_.at(one.ptr()) = keys_.at(node.mapped().reference.ptr()) = node.key();
                entries_.insert(std::move(node));
                return one;
            }
            gone = take_out(first->first);
        }
    }

    py::object next() {
        for (;;) {
            Entry gone;
            py::object one;
            Instant due = 0;
            {
                const std::lock_guard lock(mutex_);
                const auto first = entries_.begin();
                if (first == entries_.end()) return py::none();
                due = first->first.first;
                one = living(first->second);
                if (!one) gone = take_out(first->first);
            }
            if (one) return py::int_(due);
        }
    }

    [[nodiscard]] py::list all() const {
        std::vector<py::object> found;  // before there is a list, for which garbage may be collected
        {
            const std::lock_guard lock(mutex_);
            found.reserve(entries_.size());
            for (const auto& [key, entry] : entries_) {
                if (py::object one = living(entry)) found.push_back(std::move(one));
            }
        }
        return take_list(found);
    }

    [[nodiscard]] std::size_t size() const noexcept {
        const std::lock_guard lock(mutex_);
        return entries_.size();
    }

    // The object of a reference goes.
    void forget(const py::handle reference) {
        Entry gone;
        {
            const std::lock_guard lock(mutex_);
            const auto place = keys_.find(reference.ptr());
            if (place == keys_.end()) return;
            gone = take_out(place->second);
        }
        if (const py::object timer = made_timer()) value_of<Timer>(timer.ptr())->set(0);
    }

private:
    using Key = std::pair<Instant, std::uint64_t>;  // due, then in the order in which they were added
    struct Entry {
        PyObject* address = nullptr;
        py::object reference{};  // weak
        Instant interval = 0;
    };

    // Runs no Python.
    [[nodiscard]] static py::object living(const Entry& entry) {
        auto one = py::reinterpret_steal<py::object>(PyObject_CallNoArgs(entry.reference.ptr()));
        return one.is_none() ? py::object() : one;
    }
    [[nodiscard]] py::object made_timer() const {
        const std::lock_guard lock(mutex_);
        return timer_;
    }
    // Whoever has the entry lets it go without the mutex.
    [[nodiscard]] Entry take_out(const Key key) {
        const auto place = entries_.find(key);
        Entry entry = std::move(place->second);
        keys_.erase(entry.address);
        keys_.erase(entry.reference.ptr());
        entries_.erase(place);
        return entry;
    }

    py::object forget_;
    mutable GilOrMutex mutex_;  // over what follows
    std::map<Key, Entry> entries_;
    std::map<PyObject*, Key> keys_;  // of an object, and of the reference to it
    py::object timer_;               // null until somebody sleeps
    std::uint64_t last_serial_ = 0;
};

// What Python has. One that goes is forgotten by no code that could be interrupted; it may do so when the schedule has
// just gone.
class Schedule {
public:
    Schedule() {
        table_->begin(py::cpp_function([known = std::weak_ptr(table_)](const py::handle reference) {
            if (const auto table = known.lock()) table->forget(reference);
        }));
    }

    // For who sleeps until one is due: goes off at once when one goes, as nobody may have to be waited for any more.
    [[nodiscard]] py::object timer() { return table_->timer(); }
    // Due at an instant, and then each time that an interval has passed. Replaces what was said of it before.
    void add(const py::object& one, Instant due, Instant interval) { table_->add(one, due, interval); }
    void discard(const py::object& one) { table_->discard(one); }
    // One that is due, which is then due again an interval after `now`; None when there is none.
    py::object take(Instant now) { return table_->take(now); }
    // When the first one is due; None when there is none.
    py::object next() { return table_->next(); }
    // All of them.
    [[nodiscard]] py::list all() const { return table_->all(); }
    [[nodiscard]] std::size_t size() const noexcept { return table_->size(); }

private:
    std::shared_ptr<Table> table_ = std::make_shared<Table>();
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
