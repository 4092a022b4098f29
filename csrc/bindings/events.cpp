#include <array>
#include <deque>
#include <string>
#include <vector>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

// What one read of the ring is to give.
struct Range {
    std::uint64_t after;       // the events that come after this one
    std::size_t count;         // so many
    std::uint64_t missed = 0;  // and so many were overwritten before them

    // The events after `after` as far as `until`, at most `limit`.
    Range(const Engine& engine, std::uint64_t after_event, std::size_t limit, std::uint64_t until)
        : after(after_event) {
        const std::uint64_t last = std::min(engine.last_sequence(), until);
        if (after < last && after + 1 < engine.first_sequence()) {
            missed = std::min(engine.first_sequence() - 1, last) - after;
            after += missed;
        }
        count = after < last ? std::min(std::size_t{last - after}, limit) : 0;
    }
    // The number of the last event that the reader has dealt with then.
    [[nodiscard]] std::uint64_t end() const noexcept { return after + count; }
};

// Events with copies of their bundles, which neighbours share when they are the same.
struct OwnedEvents {
    std::vector<Event> events;
    std::deque<std::string> bundles;

    void read(const Engine& engine, const Range& range) {
        events.resize(range.count);
        static_cast<void>(engine.read(range.after, events));
        for (Event& event : events) {
            if (event.bundle.empty()) continue;
            if (bundles.empty() || bundles.back() != event.bundle) bundles.emplace_back(event.bundle);
            event.bundle = bundles.back();
        }
    }
    [[nodiscard]] py::list list() const {
        py::list result;
        std::string_view previous;
        py::object bundle = make_text(previous);
        for (const Event& event : events) {
            if (event.bundle != previous) bundle = make_text(event.bundle);
            previous = event.bundle;
            result.append(make_event(event, bundle));
        }
        return result;
    }
};

// One field of many events, as memory that becomes a buffer of Python's.
template <typename T>
class Column {
public:
    void reserve(std::size_t count) { values_.reserve(count); }
    template <typename Value>
    void add(Value value) {
        values_.push_back(static_cast<T>(value));
    }
    // A memoryview of its own copy, with the format of `struct`.
    [[nodiscard]] py::object buffer(const char* format) const {
        const py::bytes bytes(reinterpret_cast<const char*>(values_.data()), values_.size() * sizeof(T));
        return py::memoryview(bytes).attr("cast")(format);
    }

private:
    std::vector<T> values_;
};

struct ColumnsOfEvents {
    Column<std::uint64_t> sequence, time;
    Column<std::uint8_t> kind, cause;
    Column<std::uint32_t> uid, pid;
    Column<std::uint16_t> mask;
    Column<std::int8_t> cpu_level;

    void read(const Engine& engine, const Range& range) {
        reserve(range.count);
        std::array<Event, 128> chunk;
        for (std::size_t done = 0; done < range.count;) {
            const std::span part(chunk.data(), std::min(range.count - done, chunk.size()));
            done += engine.read(range.after + done, part).count;
            for (const Event& event : part) add(event);
        }
    }
    [[nodiscard]] py::object list() const {
        return make_named(vocabulary().EventColumns,
                          {sequence.buffer("Q"), time.buffer("Q"), kind.buffer("B"), cause.buffer("B"), uid.buffer("I"),
                           pid.buffer("I"), mask.buffer("H"), cpu_level.buffer("b")});
    }

private:
    void reserve(std::size_t count) {
        sequence.reserve(count);
        time.reserve(count);
        kind.reserve(count);
        cause.reserve(count);
        uid.reserve(count);
        pid.reserve(count);
        mask.reserve(count);
        cpu_level.reserve(count);
    }
    void add(const Event& event) {
        sequence.add(event.sequence);
        time.add(event.time);
        kind.add(event.kind);
        cause.add(event.cause);
        uid.add(event.uid);
        pid.add(event.pid);
        mask.add(event.mask);
        cpu_level.add(event.cpu_level);
    }
};

// (events, how many were missed before them, after which event to go on)
template <typename Events>
py::tuple read(Shell& shell, std::uint64_t after, const py::object& limit, std::uint64_t until) {
    const std::size_t most = to_limit(limit.ptr(), "limit");
    Events events;
    const Range range = [&] {
        const auto locked = shell.lock();
        const Range wanted(locked.manager.engine(), after, most, until);
        events.read(locked.manager.engine(), wanted);
        return wanted;
    }();
    return py::make_tuple(events.list(), range.missed, range.end());
}

std::uint64_t last_sequence(Shell& shell) { return shell.lock().manager.engine().last_sequence(); }

}  // namespace

void bind_events(ManagerClass& bound) {
    bound
        .def("read", &read<OwnedEvents>, py::arg("after"), py::arg("limit") = py::none(), py::arg("until") = UINT64_MAX,
             "Return (events after a number and as far as another, how many were overwritten before them, after which\n"
             "number to go on). Any number of readers.")
        .def("read_columns", &read<ColumnsOfEvents>, py::arg("after"), py::arg("limit") = py::none(),
             py::arg("until") = UINT64_MAX, "Return the same as `read` with the events as EventColumns.")
        .def("last_sequence", &last_sequence, "Return the number of the newest event; 0 before the first.");
}

}  // namespace grantwheel::bindings
