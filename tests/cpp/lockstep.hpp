// An engine in step with the model: each call is made on both, and everything that can be seen must agree.
//
// Expiry is the one thing that both may report at different times. What the model has ended waits in a queue of its
// record until the engine tells it: in the order of the record, before it acts on it, and all of it in a full advance.
// When the ring has lost events, the engine is advanced to now, and what is left of all that was to be told is compared.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "grantwheel/engine.hpp"
#include "model.hpp"
#include "surveying.hpp"

namespace grantwheel::test {

// What the engine and the model do not agree about.
struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] inline void differ(const std::string& what) { throw Mismatch(what); }

inline void same(std::uint64_t found, std::uint64_t expected, std::string_view what) {
    if (found == expected) return;
    differ(std::string(what) + ": " + std::to_string(found) + ", the model says " + std::to_string(expected));
}

inline void same_status(Status found, Status expected, std::string_view what) {
    if (found == expected) return;
    differ(std::string(what) + ": " + std::string(status_name(found)) + ", the model says " +
           std::string(status_name(expected)));
}

inline ModelEvent event_of(const Event& event) {
    const bool is_app = event.kind == EventKind::app_apply || event.kind == EventKind::app_reset;
    const Owner owner{is_app ? OwnerKind::app : OwnerKind::process, is_app ? event.uid : event.pid};
    return {owner,          event.time, event.kind, event.cause,
            event.uid,      event.pid,  event.mask, std::string(event.bundle),
            event.cpu_level};
}

class Lockstep {
public:
    // Both are without grants at `start`. `eager`: whoever drives this advances before each call, so that the events
    // come in the order of the model.
    Lockstep(Engine& engine, const Limits& limits, Instant start, bool eager)
        : engine_(engine), limits_(limits), eager_(eager), model_(limits), now_(start) {}

    [[nodiscard]] Instant now() const { return now_; }
    [[nodiscard]] const Model& model() const { return model_; }
    [[nodiscard]] std::uint64_t refusals() const { return refusals_; }
    [[nodiscard]] std::uint64_t gaps() const { return gaps_; }

    void set_now(Instant now) {
        now_ = now;
        model_.settle(now_);
        if (!eager_) static_cast<void>(take_acts());
    }
    // Whether the engine keeps `cpu_ended`.
    void expect_cpu_ended(bool tracks) { tracks_ = tracks; }

    // Calls on both

    void execute(const Command& command) {
        execute(command, [&] { return engine_.execute(command, now_); });
    }

    // `call()` is the command on the engine, made in any way.
    template <typename Call>
    void execute(const Command& command, Call&& call) {
        const Result expected = model_.execute(command, now_);
        last_command_ = command;
        const Owner app{OwnerKind::app, command.uid};
        const Owner process{OwnerKind::process, command.pid};
        const bool is_apply = command.kind == CommandKind::apply;
        Extent extent = command.kind == CommandKind::admin_reset_all ? Extent::all : Extent::touched;
        const Result found = call();
        same_status(found.status, expected.status, "status of the answer");
        // A limit is told only after everything that is due has been. What makes room begins anew with the first of all.
        if (found.status != Status::ok) {
            ++refusals_;
            extent = Extent::all;
        } else {
            same(found.mask, expected.mask, "mask of the answer");
        }
        const bool makes_room = is_apply && (limits_.max_records < 1000 || limits_.max_strings < 1000);
        compare_events(extent, !makes_room);
        compare_owner(app);
        compare_owner(process);
    }

    void advance(std::size_t budget) {
        const std::uint64_t before = engine_.last_sequence();
        const AdvanceResult result = engine_.advance(now_, budget);
        same_status(result.status, Status::ok, "advance");
        if (engine_.last_sequence() - before > budget) differ("more records ended than the budget allows");
        const bool lost = engine_.first_sequence() > last_ + 1 && !eager_;
        const std::uint64_t ended = compare_events(budget == SIZE_MAX ? Extent::all : Extent::some);
        if (lost && budget != SIZE_MAX) return;  // more than this call has been compared
        same(result.ended, ended, "grants ended");
        if (!result.more && !waiting_.empty()) differ("due grants are left though `more` is not set");
        if (!result.more && engine_.wake_at() <= now_)
            differ("wake_at is not in the future after an advance to the end");
        if (budget == SIZE_MAX && result.more) differ("`more` is set though there was no budget");
    }

