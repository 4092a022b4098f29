#include "bindings/gil.hpp"

#include <unistd.h>

#include "bindings/errors.hpp"

namespace grantwheel::bindings {

namespace {

// Whether the interpreter is going down: nobody but the thread that ends it will run Python again.
bool is_python_ending() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing() != 0;
#else
    return _Py_IsFinalizing() != 0;
#endif
}

void wait_at_the_end(PoliteMutex& mutex) {
    constexpr int tries = 1000;
    for (int i = 0; i < tries; ++i) {
        if (mutex.try_lock()) return;
        ::usleep(1000);
    }
    throw Refusal(Status::not_connected, "Python is going down, and another thread was in the middle of a call.");
}

}  // namespace

void stay_for_ever() noexcept {
    for (;;) ::pause();
}

// Until it has the GIL again nobody else can have the mutex; but those who want it wait without the GIL, or have none.
GRANTWHEEL_CATCHES_END void wait_for(PoliteMutex& mutex, Gil gil) {
    if (gil == Gil::released) return mutex.lock();
    if (is_python_ending()) return wait_at_the_end(mutex);
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
