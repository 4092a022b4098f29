// An engine that goes on with other limits: what must fit, what makes room, and what becomes of the events.
#include <algorithm>
#include <vector>

#include "allocations.hpp"
#include "grantwheel/op.hpp"
#include "states.hpp"

namespace grantwheel::test {

BOOST_AUTO_TEST_SUITE(other_limits)

BOOST_AUTO_TEST_CASE(other_limits_hold_from_then_on) {
    Host host(with_limits(2, 2, 256));
    const auto held = [](std::uint32_t uid, std::string_view bundle) {
        return Command{.is_persist = true, .mask = GPS, .uid = uid, .bundle = bundle};
    };
    host.run(0, held(1, "a"));
    host.run(0, held(2, "b"));
    BOOST_CHECK_EQUAL(host.attempt(0, held(3, "b")).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(3, 2, 256), 7), Status::ok);
    BOOST_CHECK_EQUAL(host->now(), 7u);
    host.run(7, held(3, "b"));
    BOOST_CHECK_EQUAL(host.attempt(7, held(4, "b")).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(host->limits().max_records, 3u);
    BOOST_CHECK_EQUAL(host->room_for_records(), 0u);

    BOOST_CHECK_EQUAL(host->set_limits(with_limits(2, 9, 9), 7), Status::out_of_memory);
    BOOST_CHECK(!host->lacked_memory());
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(9, 1, 9), 7), Status::out_of_memory);
    BOOST_CHECK_EQUAL(host->limits().max_records, 3u);
    BOOST_CHECK_EQUAL(host->limits().max_strings, 2u);
    BOOST_CHECK_EQUAL(host->limits().event_capacity, 256u);
    for (const Limits& wrong : {with_limits(0, 9, 9), with_limits(9, 0, 9), with_limits(9, 9, 0),
                                with_limits(0x8000'0000, 9, 9), with_limits(9, 9, 0x8000'0000)})
        BOOST_CHECK_EQUAL(host->set_limits(wrong, 8), Status::argument_invalid);
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(9, 9, 9), 6), Status::time_backwards);
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(9, 9, 9), max_now + 1), Status::time_out_of_range);
    BOOST_CHECK_EQUAL(host->now(), 7u);
    check_valid(*host);
}

BOOST_AUTO_TEST_CASE(what_was_reserved_stays_so_and_other_limits_reserve_nothing) {
    Host host({.max_records = 100, .event_capacity = 256, .reserve = 50});
    Limits wanted = with_limits(200, 9, 256);
    wanted.reserve = 999;
    BOOST_CHECK_EQUAL(host->set_limits(wanted, 0), Status::ok);
    BOOST_CHECK_EQUAL(host->limits().reserve, 50u);
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(30, 9, 256), 0), Status::ok);
    BOOST_CHECK_EQUAL(host->limits().reserve, 30u);
    BOOST_CHECK(host->limits().first_invalid() == nullptr);
}

// As much as has to, the first of all, and no more; all of it when even that is not enough.
BOOST_AUTO_TEST_CASE(what_is_due_makes_room_for_smaller_limits) {
    Host host;
    for (std::uint32_t uid = 0; uid < 4; ++uid) host.run(0, timed(uid, GPS, 50 - uid));
    host.run(0, timed(9, GPS, 900));
    host.events();
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(3, 9, 256), 60), Status::ok);
    BOOST_CHECK_EQUAL(host.events(), "47 app_reset expired 3/0 32; 48 app_reset expired 2/0 32");
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(1, 9, 256), 60), Status::ok);
    BOOST_CHECK_EQUAL(host.events(), "49 app_reset expired 1/0 32; 50 app_reset expired 0/0 32");
    host.run(61, {.mask = GPS, .uid = 9, .timeout_ms = 900, .reason = "one"});
    BOOST_REQUIRE_EQUAL(host->set_limits(with_limits(5, 2, 256), 61), Status::ok);
    host.run(61, {.mask = GPS, .uid = 8, .timeout_ms = 5, .reason = "two"});
    host.events();
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(5, 1, 256), 65), Status::out_of_memory);
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(5, 1, 256), 66), Status::ok);
    BOOST_CHECK_EQUAL(host.events(), "66 app_reset expired 8/0 32");
    check_valid(*host);
}

