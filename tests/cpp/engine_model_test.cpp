// The engine in step with the model: random runs over a ladder of configurations, everything that can be seen compared.
//
// Expiry is the one thing that both may report at different times. What the model has ended waits in a queue of its
// record until the engine tells it: in the order of the record, before it acts on it, and all of it in a full advance.
#include "model.hpp"

#include <deque>

namespace grantwheel::test {

namespace {

struct Config {
    std::uint32_t uids;
    std::uint32_t pids;
    unsigned timeout_bits;  // timeouts up to 2^timeout_bits
    unsigned step_bits;     // steps of time up to 2^step_bits
    std::uint64_t drives;   // an advance in one of that many steps
    std::size_t budget;     // of such an advance
    Limits limits{.event_capacity = 512};
    Instant start = 0;
    bool eager =
        false;  // advance before each call: then the order of events is that of the model, and gaps can be told
};

ModelEvent event_of(const Event& event) {
    const bool is_app = event.kind == EventKind::app_apply || event.kind == EventKind::app_reset;
    const Owner owner{is_app ? OwnerKind::app : OwnerKind::process, is_app ? event.uid : event.pid};
    return {owner,          event.time, event.kind, event.cause,
            event.uid,      event.pid,  event.mask, std::string(event.bundle),
            event.cpu_level};
}

// As expiry orders them: by deadline, processes before apps, keys ascending.
auto place_of(const ModelEvent& event) {
    return std::tuple(event.time, event.owner.kind == OwnerKind::app, event.owner.key);
}

// What a call has to tell of that which is due: what it touches, what it gets to, or all of it.
enum class Extent { touched, some, all };

class Lockstep {
public:
    Lockstep(const Config& config, std::uint64_t seed)
        : config_(config),
          seed_(seed),
          random_(seed),
          engine_(Engine::create(config.limits)),
          model_(config.limits),
          now_(config.start) {
        BOOST_REQUIRE(engine_ != nullptr);
        BOOST_REQUIRE(engine_->track_cpu_ended(true));
        for (std::size_t i = 0; i < 9; ++i) texts_.push_back(std::string(i * i * i, static_cast<char>('a' + i)));
    }

    void run(int steps) {
        for (step_ = 0; step_ < steps; ++step_) {
            pass_time();
            if (config_.eager) advance(SIZE_MAX);
            act();
            if (random_.one_in(config_.drives))
                advance(random_.one_in(4) ? SIZE_MAX : random_.below(config_.budget + 1));
            check_valid(*engine_);
            compare_wake();
            compare_owner({OwnerKind::app, uid()});
            compare_owner({OwnerKind::process, pid()});
            if (random_.one_in(50)) compare_owners();
            if (random_.one_in(50)) compare_across();
        }
        compare_owners();
        compare_across();
        execute(admin_reset_all(), Extent::all);
        compare_across();
    }

    [[nodiscard]] std::uint64_t refusals() const { return refusals_; }
    [[nodiscard]] std::uint64_t gaps() const { return gaps_; }

private:
    void fail(const std::string& what) const {
        BOOST_FAIL("seed " << seed_ << ", step " << step_ << ", at " << now_ << ": " << what);
    }
    void same(std::uint64_t found, std::uint64_t expected, std::string_view what) const {
        if (found == expected) return;
        fail(std::string(what) + ": " + std::to_string(found) + ", the model says " + std::to_string(expected));
    }

    // Random pieces

    std::uint32_t uid() {
        const std::uint32_t chosen = random_.below32(config_.uids);
        return chosen == 2 ? 0xFFFF'FFFE : chosen;
    }
    std::uint32_t pid() {
        const std::uint32_t chosen = random_.below32(config_.pids);
        return chosen == 2 ? 0x7FFF'FFFF : chosen;
    }
    Mask mask() {
        if (random_.one_in(3)) return CPU;
        return random_.one_in(3) ? Mask{1} << random_.below32(type_count) : 1 + random_.below32(ALL);
    }
    void pass_time() {
        Instant step = random_.one_in(2) ? 0 : random_.magnitude(config_.step_bits);
        const Instant next = model_.next_deadline();
        if (next != no_deadline && random_.one_in(5)) step = next - now_ - random_.below(2);
        now_ = std::min(max_now, now_ + step);
        model_.settle(now_);
        if (!config_.eager) static_cast<void>(take_acts());
    }

