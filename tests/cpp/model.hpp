// The engine in maps, slow and right at a glance: every call first ends all that is due by then, in order.
//
// The engine may report those endings later, so whoever compares lets them wait by record (see lockstep.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "words.hpp"

namespace grantwheel::test {

struct ModelGrant {
    bool is_persist = false;
    std::uint32_t timeout_ms = 0;
    Instant deadline = no_deadline;
    std::string reason{};
};

struct ModelRecord {
    std::uint32_t uid = 0;
    std::uint32_t pid = 0;
    std::string bundle{};
    std::int32_t level = default_level;
    Instant applied = 0;  // of a process
    std::map<Mask, ModelGrant> grants{};

    [[nodiscard]] Mask mask() const {
        Mask mask = 0;
        for (const auto& [bit, grant] : grants) mask |= bit;
        return mask;
    }
};

// An event as a value of its own, whose owner is the record that it is about.
struct ModelEvent {
    Owner owner;
    Instant time;
    EventKind kind;
    Cause cause;
    std::uint32_t uid;
    std::uint32_t pid;
    Mask mask;
    std::string bundle;
    std::int32_t level;

    friend bool operator==(const ModelEvent&, const ModelEvent&) = default;
};

class Model {
public:
    explicit Model(const Limits& limits) : limits_(limits) {}

    Result execute(const Command& command, Instant now) {
        settle(now);
        switch (command.kind) {
            case CommandKind::apply: return apply(command, now);
            case CommandKind::release: return {Status::ok, release(command, now)};
            case CommandKind::reset_all:
                return {Status::ok, release_app(command.uid, command.mask, now, Cause::reset_all)};
            case CommandKind::process_died: {
                const auto at = records.find({OwnerKind::process, command.pid});
                if (at == records.end() || at->second.uid != command.uid) return {};
                return {Status::ok, remove(at->first, ALL & ~RETAINED, now, Cause::process_died)};
            }
            case CommandKind::app_stopped:
                return {Status::ok, release_app(command.uid, ALL & ~RETAINED, now, Cause::app_stopped)};
            case CommandKind::package_removed:
                return {Status::ok, release_app(command.uid, ALL, now, Cause::package_removed)};
            case CommandKind::admin_reset_all: {
                Mask removed = 0;
                while (!records.empty()) removed |= remove(records.begin()->first, ALL, now, Cause::admin);
                return {Status::ok, removed};
            }
            case CommandKind::admin_reset_app:
                return {Status::ok, remove({OwnerKind::app, command.uid}, command.mask, now, Cause::admin)};
            case CommandKind::admin_reset_process:
                return {Status::ok, remove({OwnerKind::process, command.pid}, command.mask, now, Cause::admin)};
        }
        return {Status::request_invalid, 0};
    }

    // Without a word; what is due goes as well. Returns how many grants, and how many records lost them.
    std::pair<std::size_t, std::size_t> recover(std::span<const std::uint32_t> apps,
                                                std::span<const std::uint32_t> processes) {
        std::vector<ModelEvent> told = events;
        std::pair<std::size_t, std::size_t> lost{};
        const auto drop = [&](Owner owner, Mask mask) {
            const int count = std::popcount(remove(owner, mask, 0, Cause::recovered));
            lost.first += static_cast<std::size_t>(count);
            lost.second += count != 0;
        };
        for (const std::uint32_t uid : apps) drop({OwnerKind::app, uid}, ALL & ~RETAINED);
        for (const std::uint32_t pid : processes) drop({OwnerKind::process, pid}, ALL);
        events = std::move(told);
        return lost;
    }

    Status set_limits(const Limits& limits, Instant now) {
        settle(now);
        if (records.size() > limits.max_records || texts().size() > limits.max_strings) return Status::out_of_memory;
        limits_ = limits;
        return Status::ok;
    }

    // Ends all that is due, by deadline, processes before apps, keys ascending.
    void settle(Instant now) {
        std::map<std::tuple<Instant, bool, std::uint32_t>, Mask> due;
        for (const auto& [owner, record] : records) {
            for (const auto& [bit, grant] : record.grants) {
                if (grant.deadline <= now) due[{grant.deadline, owner.kind == OwnerKind::app, owner.key}] |= bit;
            }
        }
        for (const auto& [when, mask] : due) {
            const auto& [deadline, is_app, key] = when;
            remove({is_app ? OwnerKind::app : OwnerKind::process, key}, mask, deadline, Cause::expired);
        }
    }

    [[nodiscard]] Mask mask(Owner owner) const {
        const auto at = records.find(owner);
        return at == records.end() ? 0 : at->second.mask();
    }

    // As `describe` puts a view of the engine.
    [[nodiscard]] std::string describe(Owner owner) const {
        const auto at = records.find(owner);
        if (at == records.end()) return "nothing";
        const ModelRecord& record = at->second;
        RecordView view{.owner = owner, .uid = record.uid, .pid = record.pid, .mask = record.mask()};
        view.cpu_level = static_cast<std::int8_t>(record.level);
        view.bundle = record.bundle;
        for (const auto& [bit, grant] : record.grants) {
            view.grants[view.grant_count++] = {bit, grant.is_persist, grant.timeout_ms, grant.deadline, grant.reason};
        }
        return test::describe(view);
    }

    [[nodiscard]] Instant next_deadline() const {
        Instant next = no_deadline;
        for (const auto& [owner, record] : records) {
            for (const auto& [bit, grant] : record.grants) next = std::min(next, grant.deadline);
        }
        return next;
    }

    [[nodiscard]] std::set<std::string_view> texts() const {
        std::set<std::string_view> in_use;
        for (const auto& [owner, record] : records) {
            in_use.insert(record.bundle);
            for (const auto& [bit, grant] : record.grants) in_use.insert(grant.reason);
        }
        in_use.erase("");
        return in_use;
    }

