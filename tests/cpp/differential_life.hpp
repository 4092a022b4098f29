// The life of one engine in step with the model: every answer and every event compared, and put into a digest.
//
// Expiry is the one thing that both may report at different times. What the model has ended waits, by record, until the
// engine tells it: in the order of the record, before it acts on it, and all of it in a full advance.
#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <vector>

#include "differential_ladder.hpp"
#include "differential_waiting.hpp"
#include "grantwheel/engine.hpp"
#include "surveying.hpp"

namespace grantwheel::test {

// What a difference is thrown as.
struct Difference : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What a life has given: the same in every build, or something is wrong.
struct Outcome {
    std::uint64_t hash = 0x6A09'E667'F3BC'C908u;
    std::uint64_t ops = 0;
    std::uint64_t events = 0;
    std::uint64_t missed = 0;
    std::uint64_t refused = 0;
    std::uint64_t validated = 0;

    void add(std::uint64_t word) noexcept {
        hash = (hash ^ word) * 0x9FB2'1C65'1E98'DF25u;
        hash ^= hash >> 29;
    }
    void add(const Outcome& other) noexcept {
        add(other.hash);
        ops += other.ops;
        events += other.events;
        missed += other.missed;
        refused += other.refused;
        validated += other.validated;
    }
};

class Life {
public:
    Life(const Rung& rung, const Universe& universe, std::uint64_t seed)
        : rung_(rung),
          universe_(universe),
          dice_(seed),
          engine_(Engine::create(rung.limits)),
          model_(universe, rung.limits),
          waiting_(universe.records()),
          now_(rung.start) {
        if (engine_ == nullptr || !engine_->track_cpu_ended(true)) throw Difference("no engine");
    }

    // Lives for that many ops at least: a batch is not cut short.
    const Outcome& run(std::uint64_t ops) {
        while (outcome_.ops < ops) step();
        compare_owners();
        compare_across();
        change({.kind = CommandKind::admin_reset_all, .mask = type::ALL}, Extent::all);
        compare_across();
        validate();
        return outcome_;
    }

    // The op that it is at.
    [[nodiscard]] std::uint64_t op() const { return outcome_.ops; }
    [[nodiscard]] Instant now() const { return now_; }
    // The last calls that change something, the latest last.
    [[nodiscard]] std::string last_calls() const;

private:
    // What a call has to tell of that which is due: what it touches, some of the earliest, or all of it.
    enum class Extent { touched, some, all };

    [[noreturn]] static void fail(const std::string& what) { throw Difference(what); }
    static void same(std::uint64_t found, std::uint64_t expected, const char* what) {
        if (found != expected) differ(found, expected, what);
    }
    [[noreturn]] static void differ(std::uint64_t found, std::uint64_t expected, const char* what) {
        fail(std::string(what) + ": " + std::to_string(found) + ", the model says " + std::to_string(expected));
    }

    void step() {
        ++outcome_.ops;
        pass_time();
        if (rung_.eager) advance(SIZE_MAX);
        act();
        if (dice_.one_in(rung_.drives)) advance(dice_.one_in(4) ? SIZE_MAX : dice_.below(rung_.budget + 1));
        compare_wake();
        if (outcome_.ops % rung_.validates == 0) validate();
        if (dice_.one_in(rung_.compares_all)) compare_across();
        if (dice_.one_in(rung_.compares_all)) compare_owners();
    }

    // Random pieces

    Place uid() { return dice_.below(static_cast<std::uint32_t>(universe_.uids.size())); }
    Place pid() { return dice_.below(static_cast<std::uint32_t>(universe_.pids.size())); }
    Place text() { return dice_.below(rung_.texts); }
    Mask mask() {
        switch (dice_.below(8)) {
            default: return Mask{1} << dice_.below(type_count);
            case 0:
            case 1: return type::CPU;
            case 2: return 1 + dice_.below(type::ALL);
        }
    }

    void pass_time() {
        const std::uint64_t word = dice_.next();
        Instant step = (word & 1) != 0 ? 0 : dice_.magnitude(rung_.step_bits);
        const Instant next = model_.next_deadline();
        if (next != no_deadline && (word >> 1 & 15) < 2) step = next - now_ - (word >> 5 & 1);  // nothing due is left
        now_ = std::min(max_now, now_ + step);
        model_.settle(now_);
        if (!rung_.eager) take_acts();
    }

