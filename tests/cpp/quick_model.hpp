// The model once more, for runs of a thousand million calls: the rules of model.hpp over arrays, where an owner is a
// place. quick_model_test.cpp holds it against model.hpp.
//
// Places   Uids, pids and texts are known from the start and are named by their places in a `Universe`. Records too:
//          first those of the processes, then those of the apps, keys ascending, which is the order of expiry.
// Due      Every call first ends all that is due by then, in order. The engine may report those endings later.
#pragma once

#include <bit>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "grantwheel/types.hpp"

namespace grantwheel::test {

using Place = std::uint32_t;

// All owners and texts of a run.
struct Universe {
    std::vector<std::uint32_t> uids;  // ascending
    std::vector<std::uint32_t> pids;  // ascending
    std::vector<std::string> texts;   // the first is empty

    [[nodiscard]] Place record_of_process(Place pid) const { return pid; }
    [[nodiscard]] Place record_of_app(Place uid) const { return static_cast<Place>(pids.size()) + uid; }
    [[nodiscard]] bool is_app(Place record) const { return record >= pids.size(); }
    [[nodiscard]] std::size_t records() const { return pids.size() + uids.size(); }
    [[nodiscard]] Owner owner(Place record) const {
        if (!is_app(record)) return {OwnerKind::process, pids[record]};
        return {OwnerKind::app, uids[record - pids.size()]};
    }
};

// A command in places.
struct Call {
    CommandKind kind = CommandKind::apply;
    bool is_persist = false;
    bool is_process = false;
    bool only_held = false;
    std::int8_t cpu_level = default_level;
    Mask mask = 0;
    Place uid = 0;
    Place pid = 0;
    std::uint32_t timeout_ms = 0;
    Place bundle = 0;
    Place reason = 0;
    Mask capped = 0;
    std::uint32_t cap_ms = 0;  // of all of these types
};

inline Command command_of(const Universe& universe, const Call& call) {
    Command command{.kind = call.kind,
                    .is_persist = call.is_persist,
                    .is_process = call.is_process,
                    .only_held = call.only_held,
                    .cpu_level = call.cpu_level,
                    .mask = call.mask,
                    .uid = universe.uids[call.uid],
                    .pid = universe.pids[call.pid],
                    .timeout_ms = call.timeout_ms,
                    .bundle = universe.texts[call.bundle],
                    .reason = universe.texts[call.reason],
                    .capped = call.capped};
    command.caps_ms.fill(call.cap_ms);
    return command;
}

struct QuickGrant {
    Instant deadline = no_deadline;  // none: it is persistent
    std::uint32_t timeout_ms = 0;
    Place reason = 0;
};

// It holds nothing while its mask is 0.
struct QuickRecord {
    Mask mask = 0;
    Place uid = 0;
    Place pid = 0;
    Place bundle = 0;
    std::int8_t level = default_level;
    Instant earliest = no_deadline;  // as it stands among the timers
    Instant applied = 0;             // of a process
    QuickGrant grants[type_count]{};
};

struct QuickEvent {
    Place record = 0;
    Instant time = 0;
    EventKind kind = EventKind::app_apply;
    Cause cause = Cause::apply;
    Place uid = 0;
    Place pid = 0;
    Mask mask = 0;
    Place bundle = 0;
    std::int8_t level = default_level;
};

class QuickModel {
public:
    QuickModel(const Universe& universe, const Limits& limits)
        : universe_(universe),
          limits_(limits),
          records_(universe.records()),
          processes_(universe.uids.size()),
          users_(universe.texts.size()) {}

    Result execute(const Call& call, Instant now) {
        settle(now);
        constexpr Mask mortal = type::ALL & ~type::RETAINED;
        const Place app = universe_.record_of_app(call.uid);
        const Place process = universe_.record_of_process(call.pid);
        switch (call.kind) {
            case CommandKind::apply: return apply(call, now);
            case CommandKind::release: return {Status::ok, release(call, now)};
            case CommandKind::reset_all: return {Status::ok, release_app(call.uid, call.mask, now, Cause::reset_all)};
            case CommandKind::process_died:
                if (records_[process].uid != call.uid) return {};
                return {Status::ok, remove(process, mortal, now, Cause::process_died)};
            case CommandKind::app_stopped: return {Status::ok, release_app(call.uid, mortal, now, Cause::app_stopped)};
            case CommandKind::package_removed:
                return {Status::ok, release_app(call.uid, type::ALL, now, Cause::package_removed)};
            case CommandKind::admin_reset_all: {
                Mask removed = 0;
                for_each_record([&](Place record) { removed |= remove(record, type::ALL, now, Cause::admin); });
                return {Status::ok, removed};
            }
            case CommandKind::admin_reset_app: return {Status::ok, remove(app, call.mask, now, Cause::admin)};
            case CommandKind::admin_reset_process: return {Status::ok, remove(process, call.mask, now, Cause::admin)};
        }
        return {Status::request_invalid, 0};
    }

