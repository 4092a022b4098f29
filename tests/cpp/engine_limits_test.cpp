// What happens at a limit: refused whole, though only after all that is due was freed.
#include "support.hpp"

namespace grantwheel::test {

namespace {

Command gps(std::uint32_t uid, std::uint32_t timeout = 100) { return {.mask = GPS, .uid = uid, .timeout_ms = timeout}; }

Command of_process(std::uint32_t uid, std::uint32_t pid, Mask mask = CPU) {
    return {.is_process = true, .mask = mask, .uid = uid, .pid = pid, .timeout_ms = 100};
}

// An apply that must be refused for memory, and must leave everything as it is.
void refuse(Host& host, Instant now, const Command& command) {
    const auto look = [&] {
        std::string text = host.app(now, command.uid) + "; " + host.process(now, command.pid);
        const Stats stats = host.stats(now);
        for (const std::uint64_t number : {stats.app_records, stats.process_records, stats.strings, stats.granted,
                                           stats.renewed, stats.last_sequence}) {
            text += "; " + std::to_string(number);
        }
        return text;
    };
    const std::string before = look();
    BOOST_CHECK_EQUAL(host.attempt(now, command).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(look(), before);
}

// What RecordView tells is the engine's own, and may go into a command as it is.
std::string_view reason_of(Host& host, Instant now, std::uint32_t uid) {
    RecordView view;
    REQUIRE_EQUAL_QUIETLY(host->find({OwnerKind::app, uid}, now, view), Status::ok);
    REQUIRE_QUIETLY(view.grant_count == 1);
    return view.grants[0].reason;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(engine_limits)

BOOST_AUTO_TEST_CASE(limits_out_of_range_are_named_and_refused) {
    const auto refused = [](const Limits& limits) {
        BOOST_CHECK(Engine::create(limits) == nullptr);
        const char* name = limits.first_invalid();
        return std::string(name == nullptr ? "" : name);
    };
    BOOST_CHECK_EQUAL(refused({.max_records = 0}), "max_records");
    BOOST_CHECK_EQUAL(refused({.max_records = 0x8000'0000}), "max_records");
    BOOST_CHECK_EQUAL(refused({.max_strings = 0}), "max_strings");
    BOOST_CHECK_EQUAL(refused({.max_strings = 0x8000'0000}), "max_strings");
    BOOST_CHECK_EQUAL(refused({.event_capacity = 0}), "event_capacity");
    BOOST_CHECK_EQUAL(refused({.event_capacity = 0x8000'0000}), "event_capacity");
    BOOST_CHECK_EQUAL(refused({.max_records = 10, .reserve = 11}), "reserve");
    BOOST_CHECK(Limits{}.first_invalid() == nullptr);
    BOOST_CHECK(
        (Limits{.max_records = INT32_MAX, .max_strings = INT32_MAX, .event_capacity = INT32_MAX}.first_invalid() ==
         nullptr));
    BOOST_CHECK(
        (Limits{.max_records = 1, .max_strings = 1, .event_capacity = 1, .reserve = 1}.first_invalid() == nullptr));
    BOOST_CHECK(Engine::create({.max_records = 1, .max_strings = 1, .event_capacity = 1, .reserve = 1}) != nullptr);
}

BOOST_AUTO_TEST_CASE(one_record_more_than_the_limit_is_refused) {
    Host host({.max_records = 3, .event_capacity = 8});
    host.run(0, gps(1));
    host.run(0, gps(2));
    host.run(0, of_process(1, 5));
    refuse(host, 0, gps(3));
    refuse(host, 0, of_process(1, 6));
    BOOST_CHECK_EQUAL(host.run(0, {.mask = ALL, .uid = 1, .timeout_ms = 100}), ALL);  // who is there may have more
    host.run(0, release(2, ALL));
    host.run(0, gps(3));
    refuse(host, 0, gps(2));
}

BOOST_AUTO_TEST_CASE(a_request_for_two_records_gets_both_or_none) {
    Host host({.max_records = 3, .event_capacity = 8});
    host.run(0, gps(1));
    host.run(0, gps(2));
    refuse(host, 0, of_process(3, 5, CPU | GPS));
    host.run(0, of_process(2, 5, CPU | GPS));
    host.run(0, release(1, ALL));
    refuse(host, 0, of_process(3, 6, CPU | GPS));
    host.run(0, release(2, CPU));
    host.run(0, of_process(3, 6, CPU | GPS));
}

BOOST_AUTO_TEST_CASE(due_records_make_room_whoever_drives_expiry) {
    Host host({.max_records = 2, .event_capacity = 8});
    host.run(0, gps(1, 10));
    host.run(0, gps(2, 20));
    refuse(host, 9, gps(3));
    host.events();
    host.run(10, gps(3, 100));
    BOOST_CHECK_EQUAL(host.events(), "10 app_reset expired 1/0 32; 10 app_apply apply 3/0 32");
    refuse(host, 19, gps(4));
    host.run(20, gps(4, 100));
    refuse(host, 20, gps(5));
}

BOOST_AUTO_TEST_CASE(a_manager_that_nobody_drives_stays_bounded_and_goes_on) {
    Host host({.max_records = 100, .max_strings = 100, .event_capacity = 8});
    for (std::uint32_t i = 0; i < 2000; ++i) {
        const std::string reason = "reason " + std::to_string(i);
        host.run(Instant{i} * 10, {.mask = GPS, .uid = i, .timeout_ms = 990, .reason = reason});
    }
    BOOST_CHECK_EQUAL(host.stats(20'000).app_records, 98u);
}

BOOST_AUTO_TEST_CASE(renewed_records_do_not_make_room) {
    Host host({.max_records = 200, .event_capacity = 512});
    for (std::uint32_t uid = 0; uid < 200; ++uid) host.run(0, gps(uid, 50));
    for (std::uint32_t uid = 0; uid < 200; ++uid) host.run(40, gps(uid, 50));
    for (const Instant now : {Instant{60}, Instant{89}}) {
        BOOST_CHECK_EQUAL(host.attempt(now, gps(1000)).status, Status::out_of_memory);
    }
    BOOST_CHECK_EQUAL(host->last_sequence(), 200u);
    host.run(90, gps(1000));
}

BOOST_AUTO_TEST_CASE(the_row_of_a_reused_pid_counts_as_free) {
    Host host({.max_records = 2, .event_capacity = 8});
    host.run(0, gps(1));
    host.run(0, of_process(1, 5));
    refuse(host, 0, of_process(2, 5, CPU | GPS));
    BOOST_CHECK_EQUAL(host.process_mask(0, 5), CPU);
    BOOST_CHECK_EQUAL(host.run(0, of_process(2, 5)), CPU);
    BOOST_CHECK_EQUAL(host.process(0, 5), "2/5: 1@100 100");
}

BOOST_AUTO_TEST_CASE(one_text_more_than_the_limit_is_refused) {
    Host host({.max_strings = 2, .event_capacity = 8});
    const auto apply = [](std::uint32_t uid, std::string_view bundle, std::string_view reason) {
        return Command{.mask = GPS, .uid = uid, .timeout_ms = 100, .bundle = bundle, .reason = reason};
    };
    host.run(0, apply(1, "a", "b"));
    host.run(0, apply(2, "b", "a"));
    host.run(0, apply(3, "", "a"));
    host.run(0, apply(4, "", ""));
    refuse(host, 0, apply(5, "c", ""));
    refuse(host, 0, apply(5, "", "c"));
    refuse(host, 0, apply(5, "c", "d"));
    refuse(host, 0, apply(1, "a", "c"));
    Command told = apply(1, "c", "a");  // the record has its bundle: this one is only told
    told.mask = GPS | CPU;
    host.run(0, told);
    host.run(0, package_removed(2));
    host.run(0, package_removed(3));
    host.run(0, apply(5, "a", "c"));
    refuse(host, 0, apply(6, "d", ""));
    host.run(0, apply(5, "a", ""));
    host.run(0, apply(6, "d", ""));
}

BOOST_AUTO_TEST_CASE(a_new_text_needs_a_place_before_the_one_it_replaces_is_let_go) {
    Host host({.max_strings = 1, .event_capacity = 8});
    host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 100, .reason = "first"});
    refuse(host, 0, {.mask = GPS, .uid = 1, .timeout_ms = 100, .reason = "second"});
    host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 100, .reason = ""});
    host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 100, .reason = "second"});
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/0: 32@100 100 second");
}

BOOST_AUTO_TEST_CASE(the_texts_of_a_reused_pid_are_let_go_after_the_new_ones_have_found_a_place) {
    Host host({.max_strings = 1, .event_capacity = 8});
    host.run(0, {.is_process = true, .mask = CPU, .uid = 1, .pid = 5, .timeout_ms = 100, .bundle = "old"});
    refuse(host, 0, {.is_process = true, .mask = CPU, .uid = 2, .pid = 5, .timeout_ms = 100, .bundle = "new"});
    host.run(0, {.is_process = true, .mask = CPU, .uid = 2, .pid = 5, .timeout_ms = 100, .bundle = "old"});
}

BOOST_AUTO_TEST_CASE(due_texts_make_room) {
    Host host({.max_strings = 2, .event_capacity = 8});
    host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 10, .bundle = "a", .reason = "b"});
    refuse(host, 9, {.mask = GPS, .uid = 2, .timeout_ms = 10, .bundle = "c", .reason = "d"});
    host.run(10, {.mask = GPS, .uid = 2, .timeout_ms = 10, .bundle = "c", .reason = "d"});
    BOOST_CHECK_EQUAL(host.app(10, 2), "2/0 c: 32@20 10 d");
    BOOST_CHECK_EQUAL(host.events(),
                      "0 app_apply apply 1/0 32 a; 10 app_reset expired 1/0 32 a; 10 app_apply apply 2/0 32 c");
}

BOOST_AUTO_TEST_CASE(texts_that_only_events_name_do_not_count) {
    Host host({.max_strings = 1, .event_capacity = 100});
    for (std::uint32_t i = 0; i < 40; ++i) {
        const std::string bundle = "bundle " + std::to_string(i);
        host.run(i, {.mask = GPS, .uid = 1, .timeout_ms = 10, .bundle = bundle});
        host.run(i, release(1, ALL));
    }
    BOOST_CHECK_EQUAL(host.stats(40).strings, 0u);
    const std::string events = host.events();
    for (std::uint32_t i = 0; i < 40; ++i) {
        const std::string number = std::to_string(i);
        const std::string expected = number + " app_apply apply 1/0 32 bundle " + number;
        BOOST_CHECK_MESSAGE(events.find(expected) != std::string::npos, expected);
    }
}

BOOST_AUTO_TEST_CASE(texts_of_any_length_up_to_the_limit_are_kept) {
    Host host;
    for (std::uint32_t length = 0; length <= max_text_bytes; length += 31) {
        const std::string bundle(length, 'b');
        const std::string reason(length, 'r');
        host.run(0, {.mask = GPS, .uid = length, .timeout_ms = 9, .bundle = bundle, .reason = reason});
    }
    for (std::uint32_t length = 31; length <= max_text_bytes; length += 31) {
        RecordView view;
        BOOST_REQUIRE_EQUAL(host->find({OwnerKind::app, length}, 0, view), Status::ok);
        BOOST_CHECK(view.bundle == std::string(length, 'b'));
        BOOST_CHECK(view.grants[0].reason == std::string(length, 'r'));
    }
}

BOOST_AUTO_TEST_CASE(a_reserved_engine_starts_empty) {
    Host host({.max_records = 100, .event_capacity = 8, .reserve = 100});
    BOOST_CHECK_EQUAL(host.stats(0).app_records, 0u);
    for (std::uint32_t uid = 0; uid < 100; ++uid) host.run(0, gps(uid));
    refuse(host, 0, gps(100));
}

BOOST_AUTO_TEST_CASE(an_own_text_may_lose_its_last_grant_in_the_call_that_it_is_given_to) {
    Host host;
    const std::string reason(40, 'r');
    Command command = gps(1);
    command.reason = reason;
    host.run(0, command);
    command.reason = reason_of(host, 0, 1);
    host.run(100, command);  // ends the grant that had it
    BOOST_CHECK_EQUAL(reason_of(host, 100, 1), reason);
    check_valid(*host);
}

BOOST_AUTO_TEST_CASE(an_own_text_may_move_while_room_is_made_for_another) {
    Host host({.max_strings = 2, .event_capacity = 8});
    const std::string reason(40, 'r');
    const std::string others(40, 'o');
    const std::string bundle(1024, 'b');
    Command command = gps(1, 1000);
    command.reason = reason;
    host.run(0, command);
    Command ending = gps(2);
    ending.reason = others;
    host.run(0, ending);
    command = gps(3, 1000);
    command.reason = reason_of(host, 0, 1);
    command.bundle = bundle;  // a third text, until the second has gone with its grant
    host.run(100, command);
    BOOST_CHECK_EQUAL(reason_of(host, 100, 3), reason);
    check_valid(*host);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
