#include "bindings/documented_request.hpp"

#include <cmath>
#include <optional>

#include "bindings/errors.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

constexpr std::int64_t max_number = 2147483647;

// A finite, integral number within 0..2147483647 that is not a bool; nothing else is a number here.
std::optional<std::int64_t> to_number(py::handle value) {
    if (PyBool_Check(value.ptr())) return std::nullopt;
    if (PyFloat_Check(value.ptr())) {
        const double number = PyFloat_AS_DOUBLE(value.ptr());
        const bool valid = std::isfinite(number) && std::trunc(number) == number && number >= 0 &&
                           number <= static_cast<double>(max_number);
        return valid ? std::optional(static_cast<std::int64_t>(number)) : std::nullopt;
    }
    if (PyIndex_Check(value.ptr()) == 0) return std::nullopt;
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!index) throw py::error_already_set();
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    const bool valid = overflow == 0 && number >= 0 && number <= max_number;
    return valid ? std::optional<std::int64_t>(number) : std::nullopt;
}

[[noreturn]] void refuse(Status status, const char* field, const char* rule) {
    throw Refusal(status, std::string(field) + " " + rule);
}

// The length of a text in UTF-8, lone surrogates counted as three bytes each.
std::size_t encoded_length(const py::object& text) {
    const auto bytes =
        py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
    if (!bytes) throw py::error_already_set();
    return static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.ptr()));
}

}  // namespace

DocumentedRequest::DocumentedRequest(PyObject* given)
    : given_(given), is_request_(py::isinstance(given_, vocabulary().EfficiencyResourcesRequest)) {
    if (!is_request_ && !PyDict_Check(given) && !py::isinstance(given_, vocabulary().mapping_type)) {
        refuse(Status::resource_types_invalid, "resourceTypes",
               "must be given: the argument must be an EfficiencyResourcesRequest or a mapping.");
    }
    request_.mask = static_cast<Mask>(number("resourceTypes", Status::resource_types_invalid));
    request_.is_apply = flag("isApply", Status::is_apply_invalid);
    request_.timeout_ms = static_cast<std::uint64_t>(number("timeOut", Status::timeout_invalid));
    const bool encodable = read_reason();
    request_.is_persist = optional_flag("isPersist", Status::is_persist_invalid);
    request_.is_process = optional_flag("isProcess", Status::is_process_invalid);
    read_level();
    if (request_.mask == 0) refuse(Status::resource_types_invalid, "resourceTypes", "must name at least one type.");
    if (request_.is_apply && !request_.is_persist && request_.timeout_ms == 0) {
        refuse(Status::timeout_invalid, "timeOut", "must not be 0 for an apply that is not persistent.");
    }
    if (!encodable) throw Refusal(Status::parcel_failed);
}

py::object DocumentedRequest::field(const char* name) const {
    const py::str key(name);
    PyObject* value = nullptr;
    if (is_request_) {
        value = PyObject_GetAttr(given_.ptr(), key.ptr());
        if (value == nullptr && PyErr_ExceptionMatches(PyExc_AttributeError) == 0) throw py::error_already_set();
        if (value == vocabulary().ABSENT.ptr()) Py_CLEAR(value);
    } else if (PyDict_CheckExact(given_.ptr())) {
        value = PyDict_GetItemWithError(given_.ptr(), key.ptr());
        if (value == nullptr && PyErr_Occurred() != nullptr) throw py::error_already_set();
        Py_XINCREF(value);
    } else {
        value = PyObject_GetItem(given_.ptr(), key.ptr());
        if (value == nullptr && PyErr_ExceptionMatches(PyExc_KeyError) == 0) throw py::error_already_set();
    }
    if (value == nullptr) PyErr_Clear();
    return py::reinterpret_steal<py::object>(value);
}

std::int64_t DocumentedRequest::number(const char* name, Status status) const {
    const py::object value = field(name);
    const auto result = value ? to_number(value) : std::nullopt;
    if (!result) refuse(status, name, "must be given, as a whole number within 0..2147483647.");
    return *result;
}

bool DocumentedRequest::flag(const char* name, Status status) const {
    const py::object value = field(name);
    if (!value || !PyBool_Check(value.ptr())) refuse(status, name, "must be given, as a bool.");
    return value.ptr() == Py_True;
}

bool DocumentedRequest::optional_flag(const char* name, Status status) const {
    const py::object value = field(name);
    if (!value) return false;
    if (!PyBool_Check(value.ptr())) refuse(status, name, "must be a bool when it is given.");
    return value.ptr() == Py_True;
}

// Answers whether the reason can be encoded; one that cannot is refused only after all other checks.
bool DocumentedRequest::read_reason() {
    constexpr const char* rule = "must be given, as a string of at most 1024 bytes in UTF-8.";
    reason_ = field("reason");
    if (!reason_ || !PyUnicode_Check(reason_.ptr())) refuse(Status::reason_invalid, "reason", rule);
    Py_ssize_t size = 0;
    const char* const data = PyUnicode_AsUTF8AndSize(reason_.ptr(), &size);
    if (data == nullptr) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) throw py::error_already_set();
        PyErr_Clear();
    }
    const std::size_t length = data != nullptr ? static_cast<std::size_t>(size) : encoded_length(reason_);
    if (length > max_text_bytes) refuse(Status::reason_invalid, "reason", rule);
    if (data != nullptr) request_.reason = {data, length};
    return data != nullptr;
}

void DocumentedRequest::read_level() {
    const py::object value = field("cpuLevel");
    if (!value) return;
    const auto level = to_number(value);
    if (!level || *level > max_level) {
        refuse(Status::cpu_level_argument_invalid, "cpuLevel", "must be 0, 1 or 2 when it is given.");
    }
    request_.cpu_level = static_cast<std::int32_t>(*level);
}

}  // namespace grantwheel::bindings
