// From a status to a Python exception, and out of C++ with it.
#pragma once

#include <pybind11/pybind11.h>

#include <new>
#include <string>

#include "bindings/gil.hpp"
#include "grantwheel/types.hpp"
#include "host/descriptor.hpp"

namespace grantwheel::bindings {

namespace py = pybind11;

// A refusal on its way to Python. May be thrown without the GIL.
class Refusal {
public:
    // `sentence` stands after the documented message: it names the field and the rule of a parameter error. A refusal
    // with a `cause`, an exception object, is one of the GIL's.
    explicit Refusal(Status status, std::string sentence = {}, py::object cause = {})
        : status_(status), sentence_(std::move(sentence)), cause_(std::move(cause)) {}

    // What stands for the general rule of its status, where more is known: the field, or the limit.
    Refusal& with_rule(std::string rule) {
        rule_ = std::move(rule);
        return *this;
    }

    // It is about something that is sound and of a newer format.
    Refusal& as_newer() noexcept {
        is_newer_ = true;
        return *this;
    }

    // Sets it as the current Python exception: a BusinessError of the class of its public code, ValueError for an
    // instant.
    void restore() const;
    [[nodiscard]] Status status() const noexcept { return status_; }
    // The same as an exception object.
    [[nodiscard]] py::object exception() const;

private:
    Status status_;
    std::string sentence_;
    std::string rule_{};
    py::object cause_;
    bool is_newer_ = false;
};

inline void check(Status status) {
    if (status != Status::ok) throw Refusal(status);
}
inline Mask mask_or_throw(const Result& result) {
    check(result.status);
    return result.mask;
}

// Sets what is being handled as the current Python exception. Must be called in a catch block, with the GIL.
void restore_current_exception() noexcept;

// Whether an exception comes from outside, as Ctrl-C does, and has to go on to whoever waits for it. SystemExit does not:
// it is a hook that has raised it, which has no say in when a thread exits.
[[nodiscard]] inline bool is_interrupt(const py::error_already_set& error) {
    return !error.matches(PyExc_Exception) && !error.matches(PyExc_SystemExit);
}
// Has an interrupt that came in the middle of something raised in this thread soon after the call.
inline void raise_afterwards(const py::error_already_set& interrupt) {
    static_cast<void>(PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), interrupt.type().ptr()));
}

// Logs a warning of the package: a text with what it is about, and an exception, unless that is null.
void log_warning(const py::tuple& words, const py::object& exception = {});
void log_error(const py::tuple& words, const py::object& exception = {});

// Runs the body of a C function of CPython's; exceptions become Python's, and the answer null.
template <typename Body>
PyObject* guarded(Body&& body) noexcept {
    try {
        return as_python(body);
    } catch (...) {
        restore_current_exception();
        return nullptr;
    }
}

// A name, interned for the life of the process.
[[nodiscard]] inline PyObject* interned(const char* name) {
    PyObject* const made = PyUnicode_InternFromString(name);
    if (made == nullptr) throw py::error_already_set();
    return made;
}

// Makes BusinessError and its subclasses, and the lists STATUSES and PUBLIC_CODES.
void bind_errors(py::module_& module);

}  // namespace grantwheel::bindings