    // What is due by now is ended first: of that the engine drops what it has not ended yet, without a word.
    void recover(std::span<const std::uint32_t> apps, std::span<const std::uint32_t> processes) {
        advance(SIZE_MAX);
        const auto [ended, records] = model_.recover(apps, processes);
        const RecoveryResult found = engine_.recover(apps, processes, now_);
        same_status(found.status, Status::ok, "recover");
        same(found.ended, ended, "grants that were dropped");
        same(found.records, records, "records that lost them");
        compare_events(Extent::all);
        compare_owners();
    }

    // What is in the way of them ends first, and all that is due when they are refused.
    void set_limits(const Limits& limits) {
        const Status expected = model_.set_limits(limits, now_);
        same_status(engine_.set_limits(limits, now_), expected, "set_limits");
        if (expected == Status::ok) {
            kept_from_ = std::max(kept_from_, oldest());
            limits_ = limits;
            while (ring_.size() > limits.event_capacity) ring_.pop_front();
        }
        compare_events(expected == Status::ok ? Extent::some : Extent::all);
        same(engine_.limits().max_records, limits_.max_records, "limit of records");
        same(engine_.limits().max_strings, limits_.max_strings, "limit of texts");
        same(engine_.limits().event_capacity, limits_.event_capacity, "limit of events");
    }

    // Moves neither model nor what is held.
    void set_mark(const Mark& mark) {
        same_status(engine_.set_mark(mark), Status::ok, "set_mark");
        if (engine_.mark() == nullptr || *engine_.mark() != mark) differ("the last mark");
        compare_events(Extent::touched);
    }

    // An instant that is refused must change nothing, whatever the call.
    void turn_back(const Command& command, Instant wrong) {
        advance(SIZE_MAX);
        const Status expected = wrong < now_ ? Status::time_backwards : Status::time_out_of_range;
        same_status(engine_.check_time(wrong), expected, "check_time");
        same_status(engine_.execute(command, wrong).status, expected, "execute at a wrong instant");
        same_status(engine_.advance(wrong, SIZE_MAX).status, expected, "advance to a wrong instant");
        same(engine_.last_sequence(), last_, "events after a wrong instant");
    }

    // Comparisons

    void compare_valid() const {
        const char* reason = "";
        if (!engine_.validate(&reason)) differ(reason);
    }

    // Compares what the last call of the engine has told; answers the number of grants that expired in it.
    std::uint64_t compare_events(bool everything) { return compare_events(everything ? Extent::all : Extent::touched); }

    void compare_wake() const {
        Instant first = model_.next_deadline();
        for (const auto& [owner, events] : waiting_) first = std::min(first, events.front().time);
        if (engine_.wake_at() > first) differ("wake_at is later than the next deadline");
        if (first == no_deadline) same(engine_.wake_at(), no_deadline, "wake_at without a timed grant");
    }

    void compare_owner(Owner owner) const {
        const Result result = engine_.mask(owner, now_);
        same_status(result.status, Status::ok, "mask");
        same(result.mask, model_.mask(owner), "mask");
        RecordView view;
        same_status(engine_.find(owner, now_, view), Status::ok, "find");
        if (describe(view) != model_.describe(owner))
            differ(describe(view) + ", the model says " + model_.describe(owner));
        const auto at = model_.records.find(owner);
        same(view.applied, at == model_.records.end() ? 0 : at->second.applied, "last apply");
    }

