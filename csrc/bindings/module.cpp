// The module grantwheel._core: a table of contents.
#include <pybind11/pybind11.h>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/documented_request.hpp"
#include "bindings/errors.hpp"
#include "bindings/instances.hpp"
#include "bindings/limits.hpp"
#include "bindings/request_type.hpp"
#include "bindings/vocabulary.hpp"
#include "grantwheel/pages.hpp"
#include "grantwheel/version.h"

namespace {

using namespace grantwheel;
using namespace grantwheel::bindings;

std::unique_ptr<Shell> make_shell(const py::object& clock, const py::object& max_records, const py::object& max_strings,
                                  const py::object& event_capacity, const py::object& reserve, const py::object& log,
                                  const py::bytes& hash_key, const py::object& durability, const py::object& follower) {
    const Durability when = to_durability(durability);
    auto given = log.is_none() ? nullptr : GivenLog::of(log);
    if (!follower.is_none()) {
        return std::make_unique<Shell>(clock, follower.cast<Follower&>().give_away(), std::move(given), when);
    }
    // None is for followers, whose limits come with the log.
    for (const py::object& limit : {max_records, max_strings, event_capacity, reserve}) {
        if (limit.is_none()) throw py::type_error("a limit of a manager must be an int, not None");
    }
    const Limits limits = to_limits({max_records, max_strings, event_capacity, reserve});
    return std::make_unique<Shell>(clock, Follower::Taken{nullptr, to_hash_key(hash_key), 0, limits}, std::move(given),
                                   when);
}

// The classes and the words of the module are kept once per process: they belong to the interpreter that made them.
constexpr const char* main_only = "grantwheel cannot be used in a subinterpreter: use it in the main interpreter";

bool is_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

}  // namespace

// Where CPython is free-threaded it turns the GIL on for a module that does not say that it can do without.
#if GRANTWHEEL_FREE_THREADED
PYBIND11_MODULE(_core_of_main, module, py::mod_gil_not_used()) {
#else
PYBIND11_MODULE(_core_of_main, module) {
#endif
    if (!is_main_interpreter()) throw py::import_error(main_only);
    module.doc() = "The compiled engine. What users see is in the package grantwheel.";
    module.attr("__version__") = GRANTWHEEL_VERSION;
    bind_errors(module);
    bind_vocabulary(module);
    bind_clocks(module);
    bind_logs(module);
    bind_request_type(module);
    bind_documented_request(module);
    use_huge_pages();

    ManagerClass manager = bind_class<Shell>(
        module, "Manager", "A manager of grants behind one lock. grantwheel.Manager is what users see.",
        see_through<Shell>);
    manager.def(py::init(&make_shell), py::arg("clock"), py::arg("max_records"), py::arg("max_strings"),
                py::arg("event_capacity"), py::arg("reserve"), py::arg("log"), py::arg("hash_key"),
                py::arg("durability") = "commit", py::arg("follower") = py::none());
    bind_typed_calls(manager);
    bind_batches(manager);
    bind_documented_calls(manager);
    bind_administration(manager);
    bind_queries(manager, module);
    bind_notes(manager, module);
    bind_events(manager, module);
    bind_time(manager, module);
    bind_descriptors(module);
    bind_sleeping(module);
    bind_pipelines(module);
    bind_blocks(module);
    bind_leases(module);
    bind_schedules(module);
    bind_groups(module);
    bind_followers(module);
    bind_ops(module);
    bind_recovery(module);
    refuse_second_init(module);
}

// What Python calls. In some of its versions pybind11 would wait here for the main interpreter for ever, in others the
// module is made later: so it is refused in both places.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (is_main_interpreter()) return PyInit__core_of_main();
    PyErr_SetString(PyExc_ImportError, main_only);
    return nullptr;
}