// The texts of the events that go are let go, those of the others stay.
BOOST_AUTO_TEST_CASE(another_ring_has_the_last_events_that_fit) {
    for (const std::uint32_t before : {1u, 3u, 7u, 20u}) {
        for (const std::uint32_t after : {1u, 2u, 3u, 7u, 8u, 30u}) {
            for (const std::uint32_t count : {0u, 1u, 3u, 6u, 25u}) {
                Host host(with_limits(100, 100, before));
                const auto apply = [&](std::uint32_t uid) {
                    const std::string bundle = "bundle " + std::to_string(uid);
                    host.run(uid, {.mask = GPS, .uid = uid, .timeout_ms = 1000, .bundle = bundle});
                };
                for (std::uint32_t uid = 1; uid <= count; ++uid) apply(uid);
                BOOST_REQUIRE_EQUAL(host->set_limits(with_limits(100, 100, after), count), Status::ok);
                check_valid(*host);
                const std::uint64_t kept = std::min({before, after, count});
                BOOST_CHECK_EQUAL(host->last_sequence(), count);
                BOOST_CHECK_EQUAL(host->first_sequence(), count - kept + 1);
                for (std::uint32_t uid = count + 1; uid <= count + 10; ++uid) apply(uid);
                const std::uint64_t first =
                    std::max<std::uint64_t>(count - kept, count + 10 - std::min(after, count + 10));
                BOOST_CHECK_EQUAL(host->first_sequence(), first + 1);
                std::string expected = first == 0 ? "" : "missed " + std::to_string(first) + "; ";
                for (std::uint64_t uid = first + 1; uid <= count + 10; ++uid) {
                    const std::string number = std::to_string(uid);
                    expected += number + " app_apply apply " + number + "/0 32 bundle " + number + "; ";
                }
                BOOST_CHECK_EQUAL(host.events() + "; ", expected);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_ring_from_a_snapshot_may_be_exchanged_as_well) {
    Host host;
    for (std::uint32_t uid = 0; uid < 5; ++uid) host.run(0, timed(uid));
    const auto twin = loaded(everything_of(*host));
    BOOST_REQUIRE(twin != nullptr);
    BOOST_CHECK_EQUAL(twin->set_limits(with_limits(10, 10, 3), 0), Status::ok);
    BOOST_CHECK_EQUAL(twin->first_sequence(), 6u);
    for (std::uint32_t uid = 5; uid < 9; ++uid) BOOST_CHECK_EQUAL(twin->execute(timed(uid), 0).status, Status::ok);
    BOOST_CHECK_EQUAL(twin->first_sequence(), 7u);
    BOOST_CHECK_EQUAL(twin->last_sequence(), 9u);
    check_valid(*twin);
}

// Due grants are not ended for nothing: the memory is taken first.
BOOST_AUTO_TEST_CASE(no_memory_for_another_ring_changes_nothing) {
    Host host;
    host.run(0, timed(1, GPS, 5));
    host.run(0, timed(2, GPS, 500));
    host.events();
    const std::uint64_t before = state_of(*host);
    Status status = Status::ok;
    bool happened = false;
    {
        const FailingAllocation failing(0);
        status = host->set_limits(with_limits(1, 9, 512), 9);
        happened = FailingAllocation::happened();
    }
    BOOST_CHECK(happened);
    BOOST_CHECK_EQUAL(status, Status::out_of_memory);
    BOOST_CHECK(host->lacked_memory());
    BOOST_CHECK_EQUAL(state_of(*host), before);
    BOOST_CHECK_EQUAL(host.events(), "");
    BOOST_CHECK_EQUAL(host->limits().event_capacity, 256u);
    check_valid(*host);
    BOOST_CHECK_EQUAL(host->set_limits(with_limits(1, 9, 512), 9), Status::ok);
    BOOST_CHECK_EQUAL(host.events(), "5 app_reset expired 1/0 32");
}

// What is refused for want of memory is not what the log says; what a limit refused is.
BOOST_AUTO_TEST_CASE(limits_without_memory_stop_a_replay) {
    std::vector<std::byte> log(max_op_bytes);
    log.resize(encode_limits(with_limits(9, 9, 512), 0, log));
    Host host;
    GroupResult result;
    {
        const FailingAllocation failing(0);
        result = replay_group(*host, log);
    }
    BOOST_CHECK_EQUAL(result.status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(replay_group(*host, log).status, Status::ok);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
