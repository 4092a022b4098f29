// Counts what the test program asks of `operator new`, and makes it fail on demand: tests/allocations, as the tests in
// C++ use it.
#pragma once

#include <cstddef>

#include "../allocations/allocations.h"

namespace grantwheel::test {

// How often memory was asked for since the program began. A BOOST_CHECK may do so too, as the logger pleases.
[[nodiscard]] inline std::size_t allocations() noexcept { return allocations_asked(); }

// While it lives, one allocation that may answer null does so: the one after `passed` others. Those that may throw are
// left alone.
class FailingAllocation {
public:
    explicit FailingAllocation(std::size_t passed) noexcept { fail_allocation(ALLOCATION_NOTHROW, passed); }
    ~FailingAllocation() { static_cast<void>(stop_failing(nullptr)); }
    FailingAllocation(const FailingAllocation&) = delete;
    FailingAllocation& operator=(const FailingAllocation&) = delete;

    // Whether it has come to that.
    [[nodiscard]] static bool happened() noexcept { return allocation_has_failed() != 0; }
};

}  // namespace grantwheel::test
