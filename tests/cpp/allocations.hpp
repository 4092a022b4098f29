// Counts what the test program asks of `operator new`, and makes it fail on demand. The operators are replaced in
// allocation_test.cpp.
#pragma once

#include <cstddef>

namespace grantwheel::test {

// How often memory was asked for since the program began. A BOOST_CHECK may do so too, as the logger pleases.
[[nodiscard]] std::size_t allocations() noexcept;

// While it lives, one allocation that may answer null does so: the one after `passed` others. Those that may throw are
// left alone.
class FailingAllocation {
public:
    explicit FailingAllocation(std::size_t passed) noexcept;
    ~FailingAllocation();
    FailingAllocation(const FailingAllocation&) = delete;
    FailingAllocation& operator=(const FailingAllocation&) = delete;

    // Whether it has come to that.
    [[nodiscard]] static bool happened() noexcept;
};

}  // namespace grantwheel::test
