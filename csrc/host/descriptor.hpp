// What the system knows by a number, and a call of the system that failed. Not thread-safe.
#pragma once

#include <utility>

namespace grantwheel {

// A system call that failed, on its way to whoever called: to Python's OSError, for one. May be thrown without the GIL, and
// with a lock: making an exception of Python's can run any code, as garbage may be collected.
struct FailedSystemCall {
    int error;  // as in errno
};

// A descriptor that is closed with its owner.
class Descriptor {
public:
    Descriptor() = default;
    // As a system call gave it; negative when that has failed.
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    Descriptor(Descriptor&& other) noexcept { *this = std::move(other); }
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_ = -1;
};

// The same, for those who can go on with one that is open only. Throws FailedSystemCall.
[[nodiscard]] Descriptor opened(int number);

}  // namespace grantwheel
