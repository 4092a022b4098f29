#include "core/rows.hpp"

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr std::size_t chunk = Rows<std::uint32_t>::chunk_rows;

// Large blocks with a border behind each, which nobody may write to.
struct Bordered {
    static constexpr std::size_t border = 64;
    static inline std::size_t taken = 0;
    static inline bool is_whole = true;

    static void* take(std::size_t bytes) noexcept {
        void* const block = ::operator new(bytes + border, std::align_val_t{64}, std::nothrow);
        if (block == nullptr) return nullptr;
        ++taken;
        std::memset(static_cast<char*>(block) + bytes, 'b', border);
        return block;
    }
    static void give(void* block, std::size_t bytes) noexcept {
        --taken;
        const std::string_view behind(static_cast<char*>(block) + bytes, border);
        is_whole = is_whole && behind == std::string(border, 'b');
        ::operator delete(block, std::align_val_t{64});
    }
};

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
    constexpr std::size_t records = Rows<Record>::chunk_rows;
    BOOST_REQUIRE(values.reserve(2 * records));
    for (std::size_t row = 0; row < 2 * records; ++row) values.extend() = {};
    for (const std::size_t row : {std::size_t{0}, std::size_t{2}, records - 2, records, 2 * records - 2}) {
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

BOOST_AUTO_TEST_CASE(touching_ends_with_each_chunk_and_chunks_are_given_back) {
    set_block_source({Bordered::take, Bordered::give});
    Bordered::is_whole = true;
    {
        Rows<std::uint32_t> values;
        BOOST_REQUIRE(values.reserve(4 * chunk));
        BOOST_CHECK_EQUAL(Bordered::taken, 3u);  // all but the first, which is an ordinary block
        for (std::size_t row = 0; row < chunk + 5; ++row) values.extend() = 1;
        values.touch(4 * chunk);
    }
    set_block_source({nullptr, nullptr});
    BOOST_CHECK_EQUAL(Bordered::taken, 0u);
    BOOST_CHECK(Bordered::is_whole);
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
