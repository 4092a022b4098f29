// Applies: which record they go to, how they merge into it, what they tell.
#include "support.hpp"

namespace grantwheel::test {

BOOST_AUTO_TEST_SUITE(engine_apply)

BOOST_AUTO_TEST_CASE(a_new_record_takes_uid_pid_and_bundle_from_its_caller) {
    Host host;
    BOOST_CHECK_EQUAL(
        host.run(5, {.mask = CPU | GPS, .uid = 1, .pid = 2, .timeout_ms = 100, .bundle = "com.a", .reason = "why"}),
        CPU | GPS);
    BOOST_CHECK_EQUAL(host.app(5, 1), "1/2 com.a: 1@105 100 why 32@105 100 why");
    BOOST_CHECK_EQUAL(host.events(), "5 app_apply apply 1/2 33 com.a");
}

BOOST_AUTO_TEST_CASE(an_app_record_keeps_the_pid_and_bundle_of_its_first_applicant) {
    Host host;
    host.run(0, {.mask = CPU, .uid = 1, .pid = 2, .timeout_ms = 100, .bundle = "com.a"});
    host.run(1, {.mask = GPS, .uid = 1, .pid = 3, .timeout_ms = 100, .bundle = "com.b"});
    BOOST_CHECK_EQUAL(host.app(1, 1), "1/2 com.a: 1@100 100 32@101 100");
    host.run(2, release(1, ALL));
    BOOST_CHECK_EQUAL(
        host.events(),
        "0 app_apply apply 1/2 1 com.a; 1 app_apply apply 1/3 32 com.b; 2 app_reset release 1/2 33 com.a");
    host.run(3, {.mask = CPU, .uid = 1, .pid = 3, .timeout_ms = 100, .bundle = "com.b"});
    BOOST_CHECK_EQUAL(host.app(3, 1), "1/3 com.b: 1@103 100");
}

BOOST_AUTO_TEST_CASE(a_deadline_is_extended_and_never_shortened) {
    Host host;
    host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 100});
    host.run(10, {.mask = CPU, .uid = 1, .timeout_ms = 89});
    BOOST_CHECK_EQUAL(host.app(10, 1), "1/0: 1@100 100");
    host.run(10, {.mask = CPU, .uid = 1, .timeout_ms = 91});
    BOOST_CHECK_EQUAL(host.app(10, 1), "1/0: 1@101 91");
    host.run(11, {.mask = CPU, .uid = 1, .timeout_ms = 90});
    BOOST_CHECK_EQUAL(host.app(11, 1), "1/0: 1@101 91");  // a tie keeps the timeout
    BOOST_CHECK_EQUAL(host.advance(100), 0u);
    BOOST_CHECK_EQUAL(host.advance(101), 1u);
}

BOOST_AUTO_TEST_CASE(the_reason_is_always_the_new_one) {
    Host host;
    host.run(0, {.mask = CPU | GPS, .uid = 1, .timeout_ms = 100, .reason = "first"});
    host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 1, .reason = "second"});
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/0: 1@100 100 second 32@100 100 first");
    host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 1, .reason = ""});
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/0: 1@100 100 32@100 100 first");
    host.run(0, {.is_persist = true, .mask = GPS, .uid = 1, .reason = "third"});
    host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 7, .reason = "fourth"});
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/0: 1@100 100 32@never 0 fourth");
    BOOST_CHECK_EQUAL(host.stats(0).strings, 1u);
}

BOOST_AUTO_TEST_CASE(persistent_stays_until_release) {
    Host host;
    host.run(0, {.is_persist = true, .mask = CPU, .uid = 1, .timeout_ms = 5});
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/0: 1@never 5");
    host.run(1, {.mask = CPU, .uid = 1, .timeout_ms = 10});
    BOOST_CHECK_EQUAL(host.app(1, 1), "1/0: 1@never 5");
    BOOST_CHECK_EQUAL(host.advance(max_now), 0u);
    BOOST_CHECK_EQUAL(host.app(max_now, 1), "1/0: 1@never 5");
    BOOST_CHECK_EQUAL(host.run(max_now, release(1, CPU)), CPU);
    host.run(max_now, {.mask = CPU, .uid = 1, .timeout_ms = 10});
    BOOST_CHECK_EQUAL(host.app(max_now, 1), "1/0: 1@4611686018427387914 10");
}

