// The manager: an engine behind a policy, with the calls of the documented API. It is not thread-safe: one caller at a
// time, under a lock of the host's, which is not held while the quota hook or a journal runs.
//
// Steps    `admit` judges a call and changes nothing; `execute` applies what was admitted. A host with a quota hook
//          asks it in between when `ask_quota` is set; a host with a journal records the command in between. Then
//          `execute` is told, and nothing is ever rolled back. The one-step calls below do both in one go.
// Settle   After each call that is not const, whatever it answers, a host with a quota hook reads
//          `engine().cpu_ended()` and, outside its lock, tells the hook; only the execution of a refused admission
//          leaves nothing to read.
// Time     As in engine.hpp.
#pragma once

#include <memory>
#include <span>

#include "grantwheel/columns.hpp"
#include "grantwheel/engine.hpp"
#include "grantwheel/macros.hpp"
#include "grantwheel/policy.hpp"
#include "grantwheel/types.hpp"

namespace grantwheel {

// The judgement on one call. Its texts are those of the caller and the request that were judged, and live as long.
struct [[nodiscard]] Admission {
    Status status = Status::ok;
    bool ask_quota = false;  // the hook must be asked for (uid, bundle, mask, kind == apply) before execute
    Command command{};
};

class Manager {
public:
    // A ready manager without grants and with the default policy; null when `limits` are out of range or memory is not
    // to be had.
    [[nodiscard]] static std::unique_ptr<Manager> create(const Limits& limits, const HashKey& key = {}) noexcept;
    // The same around an engine with its grants, made with that key. Null when memory is not to be had; then the engine is
    // the caller's still.
    [[nodiscard]] static std::unique_ptr<Manager> create(std::unique_ptr<Engine>&& engine, const HashKey& key) noexcept;

    // Judges an apply or a release up to the quota hook. In this order: texts encodable, ready, mask, timeout
    // and reason in range, identity, privilege, cpu level, allowed types, longest timeouts. A persistent apply is longer
    // than any timeout.
    Admission admit(const Caller& caller, const Request& request, Instant now) const noexcept;
    // Judges a reset of all types: texts encodable, ready, identity, privilege, allowed types.
    Admission admit_reset_all(const Caller& caller, Instant now) const noexcept;
    // Judge a death or an act of administration: identity and mask only; the policy and readiness play no part.
    Admission admit_process_died(std::int64_t uid, std::int64_t pid, Instant now) const noexcept;
    Admission admit_app_stopped(std::int64_t uid, Instant now) const noexcept;
    Admission admit_package_removed(std::int64_t uid, Instant now) const noexcept;
    Admission admit_admin_reset_all(Instant now) const noexcept;
    Admission admit_admin_reset_app(std::int64_t uid, Mask mask, Instant now) const noexcept;
    Admission admit_admin_reset_process(std::int64_t pid, Mask mask, Instant now) const noexcept;

    // Whether a command that no `admit` has made (a journal's, another program's) may be executed: ok, or the status of
    // a field that is out of range.
    [[nodiscard]] static Status check(const Command& command) noexcept;

    // Carries out what was admitted; a refused admission answers its status and changes nothing. The admission of an
    // earlier instant is fine: what was decided then is executed now.
    //
    // Returns  apply: the mask in effect (request AND allowed); all others: the union of the bits removed.
    Result execute(const Admission& admission, Instant now) noexcept;

    // Admit and execute in one step, for a host without quota hook and journal.
    Result request(const Caller& caller, const Request& request, Instant now) noexcept {
        return execute(admit(caller, request, now), now);
    }
    Result reset_all(const Caller& caller, Instant now) noexcept { return execute(admit_reset_all(caller, now), now); }

    // Whether the caller may read the grants of its uid (get all), and whether it may see every record or subscribe.
    [[nodiscard]] Status admit_query(const Caller& caller, Instant now) const noexcept;
    [[nodiscard]] Status admit_native(const Caller& caller) const noexcept;

    // Judges the rows one after the other, and calls `visit(i, admission)` for each before the next, which may carry it
    // out: the processor gets what the rows that follow will touch.
    //
    // An admission is there until the next row is judged. The policy stays meanwhile.
    //
    // Errors   As Engine::check_time: then nothing has been judged.
    template <typename Visit>
    [[nodiscard]] Status admit_each(const Requests& rows, Instant now, Visit&& visit) const;
    // Admits and executes each in one step, as above, and writes the results to `out`, which is as long as the rows are
    // many. `cpu_ended` is that of the last row.
    [[nodiscard]] Status request_many(const Requests& rows, Instant now, std::span<Result> out) noexcept {
        return admit_each(rows, now,
                          [&](std::size_t i, const Admission& admission) { out[i] = execute(admission, now); });
    }

    // The registered caller of a uid, with these uid and pid.
    [[nodiscard]] Caller caller(std::int64_t uid, std::int64_t pid) const noexcept { return policy_->caller(uid, pid); }

    // Replaces the policy, from the next call on. No grant is dropped by it. out_of_memory leaves the old one.
    [[nodiscard]] Status set_policy(std::unique_ptr<Policy> policy) noexcept;

