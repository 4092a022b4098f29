#include <array>
#include <memory>
#include <utility>

#include "capi/handle.hpp"
#include "capi/values.hpp"

using namespace grantwheel;
using namespace grantwheel::capi;

namespace {

// Without its bundle, which a default rule may have anything in.
bool is_rule(const gw_bundle_rule* rule) noexcept { return is_whole(rule) && is_level(rule->level_limit); }

BundleRule to_rule(const gw_bundle_rule& given) noexcept {
    BundleRule rule;
    rule.allowed = given.allowed;
    rule.level_limit = given.level_limit;
    rule.known = given.is_known != 0;
    rule.refuses_longer = given.refuses_longer != 0;
    rule.timeout_max_ms = std::to_array(given.timeout_max_ms);
    return rule;
}

// Runs `add(element)` for each element until one is refused.
template <typename Struct, typename Add>
Status add_all(const Struct* first, std::size_t count, Add&& add) noexcept {
    if (count == 0) return Status::ok;
    const Strided<const Struct> elements(first);
    if (!elements.is_whole()) return Status::argument_invalid;
    for (std::size_t i = 0; i < count; ++i) {
        const Struct& element = elements[i];
        if (element.size != first->size || !is_valid(&element)) return Status::argument_invalid;
        if (const Status status = add(element); status != Status::ok) return status;
    }
    return Status::ok;
}

Status add_rules(Policy& policy, const gw_policy& given) noexcept {
    if (given.default_rule != nullptr) {
        if (!is_rule(given.default_rule)) return Status::argument_invalid;
        policy.set_default_rule(to_rule(*given.default_rule));
    }
    return add_all(given.rules, given.rule_count, [&](const gw_bundle_rule& rule) {
        return is_rule(&rule) ? policy.set_rule(to_view(rule.bundle), to_rule(rule)) : Status::argument_invalid;
    });
}

Status add_callers(Policy& policy, const gw_policy& given) noexcept {
    if (given.default_caller != nullptr) {
        if (!is_valid(given.default_caller)) return Status::argument_invalid;
        const Status status = policy.set_default_caller(to_caller(*given.default_caller));
        if (status != Status::ok) return status;
    }
    return add_all(given.callers, given.caller_count, [&](const gw_caller& caller) {
        if (caller.uid < 0 || caller.uid > max_uid) return Status::identity_invalid;
        return policy.set_caller(static_cast<std::uint32_t>(caller.uid), to_caller(caller));
    });
}

Status replace(gw_manager& handle, const gw_policy& given) noexcept {
    auto policy = Policy::create(handle.manager->hash_key());
    if (policy == nullptr) return Status::out_of_memory;
    if (const Status status = add_rules(*policy, given); status != Status::ok) return status;
    if (const Status status = add_callers(*policy, given); status != Status::ok) return status;
    const bool has_quota = given.asks_quota != 0 || given.quota_check != nullptr || given.quota_settle != nullptr;
    policy->set_quota(has_quota);
    if (const Status status = handle.manager->set_policy(std::move(policy)); status != Status::ok) return status;
    handle.has_quota = has_quota;
    handle.check = given.quota_check;
    handle.settle = given.quota_settle;
    handle.user = given.quota_user;
    return Status::ok;
}

}  // namespace

gw_status gw_set_policy(gw_manager* manager, const gw_policy* policy) noexcept {
    const gw_policy initial = GW_POLICY_INIT;
    if (policy == nullptr) policy = &initial;
    return change(manager, [&](gw_manager& open) {
        return is_whole(policy) ? replace(open, *policy) : Status::argument_invalid;
    });
}

gw_status gw_caller_of(const gw_manager* manager, int64_t uid, int64_t pid, gw_caller* caller) noexcept {
    if (!is_whole(caller)) return GW_ARGUMENT_INVALID;
    return look(manager, [&](const Manager& open) {
        write(open.caller(uid, pid), *caller);
        return Status::ok;
    });
}
