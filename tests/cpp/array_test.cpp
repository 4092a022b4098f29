#include "core/array.hpp"

#include <cstdint>

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

BOOST_AUTO_TEST_SUITE(array)

BOOST_AUTO_TEST_CASE(starts_empty_without_memory) {
    const std::size_t before = allocations();
    const Array<int> values;
    BOOST_CHECK_EQUAL(allocations(), before);
    BOOST_CHECK_EQUAL(values.size(), 0u);
    BOOST_CHECK_EQUAL(values.capacity(), 0u);
    BOOST_CHECK(values.begin() == values.end());
}

BOOST_AUTO_TEST_CASE(keeps_its_elements_when_it_grows) {
    Array<std::uint64_t> values;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        REQUIRE_QUIETLY(values.reserve(values.size() + 1));
        values.push(i * i);
    }
    REQUIRE_EQUAL_QUIETLY(values.size(), 1000u);
    for (std::size_t i = 0; i < 1000; ++i) REQUIRE_EQUAL_QUIETLY(values[i], i * i);
}

BOOST_AUTO_TEST_CASE(doubles_so_that_many_pushes_cost_few_allocations) {
    const std::size_t before = allocations();
    Array<int> values;
    for (int i = 0; i < 1024; ++i) {
        REQUIRE_QUIETLY(values.reserve(values.size() + 1));
        values.push(i);
    }
    BOOST_CHECK_EQUAL(allocations() - before, 11u);
    BOOST_CHECK_EQUAL(values.capacity(), 1024u);
}

BOOST_AUTO_TEST_CASE(reserve_takes_what_is_asked_for_and_never_shrinks) {
    Array<int> values;
    REQUIRE_QUIETLY(values.reserve(100));
    BOOST_CHECK_EQUAL(values.capacity(), 100u);
    REQUIRE_QUIETLY(values.reserve(7));
    BOOST_CHECK_EQUAL(values.capacity(), 100u);
    BOOST_CHECK_EQUAL(values.size(), 0u);
}

BOOST_AUTO_TEST_CASE(is_aligned_to_cache_lines) {
    Array<char> values;
    for (std::size_t count = 1; count < 5000; count *= 3) {
        REQUIRE_QUIETLY(values.reserve(count));
        BOOST_CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(values.data()) % 64, 0u);
    }
}

BOOST_AUTO_TEST_CASE(resize_fills_with_the_value_and_keeps_the_rest) {
    Array<int> values;
    REQUIRE_QUIETLY(values.resize(2, 7));
    REQUIRE_QUIETLY(values.resize(5, 9));
    const std::vector<int> grown(values.begin(), values.end());
    BOOST_CHECK((grown == std::vector<int>{7, 7, 9, 9, 9}));
    REQUIRE_QUIETLY(values.resize(1, 0));
    REQUIRE_QUIETLY(values.resize(3, 4));
    const std::vector<int> again(values.begin(), values.end());
    BOOST_CHECK((again == std::vector<int>{7, 4, 4}));
}

BOOST_AUTO_TEST_CASE(clear_keeps_the_memory) {
    Array<int> values;
    REQUIRE_QUIETLY(values.resize(10, 1));
    values.clear();
    BOOST_CHECK_EQUAL(values.size(), 0u);
    BOOST_CHECK_EQUAL(values.capacity(), 10u);
}

BOOST_AUTO_TEST_CASE(moving_takes_everything_along) {
    Array<int> left;
    REQUIRE_QUIETLY(left.resize(3, 1));
    Array<int> right(std::move(left));
    BOOST_CHECK_EQUAL(left.size(), 0u);
    BOOST_CHECK_EQUAL(left.capacity(), 0u);
    BOOST_CHECK_EQUAL(right.size(), 3u);
    BOOST_CHECK_EQUAL(right[2], 1);
}

BOOST_AUTO_TEST_CASE(a_failed_allocation_changes_nothing) {
    Array<int> values;
    REQUIRE_QUIETLY(values.resize(4, 3));
    const int* const data = values.data();
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(!values.reserve(5));
        BOOST_CHECK(FailingAllocation::happened());
    }
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(!values.resize(5, 1));
    }
    BOOST_CHECK_EQUAL(values.data(), data);
    BOOST_CHECK_EQUAL(values.size(), 4u);
    BOOST_CHECK_EQUAL(values.capacity(), 4u);
    BOOST_CHECK(values.resize(5, 1));
}

BOOST_AUTO_TEST_CASE(a_size_beyond_the_address_space_is_refused) {
    Array<std::uint64_t> values;
    REQUIRE_QUIETLY(values.resize(1, 5));
    for (const std::size_t count : {SIZE_MAX, SIZE_MAX / 8, SIZE_MAX / 16 + 1}) {
        const std::size_t before = allocations();
        const bool reserved = values.reserve(count);
        const std::size_t after = allocations();
        BOOST_CHECK(!reserved);
        BOOST_CHECK_EQUAL(after, before);
    }
    BOOST_CHECK_EQUAL(values.size(), 1u);
    BOOST_CHECK_EQUAL(values[0], 5u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
