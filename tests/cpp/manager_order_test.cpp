// The order of the checks of each call: every two of them in all their variations, each of the others passing and
// failing.
#include "grantwheel/manager.hpp"

#include <functional>
#include <initializer_list>
#include <map>

#include "grantwheel/batch.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

constexpr Instant latest = 1000;

// A call to be judged, at first without a fault.
struct Judged {
    Instant now = latest;
    bool ready = true;
    std::string bundle{};
    std::string reason{};
    BundleRule rule{.level_limit = 1};
    Caller caller{.uid = 1, .pid = 2, .system_app = true};
    Request request{.mask = CPU | GPS, .timeout_ms = 100};
};

// One way to make a call, and the status that it earns when nothing before it has earned one.
struct Variation {
    Status status;
    std::function<void(Judged&)> apply;
};
// The checks in order; a call varies in each.
using Checks = std::vector<std::vector<Variation>>;

const std::string& too_long() {
    static const std::string text(max_text_bytes + 1, 'x');
    return text;
}

std::vector<Variation> times() {
    return {{Status::ok, [](Judged&) {}},
            {Status::time_backwards, [](Judged& call) { call.now = latest - 1; }},
            {Status::time_out_of_range, [](Judged& call) { call.now = max_now + 1; }}};
}

std::vector<Variation> readiness(Status status) {
    return {{Status::ok, [](Judged&) {}}, {status, [](Judged& call) { call.ready = false; }}};
}

std::vector<Variation> identities() {
    return {{Status::ok, [](Judged&) {}},
            {Status::ok, [](Judged& call) { call.caller.uid = call.caller.pid = 0; }},
            {Status::ok,
             [](Judged& call) {
                 call.caller.uid = max_uid;
                 call.caller.pid = max_pid;
             }},
            {Status::identity_invalid, [](Judged& call) { call.caller.uid = -1; }},
            {Status::identity_invalid, [](Judged& call) { call.caller.uid = max_uid + 1; }},
            {Status::identity_invalid, [](Judged& call) { call.caller.pid = -1; }},
            {Status::identity_invalid, [](Judged& call) { call.caller.pid = max_pid + 1; }},
            {Status::identity_invalid, [](Judged& call) { call.bundle += too_long(); }}};
}

std::vector<Variation> privileges() {
    const auto flags = [](bool system_app, bool service_extension) {
        return [=](Judged& call) {
            call.caller.system_app = system_app;
            call.caller.service_extension = service_extension;
        };
    };
    return {{Status::ok, flags(true, false)},
            {Status::ok, flags(false, true)},
            {Status::not_system_app, flags(false, false)},
            {Status::not_system_app, [](Judged& call) {
                 call.caller.system_app = false;
                 call.caller.native = true;
             }}};
}

std::vector<Variation> encodings(Status status, bool with_reason) {
    std::vector<Variation> all{{Status::ok, [](Judged&) {}}, {status, [](Judged& call) { call.bundle = "\xC0\x80"; }}};
    if (with_reason) all.push_back({status, [](Judged& call) { call.reason = "\xED\xA0\x80"; }});
    return all;
}

// `timed`: an apply that is not persistent.
std::vector<Variation> requests(bool timed) {
    return {{Status::ok, [](Judged&) {}},
            {Status::ok, [](Judged& call) { call.request.timeout_ms = max_timeout; }},
            {timed ? Status::request_invalid : Status::ok, [](Judged& call) { call.request.timeout_ms = 0; }},
            {Status::request_invalid, [](Judged& call) { call.request.timeout_ms = max_timeout + 1; }},
            {Status::request_invalid, [](Judged& call) { call.request.mask = 0; }},
            {Status::request_invalid, [](Judged& call) { call.request.mask = 512; }},
            {Status::request_invalid, [](Judged& call) { call.request.mask = UINT32_MAX; }},
            {Status::request_invalid, [](Judged& call) { call.reason += too_long(); }}};
}

std::vector<Variation> levels() {
    const auto set = [](std::int32_t level, std::int32_t limit, bool known) {
        return [=](Judged& call) {
            call.request.cpu_level = level;
            call.rule.level_limit = limit;
            call.rule.known = known;
        };
    };
    return {{Status::ok, [](Judged&) {}},
            {Status::ok, set(1, 1, true)},
            {Status::ok, set(default_level, default_level, true)},
            {Status::ok,
             [set](Judged& call) {  // the level of a request without CPU is not looked at
                 set(99, default_level, true)(call);
                 call.request.mask &= ~CPU;
             }},
            {Status::level_invalid, set(-2, 2, true)},
            {Status::level_invalid, set(3, default_level, false)},
            {Status::level_not_configured, set(0, default_level, true)},
            {Status::level_not_configured, set(2, default_level, false)},
            {Status::level_bundle_unknown, set(2, 1, false)},
            {Status::level_above_limit, set(2, 1, true)},
            {Status::permission_denied, set(default_level, 1, false)}};  // an unknown bundle may hold nothing
}

