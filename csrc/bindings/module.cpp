// The module grantwheel._core: a table of contents.
#include <pybind11/pybind11.h>

#include <cstring>
#include <string_view>

#include "bindings/arguments.hpp"
#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/documented_request.hpp"
#include "bindings/errors.hpp"
#include "bindings/instances.hpp"
#include "bindings/request_type.hpp"
#include "bindings/vocabulary.hpp"
#include "grantwheel/pages.hpp"
#include "grantwheel/version.h"

namespace {

using namespace grantwheel;
using namespace grantwheel::bindings;

// A limit as Python gave it; one that no engine could have becomes one that is refused by name.
std::uint32_t to_limit(const py::object& value, const char* name) {
    const std::int64_t limit = to_int64(value.ptr(), name);
    return limit >= 0 && limit <= UINT32_MAX ? static_cast<std::uint32_t>(limit) : UINT32_MAX;
}

HashKey to_key(std::string_view bytes) {
    HashKey key;
    if (bytes.size() != sizeof key.words) throw py::value_error("hash_key must have 16 bytes");
    std::memcpy(key.words, bytes.data(), sizeof key.words);
    return key;
}

std::unique_ptr<Shell> make_shell(const py::object& clock, const py::object& max_records, const py::object& max_strings,
                                  const py::object& event_capacity, const py::object& reserve,
                                  const py::object& recorder, const py::bytes& hash_key) {
    Limits limits;
    limits.max_records = to_limit(max_records, "max_records");
    limits.max_strings = to_limit(max_strings, "max_strings");
    limits.event_capacity = to_limit(event_capacity, "event_capacity");
    limits.reserve = to_limit(reserve, "reserve");
    return std::make_unique<Shell>(clock, limits, recorder, to_key(hash_key));
}

// The classes and the words of the module are kept once per process: they belong to the interpreter that made them.
constexpr const char* main_only = "grantwheel cannot be used in a subinterpreter: use it in the main interpreter";

bool is_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

}  // namespace

PYBIND11_MODULE(_core_of_main, module) {
    if (!is_main_interpreter()) throw py::import_error(main_only);
    module.doc() = "The compiled engine. What users see is in the package grantwheel.";
    module.attr("__version__") = GRANTWHEEL_VERSION;
    bind_errors(module);
    bind_vocabulary(module);
    bind_clocks(module);
    bind_request_type(module);
    bind_documented_request(module);
    use_huge_pages();

    ManagerClass manager = bind_class<Shell>(
        module, "Manager", "A manager of grants behind one lock. grantwheel.Manager is what users see.",
        see_through<Shell>);
    manager.def(py::init(&make_shell), py::arg("clock"), py::arg("max_records"), py::arg("max_strings"),
                py::arg("event_capacity"), py::arg("reserve"), py::arg("recorder"), py::arg("hash_key"));
    bind_typed_calls(manager);
    bind_batches(manager);
    bind_documented_calls(manager);
    bind_administration(manager);
    bind_queries(manager, module);
    bind_events(manager, module);
    bind_time(manager, module);
    bind_descriptors(module);
    bind_sleeping(module);
    bind_blocks(module);
    bind_leases(module);
    bind_schedules(module);
    bind_groups(module);
    refuse_second_init(module);
}

// What Python calls. In some of its versions pybind11 would wait here for the main interpreter for ever, in others the
// module is made later: so it is refused in both places.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (is_main_interpreter()) return PyInit__core_of_main();
    PyErr_SetString(PyExc_ImportError, main_only);
    return nullptr;
}