    // Every owner, by reads that change nothing.
    void compare_owners() const {
        std::set<std::uint32_t> uids;
        for (const auto& [owner, record] : model_.records) {
            compare_owner(owner);
            uids.insert(record.uid);
        }
        for (const std::uint32_t uid : uids) compare_owners_of(uid, model_.records.size() + 1);
    }

    // The owners of a uid, where only `room` fit.
    void compare_owners_of(std::uint32_t uid, std::size_t room) const {
        std::vector<Owner> expected;
        for (const auto& [owner, record] : model_.records) {
            if (record.uid == uid) expected.push_back(owner);
        }
        std::vector<Owner> found(room);
        std::size_t total = 0;
        same_status(engine_.owners_of(uid, now_, found, total), Status::ok, "owners_of");
        same(total, expected.size(), "number of owners of a uid");
        expected.resize(std::min(expected.size(), room));
        found.resize(expected.size());
        if (found != expected) differ("owners of uid " + std::to_string(uid));
    }

    // A survey ends nothing, and finds what the engine says after it has.
    void compare_survey(std::size_t budget) {
        const Surveyed found = surveyed(engine_, now_, budget);
        Stats stats;
        Instant next = 0;
        same_status(engine_.stats(now_, stats), Status::ok, "stats");
        compare_events(Extent::all);
        same_status(engine_.next_deadline(now_, next), Status::ok, "next_deadline");
        if (const char* what = first_difference(found, stats, next)) differ(what);
    }

    // The reads below end all that is due first.

    void compare_next_deadline() {
        Instant deadline = 0;
        same_status(engine_.next_deadline(now_, deadline), Status::ok, "next_deadline");
        compare_events(Extent::all);
        same(deadline, model_.next_deadline(), "next deadline");
    }

    // Who holds any of the types, after an owner, where only `room` fit.
    void compare_holders(Mask mask, const Owner* after, std::size_t room) {
        std::vector<Owner> expected;
        for (const auto& [owner, record] : model_.records) {
            if ((record.mask() & mask) != 0 && (after == nullptr || *after < owner)) expected.push_back(owner);
        }
        if (engine_.most_owners(mask) < expected.size()) differ("size is less than what there is");
        std::vector<Owner> found(room);
        std::size_t count = 0;
        same_status(engine_.owners(mask, after, now_, found, count), Status::ok, "owners");
        compare_events(Extent::all);
        found.resize(std::min(count, room));
        expected.resize(std::min(expected.size(), room));
        if (found != expected || count > room) differ("owners");
    }

    void compare_count(Mask mask) {
        std::uint64_t expected = 0;
        for (const auto& [owner, record] : model_.records)
            expected += static_cast<std::uint64_t>(std::popcount(record.mask() & mask));
        std::size_t count = 0;
        same_status(engine_.count(mask, now_, count), Status::ok, "count");
        compare_events(Extent::all);
        same(count, expected, "holders of a type");
    }

    void compare_stats() {
        Stats stats;
        same_status(engine_.stats(now_, stats), Status::ok, "stats");
        compare_events(Extent::all);
        std::uint64_t grants[2][type_count]{};
        std::uint64_t records[2]{};
        for (const auto& [owner, record] : model_.records) {
            const auto kind = static_cast<std::size_t>(owner.kind);
            ++records[kind];
            for (const auto& [bit, grant] : record.grants) ++grants[kind][std::countr_zero(bit)];
        }
        same(stats.app_records, records[0], "app records");
        same(stats.process_records, records[1], "process records");
        for (int type = 0; type < type_count; ++type) {
            same(stats.app_grants[type], grants[0][type], "grants of apps");
            same(stats.process_grants[type], grants[1][type], "grants of processes");
        }
        same(stats.granted, model_.granted, "granted");
        same(stats.renewed, model_.renewed, "renewed");
        for (std::size_t cause = 0; cause < cause_count; ++cause)
            same(stats.ended[cause], model_.ended[cause], "ended");
        same(stats.strings, model_.texts().size(), "texts");
        same(stats.last_sequence, last_, "last sequence number");
    }

