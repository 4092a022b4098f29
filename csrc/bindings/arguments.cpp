#include "bindings/arguments.hpp"

#include <bit>
#include <limits>

#include "bindings/gil.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

[[noreturn]] void raise_type(const char* name, const char* expected, PyObject* value) {
    throw py::type_error(std::string(name) + " must be " + expected + ", not " + Py_TYPE(value)->tp_name);
}

// The attributes of a Caller, with their names interned for the life of the process.
struct CallerAttributes {
    PyObject* uid = interned("uid");
    PyObject* pid = interned("pid");
    PyObject* bundle = interned("bundle");
    PyObject* system_app = interned("system_app");
    PyObject* service_extension = interned("service_extension");
    PyObject* native = interned("native");
};

py::object attribute(PyObject* object, PyObject* name) {
    PyObject* const value = as_python([&] { return PyObject_GetAttr(object, name); });
    if (value == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(value);
}

}  // namespace

std::size_t place_of(std::span<PyObject* const> names, PyObject* name) noexcept {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) return i;
    }
    if (PyUnicode_Check(name) == 0) return names.size();
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (PyUnicode_Compare(names[i], name) == 0) return i;
    }
    return names.size();
}

py::object to_index(PyObject* value) {
    if (PyLong_Check(value)) return py::reinterpret_borrow<py::object>(value);
    if (PyIndex_Check(value) == 0) return {};
    auto index = py::reinterpret_steal<py::object>(as_python([&] { return PyNumber_Index(value); }));
    if (index) return index;
    const py::error_already_set error;
    if (!error.matches(PyExc_TypeError)) throw error;
    return {};
}

void read_arguments(const Signature& signature, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                    std::span<PyObject*> values) {
    const std::string function = std::string(signature.function) + "()";
    if (count > static_cast<Py_ssize_t>(signature.positional)) {
        throw py::type_error(function + " takes " + std::to_string(signature.positional) +
                             " positional arguments but " + std::to_string(count) + " were given");
    }
    for (Py_ssize_t i = 0; i < count; ++i) values[i] = arguments[i];
    const Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < keyword_count; ++i) {
        PyObject* const keyword = PyTuple_GET_ITEM(keywords, i);
        const std::size_t place = place_of(signature.names, keyword);
        if (place == signature.names.size()) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R", signature.function, keyword);
            throw py::error_already_set();
        }
        if (values[place] != nullptr) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument %R", signature.function, keyword);
            throw py::error_already_set();
        }
        values[place] = arguments[count + i];
    }
    for (std::size_t i = 0; i < signature.required; ++i) {
        if (values[i] != nullptr) continue;
        throw py::type_error(function + " misses the argument '" + py::cast<std::string>(signature.names[i]) + "'");
    }
}

std::int64_t to_int64_slowly(PyObject* value, const char* name) {
    if (PyBool_Check(value)) raise_type(name, "an int", value);
    const py::object index = to_index(value);
    if (!index) raise_type(name, "an int", value);
    value = index.ptr();
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow > 0) return std::numeric_limits<std::int64_t>::max();
    return overflow < 0 ? std::numeric_limits<std::int64_t>::min() : number;
}

Mask mask_from(std::int64_t value) noexcept {
    const bool fits = value >= 0 && value <= std::numeric_limits<Mask>::max();
    return fits ? static_cast<Mask>(value) : std::numeric_limits<Mask>::max();
}

std::uint64_t timeout_from(std::int64_t value) noexcept {
    return value >= 0 ? static_cast<std::uint64_t>(value) : std::numeric_limits<std::uint64_t>::max();
}

Mask to_mask(PyObject* value, const char* name) { return mask_from(to_int64(value, name)); }

std::uint64_t to_timeout(PyObject* value, const char* name) { return timeout_from(to_int64(value, name)); }

std::int32_t to_level(PyObject* value, const char* name) {
    if (value == nullptr) return default_level;
    const std::int64_t level = to_int64(value, name);
    return level >= default_level && level <= max_level ? static_cast<std::int32_t>(level) : max_level + 1;
}

std::size_t to_limit(PyObject* value, const char* name) {
    if (value == Py_None) return SIZE_MAX;
    const std::int64_t limit = to_int64(value, name);
    if (limit < 0) throw py::value_error(std::string(name) + " must not be negative");
    return static_cast<std::size_t>(limit);
}

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

bool to_bool(PyObject* value, const char* name, bool otherwise) {
    if (value == nullptr) return otherwise;
    if (!PyBool_Check(value)) raise_type(name, "a bool", value);
    return value == Py_True;
}

std::string_view to_text(PyObject* value, const char* name, Status unencodable) {
    if (value == nullptr) return {};
    if (!PyUnicode_Check(value)) raise_type(name, "a str", value);
    Py_ssize_t size = 0;
    const char* const data = PyUnicode_AsUTF8AndSize(value, &size);
    if (data == nullptr) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) throw py::error_already_set();
        PyErr_Clear();
        throw Refusal(unencodable);
    }
    return {data, static_cast<std::size_t>(size)};
}

CallerArgument to_given_caller(PyObject* value, Status unencodable) {
    CallerArgument argument;
    if (!py::isinstance(value, vocabulary().Caller)) raise_type("caller", "a Caller", value);
    static const CallerAttributes names;
    const auto number = [&](PyObject* name, const char* what) { return to_int64(attribute(value, name).ptr(), what); };
    const auto flag = [&](PyObject* name, const char* what) {
        return to_bool(attribute(value, name).ptr(), what, false);
    };
    argument.given = true;
    argument.bundle = attribute(value, names.bundle);
    argument.caller = {number(names.uid, "uid of the caller"),
                       number(names.pid, "pid of the caller"),
                       to_text(argument.bundle.ptr(), "bundle of the caller", unencodable),
                       flag(names.system_app, "system_app of the caller"),
                       flag(names.service_extension, "service_extension of the caller"),
                       flag(names.native, "native of the caller")};
    return argument;
}

}  // namespace grantwheel::bindings
