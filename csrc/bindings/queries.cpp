#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/listing.hpp"
#include "bindings/views.hpp"

namespace grantwheel::bindings {

namespace {

std::uint32_t to_key(const py::object& value, const char* name, std::int64_t most) {
    const std::int64_t key = to_int64(value.ptr(), name);
    if (key < 0 || key > most) throw Refusal(Status::identity_invalid);
    return static_cast<std::uint32_t>(key);
}

Mask to_one_type(const py::object& value) {
    const Mask mask = to_mask(value.ptr(), "resource_type");
    if (mask > type::ALL || std::popcount(mask) != 1) throw py::value_error("resource_type must be one ResourceType");
    return mask;
}

py::object find(Shell& shell, Owner owner) {
    OwnedViews views;
    {
        const auto session = shell.begin();
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
        static const Parameters<2, 0, 2> parameters("records", {"after", "limit"});
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

// Here and below numbers become ints beforehand: pybind11 does not look whether it could make one for `append`, `=`.
py::object holders(Shell& shell, const py::object& type) {
    const Mask mask = to_one_type(type);
    Listing listing(mask);
    listing.find(shell);
    const std::vector<Owner> owners = listing.take_owners();
    py::list lists[2];
    GilOffers gil;
    for (std::size_t i = 0; i < owners.size(); ++i) {
        if (i % Shell::slice == Shell::slice - 1) gil.offer();
        lists[static_cast<std::size_t>(owners[i].kind)].append(py::int_(owners[i].key));
    }
    return make_named(vocabulary().Holders, {lists[0], lists[1]});
}

std::size_t count(Shell& shell, const py::object& type) {
    const Mask mask = to_one_type(type);
    std::size_t owners = 0;
    shell.in_slices([&](Manager& manager, Instant now, auto&& end_some) {
        if (end_some(Shell::slice).more) return true;
        check(manager.engine().count(mask, now, owners));
        return false;
    });
    return owners;
}

py::dict by_type(const std::uint64_t (&counts)[type_count]) {
    py::dict result;
    for (std::size_t type = 0; type < type_count; ++type)
        result[vocabulary().masks[1 << type]] = py::int_(counts[type]);
    return result;
}

py::dict by_code(const Refusals& refusals) {
    py::dict result;
    for (std::size_t i = 0; i < std::size(Refusals::codes); ++i) {
        result[py::int_(Refusals::codes[i])] = py::int_(refusals.count(i));
    }
    return result;
}

py::object make_lateness(const Histogram& histogram) {
    py::list counts;
    for (const std::uint64_t count : histogram.lateness.counts) counts.append(py::int_(count));
    return make_named(vocabulary().LatenessCounts,
                      {py::tuple(counts), py::int_(histogram.sum), py::int_(histogram.lateness.most)});
}

py::object stats(Shell& shell) {
    std::uint64_t missed = 0;
    Histogram advanced;
    Histogram delivered;
    Stats stats;
    shell.in_slices([&](Manager& manager, Instant now, auto&& end_some) {
        if (end_some(Shell::slice).more) return true;
        check(manager.engine().stats(now, stats));
        missed = shell.tally().missed;
        advanced = shell.tally().advanced;
        delivered = shell.tally().delivered;
        return false;
    });
    const Vocabulary& words = vocabulary();
    py::dict ended;
    for (std::size_t cause = 1; cause < cause_count; ++cause) {
        ended[words.causes[cause]] = py::int_(stats.ended[cause]);
    }
    const std::uint64_t released =
        stats.ended[static_cast<std::size_t>(Cause::release)] + stats.ended[static_cast<std::size_t>(Cause::reset_all)];
    return make_named(words.Stats, {py::int_(stats.app_records), py::int_(stats.process_records),
                                    by_type(stats.app_grants), by_type(stats.process_grants), py::int_(stats.granted),
                                    py::int_(stats.renewed), py::int_(released), ended, by_code(shell.tally().refusals),
                                    py::int_(stats.strings), py::int_(stats.last_sequence), py::int_(missed),
                                    make_lateness(advanced), make_lateness(delivered)});
}

void validate(Shell& shell) {
    const char* reason = nullptr;
    auto begun = shell.lock();
    const bool is_sound = without_gil([&] {
        const auto locked = std::move(begun);
        return locked.manager.engine().validate(&reason);
    });
    if (is_sound) return;
    if (reason == Engine::validate_no_memory) throw Refusal(Status::out_of_memory);
    PyErr_SetString(PyExc_AssertionError, reason);
    throw py::error_already_set();
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