    // What a reader finds who has read up to `after` and has room for so many.
    void compare_ring(std::uint64_t after, std::size_t room) const {
        const std::uint64_t oldest = std::max(kept_from_, this->oldest());
        same(engine_.first_sequence(), oldest, "first sequence number");
        same(engine_.last_sequence(), last_, "last sequence number");
        std::vector<Event> out(room);
        const EventsRead events = engine_.read(after, out);
        const std::uint64_t missed = after < last_ && after + 1 < oldest ? oldest - after - 1 : 0;
        same(events.missed, missed, "missed events");
        const std::uint64_t first = after + missed + 1;
        same(events.count, after >= last_ ? 0 : std::min<std::uint64_t>(room, last_ - first + 1), "events read");
        for (std::size_t i = 0; i < events.count; ++i) {
            same(out[i].sequence, first + i, "sequence number");
            if (event_of(out[i]) != ring_.at(ring_.size() - (last_ - first - i) - 1))
                differ("another event than before: " + describe(out[i]));
        }
    }

private:
    // What a call has to tell of that which is due: what it touches, what it gets to, or all of it.
    enum class Extent { touched, some, all };

    // The first event for which a ring that was never another has room.
    [[nodiscard]] std::uint64_t oldest() const {
        return last_ < limits_.event_capacity ? 1 : last_ - limits_.event_capacity + 1;
    }

    // As expiry orders them: by deadline, processes before apps, keys ascending.
    static auto place_of(const ModelEvent& event) {
        return std::tuple(event.time, event.owner.kind == OwnerKind::app, event.owner.key);
    }

    [[nodiscard]] bool is_touched(Owner owner) const {
        return owner == Owner{OwnerKind::app, last_command_.uid} ||
               owner == Owner{OwnerKind::process, last_command_.pid};
    }
    [[nodiscard]] bool is_first(const ModelEvent& found) const {
        const auto place = place_of(found);
        return std::none_of(waiting_.begin(), waiting_.end(),
                            [&](const auto& each) { return place_of(each.second.front()) < place; });
    }

    std::uint64_t compare_events(Extent extent, bool in_order = true) {
        const std::vector<std::uint32_t> ended(engine_.cpu_ended().begin(), engine_.cpu_ended().end());
        std::vector<Event> out(limits_.event_capacity);
        const EventsRead events = engine_.read(last_, out);
        out.resize(events.count);
        gaps_ += events.missed;
        std::vector<ModelEvent> told;
        if (eager_) {
            told = tell_in_order(events.missed, out);
        } else if (events.missed == 0) {
            told = tell(out, extent, in_order);
        } else {
            return tell_after_gap(ended);
        }
        std::uint64_t expired = 0;
        for (const ModelEvent& event : told) {
            if (event.cause == Cause::expired) expired += static_cast<std::uint64_t>(std::popcount(event.mask));
        }
        if (cpu_ended_of(told) != ended) differ("uids that lost CPU");
        return expired;
    }

    [[nodiscard]] std::vector<std::uint32_t> cpu_ended_of(const std::vector<ModelEvent>& told) const {
        std::vector<std::uint32_t> uids;
        for (const ModelEvent& event : told) {
            if (tracks_ && event.kind == EventKind::app_reset && (event.mask & CPU) != 0) uids.push_back(event.uid);
        }
        return uids;
    }

    void remember(const Event& event) {
        same(event.sequence, ++last_, "sequence number");
        ring_.push_back(event_of(event));
        if (ring_.size() > limits_.event_capacity) ring_.pop_front();
    }

    // What the model has told anew: its acts; its endings go and wait in the queues of their records.
    std::deque<ModelEvent> take_acts() {
        std::deque<ModelEvent> acts;
        for (ModelEvent& event : model_.events) {
            (event.cause == Cause::expired ? waiting_[event.owner] : acts).push_back(std::move(event));
        }
        model_.events.clear();
        return acts;
    }

