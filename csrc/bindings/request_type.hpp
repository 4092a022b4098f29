// The Python type EfficiencyResourcesRequest: seven fields that may each be absent, made and read at the cost of a
// tuple.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>

namespace grantwheel::bindings {

namespace py = pybind11;

// The documented fields, in the order in which they are checked.
enum class Field : std::size_t { resourceTypes, isApply, timeOut, reason, isPersist, isProcess, cpuLevel };
inline constexpr std::size_t field_count = 7;

// The names of the fields as Python strings that live as long as the process.
[[nodiscard]] std::span<PyObject* const, field_count> field_names() noexcept;
[[nodiscard]] inline PyObject* field_name(Field field) noexcept {
    return field_names()[static_cast<std::size_t>(field)];
}

// Whether an object is such a request.
[[nodiscard]] bool is_request(PyObject* object) noexcept;
// What a field of a request holds; null when it is absent.
[[nodiscard]] py::object request_field(PyObject* request, Field field) noexcept;
// The same, borrowed: it is there until something of Python's, or another thread without a GIL, runs.
[[nodiscard]] PyObject* borrowed_field(PyObject* request, Field field) noexcept;

void bind_request_type(py::module_& module);

}  // namespace grantwheel::bindings