    Command random_apply() {
        std::uint64_t timeout = 1 + random_.magnitude(config_.timeout_bits);
        if (random_.one_in(8)) timeout = (Instant{1} << config_.timeout_bits) - 1;
        if (random_.one_in(4)) {  // until the first instant of a slot of the wheel
            const std::uint64_t low_bits = 6 * (1 + random_.below(4));
            timeout = std::max(now_ + 1, (now_ + timeout) >> low_bits << low_bits) - now_;
        }
        return {.is_persist = random_.one_in(12),
                .is_process = random_.one_in(2),
                .cpu_level = static_cast<std::int8_t>(static_cast<int>(random_.below(4)) - 1),
                .mask = mask(),
                .uid = uid(),
                .pid = pid(),
                .timeout_ms = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(timeout, 1, max_timeout)),
                .bundle = texts_[random_.below(texts_.size())],
                .reason = texts_[random_.below(texts_.size())]};
    }

    void act() {
        switch (random_.below(24)) {
            default: return execute(random_apply(), Extent::touched);
            case 0: return execute(release(uid(), mask()), Extent::touched);
            case 1: return execute(release_process(uid(), pid(), mask()), Extent::touched);
            case 2: return execute(reset_all(uid(), mask()), Extent::touched);
            case 3: return execute(process_died(uid(), pid()), Extent::touched);
            case 4: return execute(app_stopped(uid()), Extent::touched);
            case 5: return execute(package_removed(uid()), Extent::touched);
            case 6: return execute(admin_reset_app(uid(), mask()), Extent::touched);
            case 7: return execute(admin_reset_process(pid(), mask()), Extent::touched);
            case 8:
                if (random_.one_in(20)) execute(admin_reset_all(), Extent::all);
                return;
            case 9: return turn_back();
        }
    }

    // Calls on both

    void execute(const Command& command, Extent extent) {
        const Result expected = model_.execute(command, now_);
        const Result found = engine_->execute(command, now_);
        if (found.status != expected.status) {
            fail(std::string(status_name(found.status)) + ", the model says " +
                 std::string(status_name(expected.status)));
        }
        // A limit is told only after everything that is due has been. What makes room is freed in any order.
        if (found.status != Status::ok) {
            ++refusals_;
            extent = Extent::all;
        } else {
            same(found.mask, expected.mask, "mask of the answer");
        }
        const bool makes_room = command.kind == CommandKind::apply && config_.limits.max_records < 1000;
        compare_events(extent, !makes_room);
        compare_owner({OwnerKind::app, command.uid});
        compare_owner({OwnerKind::process, command.pid});
    }

    void advance(std::size_t budget) {
        const std::uint64_t before = engine_->last_sequence();
        const AdvanceResult result = engine_->advance(now_, budget);
        if (engine_->last_sequence() - before > budget) fail("more records ended than the budget allows");
        const std::uint64_t ended = compare_events(budget == SIZE_MAX ? Extent::all : Extent::some);
        same(result.ended, ended, "grants ended");
        if (!result.more && !waiting_.empty()) fail("due grants are left though `more` is not set");
        if (!result.more && engine_->wake_at() <= now_)
            fail("wake_at is not in the future after an advance to the end");
        if (budget == SIZE_MAX && result.more) fail("`more` is set though there was no budget");
    }

    // An instant that is refused must change nothing, whatever the call.
    void turn_back() {
        advance(SIZE_MAX);
        const bool beyond = now_ == 0 || random_.one_in(2);
        const Instant wrong = beyond ? max_now + 1 + random_.magnitude(60) : random_.below(now_);
        const Status expected = beyond ? Status::time_out_of_range : Status::time_backwards;
        if (engine_->execute(random_apply(), wrong).status != expected) fail("a wrong instant was taken");
        if (engine_->advance(wrong, SIZE_MAX).status != expected) fail("a wrong instant was taken");
        same(engine_->last_sequence(), last_, "events after a wrong instant");
    }

    // Comparisons