    std::map<Owner, ModelRecord> records{};  // in listing order
    std::vector<ModelEvent> events{};
    std::uint64_t granted = 0;
    std::uint64_t renewed = 0;
    std::uint64_t ended[cause_count]{};

private:
    Result apply(const Command& command, Instant now) {
        if (command.only_held) return renew(command, now);
        const Mask process_mask = command.is_process ? command.mask & CPU : 0;
        const Mask app_mask = command.mask & ~process_mask;
        const Owner process{OwnerKind::process, command.pid};
        const Owner app{OwnerKind::app, command.uid};
        const auto old = records.find(process);
        const bool reused = process_mask != 0 && old != records.end() && old->second.uid != command.uid;
        const bool adds_process = process_mask != 0 && (reused || old == records.end());
        const bool adds_app = app_mask != 0 && !records.contains(app);
        const std::size_t records_then =
            records.size() + std::size_t{adds_process} + std::size_t{adds_app} - std::size_t{reused};
        if ((adds_process || adds_app) && records_then > limits_.max_records) return {Status::out_of_memory, 0};
        std::set<std::string_view> then = texts();
        std::size_t more = then.insert(command.reason).second && !command.reason.empty();
        if (adds_process || adds_app) more += then.insert(command.bundle).second && !command.bundle.empty();
        if (more != 0 && then.size() - then.count("") > limits_.max_strings) return {Status::out_of_memory, 0};

        if (reused) remove(process, CPU, now, Cause::pid_reused);
        if (process_mask != 0) merge(process, process_mask, command, now);
        if (app_mask != 0) merge(app, app_mask, command, now);
        return {Status::ok, command.mask};
    }

    Result renew(Command command, Instant now) {
        const Mask process_mask = command.is_process ? command.mask & CPU : 0;
        const auto process = records.find({OwnerKind::process, command.pid});
        const bool is_own = process != records.end() && process->second.uid == command.uid;
        command.mask &= ~process_mask & mask({OwnerKind::app, command.uid});
        if (is_own) command.mask |= process_mask;
        command.only_held = false;
        return command.mask == 0 ? Result{} : apply(command, now);
    }

    void merge(Owner owner, Mask mask, const Command& command, Instant now) {
        const auto [at, added] =
            records.try_emplace(owner, ModelRecord{command.uid, command.pid, std::string(command.bundle)});
        ModelRecord& record = at->second;
        if (owner.kind == OwnerKind::process) record.applied = now;
        Mask fresh = 0;
        for (Mask bit = 1; bit <= ALL; bit <<= 1) {
            if ((mask & bit) == 0) continue;
            const auto [place, is_new] = record.grants.try_emplace(bit, ModelGrant{.deadline = 0});
            ModelGrant& grant = place->second;
            const bool is_capped = (command.capped & bit) != 0;
            const bool is_persist = command.is_persist && !is_capped;
            const std::uint32_t timeout =
                is_capped ? command.caps_ms[static_cast<std::size_t>(std::countr_zero(bit))] : command.timeout_ms;
            const Instant deadline = is_persist ? no_deadline : now + timeout;
            grant.reason = command.reason;
            grant.is_persist = grant.is_persist || is_persist;
            if (is_new || grant.deadline < deadline) {
                grant.deadline = deadline;
                grant.timeout_ms = timeout;
            }
            fresh |= is_new ? bit : 0;
            ++(is_new ? granted : renewed);
        }
        if ((fresh & CPU) != 0 || ((mask & CPU) != 0 && command.cpu_level != default_level)) {
            record.level = command.cpu_level;
        }
        if (fresh == 0) return;
        const EventKind kind = owner.kind == OwnerKind::app ? EventKind::app_apply : EventKind::process_apply;
        events.push_back({owner, now, kind, Cause::apply, record.uid, command.pid, fresh, std::string(command.bundle),
                          record.level});
    }

    Mask release(const Command& command, Instant now) {
        Mask mask = command.mask;
        Mask removed = 0;
        if (command.is_process && (mask & CPU) != 0) {
            const Owner process{OwnerKind::process, command.pid};
            const auto at = records.find(process);
            if (at != records.end() && at->second.uid == command.uid)
                removed |= remove(process, CPU, now, Cause::release);
            mask &= ~CPU;
        }
        return removed | release_app(command.uid, mask, now, Cause::release);
    }

    Mask release_app(std::uint32_t uid, Mask mask, Instant now, Cause cause) {
        Mask removed = remove({OwnerKind::app, uid}, mask, now, cause);
        std::vector<Owner> processes;
        for (const auto& [owner, record] : records) {
            if (owner.kind == OwnerKind::process && record.uid == uid) processes.push_back(owner);
        }
        for (const Owner process : processes) removed |= remove(process, mask, now, cause);
        return removed;
    }

    Mask remove(Owner owner, Mask mask, Instant time, Cause cause) {
        const auto at = records.find(owner);
        if (at == records.end()) return 0;
        ModelRecord& record = at->second;
        const Mask removed = record.mask() & mask;
        if (removed == 0) return 0;
        const EventKind kind = owner.kind == OwnerKind::app ? EventKind::app_reset : EventKind::process_reset;
        events.push_back({owner, time, kind, cause, record.uid, record.pid, removed, record.bundle, record.level});
        std::erase_if(record.grants, [&](const auto& held) { return (held.first & mask) != 0; });
        ended[static_cast<std::size_t>(cause)] += static_cast<std::uint64_t>(std::popcount(removed));
        if ((removed & CPU) != 0) record.level = default_level;
        if (record.grants.empty()) records.erase(at);
        return removed;
    }

    Limits limits_;
};

}  // namespace grantwheel::test
