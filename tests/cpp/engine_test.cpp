// The engine as a whole: reads, events for readers, counters, uids that lost CPU.
#include <algorithm>

#include "support.hpp"

namespace grantwheel::test {

namespace {

std::string text(std::span<const Owner> owners) {
    std::string joined;
    for (const Owner owner : owners) joined += (owner.kind == OwnerKind::app ? " a" : " p") + std::to_string(owner.key);
    return joined.empty() ? joined : joined.substr(1);
}

std::string owners(Host& host, Mask mask, std::size_t room, const Owner* after = nullptr) {
    std::vector<Owner> out(room);
    std::size_t count = 0;
    REQUIRE_EQUAL_QUIETLY(host->owners(mask, after, 0, out, count), Status::ok);
    return text(std::span(out).first(count));
}

std::string owners_of(Host& host, Instant now, std::uint32_t uid, std::size_t room, std::size_t expected_total) {
    std::vector<Owner> out(room);
    std::size_t total = 0;
    REQUIRE_EQUAL_QUIETLY(host->owners_of(uid, now, out, total), Status::ok);
    BOOST_CHECK_EQUAL(total, expected_total);
    return text(std::span(out).first(std::min(total, room)));
}

std::string ended(const Host& host) {
    std::string joined;
    for (const std::uint32_t uid : const_cast<Host&>(host)->cpu_ended()) joined += " " + std::to_string(uid);
    return joined.empty() ? joined : joined.substr(1);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(engine)

BOOST_AUTO_TEST_CASE(a_new_engine_holds_nothing) {
    Host host;
    BOOST_CHECK_EQUAL(host.app_mask(0, 0), 0u);
    BOOST_CHECK_EQUAL(host.process_mask(0, 0), 0u);
    BOOST_CHECK_EQUAL(host->last_sequence(), 0u);
    BOOST_CHECK_EQUAL(host->wake_at(), no_deadline);
    BOOST_CHECK_EQUAL(owners(host, ALL, 5), "");
    BOOST_CHECK_EQUAL(host.advance(max_now), 0u);
    check_valid(*host);
}

BOOST_AUTO_TEST_CASE(keys_at_the_ends_of_their_ranges_are_keys_like_others) {
    Host host;
    host.run(0, timed(0));
    host.run(0, timed(0xFFFF'FFFE));
    host.run(0, timed_process(0, 0));
    host.run(0, timed_process(0xFFFF'FFFE, 0x7FFF'FFFF));
    BOOST_CHECK_EQUAL(owners(host, ALL, 5), "a0 a4294967294 p0 p2147483647");
    BOOST_CHECK_EQUAL(host.run(0, release(0xFFFF'FFFE, ALL)), CPU | GPS);
    BOOST_CHECK_EQUAL(owners(host, ALL, 5), "a0 p0");
}

BOOST_AUTO_TEST_CASE(a_batch_is_worked_through_in_order) {
    Host host;
    for (const std::size_t count : {0u, 1u, 7u, 8u, 9u, 15u, 16u, 17u, 40u}) {
        std::size_t done = 0;
        const auto uid_of = [&](std::size_t i) {
            REQUIRE_QUIETLY(i < count);
            return static_cast<std::uint32_t>(i);
        };
        const auto mask_of = [&](std::size_t i) {
            REQUIRE_QUIETLY(i < count);
            return GPS;
        };
        for_each_prefetched(*host, count, uid_of, mask_of, [&](std::size_t i) { REQUIRE_EQUAL_QUIETLY(i, done++); });
        BOOST_CHECK_EQUAL(done, count);
    }
}

BOOST_AUTO_TEST_CASE(prefetching_is_for_any_uids_and_changes_nothing) {
    Host host;
    const std::array<std::uint32_t, 4> uids{0, 1, 77, 0xFFFF'FFFE};
    const auto prefetch_all = [&] {
        for (const std::uint32_t uid : uids) {
            host->prefetch_index(uid);
            host->prefetch_app(uid, ALL);
            host->prefetch_at_once(uid, ALL);
        }
    };
    prefetch_all();
    host.run(0, timed(1, GPS, 10));
    host.run(0, timed_process(77, 2));
    host.events();
    prefetch_all();
    check_valid(*host);
    BOOST_CHECK_EQUAL(host.events(), "");
    BOOST_CHECK_EQUAL(host.app_mask(0, 1), GPS);
}

BOOST_AUTO_TEST_CASE(find_names_the_owner_even_when_it_holds_nothing) {
    Host host;
    RecordView view;
    view.mask = 5;
    REQUIRE_EQUAL_QUIETLY(host->find({OwnerKind::process, 7}, 0, view), Status::ok);
    BOOST_CHECK_EQUAL(view.owner, (Owner{OwnerKind::process, 7}));
    BOOST_CHECK_EQUAL(view.mask, 0u);
    BOOST_CHECK_EQUAL(view.grant_count, 0);
}

BOOST_AUTO_TEST_CASE(owners_come_in_listing_order_by_pages) {
    Host host;
    for (const std::uint32_t uid : {5u, 1u, 9u, 3u, 7u}) host.run(0, timed(uid, uid == 9 ? AUDIO | GPS : GPS));
    for (const std::uint32_t pid : {6u, 2u, 4u}) host.run(0, timed_process(1, pid));
    const std::string all = "a1 a3 a5 a7 a9 p2 p4 p6";
    BOOST_CHECK_EQUAL(owners(host, ALL, 20), all);
    BOOST_CHECK_EQUAL(owners(host, ALL, 8), all);
    BOOST_CHECK_EQUAL(owners(host, ALL, 3), "a1 a3 a5");
    BOOST_CHECK_EQUAL(owners(host, ALL, 0), "");
    BOOST_CHECK_EQUAL(owners(host, CPU, 20), "p2 p4 p6");
    BOOST_CHECK_EQUAL(owners(host, AUDIO | CPU, 2), "a9 p2");
    BOOST_CHECK_EQUAL(owners(host, TIMER, 2), "");
    for (std::size_t room = 1; room <= 9; ++room) {
        std::string paged;
        std::vector<Owner> page(room);
        Owner last{};
        for (const Owner* after = nullptr;; after = &last) {
            std::size_t count = 0;
            REQUIRE_EQUAL_QUIETLY(host->owners(ALL, after, 0, page, count), Status::ok);
            if (count == 0) break;
            last = page[count - 1];
            paged += (paged.empty() ? "" : " ") + text(std::span(page).first(count));
            REQUIRE_QUIETLY(paged.size() <= all.size());
        }
        BOOST_CHECK_EQUAL(paged, all);
    }
    const Owner between{OwnerKind::app, 6};
    BOOST_CHECK_EQUAL(owners(host, ALL, 2, &between), "a7 a9");
}

BOOST_AUTO_TEST_CASE(owners_of_a_uid_are_its_app_then_its_processes_by_pid) {
    Host host;
    for (const std::uint32_t pid : {6u, 2u, 8u, 4u}) host.run(0, timed_process(1, pid, pid == 8 ? 10 : 100));
    BOOST_CHECK_EQUAL(owners_of(host, 0, 1, 9, 4), "p2 p4 p6 p8");
    host.run(0, timed(1));
    host.run(0, timed(2));
    BOOST_CHECK_EQUAL(owners_of(host, 0, 1, 9, 5), "a1 p2 p4 p6 p8");
    BOOST_CHECK_EQUAL(owners_of(host, 10, 1, 9, 4), "a1 p2 p4 p6");
    BOOST_CHECK_EQUAL(owners_of(host, 100, 1, 9, 0), "");
    BOOST_CHECK_EQUAL(owners_of(host, 0, 3, 9, 0), "");
}

BOOST_AUTO_TEST_CASE(owners_of_a_uid_go_as_far_as_there_is_room) {
    Host host;
    for (const std::uint32_t pid : {6u, 2u, 8u, 4u}) host.run(0, timed_process(1, pid));
    BOOST_CHECK_EQUAL(owners_of(host, 0, 1, 0, 4), "");
    BOOST_CHECK_EQUAL(owners_of(host, 0, 1, 1, 4), "p2");
    BOOST_CHECK_EQUAL(owners_of(host, 0, 1, 3, 4), "p2 p4 p6");
    host.run(0, timed(1));
    BOOST_CHECK_EQUAL(owners_of(host, 0, 1, 2, 5), "a1 p2");
}

BOOST_AUTO_TEST_CASE(counts_are_by_type) {
    Host host;
    host.run(0, timed(1, GPS | CPU));
    host.run(0, timed(2, GPS));
    host.run(0, timed_process(1, 5));
    std::size_t count = 0;
    const auto count_of = [&](Mask type) {
        REQUIRE_EQUAL_QUIETLY(host->count(type, 0, count), Status::ok);
        return count;
    };
    BOOST_CHECK_EQUAL(count_of(CPU), 2u);
    BOOST_CHECK_EQUAL(count_of(GPS), 2u);
    BOOST_CHECK_EQUAL(count_of(AUDIO), 0u);
}

BOOST_AUTO_TEST_CASE(most_owners_bounds_the_owners_those_that_are_due_included) {
    Host host;
    BOOST_CHECK_EQUAL(host->most_owners(ALL), 0u);
    host.run(0, timed(1, GPS, 10));
    host.run(0, timed(1, CPU, 20));
    host.run(0, timed_process(1, 5, 10));
    BOOST_CHECK_EQUAL(host->most_owners(ALL), 2u);
    BOOST_CHECK_EQUAL(host->most_owners(UINT32_MAX), 2u);
    BOOST_CHECK_EQUAL(host->most_owners(GPS), 1u);
    BOOST_CHECK_EQUAL(host->most_owners(CPU), 2u);
    BOOST_CHECK_EQUAL(host->most_owners(AUDIO), 0u);
    BOOST_CHECK_EQUAL(host->most_owners(0), 0u);
    BOOST_CHECK_EQUAL(host.app_mask(20, 1), 0u);
    BOOST_CHECK_EQUAL(host->most_owners(ALL), 2u);
    host.advance(10);
    BOOST_CHECK_EQUAL(host->most_owners(ALL), 1u);
    host.advance(20);
    BOOST_CHECK_EQUAL(host->most_owners(ALL), 0u);
}

BOOST_AUTO_TEST_CASE(owners_are_found_by_any_mask_wherever_their_row_is) {
    Host host;
    for (std::uint32_t uid = 0; uid < 23; ++uid) host.run(0, timed(uid, Mask{1} << uid % type_count));
    for (const Mask wanted : {CPU, SENSOR, CPU | SENSOR, GPS | AUDIO, ALL, ~TIMER, ALL & ~TIMER, Mask{UINT32_MAX},
                              Mask{0xFFFF'0001u}, Mask{0xFFFF'0000u}, Mask{0}}) {
        std::string expected;
        std::size_t count = 0;
        for (std::uint32_t uid = 0; uid < 23; ++uid) {
            if ((wanted >> uid % type_count & 1u) == 0) continue;
            expected += (expected.empty() ? "a" : " a") + std::to_string(uid);
            ++count;
        }
        BOOST_CHECK_EQUAL(owners(host, wanted, 30), expected);
        BOOST_CHECK_GE(host->most_owners(wanted), count);
    }
}

BOOST_AUTO_TEST_CASE(stats_count_grants_by_how_they_began_and_ended) {
    Host host;
    host.run(0, {.mask = CPU | GPS, .uid = 1, .timeout_ms = 10, .bundle = "b", .reason = "r"});
    host.run(0, {.mask = GPS | AUDIO, .uid = 1, .timeout_ms = 20, .bundle = "b", .reason = "s"});
    host.run(0, timed_process(1, 5, 30));
    Stats stats = host.stats(0);
    BOOST_CHECK_EQUAL(stats.app_records, 1u);
    BOOST_CHECK_EQUAL(stats.process_records, 1u);
    BOOST_CHECK_EQUAL(stats.app_grants[0], 1u);
    BOOST_CHECK_EQUAL(stats.app_grants[5], 1u);
    BOOST_CHECK_EQUAL(stats.process_grants[0], 1u);
    BOOST_CHECK_EQUAL(stats.process_grants[5], 0u);
    BOOST_CHECK_EQUAL(stats.granted, 4u);
    BOOST_CHECK_EQUAL(stats.renewed, 1u);
    BOOST_CHECK_EQUAL(stats.strings, 3u);
    BOOST_CHECK_EQUAL(stats.last_sequence, 3u);
    host.run(10, release(1, GPS));
    host.run(10, process_died(1, 5));
    host.run(10, {.is_process = true, .mask = CPU, .uid = 1, .pid = 5, .timeout_ms = 1});
    host.run(10, timed_process(2, 5));
    host.run(10, app_stopped(2));
    host.run(10, timed(3, GPS | AUDIO));
    host.run(10, reset_all(3, GPS));
    host.run(10, admin_reset_app(3, AUDIO));
    host.run(10, package_removed(1));
    stats = host.stats(10);
    const auto ended_by = [&](Cause cause) { return stats.ended[static_cast<std::size_t>(cause)]; };
    BOOST_CHECK_EQUAL(ended_by(Cause::apply), 0u);
    BOOST_CHECK_EQUAL(ended_by(Cause::release), 1u);
    BOOST_CHECK_EQUAL(ended_by(Cause::reset_all), 1u);
    BOOST_CHECK_EQUAL(ended_by(Cause::expired), 1u);
    BOOST_CHECK_EQUAL(ended_by(Cause::process_died), 1u);
    BOOST_CHECK_EQUAL(ended_by(Cause::app_stopped), 1u);
    BOOST_CHECK_EQUAL(ended_by(Cause::package_removed), 1u);
    BOOST_CHECK_EQUAL(ended_by(Cause::pid_reused), 1u);
    BOOST_CHECK_EQUAL(ended_by(Cause::admin), 1u);
    BOOST_CHECK_EQUAL(stats.granted, 8u);
    BOOST_CHECK_EQUAL(stats.app_records + stats.process_records + stats.strings, 0u);
}

BOOST_AUTO_TEST_CASE(a_reader_gets_every_event_once_in_order) {
    Host host;
    for (std::uint32_t uid = 0; uid < 10; ++uid) host.run(uid, timed(uid));
    for (std::size_t room = 1; room <= 11; ++room) {
        std::vector<Event> out(room);
        std::uint64_t last = 0;
        for (;;) {
            const EventsRead read = host->read(last, out);
            REQUIRE_EQUAL_QUIETLY(read.missed, 0u);
            for (std::size_t i = 0; i < read.count; ++i) {
                REQUIRE_EQUAL_QUIETLY(out[i].sequence, ++last);
                REQUIRE_EQUAL_QUIETLY(out[i].uid, last - 1);
            }
            if (read.count == 0) break;
        }
        BOOST_CHECK_EQUAL(last, 10u);
    }
}

BOOST_AUTO_TEST_CASE(a_reader_that_is_too_slow_is_told_how_many_it_missed) {
    for (const std::uint32_t capacity : {1u, 2u, 3u, 7u}) {
        Host host({.event_capacity = capacity});
        for (std::uint32_t uid = 0; uid < 20; ++uid) {
            const std::string bundle = "bundle " + std::to_string(uid);
            host.run(0, {.mask = GPS, .uid = uid, .timeout_ms = 9, .bundle = bundle});
            for (std::uint64_t after = 0; after <= 25; ++after) {
                std::array<Event, 20> out;
                const EventsRead read = host->read(after, out);
                const std::uint64_t last = host->last_sequence();
                const std::uint64_t first = last > capacity ? last - capacity : 0;  // the number before the oldest
                REQUIRE_EQUAL_QUIETLY(read.missed, after < first ? first - after : 0);
                const std::uint64_t from = std::max(first, after);
                REQUIRE_EQUAL_QUIETLY(read.count, from < last ? last - from : 0);
                for (std::size_t i = 0; i < read.count; ++i) {
                    REQUIRE_EQUAL_QUIETLY(out[i].sequence, from + i + 1);
                    REQUIRE_EQUAL_QUIETLY(out[i].bundle, "bundle " + std::to_string(from + i));
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(reading_events_changes_nothing) {
    Host host({.event_capacity = 2});
    for (std::uint32_t uid = 0; uid < 4; ++uid) host.run(0, timed(uid));
    const EventsRead none = host->read(0, {});
    BOOST_CHECK_EQUAL(none.count, 0u);
    BOOST_CHECK_EQUAL(none.missed, 2u);
    BOOST_CHECK_EQUAL(host->read(UINT64_MAX, {}).missed, 0u);
    BOOST_CHECK_EQUAL(host.events(), "missed 2; 0 app_apply apply 2/0 32; 0 app_apply apply 3/0 32");
}

BOOST_AUTO_TEST_CASE(uids_whose_app_record_lost_cpu_are_told_for_one_call) {
    Host host;
    REQUIRE_QUIETLY(host->track_cpu_ended(true));
    for (const std::uint32_t uid : {5u, 3u, 8u}) host.run(0, timed(uid, CPU | GPS, uid == 8 ? 50 : 10));
    host.run(0, timed_process(3, 30, 10));
    BOOST_CHECK_EQUAL(ended(host), "");
    host.advance(10);
    BOOST_CHECK_EQUAL(ended(host), "3 5");
    host.advance(10);
    BOOST_CHECK_EQUAL(ended(host), "");
    host.run(11, release(8, GPS));
    BOOST_CHECK_EQUAL(ended(host), "");
    host.run(11, release(8, CPU));
    BOOST_CHECK_EQUAL(ended(host), "8");
    host.run(11, release(8, CPU));
    BOOST_CHECK_EQUAL(ended(host), "");
}

BOOST_AUTO_TEST_CASE(every_way_of_losing_app_cpu_is_told) {
    const auto ended_after = [](auto&& lose) {
        Host host;
        REQUIRE_QUIETLY(host->track_cpu_ended(true));
        host.run(0, timed(1, CPU, 10));
        host.run(0, timed(2, CPU, 10));
        host.run(0, timed_process(1, 5, 10));
        lose(host);
        return ended(host);
    };
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, release(1, ALL)); }), "1");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, release_process(1, 5, ALL)); }), "");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, process_died(1, 5)); }), "");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, reset_all(1, ALL)); }), "1");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, app_stopped(1)); }), "1");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, package_removed(1)); }), "1");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, admin_reset_app(2, CPU)); }), "2");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, admin_reset_process(5, CPU)); }), "");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(1, admin_reset_all()); }), "1 2");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(10, timed(2, CPU)); }), "2");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.run(10, release(1, ALL)); }), "1");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.stats(10); }), "1 2");
    BOOST_CHECK_EQUAL(ended_after([](Host& host) { host.next_deadline(10); }), "1 2");
}

BOOST_AUTO_TEST_CASE(an_apply_refused_at_a_limit_still_tells_whose_cpu_ran_out_on_the_way) {
    Host host({.max_records = 1, .event_capacity = 8});
    REQUIRE_QUIETLY(host->track_cpu_ended(true));
    host.run(0, timed(1, CPU, 10));
    host.run(0, {.is_persist = true, .mask = GPS, .uid = 1});
    BOOST_CHECK_EQUAL(host.attempt(10, timed(2)).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(ended(host), "1");
    BOOST_CHECK_EQUAL(host.attempt(10, timed(2)).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(ended(host), "");
}

BOOST_AUTO_TEST_CASE(uids_that_lost_cpu_are_only_kept_while_tracked) {
    Host host;
    host.run(0, timed(1, CPU));
    host.run(0, release(1, CPU));
    BOOST_CHECK_EQUAL(ended(host), "");
    host.run(0, timed(1, CPU));
    REQUIRE_QUIETLY(host->track_cpu_ended(true));
    host.run(0, release(1, CPU));
    BOOST_CHECK_EQUAL(ended(host), "1");
    REQUIRE_QUIETLY(host->track_cpu_ended(false));
    BOOST_CHECK_EQUAL(ended(host), "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
