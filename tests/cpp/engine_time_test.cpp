// Expiry, the next deadline, and what an instant may be.
#include <algorithm>

#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr std::uint32_t longest = 0xFFFF'FFFF;

}  // namespace

BOOST_AUTO_TEST_SUITE(engine_time)

BOOST_AUTO_TEST_CASE(a_grant_ends_at_its_deadline_and_never_early) {
    for (const std::uint32_t timeout : {1u, 2u, 63u, 64u, 65u, 4095u, 4096u, 1'000'000u, longest}) {
        Host host;
        host.run(7, timed(1, GPS, timeout));
        const Instant deadline = Instant{7} + timeout;
        BOOST_CHECK_EQUAL(host.advance(deadline - 1), 0u);
        BOOST_CHECK_EQUAL(host.app_mask(deadline - 1, 1), GPS);
        BOOST_CHECK_EQUAL(host.app_mask(deadline, 1), 0u);
        BOOST_CHECK_EQUAL(host.advance(deadline), 1u);
        host.events();
        BOOST_CHECK_EQUAL(host.advance(deadline), 0u);
        BOOST_CHECK_EQUAL(host.events(), "");
    }
}

BOOST_AUTO_TEST_CASE(grants_of_a_record_due_at_one_instant_make_one_event) {
    Host host;
    host.run(0, timed(1, CPU | GPS, 10));
    host.run(5, timed(1, AUDIO, 5));
    host.run(5, timed(1, SENSOR, 6));
    host.events();
    BOOST_CHECK_EQUAL(host.advance(100), 4u);
    BOOST_CHECK_EQUAL(host.events(), "10 app_reset expired 1/0 97; 11 app_reset expired 1/0 256");
}

