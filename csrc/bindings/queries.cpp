#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "bindings/answers.hpp"
#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/listing.hpp"
#include "bindings/listing_columns.hpp"
#include "bindings/views.hpp"

namespace grantwheel::bindings {

namespace {

py::object find(Shell& shell, Owner owner) {
    OwnedViews views;
    {
        const auto session = shell.begin_reading(owner);
        views.add(session.manager.engine(), owner, session.now);
    }
    if (views.records().empty()) return py::none();
    return make_record(views.records().front(), views.now());
}

py::object find_app(Shell& shell, const py::object& uid) {
    return find(shell, {OwnerKind::app, to_key(uid, "uid", max_uid)});
}
py::object find_process(Shell& shell, const py::object& pid) {
    return find(shell, {OwnerKind::process, to_key(pid, "pid", max_pid)});
}

// The owner of a Record.
Owner owner_of(const py::object& record) {
    const Vocabulary& words = vocabulary();
    if (!py::isinstance(record, words.Record)) throw py::type_error("after must be a Record or None");
    const bool is_app = py::object(record.attr("kind")).equal(words.owner_kinds[0]);
    if (is_app) return {OwnerKind::app, to_key(record.attr("uid"), "uid", max_uid)};
    return {OwnerKind::process, to_key(record.attr("pid"), "pid", max_pid)};
}

PyObject* records(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return fast_call(self, [&](Shell& shell) {
        static constinit Parameters<2, 0, 2> parameters("records", {"after", "limit"});
        const auto [after, limit] = parameters.read(arguments, count, keywords);
        const std::size_t most = limit == nullptr ? SIZE_MAX : to_limit(limit, "limit");
        std::optional<Owner> owner;
        if (after != nullptr && after != Py_None) owner = owner_of(py::reinterpret_borrow<py::object>(after));
        Listing listing(type::ALL, owner, most);
        listing.find(shell);
        py::list result;
        for (;;) {
            const OwnedViews page = listing.next_page(shell);
            if (page.records().empty()) return result;
            for (const RecordView& view : page.records()) result.append(make_record(view, page.now()));
        }
    });
}

PyMethodDef records_definition = {
    "records", as_c_function(records), METH_FASTCALL | METH_KEYWORDS,
    "records($self, after=None, limit=None)\n--\n\n"
    "Return every record: apps by ascending uid, then processes by ascending pid. Advances first.\n\n"
    "Up to 1024 records are of one instant. More are read in pages, between which others may call.\n\n"
    "Parameters\n----------\n"
    "after : Record\n    Start after this one: the last of the page before. Default: from the start.\n"
    "limit : int\n    At most so many. Default: all.\n\n"
    "Raises\n------\nTypeError, ValueError\n    An argument is not valid, or the clock has run backwards or\n"
    "    out of range.\n"
    "BusinessError\n    9800004: closed."};

py::object holders(Shell& shell, const py::object& type) {
    const Mask mask = to_one_type(type);
    Listing listing(mask);
    listing.find(shell);
    return make_holders(listing.take_owners());
}

py::object holders_columns(Shell& shell, const py::object& type) {
    Listing listing(to_one_type(type));
    listing.find(shell);
    return make_holder_columns(listing.take_owners());
}

py::object records_columns(Shell& shell) {
    Listing listing(type::ALL);
    listing.find(shell);
    RecordTable table;
    for (;;) {
        const OwnedViews page = listing.next_page(shell);
        if (page.records().empty()) return table.records();
        for (const RecordView& view : page.records()) {
            table.add(view);
            table.add_grants(view);
        }
    }
}

std::size_t count(Shell& shell, const py::object& type) {
    const Mask mask = to_one_type(type);
    if (shell.has_log()) {
        const auto survey = shell.survey(Survey::What::stats);
        const auto index = static_cast<std::size_t>(std::countr_zero(mask));
        return survey->stats().app_grants[index] + survey->stats().process_grants[index];
    }
    std::size_t owners = 0;
    shell.in_slices([&](Engine& engine, Instant now, auto&& end_some) {
        if (end_some(Shell::slice).more) return true;
        check(engine.count(mask, now, owners));
        return false;
    });
    return owners;
}

py::object stats(Shell& shell) {
    std::uint64_t missed = 0;
    Histogram advanced;
    Histogram delivered;
    Stats stats;
    LogFigures log;
    const auto read_tally = [&] {
        missed = shell.tally().missed;
        advanced = shell.tally().advanced;
        delivered = shell.tally().delivered;
    };
    if (shell.has_log()) {
        stats = shell.survey(Survey::What::stats)->stats();
        const auto locked = shell.lock();
        read_tally();
        log = shell.log_figures();
    } else {
        shell.in_slices([&](Engine& engine, Instant now, auto&& end_some) {
            if (end_some(Shell::slice).more) return true;
            check(engine.stats(now, stats));
            read_tally();
            return false;
        });
    }
    return make_stats(stats, {shell.tally().refusals, missed, advanced, delivered, shell.has_log() ? &log : nullptr});
}

void validate(Shell& shell) {
    const char* reason = nullptr;
    auto begun = shell.lock();
    const bool is_sound = without_gil([&] {
        const auto locked = std::move(begun);
        return locked.manager.engine().validate(&reason);
    });
    require_sound(is_sound, reason);
}

}  // namespace

void bind_queries(ManagerClass& bound, py::module_& module) {
    module.def(
        "refuse",
        [error = py::object(module.attr("business_error"))](Shell& shell, int detail, const py::str& sentence,
                                                            const py::str& rule) {
            const py::object made = error(detail, sentence, rule);
            shell.tally().refusals.note(static_cast<Status>(detail));
            return made;
        },
        py::arg("manager"), py::arg("detail"), py::arg("sentence") = "", py::arg("rule") = "", py::pos_only(),
        "Return the same as `business_error`, as a refusal of the manager.");
    add_fast_method(bound, records_definition);
    bound
        .def("find_app", counting<&find_app>, py::arg("uid"),
             "Return what the app of a uid holds now, as a Record; None for nothing. Changes nothing.\n\n"
             "Raises\n------\nBusinessError\n    18700001: uid out of range. 9800004: closed.\n"
             "ValueError\n    The clock has run backwards or out of range.")
        .def("find_process", counting<&find_process>, py::arg("pid"),
             "Return what a process holds now, as a Record; None for nothing. Changes nothing.\n\n"
             "Raises\n------\nBusinessError\n    18700001: pid out of range. 9800004: closed.\n"
             "ValueError\n    The clock has run backwards or out of range.")
        .def(
            "holders", &holders, py::arg("resource_type"),
            "Return who holds a type now. Advances first. In a table of more than 1024 rows others may call meanwhile.\n\n"
            "Returns\n-------\nHolders\n    The uids of apps and the pids of processes, each ascending.\n\n"
            "Raises\n------\nValueError\n    Not one type, or the clock has run backwards or out of range.\n"
            "BusinessError\n    9800004: closed.")
        .def(
            "holders_columns", &holders_columns, py::arg("resource_type"),
            "Return the same as `holders`, as columns: for many owners, without an object each. Advances first.\n\n"
            "Returns\n-------\nHolderColumns\n    The uids of apps and the pids of processes: buffers of format I, each\n"
            "    ascending.\n\n"
            "Raises\n------\nValueError, BusinessError\n    As `holders`.")
        .def(
            "records_columns", counting<&records_columns>,
            "Return the same as `records`, all of them, as columns: for many records, without an object each. Advances\n"
            "first.\n\n"
            "Returns\n-------\nRecordColumns\n    The records in the order of `records`, and their grants.\n\n"
            "Raises\n------\nValueError, BusinessError\n    As `records`.")
        .def("count", &count, py::arg("resource_type"),
             "Return how many owners hold a type now. Advances first.\n\n"
             "Raises\n------\nValueError, BusinessError\n    As `holders`.")
        .def("stats", &stats,
             "Return the numbers of the manager, as Stats: what lives now, and what was counted since it was made.\n"
             "Advances first.\n\n"
             "Raises\n------\nValueError, BusinessError\n    As `holders`.")
        .def("validate", &validate,
             "Check every invariant of the engine; AssertionError names the first that is broken.\n\n"
             "Raises\n------\nBusinessError\n    9800001: no memory to look at all of it. 9800004: closed.");
}

}  // namespace grantwheel::bindings