std::vector<Variation> allowances() {
    return {{Status::ok, [](Judged&) {}},
            {Status::ok, [](Judged& call) { call.rule.allowed = GPS | AUDIO; }},
            {Status::ok, [](Judged& call) { call.rule.allowed = ~TIMER; }},  // bits beyond the types mean nothing
            {Status::permission_denied, [](Judged& call) { call.rule.allowed = 0; }}};
}

std::unique_ptr<Manager> create(const Limits& limits = {.event_capacity = 64}) {
    auto manager = Manager::create(limits);
    BOOST_REQUIRE(manager != nullptr);
    return manager;
}

bool operator!=(const BundleRule& left, const BundleRule& right) {
    return left.allowed != right.allowed || left.level_limit != right.level_limit || left.known != right.known;
}

void set_rule(Manager& manager, const BundleRule& rule) {
    auto policy = Policy::create();
    BOOST_REQUIRE(policy != nullptr);
    policy->set_default_rule(rule);
    BOOST_REQUIRE_EQUAL(manager.set_policy(std::move(policy)), Status::ok);
}

// Calls `judge(manager, call, expected)` for every combination of variations, in a manager whose time is `latest`.
template <typename Judge>
std::size_t for_every_call(const Checks& checks, const Judged& base, Judge&& judge) {
    const auto manager = create();
    BOOST_REQUIRE_EQUAL(manager->engine().advance(latest, SIZE_MAX).status, Status::ok);
    BundleRule rule;
    std::vector<std::size_t> chosen(checks.size(), 0);
    std::size_t count = 0;
    for (;;) {
        Judged call = base;
        Status expected = Status::ok;
        for (std::size_t i = 0; i < checks.size(); ++i) {
            const Variation& variation = checks[i][chosen[i]];
            variation.apply(call);
            if (expected == Status::ok) expected = variation.status;
        }
        call.caller.bundle = call.bundle;
        call.request.reason = call.reason;
        if (call.rule != rule) set_rule(*manager, call.rule);
        rule = call.rule;
        manager->set_ready(call.ready);
        judge(*manager, call, expected);
        ++count;
        std::size_t i = 0;
        while (i < checks.size() && ++chosen[i] == checks[i].size()) chosen[i++] = 0;
        if (i == checks.size()) return count;
    }
}

void check_status(Status found, Status expected) {
    if (found != expected) BOOST_FAIL("judged as " << found << ", expected " << expected);
}

void check_admission(const Admission& admission, const Judged& call, Status expected) {
    check_status(admission.status, expected);
    if (expected != Status::ok) return;
    const Command& command = admission.command;
    const Mask mask = call.request.mask & call.rule.allowed & ALL;
    const std::int32_t level = (mask & CPU) != 0 ? call.request.cpu_level : default_level;
    const bool as_asked = command.kind == (call.request.is_apply ? CommandKind::apply : CommandKind::release) &&
                          command.mask == mask && command.uid == call.caller.uid && command.pid == call.caller.pid &&
                          command.is_persist == call.request.is_persist &&
                          command.timeout_ms == call.request.timeout_ms && command.reason == call.request.reason &&
                          command.bundle == call.bundle && command.cpu_level == level;
    if (!as_asked) BOOST_FAIL("the command is not what was asked for");
}

// One of those values.
template <typename T>
T one_of(Random& random, std::initializer_list<T> values) {
    return values.begin()[random.below(values.size())];
}

BundleRule random_rule(Random& random) {
    BundleRule rule{.allowed = one_of<Mask>(random, {0, ALL, UINT32_MAX, GPS | AUDIO, CPU}),
                    .known = !random.one_in(4),
                    .refuses_longer = random.one_in(3)};
    for (std::uint32_t& most : rule.timeout_max_ms) most = one_of<std::uint32_t>(random, {0, 0, 1, 50, 51});
    return rule;
}

// With callers of their own for some uids, or for none.
void set_random_policy(Manager& manager, Random& random) {
    auto policy = Policy::create();
    const auto caller = [&] {
        return Caller{.bundle = one_of<std::string_view>(random, {"", "a", "b", "c"}),
                      .system_app = !random.one_in(3),
                      .service_extension = random.one_in(4)};
    };
    policy->set_quota(random.one_in(2));
    policy->set_default_rule(random_rule(random));
    REQUIRE_EQUAL_QUIETLY(policy->set_default_caller(caller()), Status::ok);
    for (std::uint32_t uid = 0; uid < 4 && random.one_in(2); ++uid) {
        REQUIRE_EQUAL_QUIETLY(policy->set_caller(uid, caller()), Status::ok);
    }
    for (const std::string_view bundle : {"a", "b", "a"}) {  // one of them once more
        REQUIRE_EQUAL_QUIETLY(policy->set_rule(bundle, random_rule(random)), Status::ok);
    }
    REQUIRE_EQUAL_QUIETLY(manager.set_policy(std::move(policy)), Status::ok);
}

