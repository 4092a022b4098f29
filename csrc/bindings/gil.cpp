#include "bindings/gil.hpp"

#include <unistd.h>

#include "bindings/errors.hpp"

namespace grantwheel::bindings {

bool is_python_ending() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing() != 0;
#else
    return _Py_IsFinalizing() != 0;
#endif
}

void wait_at_the_end(bool (*try_it)(void* context), void* context) {
    constexpr int tries = 1000;
    for (int i = 0; i < tries; ++i) {
        if (try_it(context)) return;
        ::usleep(1000);
    }
    throw Refusal(Status::not_connected, "Python is going down, and another thread was in the middle of a call.");
}

void stay_for_ever() noexcept {
    for (;;) ::pause();
}

}  // namespace grantwheel::bindings
