#include "grantwheel/policy.hpp"

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

std::unique_ptr<Policy> create_policy() {
    auto policy = Policy::create();
    REQUIRE_QUIETLY(policy != nullptr);
    return policy;
}

std::string describe(const BundleRule& rule) {
    return std::to_string(rule.allowed) + " " + std::to_string(rule.level_limit) + (rule.known ? "" : " unknown");
}

std::string describe(const Caller& caller) {
    std::string text = std::to_string(caller.uid) + "/" + std::to_string(caller.pid);
    text.append(" ").append(caller.bundle);
    if (caller.system_app) text += " system";
    if (caller.service_extension) text += " extension";
    if (caller.native) text += " native";
    return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(policy)

BOOST_AUTO_TEST_CASE(the_default_trusts_everyone) {
    const auto policy = create_policy();
    BOOST_CHECK_EQUAL(describe(policy->rule("")), "511 -1");
    BOOST_CHECK_EQUAL(describe(policy->rule("any")), "511 -1");
    BOOST_CHECK_EQUAL(describe(policy->caller(5, 6)), "5/6  system native");
    BOOST_CHECK(!policy->asks_quota());
}

BOOST_AUTO_TEST_CASE(a_bundle_without_a_rule_has_the_default_one) {
    const auto policy = create_policy();
    policy->set_default_rule({.allowed = CPU, .level_limit = 1, .known = false});
    BOOST_CHECK_EQUAL(describe(policy->rule("any")), "1 1 unknown");
    REQUIRE_EQUAL_QUIETLY(policy->set_rule("own", {.allowed = GPS}), Status::ok);
    BOOST_CHECK_EQUAL(describe(policy->rule("own")), "32 -1");
    BOOST_CHECK_EQUAL(describe(policy->rule("any")), "1 1 unknown");
    BOOST_CHECK_EQUAL(describe(policy->rule("")), "1 1 unknown");
    policy->set_default_rule({});
    BOOST_CHECK_EQUAL(describe(policy->rule("any")), "511 -1");
    BOOST_CHECK_EQUAL(describe(policy->rule("own")), "32 -1");
}

BOOST_AUTO_TEST_CASE(the_last_rule_of_a_bundle_counts) {
    const auto policy = create_policy();
    REQUIRE_EQUAL_QUIETLY(policy->set_rule("own", {.allowed = GPS}), Status::ok);
    REQUIRE_EQUAL_QUIETLY(policy->set_rule("other", {.allowed = 0}), Status::ok);
    REQUIRE_EQUAL_QUIETLY(policy->set_rule("own", {.allowed = CPU, .level_limit = 2}), Status::ok);
    BOOST_CHECK_EQUAL(describe(policy->rule("own")), "1 2");
    BOOST_CHECK_EQUAL(describe(policy->rule("other")), "0 -1");
}

BOOST_AUTO_TEST_CASE(the_empty_bundle_may_have_a_rule) {
    const auto policy = create_policy();
    REQUIRE_EQUAL_QUIETLY(policy->set_rule("", {.allowed = GPS}), Status::ok);
    BOOST_CHECK_EQUAL(describe(policy->rule("")), "32 -1");
    BOOST_CHECK_EQUAL(describe(policy->rule("any")), "511 -1");
}

BOOST_AUTO_TEST_CASE(callers_are_found_by_uid_and_take_the_uid_and_pid_of_the_call) {
    const auto policy = create_policy();
    REQUIRE_EQUAL_QUIETLY(
        policy->set_default_caller({.uid = 77, .pid = 78, .bundle = "default", .service_extension = true}), Status::ok);
    REQUIRE_EQUAL_QUIETLY(policy->set_caller(0, {.bundle = "zero"}), Status::ok);
    REQUIRE_EQUAL_QUIETLY(policy->set_caller(0xFFFF'FFFE, {.bundle = "last", .system_app = true}), Status::ok);
    BOOST_CHECK_EQUAL(describe(policy->caller(0, 3)), "0/3 zero");
    BOOST_CHECK_EQUAL(describe(policy->caller(0xFFFF'FFFE, 3)), "4294967294/3 last system");
    BOOST_CHECK_EQUAL(describe(policy->caller(1, 4)), "1/4 default extension");
    REQUIRE_EQUAL_QUIETLY(policy->set_caller(0, {.bundle = "anew", .native = true}), Status::ok);
    BOOST_CHECK_EQUAL(describe(policy->caller(0, 3)), "0/3 anew native");
}

BOOST_AUTO_TEST_CASE(a_uid_out_of_range_has_the_default_caller) {
    const auto policy = create_policy();
    for (std::uint32_t uid = 0; uid < 100; ++uid) REQUIRE_EQUAL_QUIETLY(policy->set_caller(uid, {}), Status::ok);
    for (const std::int64_t uid :
         {std::int64_t{-1}, max_uid + 1, max_uid + 2, std::int64_t{1} << 40, INT64_MIN, INT64_MAX}) {
        BOOST_CHECK_EQUAL(describe(policy->caller(uid, -5)), std::to_string(uid) + "/-5  system native");
    }
}

BOOST_AUTO_TEST_CASE(keeps_texts_of_its_own) {
    const auto policy = create_policy();
    for (std::uint32_t i = 0; i < 300; ++i) {
        const std::string bundle = "bundle " + std::to_string(i);
        REQUIRE_EQUAL_QUIETLY(policy->set_caller(i, {.bundle = bundle}), Status::ok);
        REQUIRE_EQUAL_QUIETLY(policy->set_rule(bundle, {.allowed = i}), Status::ok);
    }
    for (std::uint32_t i = 0; i < 300; ++i) {
        const std::string bundle = "bundle " + std::to_string(i);
        REQUIRE_EQUAL_QUIETLY(policy->caller(i, 0).bundle, bundle);
        REQUIRE_EQUAL_QUIETLY(policy->rule(bundle).allowed, i);
    }
}

BOOST_AUTO_TEST_CASE(texts_that_are_too_long_or_not_utf8_are_refused) {
    const auto policy = create_policy();
    const std::string longest(max_text_bytes, 'b');
    const std::string longer(max_text_bytes + 1, 'b');
    BOOST_CHECK_EQUAL(policy->set_rule(longest, {.allowed = 1}), Status::ok);
    BOOST_CHECK_EQUAL(policy->rule(longest).allowed, 1u);
    BOOST_CHECK_EQUAL(policy->set_caller(1, {.bundle = longest}), Status::ok);
    BOOST_CHECK_EQUAL(policy->set_rule(longer, {}), Status::identity_invalid);
    BOOST_CHECK_EQUAL(policy->set_caller(1, {.bundle = longer}), Status::identity_invalid);
    BOOST_CHECK_EQUAL(policy->set_default_caller({.bundle = longer}), Status::identity_invalid);
    BOOST_CHECK_EQUAL(policy->set_rule("\xFF", {}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(policy->set_caller(1, {.bundle = "\xFF"}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(policy->set_default_caller({.bundle = "\xFF"}), Status::parcel_failed);
    BOOST_CHECK_EQUAL(describe(policy->caller(1, 1)), "1/1 " + longest);
    BOOST_CHECK_EQUAL(describe(policy->caller(2, 2)), "2/2  system native");
    BOOST_CHECK_EQUAL(policy->rule(longer).allowed, ALL);
}

BOOST_AUTO_TEST_CASE(a_failed_allocation_changes_nothing) {
    const std::string first(40, 'a');
    const std::string second(40, 'b');
    bool failed = true;
    std::size_t passed = 0;
    for (; failed; ++passed) {
        const FailingAllocation failing(passed);
        failed = false;
        auto policy = Policy::create();
        if (policy == nullptr) {
            failed = true;
            policy = create_policy();
        }
        const auto again = [&](auto&& build, auto&& look) {
            const std::string before = look();
            Status status = build();
            if (status == Status::ok) return;
            REQUIRE_EQUAL_QUIETLY(status, Status::out_of_memory);
            REQUIRE_QUIETLY(!failed);
            failed = true;
            BOOST_CHECK_EQUAL(look(), before);
            status = build();
            REQUIRE_EQUAL_QUIETLY(status, Status::ok);
        };
        const auto look_at_callers = [&] { return describe(policy->caller(1, 1)) + describe(policy->caller(2, 2)); };
        const auto look_at_rules = [&] { return describe(policy->rule(first)) + describe(policy->rule(second)); };
        again([&] { return policy->set_rule(first, {.allowed = 1}); }, look_at_rules);
        again([&] { return policy->set_caller(1, {.bundle = second}); }, look_at_callers);
        again([&] { return policy->set_default_caller({.bundle = first}); }, look_at_callers);
        for (std::uint32_t i = 0; i < 30; ++i) {
            const std::string bundle = "bundle " + std::to_string(i);
            again([&] { return policy->set_rule(bundle, {.allowed = i}); }, look_at_rules);
            again([&] { return policy->set_caller(100 + i, {.bundle = bundle}); }, look_at_callers);
        }
        REQUIRE_EQUAL_QUIETLY(failed, FailingAllocation::happened());
        for (std::uint32_t i = 0; i < 30; ++i) {
            REQUIRE_EQUAL_QUIETLY(policy->rule(policy->caller(100 + i, 0).bundle).allowed, i);
        }
        BOOST_CHECK_EQUAL(look_at_rules(), "1 -1511 -1");
        BOOST_CHECK_EQUAL(look_at_callers(), "1/1 " + second + "2/2 " + first);
    }
    BOOST_CHECK_GT(passed, 10u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