    std::vector<ModelEvent> tell(std::span<const Event> events, Extent extent, bool in_order) {
        std::deque<ModelEvent> acts = take_acts();
        std::vector<ModelEvent> told;
        bool acted = false;
        for (const Event& event : events) {
            remember(event);
            const ModelEvent& found = ring_.back();
            const bool is_act = found.cause != Cause::expired;
            const auto queue = waiting_.find(found.owner);
            if (is_act ? queue != waiting_.end() : acted) differ("told before what was due: " + describe(event));
            if (!is_act && queue == waiting_.end()) differ("nothing of this record is due: " + describe(event));
            if (!is_act && !in_order && !is_touched(found.owner) && !is_first(found)) differ("not the first of all");
            if (!is_act && extent == Extent::some && !is_first(found)) differ("not the first of a slice");
            std::deque<ModelEvent>& expected = is_act ? acts : queue->second;
            if (expected.empty() || expected.front() != found) differ("not the next event: " + describe(event));
            expected.pop_front();
            if (!is_act && expected.empty()) waiting_.erase(queue);
            acted = acted || is_act;
            if (in_order && !is_act && !told.empty() && place_of(told.back()) >= place_of(found))
                differ("endings out of order");
            told.push_back(found);
        }
        if (!acts.empty()) differ("an event is missing");
        if (extent == Extent::all && !waiting_.empty()) differ("something that is due was not told");
        return told;
    }

    std::vector<ModelEvent> tell_in_order(std::uint64_t missed, std::span<const Event> events) {
        std::vector<ModelEvent> expected = std::move(model_.events);
        model_.events.clear();
        same(missed + events.size(), expected.size(), "number of events");
        last_ += missed;
        for (std::size_t i = 0; i < events.size(); ++i) {
            remember(events[i]);
            if (ring_.back() != expected[static_cast<std::size_t>(missed) + i]) differ("event " + describe(events[i]));
        }
        return expected;
    }

    std::uint64_t tell_after_gap(std::vector<std::uint32_t> ended) {
        same_status(engine_.advance(now_, SIZE_MAX).status, Status::ok, "advance after a gap");
        ended.insert(ended.end(), engine_.cpu_ended().begin(), engine_.cpu_ended().end());
        std::deque<ModelEvent> acts = take_acts();
        std::vector<ModelEvent> expected(acts.begin(), acts.end());
        for (const auto& [owner, queue] : waiting_) expected.insert(expected.end(), queue.begin(), queue.end());
        waiting_.clear();
        std::vector<std::uint32_t> uids = cpu_ended_of(expected);
        std::sort(uids.begin(), uids.end());
        std::sort(ended.begin(), ended.end());
        if (uids != ended) differ("uids that lost CPU, over a gap");
        std::uint64_t expired = 0;
        for (const ModelEvent& event : expected) {
            if (event.cause == Cause::expired) expired += static_cast<std::uint64_t>(std::popcount(event.mask));
        }

        std::vector<Event> out(limits_.event_capacity);
        const EventsRead events = engine_.read(last_, out);
        same(events.missed + events.count, expected.size(), "number of events, over a gap");
        last_ += events.missed;
        for (const Event& event : std::span(out).first(events.count)) {
            remember(event);
            const auto at = std::find(expected.begin(), expected.end(), ring_.back());
            if (at == expected.end()) differ("an event that was not to be told: " + describe(event));
            expected.erase(at);
        }
        return expired;
    }

    Engine& engine_;
    Limits limits_;
    bool eager_;
    bool tracks_ = false;
    Model model_;
    Instant now_;
    std::uint64_t last_ = 0;
    Command last_command_{};  // its owners count
    std::uint64_t refusals_ = 0;
    std::uint64_t gaps_ = 0;
    std::uint64_t kept_from_ = 1;  // by rings that were exchanged
    std::map<Owner, std::deque<ModelEvent>> waiting_;
    std::deque<ModelEvent> ring_;  // the events that the engine must still have
};

}  // namespace grantwheel::test
