// Which process an object belongs to. In the child of a fork the locks of its parent may stay held for ever, and its
// descriptors are still the parent's too: what was made before the fork must be left alone there.
#pragma once

#include <atomic>

namespace grantwheel {

class Home {
public:
    Home() noexcept : forks_(forks()) {}
    // Whether the object was made in this process.
    [[nodiscard]] bool is_here() const noexcept { return forks_ == count.load(std::memory_order_relaxed); }

private:
    // How many forks lie between this process and the one that loaded the module; starts to count with the first call.
    [[nodiscard]] static unsigned forks() noexcept;

    inline static std::atomic<unsigned> count{0};
    unsigned forks_;
};

}  // namespace grantwheel
