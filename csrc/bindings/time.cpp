#include <algorithm>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "host/cursor.hpp"

namespace grantwheel::bindings {

namespace {

py::object instant_or_none(Instant at) {
    if (at == no_deadline) return py::none();
    return py::int_(at);
}

std::size_t advance(Shell& shell, const py::object& budget) {
    std::size_t left = to_limit(budget.ptr(), "budget");
    if (shell.has_log()) return shell.advance_on_record(left);
    std::size_t ended = 0;
    shell.in_slices([&](const Engine& engine, Instant now, auto&& end_some) {
        const std::uint64_t before = engine.last_sequence();
        const std::size_t part = std::min(left, Shell::slice);
        const AdvanceResult result = end_some(part);
        Event first;
        if (ended == 0 && result.ended > 0 && engine.read(before, {&first, 1}).count > 0) {
            shell.tally().advanced.note(first.time, now);
        }
        ended += result.ended;
        left -= part;
        return result.more && left > 0;
    });
    return ended;
}

py::object next_deadline(Shell& shell) {
    Instant deadline = no_deadline;
    bool is_found = false;
    if (!shell.has_log()) {
        shell.in_slices([&](Engine& engine, Instant, auto&& end_some) {
            if (end_some(Shell::slice).more) return true;
            is_found = engine.find_deadline(Shell::slice, deadline);
            return false;
        });
    }
    if (!is_found) deadline = shell.survey(Survey::What::next_deadline)->next_deadline();
    return instant_or_none(deadline);
}

// Whether what is staged has settled, within so many ms.
bool settle(Shell& shell, std::uint64_t timeout_ms) { return shell.settle(timeout_ms); }

// Whether all is in the log, within so many ms; None: however long it takes.
bool flush(Shell& shell, const py::object& timeout_ms) {
    if (timeout_ms.is_none()) return shell.flush(Gate::forever);
    const std::int64_t most = to_int64(timeout_ms.ptr(), "timeout_ms");
    if (most < 0) throw py::value_error("timeout_ms must not be below 0");
    return shell.flush(static_cast<std::uint64_t>(most));
}

// Whether the log takes no changes any more.
bool has_lost_log(Shell& shell) { return shell.has_lost_log(); }
bool is_behind(const Shell& shell) { return shell.is_behind(); }

// What has been changed by now is on record once that group is.
std::uint64_t last_group(Shell& shell) { return shell.last_group(); }
bool is_on_record(Shell& shell, std::uint64_t group) { return shell.is_on_record(group); }

py::object wake_at(Shell& shell) { return instant_or_none(shell.lock().manager.engine().wake_at()); }

int alarm_descriptor(Shell& shell) {
    const auto locked = shell.lock();
    return shell.waker_with_alarm().alarm_descriptor();
}

// The bell of the cursor hangs already.
int joint_descriptor(Shell& shell, const Cursor& cursor) {
    const auto locked = shell.lock();
    return shell.waker_with_alarm().joint_descriptor(*cursor.bell);
}

}  // namespace

void bind_time(ManagerClass& bound, py::module_& module) {
    module.def("alarm_fileno", &alarm_descriptor, py::arg("manager"), py::pos_only(),
               "Return a descriptor that is readable from the manager's `wake_at` on.");
    module.def("joint_fileno", &joint_descriptor, py::arg("manager"), py::arg("cursor"), py::pos_only(),
               "Return a descriptor that is readable when that of the alarm or of the cursor is.");
    module.def("settle", &settle, py::arg("manager"), py::arg("timeout_ms"), py::pos_only(),
               "Wait until the log has answered for all that is staged now; return whether it has.");
    module.def(
        "close_within", [](Shell& shell, std::uint64_t timeout_ms) { return shell.close(timeout_ms); },
        py::arg("manager"), py::arg("timeout_ms"), py::pos_only(),
        "Close the manager, with so long for its log to answer for what is staged; return whether it is not called any\n"
        "more.");
    module.def("has_lost_log", &has_lost_log, py::arg("manager"), py::pos_only(),
               "Return whether the log of the manager takes no changes any more.");
    module.def("is_behind", &is_behind, py::arg("manager"), py::pos_only(),
               "Return whether what is changed gets into the log only afterwards: with durability 'batch'.");
    module.def("last_group", &last_group, py::arg("manager"), py::pos_only(),
               "Return the number of the group that has the last change so far; of a closed manager too.");
    module.def("is_on_record", &is_on_record, py::arg("manager"), py::arg("group"), py::pos_only(),
               "Return whether the log has a group by now; of a closed manager too.");
    bound
        .def("flush", counting<&flush>, py::arg("timeout_ms") = py::none(),
             "Wait until all that has been changed so far is in the log. Without a log it returns at once.\n\n"
             "With durability 'batch' it is appended at once. With 'commit' each change waits by itself; this waits\n"
             "for those of other threads.\n\n"
             "Parameters\n----------\ntimeout_ms : int\n    Wait so long at most. Default: as long as it takes.\n\n"
             "Returns\n-------\nbool\n    Whether it is; False when the time was up.\n\n"
             "Raises\n------\nBusinessError\n"
             "    9800003: the log has failed meanwhile, and is tried again; or it takes nothing any more.\n"
             "    9800004: closed.\n"
             "ValueError\n    timeout_ms is below 0.\n"
             "RuntimeError\n    It is called by the log.")
        .def(
            "advance", &advance, py::arg("budget") = py::none(),
            "End every grant whose deadline has come, and say so in events.\n\n"
            "Answers never depend on it: what is due is gone for every reader at once. It delivers the events and frees\n"
            "the memory.\n\n"
            "Parameters\n----------\n"
            "budget : int\n    At most so many records are ended, re-armed or moved; what is left is for the next call.\n"
            "    Default: no bound.\n\n"
            "Returns\n-------\nint\n    The number of grants ended.")
        .def(
            "next_deadline", &next_deadline,
            "Return the earliest deadline of all grants held now, exactly, in ms of the clock; None when none is timed.\n\n"
            "Advances first.")
        .def_property_readonly(
            "wake_at", &wake_at,
            "An instant not later than the next deadline, in ms of the clock; None when no grant is timed.\n\n"
            "A driver may sleep until then. Cheap, and not exact; already past when something waits for `advance`.");
}

}  // namespace grantwheel::bindings
