// Reading the arguments of fast calls (METH_FASTCALL | METH_KEYWORDS): by position and by name, with exact checks.
//
// Types    A wrong type is a TypeError that names the argument. A number out of range becomes one that the engine refuses,
//          so that the rules, and their order, stand in one place.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>

#include "bindings/errors.hpp"

namespace grantwheel::bindings {

// The parameters of one fast call: names in order, how many of them may be given by position, how many must be given.
struct Signature {
    const char* function;
    const char* const* names;
    std::size_t count;
    std::size_t positional;
    std::size_t required;
};

// Puts the arguments into `values`, one per parameter; null when left out. TypeError when they do not fit.
void read_arguments(const Signature& signature, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                    PyObject** values);

template <std::size_t size>
struct Parameters {
    const char* function;
    std::array<const char*, size> names;
    std::size_t positional;
    std::size_t required;

    [[nodiscard]] std::array<PyObject*, size> read(PyObject* const* arguments, Py_ssize_t count,
                                                   PyObject* keywords) const {
        std::array<PyObject*, size> values{};
        if (keywords == nullptr && count == static_cast<Py_ssize_t>(required)) {
            for (std::size_t i = 0; i < required; ++i) values[i] = arguments[i];
        } else {
            read_arguments({function, names.data(), size, positional, required}, arguments, count, keywords,
                           values.data());
        }
        return values;
    }
};

// Anything with __index__; beyond 64 bits the nearest.
[[nodiscard]] std::int64_t to_int64(PyObject* value, const char* name);
[[nodiscard]] Mask to_mask(PyObject* value, const char* name);
[[nodiscard]] std::uint64_t to_timeout(PyObject* value, const char* name);
[[nodiscard]] std::int32_t to_level(PyObject* value, const char* name);
// The same from a number: values that no request may have become ones that the engine refuses.
[[nodiscard]] Mask mask_from(std::int64_t value) noexcept;
[[nodiscard]] std::uint64_t timeout_from(std::int64_t value) noexcept;

// A bool and nothing else; `otherwise` when left out.
[[nodiscard]] bool to_bool(PyObject* value, const char* name, bool otherwise);
// The UTF-8 of a str, as long as it lives; empty when left out. One that cannot be encoded is refused with `unencodable`.
[[nodiscard]] std::string_view to_text(PyObject* value, const char* name, Status unencodable = Status::parcel_failed);

// A caller as Python gave it. Its bundle lives as long as this.
struct CallerArgument {
    bool given = false;
    Caller caller{};
    py::object bundle{};

    // The caller of a call whose uid and pid are arguments of its own.
    [[nodiscard]] Caller as(std::int64_t uid, std::int64_t pid) const noexcept {
        Caller result = caller;
        result.uid = uid;
        result.pid = pid;
        return result;
    }
};

// A grantwheel.Caller; null and None stand for "not given".
[[nodiscard]] CallerArgument to_caller(PyObject* value, Status unencodable = Status::parcel_failed);

}  // namespace grantwheel::bindings
