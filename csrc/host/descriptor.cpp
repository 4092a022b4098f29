#include "host/descriptor.hpp"

#include <unistd.h>

#include <cerrno>

namespace grantwheel {

Descriptor::~Descriptor() {
    if (is_open()) ::close(number_);
}

Descriptor opened(int number) {
    if (number < 0) throw FailedSystemCall{errno};
    return Descriptor(number);
}

}  // namespace grantwheel
