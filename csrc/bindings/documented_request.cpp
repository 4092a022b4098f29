#include "bindings/documented_request.hpp"

#include <pybind11/critical_section.h>

#include <cmath>
#include <optional>

#include "bindings/arguments.hpp"
#include "bindings/errors.hpp"
#include "bindings/gil.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

constexpr std::int64_t max_number = 2147483647;
constexpr Py_ssize_t most_walked = 16;  // keys

std::optional<std::int64_t> in_range(std::int64_t number) noexcept {
    return number >= 0 && number <= max_number ? std::optional(number) : std::nullopt;
}

std::optional<std::int64_t> to_number_slowly(PyObject* value) {
    if (PyBool_Check(value)) return std::nullopt;
    if (PyFloat_Check(value)) {
        const double number = PyFloat_AS_DOUBLE(value);
        const bool valid = std::isfinite(number) && std::trunc(number) == number && number >= 0 &&
                           number <= static_cast<double>(max_number);
        return valid ? std::optional(static_cast<std::int64_t>(number)) : std::nullopt;
    }
    const auto kept = py::reinterpret_borrow<py::object>(value);  // from its own __index__
    const py::object index = to_index(value);
    if (!index) return std::nullopt;
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    return overflow == 0 ? in_range(number) : std::nullopt;
}

// A finite, integral number within 0..2147483647 that is not a bool; nothing else is a number here.
std::optional<std::int64_t> to_number(PyObject* value) {
    return is_small_int(value) ? in_range(small_int(value)) : to_number_slowly(value);
}

// Whether nothing of Python's runs when it is read as a field. With a text that is not ASCII an error may come up, and garbage
// be collected.
bool is_plain(PyObject* value) noexcept {
    return PyLong_Check(value) || PyFloat_Check(value) || (PyUnicode_Check(value) && PyUnicode_IS_COMPACT_ASCII(value));
}

// What the language itself takes for a mapping is one, which is most of them; asking the abstract class takes longer than
// all the rest.
bool is_mapping(PyObject* given) {
    if (PyType_HasFeature(Py_TYPE(given), Py_TPFLAGS_MAPPING) != 0) return true;
    const int answer = as_python([&] { return PyObject_IsInstance(given, vocabulary().mapping_type.ptr()); });
    if (answer < 0) throw py::error_already_set();
    return answer != 0;
}

[[noreturn]] void refuse(Status status, Field field, const char* rule) {
    throw Refusal(status, py::cast<std::string>(field_name(field)) + " " + rule);
}

// The length of a text in UTF-8, lone surrogates counted as three bytes each.
std::size_t encoded_length(const py::object& text) {
    const auto bytes =
        py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
    if (!bytes) throw py::error_already_set();
    return static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.ptr()));
}

}  // namespace

inline PyObject* DocumentedRequest::read(Field field) {
    if (is_request_) {
        return others_run ? keep(field, request_field(given_, field).release().ptr()) : borrowed_field(given_, field);
    }
    return is_walked_ ? taken_.fields[static_cast<std::size_t>(field)] : look_up(field);
}

DocumentedRequest::DocumentedRequest(PyObject* given) : given_(given), is_request_(bindings::is_request(given)) {
    if (!is_request_ && !is_mapping(given)) {
        refuse(Status::resource_types_invalid, Field::resourceTypes,
               "must be given: the argument must be an EfficiencyResourcesRequest or a mapping.");
    }
    if (!is_request_ && PyDict_Check(given)) walk();
    request_.mask = static_cast<Mask>(number(Field::resourceTypes, Status::resource_types_invalid));
    request_.is_apply = flag(Field::isApply, Status::is_apply_invalid);
    request_.timeout_ms = static_cast<std::uint64_t>(number(Field::timeOut, Status::timeout_invalid));
    const bool encodable = read_reason();
    request_.is_persist = optional_flag(Field::isPersist, Status::is_persist_invalid);
    request_.is_process = optional_flag(Field::isProcess, Status::is_process_invalid);
    read_level();
    if (request_.mask == 0) {
        refuse(Status::resource_types_invalid, Field::resourceTypes, "must name at least one type.");
    }
    if (request_.is_apply && !request_.is_persist && request_.timeout_ms == 0) {
        refuse(Status::timeout_invalid, Field::timeOut, "must not be 0 for an apply that is not persistent.");
    }
    if (!encodable) throw Refusal(Status::parcel_failed);
}

PyObject* DocumentedRequest::keep(Field field, PyObject* value) noexcept {
    taken_.fields[static_cast<std::size_t>(field)] = value;
    taken_.is_own = true;
    return value;
}

void DocumentedRequest::Taken::drop() noexcept {
    for (PyObject* const field : fields) Py_XDECREF(field);
}