    Call random_apply() {
        std::uint64_t timeout = 1 + dice_.magnitude(rung_.timeout_bits);
        const std::uint32_t kind = dice_.below(16);
        if (kind < 2) timeout = (std::uint64_t{1} << rung_.timeout_bits) - 1;
        if (kind >= 12) {  // until the first instant of a slot of the wheel
            const std::uint64_t low_bits = 6 * (kind - 11);
            timeout = std::max(now_ + 1, (now_ + timeout) >> low_bits << low_bits) - now_;
        }
        const std::uint64_t word = dice_.next();
        return {.is_persist = dice_.one_in(rung_.persists),
                .is_process = (word & 1) != 0,
                .only_held = (word >> 3 & 7) == 0,
                .cpu_level = static_cast<std::int8_t>(static_cast<int>(word >> 1 & 3) - 1),
                .mask = mask(),
                .uid = uid(),
                .pid = pid(),
                .timeout_ms = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(timeout, 1, max_timeout)),
                .bundle = text(),
                .reason = text(),
                .capped = (word >> 3 & 7) == 0 ? static_cast<Mask>(word >> 6) & type::ALL : 0,
                .cap_ms = 1 + static_cast<std::uint32_t>(word >> 16 & 0xFFFF) % 1000};
    }
    Call random_release(CommandKind kind) {
        return {.kind = kind, .is_process = dice_.one_in(2), .mask = mask(), .uid = uid(), .pid = pid()};
    }

    void act() {
        switch (dice_.below(32)) {
            default: return change(random_apply(), Extent::touched);
            case 0:
            case 1:
            case 2: return change(random_release(CommandKind::release), Extent::touched);
            case 3: return change(random_release(CommandKind::reset_all), Extent::touched);
            case 4: return change(random_release(CommandKind::process_died), Extent::touched);
            case 5: return change(random_release(CommandKind::app_stopped), Extent::touched);
            case 6: return change(random_release(CommandKind::package_removed), Extent::touched);
            case 7: return change(random_release(CommandKind::admin_reset_app), Extent::touched);
            case 8: return change(random_release(CommandKind::admin_reset_process), Extent::touched);
            case 9:
            case 10:
            case 11: return compare_owner(universe_.record_of_app(uid()));
            case 12: return compare_owner(universe_.record_of_process(pid()));
            case 13: return compare_owners_of(uid());
            case 14: return rarely();
        }
    }
    void rarely() {
        switch (dice_.below(8)) {
            default: return batch();
            case 0: return turn_back();
            case 2: return recover();
            case 1:
                if (dice_.one_in(4 + rung_.compares_all / 4))
                    change({.kind = CommandKind::admin_reset_all, .mask = type::ALL}, Extent::all);
                return;
        }
    }

    // Calls on both

    void change(const Call& call, Extent extent) {
        last_[last_count_++ % last_.size()] = {now_, call};
        reached_ = now_;
        const Result expected = model_.execute(call, now_);
        const Result found = engine_->execute(command_of(universe_, call), now_);
        same(static_cast<std::uint64_t>(found.status), static_cast<std::uint64_t>(expected.status), "status");
        same(found.mask, expected.mask, "mask of the answer");
        outcome_.add(static_cast<std::uint64_t>(found.status) << 32 | found.mask);
        // A limit is told only after everything that is due has been. What makes room begins anew with the first of all.
        if (found.status != Status::ok) {
            ++outcome_.refused;
            extent = Extent::all;
        }
        compare_events(extent, call.kind != CommandKind::apply || !rung_.tight());
        compare_owner(call.is_process ? universe_.record_of_process(call.pid) : universe_.record_of_app(call.uid));
    }

    // What is due by now is ended first: of that the engine drops what it has not ended yet, without a word.
    void recover() {
        advance(SIZE_MAX);
        std::vector<Place> places;
        std::vector<std::uint32_t> keys[2];
        for (Place place = dice_.below(20); place < universe_.records(); place += 1 + dice_.below(20)) {
            places.push_back(place);
            const Owner owner = universe_.owner(place);
            keys[static_cast<std::size_t>(owner.kind)].push_back(owner.key);
        }
        const RecoveryResult found = engine_->recover(keys[0], keys[1], now_);
        same(static_cast<std::uint64_t>(found.status), 0, "status of a recovery");
        same(found.ended, model_.recover(places), "grants that were dropped");
        outcome_.add(found.ended << 32 | found.records);
        compare_events(Extent::all);
        for (const Place place : places) compare_owner(place);
    }

