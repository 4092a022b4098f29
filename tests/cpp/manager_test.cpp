// What the manager admits, and what becomes of an admission. The order of checks: manager_order_test.cpp.
#include "grantwheel/manager.hpp"

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

std::unique_ptr<Manager> create_manager(const Limits& limits = {.event_capacity = 64}) {
    auto manager = Manager::create(limits);
    BOOST_REQUIRE(manager != nullptr);
    return manager;
}

constexpr Caller trusted{.uid = 1, .pid = 2, .bundle = "b", .system_app = true};

// A manager whose policy has a quota hook.
std::unique_ptr<Manager> create_with_quota() {
    auto manager = create_manager();
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    policy->set_quota(true);
    BOOST_REQUIRE_EQUAL(manager->set_policy(std::move(policy)), Status::ok);
    return manager;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(manager)

BOOST_AUTO_TEST_CASE(only_native_callers_see_everyone) {
    const auto judging = create_manager();
    BOOST_CHECK_EQUAL(judging->admit_native({.native = true}), Status::ok);
    BOOST_CHECK_EQUAL(judging->admit_native({.system_app = true, .service_extension = true}),
                      Status::permission_denied);
}

BOOST_AUTO_TEST_CASE(deaths_and_administration_are_checked_for_identity_and_mask_only) {
    const auto judging = create_manager();
    judging->set_ready(false);
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    policy->set_default_rule({.allowed = 0, .known = false});
    BOOST_REQUIRE_EQUAL(judging->set_policy(std::move(policy)), Status::ok);
    const auto status = [](const Admission& admission) { return admission.status; };

    BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_all(0)), Status::ok);
    for (const std::int64_t uid : {std::int64_t{0}, max_uid}) {
        BOOST_CHECK_EQUAL(status(judging->admit_process_died(uid, max_pid, 0)), Status::ok);
        BOOST_CHECK_EQUAL(status(judging->admit_app_stopped(uid, 0)), Status::ok);
        BOOST_CHECK_EQUAL(status(judging->admit_package_removed(uid, 0)), Status::ok);
        BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_app(uid, 1, 0)), Status::ok);
    }
    for (const std::int64_t uid : {std::int64_t{-1}, max_uid + 1, INT64_MIN, INT64_MAX}) {
        BOOST_CHECK_EQUAL(status(judging->admit_process_died(uid, 0, 0)), Status::identity_invalid);
        BOOST_CHECK_EQUAL(status(judging->admit_app_stopped(uid, 0)), Status::identity_invalid);
        BOOST_CHECK_EQUAL(status(judging->admit_package_removed(uid, 0)), Status::identity_invalid);
        BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_app(uid, ALL, 0)), Status::identity_invalid);
        BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_app(uid, 0, 0)), Status::request_invalid);
    }
    for (const std::int64_t pid : {std::int64_t{-1}, max_pid + 1, INT64_MIN, INT64_MAX}) {
        BOOST_CHECK_EQUAL(status(judging->admit_process_died(0, pid, 0)), Status::identity_invalid);
        BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_process(pid, ALL, 0)), Status::identity_invalid);
    }
    for (const Mask mask : {Mask{0}, Mask{512}, Mask{UINT32_MAX}}) {
        BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_app(0, mask, 0)), Status::request_invalid);
        BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_process(0, mask, 0)), Status::request_invalid);
    }
    BOOST_CHECK_EQUAL(status(judging->admit_admin_reset_all(max_now + 1)), Status::time_out_of_range);
    BOOST_CHECK_EQUAL(status(judging->admit_app_stopped(-1, max_now + 1)), Status::time_out_of_range);
}

BOOST_AUTO_TEST_CASE(deaths_and_administration_name_the_owner) {
    const auto judging = create_manager();
    const Command died = judging->admit_process_died(3, 4, 0).command;
    BOOST_CHECK(died.kind == CommandKind::process_died && died.uid == 3 && died.pid == 4);
    const Command stopped = judging->admit_app_stopped(3, 0).command;
    BOOST_CHECK(stopped.kind == CommandKind::app_stopped && stopped.uid == 3);
    const Command removed = judging->admit_package_removed(3, 0).command;
    BOOST_CHECK(removed.kind == CommandKind::package_removed && removed.uid == 3);
    const Command app = judging->admit_admin_reset_app(3, GPS, 0).command;
    BOOST_CHECK(app.kind == CommandKind::admin_reset_app && app.uid == 3 && app.mask == GPS);
    const Command process = judging->admit_admin_reset_process(4, CPU, 0).command;
    BOOST_CHECK(process.kind == CommandKind::admin_reset_process && process.pid == 4 && process.mask == CPU);
    BOOST_CHECK(judging->admit_admin_reset_all(0).command.kind == CommandKind::admin_reset_all);
}

