// The longest timeouts of a policy: what is admitted of a longer request, and what becomes of it.
#include <utility>

#include "grantwheel/manager.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr Caller maps{.uid = 1, .pid = 2, .bundle = "maps", .system_app = true};

constexpr std::size_t index_of(Mask bit) { return static_cast<std::size_t>(std::countr_zero(bit)); }

// GPS at most 100 ms, CPU at most 10, for maps; TIMER at most 7 for every other bundle.
std::unique_ptr<Manager> create(bool refuses, bool has_quota = false) {
    auto manager = Manager::create({.event_capacity = 64});
    auto policy = Policy::create();
    BundleRule rule{.refuses_longer = refuses};
    rule.timeout_max_ms[index_of(GPS)] = 100;
    rule.timeout_max_ms[index_of(CPU)] = 10;
    BundleRule usual{.refuses_longer = refuses};
    usual.timeout_max_ms[index_of(TIMER)] = 7;
    BOOST_REQUIRE_EQUAL(policy->set_rule("maps", rule), Status::ok);
    policy->set_default_rule(usual);
    policy->set_quota(has_quota);
    BOOST_REQUIRE_EQUAL(manager->set_policy(std::move(policy)), Status::ok);
    return manager;
}

std::string app_of(Manager& manager, std::uint32_t uid, Instant now) {
    RecordView view;
    BOOST_REQUIRE_EQUAL(manager.engine().find({OwnerKind::app, uid}, now, view), Status::ok);
    check_valid(manager.engine());
    return describe(view);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(caps)

BOOST_AUTO_TEST_CASE(a_longer_apply_gets_the_longest_timeout_of_each_type) {
    const auto manager = create(false);
    const Request request{.mask = GPS | CPU | AUDIO, .timeout_ms = 500, .reason = "nav"};
    const Admission admission = manager->admit(maps, request, 1000);
    BOOST_CHECK_EQUAL(admission.command.capped, GPS | CPU);
    BOOST_CHECK_EQUAL(admission.command.timeout_ms, 500u);
    BOOST_CHECK_EQUAL(manager->execute(admission, 1000).mask, GPS | CPU | AUDIO);
    BOOST_CHECK_EQUAL(app_of(*manager, 1, 1000), "1/2 maps: 1@1010 10 nav 32@1100 100 nav 64@1500 500 nav");
    BOOST_CHECK_EQUAL(manager->engine().last_sequence(), 1u);  // one event, as for any apply
    BOOST_CHECK_EQUAL(manager->engine().advance(1100, SIZE_MAX).ended, 2u);
    BOOST_CHECK_EQUAL(app_of(*manager, 1, 1100), "1/2 maps: 64@1500 500 nav");
}

BOOST_AUTO_TEST_CASE(one_that_is_not_longer_is_left_alone) {
    for (const bool refuses : {false, true}) {
        const auto manager = create(refuses);
        BOOST_CHECK_EQUAL(manager->admit(maps, {.mask = GPS, .timeout_ms = 100}, 0).command.capped, 0u);
        BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS, .timeout_ms = 100}, 0).status, Status::ok);
        BOOST_CHECK_EQUAL(manager->request(maps, {.mask = AUDIO, .timeout_ms = max_timeout}, 0).status, Status::ok);
        BOOST_CHECK_EQUAL(manager->request(maps, {.mask = SENSOR, .is_persist = true}, 0).status, Status::ok);
        BOOST_CHECK_EQUAL(app_of(*manager, 1, 0), "1/2 maps: 32@100 100 64@4294967295 4294967295 256@never 0");
    }
}

BOOST_AUTO_TEST_CASE(a_persistent_apply_is_the_longest_of_all) {
    const auto capping = create(false);
    const Request request{.mask = GPS | AUDIO, .is_persist = true};
    BOOST_CHECK_EQUAL(capping->request(maps, request, 50).status, Status::ok);
    BOOST_CHECK_EQUAL(app_of(*capping, 1, 50), "1/2 maps: 32@150 100 64@never 0");
    const auto refusing = create(true);
    BOOST_CHECK_EQUAL(refusing->request(maps, request, 50).status, Status::permission_denied);
}

BOOST_AUTO_TEST_CASE(a_refusal_is_of_the_whole_request_and_changes_nothing) {
    const auto manager = create(true);
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS, .timeout_ms = 50, .reason = "a"}, 0).status, Status::ok);
    const Request longer{.mask = GPS | AUDIO, .timeout_ms = 101, .reason = "b"};
    BOOST_CHECK_EQUAL(manager->request(maps, longer, 10).status, Status::permission_denied);
    BOOST_CHECK_EQUAL(app_of(*manager, 1, 10), "1/2 maps: 32@50 50 a");
    BOOST_CHECK_EQUAL(manager->engine().last_sequence(), 1u);
}