BOOST_AUTO_TEST_CASE(expiry_is_by_deadline_then_processes_then_keys) {
    Host host;
    const std::string expected =
        "9 app_reset expired 4294967294/0 1; 10 process_reset expired 7/0 1; 10 process_reset expired 7/3 1; "
        "10 process_reset expired 1/2147483647 1; 10 app_reset expired 0/0 1; 10 app_reset expired 3/0 1; "
        "10 app_reset expired 4294967294/0 32; 11 process_reset expired 1/1 1";
    host.run(0, timed(3, CPU, 10));
    host.run(0, timed(0xFFFF'FFFE, CPU, 9));
    host.run(0, timed(0xFFFF'FFFE, GPS, 10));
    host.run(0, timed_process(7, 3, 10));
    host.run(0, timed_process(1, 1, 11));
    host.run(0, timed_process(1, 0x7FFF'FFFF, 10));
    host.run(0, timed(0, CPU, 10));
    host.run(0, timed_process(7, 0, 10));
    host.events();
    BOOST_CHECK_EQUAL(host.advance(11), 8u);
    BOOST_CHECK_EQUAL(host.events(), expected);
}

BOOST_AUTO_TEST_CASE(expiry_of_the_app_leaves_its_processes) {
    Host host;
    host.run(0, timed(1, CPU, 10));
    host.run(0, timed_process(1, 5, 20));
    host.events();
    BOOST_CHECK_EQUAL(host.advance(15), 1u);
    BOOST_CHECK_EQUAL(host.events(), "10 app_reset expired 1/0 1");
    BOOST_CHECK_EQUAL(host.process_mask(15, 5), CPU);
}

BOOST_AUTO_TEST_CASE(small_budgets_end_the_same_in_slices) {
    for (const std::size_t budget : {1u, 2u, 3u, 7u, 100u}) {
        Host whole({.event_capacity = 4096});
        Host sliced({.event_capacity = 4096});
        Random random(91);
        for (std::uint32_t i = 0; i < 300; ++i) {
            // No two records end at the same instant: within one, slices may begin anew.
            const Command command = timed(i % 100, Mask{1} << random.below32(9), 1 + i * 1009 % 6007);
            whole.run(0, command);
            sliced.run(0, command);
        }
        const std::size_t expected = whole.advance(7000);
        std::size_t ended = 0;
        for (AdvanceResult result{Status::ok, 0, true}; result.more; ended += result.ended) {
            const std::uint64_t before = sliced->last_sequence();
            result = sliced->advance(7000, budget);
            check_valid(*sliced);
            REQUIRE_EQUAL_QUIETLY(result.status, Status::ok);
            REQUIRE_QUIETLY(sliced->last_sequence() - before <= budget);
        }
        BOOST_CHECK_EQUAL(ended, expected);
        BOOST_CHECK_EQUAL(sliced.events(), whole.events());
        BOOST_CHECK_EQUAL(sliced.stats(7000).app_records, 0u);
    }
}

BOOST_AUTO_TEST_CASE(records_due_at_one_instant_may_end_in_several_slices) {
    Host host;
    for (std::uint32_t uid = 0; uid < 10; ++uid) host.run(0, timed(uid, GPS, 5000));
    host.events();
    std::size_t slices = 0;
    std::size_t ended = 0;
    for (AdvanceResult result{Status::ok, 0, true}; result.more; ++slices) {
        result = host->advance(5000, 3);
        check_valid(*host);
        ended += result.ended;
        const std::string events = host.events();
        BOOST_CHECK_LE(std::count(events.begin(), events.end(), ';'), 2);
    }
    BOOST_CHECK_EQUAL(ended, 10u);
    BOOST_CHECK_LE(slices, 30u);
}

BOOST_AUTO_TEST_CASE(one_call_ends_records_of_one_instant_in_order_though_the_last_one_stopped_halfway) {
    for (std::size_t budget = 1; budget < 12; ++budget) {
        Host host;
        // The first instant of a slot of a higher level: what has been moved and what has not start together.
        for (const std::uint32_t uid : {2u, 4u, 1u, 3u, 0u}) host.run(0, timed(uid, GPS, 4096));
        static_cast<void>(host->advance(4096, budget));
        const std::uint64_t last = host->last_sequence();
        host.advance(4096);
        std::array<Event, 5> events;
        const auto rest = std::span(events).first(host->read(last, events).count);
        BOOST_CHECK(std::is_sorted(rest.begin(), rest.end(),
                                   [](const Event& left, const Event& right) { return left.uid < right.uid; }));
    }
}

BOOST_AUTO_TEST_CASE(a_budget_bounds_what_is_moved_too) {
    constexpr std::size_t count = 50;
    Host host;
    // All of them far enough ahead to wait in one slot, and to be moved out of it before they end.
    for (std::uint32_t uid = 0; uid < count; ++uid) host.run(0, timed(uid, GPS, 8192 + 64 + uid));
    std::size_t slices = 0;
    while (host->advance(10'000, 1).more) ++slices;
    BOOST_CHECK_GE(slices, 2 * count - 1);
    BOOST_CHECK_EQUAL(host.advance(10'000), 0u);
}

BOOST_AUTO_TEST_CASE(a_budget_bounds_a_record_that_ends_twice_within_a_slot_too) {
    Host host;
    host.run(0, timed(1, GPS, 8192 + 64));
    host.run(0, timed(1, AUDIO, 8192 + 65));
    host.events();
    for (const Instant at : {Instant{8192 + 64}, Instant{8192 + 65}}) {
        const AdvanceResult result = host->advance(10'000, 1);
        check_valid(*host);
        BOOST_CHECK_EQUAL(result.records, 1u);
        std::array<Event, 2> events;
        BOOST_CHECK_EQUAL(host->read(host->last_sequence() - 1, events).count, 1u);
        BOOST_CHECK_EQUAL(events[0].time, at);
    }
    BOOST_CHECK_EQUAL(host.advance(10'000), 0u);
    BOOST_CHECK_EQUAL(host.stats(10'000).app_records, 0u);
}

BOOST_AUTO_TEST_CASE(without_a_budget_nothing_ends_but_all_is_gone_for_readers) {
    Host host;
    host.run(0, timed(1, GPS, 10));
    host.events();
    const AdvanceResult result = host->advance(10, 0);
    BOOST_CHECK_EQUAL(result.ended, 0u);
    BOOST_CHECK(result.more);
    BOOST_CHECK_EQUAL(host.events(), "");
    BOOST_CHECK_EQUAL(host.app_mask(10, 1), 0u);
    BOOST_CHECK_EQUAL(host.app(10, 1), "nothing");
    const AdvanceResult nothing_due = Host()->advance(10, 0);
    BOOST_CHECK(!nothing_due.more);
}

BOOST_AUTO_TEST_CASE(a_renewed_record_does_not_end_at_its_old_deadline) {
    Host host;
    host.run(0, timed(1, CPU, 10));
    host.run(0, timed(1, GPS, 20));
    for (Instant now = 5; now < 500; now += 5) host.run(now, timed(1, CPU, 10));
    host.events();
    BOOST_CHECK_EQUAL(host.next_deadline(495), 505u);
    BOOST_CHECK_EQUAL(host.advance(504), 0u);
    BOOST_CHECK_EQUAL(host.advance(505), 1u);
    BOOST_CHECK_EQUAL(host.events(), "505 app_reset expired 1/0 1");
}

BOOST_AUTO_TEST_CASE(the_next_deadline_is_exact) {
    Host host;
    BOOST_CHECK_EQUAL(host.next_deadline(0), no_deadline);
    host.run(0, {.is_persist = true, .mask = CPU, .uid = 9});
    BOOST_CHECK_EQUAL(host.next_deadline(0), no_deadline);
    host.run(0, timed(1, CPU, 5000));
    host.run(0, timed(2, CPU, 5001));
    host.run(0, timed(2, GPS, 9000));
    BOOST_CHECK_EQUAL(host.next_deadline(0), 5000u);
    host.run(1, timed(1, CPU, 100'000));
    BOOST_CHECK_EQUAL(host.next_deadline(1), 5001u);
    host.run(1, timed(2, CPU, 8998));
    BOOST_CHECK_EQUAL(host.next_deadline(1), 8999u);
    host.run(1, {.is_persist = true, .mask = CPU, .uid = 2});
    BOOST_CHECK_EQUAL(host.next_deadline(1), 9000u);
    host.run(1, release(2, GPS));
    BOOST_CHECK_EQUAL(host.next_deadline(1), 100'001u);
    BOOST_CHECK_EQUAL(host.next_deadline(100'001), no_deadline);
    BOOST_CHECK_EQUAL(host->last_sequence(), 6u);
}

// A row keeps its timer when its record goes, and the next record finds it: later, earlier, in the past, or not used.
BOOST_AUTO_TEST_CASE(a_record_that_comes_to_the_timer_of_another_ends_on_time) {
    for (const std::uint32_t before : {1u, 50u, 300u, 100'000u, longest}) {
        for (const std::uint32_t after : {1u, 49u, 50u, 51u, 300u, 100'000u, longest}) {
            for (const Instant pause : {Instant{0}, Instant{40}, Instant{50}, Instant{1'000'000}, Instant{1} << 40}) {
                BOOST_TEST_CONTEXT(before << " ms, " << pause << " ms later " << after << " ms") {
                    Host host;
                    host.run(5, timed(1, GPS, before));
                    host.run(5, {.kind = CommandKind::release, .mask = GPS, .uid = 1});
                    BOOST_CHECK_EQUAL(host->wake_at(), no_deadline);
                    const Instant now = 5 + pause;
                    host.run(now, timed(2, AUDIO, after));
                    const Instant deadline = now + after;
                    BOOST_CHECK_LE(host->wake_at(), deadline);
                    BOOST_CHECK_EQUAL(host.app_mask(deadline - 1, 2), AUDIO);
                    BOOST_CHECK_EQUAL(host.next_deadline(now), deadline);
                    check_valid(*host);
                    BOOST_CHECK_EQUAL(host.advance(deadline - 1), 0u);
                    BOOST_CHECK_EQUAL(host.app_mask(deadline, 2), 0u);
                    BOOST_CHECK_EQUAL(host.advance(deadline), 1u);
                    check_valid(*host);
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_timer_that_is_of_no_use_any_more_ends_nothing) {
    Host host;
    host.run(0, timed(1, GPS, 10));
    host.run(0, {.is_persist = true, .mask = GPS, .uid = 1});  // its only deadline is gone
    host.run(0, timed(2, GPS, 10));
    host.run(1, {.kind = CommandKind::release, .mask = GPS, .uid = 2});
    host.run(2, {.is_persist = true, .mask = AUDIO, .uid = 3});  // comes to the row of 2
    host.events();
    BOOST_CHECK_EQUAL(host->wake_at(), no_deadline);
    BOOST_CHECK_EQUAL(host.next_deadline(3), no_deadline);
    BOOST_CHECK_EQUAL(host.advance(1000), 0u);
    BOOST_CHECK_EQUAL(host.events(), "");
    BOOST_CHECK_EQUAL(host.app_mask(1000, 1), GPS);
    BOOST_CHECK_EQUAL(host.app_mask(1000, 3), AUDIO);
    check_valid(*host);
    host.run(1000, timed(3, GPS, 5));
    BOOST_CHECK_EQUAL(host.next_deadline(1000), 1005u);
    BOOST_CHECK_EQUAL(host.advance(1005), 1u);
    BOOST_CHECK_EQUAL(host.app_mask(1005, 3), AUDIO);
}

BOOST_AUTO_TEST_CASE(wake_at_is_never_later_than_the_next_deadline) {
    Host host({.event_capacity = 4096});
    BOOST_CHECK_EQUAL(host->wake_at(), no_deadline);
    Random random(92);
    Instant now = 0;
    for (int step = 0; step < 1500; ++step) {
        const std::uint32_t uid = random.below32(20);
        const auto timeout = static_cast<std::uint32_t>(1 + random.magnitude(14));
        host.run(now, random.one_in(5) ? release(uid, ALL) : timed(uid, 1 + random.below32(511), timeout));
        const Instant before = host->wake_at();
        now += random.magnitude(8);
        if (before <= now) {
            while (host->advance(now, 3).more) REQUIRE_QUIETLY(host->wake_at() <= now);
        }
        // Whoever sleeps until wake_at and then advances misses nothing and does not spin.
        const Instant wake = host->wake_at();
        REQUIRE_QUIETLY(wake > now);
        if (random.one_in(4)) REQUIRE_QUIETLY(host.next_deadline(now) >= wake);
    }
}

BOOST_AUTO_TEST_CASE(a_driver_that_sleeps_until_wake_at_ends_everything_on_time) {
    Host host({.event_capacity = 4096});
    Random random(93);
    for (std::uint32_t uid = 0; uid < 200; ++uid) {
        host.run(0, timed(uid, GPS, static_cast<std::uint32_t>(1 + random.magnitude(31))));
    }
    std::uint64_t seen = host->last_sequence();
    std::size_t wakes = 0;
    for (Instant now = host->wake_at(); now != no_deadline; now = host->wake_at(), ++wakes) {
        host.advance(now);
        for (std::array<Event, 1> event; host->read(seen, event).count != 0; ++seen) {
            REQUIRE_EQUAL_QUIETLY(event[0].time, now);
        }
    }
    BOOST_CHECK_EQUAL(host.stats(max_now).app_records, 0u);
    BOOST_CHECK_LE(wakes, 200u * 6u);
}

BOOST_AUTO_TEST_CASE(time_may_jump_by_any_length) {
    for (unsigned bits = 0; bits <= 62; ++bits) {
        const Instant jump = Instant{1} << bits;
        Host host;
        host.run(0, timed(1, GPS, 1));
        host.run(0, timed(2, GPS, longest));
        host.run(0, {.is_persist = true, .mask = AUDIO, .uid = 3});
        host.events();
        const bool reaches_both = jump >= longest;
        BOOST_CHECK_EQUAL(host.advance(jump), reaches_both ? 2u : 1u);
        BOOST_CHECK_EQUAL(host.events(), std::string("1 app_reset expired 1/0 32") +
                                             (reaches_both ? "; 4294967295 app_reset expired 2/0 32" : ""));
        host.run(jump, timed(4, CPU, longest));
        BOOST_CHECK_EQUAL(host.app(jump, 4), "4/0: 1@" + std::to_string(jump + longest) + " 4294967295");
        BOOST_CHECK_EQUAL(host.next_deadline(jump), reaches_both ? jump + longest : longest);
        BOOST_CHECK_EQUAL(host.app_mask(jump, 3), AUDIO);
    }
}

BOOST_AUTO_TEST_CASE(the_last_instant_still_takes_grants_that_then_never_end) {
    Host host;
    host.run(max_now, timed(1, GPS, longest));
    host.run(max_now, timed(1, CPU, 1));
    host.run(max_now, timed(1, CPU, 2));
    BOOST_CHECK_EQUAL(host.app(max_now, 1), "1/0: 1@4611686018427387906 2 32@4611686022722355199 4294967295");
    BOOST_CHECK_EQUAL(host.next_deadline(max_now), max_now + 2);
    BOOST_CHECK_EQUAL(host.advance(max_now), 0u);
    BOOST_CHECK_EQUAL(host.run(max_now, release(1, ALL)), CPU | GPS);
}

BOOST_AUTO_TEST_CASE(time_backwards_or_out_of_range_changes_nothing) {
    Host host;
    host.run(100, timed(1, GPS, 50));
    const std::uint64_t sequence = host->last_sequence();
    for (const auto& [now, status] :
         {std::pair{Instant{99}, Status::time_backwards}, std::pair{Instant{0}, Status::time_backwards},
          std::pair{max_now + 1, Status::time_out_of_range},
          std::pair{Instant{UINT64_MAX}, Status::time_out_of_range}}) {
        std::array<Owner, 1> owners{};
        std::size_t count = 0;
        Instant deadline = 0;
        RecordView view;
        Stats stats;
        for (const CommandKind kind :
             {CommandKind::apply, CommandKind::release, CommandKind::reset_all, CommandKind::process_died,
              CommandKind::app_stopped, CommandKind::package_removed, CommandKind::admin_reset_all,
              CommandKind::admin_reset_app, CommandKind::admin_reset_process}) {
            BOOST_CHECK_EQUAL(host->execute({.kind = kind, .mask = ALL, .uid = 1, .timeout_ms = 9}, now).status,
                              status);
        }
        BOOST_CHECK_EQUAL(host->check_time(now), status);
        BOOST_CHECK_EQUAL(host->advance(now, SIZE_MAX).status, status);
        BOOST_CHECK_EQUAL(host->next_deadline(now, deadline), status);
        BOOST_CHECK_EQUAL(host->mask({OwnerKind::app, 1}, now).status, status);
        BOOST_CHECK_EQUAL(host->find({OwnerKind::app, 1}, now, view), status);
        BOOST_CHECK_EQUAL(host->owners_of(1, now, owners, count), status);
        BOOST_CHECK_EQUAL(host->owners(ALL, nullptr, now, owners, count), status);
        BOOST_CHECK_EQUAL(host->count(GPS, now, count), status);
        BOOST_CHECK_EQUAL(host->stats(now, stats), status);
    }
    check_valid(*host);
    BOOST_CHECK_EQUAL(host->last_sequence(), sequence);
    BOOST_CHECK_EQUAL(host->check_time(100), Status::ok);
    BOOST_CHECK_EQUAL(host.app(100, 1), "1/0: 32@150 50");
}

BOOST_AUTO_TEST_CASE(reading_one_record_changes_nothing_and_does_not_set_the_time) {
    Host host;
    host.run(0, timed(1, GPS, 50));
    host.events();
    BOOST_CHECK_EQUAL(host.app(60, 1), "nothing");
    BOOST_CHECK_EQUAL(host.app(40, 1), "1/0: 32@50 50");
    BOOST_CHECK_EQUAL(host->check_time(0), Status::ok);
    BOOST_CHECK_EQUAL(host.events(), "");
}

BOOST_AUTO_TEST_CASE(reads_across_records_end_what_is_due_first) {
    const auto events_of = [](auto&& read) {
        Host host;
        host.run(0, timed(1, GPS, 50));
        host.events();
        read(host);
        BOOST_CHECK_EQUAL(host->check_time(59), Status::time_backwards);
        return host.events();
    };
    const std::string ended = "50 app_reset expired 1/0 32";
    std::array<Owner, 1> owners{};
    std::size_t count = 7;
    BOOST_CHECK_EQUAL(events_of([&](Host& host) { BOOST_CHECK_EQUAL(host->count(GPS, 60, count), Status::ok); }),
                      ended);
    BOOST_CHECK_EQUAL(count, 0u);
    BOOST_CHECK_EQUAL(
        events_of([&](Host& host) { BOOST_CHECK_EQUAL(host->owners(ALL, nullptr, 60, owners, count), Status::ok); }),
        ended);
    BOOST_CHECK_EQUAL(count, 0u);
    BOOST_CHECK_EQUAL(events_of([](Host& host) { host.stats(60); }), ended);
    BOOST_CHECK_EQUAL(events_of([](Host& host) { host.next_deadline(60); }), ended);
}

// Deadlines are kept as 32-bit words beside the instant of the timer, so what is worth trying is the longest timeout
// given as long as possible after the timer was set.
BOOST_AUTO_TEST_CASE(the_longest_timeouts_add_up_though_nobody_advances) {
    for (const Instant start : {Instant{0}, Instant{longest}, (Instant{1} << 32) + 5, Instant{1} << 61}) {
        Host host;
        host.run(start, timed(1, CPU, longest));
        host.run(start + longest - 1, timed(1, GPS, longest));
        host.run(start + longest - 1, timed(1, AUDIO, 1));
        const auto at = [](Instant instant) { return std::to_string(instant); };
        const Instant second = start + longest - 1 + longest;
        BOOST_CHECK_EQUAL(host.app(start + longest - 1, 1), "1/0: 1@" + at(start + longest) + " 4294967295 32@" +
                                                                at(second) + " 4294967295 64@" + at(start + longest) +
                                                                " 1");
        host.run(start + longest - 1, timed(1, CPU, longest));
        BOOST_CHECK_EQUAL(host.app(start + longest, 1),
                          "1/0: 1@" + at(second) + " 4294967295 32@" + at(second) + " 4294967295");
        host.run(second - 1, timed(1, SENSOR, longest));
        BOOST_CHECK_EQUAL(host.app(second - 1, 1), "1/0: 1@" + at(second) + " 4294967295 32@" + at(second) +
                                                       " 4294967295 256@" + at(second - 1 + longest) + " 4294967295");
        host.events();
        BOOST_CHECK_EQUAL(host.app(second + 10, 1), "1/0: 256@" + at(second - 1 + longest) + " 4294967295");
        BOOST_CHECK_EQUAL(host.advance(second - 1 + longest), 3u);
        BOOST_CHECK_EQUAL(host.events(), at(second) + " app_reset expired 1/0 33; " + at(second - 1 + longest) +
                                             " app_reset expired 1/0 256");
    }
}

BOOST_AUTO_TEST_CASE(a_record_that_nobody_touched_for_ages_ends_at_its_deadlines) {
    for (unsigned bits = 33; bits <= 62; ++bits) {
        Host host;
        host.run(3, timed(1, CPU, 10));
        host.run(3, timed(1, GPS, longest));
        host.events();
        const Instant now = Instant{1} << bits;
        BOOST_CHECK_EQUAL(host.app(now, 1), "nothing");
        host.run(now, timed(1, CPU | GPS, longest));
        BOOST_CHECK_EQUAL(host.events(), "13 app_reset expired 1/0 1; 4294967298 app_reset expired 1/0 32; " +
                                             std::to_string(now) + " app_apply apply 1/0 33");
        BOOST_CHECK_EQUAL(host.next_deadline(now), now + longest);
    }
}

// A slot of a higher level has the timers of many instants, of which one is the first.
BOOST_AUTO_TEST_CASE(a_deadline_is_found_by_looking_at_no_more_than_was_said) {
    Host host;
    constexpr std::uint32_t count = 100;
    for (std::uint32_t uid = 0; uid < count; ++uid) host.run(0, timed(uid, GPS, 70'000 + (uid * 37) % count));
    Instant deadline = 0;
    BOOST_CHECK(!host->find_deadline(count - 1, deadline));
    BOOST_CHECK(host->find_deadline(count, deadline));
    BOOST_CHECK_EQUAL(deadline, 70'000u);

    // What renewals have left behind is looked at once, and then lies elsewhere.
    for (std::uint32_t uid = 0; uid < count; ++uid) host.run(1, timed(uid, GPS, 5'000'000));
    BOOST_CHECK(!host->find_deadline(count - 1, deadline));
    BOOST_CHECK(!host->find_deadline(count, deadline));
    BOOST_CHECK(host->find_deadline(count, deadline));
    BOOST_CHECK_EQUAL(deadline, 5'000'001u);

    host.run(70'000, timed(count, GPS, 1));
    BOOST_CHECK(!host->advance(70'000, SIZE_MAX).more);
    BOOST_CHECK(host->find_deadline(1, deadline));
    BOOST_CHECK_EQUAL(deadline, 70'001u);
    BOOST_CHECK_EQUAL(host->advance(70'001, 0).status, Status::ok);
    BOOST_CHECK(!host->find_deadline(SIZE_MAX, deadline));
}

BOOST_AUTO_TEST_CASE(random_deadlines_with_long_timeouts_are_exact) {
    for (const std::uint64_t seed : {94u, 95u, 96u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Host host;
            Random random(seed);
            std::array<Instant, type_count> deadlines{};
            Instant now = random.magnitude(61);
            for (int step = 0; step < 2000; ++step) {
                const auto index = static_cast<std::size_t>(random.below(type_count));
                const auto timeout =
                    static_cast<std::uint32_t>(random.one_in(2) ? longest - random.below(3) : 1 + random.magnitude(31));
                host.run(now, timed(1, Mask{1} << index, timeout));
                deadlines.at(index) = std::max(deadlines.at(index), now + timeout);
                // Often to the very last instant before a deadline, or to it.
                Instant first = no_deadline;
                for (const Instant deadline : deadlines) first = deadline == 0 ? first : std::min(first, deadline);
                now = random.one_in(3) ? first - random.below(2) : now + random.magnitude(33);
                RecordView view;
                REQUIRE_EQUAL_QUIETLY(host->find({OwnerKind::app, 1}, now, view), Status::ok);
                std::array<Instant, type_count> found{};
                for (const GrantView& grant : std::span(view.grants).first(view.grant_count)) {
                    found.at(static_cast<std::size_t>(std::countr_zero(grant.type))) = grant.deadline;
                }
                for (Instant& deadline : deadlines) deadline = deadline <= now ? 0 : deadline;
                REQUIRE_QUIETLY(found == deadlines);
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
