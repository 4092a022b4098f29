// Releases, cascades, deaths and administration.
#include "support.hpp"

namespace grantwheel::test {

namespace {

// App 1 with CPU, GPS, TIMER and WORK_SCHEDULER; CPU in processes 12, 11, 13 of uid 1, and in 20 of uid 2.
void populate(Host& host, std::uint32_t timeout = 1000) {
    host.run(0, {.mask = CPU | GPS | RETAINED, .uid = 1, .pid = 10, .timeout_ms = timeout, .bundle = "a"});
    for (const std::uint32_t pid : {12u, 11u, 13u}) {
        host.run(0, {.is_process = true, .mask = CPU, .uid = 1, .pid = pid, .timeout_ms = timeout, .bundle = "p"});
    }
    host.run(0, {.is_process = true, .mask = CPU, .uid = 2, .pid = 20, .timeout_ms = timeout});
    host.events();
}

// The events of the processes of `populate` that a cascade gives.
std::string cascade(const std::string& cause, const std::string& time = "1") {
    std::string text;
    for (const char* pid : {"11", "12", "13"}) text += "; " + time + " process_reset " + cause + " 1/" + pid + " 1 p";
    return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(engine_release)

BOOST_AUTO_TEST_CASE(only_what_is_held_is_removed) {
    Host host;
    host.run(0, {.mask = CPU | GPS, .uid = 1, .pid = 3, .timeout_ms = 100});
    host.events();
    BOOST_CHECK_EQUAL(host.run(1, release(1, GPS | AUDIO)), GPS);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset release 1/3 32");
    BOOST_CHECK_EQUAL(host.app(1, 1), "1/3: 1@100 100");
}

BOOST_AUTO_TEST_CASE(releasing_nothing_succeeds_without_an_event) {
    Host host;
    BOOST_CHECK_EQUAL(host.run(0, release(1, ALL)), 0u);
    BOOST_CHECK_EQUAL(host.run(0, release_process(1, 2, ALL)), 0u);
    host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 100});
    host.events();
    BOOST_CHECK_EQUAL(host.run(0, release(1, GPS)), 0u);
    BOOST_CHECK_EQUAL(host.run(0, reset_all(2, ALL)), 0u);
    BOOST_CHECK_EQUAL(host.events(), "");
}

BOOST_AUTO_TEST_CASE(one_release_undoes_any_number_of_applies) {
    Host host;
    for (Instant now = 0; now < 5; ++now)
        host.run(now, {.is_persist = now == 2, .mask = CPU, .uid = 1, .timeout_ms = 100});
    BOOST_CHECK_EQUAL(host.run(5, release(1, CPU)), CPU);
    BOOST_CHECK_EQUAL(host.app(5, 1), "nothing");
}

BOOST_AUTO_TEST_CASE(an_app_release_of_cpu_clears_its_processes_by_ascending_pid) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, release(1, CPU)), CPU);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset release 1/10 1 a" + cascade("release"));
    BOOST_CHECK_EQUAL(host.app_mask(1, 1), GPS | RETAINED);
    BOOST_CHECK_EQUAL(host.process_mask(1, 20), CPU);
}

BOOST_AUTO_TEST_CASE(the_cascade_needs_no_app_record) {
    Host host;
    populate(host);
    host.run(0, admin_reset_app(1, ALL));
    host.events();
    BOOST_CHECK_EQUAL(host.run(1, release(1, CPU | GPS)), CPU);
    BOOST_CHECK_EQUAL(host.events(), cascade("release").substr(2));
}

BOOST_AUTO_TEST_CASE(a_release_without_cpu_does_not_cascade) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, release(1, ALL & ~CPU)), GPS | RETAINED);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset release 1/10 44 a");
    BOOST_CHECK_EQUAL(host.process_mask(1, 11), CPU);
}

BOOST_AUTO_TEST_CASE(a_release_without_cpu_leaves_it_to_others_to_tell_what_is_due_in_processes) {
    Host host;
    populate(host, 10);
    host.run(5, {.mask = GPS, .uid = 1, .timeout_ms = 100});
    host.run(50, release(1, GPS));
    BOOST_CHECK_EQUAL(host.events(), "10 app_reset expired 1/10 13 a; 50 app_reset release 1/10 32 a");
    host.run(50, release(1, CPU));
    BOOST_CHECK_EQUAL(host.events(), cascade("expired", "10").substr(2));
}

BOOST_AUTO_TEST_CASE(a_process_release_takes_cpu_of_its_own_pid_and_the_rest_of_the_app) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, release_process(1, 12, CPU | GPS)), CPU | GPS);
    BOOST_CHECK_EQUAL(host.events(), "1 process_reset release 1/12 1 p; 1 app_reset release 1/10 32 a");
    BOOST_CHECK_EQUAL(host.app_mask(1, 1), CPU | RETAINED);
    BOOST_CHECK_EQUAL(host.process_mask(1, 11), CPU);
}

