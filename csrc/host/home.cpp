#include "host/home.hpp"

#include <pthread.h>

namespace grantwheel {

unsigned Home::forks() noexcept {
    static const int counting =
        ::pthread_atfork(nullptr, nullptr, [] { count.fetch_add(1, std::memory_order_relaxed); });
    static_cast<void>(counting);
    return count.load(std::memory_order_relaxed);
}

}  // namespace grantwheel
