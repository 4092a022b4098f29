#include <pybind11/stl.h>

#include <array>
#include <vector>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/event_lists.hpp"
#include "bindings/instances.hpp"
#include "host/cursor.hpp"

namespace grantwheel::bindings {

namespace {

// The events of a manager that may be shown, under its lock: those of its engine, or what it has left.
class Ring {
public:
    explicit Ring(const Shell& shell) noexcept
        : remains_(shell.remains()),
          engine_(remains_ == nullptr ? &shell.engine() : nullptr),
          last_(remains_ == nullptr ? shell.settled_sequence() : remains_->last()) {}

    [[nodiscard]] bool is_closed() const noexcept { return remains_ != nullptr; }
    [[nodiscard]] std::uint64_t first() const noexcept {
        return is_closed() ? remains_->first() : engine_->first_sequence();
    }
    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
    // Pre: there are as many after this one, which was not overwritten.
    void read(std::uint64_t after, std::span<Event> out) const noexcept {
        if (!is_closed()) {
            engine_->read(after, out);
            return;
        }
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = remains_->at(after + 1 + i);
    }

private:
    const Remains* remains_;
    const Engine* engine_;
    std::uint64_t last_;
};

// What one read of the ring is to give.
struct Range {
    std::uint64_t after;       // the events that come after this one
    std::size_t count;         // so many
    std::uint64_t missed = 0;  // and so many were overwritten before them