    // As Model::recover, for records. Returns the number of grants.
    std::uint64_t recover(const std::vector<Place>& records) {
        const std::uint64_t before = ended[static_cast<std::size_t>(Cause::recovered)];
        for (const Place record : records) {
            const Mask mask = universe_.is_app(record) ? type::ALL & ~type::RETAINED : type::ALL;
            if (remove(record, mask, 0, Cause::recovered) != 0) events.pop_back();
        }
        return ended[static_cast<std::size_t>(Cause::recovered)] - before;
    }

    // Ends all that is due, by deadline, processes before apps, keys ascending.
    void settle(Instant now) {
        while (!timers_.empty() && timers_.begin()->first <= now) {
            const Instant deadline = timers_.begin()->first;
            const Place record = timers_.begin()->second;
            Mask due = 0;
            for_each_type(records_[record].mask, [&](int type) {
                if (records_[record].grants[type].deadline == deadline) due |= Mask{1} << type;
            });
            remove(record, due, deadline, Cause::expired);
        }
    }

    [[nodiscard]] Instant next_deadline() const { return timers_.empty() ? no_deadline : timers_.begin()->first; }
    [[nodiscard]] const QuickRecord& record(Place record) const { return records_[record]; }
    // The processes of a uid that hold anything, by ascending pid.
    [[nodiscard]] const std::set<Place>& processes(Place uid) const { return processes_[uid]; }
    [[nodiscard]] std::size_t texts() const { return used_; }
    [[nodiscard]] std::size_t size() const { return record_count_; }

    // Every record, in listing order: apps, then processes, keys ascending.
    template <typename Visit>
    void for_each_record(Visit&& visit) const {
        const auto apps = static_cast<Place>(universe_.pids.size());
        for (Place record = apps; record < records_.size(); ++record) visit(record);
        for (Place record = 0; record < apps; ++record) visit(record);
    }
    template <typename Visit>
    static void for_each_type(Mask mask, Visit&& visit) {
        for (; mask != 0; mask &= mask - 1) visit(std::countr_zero(mask));
    }

    std::vector<QuickEvent> events{};
    std::uint64_t granted = 0;
    std::uint64_t renewed = 0;
    std::uint64_t ended[cause_count]{};

private:
    Result apply(Call call, Instant now) {
        const Place process = universe_.record_of_process(call.pid);
        const Place app = universe_.record_of_app(call.uid);
        if (call.only_held) {
            const Mask of_process = call.is_process ? type::CPU : 0;
            const Mask own = records_[process].uid == call.uid ? records_[process].mask : 0;
            call.mask &= (own & of_process) | (records_[app].mask & ~of_process);
            if (call.mask == 0) return {};
        }
        const Mask process_mask = call.is_process ? call.mask & type::CPU : 0;
        const Mask app_mask = call.mask & ~process_mask;
        const bool reused = process_mask != 0 && records_[process].mask != 0 && records_[process].uid != call.uid;
        const bool adds_process = process_mask != 0 && (reused || records_[process].mask == 0);
        const bool adds_app = app_mask != 0 && records_[app].mask == 0;
        const bool adds = adds_process || adds_app;
        const std::size_t records_then =
            record_count_ + std::size_t{adds_process} + std::size_t{adds_app} - std::size_t{reused};
        if (adds && records_then > limits_.max_records) return {Status::out_of_memory, 0};
        std::size_t more = is_unused(call.reason);
        if (adds && call.bundle != call.reason) more += is_unused(call.bundle);
        if (more != 0 && used_ + more > limits_.max_strings) return {Status::out_of_memory, 0};

        if (reused) remove(process, type::CPU, now, Cause::pid_reused);
        if (process_mask != 0) merge(process, process_mask, call, now);
        if (app_mask != 0) merge(app, app_mask, call, now);
        return {Status::ok, call.mask};
    }