BOOST_AUTO_TEST_CASE(the_quota_is_asked_for_app_level_cpu_unless_persistent) {
    for (const bool asks : {false, true}) {
        const auto judging = asks ? create_with_quota() : create_manager();
        for (const bool is_apply : {false, true}) {
            for (const bool is_persist : {false, true}) {
                for (const bool is_process : {false, true}) {
                    for (const Mask mask : {CPU, CPU | GPS, GPS, ALL, ALL & ~CPU}) {
                        const Request request{.mask = mask,
                                              .is_apply = is_apply,
                                              .is_persist = is_persist,
                                              .is_process = is_process,
                                              .timeout_ms = 100};
                        const Admission admission = judging->admit(trusted, request, 0);
                        BOOST_REQUIRE_EQUAL(admission.status, Status::ok);
                        const bool expected = asks && (mask & CPU) != 0 && !is_process && !(is_apply && is_persist);
                        BOOST_CHECK_EQUAL(admission.ask_quota, expected);
                    }
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(the_quota_is_asked_after_the_filter) {
    const auto judging = create_manager();
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    policy->set_quota(true);
    policy->set_default_rule({.allowed = ALL & ~CPU, .level_limit = 2});
    BOOST_REQUIRE_EQUAL(judging->set_policy(std::move(policy)), Status::ok);
    const Admission filtered = judging->admit(trusted, {.mask = ALL, .cpu_level = 2, .timeout_ms = 1}, 0);
    BOOST_CHECK_EQUAL(filtered.status, Status::ok);
    BOOST_CHECK(!filtered.ask_quota);
    BOOST_CHECK_EQUAL(filtered.command.cpu_level, default_level);
    BOOST_CHECK(!judging->admit_reset_all(trusted, 0).ask_quota);
}

BOOST_AUTO_TEST_CASE(an_admission_is_executed_as_it_was_decided_then) {
    const auto judging = create_manager();
    const Admission admission = judging->admit(trusted, {.mask = CPU | GPS, .timeout_ms = 100, .reason = "r"}, 0);
    BOOST_REQUIRE_EQUAL(admission.status, Status::ok);
    judging->set_ready(false);
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    policy->set_default_rule({.allowed = 0});
    BOOST_REQUIRE_EQUAL(judging->set_policy(std::move(policy)), Status::ok);
    BOOST_CHECK_EQUAL(judging->admit(trusted, {.mask = CPU, .timeout_ms = 1}, 0).status, Status::not_ready);
    const Result result = judging->execute(admission, 50);
    BOOST_CHECK_EQUAL(result.status, Status::ok);
    BOOST_CHECK_EQUAL(result.mask, CPU | GPS);
    RecordView view;
    BOOST_REQUIRE_EQUAL(judging->engine().find({OwnerKind::app, 1}, 50, view), Status::ok);
    BOOST_CHECK_EQUAL(describe(view), "1/2 b: 1@150 100 r 32@150 100 r");
    BOOST_CHECK_EQUAL(judging->execute(admission, 49).status, Status::time_backwards);
    check_valid(judging->engine());
}

BOOST_AUTO_TEST_CASE(a_refused_admission_is_answered_with_its_status_and_changes_nothing) {
    const auto judging = create_manager();
    BOOST_REQUIRE_EQUAL(judging->request(trusted, {.mask = GPS, .timeout_ms = 10}, 0).status, Status::ok);
    for (const Request& request : {Request{.mask = 0}, Request{.mask = GPS, .timeout_ms = 0}}) {
        const Result result = judging->request(trusted, request, 5);
        BOOST_CHECK_EQUAL(result.status, Status::request_invalid);
        BOOST_CHECK_EQUAL(result.mask, 0u);
    }
    BOOST_CHECK_EQUAL(judging->execute(judging->admit_app_stopped(-1, 5), 5).status, Status::identity_invalid);
    BOOST_CHECK_EQUAL(judging->engine().last_sequence(), 1u);
    BOOST_CHECK_EQUAL(judging->engine().check_time(0), Status::ok);
}

BOOST_AUTO_TEST_CASE(a_partly_allowed_request_succeeds_in_part) {
    const auto judging = create_manager();
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    BOOST_REQUIRE_EQUAL(policy->set_rule("b", {.allowed = GPS | AUDIO}), Status::ok);
    BOOST_REQUIRE_EQUAL(judging->set_policy(std::move(policy)), Status::ok);
    BOOST_CHECK_EQUAL(judging->request(trusted, {.mask = CPU | GPS, .timeout_ms = 10}, 0).mask, GPS);
    BOOST_CHECK_EQUAL(judging->request(trusted, {.mask = CPU, .timeout_ms = 10}, 0).status, Status::permission_denied);
    BOOST_CHECK_EQUAL(judging->request(trusted, {.mask = CPU, .is_apply = false}, 0).status, Status::permission_denied);
    BOOST_CHECK_EQUAL(judging->reset_all(trusted, 0).mask, GPS);
}

BOOST_AUTO_TEST_CASE(a_type_taken_away_by_the_policy_stays_held_until_it_ends) {
    const auto judging = create_manager();
    BOOST_CHECK_EQUAL(judging->request(trusted, {.mask = GPS | CPU, .timeout_ms = 10}, 0).mask, GPS | CPU);
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    policy->set_default_rule({.allowed = CPU});
    BOOST_REQUIRE_EQUAL(judging->set_policy(std::move(policy)), Status::ok);
    BOOST_CHECK_EQUAL(judging->engine().mask({OwnerKind::app, 1}, 0).mask, GPS | CPU);
    BOOST_CHECK_EQUAL(judging->request(trusted, {.mask = GPS, .is_apply = false}, 0).status, Status::permission_denied);
    BOOST_CHECK_EQUAL(judging->reset_all(trusted, 0).mask, CPU);
    BOOST_CHECK_EQUAL(judging->execute(judging->admit_app_stopped(1, 0), 0).mask, GPS);
}

BOOST_AUTO_TEST_CASE(what_a_quota_hook_has_to_be_told_is_told_once) {
    const auto judging = create_with_quota();
    const auto ended = [&] { return judging->engine().cpu_ended().size(); };
    const auto lose_cpu = [&](Instant now) {
        BOOST_REQUIRE_EQUAL(judging->request(trusted, {.mask = CPU, .timeout_ms = 10}, now).status, Status::ok);
        BOOST_REQUIRE_EQUAL(judging->reset_all(trusted, now).mask, CPU);
        BOOST_REQUIRE_EQUAL(ended(), 1u);
        BOOST_CHECK_EQUAL(judging->engine().cpu_ended()[0], 1u);
    };
    lose_cpu(0);
    BOOST_REQUIRE_EQUAL(judging->engine().advance(0, 1).status, Status::ok);
    BOOST_CHECK_EQUAL(ended(), 0u);
    lose_cpu(1);
    BOOST_REQUIRE_EQUAL(judging->reset_all(trusted, 1).status, Status::ok);
    BOOST_CHECK_EQUAL(ended(), 0u);
    lose_cpu(3);
    BOOST_REQUIRE_EQUAL(judging->set_policy(Policy::create()), Status::ok);
    BOOST_CHECK_EQUAL(ended(), 0u);
    BOOST_REQUIRE_EQUAL(judging->request(trusted, {.mask = CPU, .timeout_ms = 10}, 4).status, Status::ok);
    BOOST_REQUIRE_EQUAL(judging->reset_all(trusted, 4).mask, CPU);
    BOOST_CHECK_EQUAL(ended(), 0u);
}

BOOST_AUTO_TEST_CASE(without_memory_there_is_no_manager_and_the_old_policy_stays) {
    bool failed = true;
    std::size_t passed = 0;
    for (; failed; ++passed) {
        const FailingAllocation failing(passed);
        failed = Manager::create({.event_capacity = 4, .reserve = 10}) == nullptr;
        BOOST_REQUIRE_EQUAL(failed, FailingAllocation::happened());
    }
    BOOST_CHECK_GT(passed, 5u);
    BOOST_CHECK(Manager::create({.max_records = 0}) == nullptr);

    const auto judging = create_manager();
    BOOST_CHECK_EQUAL(judging->set_policy(nullptr), Status::out_of_memory);
    BOOST_REQUIRE_EQUAL(judging->request(trusted, {.mask = CPU, .timeout_ms = 10}, 0).status, Status::ok);
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    policy->set_quota(true);
    {
        const FailingAllocation failing(0);
        BOOST_CHECK_EQUAL(judging->set_policy(std::move(policy)), Status::out_of_memory);
        BOOST_CHECK(FailingAllocation::happened());
    }
    const Admission admission = judging->admit(trusted, {.mask = CPU, .timeout_ms = 10}, 0);
    BOOST_CHECK_EQUAL(admission.status, Status::ok);
    BOOST_CHECK(!admission.ask_quota);
    BOOST_CHECK_EQUAL(judging->execute(judging->admit_reset_all(trusted, 0), 0).mask, CPU);
    BOOST_CHECK_EQUAL(judging->engine().cpu_ended().size(), 0u);
}

BOOST_AUTO_TEST_CASE(callers_come_from_the_policy) {
    const auto judging = create_manager();
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    BOOST_REQUIRE_EQUAL(policy->set_caller(7, {.bundle = "seven", .system_app = true}), Status::ok);
    BOOST_REQUIRE_EQUAL(judging->set_policy(std::move(policy)), Status::ok);
    const Caller caller = judging->caller(7, 8);
    BOOST_CHECK_EQUAL(caller.uid, 7);
    BOOST_CHECK_EQUAL(caller.pid, 8);
    BOOST_CHECK_EQUAL(caller.bundle, "seven");
    BOOST_CHECK(caller.system_app && !caller.native);
}

BOOST_AUTO_TEST_CASE(a_command_from_elsewhere_is_checked) {
    const Command sound{.mask = GPS, .timeout_ms = 10, .bundle = "mail", .reason = "why"};
    const auto check = [&](auto change) {
        Command command = sound;
        change(command);
        return Manager::check(command);
    };
    const std::string long_text(1025, 'x');
    BOOST_CHECK_EQUAL(Manager::check(sound), Status::ok);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.kind = static_cast<CommandKind>(9); }), Status::request_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.mask = 0; }), Status::request_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.mask = 512; }), Status::request_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.timeout_ms = 0; }), Status::request_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.timeout_ms = 0, c.is_persist = true; }), Status::ok);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.timeout_ms = 0, c.kind = CommandKind::release; }), Status::ok);
    BOOST_CHECK_EQUAL(check([&](Command& c) { c.reason = long_text; }), Status::request_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.uid = 0xFFFF'FFFF; }), Status::identity_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.pid = 0x8000'0000; }), Status::identity_invalid);
    BOOST_CHECK_EQUAL(check([&](Command& c) { c.bundle = long_text; }), Status::identity_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.cpu_level = 3; }), Status::level_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.cpu_level = -2; }), Status::level_invalid);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.reason = "\xFF"; }), Status::parcel_failed);
    BOOST_CHECK_EQUAL(check([](Command& c) { c.bundle = "\xFF"; }), Status::parcel_failed);
}