    void advance(std::size_t budget) {
        reached_ = now_;
        const std::uint64_t before = engine_->last_sequence();
        const AdvanceResult result = engine_->advance(now_, budget);
        same(static_cast<std::uint64_t>(result.status), 0, "status of an advance");
        if (engine_->last_sequence() - before > budget) fail("more records ended than the budget allows");
        const std::uint64_t ended = compare_events(budget == SIZE_MAX ? Extent::all : Extent::some);
        same(result.ended, ended, "grants ended");
        outcome_.add(result.ended << 1 | std::uint64_t{result.more});
        if (!result.more && !waiting_.empty()) fail("due grants are left though `more` is not set");
        if (!result.more && engine_->wake_at() <= now_) fail("wake_at is not later than an advance to the end");
        if (budget == SIZE_MAX && result.more) fail("`more` is set though there was no budget");
    }

    // One command or one read for each of many apps, as hosts do it.
    void batch() {
        std::array<Call, 40> calls;
        const std::size_t count = 1 + dice_.below(calls.size());
        const bool changes = dice_.one_in(2);
        for (std::size_t i = 0; i < count; ++i) {
            calls[i] = dice_.one_in(3) ? random_release(CommandKind::release) : random_apply();
        }
        for_each_prefetched(
            *engine_, count, [&](std::size_t i) { return universe_.uids[calls[i].uid]; },
            [&](std::size_t i) { return calls[i].mask; },
            [&](std::size_t i) {
                if (changes) return change(calls[i], Extent::touched);
                const Place app = universe_.record_of_app(calls[i].uid);
                const Result found = engine_->mask(universe_.owner(app), now_);
                same(found.mask, model_.record(app).mask, "mask in a batch");
                outcome_.add(found.mask);
            });
        outcome_.ops += count - 1;
    }

    // An instant that is refused must change nothing, whatever the call. Reads do not move the time of the engine.
    void turn_back() {
        const bool beyond = reached_ == 0 || dice_.one_in(2);
        const Instant wrong =
            beyond ? max_now + 1 + dice_.magnitude(60) : reached_ - 1 - dice_.magnitude(60) % reached_;
        const Status expected = beyond ? Status::time_out_of_range : Status::time_backwards;
        const Owner owner = universe_.owner(universe_.record_of_app(uid()));
        const auto refuses = [&](Status status) {
            if (status != expected) fail("a wrong instant was taken");
        };
        RecordView view;
        Instant deadline = 0;
        refuses(engine_->execute(command_of(universe_, random_apply()), wrong).status);
        refuses(engine_->advance(wrong, SIZE_MAX).status);
        refuses(engine_->mask(owner, wrong).status);
        refuses(engine_->find(owner, wrong, view));
        refuses(engine_->next_deadline(wrong, deadline));
        same(engine_->last_sequence(), sequence_, "events after a wrong instant");
    }

    // Comparisons (differential_compare.hpp)

    std::uint64_t compare_events(Extent extent, bool in_order = true);
    std::uint64_t compare_told(Extent extent, bool in_order);
    std::uint64_t compare_with_gaps();
    void compare_event(const Event& found, const QuickEvent& expected);
    void note(const QuickEvent& event);
    [[nodiscard]] bool touches(Place record) const;
    void take_acts();
    void compare_wake() const;
    void compare_owner(Place record);
    void compare_owners();
    void compare_owners_of(Place uid);
    void compare_across();
    void compare_listing();
    void compare_stats();
    void validate();

    struct Made {
        Instant at;
        Call call;
    };

    const Rung& rung_;
    const Universe& universe_;
    Dice dice_;
    std::unique_ptr<Engine> engine_;
    QuickModel model_;
    Waiting waiting_;
    Instant now_;
    Instant reached_ = 0;  // of the engine: the instant of the last call that could change something
    Outcome outcome_{};
    std::uint64_t sequence_ = 0;
    std::vector<QuickEvent> acts_{};         // what the model has told beside its endings, and the engine not yet
    std::vector<std::uint32_t> lost_cpu_{};  // the uids whose app lost CPU by the events of the last call
    std::array<Event, 64> page_{};
    std::vector<Owner> owners_{};
    std::array<Made, 16> last_{};
    std::size_t last_count_ = 0;
};

}  // namespace grantwheel::test

#include "differential_compare.hpp"
