#include "core/eight.hpp"

#include <array>

#include "support.hpp"

namespace grantwheel::test {

namespace {

using Numbers = std::array<std::uint32_t, 8>;

template <typename Some>
Numbers numbers_of(const Some& eight) {
    Numbers numbers{};
    eight.store(numbers.data());
    return numbers;
}

// What each way of working on eight numbers answers is what the other does, whatever the numbers.
void compare(const Numbers& left, const Numbers& right) {
    const PlainEight plain_left = PlainEight::load(left.data());
    const PlainEight plain_right = PlainEight::load(right.data());
    const Eight own_left = Eight::load(left.data());
    const Eight own_right = Eight::load(right.data());
    REQUIRE_QUIETLY(numbers_of(own_left & own_right) == numbers_of(plain_left & plain_right));
    REQUIRE_QUIETLY(numbers_of(own_left | own_right) == numbers_of(plain_left | plain_right));
    REQUIRE_QUIETLY(numbers_of(own_left + own_right) == numbers_of(plain_left + plain_right));
    REQUIRE_QUIETLY(numbers_of(own_left - own_right) == numbers_of(plain_left - plain_right));
    REQUIRE_QUIETLY(numbers_of(own_left.without(own_right)) == numbers_of(plain_left.without(plain_right)));
    REQUIRE_QUIETLY(own_left.equal(own_right).which() == plain_left.equal(plain_right).which());
    const PlainEight low(INT32_MAX);
    const Eight own_low(INT32_MAX);
    REQUIRE_QUIETLY((own_left & own_low).less(own_right & own_low).which() ==
                    (plain_left & low).less(plain_right & low).which());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(eight)

BOOST_AUTO_TEST_CASE(one_by_one_each_number_is_worked_on_for_itself) {
    const Numbers left{0, 1, 2, 3, 4, 5, UINT32_MAX, 7};
    const Numbers right{0, 3, 2, 1, 8, 5, 1, 9};
    const PlainEight some = PlainEight::load(left.data());
    const PlainEight others = PlainEight::load(right.data());
    BOOST_TEST((numbers_of(some & others) == Numbers{0, 1, 2, 1, 0, 5, 1, 1}));
    BOOST_TEST((numbers_of(some | others) == Numbers{0, 3, 2, 3, 12, 5, UINT32_MAX, 15}));
    BOOST_TEST((numbers_of(some + others) == Numbers{0, 4, 4, 4, 12, 10, 0, 16}));
    BOOST_TEST((numbers_of(some - PlainEight(1)) == Numbers{UINT32_MAX, 0, 1, 2, 3, 4, UINT32_MAX - 1, 6}));
    BOOST_TEST((numbers_of(some.without(others)) == Numbers{0, 0, 0, 2, 4, 0, UINT32_MAX - 1, 6}));
    BOOST_TEST(some.equal(others).which() == 0b0010'0101u);
    BOOST_TEST((some & PlainEight(15)).less(others).which() == 0b1001'0010u);
}

BOOST_AUTO_TEST_CASE(the_first_numbers_are_all_bits) {
    for (unsigned count = 0; count <= 8; ++count) {
        Numbers expected{};
        for (unsigned i = 0; i < count; ++i) expected[i] = UINT32_MAX;
        BOOST_TEST((numbers_of(PlainEight::first(count)) == expected));
        BOOST_TEST((numbers_of(Eight::first(count)) == expected));
        BOOST_TEST(Eight::first(count).which() == (1u << count) - 1);
    }
}

BOOST_AUTO_TEST_CASE(both_ways_answer_the_same) {
    Random random(20'261'129);
    for (int round = 0; round < 10'000; ++round) {
        Numbers left{};
        Numbers right{};
        for (std::size_t i = 0; i < left.size(); ++i) {
            // Close numbers too, and those at the ends.
            left[i] = random.one_in(3) ? UINT32_MAX - random.below32(3) : random.below32(8) << random.below32(29);
            right[i] = random.one_in(2) ? left[i] : random.below32(8) << random.below32(29);
        }
        compare(left, right);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