    void merge(Place place, Mask mask, const Call& call, Instant now) {
        QuickRecord& record = records_[place];
        if (record.mask == 0) {
            record = QuickRecord{};
            record.uid = call.uid;
            record.pid = call.pid;
            record.bundle = call.bundle;
            use(call.bundle);
            ++record_count_;
            if (!universe_.is_app(place)) processes_[call.uid].insert(place);
        }
        if (!universe_.is_app(place)) record.applied = now;
        const Mask fresh = mask & ~record.mask;
        for_each_type(mask, [&](int type) {
            QuickGrant& grant = record.grants[type];
            const bool is_new = (fresh >> type & 1) != 0;
            const bool is_capped = (call.capped >> type & 1) != 0;
            const std::uint32_t timeout = is_capped ? call.cap_ms : call.timeout_ms;
            const Instant deadline = call.is_persist && !is_capped ? no_deadline : now + timeout;
            use(call.reason);
            if (!is_new) drop(grant.reason);
            grant.reason = call.reason;
            if (is_new || grant.deadline < deadline) {
                grant.deadline = deadline;
                grant.timeout_ms = timeout;
            }
            ++(is_new ? granted : renewed);
        });
        record.mask |= mask;
        set_timer(place);
        if ((fresh & type::CPU) != 0 || ((mask & type::CPU) != 0 && call.cpu_level != default_level)) {
            record.level = call.cpu_level;
        }
        if (fresh == 0) return;
        const EventKind kind = universe_.is_app(place) ? EventKind::app_apply : EventKind::process_apply;
        events.push_back({place, now, kind, Cause::apply, record.uid, call.pid, fresh, call.bundle, record.level});
    }

    Mask release(const Call& call, Instant now) {
        const Mask process_mask = call.is_process ? call.mask & type::CPU : 0;
        const Place process = universe_.record_of_process(call.pid);
        Mask removed = 0;
        if (records_[process].uid == call.uid) removed = remove(process, process_mask, now, Cause::release);
        return removed | release_app(call.uid, call.mask & ~process_mask, now, Cause::release);
    }

    Mask release_app(Place uid, Mask mask, Instant now, Cause cause) {
        Mask removed = remove(universe_.record_of_app(uid), mask, now, cause);
        const std::set<Place> processes = processes_[uid];
        for (const Place process : processes) removed |= remove(process, mask, now, cause);
        return removed;
    }

    Mask remove(Place place, Mask mask, Instant time, Cause cause) {
        QuickRecord& record = records_[place];
        const Mask removed = record.mask & mask;
        if (removed == 0) return 0;
        const EventKind kind = universe_.is_app(place) ? EventKind::app_reset : EventKind::process_reset;
        events.push_back({place, time, kind, cause, record.uid, record.pid, removed, record.bundle, record.level});
        for_each_type(removed, [&](int type) {
            drop(record.grants[type].reason);
            ++ended[static_cast<std::size_t>(cause)];
        });
        if ((removed & type::CPU) != 0) record.level = default_level;
        record.mask &= ~mask;
        set_timer(place);
        if (record.mask == 0) {
            drop(record.bundle);
            --record_count_;
            if (!universe_.is_app(place)) processes_[record.uid].erase(place);
        }
        return removed;
    }

    // Among the timers every record stands once, at its earliest deadline.
    void set_timer(Place place) {
        QuickRecord& record = records_[place];
        Instant earliest = no_deadline;
        for_each_type(record.mask, [&](int type) { earliest = std::min(earliest, record.grants[type].deadline); });
        if (earliest == record.earliest) return;
        if (record.earliest != no_deadline) timers_.erase({record.earliest, place});
        if (earliest != no_deadline) timers_.emplace(earliest, place);
        record.earliest = earliest;
    }

    // The empty text does not count.
    [[nodiscard]] bool is_unused(Place text) const { return text != 0 && users_[text] == 0; }
    void use(Place text) {
        if (text != 0 && users_[text]++ == 0) ++used_;
    }
    void drop(Place text) {
        if (text != 0 && --users_[text] == 0) --used_;
    }

    const Universe& universe_;
    Limits limits_;
    std::vector<QuickRecord> records_;
    std::vector<std::set<Place>> processes_;  // by uid
    std::set<std::pair<Instant, Place>> timers_{};
    std::vector<std::uint64_t> users_;  // by text
    std::size_t used_ = 0;
    std::size_t record_count_ = 0;
};

}  // namespace grantwheel::test