BOOST_AUTO_TEST_CASE(a_timed_grant_becomes_persistent_with_the_timeout_of_that_request) {
    Host host;
    host.run(0, {.mask = CPU | GPS, .uid = 1, .timeout_ms = 100});
    host.run(10, {.is_persist = true, .mask = CPU, .uid = 1, .timeout_ms = 3});
    BOOST_CHECK_EQUAL(host.app(10, 1), "1/0: 1@never 3 32@100 100");
    BOOST_CHECK_EQUAL(host.advance(100), 1u);
    BOOST_CHECK_EQUAL(host.app(100, 1), "1/0: 1@never 3");
    BOOST_CHECK_EQUAL(host.events(), "0 app_apply apply 1/0 33; 100 app_reset expired 1/0 32");
}

BOOST_AUTO_TEST_CASE(only_new_types_make_an_event) {
    Host host;
    host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 100});
    BOOST_CHECK_EQUAL(host.events(), "0 app_apply apply 1/0 1");
    host.run(1, {.mask = CPU, .uid = 1, .timeout_ms = 100, .reason = "other"});
    host.run(2, {.is_persist = true, .mask = CPU, .uid = 1, .timeout_ms = 100});
    BOOST_CHECK_EQUAL(host.events(), "");
    BOOST_CHECK_EQUAL(host.run(3, {.mask = CPU | GPS | AUDIO, .uid = 1, .timeout_ms = 100}), CPU | GPS | AUDIO);
    BOOST_CHECK_EQUAL(host.events(), "3 app_apply apply 1/0 96");
}

BOOST_AUTO_TEST_CASE(a_process_request_splits_into_cpu_and_the_rest) {
    Host host;
    host.run(0, {.is_process = true, .mask = CPU | GPS, .uid = 1, .pid = 2, .timeout_ms = 100, .bundle = "b"});
    BOOST_CHECK_EQUAL(host.events(), "0 process_apply apply 1/2 1 b; 0 app_apply apply 1/2 32 b");
    BOOST_CHECK_EQUAL(host.process(0, 2), "1/2 b: 1@100 100");
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/2 b: 32@100 100");
    host.run(0, {.is_process = true, .mask = GPS | AUDIO, .uid = 1, .pid = 3, .timeout_ms = 100});
    BOOST_CHECK_EQUAL(host.process(0, 3), "nothing");
    BOOST_CHECK_EQUAL(host.events(), "0 app_apply apply 1/3 64");
    host.run(0, {.is_process = true, .mask = CPU, .uid = 4, .pid = 4, .timeout_ms = 100});
    BOOST_CHECK_EQUAL(host.app(0, 4), "nothing");
    BOOST_CHECK_EQUAL(host.events(), "0 process_apply apply 4/4 1");
}

BOOST_AUTO_TEST_CASE(what_is_due_is_gone_for_a_merge) {
    Host host;
    host.run(0, {.mask = CPU | GPS, .uid = 1, .pid = 1, .timeout_ms = 100, .bundle = "old", .reason = "old"});
    host.run(0, {.mask = GPS, .uid = 1, .pid = 1, .timeout_ms = 200});
    host.run(100, {.mask = CPU | AUDIO, .uid = 1, .pid = 2, .timeout_ms = 1, .bundle = "new", .reason = "new"});
    BOOST_CHECK_EQUAL(host.app(100, 1), "1/1 old: 1@101 1 new 32@200 200 64@101 1 new");
    BOOST_CHECK_EQUAL(host.events(),
                      "0 app_apply apply 1/1 33 old; 100 app_reset expired 1/1 1 old; 100 app_apply apply 1/2 65 new");
    host.run(500, {.mask = CPU, .uid = 1, .pid = 3, .timeout_ms = 1, .bundle = "newer"});
    BOOST_CHECK_EQUAL(host.app(500, 1), "1/3 newer: 1@501 1");
    BOOST_CHECK_EQUAL(
        host.events(),
        "101 app_reset expired 1/1 65 old; 200 app_reset expired 1/1 32 old; 500 app_apply apply 1/3 1 newer");
}

BOOST_AUTO_TEST_CASE(what_is_due_in_both_records_of_a_request_ends_by_deadline) {
    Host host;
    const auto apply = [&](bool is_process, Mask mask, std::uint32_t timeout) {
        host.run(0, {.is_process = is_process, .mask = mask, .uid = 1, .pid = 1, .timeout_ms = timeout});
    };
    apply(true, CPU, 30);
    apply(false, GPS, 20);
    apply(false, AUDIO, 30);
    apply(false, SENSOR, 40);
    host.events();
    host.run(50, {.is_process = true, .mask = CPU | GPS, .uid = 1, .pid = 1, .timeout_ms = 1});
    BOOST_CHECK_EQUAL(host.events(),
                      "20 app_reset expired 1/1 32; 30 process_reset expired 1/1 1; 30 app_reset expired 1/1 64; "
                      "40 app_reset expired 1/1 256; 50 process_apply apply 1/1 1; 50 app_apply apply 1/1 32");
}