    // What its hashes are keyed with. A policy for it is best created with the same.
    [[nodiscard]] const HashKey& hash_key() const noexcept { return key_; }

    [[nodiscard]] bool ready() const noexcept { return ready_; }
    void set_ready(bool ready) noexcept { ready_ = ready; }

    // Time, queries and events.
    [[nodiscard]] Engine& engine() noexcept { return *engine_; }
    [[nodiscard]] const Engine& engine() const noexcept { return *engine_; }

private:
    friend class PlainJudge;

    Manager(std::unique_ptr<Engine> engine, std::unique_ptr<Policy> policy, const HashKey& key) noexcept;
    void use(std::unique_ptr<Policy> policy) noexcept;
    [[nodiscard]] Status judge(const Caller& caller, const Request& request, Instant now) const noexcept;
    [[nodiscard]] Mask held_of(const Caller& caller, const Request& request, Mask mask, Instant now) const noexcept;

    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Policy> policy_;
    // Of the policy: whether all callers have the same, and that of those without one of their own.
    bool has_one_standing_ = true;
    Policy::Standing standing_{};
    HashKey key_;
    bool ready_ = true;
};

// Judges plain calls by the caller that the policy has for the uid of each: all of them applies, or releases. As `admit`
// does it, in the same order; what all callers have in common is not looked up again. As long as it lives the policy stays.
class PlainJudge {
public:
    [[gnu::always_inline]] PlainJudge(const Manager& manager, bool is_apply) noexcept : manager_(manager) {
        admission_.command.kind = is_apply ? CommandKind::apply : CommandKind::release;
        if (manager.has_one_standing_) use(manager.standing_);
    }
    // Pre: the instant has been checked. The answer is there until the next one.
    [[gnu::always_inline]] const Admission& judge(const PlainCall& call) noexcept {
        admission_.ask_quota = false;
        admission_.status = judge_fields(call);
        if (admission_.status == Status::ok) {
            if (!manager_.has_one_standing_) use(manager_.policy_->standing(call.uid));
            admission_.status = find_types(call);
        }
        return admission_;
    }

private:
    [[gnu::always_inline]] void use(const Policy::Standing& standing) noexcept {
        Command& command = admission_.command;
        if ((standing_.limited | standing.limited) != 0)
            command.caps_ms = standing.limited != 0 ? standing.rule->timeout_max_ms : Timeouts{};
        command.bundle = standing.bundle;
        standing_ = standing;
    }
    [[nodiscard, gnu::always_inline]] bool is_apply() const noexcept {
        return admission_.command.kind == CommandKind::apply;
    }
    [[nodiscard, gnu::always_inline]] Status judge_fields(const PlainCall& call) const noexcept;
    [[nodiscard, gnu::always_inline]] Status find_types(const PlainCall& call) noexcept;
    void cap() noexcept;

    const Manager& manager_;
    Policy::Standing standing_;
    Admission admission_;
};

inline Status PlainJudge::judge_fields(const PlainCall& call) const noexcept {
    if (!manager_.ready_) return Status::not_ready;
    const bool is_timeout = !is_apply() || (call.timeout_ms > 0 && call.timeout_ms <= std::int64_t{max_timeout});
    if (call.mask <= 0 || call.mask > std::int64_t{rules.all} || !is_timeout) return Status::request_invalid;
    const bool is_caller = call.uid >= 0 && call.uid <= max_uid && call.pid >= 0 && call.pid <= max_pid;
    return is_caller ? Status::ok : Status::identity_invalid;
}

inline Status PlainJudge::find_types(const PlainCall& call) noexcept {
    if (!standing_.is_privileged) return Status::not_system_app;
    Command& command = admission_.command;
    command.mask = static_cast<Mask>(call.mask) & standing_.allowed;
    if (command.mask == 0) return Status::permission_denied;
    command.uid = static_cast<std::uint32_t>(call.uid);
    command.pid = static_cast<std::uint32_t>(call.pid);
    if (is_apply()) {
        command.timeout_ms = static_cast<std::uint32_t>(call.timeout_ms);
        command.capped = command.mask & standing_.limited;
        if (command.capped != 0) cap();
        if (command.capped != 0 && standing_.rule->refuses_longer) return Status::permission_denied;
    }
    if ((command.mask & rules.levelled) != 0) admission_.ask_quota = manager_.policy_->asks_quota();
    return Status::ok;
}

template <typename Visit>
Status Manager::admit_each(const Requests& rows, Instant now, Visit&& visit) const {
    if (const Status status = engine_->check_time(now); status != Status::ok) return status;
    PlainJudge judge(*this, rows.is_apply);
    for (std::size_t first = 0; first < rows.count; first += RowsAtHand::most) {
        const RowsAtHand some(rows, first);
        const auto uid_of = [&](std::size_t i) { return some.uid(i); };
        const auto mask_of = [&](std::size_t i) { return some.mask(i); };
        for_each_prefetched(*engine_, some.count(), uid_of, mask_of,
                            [&](std::size_t i) { visit(first + i, judge.judge(some[i])); });
    }
    return Status::ok;
}

}  // namespace grantwheel
