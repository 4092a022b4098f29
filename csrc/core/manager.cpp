#include "grantwheel/manager.hpp"

#include "core/bits.hpp"
#include "core/text.hpp"

namespace grantwheel {

namespace {

bool is_uid(std::int64_t uid) noexcept { return uid >= 0 && uid <= max_uid; }
bool is_pid(std::int64_t pid) noexcept { return pid >= 0 && pid <= max_pid; }
bool is_mask(Mask mask) noexcept { return mask != 0 && mask <= rules.all; }

Status judge_request(const Request& request) noexcept {
    const bool timed = request.is_apply && !request.is_persist;
    const bool in_range = is_mask(request.mask) && request.timeout_ms <= max_timeout &&
                          (!timed || request.timeout_ms != 0) && request.reason.size() <= max_text_bytes;
    return in_range ? Status::ok : Status::request_invalid;
}

Status judge_identity(const Caller& caller) noexcept {
    const bool valid = is_uid(caller.uid) && is_pid(caller.pid) && caller.bundle.size() <= max_text_bytes;
    return valid ? Status::ok : Status::identity_invalid;
}

Status judge_privilege(const Caller& caller) noexcept {
    return caller.is_privileged() ? Status::ok : Status::not_system_app;
}

// The cpu level rules, on the mask as it was asked for.
Status judge_level(const Request& request, const BundleRule& rule) noexcept {
    if ((request.mask & rules.levelled) == 0 || request.cpu_level == default_level) return Status::ok;
    if (!is_level(request.cpu_level)) return Status::level_invalid;
    if (rule.level_limit == default_level) return Status::level_not_configured;
    if (!rule.known) return Status::level_bundle_unknown;
    return request.cpu_level <= rule.level_limit ? Status::ok : Status::level_above_limit;
}

// The types of an apply for which the rule has a shorter timeout.
Mask types_to_cap(const Request& request, const BundleRule& rule, Mask mask) noexcept {
    Mask capped = 0;
    for_each_type(mask, [&](int type) {
        const std::uint32_t most = rule.timeout_max_ms[static_cast<std::size_t>(type)];
        if (most != 0 && (request.is_persist || request.timeout_ms > most)) capped |= type_bit(type);
    });
    return capped;
}

Admission refused(Status status) noexcept { return {status, false, {}}; }

bool are_caps(const Command& command) noexcept {
    bool are = command.capped <= rules.all;
    for_each_type(command.capped & rules.all,
                  [&](int type) { are = are && command.caps_ms[static_cast<std::size_t>(type)] != 0; });
    return are;
}

Command command_of(const Caller& caller, CommandKind kind, Mask mask) noexcept {
    Command command;
    command.kind = kind;
    command.mask = mask;
    command.uid = static_cast<std::uint32_t>(caller.uid);
    command.pid = static_cast<std::uint32_t>(caller.pid);
    command.bundle = caller.bundle;
    return command;
}

// A death or an act of administration: it has no caller but an owner.
Admission admit_owner(Status time, CommandKind kind, std::int64_t uid, std::int64_t pid, Mask mask) noexcept {
    Admission admission;
    admission.status = time;
    if (time == Status::ok && !is_mask(mask)) admission.status = Status::request_invalid;
    if (admission.status == Status::ok && !(is_uid(uid) && is_pid(pid))) admission.status = Status::identity_invalid;
    if (admission.status == Status::ok) admission.command = command_of({.uid = uid, .pid = pid}, kind, mask);
    return admission;
}

}  // namespace

Manager::Manager(std::unique_ptr<Engine> engine, std::unique_ptr<Policy> policy, const HashKey& key) noexcept
    : engine_(std::move(engine)), key_(key) {
    use(std::move(policy));
}

void Manager::use(std::unique_ptr<Policy> policy) noexcept {
    has_one_standing_ = policy->has_one_standing();
    standing_ = policy->standing(-1);
    policy_ = std::move(policy);
}

std::unique_ptr<Manager> Manager::create(const Limits& limits, const HashKey& key) noexcept {
    return create(Engine::create(limits, key), key);
}

std::unique_ptr<Manager> Manager::create(std::unique_ptr<Engine>&& engine, const HashKey& key) noexcept {
    auto policy = Policy::create(key);
    if (engine == nullptr || policy == nullptr) return nullptr;
    std::unique_ptr<Manager> made(new (std::nothrow) Manager(nullptr, std::move(policy), key));
    if (made != nullptr) made->engine_ = std::move(engine);
    return made;
}

Status Manager::set_policy(std::unique_ptr<Policy> policy) noexcept {
    if (policy == nullptr || !engine_->track_cpu_ended(policy->asks_quota())) return Status::out_of_memory;
    use(std::move(policy));
    return Status::ok;
}

// The rules of a request, in order, as far as the rule of its bundle.
Status Manager::judge(const Caller& caller, const Request& request, Instant now) const noexcept {
    if (const Status status = engine_->check_time(now); status != Status::ok) return status;
    if (!is_utf8(request.reason) || !is_utf8(caller.bundle)) return Status::parcel_failed;
    if (!ready_) return Status::not_ready;
    if (const Status status = judge_request(request); status != Status::ok) return status;
    if (const Status status = judge_identity(caller); status != Status::ok) return status;
    return judge_privilege(caller);
}

// What of a renewal is held already: all that the quota is asked about. It may be less by the time of execution.
Mask Manager::held_of(const Caller& caller, const Request& request, Mask mask, Instant now) const noexcept {
    const auto uid = static_cast<std::uint32_t>(caller.uid);
    const Mask process_mask = request.is_process ? mask & rules.per_process : 0;
    Mask held = mask & ~process_mask & engine_->mask({OwnerKind::app, uid}, now).mask;
    RecordView process;
    const Owner owner{OwnerKind::process, static_cast<std::uint32_t>(caller.pid)};
    const bool is_found = process_mask != 0 && engine_->find(owner, now, process) == Status::ok;
    if (is_found && process.mask != 0 && process.uid == uid) held |= process.mask & process_mask;
    return held;
}

Admission Manager::admit(const Caller& caller, const Request& request, Instant now) const noexcept {
    if (const Status status = judge(caller, request, now); status != Status::ok) return refused(status);
    const BundleRule& rule = policy_->rule(caller.bundle);
    if (const Status status = judge_level(request, rule); status != Status::ok) return refused(status);
    Mask mask = request.mask & rule.permitted();
    const Mask capped = request.is_apply ? types_to_cap(request, rule, mask) : 0;
    if (mask == 0 || (capped != 0 && rule.refuses_longer)) return refused(Status::permission_denied);
    const bool renews = request.is_apply && request.only_held;
    const Mask asked = renews ? held_of(caller, request, mask, now) : mask;
    if (asked != 0) mask = asked;
    const bool has_level = (mask & rules.levelled) != 0;
    const bool is_endless = request.is_apply && request.is_persist && (capped & rules.levelled) == 0;
    const bool is_rationed = (asked & rules.levelled) != 0 && !request.is_process && !is_endless;
    return {.status = Status::ok,
            .ask_quota = is_rationed && policy_->asks_quota(),
            .command = {.kind = request.is_apply ? CommandKind::apply : CommandKind::release,
                        .is_persist = request.is_persist,
                        .is_process = request.is_process,
                        .only_held = renews,
                        .cpu_level = static_cast<std::int8_t>(has_level ? request.cpu_level : default_level),
                        .mask = mask,
                        .uid = static_cast<std::uint32_t>(caller.uid),
                        .pid = static_cast<std::uint32_t>(caller.pid),
                        .timeout_ms = static_cast<std::uint32_t>(request.timeout_ms),
                        .bundle = caller.bundle,
                        .reason = request.reason,
                        .capped = capped & mask,
                        .caps_ms = rule.timeout_max_ms}};
}

// Leaves those types whose longest timeout is shorter.
void PlainJudge::cap() noexcept {
    Command& command = admission_.command;
    command.capped = types_to_cap({.timeout_ms = command.timeout_ms}, *standing_.rule, command.capped);
}

Admission Manager::admit_reset_all(const Caller& caller, Instant now) const noexcept {
    if (const Status status = engine_->check_time(now); status != Status::ok) return refused(status);
    if (!is_utf8(caller.bundle)) return refused(Status::parcel_failed);
    if (!ready_) return refused(Status::not_ready);
    if (const Status status = judge_identity(caller); status != Status::ok) return refused(status);
    if (const Status status = judge_privilege(caller); status != Status::ok) return refused(status);
    const Mask mask = policy_->rule(caller.bundle).permitted();
    if (mask == 0) return refused(Status::permission_denied);
    return {Status::ok, false, command_of(caller, CommandKind::reset_all, mask)};
}

Admission Manager::admit_process_died(std::int64_t uid, std::int64_t pid, Instant now) const noexcept {
    return admit_owner(engine_->check_time(now), CommandKind::process_died, uid, pid, rules.all);
}

Admission Manager::admit_app_stopped(std::int64_t uid, Instant now) const noexcept {
    return admit_owner(engine_->check_time(now), CommandKind::app_stopped, uid, 0, rules.all);
}

Admission Manager::admit_package_removed(std::int64_t uid, Instant now) const noexcept {
    return admit_owner(engine_->check_time(now), CommandKind::package_removed, uid, 0, rules.all);
}

Admission Manager::admit_admin_reset_all(Instant now) const noexcept {
    return admit_owner(engine_->check_time(now), CommandKind::admin_reset_all, 0, 0, rules.all);
}

Admission Manager::admit_admin_reset_app(std::int64_t uid, Mask mask, Instant now) const noexcept {
    return admit_owner(engine_->check_time(now), CommandKind::admin_reset_app, uid, 0, mask);
}

Admission Manager::admit_admin_reset_process(std::int64_t pid, Mask mask, Instant now) const noexcept {
    return admit_owner(engine_->check_time(now), CommandKind::admin_reset_process, 0, pid, mask);
}

Status Manager::check(const Command& command) noexcept {
    const bool is_apply = command.kind == CommandKind::apply;
    const Request request{.mask = command.mask,
                          .is_apply = is_apply,
                          .is_persist = command.is_persist,
                          .timeout_ms = command.timeout_ms,
                          .reason = command.reason};
    const Caller caller{.uid = command.uid, .pid = command.pid, .bundle = command.bundle};
    if (!is_utf8(command.reason) || !is_utf8(command.bundle)) return Status::parcel_failed;
    if (static_cast<std::size_t>(command.kind) >= command_count) return Status::request_invalid;
    if (const Status status = judge_request(request); status != Status::ok) return status;
    if (is_apply && !are_caps(command)) return Status::request_invalid;
    if (const Status status = judge_identity(caller); status != Status::ok) return status;
    return is_level(command.cpu_level) ? Status::ok : Status::level_invalid;
}

Result Manager::execute(const Admission& admission, Instant now) noexcept {
    if (admission.status != Status::ok) return {admission.status, 0};
    return engine_->execute(admission.command, now);
}

Status Manager::admit_query(const Caller& caller, Instant now) const noexcept {
    if (const Status status = engine_->check_time(now); status != Status::ok) return status;
    if (!is_utf8(caller.bundle)) return Status::query_parcel_failed;
    if (!ready_) return Status::query_not_ready;
    if (const Status status = judge_identity(caller); status != Status::ok) return status;
    return judge_privilege(caller);
}

Status Manager::admit_native(const Caller& caller) const noexcept {
    return caller.native ? Status::ok : Status::permission_denied;
}

}  // namespace grantwheel
