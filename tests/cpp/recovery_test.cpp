// Marks, and what a start drops: on an engine, in its snapshots, and from a log.
#include "grantwheel/recovery.hpp"

#include <algorithm>
#include <vector>

#include "allocations.hpp"
#include "grantwheel/op.hpp"
#include "states.hpp"

namespace grantwheel::test {

namespace {

using List = std::vector<std::uint32_t>;

const Mark some_mark{.now = 40, .boot_id = {1, 2, 3}, .boot_ms = 5000, .wall_ms = -7};

// In words: status, grants that ended, records that lost them.
std::string recovered(Host& host, Instant now, const List& apps, const List& processes) {
    const RecoveryResult result = host->recover(apps, processes, now);
    check_valid(*host);
    return std::string(status_name(result.status)) + " " + std::to_string(result.ended) + " of " +
           std::to_string(result.records);
}

Instant applied(Host& host, Owner owner) {
    RecordView view;
    REQUIRE_EQUAL_QUIETLY(host->find(owner, host->now(), view), Status::ok);
    return view.applied;
}

std::uint64_t recovered_so_far(Host& host) {
    return host.stats(host->now()).ended[static_cast<std::size_t>(Cause::recovered)];
}

}  // namespace

BOOST_AUTO_TEST_SUITE(recovery)

BOOST_AUTO_TEST_CASE(the_last_mark_is_kept) {
    Host host;
    BOOST_CHECK(host->mark() == nullptr);
    BOOST_CHECK_EQUAL(host->set_mark(some_mark), Status::ok);
    BOOST_REQUIRE(host->mark() != nullptr);
    BOOST_CHECK(*host->mark() == some_mark);
    BOOST_CHECK_EQUAL(host->now(), 40u);

    Mark later = some_mark;
    later.wall_ms = INT64_MAX;
    later.boot_id.fill(255);
    BOOST_CHECK_EQUAL(host->set_mark(later), Status::ok);  // of the same instant
    BOOST_CHECK(*host->mark() == later);
    for (const auto& [now, boot_ms, status] : {std::tuple{Instant{39}, Instant{0}, Status::time_backwards},
                                               std::tuple{max_now + 1, Instant{0}, Status::time_out_of_range},
                                               std::tuple{Instant{50}, max_now + 1, Status::time_out_of_range}}) {
        BOOST_CHECK_EQUAL(host->set_mark({.now = now, .boot_ms = boot_ms}), status);
        BOOST_CHECK(*host->mark() == later);
        BOOST_CHECK_EQUAL(host->now(), 40u);
    }
    BOOST_CHECK_EQUAL(host->set_mark({.now = max_now, .boot_ms = max_now}), Status::ok);
    check_valid(*host);
}

BOOST_AUTO_TEST_CASE(a_mark_is_in_the_snapshot_and_not_in_the_hash) {
    Host host;
    host.run(10, timed(1, GPS));
    const std::uint64_t hash = state_of(*host);
    BOOST_REQUIRE_EQUAL(host->set_mark(some_mark), Status::ok);
    BOOST_CHECK_EQUAL(state_of(*host), hash);
    const auto twin = loaded(everything_of(*host));
    BOOST_REQUIRE(twin != nullptr && twin->mark() != nullptr);
    BOOST_CHECK(*twin->mark() == some_mark);
    check_valid(*twin);
    BOOST_CHECK(everything_of(*twin) == everything_of(*host));

    Host without;
    without.run(10, timed(1, GPS));
    const auto other = loaded(everything_of(*without));
    BOOST_REQUIRE(other != nullptr);
    BOOST_CHECK(other->mark() == nullptr);
}

// Neither time nor marks nor limits count as a change of what is held: the snapshot has them as they were.
BOOST_AUTO_TEST_CASE(a_snapshot_has_the_mark_the_time_and_the_limits_of_when_it_was_begun) {
    Host host;
    host.run(10, timed(1, GPS, 90'000));
    BOOST_REQUIRE_EQUAL(host->set_mark(some_mark), Status::ok);
    const std::vector<std::byte> expected = everything_of(*host);
    const auto writer = SnapshotWriter::create(*host);
    std::vector<std::byte> all;
    std::vector<std::byte> out(max_section_bytes);
    Instant now = 50;
    for (SectionWritten written{.more = true}; written.more; now += 10) {
        written = writer->write(out);
        BOOST_REQUIRE_EQUAL(written.status, Status::ok);
        all.insert(all.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(written.size));
        BOOST_REQUIRE_EQUAL(host->set_mark({.now = now, .boot_ms = now}), Status::ok);
        BOOST_REQUIRE_EQUAL(host->set_limits(with_limits(9 + static_cast<std::uint32_t>(now), 9, 256), now),
                            Status::ok);
    }
    BOOST_CHECK(all == expected);

    const auto stale = SnapshotWriter::create(*host);
    BOOST_REQUIRE_EQUAL(host->recover(List{1}, List{}, now).ended, 1u);
    BOOST_CHECK_EQUAL(stale->write(out).status, Status::argument_invalid);
}

BOOST_AUTO_TEST_CASE(the_last_apply_of_a_process_is_known) {
    Host host({.max_records = 3, .event_capacity = 256});
    const Owner process{OwnerKind::process, 9};
    host.run(10, timed(5, GPS));
    host.run(12, timed_process(5, 9, 1000));
    BOOST_CHECK_EQUAL(applied(host, process), 12u);
    host.run(14, timed(5, GPS));
    BOOST_CHECK_EQUAL(applied(host, process), 12u);
    BOOST_CHECK_EQUAL(applied(host, {OwnerKind::app, 5}), 0u);
    host.run(16, timed_process(5, 9, 1));  // extends nothing
    BOOST_CHECK_EQUAL(applied(host, process), 16u);
    Command renewal = timed_process(6, 9);
    renewal.only_held = true;
    host.run(18, renewal);  // of another uid, which holds nothing
    BOOST_CHECK_EQUAL(applied(host, process), 16u);
    renewal.uid = 5;
    host.run(20, renewal);
    BOOST_CHECK_EQUAL(applied(host, process), 20u);
    host.run(22, timed(7, GPS));
    Command refused = timed_process(5, 9);
    refused.mask = CPU | GPS;
    refused.uid = 8;  // a reused pid and one record more than there may be
    BOOST_CHECK_EQUAL(host.attempt(24, refused).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(applied(host, process), 20u);
    host.run(26, timed_process(8, 9));
    BOOST_CHECK_EQUAL(applied(host, process), 26u);
    const auto twin = loaded(everything_of(*host));
    BOOST_REQUIRE(twin != nullptr);
    RecordView view;
    BOOST_REQUIRE_EQUAL(twin->find(process, 26, view), Status::ok);
    BOOST_CHECK_EQUAL(view.applied, 26u);
}

BOOST_AUTO_TEST_CASE(a_recovery_drops_processes_and_what_is_not_retained) {
    Host host;
    BOOST_REQUIRE(host->track_cpu_ended(true));
    const Command app{.cpu_level = 2, .mask = CPU | TIMER | GPS, .uid = 1, .timeout_ms = 900, .bundle = "b"};
    host.run(0, app);
    host.run(0, {.is_persist = true, .mask = CPU, .uid = 2, .bundle = "c", .reason = "r"});
    host.run(0, {.is_persist = true, .mask = TIMER | WORK_SCHEDULER, .uid = 3});
    host.run(0, timed(4, CPU));
    host.run(0, timed_process(1, 11));
    host.run(0, timed_process(4, 12));
    host.run(0, timed_process(9, 13));
    host.events();

    BOOST_CHECK_EQUAL(recovered(host, 5, {1, 2, 3, 7}, {11, 13, 99}), "ok 5 of 4");
    BOOST_CHECK_EQUAL(host.events(), "");
    BOOST_CHECK(host->cpu_ended().empty());
    BOOST_CHECK_EQUAL(host.app(5, 1), "1/0 b: 4@900 900");
    BOOST_CHECK_EQUAL(host.app(5, 2), "nothing");
    BOOST_CHECK_EQUAL(host.app_mask(5, 3), TIMER | WORK_SCHEDULER);
    BOOST_CHECK_EQUAL(host.app_mask(5, 4), CPU);
    BOOST_CHECK_EQUAL(host.process_mask(5, 11), 0u);
    BOOST_CHECK_EQUAL(host.process_mask(5, 12), CPU);
    BOOST_CHECK_EQUAL(host.process_mask(5, 13), 0u);
    BOOST_CHECK_EQUAL(recovered_so_far(host), 5u);
    BOOST_CHECK_EQUAL(host.stats(5).strings, 1u);
    check_balance(host);
    BOOST_CHECK_EQUAL(recovered(host, 5, {1, 2, 3, 7}, {11, 13, 99}), "ok 0 of 0");
    BOOST_CHECK_EQUAL(recovered(host, 6, {}, {}), "ok 0 of 0");
    BOOST_CHECK_EQUAL(host->now(), 6u);

    // The record goes on as any other, and its level is one that it gets anew.
    host.run(7, {.mask = CPU, .uid = 1, .timeout_ms = 5});
    BOOST_CHECK_EQUAL(host.app(7, 1), "1/0 b: 1@12 5 4@900 900");
    BOOST_CHECK_EQUAL(host.advance(900), 4u);
    check_balance(host);
}

BOOST_AUTO_TEST_CASE(keys_that_are_out_of_range_or_do_not_ascend_are_refused) {
    Host host;
    host.run(5, timed(1, GPS));
    host.run(5, timed_process(1, 1));
    for (const List& wrong : {List{1, 1}, List{2, 1}, List{0, 1, 3, 2}, List{1, 0xFFFF'FFFF}}) {
        BOOST_CHECK_EQUAL(recovered(host, 9, wrong, {1}), "argument_invalid 0 of 0");
        BOOST_CHECK_EQUAL(recovered(host, 9, {1}, wrong), "argument_invalid 0 of 0");
    }
    BOOST_CHECK_EQUAL(recovered(host, 9, {}, {0x8000'0000}), "argument_invalid 0 of 0");
    BOOST_CHECK_EQUAL(recovered(host, 4, {1}, {1}), "time_backwards 0 of 0");
    BOOST_CHECK_EQUAL(recovered(host, max_now + 1, {1}, {1}), "time_out_of_range 0 of 0");
    BOOST_CHECK_EQUAL(host->now(), 5u);
    BOOST_CHECK_EQUAL(host.app_mask(5, 1), GPS);
    BOOST_CHECK_EQUAL(recovered(host, 9, {1, 0xFFFF'FFFE}, {1, 0x7FFF'FFFF}), "ok 2 of 2");
}

// What is due of those that are dropped goes with them; the rest ends behind it, processes first.
BOOST_AUTO_TEST_CASE(what_is_overdue_is_dropped_without_an_event_or_ends_with_one) {
    Host host;
    host.run(0, timed(1, GPS | TIMER, 50));
    host.run(0, timed(2, GPS, 50));
    host.run(0, timed_process(1, 11, 50));
    host.run(0, timed_process(2, 12, 50));
    host.run(0, timed(3, AUDIO, 40));
    host.events();
    BOOST_CHECK_EQUAL(recovered(host, 1000, {1}, {11}), "ok 2 of 2");
    BOOST_CHECK_EQUAL(host.advance(1000), 4u);
    BOOST_CHECK_EQUAL(host.events(),
                      "40 app_reset expired 3/0 64; 50 process_reset expired 2/12 1; 50 app_reset expired 1/0 4; "
                      "50 app_reset expired 2/0 32");
    BOOST_CHECK_EQUAL(recovered_so_far(host), 2u);
    check_balance(host);
}

// The events of the next test, in which so many records end before the recovery: no record is told of that loses nothing.
std::string endings_of_sixty(std::size_t begun) {
    std::string told;
    const auto tell = [&told](Instant at, std::string_view what, std::uint32_t uid, Mask mask) {
        if (mask == 0) return;
        told += (told.empty() ? "" : "; ") + std::to_string(at) + " " + std::string(what) + " " + std::to_string(uid) +
                "/0 " + std::to_string(mask);
    };
    const auto due = [](std::uint32_t uid) { return uid % 4 == 1 ? GPS | TIMER : GPS; };
    const auto end_rest = [&](std::uint32_t uid) {
        if (uid >= begun) tell(70'000, "app_reset expired", uid, uid % 3 != 0 ? due(uid) & RETAINED : due(uid));
    };
    for (std::uint32_t uid = 0; uid < begun; ++uid) tell(70'000, "app_reset expired", uid, due(uid));
    end_rest(1);
    tell(70'001, "app_apply apply", 1, GPS);
    for (std::uint32_t uid = 0; uid < 60; ++uid) {
        if (uid != 1) end_rest(uid);
    }
    tell(70'006, "app_reset expired", 1, GPS);
    for (std::uint32_t uid = 2; uid < 60; uid += 4) tell(90'000, "app_reset expired", uid, TIMER);
    return told;
}

// Rows that are being ended are in no slot of the wheel: what stays of them is due then, or later, or never.
BOOST_AUTO_TEST_CASE(a_recovery_in_the_middle_of_an_instant_leaves_no_timer_behind) {
    for (const std::size_t begun : {0u, 1u, 5u, 30u, 59u}) {
        std::vector<std::uint64_t> hashes;
        for (const std::size_t looks : {0u, 1u, 70u, 1000u}) {
            Host host({.event_capacity = 4096});
            List apps;
            for (std::uint32_t uid = 0; uid < 60; ++uid) {
                host.run(0, timed(uid, GPS, 70'000));
                if (uid % 4 == 1) host.run(0, timed(uid, TIMER, 70'000));
                if (uid % 4 == 2) host.run(0, timed(uid, TIMER, 90'000));
                if (uid % 4 == 3) host.run(0, {.is_persist = true, .mask = TIMER, .uid = uid});
                if (uid % 3 != 0) apps.push_back(uid);
            }
            host.events();
            for (std::size_t i = 0; i < looks; ++i) static_cast<void>(host->look(70'000, 1));
            BOOST_REQUIRE_EQUAL(host->end(70'000, begun).records, begun);
            const RecoveryResult result = host->recover(apps, List{}, 70'001);
            check_valid(*host);
            BOOST_CHECK_GT(result.records + begun, 39u);
            host.run(70'001, timed(1, GPS, 5));
            static_cast<void>(host->advance(70'002, 3));
            check_valid(*host);
            host.advance(70'003);
            host.advance(100'000);
            BOOST_CHECK_EQUAL(host.events(), endings_of_sixty(begun));
            hashes.push_back(state_of(*host));
            check_balance(host);
        }
        for (const std::uint64_t hash : hashes) BOOST_CHECK_EQUAL(hash, hashes[0]);
    }
}

BOOST_AUTO_TEST_CASE(nothing_else_of_a_start_allocates) {
    Host host;
    for (std::uint32_t uid = 0; uid < 20; ++uid) host.run(0, timed_process(uid, uid));
    const List keys{1, 3, 5, 30};
    const std::size_t before = allocations();
    const RecoveryResult result = host->recover(keys, keys, 10);
    const Status marked = host->set_mark(some_mark);
    const Status limited = host->set_limits(with_limits(50, 50, 256), 40);
    const std::size_t after = allocations();
    BOOST_CHECK_EQUAL(after, before);
    BOOST_CHECK_EQUAL(result.ended, 3u);
    BOOST_CHECK_EQUAL(marked, Status::ok);
    BOOST_CHECK_EQUAL(limited, Status::ok);
}

// Whichever allocation of the first process record fails, no instant of an apply is lost with it.
BOOST_AUTO_TEST_CASE(the_memory_for_the_last_apply_may_be_lacking) {
    std::size_t failures = 0;
    for (std::size_t passed = 0;; ++passed) {
        Host host;
        host.run(0, timed(1, CPU | GPS));
        Status status = Status::ok;
        bool happened = false;
        {
            const FailingAllocation failing(passed);
            status = host->execute(timed_process(1, 2), 3).status;
            happened = FailingAllocation::happened();
        }
        check_valid(*host);
        REQUIRE_EQUAL_QUIETLY(status, happened ? Status::out_of_memory : Status::ok);
        host.run(4, timed_process(1, 2));
        REQUIRE_EQUAL_QUIETLY(applied(host, {OwnerKind::process, 2}), 4u);
        if (!happened) break;
        ++failures;
    }
    BOOST_CHECK_GE(failures, 4u);
}

BOOST_AUTO_TEST_CASE(a_log_with_all_of_it_is_replayed) {
    Host host(with_limits(3, 9, 256));
    std::vector<std::byte> log;
    const auto put = [&](auto&& write) {
        std::vector<std::byte> out(max_op_bytes);
        out.resize(write(std::span(out)));
        BOOST_REQUIRE(!out.empty());
        log.insert(log.end(), out.begin(), out.end());
    };
    const auto execute = [&](Instant now, const Command& command) {
        put([&](auto out) { return encode(command, now, out); });
        static_cast<void>(host.attempt(now, command));
    };
    const auto limit = [&](Instant now, const Limits& limits, Status expected) {
        put([&](auto out) { return encode_limits(limits, now, out); });
        BOOST_CHECK_EQUAL(host->set_limits(limits, now), expected);
    };
    execute(0, timed(1, GPS | TIMER, 50));
    execute(1, timed_process(1, 7));
    execute(2, timed(2, GPS, 40));
    execute(3, timed(3, GPS, 40));  // refused
    limit(4, with_limits(2, 9, 256), Status::out_of_memory);
    limit(45, with_limits(2, 9, 5), Status::ok);
    const List apps{1, 4};
    const List processes{7};
    put([&](auto out) { return encode_recovery(apps, processes, 46, out); });
    BOOST_CHECK_EQUAL(host->recover(apps, processes, 46).ended, 2u);
    put([&](auto out) { return encode_mark({.now = 47, .boot_id = {9}, .boot_ms = 3, .wall_ms = -1}, out); });
    BOOST_CHECK_EQUAL(host->set_mark({.now = 47, .boot_id = {9}, .boot_ms = 3, .wall_ms = -1}), Status::ok);
    execute(48, timed(5));

    BOOST_CHECK_EQUAL(check_group(log).status, Status::ok);
    const auto twin = Engine::create(with_limits(3, 9, 256));
    const GroupResult replayed = replay_group(*twin, log);
    BOOST_CHECK_EQUAL(replayed.status, Status::ok);
    BOOST_CHECK_EQUAL(replayed.place, log.size());
    check_valid(*twin);
    BOOST_CHECK(everything_of(*twin) == everything_of(*host));
    BOOST_CHECK_EQUAL(twin->first_sequence(), host->first_sequence());
    BOOST_CHECK_EQUAL(twin->limits().event_capacity, 5u);
    BOOST_REQUIRE(twin->mark() != nullptr);
    BOOST_CHECK_EQUAL(twin->mark()->wall_ms, -1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