BOOST_AUTO_TEST_CASE(a_process_release_leaves_the_pid_of_another_uid) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, release_process(1, 20, CPU)), 0u);
    BOOST_CHECK_EQUAL(host.run(1, release_process(2, 11, CPU | GPS)), 0u);
    BOOST_CHECK_EQUAL(host.events(), "");
}

BOOST_AUTO_TEST_CASE(any_process_of_a_uid_may_release_what_the_app_holds) {
    Host host;
    populate(host);
    Command command = release(1, GPS);
    command.pid = 77;
    BOOST_CHECK_EQUAL(host.run(1, command), GPS);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset release 1/10 32 a");
}

BOOST_AUTO_TEST_CASE(reset_all_clears_the_allowed_types_with_the_cascade) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, reset_all(1, GPS | TIMER)), GPS | TIMER);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset reset_all 1/10 36 a");
    BOOST_CHECK_EQUAL(host.run(1, reset_all(1, ALL)), CPU | WORK_SCHEDULER);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset reset_all 1/10 9 a" + cascade("reset_all"));
    BOOST_CHECK_EQUAL(host.run(1, reset_all(1, ALL)), 0u);
    BOOST_CHECK_EQUAL(host.events(), "");
}

BOOST_AUTO_TEST_CASE(a_dead_process_takes_its_record_along_and_leaves_the_app) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, process_died(1, 11)), CPU);
    BOOST_CHECK_EQUAL(host.events(), "1 process_reset process_died 1/11 1 p");
    BOOST_CHECK_EQUAL(host.run(1, process_died(1, 10)), 0u);  // it created the app record
    BOOST_CHECK_EQUAL(host.app_mask(1, 1), CPU | GPS | RETAINED);
    BOOST_CHECK_EQUAL(host.run(1, process_died(1, 20)), 0u);  // of another uid
    BOOST_CHECK_EQUAL(host.process_mask(1, 20), CPU);
    BOOST_CHECK_EQUAL(host.events(), "");
}

BOOST_AUTO_TEST_CASE(a_stopped_app_keeps_its_retained_types_which_still_expire) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, app_stopped(1)), CPU | GPS);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset app_stopped 1/10 33 a" + cascade("app_stopped"));
    BOOST_CHECK_EQUAL(host.app(1, 1), "1/10 a: 4@1000 1000 8@1000 1000");
    BOOST_CHECK_EQUAL(host.advance(1000), 3u);
    BOOST_CHECK_EQUAL(host.events(), "1000 process_reset expired 2/20 1; 1000 app_reset expired 1/10 12 a");
}

BOOST_AUTO_TEST_CASE(a_removed_package_keeps_nothing) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, package_removed(1)), CPU | GPS | RETAINED);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset package_removed 1/10 45 a" + cascade("package_removed"));
    BOOST_CHECK_EQUAL(host.app(1, 1), "nothing");
}

BOOST_AUTO_TEST_CASE(administration_of_one_owner_does_not_cascade) {
    Host host;
    populate(host);
    BOOST_CHECK_EQUAL(host.run(1, admin_reset_app(1, CPU | SENSOR)), CPU);
    BOOST_CHECK_EQUAL(host.run(1, admin_reset_process(12, ALL)), CPU);
    BOOST_CHECK_EQUAL(host.run(1, admin_reset_process(99, ALL)), 0u);
    BOOST_CHECK_EQUAL(host.run(1, admin_reset_app(99, ALL)), 0u);
    BOOST_CHECK_EQUAL(host.run(1, admin_reset_process(11, ALL & ~CPU)), 0u);
    BOOST_CHECK_EQUAL(host.events(), "1 app_reset admin 1/10 1 a; 1 process_reset admin 1/12 1 p");
    BOOST_CHECK_EQUAL(host.process_mask(1, 11), CPU);
}

BOOST_AUTO_TEST_CASE(administration_resets_all_apps_then_all_processes_in_order) {
    Host host;
    populate(host);
    host.run(0, {.is_persist = true, .mask = AUDIO, .uid = 0, .pid = 1});
    host.run(0, {.mask = AUDIO, .uid = 0xFFFF'FFFE, .pid = 0x7FFF'FFFF, .timeout_ms = 1});
    host.run(0, {.mask = AUDIO, .uid = 5, .pid = 1, .timeout_ms = 2});
    host.events();
    BOOST_CHECK_EQUAL(host.run(1, admin_reset_all()), CPU | GPS | RETAINED | AUDIO);
    BOOST_CHECK_EQUAL(
        host.events(),
        "1 app_reset expired 4294967294/2147483647 64; 1 app_reset admin 0/1 64; 1 app_reset admin 1/10 45 a; "
        "1 app_reset admin 5/1 64" +
            cascade("admin") + "; 1 process_reset admin 2/20 1");
    BOOST_CHECK_EQUAL(host.run(1, admin_reset_all()), 0u);
    BOOST_CHECK_EQUAL(host.stats(1).app_records + host.stats(1).process_records, 0u);
}