BOOST_AUTO_TEST_CASE(only_types_that_are_allowed_are_looked_at) {
    const auto manager = create(true);
    auto policy = Policy::create();
    BundleRule rule{.allowed = AUDIO, .refuses_longer = true};
    rule.timeout_max_ms[index_of(GPS)] = 1;
    policy->set_default_rule(rule);
    BOOST_REQUIRE_EQUAL(manager->set_policy(std::move(policy)), Status::ok);
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS | AUDIO, .timeout_ms = 9}, 0).mask, AUDIO);
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS, .timeout_ms = 9}, 0).status, Status::permission_denied);
}

BOOST_AUTO_TEST_CASE(a_release_has_no_timeout_that_could_be_too_long) {
    const auto manager = create(true);
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS, .timeout_ms = 50}, 0).status, Status::ok);
    const Request release{.mask = GPS, .is_apply = false, .is_persist = true, .timeout_ms = 5000};
    BOOST_CHECK_EQUAL(manager->admit(maps, release, 10).command.capped, 0u);
    BOOST_CHECK_EQUAL(manager->request(maps, release, 10).mask, GPS);
}

BOOST_AUTO_TEST_CASE(what_is_held_already_stays_as_long_as_it_was) {
    const auto manager = Manager::create({});
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS, .timeout_ms = 5000}, 0).status, Status::ok);
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = CPU, .is_persist = true}, 0).status, Status::ok);
    auto policy = Policy::create();
    BundleRule rule;
    rule.timeout_max_ms.fill(10);
    policy->set_default_rule(rule);
    BOOST_REQUIRE_EQUAL(manager->set_policy(std::move(policy)), Status::ok);
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS | CPU, .timeout_ms = 100}, 1).status, Status::ok);
    BOOST_CHECK_EQUAL(app_of(*manager, 1, 1), "1/2 maps: 1@never 0 32@5000 5000");
    // Renewed again and again it lasts no longer than the longest from now.
    for (Instant now = 4980; now < 5100; now += 3) {
        BOOST_CHECK_EQUAL(manager->request(maps, {.mask = GPS, .timeout_ms = 100}, now).status, Status::ok);
    }
    BOOST_CHECK_EQUAL(app_of(*manager, 1, 5099), "1/2 maps: 1@never 0 32@5107 10");
}

BOOST_AUTO_TEST_CASE(a_process_record_is_capped_as_the_app_is) {
    const auto manager = create(false);
    const Request request{.mask = GPS | CPU, .is_persist = true, .is_process = true};
    BOOST_CHECK_EQUAL(manager->request(maps, request, 0).status, Status::ok);
    RecordView view;
    BOOST_REQUIRE_EQUAL(manager->engine().find({OwnerKind::process, 2}, 0, view), Status::ok);
    BOOST_CHECK_EQUAL(describe(view), "1/2 maps: 1@10 10");
    BOOST_CHECK_EQUAL(app_of(*manager, 1, 0), "1/2 maps: 32@100 100");
}

// A persistent apply is not asked about, but one that is cut is timed.
BOOST_AUTO_TEST_CASE(the_quota_is_asked_for_what_is_granted) {
    const auto manager = create(false, true);
    const Caller other{.uid = 5, .pid = 6, .system_app = true};
    const Request request{.mask = CPU | GPS, .is_persist = true};
    BOOST_CHECK(manager->admit(maps, request, 0).ask_quota);
    BOOST_CHECK(!manager->admit(other, request, 0).ask_quota);
}

BOOST_AUTO_TEST_CASE(the_default_rule_has_timeouts_too_and_an_entry_has_its_own) {
    const auto manager = create(false);
    const Caller other{.uid = 5, .pid = 6, .bundle = "other", .system_app = true};
    BOOST_CHECK_EQUAL(manager->request(other, {.mask = TIMER | GPS, .timeout_ms = 400}, 0).status, Status::ok);
    BOOST_CHECK_EQUAL(app_of(*manager, 5, 0), "5/6 other: 4@7 7 32@400 400");
    BOOST_CHECK_EQUAL(manager->request(maps, {.mask = TIMER, .timeout_ms = 400}, 0).status, Status::ok);
    BOOST_CHECK_EQUAL(app_of(*manager, 1, 0), "1/2 maps: 4@400 400");
}

BOOST_AUTO_TEST_CASE(a_command_of_a_journal_must_have_timeouts_that_can_be) {
    Command command{.mask = GPS, .timeout_ms = 5, .capped = GPS};
    BOOST_CHECK_EQUAL(Manager::check(command), Status::request_invalid);
    command.caps_ms[index_of(GPS)] = 1;
    BOOST_CHECK_EQUAL(Manager::check(command), Status::ok);
    command.capped = ALL + 1;
    BOOST_CHECK_EQUAL(Manager::check(command), Status::request_invalid);
    command.capped = GPS | CPU;
    BOOST_CHECK_EQUAL(Manager::check(command), Status::request_invalid);
    command.kind = CommandKind::release;
    BOOST_CHECK_EQUAL(Manager::check(command), Status::ok);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
