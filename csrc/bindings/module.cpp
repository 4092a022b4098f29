// The module grantwheel._core: a table of contents.
#include <pybind11/pybind11.h>

#include "bindings/calls.hpp"
#include "bindings/clocks.hpp"
#include "bindings/errors.hpp"
#include "bindings/vocabulary.hpp"
#include "grantwheel/version.h"

namespace {

using namespace grantwheel;
using namespace grantwheel::bindings;

// Lets the garbage collector see through a manager: a hook, a recorder or a clock may lead back to it.
void see_through(PyHeapTypeObject* heap_type) {
    PyTypeObject* const type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(self));
        if (!py::detail::is_holder_constructed(self)) return 0;
        return shell_of(self).visit(visit, arg);
    };
    type->tp_clear = [](PyObject* self) -> int {
        if (py::detail::is_holder_constructed(self)) shell_of(self).forget();
        return 0;
    };
}

std::unique_ptr<Shell> make_shell(const py::object& clock, std::uint32_t max_records, std::uint32_t max_strings,
                                  std::uint32_t event_capacity, std::uint32_t reserve, const py::object& recorder) {
    Limits limits;
    limits.max_records = max_records;
    limits.max_strings = max_strings;
    limits.event_capacity = event_capacity;
    limits.reserve = reserve;
    return std::make_unique<Shell>(clock, limits, recorder);
}

}  // namespace

PYBIND11_MODULE(_core, module) {
    module.doc() = "The compiled engine. What users see is in the package grantwheel.";
    module.attr("__version__") = GRANTWHEEL_VERSION;
    bind_errors(module);
    bind_vocabulary(module);
    bind_clocks(module);

    ManagerClass manager(module, "Manager", py::custom_type_setup(see_through),
                         "A manager of grants behind one lock. grantwheel.Manager is what users see.");
    manager.def(py::init(&make_shell), py::arg("clock"), py::arg("max_records"), py::arg("max_strings"),
                py::arg("event_capacity"), py::arg("reserve"), py::arg("recorder"));
    bind_typed_calls(manager);
    bind_batches(manager);
    bind_documented_calls(manager);
    bind_administration(manager);
    bind_time(manager);
    bind_queries(manager);
}
