// Letting go of the GIL, and running Python, in threads that the interpreter may end.
//
// No GIL          Where CPython is free-threaded, a thread that has "the GIL" is one that the garbage collector stops at
//                 the next opportunity, and waits for until then. So it waits for no lock of ours with it there either.
// End of Python   Until 3.14 a daemon thread that takes the GIL while the interpreter goes down is ended by
//                 pthread_exit, which unwinds its stack: a noexcept function on the way ends the process, and a destructor
//                 would touch Python's objects without the GIL. So such a thread stays where it is, as it does from 3.14 on.
#pragma once

#include <pybind11/pybind11.h>

#include <cxxabi.h>

#include <utility>

#include "grantwheel/clock.hpp"
#include "grantwheel/polite_mutex.hpp"

namespace grantwheel::bindings {

namespace py = pybind11;

// Whether a thread has the GIL.
enum class Gil { held, released };

// Whether other threads run Python while one does, and may replace what it has only borrowed.
#ifdef Py_GIL_DISABLED
inline constexpr bool others_run = true;
#else
inline constexpr bool others_run = false;
#endif

// What the GIL guards where there is one, so that it is nothing there; a free-threaded CPython needs a mutex. Nothing may
// run Python, let go of an object or take another lock while it is held. Whoever waits for it can be stopped meanwhile, as
// the garbage collector stops all threads.
class GilOrMutex {
public:
    GilOrMutex() = default;
    GilOrMutex(const GilOrMutex&) = delete;
    GilOrMutex& operator=(const GilOrMutex&) = delete;

#ifdef Py_GIL_DISABLED
    void lock() noexcept { PyMutex_Lock(&mutex_); }
    void unlock() noexcept { PyMutex_Unlock(&mutex_); }

private:
    PyMutex mutex_{};
#else
    static void lock() noexcept {}
    static void unlock() noexcept {}
#endif
};

[[noreturn]] void stay_for_ever() noexcept;

// For functions that catch the end of a thread: it has no value that a reference could be bound to, which the sanitizers
// of undefined behaviour, that come with the one of addresses here, would mind.
#ifdef __SANITIZE_ADDRESS__
#define GRANTWHEEL_CATCHES_END __attribute__((noinline, no_sanitize("null")))
#else
#define GRANTWHEEL_CATCHES_END
#endif

// Calls what runs Python or takes the GIL: plain functions of CPython's, as nothing is left of Python's that a destructor
// could touch.
template <typename Work>
GRANTWHEEL_CATCHES_END decltype(auto) as_python(Work&& work) {
#ifdef __GLIBCXX__
    try {
        return std::forward<Work>(work)();
    } catch (const abi::__forced_unwind&) {
        stay_for_ever();
    }
#else
    return std::forward<Work>(work)();
#endif
}

// Calls an object, and a method of one.
template <typename... Arguments>
py::object call(py::handle callable, const Arguments&... arguments) {
    const py::tuple values = py::make_tuple(arguments...);
    PyObject* const answer = as_python([&] { return PyObject_CallObject(callable.ptr(), values.ptr()); });
    if (answer == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(answer);
}
template <typename... Arguments>
py::object call_method(py::handle object, const char* name, const Arguments&... arguments) {
    PyObject* const method = as_python([&] { return PyObject_GetAttrString(object.ptr(), name); });
    if (method == nullptr) throw py::error_already_set();
    return call(py::reinterpret_steal<py::object>(method), arguments...);
}

// Does the work without the GIL. It must have given back all locks when it returns or throws.
template <typename Work>
auto without_gil(Work&& work) {
    PyThreadState* const thread = PyEval_SaveThread();
    const auto take_gil = [thread] { as_python([thread] { PyEval_RestoreThread(thread); }); };
    try {
        auto answer = work();
        take_gil();
        return answer;
    } catch (...) {
        take_gil();
        throw;
    }
}

// Lets other threads have the GIL now and then, in long work with it. Not at every chance: who waits asks for it when it
// has not been let go of for the switch interval of the interpreter, 5 ms by default, and is put off by each time that it
// was.
class GilOffers {
public:
    void offer() {
        if (monotonic_now() - last_ < interval_ms) return;
        without_gil([] { return true; });
        last_ = monotonic_now();
    }

private:
    static constexpr Instant interval_ms = 6;

    Instant last_ = monotonic_now();
};

// Whether the interpreter is going down: nobody but the thread that ends it will run Python again.
[[nodiscard]] bool is_python_ending() noexcept;
// Tries for a second; then Refusal: whoever is in the way may stay for ever.
void wait_at_the_end(bool (*try_it)(void* context), void* context);

// Takes a mutex that another thread has, and waits for it without the GIL. When the interpreter is going down, whoever has
// it may stay for ever: then Refusal after a second.
//
// Until it has the GIL again nobody else can have the mutex; but those who want it wait without the GIL, or have none.
template <typename Mutex>
GRANTWHEEL_CATCHES_END void wait_for(Mutex& mutex, Gil gil) {
    if (gil == Gil::released) return mutex.lock();
    if (is_python_ending()) {
        return wait_at_the_end([](void* context) { return static_cast<Mutex*>(context)->try_lock(); }, &mutex);
    }
    PyThreadState* const thread = PyEval_SaveThread();
    mutex.lock();
    try {
        PyEval_RestoreThread(thread);
#ifdef __GLIBCXX__
    } catch (const abi::__forced_unwind&) {
#else
    } catch (...) {
#endif
        mutex.unlock();
        stay_for_ever();
    }
}

}  // namespace grantwheel::bindings
