// What a host gets beside the core: its clocks and its huge pages. The clocks are real ones, of which nothing is known
// but that they do not run backwards and which of them counts more.
#include "grantwheel/clock.hpp"
#include "grantwheel/pages.hpp"
#include "support.hpp"

namespace grantwheel::test {

BOOST_AUTO_TEST_SUITE(host)

BOOST_AUTO_TEST_CASE(clocks_go_forwards_within_the_range_of_instants) {
    for (Instant (*now)() noexcept : {boot_now, monotonic_now}) {
        const Instant first = now();
        const Instant second = now();
        BOOST_CHECK_GE(second, first);
        BOOST_CHECK_LE(second, max_now);
    }
}

BOOST_AUTO_TEST_CASE(the_boot_clock_counts_what_the_monotonic_clock_counts_and_more) {
    const Instant monotonic = monotonic_now();
    BOOST_CHECK_GE(boot_now(), monotonic);
}

BOOST_AUTO_TEST_CASE(an_engine_on_huge_pages_is_an_engine_like_others) {
    use_huge_pages();
    {
        Host host({.max_records = 200'000, .event_capacity = 8, .reserve = 200'000});
        for (std::uint32_t uid = 0; uid < 1000; ++uid) {
            if (host->execute({.mask = GPS, .uid = uid, .timeout_ms = 10}, 0).status != Status::ok) BOOST_FAIL(uid);
        }
        check_valid(*host);
        BOOST_CHECK_EQUAL(host.advance(10), 1000u);
    }
    set_block_source({nullptr, nullptr});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
