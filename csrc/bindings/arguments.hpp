// Reading the arguments of fast calls (METH_FASTCALL | METH_KEYWORDS): by position and by name, with exact checks.
//
// Types    A wrong type is a TypeError that names the argument. A number out of range becomes one that the engine
//          refuses, so that the rules, and their order, stand in one place.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "bindings/errors.hpp"

namespace grantwheel::bindings {

// Which of the names an object is; their number when it is none. Most are the same object.
[[nodiscard]] std::size_t place_of(std::span<PyObject* const> names, PyObject* name) noexcept;

// What a fast call takes, as Parameters keep it.
struct Signature {
    const char* function;
    std::span<PyObject* const> names;
    std::size_t required;
    std::size_t positional;
};

// Names as objects, for the life of the process: null until somebody has needed them. Not the value of a static, for which
// others would wait with the GIL while it is made.
using InternedNames = std::atomic<PyObject* const*>;
void intern_names(InternedNames& interned, std::span<const char* const> names);

// Puts the arguments into `values`, one per name; null when left out. TypeError when they do not fit.
void read_arguments(const Signature& signature, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                    std::span<PyObject*> values);

// The parameters of one fast call: names in order, how many must be given, and how many may be given by position.
template <std::size_t size, std::size_t required, std::size_t positional = required>
class Parameters {
public:
    constexpr Parameters(const char* function, const std::array<const char*, size>& names)
        : function_(function), names_(names) {}

    // The arguments, one per parameter; null when left out. TypeError when they do not fit.
    [[nodiscard]] std::array<PyObject*, size> read(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
        std::array<PyObject*, size> values{};
        if (keywords == nullptr && count == static_cast<Py_ssize_t>(positional)) {
            std::copy_n(arguments, positional, values.begin());
        } else {
            if (interned_.load(std::memory_order_acquire) == nullptr) intern_names(interned_, names_);
            const std::span names(interned_.load(std::memory_order_relaxed), size);
            read_arguments({function_, names, required, positional}, arguments, count, keywords, values);
        }
        return values;
    }

private:
    const char* function_;
    std::array<const char*, size> names_;
    InternedNames interned_{nullptr};
};

// The int of anything with __index__; null for what is no integer, as an array whose __index__ is a TypeError. What else
// it raises is the caller's own.
[[nodiscard]] py::object to_index(PyObject* value);
// Whether it is an int of one digit, and of no class derived from int, as most are; and its value.
#if PY_VERSION_HEX >= 0x030C0000
[[nodiscard]] inline bool is_small_int(PyObject* value) noexcept {
    return PyLong_CheckExact(value) && PyUnstable_Long_IsCompact(reinterpret_cast<PyLongObject*>(value)) != 0;
}
[[nodiscard]] inline std::int64_t small_int(PyObject* value) noexcept {
    return PyUnstable_Long_CompactValue(reinterpret_cast<PyLongObject*>(value));
}
#else
[[nodiscard]] inline bool is_small_int(PyObject* value) noexcept {
    return PyLong_CheckExact(value) && Py_SIZE(value) == 1;
}
[[nodiscard]] inline std::int64_t small_int(PyObject* value) noexcept {
    return reinterpret_cast<PyLongObject*>(value)->ob_digit[0];
}
#endif
// The int of anything with __index__ but bools; beyond 64 bits the nearest.
[[nodiscard]] std::int64_t to_int64_slowly(PyObject* value, const char* name);
[[nodiscard]] inline std::int64_t to_int64(PyObject* value, const char* name) {
    return is_small_int(value) ? small_int(value) : to_int64_slowly(value, name);
}
// From a number: values that no request may have become ones that the engine refuses.
[[nodiscard]] inline Mask mask_from(std::int64_t value) noexcept {
    return value >= 0 && value <= UINT32_MAX ? static_cast<Mask>(value) : UINT32_MAX;
}
[[nodiscard]] inline std::uint64_t timeout_from(std::int64_t value) noexcept {
    return value >= 0 ? static_cast<std::uint64_t>(value) : UINT64_MAX;
}
[[nodiscard]] inline std::int32_t level_from(std::int64_t value) noexcept {
    return value >= default_level && value <= max_level ? static_cast<std::int32_t>(value) : max_level + 1;
}
// The same from an int.
[[nodiscard]] inline Mask to_mask(PyObject* value, const char* name) { return mask_from(to_int64(value, name)); }
[[nodiscard]] inline std::uint64_t to_timeout(PyObject* value, const char* name) {
    return timeout_from(to_int64(value, name));
}
// No level when left out.
[[nodiscard]] inline std::int32_t to_level(PyObject* value, const char* name) {
    return value == nullptr ? default_level : level_from(to_int64(value, name));
}

// At most so many; None for no limit. ValueError below 0.
[[nodiscard]] std::size_t to_limit(PyObject* value, const char* name);

// A uid or a pid, 0 to `most`. Refusal out of range.
[[nodiscard]] std::uint32_t to_key(const py::object& value, const char* name, std::int64_t most);
// The bit of one type. ValueError for another mask.
[[nodiscard]] Mask to_one_type(const py::object& value);

[[noreturn]] void raise_type(const char* name, const char* expected, PyObject* value);
// A bool and nothing else; `otherwise` when left out.
[[nodiscard]] inline bool to_bool(PyObject* value, const char* name, bool otherwise) {
    if (value == nullptr) return otherwise;
    if (!PyBool_Check(value)) raise_type(name, "a bool", value);
    return value == Py_True;
}
// The UTF-8 of a str, as long as it lives; nothing when it cannot be encoded.
[[nodiscard]] std::optional<std::string_view> utf8_of(PyObject* text);
// The same of what must be a str. One that cannot be encoded is refused with `unencodable`.
[[nodiscard]] std::string_view to_given_text(PyObject* value, const char* name, Status unencodable);
// The same; empty when left out.
[[nodiscard]] inline std::string_view to_text(PyObject* value, const char* name,
                                              Status unencodable = Status::parcel_failed) {
    return value == nullptr ? std::string_view() : to_given_text(value, name, unencodable);
}

// A caller as Python gave it. Its bundle lives as long as this.
struct CallerArgument {
    bool given = false;
    Caller caller{};
    py::object bundle{};

    CallerArgument() noexcept {}  // member by member: larger values that hold it are slower to clear as a whole

    // The caller of a call whose uid and pid are arguments of its own.
    [[nodiscard]] Caller as(std::int64_t uid, std::int64_t pid) const noexcept {
        Caller result = caller;
        result.uid = uid;
        result.pid = pid;
        return result;
    }
};

[[nodiscard]] CallerArgument to_given_caller(PyObject* value, Status unencodable);
// A grantwheel.Caller; null and None stand for "not given".
[[nodiscard]] inline CallerArgument to_caller(PyObject* value, Status unencodable = Status::parcel_failed) {
    return value == nullptr || value == Py_None ? CallerArgument{} : to_given_caller(value, unencodable);
}

}  // namespace grantwheel::bindings