BOOST_AUTO_TEST_CASE(a_reused_pid_drops_the_old_record_with_a_reset_event) {
    Host host;
    const Command old{
        .is_process = true, .cpu_level = 2, .mask = CPU, .uid = 1, .pid = 9, .timeout_ms = 50, .bundle = "old"};
    host.run(0, old);
    host.events();
    host.run(1, {.is_process = true, .mask = CPU | GPS, .uid = 2, .pid = 9, .timeout_ms = 50, .bundle = "new"});
    BOOST_CHECK_EQUAL(
        host.events(),
        "1 process_reset pid_reused 1/9 1 old level 2; 1 process_apply apply 2/9 1 new; 1 app_apply apply "
        "2/9 32 new");
    BOOST_CHECK_EQUAL(host.process(1, 9), "2/9 new: 1@51 50");
}

BOOST_AUTO_TEST_CASE(a_pid_counts_as_reused_only_when_cpu_enters_its_record) {
    Host host;
    host.run(0, {.is_process = true, .mask = CPU, .uid = 1, .pid = 9, .timeout_ms = 50});
    host.events();
    host.run(1, {.is_process = true, .mask = GPS, .uid = 2, .pid = 9, .timeout_ms = 50});
    host.run(1, {.mask = CPU, .uid = 2, .pid = 9, .timeout_ms = 50});
    BOOST_CHECK_EQUAL(host.events(), "1 app_apply apply 2/9 32; 1 app_apply apply 2/9 1");
    BOOST_CHECK_EQUAL(host.process_mask(1, 9), CPU);
    // What has run out is not dropped for the reuse.
    host.run(50, {.is_process = true, .mask = CPU, .uid = 2, .pid = 9, .timeout_ms = 50});
    BOOST_CHECK_EQUAL(host.events(), "50 process_reset expired 1/9 1; 50 process_apply apply 2/9 1");
}

BOOST_AUTO_TEST_CASE(the_bundle_of_a_request_outlives_the_event_that_was_the_last_to_name_it) {
    Host host({.event_capacity = 1});
    host.run(0, {.is_process = true, .mask = CPU, .uid = 1, .pid = 5, .timeout_ms = 50, .bundle = "old"});
    host.run(0, {.is_process = true, .mask = CPU, .uid = 2, .pid = 6, .timeout_ms = 50, .bundle = "new"});
    host.run(0, release_process(2, 6, CPU));
    // The reset of the reused pid overwrites the last event of "new".
    host.run(0, {.is_process = true, .mask = CPU, .uid = 2, .pid = 5, .timeout_ms = 50, .bundle = "new"});
    BOOST_CHECK_EQUAL(host.process(0, 5), "2/5 new: 1@50 50");
    BOOST_CHECK_EQUAL(host.events(), "missed 4; 0 process_apply apply 2/5 1 new");
}

BOOST_AUTO_TEST_CASE(the_bundle_of_a_request_may_be_a_reason_that_it_replaces) {
    Host host;
    host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 50, .bundle = "a", .reason = "b"});
    host.run(0, {.mask = CPU | GPS, .uid = 1, .timeout_ms = 50, .bundle = "b", .reason = "c"});
    host.run(0, {.mask = CPU | GPS | AUDIO, .uid = 1, .timeout_ms = 50, .bundle = "c", .reason = "a"});
    BOOST_CHECK_EQUAL(host.events(),
                      "0 app_apply apply 1/0 1 a; 0 app_apply apply 1/0 32 b; 0 app_apply apply 1/0 64 c");
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/0 a: 1@50 50 a 32@50 50 a 64@50 50 a");
}

