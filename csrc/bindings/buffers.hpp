// Bytes as Python gives them.
#pragma once

#include <pybind11/pybind11.h>

#include <span>
#include <string>

#include "bindings/errors.hpp"

namespace grantwheel::bindings {

// After PyObject_GetBuffer has failed: TypeError for an object without such a buffer. Anything else, as that there is no
// memory, is no fault of the argument, and goes on.
[[noreturn]] inline void throw_for_buffer(const std::string& rule) {
    const py::error_already_set error;
    if (!error.matches(PyExc_TypeError) && !error.matches(PyExc_BufferError)) throw error;
    throw py::type_error(rule);
}

// The bytes of an object with a contiguous buffer, while this lives. TypeError for any other object.
class ByteBuffer {
public:
    ByteBuffer(PyObject* object, const char* name) {
        if (PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) == 0) return;
        throw_for_buffer(std::string(name) + " must be bytes, or a buffer of them");
    }
    ~ByteBuffer() { PyBuffer_Release(&view_); }
    ByteBuffer(const ByteBuffer&) = delete;
    ByteBuffer& operator=(const ByteBuffer&) = delete;

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
    }

private:
    Py_buffer view_{};
};

}  // namespace grantwheel::bindings
