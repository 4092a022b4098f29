// What a Life compares. Included by differential_life.hpp, whose second half it is.
#pragma once

#include "differential_life.hpp"

namespace grantwheel::test {

// Compares what the last call of the engine has told; answers the number of grants that expired in it.
inline std::uint64_t Life::compare_events(Extent extent, bool in_order) {
    lost_cpu_.clear();
    const std::uint64_t expired = rung_.eager ? compare_with_gaps() : compare_told(extent, in_order);
    const auto ended = engine_->cpu_ended();
    if (!std::equal(lost_cpu_.begin(), lost_cpu_.end(), ended.begin(), ended.end())) fail("uids that lost CPU");
    return expired;
}

inline void Life::compare_event(const Event& found, const QuickEvent& expected) {
    const std::uint32_t uid = universe_.uids[expected.uid];
    const std::uint32_t pid = universe_.pids[expected.pid];
    same(found.sequence, ++sequence_, "sequence number");
    same(found.time, expected.time, "time of an event");
    same(static_cast<std::uint64_t>(found.kind), static_cast<std::uint64_t>(expected.kind), "kind of an event");
    same(static_cast<std::uint64_t>(found.cause), static_cast<std::uint64_t>(expected.cause), "cause of an event");
    same(found.uid, uid, "uid of an event");
    same(found.pid, pid, "pid of an event");
    same(found.mask, expected.mask, "mask of an event");
    same(static_cast<std::uint64_t>(found.cpu_level), static_cast<std::uint64_t>(expected.level), "level of an event");
    if (found.bundle != universe_.texts[expected.bundle]) fail("bundle of an event");
    outcome_.add(found.time);
    outcome_.add(std::uint64_t{found.uid} << 32 | found.pid);
    outcome_.add(std::uint64_t{expected.bundle} << 32 | found.mask << 16 | static_cast<unsigned>(found.kind) << 12 |
                 static_cast<unsigned>(found.cause) << 4 | static_cast<unsigned>(found.cpu_level + 1));
}

inline void Life::note(const QuickEvent& event) {
    ++outcome_.events;
    if (event.kind == EventKind::app_reset && (event.mask & type::CPU) != 0) {
        lost_cpu_.push_back(universe_.uids[event.uid]);
    }
}

// Sorts what the model has told anew: endings wait, by record, for the engine to tell them.
inline void Life::take_acts() {
    for (const QuickEvent& event : model_.events) {
        if (event.cause == Cause::expired) {
            waiting_.add(event);
        } else {
            acts_.push_back(event);
        }
    }
    model_.events.clear();
}

// Whether the last call that changes something was about this record; a cascade reaches all of the uid.
inline bool Life::touches(Place record) const {
    const Call& call = last_[(last_count_ - 1) % last_.size()].call;
    if (record == universe_.record_of_app(call.uid) || record == universe_.record_of_process(call.pid)) return true;
    return call.kind != CommandKind::apply && !universe_.is_app(record);
}

inline std::uint64_t Life::compare_told(Extent extent, bool in_order) {
    take_acts();
    std::uint64_t expired = 0;
    std::size_t acted = 0;
    std::pair<Instant, Place> last_ending{0, 0};
    bool any_ending = false;
    for (;;) {
        const EventsRead read = engine_->read(sequence_, page_);
        same(read.missed, 0, "missed events");
        for (std::size_t i = 0; i < read.count; ++i) {
            const Event& found = page_[i];
            if (found.cause != Cause::expired) {
                if (acted == acts_.size()) fail("an event too many");
                const QuickEvent& expected = acts_[acted++];
                if (waiting_.first_of(expected.record) != nullptr)
                    fail("acted on a record before its endings are told");
                compare_event(found, expected);
                note(expected);
                continue;
            }
            if (acted != 0) fail("an ending is told after an act");
            const bool is_app = found.kind == EventKind::app_reset;
            const auto& keys = is_app ? universe_.uids : universe_.pids;
            const auto key = std::lower_bound(keys.begin(), keys.end(), is_app ? found.uid : found.pid);
            if (key == keys.end()) fail("an ending of an unknown owner");
            const auto place = static_cast<Place>(key - keys.begin());
            const Place record = is_app ? universe_.record_of_app(place) : universe_.record_of_process(place);
            const QuickEvent* expected = waiting_.first_of(record);
            if (expected == nullptr) fail("an ending of a record of which nothing is due");
            compare_event(found, *expected);
            note(*expected);
            expired += static_cast<std::uint64_t>(std::popcount(expected->mask));
            const std::pair<Instant, Place> ending{expected->time, record};
            // Beside what a call touches, the first of all comes first.
            const bool is_touched = extent == Extent::touched || !in_order;
            if (expected != waiting_.first() && !(is_touched && touches(record))) fail("an ending is not the first");
            if (in_order && any_ending && ending <= last_ending) fail("endings out of order");
            last_ending = ending;
            any_ending = true;
            waiting_.told(record);
        }
        if (read.count < page_.size()) break;
    }
    if (acted != acts_.size()) fail("an event is missing");
    acts_.clear();
    if (extent == Extent::all && !waiting_.empty()) fail("something that is due was not told");
    return expired;
}

inline std::uint64_t Life::compare_with_gaps() {
    std::uint64_t expired = 0;
    for (const QuickEvent& event : model_.events) {
        if (event.cause == Cause::expired) expired += static_cast<std::uint64_t>(std::popcount(event.mask));
        note(event);
    }
    std::size_t at = 0;
    for (;;) {
        const EventsRead read = engine_->read(sequence_, page_);
        if (at != 0) same(read.missed, 0, "missed events after the first page");
        outcome_.missed += read.missed;
        sequence_ += read.missed;
        at += static_cast<std::size_t>(read.missed);
        if (at + read.count > model_.events.size()) fail("an event too many");
        for (std::size_t i = 0; i < read.count; ++i) compare_event(page_[i], model_.events[at++]);
        if (read.count < page_.size()) break;
    }
    same(at, model_.events.size(), "number of events");
    // Of what was told now the ring keeps as much as it has room for.
    if (model_.events.size() >= rung_.limits.event_capacity)
        same(sequence_ - engine_->first_sequence() + 1, rung_.limits.event_capacity, "events that are kept");
    model_.events.clear();
    return expired;
}

inline void Life::compare_wake() const {
    const Instant first = std::min(model_.next_deadline(), waiting_.earliest());
    const Instant wake = engine_->wake_at();
    if (wake > first) differ(wake, first, "wake_at is later than the next deadline");
    if (first == no_deadline) same(wake, no_deadline, "wake_at without a timed grant");
}

inline void Life::compare_owner(Place record) {
    const QuickRecord& expected = model_.record(record);
    const Owner owner = universe_.owner(record);
    RecordView view;
    same(static_cast<std::uint64_t>(engine_->find(owner, now_, view)), 0, "status of find");
    same(view.mask, expected.mask, "mask of a record");
    same(engine_->mask(owner, now_).mask, expected.mask, "mask");
    outcome_.add(view.mask);
    if (view.mask == 0) return;
    if (view.owner != owner) fail("owner of a record");
    same(view.uid, universe_.uids[expected.uid], "uid of a record");
    same(view.pid, universe_.pids[expected.pid], "pid of a record");
    same(view.applied, expected.applied, "last apply to a record");
    same(static_cast<std::uint64_t>(view.cpu_level), static_cast<std::uint64_t>(expected.level), "level of a record");
    if (view.bundle != universe_.texts[expected.bundle]) fail("bundle of a record");
    std::size_t i = 0;
    QuickModel::for_each_type(view.mask, [&](int type) {
        const GrantView& found = view.grants[i++];
        const QuickGrant& grant = expected.grants[type];
        same(found.type, Mask{1} << type, "type of a grant");
        same(found.deadline, grant.deadline, "deadline of a grant");
        same(found.is_persist, grant.deadline == no_deadline, "persistence of a grant");
        same(found.timeout_ms, grant.timeout_ms, "timeout of a grant");
        if (found.reason != universe_.texts[grant.reason]) fail("reason of a grant");
        outcome_.add(found.deadline ^ std::uint64_t{grant.reason} << 40);
    });
    same(view.grant_count, i, "number of grants");
}

// Every owner, by reads that change nothing.
inline void Life::compare_owners() {
    model_.for_each_record([&](Place record) { compare_owner(record); });
    for (Place uid = 0; uid < universe_.uids.size(); ++uid) compare_owners_of(uid);
}

inline void Life::compare_owners_of(Place uid) {
    const std::size_t room = dice_.below(6);
    std::array<Owner, 5> found;
    std::size_t total = 0;
    const auto out = std::span(found).first(room);
    same(static_cast<std::uint64_t>(engine_->owners_of(universe_.uids[uid], now_, out, total)), 0, "status");
    std::size_t expected = 0;
    const auto visit = [&](Place record) {
        if (expected < room && found[expected] != universe_.owner(record)) fail("owners of a uid");
        ++expected;
    };
    if (model_.record(universe_.record_of_app(uid)).mask != 0) visit(universe_.record_of_app(uid));
    for (const Place process : model_.processes(uid)) visit(process);
    same(total, expected, "number of the owners of a uid");
    outcome_.add(total);
}

// Reads across records, which end all that is due first.
inline void Life::compare_across() {
    Instant deadline = 0;
    const Surveyed survey = surveyed(*engine_, now_, 1 + dice_.below(5000));
    reached_ = now_;
    same(static_cast<std::uint64_t>(engine_->next_deadline(now_, deadline)), 0, "status of next_deadline");
    compare_events(Extent::all);
    same(deadline, model_.next_deadline(), "next deadline");
    outcome_.add(deadline);
    compare_listing();
    compare_stats();
    Stats stats;
    same(static_cast<std::uint64_t>(engine_->stats(now_, stats)), 0, "status of stats");
    if (const char* what = first_difference(survey, stats, deadline)) fail(what);
}

// All owners of some types, by pages.
inline void Life::compare_listing() {
    const Mask wanted = mask();
    owners_.resize(1 + dice_.below(static_cast<std::uint32_t>(universe_.records() + 2)));
    std::size_t count = 0;
    std::size_t at = 0;
    Owner after;
    bool more = true;
    const auto turn = [&](const Owner* last) {
        same(static_cast<std::uint64_t>(engine_->owners(wanted, last, now_, owners_, count)), 0, "status of owners");
        if (count != 0) after = owners_[count - 1];
        at = 0;
        more = count == owners_.size();
    };
    turn(nullptr);
    model_.for_each_record([&](Place record) {
        if ((model_.record(record).mask & wanted) == 0) return;
        if (at == count && more) turn(&after);
        if (at == count || owners_[at] != universe_.owner(record)) fail("owners");
        ++at;
        outcome_.add(record);
    });
    if (at == count && more) turn(&after);
    same(count - at, 0, "owners too many");
}

inline void Life::compare_stats() {
    Stats stats;
    same(static_cast<std::uint64_t>(engine_->stats(now_, stats)), 0, "status of stats");
    std::uint64_t grants[2][type_count]{};
    std::uint64_t records[2]{};
    model_.for_each_record([&](Place record) {
        const std::size_t kind = universe_.is_app(record) ? 0 : 1;
        records[kind] += model_.record(record).mask != 0;
        QuickModel::for_each_type(model_.record(record).mask, [&](int type) { ++grants[kind][type]; });
    });
    same(stats.app_records, records[0], "app records");
    same(stats.process_records, records[1], "process records");
    std::uint64_t all = 0;
    for (int type = 0; type < type_count; ++type) {
        same(stats.app_grants[type], grants[0][type], "grants of apps");
        same(stats.process_grants[type], grants[1][type], "grants of processes");
        std::size_t count = 0;
        same(static_cast<std::uint64_t>(engine_->count(Mask{1} << type, now_, count)), 0, "status of count");
        same(count, grants[0][type] + grants[1][type], "holders of a type");
        all += count;
    }
    same(engine_->most_owners(type::ALL), std::min(all, records[0] + records[1]), "size");
    same(stats.granted, model_.granted, "granted");
    same(stats.renewed, model_.renewed, "renewed");
    for (std::size_t cause = 0; cause < cause_count; ++cause) same(stats.ended[cause], model_.ended[cause], "ended");
    same(stats.strings, model_.texts(), "texts");
    same(stats.last_sequence, sequence_, "last sequence number");
    outcome_.add(all);
    outcome_.add(stats.strings);
}

inline void Life::validate() {
    const char* reason = "";
    if (!engine_->validate(&reason)) fail(std::string("validate: ") + reason);
    ++outcome_.validated;
}

inline std::string Life::last_calls() const {
    static constexpr const char* names[] = {"apply",           "release",         "reset_all",
                                            "process_died",    "app_stopped",     "package_removed",
                                            "admin_reset_all", "admin_reset_app", "admin_reset_process"};
    std::string told;
    for (std::size_t i = last_count_ - std::min(last_count_, last_.size()); i < last_count_; ++i) {
        const auto& [at, call] = last_[i % last_.size()];
        told += "  at " + std::to_string(at) + " " + names[static_cast<std::size_t>(call.kind)];
        told += " uid " + std::to_string(universe_.uids[call.uid]) + " pid " + std::to_string(universe_.pids[call.pid]);
        told += " mask " + std::to_string(call.mask);
        if (call.is_process) told += " process";
        if (call.only_held) told += " only_held";
        if (call.is_persist) told += " persist";
        if (call.kind == CommandKind::apply) {
            told += " timeout " + std::to_string(call.timeout_ms) + " level " + std::to_string(call.cpu_level);
            told += " bundle #" + std::to_string(call.bundle) + " reason #" + std::to_string(call.reason);
        }
        told += "\n";
    }
    return told;
}

}  // namespace grantwheel::test