BOOST_AUTO_TEST_CASE(what_is_due_ends_before_the_release_and_is_not_released) {
    Host host;
    populate(host, 1000);
    BOOST_CHECK_EQUAL(host.run(1000, release(1, ALL)), 0u);
    BOOST_CHECK_EQUAL(host.events(), cascade("expired", "1000").substr(2) + "; 1000 app_reset expired 1/10 45 a");
    BOOST_CHECK_EQUAL(host.run(1000, process_died(2, 20)), 0u);
    BOOST_CHECK_EQUAL(host.events(), "1000 process_reset expired 2/20 1");
}

BOOST_AUTO_TEST_CASE(what_is_due_in_a_cascade_ends_by_deadline_then_processes_before_the_app) {
    Host host;
    const auto process = [&](std::uint32_t pid, std::uint32_t timeout) {
        host.run(0, {.is_process = true, .mask = CPU, .uid = 1, .pid = pid, .timeout_ms = timeout});
    };
    process(5, 40);
    process(4, 20);
    process(9, 20);
    process(3, 100);
    process(2, 100);
    host.run(0, {.mask = GPS, .uid = 1, .pid = 1, .timeout_ms = 10});
    host.run(0, {.mask = AUDIO, .uid = 1, .pid = 1, .timeout_ms = 20});
    host.run(0, {.mask = SENSOR, .uid = 1, .pid = 1, .timeout_ms = 30});
    host.run(0, {.mask = TIMER, .uid = 1, .pid = 1, .timeout_ms = 50});
    host.run(0, {.is_persist = true, .mask = CPU, .uid = 1, .pid = 1});
    host.events();
    BOOST_CHECK_EQUAL(host.run(60, release(1, CPU)), CPU);
    BOOST_CHECK_EQUAL(host.events(),
                      "10 app_reset expired 1/1 32; 20 process_reset expired 1/4 1; 20 process_reset expired 1/9 1; "
                      "20 app_reset expired 1/1 64; 30 app_reset expired 1/1 256; 40 process_reset expired 1/5 1; "
                      "50 app_reset expired 1/1 4; 60 app_reset release 1/1 1; 60 process_reset release 1/2 1; "
                      "60 process_reset release 1/3 1");
}

BOOST_AUTO_TEST_CASE(a_process_release_settles_both_records_as_one) {
    Host host;
    host.run(0, {.mask = GPS | AUDIO, .uid = 1, .pid = 1, .timeout_ms = 10});
    host.run(0, {.mask = AUDIO, .uid = 1, .pid = 1, .timeout_ms = 30});
    host.run(0, {.is_process = true, .mask = CPU, .uid = 1, .pid = 1, .timeout_ms = 20});
    host.events();
    BOOST_CHECK_EQUAL(host.run(25, release_process(1, 1, ALL)), AUDIO);
    BOOST_CHECK_EQUAL(host.events(),
                      "10 app_reset expired 1/1 32; 20 process_reset expired 1/1 1; 25 app_reset release 1/1 64");
}

BOOST_AUTO_TEST_CASE(a_renewed_grant_is_released_though_its_old_deadline_has_passed) {
    Host host;
    populate(host, 10);
    host.run(5, {.is_process = true, .mask = CPU, .uid = 1, .pid = 12, .timeout_ms = 100});
    host.run(5, {.mask = GPS, .uid = 1, .timeout_ms = 100});
    host.events();
    BOOST_CHECK_EQUAL(host.run(50, release(1, ALL)), CPU | GPS);
    BOOST_CHECK_EQUAL(
        host.events(),
        "10 process_reset expired 1/11 1 p; 10 process_reset expired 1/13 1 p; 10 app_reset expired 1/10 13 a; "
        "50 app_reset release 1/10 32 a; 50 process_reset release 1/12 1 p");
}

BOOST_AUTO_TEST_CASE(the_texts_of_what_was_removed_are_let_go) {
    Host host({.event_capacity = 1});
    host.run(0, {.mask = CPU, .uid = 1, .timeout_ms = 100, .bundle = "bundle", .reason = "first"});
    host.run(0, {.mask = GPS, .uid = 1, .timeout_ms = 100, .bundle = "bundle", .reason = "second"});
    BOOST_CHECK_EQUAL(host.stats(0).strings, 3u);
    host.run(0, release(1, CPU));
    BOOST_CHECK_EQUAL(host.stats(0).strings, 2u);
    host.run(0, release(1, GPS));
    BOOST_CHECK_EQUAL(host.stats(0).strings, 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
