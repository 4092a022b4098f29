// Surveys: numbers of an instant that leave out what is due, in steps, while the engine may change.
#include "surveying.hpp"

#include "support.hpp"

namespace grantwheel::test {

BOOST_AUTO_TEST_SUITE(survey)

BOOST_AUTO_TEST_CASE(it_ends_nothing_and_leaves_out_what_is_due) {
    Host host;
    host.run(0, {.mask = GPS | AUDIO, .uid = 1, .timeout_ms = 10, .bundle = "one", .reason = "shared"});
    host.run(0, {.mask = GPS, .uid = 2, .timeout_ms = 20, .bundle = "two", .reason = "shared"});
    host.run(0, {.is_process = true, .mask = CPU, .uid = 2, .pid = 3, .timeout_ms = 10, .bundle = "two"});
    const std::uint64_t sequence = host->last_sequence();
    for (const std::size_t budget : {1u, 2u, 100u}) {
        const Surveyed found = surveyed(*host, 10, budget);
        BOOST_REQUIRE(found.is_done);
        BOOST_CHECK_EQUAL(found.stats.app_records, 1u);
        BOOST_CHECK_EQUAL(found.stats.process_records, 0u);
        BOOST_CHECK_EQUAL(found.stats.app_grants[5], 1u);
        BOOST_CHECK_EQUAL(found.stats.app_grants[6], 0u);
        BOOST_CHECK_EQUAL(found.stats.ended[static_cast<std::size_t>(Cause::expired)], 3u);
        BOOST_CHECK_EQUAL(found.stats.strings, 2u);  // "two" and "shared"
        BOOST_CHECK_EQUAL(found.stats.last_sequence, sequence);
        BOOST_CHECK_EQUAL(found.next, 20u);
    }
    BOOST_CHECK_EQUAL(surveyed(*host, 20, 1).stats.strings, 0u);
    BOOST_CHECK_EQUAL(surveyed(*host, 20, 1).next, no_deadline);
    BOOST_CHECK_EQUAL(host->last_sequence(), sequence);
    BOOST_CHECK_EQUAL(host->record_count(OwnerKind::app), 2u);
}

BOOST_AUTO_TEST_CASE(a_change_in_between_begins_it_anew) {
    Host host;
    for (std::uint32_t uid = 0; uid < 10; ++uid) host.run(0, timed(uid, GPS, 10 + uid));
    const auto survey = Survey::create(*host, Survey::What::stats, 12);
    BOOST_REQUIRE(survey != nullptr);
    BOOST_CHECK(survey->step(8).more);
    host.run(11, timed(1, GPS, 50));  // was due by 12
    std::size_t steps = 0;
    for (bool more = true; more; ++steps) {
        const Survey::Step step = survey->step(8);
        BOOST_REQUIRE_EQUAL(step.status, Status::ok);
        more = step.more;
    }
    BOOST_CHECK_EQUAL(steps, 2u);
    BOOST_CHECK_EQUAL(survey->stats().app_records, 8u);
    host.run(13, timed(2, GPS, 50));
    BOOST_CHECK_EQUAL(survey->step(8).status, Status::time_backwards);
}

BOOST_AUTO_TEST_CASE(nothing_is_looked_at_when_nothing_can_be_due) {
    Host host;
    for (std::uint32_t uid = 0; uid < 300; ++uid) host.run(0, timed(uid, GPS, 100'000));
    const auto survey = Survey::create(*host, Survey::What::stats, 5);
    const Survey::Step step = survey->step(0);
    BOOST_CHECK_EQUAL(step.status, Status::ok);
    BOOST_CHECK(!step.more);
    BOOST_CHECK_EQUAL(survey->stats().app_records, 300u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
