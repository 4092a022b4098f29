// The Python type EfficiencyResourcesRequest: seven fields that may each be absent, made and read at the cost of a
// tuple.
#pragma once

#include <pybind11/pybind11.h>

namespace grantwheel::bindings {

namespace py = pybind11;

// The documented fields, in the order in which they are checked.
enum class Field : std::size_t { resourceTypes, isApply, timeOut, reason, isPersist, isProcess, cpuLevel };
inline constexpr std::size_t field_count = 7;

// The name of a field as a Python string that lives as long as the process.
[[nodiscard]] PyObject* field_name(Field field);

// Whether an object is such a request.
[[nodiscard]] bool is_request(PyObject* object) noexcept;
// What a field of a request holds, borrowed; null when it is absent.
[[nodiscard]] PyObject* request_field(PyObject* request, Field field) noexcept;

void bind_request_type(py::module_& module);

}  // namespace grantwheel::bindings
