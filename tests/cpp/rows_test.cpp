#include "core/rows.hpp"

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr std::size_t chunk = Rows<std::uint32_t>::chunk_rows;

}  // namespace

BOOST_AUTO_TEST_SUITE(rows)

BOOST_AUTO_TEST_CASE(start_empty_without_memory) {
    const std::size_t before = allocations();
    Rows<int> values;
    values.touch(0);
    REQUIRE_QUIETLY(values.reserve(0));
    const std::size_t after = allocations();
    BOOST_CHECK_EQUAL(after, before);
    BOOST_CHECK_EQUAL(values.size(), 0u);
    BOOST_CHECK_EQUAL(values.capacity(), 0u);
}

BOOST_AUTO_TEST_CASE(grow_without_moving_what_is_there) {
    Rows<std::uint32_t> values;
    BOOST_REQUIRE(values.reserve(1));
    values.extend() = 7;
    const std::uint32_t* const first = &values[0];
    for (std::uint32_t row = 1; row < 5 * chunk + 3; ++row) {
        if (values.size() == values.capacity()) BOOST_REQUIRE(values.reserve(values.size() + 1));
        values.extend() = row * 3;
    }
    BOOST_CHECK_EQUAL(values.size(), 5 * chunk + 3);
    BOOST_CHECK_EQUAL(&values[0], first);
    BOOST_CHECK_EQUAL(values[0], 7u);
    for (std::uint32_t row = 1; row < values.size(); ++row) {
        if (values[row] != row * 3) BOOST_FAIL("row " << row);
    }
}

BOOST_AUTO_TEST_CASE(are_aligned_to_cache_lines_in_every_chunk) {
    Rows<Record> values;
    BOOST_REQUIRE(values.reserve(2 * chunk));
    for (std::size_t row = 0; row < 2 * chunk; ++row) values.extend() = {};
    for (const std::size_t row : {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, 2 * chunk - 1}) {
        BOOST_CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(&values[static_cast<Row>(row)]) % 64, 0u);
    }
}

BOOST_AUTO_TEST_CASE(reserved_rows_are_added_without_memory) {
    Rows<std::uint16_t> values;
    BOOST_REQUIRE(values.reserve(chunk + 1));
    BOOST_CHECK_GE(values.capacity(), chunk + 1);
    const std::size_t before = allocations();
    for (std::size_t row = 0; row < values.capacity(); ++row) values.extend() = 1;
    BOOST_CHECK_EQUAL(allocations(), before);
}

BOOST_AUTO_TEST_CASE(touching_the_free_places_keeps_the_rows) {
    Rows<std::uint32_t> values;
    BOOST_REQUIRE(values.reserve(2 * chunk));
    for (std::uint32_t row = 0; row < chunk + 5; ++row) {
        values.extend() = row + 1;
        if (row % chunk == 4) values.touch(2 * chunk);
    }
    BOOST_CHECK_EQUAL(values.size(), chunk + 5);
    for (std::uint32_t row = 0; row < values.size(); ++row) {
        if (values[row] != row + 1) BOOST_FAIL("row " << row);
    }
}

BOOST_AUTO_TEST_CASE(a_failed_allocation_changes_nothing) {
    for (std::size_t passed = 0; passed < 3; ++passed) {
        Rows<std::uint32_t> values;
        BOOST_REQUIRE(values.reserve(1));
        values.extend() = 5;
        {
            const FailingAllocation failing(passed);
            BOOST_CHECK(!values.reserve(3 * chunk));
            BOOST_CHECK(FailingAllocation::happened());
        }
        BOOST_CHECK_EQUAL(values.size(), 1u);
        BOOST_CHECK_EQUAL(values[0], 5u);
        BOOST_CHECK(values.reserve(3 * chunk));
        BOOST_CHECK_GE(values.capacity(), 3 * chunk);
        BOOST_CHECK_EQUAL(values[0], 5u);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
