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

    // Judges one row of many, by the caller that the policy has for its uid.
    Admission admit_row(const Requests& rows, std::size_t i, Instant now) const noexcept {
        return admit(caller(rows.uids[i], rows.pids[i]), rows.request(i), now);
    }
    // Judges the rows one after the other, and calls `visit(i, admission)` for each before the next, which may carry it
    // out: the processor gets what the rows that follow will touch.
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
    Manager(std::unique_ptr<Engine> engine, std::unique_ptr<Policy> policy, const HashKey& key) noexcept;
    [[nodiscard]] Status judge(const Caller& caller, const Request& request, Instant now) const noexcept;
    [[nodiscard]] Mask held_of(const Caller& caller, const Request& request, Mask mask, Instant now) const noexcept;

    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Policy> policy_;
    HashKey key_;
    bool ready_ = true;
};

template <typename Visit>
Status Manager::admit_each(const Requests& rows, Instant now, Visit&& visit) const {
    if (const Status status = engine_->check_time(now); status != Status::ok) return status;
    const auto uid_of = [&](std::size_t i) { return static_cast<std::uint32_t>(rows.uids[i]); };
    const auto mask_of = [&](std::size_t i) { return rows.mask(i); };
    for_each_prefetched(*engine_, rows.count, uid_of, mask_of,
                        [&](std::size_t i) { visit(i, admit_row(rows, i, now)); });
    return Status::ok;
}

}  // namespace grantwheel
