// Keys in order: the same in whichever pieces they are taken.
#include "core/sorter.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "support.hpp"

namespace grantwheel::test {

BOOST_AUTO_TEST_SUITE(sorter)

BOOST_AUTO_TEST_CASE(keys_come_in_order_whatever_their_number_and_the_pieces) {
    Sorter sorter;
    BOOST_REQUIRE(sorter.reserve(40'000));
    Random random(61);
    for (const std::size_t count : {0u, 1u, 2u, 255u, 256u, 257u, 8191u, 8192u, 8193u, 16'384u, 16'385u, 40'000u}) {
        BOOST_TEST_CONTEXT(count << " keys") {
            std::set<std::uint64_t> keys;
            while (keys.size() < count) keys.insert(random.next());
            std::vector<std::uint64_t> shuffled(keys.begin(), keys.end());
            for (std::size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[random.below(i)]);
            sorter.open();
            for (const std::uint64_t key : shuffled) sorter.add(key);
            std::vector<std::uint64_t> taken;
            while (!sorter.empty()) {
                const auto page = sorter.page();
                BOOST_REQUIRE(!page.empty());
                const std::size_t size = random.one_in(3) ? page.size() : random.below(page.size() + 1);
                taken.insert(taken.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(size));
                sorter.drop(size);
                if (!random.one_in(50)) continue;
                std::set<std::uint64_t> left;
                sorter.for_each([&](std::uint64_t key) { left.insert(key); });
                REQUIRE_EQUAL_QUIETLY(left.size() + taken.size(), count);
                REQUIRE_QUIETLY(left.empty() || taken.empty() || *left.begin() > taken.back());
            }
            BOOST_CHECK(sorter.page().empty());
            BOOST_CHECK(std::equal(taken.begin(), taken.end(), keys.begin(), keys.end()));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_has_come_but_is_not_in_order_yet_is_counted_too) {
    Sorter sorter;
    BOOST_REQUIRE(sorter.reserve(10'000));
    sorter.open();
    std::size_t seen = 0;
    for (std::uint64_t key = 9000; key != 0; --key) sorter.add(key);
    sorter.for_each([&](std::uint64_t) { ++seen; });
    BOOST_CHECK_EQUAL(seen, 9000u);
    BOOST_CHECK_EQUAL(sorter.page().front(), 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