BOOST_AUTO_TEST_CASE(a_renewal_is_about_what_is_held_and_asks_the_quota_about_no_more) {
    const auto manager = create_with_quota();
    const auto renew = [&](Mask mask, Instant now) {
        return manager->admit(trusted, {.mask = mask, .only_held = true, .timeout_ms = 100}, now);
    };
    const auto apply = [&](Mask mask, Instant now) {
        return manager->request(trusted, {.mask = mask, .timeout_ms = 100}, now).status;
    };
    BOOST_CHECK(!renew(CPU, 0).ask_quota);
    BOOST_CHECK_EQUAL(manager->execute(renew(CPU | GPS, 0), 0).mask, 0u);
    BOOST_CHECK_EQUAL(manager->engine().last_sequence(), 0u);
    BOOST_REQUIRE_EQUAL(apply(GPS, 0), Status::ok);
    BOOST_CHECK(!renew(CPU | GPS, 50).ask_quota);
    BOOST_CHECK_EQUAL(renew(CPU | GPS, 50).command.mask, GPS);
    BOOST_CHECK_EQUAL(manager->execute(renew(CPU | GPS, 50), 50).mask, GPS);
    BOOST_REQUIRE_EQUAL(apply(CPU, 60), Status::ok);
    const Admission both = renew(CPU | GPS, 140);
    BOOST_CHECK(both.ask_quota);
    BOOST_CHECK_EQUAL(both.command.mask, CPU | GPS);
    BOOST_CHECK_EQUAL(manager->execute(both, 155).mask, CPU);  // GPS ended at 150
    BOOST_CHECK(!manager->admit(trusted, {.mask = CPU, .is_apply = false, .only_held = true}, 155).command.only_held);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