PlainCall random_call(Random& random) {
    const auto below_all = static_cast<std::int64_t>(random.below(ALL + 1));
    return {.uid = one_of<std::int64_t>(random, {-1, 0, 1, 2, 3, 5, max_uid, max_uid + 1}),
            .pid = one_of<std::int64_t>(random, {-1, 0, 7, 7, 7, max_pid, max_pid + 1}),
            .mask = one_of<std::int64_t>(random, {-1, 0, below_all, below_all, below_all, ALL + 1, INT64_MAX}),
            .timeout_ms = one_of<std::int64_t>(random, {-1, 0, 1, 50, 51, 52, 0xFFFF'FFFF, 0x1'0000'0000})};
}

void check_same(const Admission& found, const Admission& expected) {
    REQUIRE_EQUAL_QUIETLY(found.status, expected.status);
    if (expected.status != Status::ok) return;
    const Command& left = found.command;
    const Command& right = expected.command;
    const bool are_same = found.ask_quota == expected.ask_quota && left.kind == right.kind && left.mask == right.mask &&
                          left.uid == right.uid && left.pid == right.pid && left.timeout_ms == right.timeout_ms &&
                          left.bundle == right.bundle && left.capped == right.capped &&
                          is_plain(left, right.kind == CommandKind::apply);
    if (!are_same) BOOST_FAIL("the command is not what was asked for");
    for (std::size_t type = 0; type < type_count; ++type) {
        REQUIRE_EQUAL_QUIETLY(left.caps_ms[type], right.caps_ms[type]);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(manager_order)

BOOST_AUTO_TEST_CASE(an_apply_or_release_is_checked_in_order) {
    std::size_t count = 0;
    for (const bool is_release : {false, true}) {
        for (const bool is_persist : {false, true}) {
            Judged base;
            base.request.is_apply = !is_release;
            base.request.is_persist = is_persist;
            const Checks checks{times(),
                                encodings(Status::parcel_failed, true),
                                readiness(Status::not_ready),
                                requests(!is_release && !is_persist),
                                identities(),
                                privileges(),
                                levels(),
                                allowances()};
            // Every two checks with all their variations, and each of the others passing and failing.
            for (std::size_t left = 0; left < checks.size(); ++left) {
                for (std::size_t right = left + 1; right < checks.size(); ++right) {
                    Checks varied = checks;
                    for (std::size_t i = 0; i < checks.size(); ++i) {
                        if (i != left && i != right) varied[i] = {checks[i].front(), checks[i].back()};
                    }
                    count += for_every_call(varied, base, [](Manager& judging, const Judged& call, Status expected) {
                        check_admission(judging.admit(call.caller, call.request, call.now), call, expected);
                    });
                }
            }
        }
    }
    BOOST_TEST_MESSAGE(count << " calls");
}

BOOST_AUTO_TEST_CASE(a_reset_of_all_types_is_checked_in_order) {
    const Checks checks{
        times(),     encodings(Status::parcel_failed, false), readiness(Status::not_ready), identities(), privileges(),
        allowances()};
    for_every_call(checks, {}, [](Manager& judging, const Judged& call, Status expected) {
        const Admission admission = judging.admit_reset_all(call.caller, call.now);
        check_status(admission.status, expected);
        if (expected != Status::ok) return;
        const Command& command = admission.command;
        if (command.kind != CommandKind::reset_all || command.mask != (call.rule.allowed & ALL) ||
            command.uid != call.caller.uid || command.pid != call.caller.pid || admission.ask_quota) {
            BOOST_FAIL("the command is not what was asked for");
        }
    });
}

// The same judge for many calls: what it knows of one must not tell of the next.
BOOST_AUTO_TEST_CASE(a_plain_call_is_judged_as_any_other) {
    const auto manager = create();
    Random random(12);
    std::map<Status, int> seen;
    for (int round = 0; round < 2'000; ++round) {
        set_random_policy(*manager, random);
        manager->set_ready(!random.one_in(20));
        const bool is_apply = !random.one_in(3);
        PlainJudge judge(*manager, is_apply);
        for (int i = 0; i < 20; ++i) {
            const PlainCall call = random_call(random);
            Request request{.mask = call.mask < 0 || call.mask > ALL ? UINT32_MAX : static_cast<Mask>(call.mask),
                            .is_apply = is_apply};
            if (is_apply) request.timeout_ms = static_cast<std::uint64_t>(call.timeout_ms);
            const Admission expected = manager->admit(manager->caller(call.uid, call.pid), request, latest);
            check_same(judge.judge(call), expected);
            ++seen[expected.status];
        }
    }
    for (const Status status : {Status::ok, Status::not_ready, Status::request_invalid, Status::identity_invalid,
                                Status::not_system_app, Status::permission_denied}) {
        BOOST_CHECK_GT(seen[status], 500);
    }
}

BOOST_AUTO_TEST_CASE(a_query_is_checked_in_order_and_needs_no_allowed_type) {
    const Checks checks{times(), encodings(Status::query_parcel_failed, false), readiness(Status::query_not_ready),
                        identities(), privileges()};
    Judged base;
    base.rule.allowed = 0;
    for_every_call(checks, base, [](Manager& judging, const Judged& call, Status expected) {
        check_status(judging.admit_query(call.caller, call.now), expected);
    });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