    // Compares what the last call of the engine has told; answers the number of grants that expired in it.
    std::uint64_t compare_events(Extent extent, bool in_order = true) {
        const std::vector<ModelEvent> told = config_.eager ? read_with_gaps() : read(extent, in_order);
        std::vector<std::uint32_t> uids;
        std::uint64_t expired = 0;
        for (const ModelEvent& event : told) {
            if (event.kind == EventKind::app_reset && (event.mask & CPU) != 0) uids.push_back(event.uid);
            if (event.cause == Cause::expired) expired += static_cast<std::uint64_t>(std::popcount(event.mask));
        }
        const auto ended = engine_->cpu_ended();
        if (!std::equal(uids.begin(), uids.end(), ended.begin(), ended.end())) fail("uids that lost CPU");
        return expired;
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

    std::vector<ModelEvent> read(Extent extent, bool in_order) {
        std::vector<Event> out(config_.limits.event_capacity);
        const EventsRead events = engine_->read(last_, out);
        same(events.missed, 0, "missed events");
        std::deque<ModelEvent> acts = take_acts();
        std::vector<ModelEvent> told;
        bool acted = false;
        for (const Event& event : std::span(out).first(events.count)) {
            same(event.sequence, ++last_, "sequence number");
            const ModelEvent found = event_of(event);
            const bool is_act = found.cause != Cause::expired;
            const auto queue = waiting_.find(found.owner);
            if (is_act ? queue != waiting_.end() : acted) fail("told before what was due: " + describe(event));
            if (!is_act && queue == waiting_.end()) fail("nothing of this record is due: " + describe(event));
            std::deque<ModelEvent>& expected = is_act ? acts : queue->second;
            if (expected.empty() || expected.front() != found) fail("not the next event: " + describe(event));
            expected.pop_front();
            if (!is_act && expected.empty()) waiting_.erase(queue);
            acted = acted || is_act;
            if (in_order && !is_act && !told.empty() && place_of(told.back()) >= place_of(found))
                fail("endings out of order");
            told.push_back(found);
        }
        if (!acts.empty()) fail("an event is missing");
        if (extent == Extent::all && !waiting_.empty()) fail("something that is due was not told");
        return told;
    }

    std::vector<ModelEvent> read_with_gaps() {
        std::vector<ModelEvent> expected = std::move(model_.events);
        model_.events.clear();
        std::vector<Event> out(config_.limits.event_capacity);
        const EventsRead events = engine_->read(last_, out);
        gaps_ += events.missed;
        same(events.missed + events.count, expected.size(), "number of events");
        last_ += events.missed;
        for (std::size_t i = 0; i < events.count; ++i) {
            same(out[i].sequence, ++last_, "sequence number");
            if (event_of(out[i]) != expected[static_cast<std::size_t>(events.missed) + i])
                fail("event " + describe(out[i]));
        }
        return expected;
    }

    void compare_wake() const {
        Instant first = model_.next_deadline();
        for (const auto& [owner, events] : waiting_) first = std::min(first, events.front().time);
        if (engine_->wake_at() > first) fail("wake_at is later than the next deadline");
        if (first == no_deadline) same(engine_->wake_at(), no_deadline, "wake_at without a timed grant");
    }

    void compare_owner(Owner owner) const {
        const Result result = engine_->mask(owner, now_);
        same(result.mask, model_.mask(owner), "mask");
        RecordView view;
        if (engine_->find(owner, now_, view) != Status::ok) fail("find");
        if (describe(view) != model_.describe(owner))
            fail(describe(view) + ", the model says " + model_.describe(owner));
    }

    // Every owner, by reads that change nothing.
    void compare_owners() const {
        std::set<std::uint32_t> uids;
        for (const auto& [owner, record] : model_.records) {
            compare_owner(owner);
            uids.insert(record.uid);
        }
        for (const std::uint32_t uid : uids) {
            std::vector<Owner> expected;
            for (const auto& [owner, record] : model_.records) {
                if (record.uid == uid) expected.push_back(owner);
            }
            std::vector<Owner> found(config_.pids + 1);
            std::size_t total = 0;
            if (engine_->owners_of(uid, now_, found, total) != Status::ok) fail("owners_of");
            found.resize(std::min(total, found.size()));
            if (found != expected) fail("owners of uid " + std::to_string(uid));
        }
    }

    // Reads across records, which end all that is due first.
    void compare_across() {
        Instant deadline = 0;
        if (engine_->next_deadline(now_, deadline) != Status::ok) fail("next_deadline");
        compare_events(Extent::all);
        same(deadline, model_.next_deadline(), "next deadline");
        std::vector<Owner> expected;
        const Mask wanted = mask();
        for (const auto& [owner, record] : model_.records) {
            if ((record.mask() & wanted) != 0) expected.push_back(owner);
        }
        const auto room = static_cast<std::size_t>(1 + random_.below(model_.records.size() + 2));
        std::vector<Owner> found(room);
        std::size_t count = 0;
        if (engine_->owners(wanted, nullptr, now_, found, count) != Status::ok) fail("owners");
        found.resize(count);
        expected.resize(std::min(expected.size(), room));
        if (found != expected) fail("owners");
        compare_stats();
    }

    void compare_stats() {
        Stats stats;
        if (engine_->stats(now_, stats) != Status::ok) fail("stats");
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
            std::size_t count = 0;
            if (engine_->count(Mask{1} << type, now_, count) != Status::ok) fail("count");
            same(count, grants[0][type] + grants[1][type], "holders of a type");
        }
        same(stats.granted, model_.granted, "granted");
        same(stats.renewed, model_.renewed, "renewed");
        for (std::size_t cause = 0; cause < cause_count; ++cause)
            same(stats.ended[cause], model_.ended[cause], "ended");
        same(stats.strings, model_.texts().size(), "texts");
        same(stats.last_sequence, last_, "last sequence number");
    }

