#include "bindings/arguments.hpp"

#include <pybind11/critical_section.h>
#include <structmember.h>

#include <bit>
#include <limits>
#include <memory>

#include "bindings/gil.hpp"
#include "bindings/vocabulary.hpp"

namespace grantwheel::bindings {

namespace {

// A call that does not fit its signature.
[[noreturn]] void refuse_count(const Signature& signature, Py_ssize_t count) {
    throw py::type_error(std::string(signature.function) + "() takes " + std::to_string(signature.positional) +
                         " positional arguments but " + std::to_string(count) + " were given");
}
[[noreturn]] void refuse_keyword(const Signature& signature, const char* fault, PyObject* keyword) {
    PyErr_Format(PyExc_TypeError, "%s() got %s argument %R", signature.function, fault, keyword);
    throw py::error_already_set();
}
[[noreturn]] void refuse_missing(const Signature& signature, PyObject* name) {
    throw py::type_error(std::string(signature.function) + "() misses the argument '" + py::cast<std::string>(name) +
                         "'");
}

// The attributes of Callers. Those of a Caller itself, and of no class derived from it, lie in slots, which are read where
// they are: by name the six of them would take longer than all that is done with them. So what a test may put into the
// class in place of a slot is not seen.
class CallerAttributes {
public:
    enum Name : std::size_t { uid, pid, bundle, system_app, service_extension, native, count };

    // Of the vocabulary's Caller, for the life of the process. Not the value of a static: see InternedNames.
    static const CallerAttributes& get() {
        static std::atomic<const CallerAttributes*> known = nullptr;
        if (const CallerAttributes* const there = known.load(std::memory_order_acquire)) return *there;
        auto made = std::make_unique<CallerAttributes>(vocabulary().Caller);
        const CallerAttributes* none = nullptr;
        if (known.compare_exchange_strong(none, made.get(), std::memory_order_acq_rel)) return *made.release();
        return *none;
    }

    explicit CallerAttributes(const py::object& caller) : type_(caller) {
        for (std::size_t i = 0; i < count; ++i) {
            names_[i] = interned(texts[i]);
            const py::object found = type_.attr(py::handle(names_[i]));
            if (Py_IS_TYPE(found.ptr(), &PyMemberDescr_Type)) {
                offsets_[i] = reinterpret_cast<PyMemberDescrObject*>(found.ptr())->d_member->offset;
            }
        }
    }

    [[nodiscard]] bool is_exact(PyObject* caller) const noexcept {
        return Py_IS_TYPE(caller, reinterpret_cast<PyTypeObject*>(type_.ptr()));
    }
    // What lies in a slot; null for what does not, and where other threads may replace it. It is there until something of
    // Python's runs.
    [[nodiscard]] PyObject* in_slot(PyObject* caller, Name name) const noexcept {
        return others_run ? nullptr : slot_of(caller, name);
    }
    [[nodiscard]] py::object read(PyObject* caller, Name name) const {
        {
            const py::scoped_critical_section lock(caller);
            if (PyObject* const value = slot_of(caller, name)) return py::reinterpret_borrow<py::object>(value);
        }
        PyObject* const value = as_python([&] { return PyObject_GetAttr(caller, names_[name]); });
        if (value == nullptr) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(value);
    }

private:
    [[nodiscard]] PyObject* slot_of(PyObject* caller, Name name) const noexcept {
        if (!is_exact(caller) || offsets_[name] == 0) return nullptr;
        return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(caller) + offsets_[name]);
    }

    static constexpr const char* texts[count] = {"uid", "pid", "bundle", "system_app", "service_extension", "native"};

    py::object type_;
    PyObject* names_[count];       // interned for the life of the process
    Py_ssize_t offsets_[count]{};  // 0 for what lies in no slot
};

}  // namespace

void raise_type(const char* name, const char* expected, PyObject* value) {
    throw py::type_error(std::string(name) + " must be " + expected + ", not " + Py_TYPE(value)->tp_name);
}

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

void intern_names(InternedNames& interned, std::span<const char* const> names) {
    auto made = std::make_unique<PyObject*[]>(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) made[i] = bindings::interned(names[i]);
    PyObject* const* none = nullptr;
    if (interned.compare_exchange_strong(none, made.get(), std::memory_order_acq_rel))
        static_cast<void>(made.release());
}

void read_arguments(const Signature& signature, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                    std::span<PyObject*> values) {
    if (count > static_cast<Py_ssize_t>(signature.positional)) refuse_count(signature, count);
    std::copy_n(arguments, count, values.begin());
    const Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < keyword_count; ++i) {
        PyObject* const keyword = PyTuple_GET_ITEM(keywords, i);
        // Most are options, which come last.
        std::size_t place = signature.positional;
        while (place < signature.names.size() && signature.names[place] != keyword) ++place;
        if (place == signature.names.size()) place = place_of(signature.names, keyword);
        if (place == signature.names.size()) refuse_keyword(signature, "an unexpected keyword", keyword);
        if (values[place] != nullptr) refuse_keyword(signature, "multiple values for", keyword);
        values[place] = arguments[count + i];
    }
    for (auto i = static_cast<std::size_t>(count); i < signature.required; ++i) {
        if (values[i] == nullptr) refuse_missing(signature, signature.names[i]);
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

std::optional<std::string_view> utf8_of(PyObject* text) {
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        return std::string_view(reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text)),
                                static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)));
    }
    Py_ssize_t size = 0;
    const char* const data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data != nullptr) return std::string_view(data, static_cast<std::size_t>(size));
    if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) throw py::error_already_set();
    PyErr_Clear();
    return std::nullopt;
}

std::string_view to_given_text(PyObject* value, const char* name, Status unencodable) {
    if (!PyUnicode_Check(value)) raise_type(name, "a str", value);
    const std::optional<std::string_view> text = utf8_of(value);
    if (!text) throw Refusal(unencodable);
    return *text;
}

CallerArgument to_given_caller(PyObject* value, Status unencodable) {
    using Attributes = CallerAttributes;
    const Attributes& attributes = Attributes::get();
    if (!attributes.is_exact(value) && !py::isinstance(value, vocabulary().Caller)) {
        raise_type("caller", "a Caller", value);
    }
    const auto number = [&](Attributes::Name name, const char* what) {
        PyObject* const plain = attributes.in_slot(value, name);
        if (plain != nullptr && is_small_int(plain)) return small_int(plain);
        return to_int64(attributes.read(value, name).ptr(), what);
    };
    const auto flag = [&](Attributes::Name name, const char* what) {
        const PyObject* const plain = attributes.in_slot(value, name);
        if (plain == Py_True || plain == Py_False) return plain == Py_True;
        return to_bool(attributes.read(value, name).ptr(), what, false);
    };
    CallerArgument argument;
    argument.given = true;
    argument.bundle = attributes.read(value, Attributes::bundle);
    Caller& caller = argument.caller;
    caller.uid = number(Attributes::uid, "uid of the caller");
    caller.pid = number(Attributes::pid, "pid of the caller");
    caller.bundle = to_text(argument.bundle.ptr(), "bundle of the caller", unencodable);
    caller.system_app = flag(Attributes::system_app, "system_app of the caller");
    caller.service_extension = flag(Attributes::service_extension, "service_extension of the caller");
    caller.native = flag(Attributes::native, "native of the caller");
    return argument;
}

}  // namespace grantwheel::bindings