BOOST_AUTO_TEST_CASE(a_text_of_the_engine_may_go_into_a_command_as_it_is) {
    for (const std::size_t length : {1u, 16u, 17u, 900u, 1024u}) {
        Host host({.event_capacity = 1});
        const std::string stranger(length, 's');
        host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 50, .bundle = "bundle", .reason = "reason"});
        RecordView view;
        BOOST_REQUIRE_EQUAL(host->find({OwnerKind::app, 1}, 0, view), Status::ok);
        host.run(0, {.mask = CPU, .uid = 2, .timeout_ms = 50, .bundle = view.bundle, .reason = stranger});
        BOOST_REQUIRE_EQUAL(host->find({OwnerKind::app, 1}, 0, view), Status::ok);
        host.run(0, {.mask = CPU, .uid = 3, .timeout_ms = 50, .bundle = stranger, .reason = view.grants[0].reason});
        BOOST_REQUIRE_EQUAL(host->find({OwnerKind::app, 1}, 0, view), Status::ok);
        host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 50, .bundle = view.bundle, .reason = view.bundle});
        BOOST_CHECK_EQUAL(host.app(0, 1), "1/0 bundle: 1@50 50 bundle");
        BOOST_CHECK_EQUAL(host.app(0, 2), "2/0 bundle: 1@50 50 " + stranger);
        BOOST_CHECK_EQUAL(host.app(0, 3), "3/0 " + stranger + ": 1@50 50 reason");
        // The text of an event that is overwritten by what the command tells.
        host.run(0, package_removed(3));
        std::array<Event, 1> last;
        BOOST_REQUIRE_EQUAL(host->read(host->last_sequence() - 1, last).count, 1u);
        host.run(0, {.mask = CPU, .uid = 4, .timeout_ms = 50, .bundle = last[0].bundle, .reason = "other"});
        BOOST_CHECK_EQUAL(host.app(0, 4), "4/0 " + stranger + ": 1@50 50 other");
    }
}

BOOST_AUTO_TEST_CASE(a_cpu_level_is_set_with_cpu_and_replaced_by_an_explicit_one) {
    Host host;
    const auto apply = [&](Instant now, Mask mask, std::int8_t level) {
        host.run(now, {.cpu_level = level, .mask = mask, .uid = 1, .timeout_ms = 100});
        return host.app(now, 1).substr(0, 12);
    };
    BOOST_CHECK_EQUAL(apply(0, CPU, 1), "1/0 level 1:");
    BOOST_CHECK_EQUAL(apply(0, CPU, default_level), "1/0 level 1:");
    BOOST_CHECK_EQUAL(apply(0, GPS, default_level), "1/0 level 1:");
    BOOST_CHECK_EQUAL(apply(0, CPU, 0), "1/0 level 0:");
    BOOST_CHECK_EQUAL(apply(0, CPU | AUDIO, 2), "1/0 level 2:");
    BOOST_CHECK_EQUAL(
        host.events(),
        "0 app_apply apply 1/0 1 level 1; 0 app_apply apply 1/0 32 level 1; 0 app_apply apply 1/0 64 level 2");
    host.run(1, release(1, CPU));
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset release 1/0 1 level 2");
    BOOST_CHECK_EQUAL(host.app(1, 1), "1/0: 32@100 100 64@100 100");
    host.run(1, {.mask = CPU | SENSOR, .uid = 1, .timeout_ms = 10});
    BOOST_CHECK_EQUAL(host.events(), "1 app_apply apply 1/0 257");
}

BOOST_AUTO_TEST_CASE(a_cpu_level_ends_when_cpu_runs_out) {
    Host host;
    host.run(0, {.cpu_level = 1, .mask = CPU, .uid = 1, .timeout_ms = 10});
    host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 20});
    host.events();
    BOOST_CHECK_EQUAL(host.app(9, 1), "1/0 level 1: 1@10 10 32@20 20");
    BOOST_CHECK_EQUAL(host.app(10, 1), "1/0: 32@20 20");
    host.run(10, {.mask = CPU, .uid = 1, .timeout_ms = 10});
    BOOST_CHECK_EQUAL(host.app(10, 1), "1/0: 1@20 10 32@20 20");
    BOOST_CHECK_EQUAL(host.events(), "10 app_reset expired 1/0 1 level 1; 10 app_apply apply 1/0 1");
}

BOOST_AUTO_TEST_CASE(the_app_part_of_a_process_request_leaves_the_level_of_the_app) {
    Host host;
    host.run(0, {.cpu_level = 1, .mask = CPU, .uid = 1, .timeout_ms = 100});
    host.run(0, {.is_process = true, .cpu_level = 2, .mask = CPU | GPS, .uid = 1, .pid = 5, .timeout_ms = 100});
    BOOST_CHECK_EQUAL(host.app(0, 1), "1/0 level 1: 1@100 100 32@100 100");
    BOOST_CHECK_EQUAL(host.process(0, 5), "1/5 level 2: 1@100 100");
    BOOST_CHECK_EQUAL(
        host.events(),
        "0 app_apply apply 1/0 1 level 1; 0 process_apply apply 1/5 1 level 2; 0 app_apply apply 1/5 32 level 1");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