    Config config_;
    std::uint64_t seed_;
    Random random_;
    std::unique_ptr<Engine> engine_;
    Model model_;
    Instant now_;
    int step_ = 0;
    std::uint64_t last_ = 0;
    std::uint64_t refusals_ = 0;
    std::uint64_t gaps_ = 0;
    std::vector<std::string> texts_;
    std::map<Owner, std::deque<ModelEvent>> waiting_;
};

struct Totals {
    std::uint64_t refusals = 0;
    std::uint64_t gaps = 0;
};

Totals run(const std::vector<Config>& ladder, std::uint64_t first_seed, int steps) {
    Totals totals;
    std::uint64_t seed = first_seed;
    for (const Config& config : ladder) {
        for (int i = 0; i < 2; ++i, ++seed) {
            Lockstep lockstep(config, seed);
            lockstep.run(steps);
            totals.refusals += lockstep.refusals();
            totals.gaps += lockstep.gaps();
        }
    }
    return totals;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(engine_model)

BOOST_AUTO_TEST_CASE(few_owners_and_short_timeouts) {
    run({{1, 1, 2, 2, 10, 2}, {2, 3, 3, 3, 3, 1}, {3, 4, 5, 3, 1000, 1}, {5, 8, 6, 5, 5, 4}}, 1000, 1500);
}

BOOST_AUTO_TEST_CASE(many_owners) {
    run({{12, 20, 10, 7, 20, 3}, {20, 40, 14, 10, 4, 8}, {40, 40, 7, 4, 1000, 1}}, 1100, 1500);
}

BOOST_AUTO_TEST_CASE(long_timeouts_and_long_steps) {
    run({{3, 4, 32, 32, 1000, 1}, {4, 5, 32, 33, 10, 2}, {10, 20, 32, 28, 5, 3}, {6, 8, 32, 45, 7, 2}}, 1200, 1500);
}

BOOST_AUTO_TEST_CASE(close_to_the_last_instant) {
    constexpr Limits limits{.event_capacity = 512};
    run({{6, 8, 12, 8, 5, 3, limits, max_now - 20'000},
         {6, 8, 32, 30, 5, 3, limits, max_now - (Instant{1} << 36)},
         {4, 4, 5, 1, 5, 3, limits, max_now - 300}},
        1300, 1000);
}

BOOST_AUTO_TEST_CASE(limits_that_are_often_reached) {
    const Totals totals =
        run({{8, 8, 6, 4, 1000, 1, {.max_records = 1, .max_strings = 1, .event_capacity = 512}},
             {8, 8, 6, 4, 10, 2, {.max_records = 3, .max_strings = 3, .event_capacity = 512}},
             {20, 20, 10, 8, 1000, 1, {.max_records = 12, .max_strings = 7, .event_capacity = 512}},
             {40, 40, 8, 5, 1000, 1, {.max_records = 40, .max_strings = 100, .event_capacity = 512}},
             {40, 40, 32, 30, 3, 2, {.max_records = 30, .max_strings = 5, .event_capacity = 512, .reserve = 30}}},
            1400, 1200);
    BOOST_CHECK_GT(totals.refusals, 500u);
}

BOOST_AUTO_TEST_CASE(rings_that_lose_events) {
    const auto with_ring = [](std::uint32_t capacity) {
        return Config{8, 10, 6, 5, 1000, 1, {.max_records = 16, .max_strings = 8, .event_capacity = capacity}, 0, true};
    };
    const Totals totals = run({with_ring(1), with_ring(2), with_ring(3), with_ring(7), with_ring(50)}, 1500, 1200);
    BOOST_CHECK_GT(totals.gaps, 100u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