// Takes all fields of a dictionary in one go, which is faster than to look each of them up. Only of one with few keys, all of
// them strings and of no class derived from it: others may have a notion of their own of what they are equal to. Where
// reading a field may run something of Python's, that may change the dictionary.
void DocumentedRequest::walk() {
    const py::scoped_critical_section lock(given_);
    if (PyDict_GET_SIZE(given_) > most_walked) return;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    bool are_plain = !others_run;
    for (Py_ssize_t at = 0; PyDict_Next(given_, &at, &key, &value) != 0;) {
        if (!PyUnicode_CheckExact(key)) {
            std::fill(std::begin(taken_.fields), std::end(taken_.fields), nullptr);
            return;
        }
        const std::size_t place = place_of(field_names(), key);
        if (place == field_count) continue;
        taken_.fields[place] = value;
        are_plain = are_plain && is_plain(value);
    }
    is_walked_ = true;
    if (are_plain) return;
    for (PyObject* const field : taken_.fields) Py_XINCREF(field);
    taken_.is_own = true;
}

// A dictionary is read as it is, without __missing__; any other mapping is asked whether it has the field.
PyObject* DocumentedRequest::look_up(Field field) {
    PyObject* const name = field_name(field);
    if (PyDict_Check(given_)) {
#if PY_VERSION_HEX >= 0x030D0000
        PyObject* value = nullptr;
        if (as_python([&] { return PyDict_GetItemRef(given_, name, &value); }) < 0) throw py::error_already_set();
        return keep(field, value);
#else
        PyObject* const value = as_python([&] { return PyDict_GetItemWithError(given_, name); });
        if (value == nullptr && PyErr_Occurred() != nullptr) throw py::error_already_set();
        return value;
#endif
    }
    const int present = as_python([&] { return PySequence_Contains(given_, name); });
    if (present < 0) throw py::error_already_set();
    if (present == 0) return nullptr;
    PyObject* const value = as_python([&] { return PyObject_GetItem(given_, name); });
    if (value != nullptr) return keep(field, value);
    const py::error_already_set error;
    if (!error.matches(PyExc_KeyError)) throw error;
    return nullptr;  // it has gone since
}

std::int64_t DocumentedRequest::number(Field field, Status status) {
    PyObject* const value = read(field);
    const auto result = value != nullptr ? to_number(value) : std::nullopt;
    if (!result) refuse(status, field, "must be given, as a whole number within 0..2147483647.");
    return *result;
}

bool DocumentedRequest::flag(Field field, Status status) {
    PyObject* const value = read(field);
    if (value == nullptr || !PyBool_Check(value)) refuse(status, field, "must be given, as a bool.");
    return value == Py_True;
}

bool DocumentedRequest::optional_flag(Field field, Status status) {
    PyObject* const value = read(field);
    if (value == nullptr) return false;
    if (!PyBool_Check(value)) refuse(status, field, "must be a bool when it is given.");
    return value == Py_True;
}

// Answers whether the reason can be encoded; one that cannot is refused only after all other checks.
bool DocumentedRequest::read_reason() {
    constexpr const char* rule = "must be given, as a string of at most 1024 bytes in UTF-8.";
    reason_ = py::reinterpret_borrow<py::object>(read(Field::reason));
    if (!reason_ || !PyUnicode_Check(reason_.ptr())) refuse(Status::reason_invalid, Field::reason, rule);
    const std::optional<std::string_view> text = utf8_of(reason_.ptr());
    const std::size_t length = text ? text->size() : encoded_length(reason_);
    if (length > max_text_bytes) refuse(Status::reason_invalid, Field::reason, rule);
    if (text) request_.reason = *text;
    return text.has_value();
}

void DocumentedRequest::read_level() {
    PyObject* const value = read(Field::cpuLevel);
    if (value == nullptr) return;
    const auto level = to_number(value);
    if (!level || *level > max_level) {
        refuse(Status::cpu_level_argument_invalid, Field::cpuLevel, "must be 0, 1 or 2 when it is given.");
    }
    request_.cpu_level = static_cast<std::int32_t>(*level);
}

void require_one_argument(std::size_t count) {
    if (count != 1) throw Refusal(Status::argument_count, "exactly one argument must be given: the request.");
}

namespace {

py::tuple read_request(const py::args& arguments) {
    require_one_argument(arguments.size());
    const DocumentedRequest documented(arguments[0].ptr());
    const Request& request = documented.request();
    return py::make_tuple(request.mask, request.is_apply, request.is_persist, request.is_process, request.cpu_level,
                          request.timeout_ms, make_text(request.reason));
}

}  // namespace

void bind_documented_request(py::module_& module) {
    module.def("read_request", &read_request,
               "Return what a documented request asks for: (mask, is_apply, is_persist, is_process, cpu_level,\n"
               "timeout_ms, reason). Refuses what apply_request refuses before it looks at the caller.");
}

}  // namespace grantwheel::bindings
