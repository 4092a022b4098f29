// The canonical order: what ends at one instant ends by owner, whatever drives an engine, and in which slices.
#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include "support.hpp"

namespace grantwheel::test {

namespace {

std::string order_of(std::vector<Event> events) {
    const auto place = [](const Event& event) {
        const bool is_app = event.kind == EventKind::app_reset;
        return std::tuple(event.time, is_app, is_app ? event.uid : event.pid);
    };
    const auto wrong = std::is_sorted_until(events.begin(), events.end(), [&](const Event& left, const Event& right) {
        return place(left) < place(right);
    });
    return wrong == events.end() ? "in order" : describe(*wrong);
}

std::vector<Event> all_events(const Engine& engine, std::uint64_t after) {
    std::vector<Event> events(engine.last_sequence() - after);
    events.resize(engine.read(after, events).count);
    return events;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(order)

BOOST_AUTO_TEST_CASE(what_is_due_at_once_ends_in_order_in_slices_of_any_size) {
    for (const std::size_t budget : {1u, 7u, 300u, 5000u, 100'000u}) {
        BOOST_TEST_CONTEXT("budget " << budget) {
            const std::uint32_t count = budget < 100 ? 400 : 20'000;
            const auto engine = Engine::create({.event_capacity = 65'536});
            Random random(62);
            for (std::uint32_t i = 0; i < count; ++i) {
                const std::uint32_t key = i * 7919 % count;
                const Command command = random.one_in(2) ? timed(key, GPS, 4096) : timed_process(key, key, 4096);
                BOOST_REQUIRE_EQUAL(engine->execute(command, 0).status, Status::ok);
            }
            const std::uint64_t before = engine->last_sequence();
            std::size_t slices = 0;
            for (bool more = true; more; ++slices) {
                const AdvanceResult result = engine->advance(5000, budget);
                REQUIRE_QUIETLY(result.records <= budget);
                more = result.more;
                if (slices % 64 == 0) check_valid(*engine);
            }
            BOOST_CHECK_LE(slices, 4 * (count / budget + 1));
            const std::vector<Event> events = all_events(*engine, before);
            BOOST_CHECK_EQUAL(events.size(), count);
            BOOST_CHECK_EQUAL(order_of(events), "in order");
        }
    }
}

// Rows that are being ended lose their records, or get others, or are settled by a call, before their turn comes.
BOOST_AUTO_TEST_CASE(changes_between_slices_keep_the_order_of_the_rest) {
    for (std::uint64_t seed = 63; seed < 75; ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Host host({.event_capacity = 8192});
            Random random(seed);
            constexpr std::uint32_t count = 200;
            for (std::uint32_t i = 0; i < count; ++i) host.run(0, timed(i * 77 % count, GPS, 1000));
            Instant now = 1000;
            std::vector<Event> expired;
            std::uint64_t seen = host->last_sequence();
            std::set<std::uint32_t> touched;
            for (bool more = true; more;) {
                more = host->advance(now, 1 + random.below(20)).more;
                check_valid(*host);
                for (const Event& event : all_events(*host, seen)) {
                    if (!touched.contains(event.uid)) expired.push_back(event);
                }
                const std::uint32_t uid = random.below32(count);
                touched.insert(uid);
                switch (random.below(4)) {
                    case 0: host.run(now, release(uid, ALL)); break;
                    case 1: host.run(now, timed(uid, GPS, 1)); break;
                    case 2: host.run(now, timed(uid, AUDIO, 50'000)); break;
                    default: host.run(now, {.is_persist = true, .mask = GPS, .uid = uid}); break;
                }
                BOOST_CHECK(!more || host->wake_at() <= now);
                seen = host->last_sequence();
                now += random.below(2);
            }
            BOOST_CHECK_EQUAL(order_of(expired), "in order");
            BOOST_CHECK_GE(expired.size() + touched.size(), count);
            host.advance(now);
            BOOST_CHECK_LE(host.next_deadline(now), now + 50'000);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_limit_frees_one_record_at_a_time_whatever_the_wheel_has_seen) {
    const Limits limits{.max_records = 8, .event_capacity = 512};
    for (std::size_t budget = 0; budget < 12; ++budget) {
        BOOST_TEST_CONTEXT("budget " << budget) {
            Host host(limits);
            for (const std::uint32_t uid : {6u, 2u, 7u, 1u}) host.run(0, timed(uid, GPS, 1000));
            for (const std::uint32_t pid : {5u, 3u, 9u}) host.run(0, timed_process(50, pid, 1000));
            host.run(0, timed(8, GPS, 999));
            static_cast<void>(host->advance(1000, budget));
            check_valid(*host);
            const std::uint64_t ended = host->last_sequence() - 8;
            BOOST_CHECK_LE(ended, budget);
            host.events();
            std::vector<std::string> expected{"999 app_reset expired 8/0 32"};
            for (const char* pid : {"3", "5", "9"})
                expected.push_back(std::string("1000 process_reset expired 50/") + pid + " 1");
            for (const char* uid : {"1", "2", "6", "7"})
                expected.push_back(std::string("1000 app_reset expired ") + uid + "/0 32");
            for (std::size_t i = 0; i < expected.size(); ++i) {
                const auto uid = static_cast<std::uint32_t>(100 + i);
                host.run(1000, timed(uid, GPS, 5000));
                const std::string applied = "1000 app_apply apply " + std::to_string(uid) + "/0 32";
                BOOST_CHECK_EQUAL(host.events(), i < ended ? applied : expected.at(i) + "; " + applied);
            }
            BOOST_CHECK_EQUAL(host.attempt(1000, timed(200, GPS, 1)).status, Status::out_of_memory);
        }
    }
}

BOOST_AUTO_TEST_CASE(no_more_end_than_are_on_record) {
    Host host;
    for (const std::uint32_t uid : {3u, 1u, 2u}) host.run(0, timed(uid, GPS, 10));
    host.events();
    BOOST_CHECK_EQUAL(host->end(10, 2).records, 2u);
    BOOST_CHECK_EQUAL(host.events(), "10 app_reset expired 1/0 32; 10 app_reset expired 2/0 32");
    BOOST_CHECK_EQUAL(host->end(10, 0).records, 0u);
    BOOST_CHECK_EQUAL(host->end(9, 1).status, Status::time_backwards);
    BOOST_CHECK_EQUAL(host.events(), "");
    BOOST_CHECK_EQUAL(host->end(10, 2).records, 1u);  // only one is left
    BOOST_CHECK_EQUAL(host.events(), "10 app_reset expired 3/0 32");
    check_valid(*host);
}

BOOST_AUTO_TEST_CASE(a_look_ends_nothing_and_knows_in_slices_whether_anything_is_due) {
    for (const std::size_t budget : {1u, 3u, 1000u}) {
        BOOST_TEST_CONTEXT("budget " << budget) {
            Host host;
            const auto look = [&](Instant now) {
                for (std::size_t slices = 0;; ++slices) {
                    const Looked looked = host->look(now, budget);
                    check_valid(*host);
                    REQUIRE_EQUAL_QUIETLY(looked.status, Status::ok);
                    REQUIRE_QUIETLY(slices < 1000);
                    if (!looked.more) return looked.is_due;
                }
            };
            for (std::uint32_t uid = 0; uid < 50; ++uid) host.run(0, timed(uid, GPS, 70'000));
            for (std::uint32_t uid = 0; uid < 40; ++uid) host.run(1, timed(uid, GPS, 80'000));
            for (std::uint32_t uid = 45; uid < 50; ++uid) host.run(2, release(uid, GPS));
            host.events();
            BOOST_CHECK(!look(69'999));
            BOOST_CHECK(look(70'000));
            BOOST_CHECK_EQUAL(host.events(), "");
            BOOST_CHECK_EQUAL(host->last_sequence(), 55u);
            BOOST_CHECK_EQUAL(host->end(70'000, 3).records, 3u);
            BOOST_CHECK_EQUAL(host->end(70'000, 3).records, 2u);
            BOOST_CHECK(!look(70'000));
            BOOST_CHECK(!look(80'000));
            BOOST_CHECK(look(90'000));
            BOOST_CHECK_EQUAL(host->look(1, 9).status, Status::time_backwards);
            BOOST_CHECK_EQUAL(host.advance(90'000), 40u);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