    // The events after `after` as far as `until`, at most `limit`.
    Range(const Ring& ring, std::uint64_t after_event, std::size_t limit, std::uint64_t until) : after(after_event) {
        const std::uint64_t last = std::min(ring.last(), until);
        if (after < last && after + 1 < ring.first()) {
            missed = std::min(ring.first() - 1, last) - after;
            after += missed;
        }
        count = after < last ? std::min(std::size_t{last - after}, limit) : 0;
    }
    // The number of the last event that the reader has dealt with then.
    [[nodiscard]] std::uint64_t end() const noexcept { return after + count; }
};

// Hands the events of a range to `take` until it says no. Returns the number of the last one that it had.
template <typename Take>
std::uint64_t for_each_event(const Ring& ring, const Range& range, Take&& take) {
    std::array<Event, 128> chunk;
    for (std::size_t done = 0; done < range.count;) {
        const std::span part(chunk.data(), std::min(range.count - done, chunk.size()));
        ring.read(range.after + done, part);
        done += part.size();
        for (const Event& event : part) {
            if (!take(event)) return event.sequence;
        }
    }
    return range.end();
}

// (events, how many were missed before them, after which event to go on)
template <typename Events>
py::tuple read(Shell& shell, std::uint64_t after, const py::object& limit, std::uint64_t until) {
    const std::size_t most = to_limit(limit.ptr(), "limit");
    Events events;
    const Range range = [&] {
        const auto locked = shell.lock();
        const Ring ring(shell);
        const Range wanted(ring, after, most, until);
        events.reserve(wanted.count);
        for_each_event(ring, wanted, [&](const Event& event) {
            events.add(event);
            return true;
        });
        return wanted;
    }();
    return py::make_tuple(list_of(events), range.missed, range.end());
}

std::uint64_t last_sequence(Shell& shell) { return shell.lock().manager.engine().last_sequence(); }

// So many events are looked at under one lock: a reader that wants few of many keeps nobody waiting.
constexpr std::size_t slice = 4096;

// What a reading adds to the numbers, once it is certain that the reader has its events.
struct Reading {
    std::uint64_t missed = 0;
    Histogram delivered{};
};

// Lets the cursor's bell tell what there is to read. That of a closed manager is rung for good.
void keep_bell(Shell& shell, const Cursor& cursor, bool events_wait) {
    if (cursor.bell && shell.remains() == nullptr) {
        shell.waker().keep(cursor.bell, events_wait, cursor.has_seen_all());
    }
}

// Reads one slice. Returns whether there may be more of it. A gap comes before all events of a list.
template <typename Events>
bool read_slice(Shell& shell, Cursor& cursor, Events& events, std::size_t most, bool is_delivery, Reading& reading) {
    const Shell::Guard lock(shell);
    const Ring ring(shell);
    const Range range(ring, cursor.after, slice, cursor.until);
    if (range.missed > 0 && events.size() > 0) return false;
    cursor.missed += range.missed;
    reading.missed += range.missed;
    const Instant now = is_delivery ? shell.instant_without_asking() : no_deadline;
    const std::size_t room = most - events.size();
    events.reserve(events.size() + std::min(range.count, room));
    if (room > 0) {
        cursor.after = for_each_event(ring, range, [&](const Event& event) {
            if (cursor.filter.wants(event)) {
                events.add(event);
                if (now != no_deadline) reading.delivered.note(event.time, now);
            }
            return events.size() < most;
        });
    }
    const bool events_wait = cursor.pending(ring.last()) > 0;
    if (cursor.bell && cursor.bell->is_rung() != events_wait) keep_bell(shell, cursor, events_wait);
    return events_wait && events.size() < most;
}

// Where a reader stands.
struct Stand {
    std::uint64_t after;
    std::uint64_t missed;
};

// Refusal when the manager is closed and has left this reader nothing.
Stand begin_reading(Shell& shell, const Cursor& cursor) {
    const Shell::Guard lock(shell);
    const Remains* const remains = shell.remains();
    if (remains != nullptr && cursor.pending(remains->last()) == 0) throw Refusal(Status::not_connected);
    return {cursor.after, cursor.missed};
}

template <typename Events>
py::object follow(Cursor& cursor, Shell& shell, const py::object& limit, bool is_delivery) {
    const std::size_t most = to_limit(limit.ptr(), "limit");
    const Stand stand = begin_reading(shell, cursor);
    Events events;
    try {
        Reading reading;
        while (read_slice(shell, cursor, events, most, is_delivery, reading)) {
        }
        py::object list = list_of(events);
        const Shell::Guard lock(shell);
        cursor.lateness.add(reading.delivered.lateness);
        shell.tally().delivered.add(reading.delivered);
        shell.tally().missed += reading.missed;
        return list;
    } catch (...) {
        // There was no memory for them: they are still to be read.
        const Shell::Guard lock(shell);
        cursor.after = stand.after;
        cursor.missed = stand.missed;
        keep_bell(shell, cursor, true);
        throw;
    }
}

std::unique_ptr<Cursor> make_cursor(Shell& shell, std::uint32_t kinds, std::optional<std::vector<std::uint32_t>> uids) {
    if (uids) std::sort(uids->begin(), uids->end());
    const auto locked = shell.lock();  // first of all: what the readers of a parent share is not to be touched
    auto cursor = std::make_unique<Cursor>(shell.readers());
    cursor->filter = {kinds, std::move(uids)};
    cursor->after = locked.manager.engine().last_sequence();
    return cursor;
}

std::uint64_t pending(const Cursor& cursor, Shell& shell) {
    const Shell::Guard lock(shell);
    return cursor.pending(Ring(shell).last());
}

// The number of the last event that there is for the cursor now.
std::uint64_t last(const Cursor& cursor, Shell& shell) {
    const Shell::Guard lock(shell);
    return std::min(cursor.until, Ring(shell).last());
}

// The descriptor of the cursor's bell, which hangs from the first call on.
int bell_descriptor(Cursor& cursor, Shell& shell) {
    const Shell::Guard lock(shell);
    if (!cursor.bell) {
        if (shell.remains() != nullptr) throw Refusal(Status::not_connected);
        auto bell = std::make_shared<Bell>();
        shell.waker().keep(bell, cursor.pending(shell.settled_sequence()) > 0, cursor.has_seen_all());
        cursor.bell = std::move(bell);  // it hangs
    }
    return cursor.bell->descriptor();
}

// Lets nothing be seen that comes from now on; what has happened and may not be shown yet has come. What it ends with, and
// what the bell tells of that, is one step. Nothing happens when it has ended.
void end_reading(Cursor& cursor, Shell& shell) {
    const Shell::Guard lock(shell);
    if (cursor.until != UINT64_MAX) return;
    const Remains* const remains = shell.remains();
    cursor.until = remains != nullptr ? remains->last() : shell.engine().last_sequence();
    keep_bell(shell, cursor, true);
}

py::tuple lateness(const Cursor& cursor, Shell& shell) {
    const Lateness found = [&] {
        const Shell::Guard lock(shell);
        return cursor.lateness;
    }();
    return py::make_tuple(found.last, found.most, py::tuple(py::cast(found.counts)));
}

void hand_over(Cursor& cursor, Shell& shell, std::uint64_t event_time) {
    const Shell::Guard lock(shell);
    const Instant now = shell.instant_without_asking();
    if (now == no_deadline) return;
    cursor.lateness.note(event_time, now);
    shell.tally().delivered.note(event_time, now);
}

void bind_cursor(py::module_& module) {
    bind_class<Cursor>(module, "Cursor",
                       "The place of one reader in the events of one manager: what a Subscription is made of.")
        .def(py::init(&make_cursor), py::arg("manager"), py::arg("kinds"), py::arg("uids"))
        .def_property_readonly(
            "after", [](const Cursor& cursor) { return cursor.after.load(); },
            "The number of the last event that was dealt with.")
        .def_property_readonly(
            "missed", [](const Cursor& cursor) { return cursor.missed.load(); },
            "How many were overwritten before they were read.")
        .def("lateness", &lateness, py::arg("manager"),
             "Return (of the last event, the longest, counts by powers of two), in ms.")
        .def("read", &follow<OwnedEvents>, py::arg("manager"), py::arg("limit"), py::arg("is_delivery") = true,
             "Return the next events.")
        .def("read_columns", &follow<ColumnsOfEvents>, py::arg("manager"), py::arg("limit"),
             py::arg("is_delivery") = true, "Return the same as EventColumns.")
        .def("pending", &pending, py::arg("manager"), "Return how many events have not been dealt with.")
        .def("last", &last, py::arg("manager"), "Return the number of the last event that there is to read.")
        .def("end", &end_reading, py::arg("manager"),
             "Let nothing be read that comes from now on, and wake whoever waits for events, once.")
        .def("hand_over", &hand_over, py::arg("manager"), py::arg("event_time"), "Count how late an event is now.")
        .def("fileno", &bell_descriptor, py::arg("manager"), "Return a descriptor that is readable while events wait.");
}

}  // namespace

void bind_events(ManagerClass& bound, py::module_& module) {
    bind_cursor(module);
    bound
        .def("read", &read<OwnedEvents>, py::arg("after"), py::arg("limit") = py::none(), py::arg("until") = UINT64_MAX,
             "Return (events after a number and as far as another, how many were overwritten before them, after which\n"
             "number to go on). Any number of readers.")
        .def("read_columns", &read<ColumnsOfEvents>, py::arg("after"), py::arg("limit") = py::none(),
             py::arg("until") = UINT64_MAX, "Return the same as `read` with the events as EventColumns.")
        .def_property_readonly("last_sequence", &last_sequence, "The number of the newest event; 0 before the first.");
}

}  // namespace grantwheel::bindings
