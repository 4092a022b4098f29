// A log that is behind: what is changed is answered at once and gets into the log afterwards, whatever the log does, and no
// event is shown before. No test waits for the delay: a flush does not.
#include <array>
#include <chrono>
#include <mutex>
#include <thread>

#include "allocations.hpp"
#include "gate_rig.hpp"

namespace grantwheel::test {

namespace {

constexpr std::uint32_t long_ms = 3'600'000;

class BehindRig : public GateRig {
public:
    explicit BehindRig(GateOptions options = {}, const Limits& limits = {.event_capacity = 4096})
        : GateRig(limits, behind(options)) {}

    std::uint64_t shown() {
        const std::lock_guard lock(**this);
        return (*this)->settled_sequence();
    }
    std::uint64_t made() {
        const std::lock_guard lock(**this);
        return (*this)->manager()->engine().last_sequence();
    }
    LogFigures figures() {
        const std::lock_guard lock(**this);
        return (*this)->log_figures();
    }
    void wait_for_state(LogState state) {
        while (figures().state != state) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // All is in the log, and may be shown.
    void check_all() {
        BOOST_CHECK(flushed());
        BOOST_CHECK_EQUAL(shown(), made());
        BOOST_CHECK_EQUAL(figures().waiting_ops, 0u);
        BOOST_CHECK_EQUAL(figures().waiting_bytes, 0u);
        check_log();
    }
    // What fails is tried again.
    bool flushed() {
        for (int i = 0; i < 100; ++i) {
            if ((*this)->flush()) return true;
        }
        return false;
    }

private:
    static GateOptions behind(GateOptions options) {
        options.is_behind = true;
        if (options.max_delay_ms == GateOptions().max_delay_ms) options.max_delay_ms = long_ms;
        return options;
    }
};

// One change stalls on its way into the log, and another one comes behind it.
void apply_behind(BehindRig& rig, Stalled& stalled) {
    BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::ok);
    BOOST_CHECK(!rig->flush(1));
    stalled.wait();
    BOOST_CHECK_EQUAL(rig.apply(0, 1001).status, Status::ok);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gate_behind)

BOOST_AUTO_TEST_CASE(a_change_is_answered_at_once_and_its_events_are_shown_later) {
    BehindRig rig;
    Stalled stalled(rig);
    const Answer answer = rig.apply(10, 1000, GPS | CPU);
    BOOST_CHECK_EQUAL(answer.status, Status::ok);
    BOOST_CHECK_EQUAL(answer.mask, GPS | CPU);
    BOOST_CHECK(rig.reads_at_once(10, {OwnerKind::app, 1000}));
    BOOST_CHECK_EQUAL(rig.app_mask(10, 1000), GPS | CPU);
    BOOST_CHECK_EQUAL(rig.holders().size(), 1u);
    BOOST_CHECK(!rig->flush(5));
    stalled.wait();
    BOOST_CHECK_EQUAL(rig.apply(20, 1001).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.shown(), 0u);
    BOOST_CHECK_EQUAL(rig.made(), 2u);
    BOOST_CHECK_EQUAL(rig.figures().waiting_ops, 2u);
    stalled.release();
    rig.check_all();
    BOOST_CHECK_EQUAL(rig.ops(), 2);
}

BOOST_AUTO_TEST_CASE(what_came_during_an_append_is_not_shown_with_it) {
    BehindRig rig;
    Stalled stalled(rig);
    BOOST_CHECK_EQUAL(rig.apply(10, 1000).status, Status::ok);
    BOOST_CHECK(!rig->flush(5));
    stalled.wait();
    BOOST_CHECK_EQUAL(rig.apply(20, 1001).status, Status::ok);
    stalled.release();
    while (rig.figures().groups == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    BOOST_CHECK_EQUAL(rig.shown(), 1u);
    BOOST_CHECK_EQUAL(rig.made(), 2u);
    BOOST_CHECK_EQUAL(rig.figures().waiting_changes, 1u);
    rig.check_all();
    BOOST_CHECK_EQUAL(rig.figures().waiting_changes, 0u);
}

BOOST_AUTO_TEST_CASE(what_comes_until_then_is_one_group) {
    BehindRig rig;
    for (std::uint32_t uid = 0; uid < 100; ++uid) BOOST_CHECK_EQUAL(rig.apply(uid, uid).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.log.appends(), 0);
    rig.check_all();
    BOOST_CHECK_EQUAL(rig.log.groups().size(), 1u);
    const LogFigures figures = rig.figures();
    BOOST_CHECK(figures.state == LogState::open);
    BOOST_CHECK_EQUAL(figures.position, 1u);
    BOOST_CHECK_EQUAL(figures.groups, 1u);
    BOOST_CHECK_EQUAL(figures.ops, 100u);
    BOOST_CHECK_EQUAL(figures.bytes, rig.log.groups()[0].size());
    BOOST_CHECK_EQUAL(figures.largest_bytes, figures.bytes);
    BOOST_CHECK_EQUAL(figures.failures, 0u);
    std::uint64_t counted = 0;
    for (const std::uint64_t count : figures.append_counts) counted += count;
    BOOST_CHECK_EQUAL(counted, 1u);
    BOOST_CHECK_LE(figures.most_us, figures.append_us);
}

BOOST_AUTO_TEST_CASE(nobody_has_to_ask_for_it) {
    BehindRig rig({.max_delay_ms = 1});
    BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::ok);
    rig.log.wait_for_appends(1);
    BOOST_CHECK_EQUAL(rig.apply(0, 1001).status, Status::ok);
    rig.log.wait_for_appends(2);
    rig.check_all();
}

BOOST_AUTO_TEST_CASE(a_large_group_is_not_waited_for) {
    BehindRig rig({.max_group_bytes = std::size_t{64} << 20});
    const std::vector<Admission> rows(1000, GateRig::applying(1000, SENSOR, 10, "")(*rig->manager(), 0));
    for (int i = 0; rig.log.appends() == 0; ++i) {
        BOOST_REQUIRE_LT(i, 10'000);
        const std::lock_guard lock(*rig);
        const Staged staged = rig->stage_many(rows, true);
        BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
        rig->abandon(staged.ticket);
    }
    rig.check_all();
}

BOOST_AUTO_TEST_CASE(what_is_not_appended_is_tried_again_and_changes_are_refused_until_then) {
    for (const ScriptedLog::Step step :
         {says_not, unsure_and_not_there, ScriptedLog::Step{Appended::uncertain, true, 1 << 20}}) {
        BehindRig rig;
        BOOST_CHECK_EQUAL(rig.apply(10, 1000, GPS, 100).status, Status::ok);
        rig.log.fail_always(step);
        BOOST_CHECK(!rig->flush());
        BOOST_CHECK_EQUAL(rig.apply(20, 1001).status, Status::transaction_failed);
        BOOST_CHECK(rig.figures().state != LogState::open);
        BOOST_CHECK_GT(rig.figures().failures, 0u);
        BOOST_CHECK_EQUAL(rig.app_mask(20, 1000), GPS);
        BOOST_CHECK_EQUAL(rig.app_mask(110, 1000), 0u);
        BOOST_CHECK_EQUAL(rig.holders().size(), 0u);
        BOOST_CHECK_EQUAL(rig->advance().status, Status::transaction_failed);
        BOOST_CHECK_EQUAL(rig.shown(), 0u);
        rig.log.heal();
        BOOST_CHECK(rig.flushed());
        rig.wait_for_state(LogState::open);
        BOOST_CHECK_EQUAL(rig.apply(110, 1001).status, Status::ok);
        BOOST_CHECK_EQUAL(rig->advance().ended, 1u);
        rig.check_all();
        BOOST_CHECK_EQUAL(rig.ops(), 3);
    }
}

BOOST_AUTO_TEST_CASE(what_came_before_the_failure_follows_it) {
    BehindRig rig;
    Stalled stalled(rig);
    apply_behind(rig, stalled);
    rig.log.then(says_not);
    rig.log.then({});
    rig.log.then(says_not);
    stalled.release();
    rig.check_all();
    BOOST_CHECK_EQUAL(rig.log.groups().size(), 2u);
    BOOST_CHECK_EQUAL(rig.figures().failures, 2u);
}

BOOST_AUTO_TEST_CASE(changes_are_refused_until_what_came_before_the_failure_has_followed) {
    BehindRig rig;
    Stalled stalled(rig);
    apply_behind(rig, stalled);
    rig.log.then(says_not);
    rig.log.stall_from(3);  // the one of the second group
    while (rig.figures().groups == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    BOOST_CHECK(rig.figures().state == LogState::behind);
    BOOST_CHECK_EQUAL(rig.apply(0, 1002).status, Status::transaction_failed);
    stalled.release();
    rig.check_all();
    BOOST_CHECK(rig.figures().state == LogState::open);
    BOOST_CHECK_EQUAL(rig.apply(0, 1002).status, Status::ok);
    rig.check_all();
    BOOST_CHECK_EQUAL(rig.ops(), 3);
}

// By itself it would be tried less and less often: so many times in more than ten seconds.
BOOST_AUTO_TEST_CASE(each_flush_has_what_failed_tried_at_once) {
    BehindRig rig;
    rig.log.fail_always(says_not);
    BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::ok);
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) BOOST_CHECK(!rig->flush());
    BOOST_CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(8));
    BOOST_CHECK_GE(rig.figures().failures, 20u);
    rig.log.heal();
    rig.check_all();
}

BOOST_AUTO_TEST_CASE(an_uncertain_group_that_is_there_is_not_written_twice) {
    BehindRig rig;
    rig.log.then(unsure_but_there);
    BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::ok);
    rig.check_all();
    BOOST_CHECK_EQUAL(rig.log.groups().size(), 1u);
    BOOST_CHECK_EQUAL(rig.log.appends(), 1);
}

BOOST_AUTO_TEST_CASE(after_a_conflict_only_reads_go_on) {
    for (const bool is_found_out : {false, true}) {
        BehindRig rig;
        BOOST_CHECK_EQUAL(rig.apply(10, 1000, GPS, 100).status, Status::ok);
        BOOST_CHECK(rig->flush());
        BOOST_CHECK_EQUAL(rig.apply(20, 1001).status, Status::ok);
        if (is_found_out) {
            rig.log.then({Appended::uncertain, true, 1 << 20});
            static_cast<void>(rig->flush(0));
            rig.log.wait_for_lasts(1);
            rig.log.intrude();
            rig.log.heal();
        } else {
            rig.log.then(says_conflict);
        }
        BOOST_CHECK(!rig.flushed());
        rig.wait_for_state(LogState::broken);
        BOOST_CHECK_EQUAL(rig.apply(30, 1002).status, Status::transaction_failed);
        BOOST_CHECK_EQUAL(rig.app_mask(40, 1000), GPS);
        BOOST_CHECK_EQUAL(rig.app_mask(40, 1001), GPS);
        BOOST_CHECK_EQUAL(rig.shown(), 1u);
        BOOST_CHECK_EQUAL(rig.figures().waiting_ops, 1u);
        BOOST_CHECK_EQUAL(rig->close(), Status::ok);
        BOOST_CHECK_EQUAL(rig.shown(), 1u);
        BOOST_CHECK(rig->take_manager() != nullptr);
    }
}

BOOST_AUTO_TEST_CASE(what_waits_has_a_limit) {
    BehindRig rig({.max_group_bytes = 800});
    Stalled stalled(rig);
    Status status = Status::ok;
    std::uint32_t uid = 1000;
    for (; status == Status::ok; ++uid) {
        status = rig.apply(0, uid).status;
        if (uid == 1005) BOOST_CHECK(!rig->flush(1));
    }
    BOOST_CHECK_EQUAL(status, Status::out_of_memory);
    BOOST_CHECK_GT(uid, 1010u);
    BOOST_CHECK_EQUAL(rig.app_mask(0, uid - 1), 0u);
    BOOST_CHECK_LE(rig.figures().waiting_bytes, 800u);
    stalled.release();
    BOOST_CHECK(rig->flush());
    BOOST_CHECK_EQUAL(rig.apply(0, uid).status, Status::ok);
    rig.check_all();
}

BOOST_AUTO_TEST_CASE(every_kind_of_op_is_carried_out_at_once) {
    BehindRig rig;
    const std::vector<Admission> rows{GateRig::applying(1000, GPS, 10, "")(*rig->manager(), 0),
                                      {.status = Status::permission_denied},
                                      GateRig::applying(1001, SENSOR, 20, "")(*rig->manager(), 0)};
    {
        const std::lock_guard lock(*rig);
        const Staged staged = rig->stage_many(rows, true);
        BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
        Answer answer;
        std::array<Result, 3> results{};
        BOOST_CHECK(rig->take(staged.ticket, answer, results));
        BOOST_CHECK_EQUAL(results[0].mask, GPS);
        BOOST_CHECK_EQUAL(results[1].status, Status::permission_denied);
        BOOST_CHECK_EQUAL(results[2].mask, SENSOR);
        BOOST_CHECK(rig->stage_wait().is_answered());
    }
    BOOST_CHECK_EQUAL(rig->change_at(5, GateRig::of_process(1000, 7, true, 100)).mask, CPU);
    BOOST_CHECK_EQUAL(rig.app_mask(15, 1000), 0u);
    const Answer ended = rig->advance(1);
    BOOST_CHECK_EQUAL(ended.ended, 1u);
    BOOST_CHECK_EQUAL(ended.due, 10u);
    BOOST_CHECK_EQUAL(rig.app_mask(5000, 1001), 0u);
    BOOST_CHECK_EQUAL(rig->advance().ended, 2u);
    BOOST_CHECK_EQUAL(rig.log.appends(), 0);
    BOOST_CHECK_EQUAL(rig.figures().waiting_ops, 4u);
    BOOST_CHECK_EQUAL(rig.figures().waiting_changes, 2u);  // an advance is none
    rig.check_all();
    BOOST_CHECK_EQUAL(rig.ops(), 4);
    BOOST_CHECK_EQUAL(rig.figures().ops, 4u);
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_change_may_fail_and_then_nothing_has_changed) {
    const std::string reason(700, 'r');
    for (std::size_t passed = 0, failed = 1; failed != 0; ++passed) {
        BehindRig rig;
        const std::vector<Admission> rows(600, GateRig::applying(1001, SENSOR, 10, "")(*rig->manager(), 0));
        Status status = Status::ok;
        Status many = Status::ok;
        {
            const FailingAllocation failing(passed);
            status = rig->change_at(0, GateRig::applying(1000, GPS, 10, reason)).status;
            const std::lock_guard lock(*rig);
            const Staged staged = rig->stage_many(rows, true);
            many = staged.status;
            if (many == Status::ok) rig->abandon(staged.ticket);
            failed = FailingAllocation::happened() ? 1 : 0;
        }
        for (const Status one : {status, many}) BOOST_CHECK(one == Status::ok || one == Status::out_of_memory);
        BOOST_CHECK_EQUAL(rig.app_mask(0, 1000), status == Status::ok ? GPS : 0u);
        BOOST_CHECK_EQUAL(rig.app_mask(0, 1001), many == Status::ok ? SENSOR : 0u);
        BOOST_CHECK_EQUAL(rig.apply(1, 1002).status, Status::ok);
        rig.check_all();
    }
}

BOOST_AUTO_TEST_CASE(closing_writes_what_waits) {
    for (const bool fails_once : {false, true}) {
        BehindRig rig;
        if (fails_once) rig.log.then(says_not);
        BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::ok);
        BOOST_CHECK_EQUAL(rig->close(), Status::ok);
        BOOST_CHECK_EQUAL(rig.apply(0, 1001).status, Status::not_connected);
        BOOST_CHECK_EQUAL(rig.shown(), 1u);
        BOOST_CHECK_EQUAL(rig.figures().waiting_ops, 0u);
        rig.check_log();
        BOOST_CHECK(rig->take_manager() != nullptr);
    }
}

BOOST_AUTO_TEST_CASE(closing_while_the_log_fails_gives_up_in_the_end) {
    BehindRig rig;
    BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::ok);
    BOOST_CHECK(rig->flush());
    rig.log.fail_always(says_not);
    BOOST_CHECK_EQUAL(rig.apply(0, 1001).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.apply(0, 1002).status, Status::ok);
    BOOST_CHECK_EQUAL(rig->close(10), Status::ok);
    BOOST_CHECK_EQUAL(rig.figures().waiting_ops, 2u);
    BOOST_CHECK_EQUAL(rig.shown(), 1u);
    BOOST_CHECK_EQUAL(rig.ops(), 1);
}

BOOST_AUTO_TEST_CASE(closing_while_the_log_stalls_is_done_when_it_comes_back) {
    BehindRig rig;
    Stalled stalled(rig);
    apply_behind(rig, stalled);
    BOOST_CHECK_EQUAL(rig->close(5), Status::transaction_failed);
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK(rig->take_manager() == nullptr);
    }
    stalled.release();
    BOOST_CHECK_EQUAL(rig->close(), Status::ok);
    BOOST_CHECK_EQUAL(rig.shown(), 2u);
    rig.check_log();
    BOOST_CHECK_EQUAL(rig.ops(), 2);
}

BOOST_AUTO_TEST_CASE(a_gate_that_goes_writes_what_waits) {
    ScriptedLog log;
    {
        const auto gate = Gate::create(Manager::create({}), {.log = &log, .is_behind = true, .max_delay_ms = long_ms});
        BOOST_CHECK_EQUAL(gate->change_at(0, GateRig::applying(1000, GPS, 10)).status, Status::ok);
    }
    BOOST_CHECK_EQUAL(log.groups().size(), 1u);
}

BOOST_AUTO_TEST_CASE(the_log_may_change_and_not_wait) {
    class Calling final : public Log {
    public:
        Appended append(std::uint64_t, std::span<const std::byte>) noexcept override {
            if (groups++ == 0) {
                status = gate->change_at(5, GateRig::applying(2000, GPS, 10)).status;
                is_flushed = gate->flush();
                closed = gate->close();
            }
            return Appended::appended;
        }
        Position last() noexcept override { return {true, groups}; }
        Gate* gate = nullptr;
        std::uint64_t groups = 0;
        Status status = Status::in_callback;
        Status closed = Status::ok;
        bool is_flushed = true;
    };
    Calling log;
    const auto gate = Gate::create(Manager::create({}), {.log = &log, .is_behind = true, .max_delay_ms = long_ms});
    log.gate = gate.get();
    BOOST_CHECK_EQUAL(gate->change_at(5, GateRig::applying(1000, GPS, 10)).status, Status::ok);
    BOOST_CHECK(gate->flush());
    BOOST_CHECK(gate->flush());
    BOOST_CHECK_EQUAL(log.status, Status::ok);
    BOOST_CHECK_EQUAL(log.closed, Status::in_callback);
    BOOST_CHECK(!log.is_flushed);
    BOOST_CHECK_EQUAL(log.groups, 2u);
}

BOOST_AUTO_TEST_CASE(who_looks_on_is_told_when_events_may_be_shown) {
    class Looking final : public GateObserver {
    public:
        void executed(const Engine& engine, Instant, std::uint64_t settled) noexcept override {
            made = engine.last_sequence();
            shown = settled;
        }
        std::uint64_t made = 0;
        std::uint64_t shown = 0;
    };
    Looking looking;
    BehindRig rig({.observer = &looking});
    BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::ok);
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK_EQUAL(looking.made, 1u);
        BOOST_CHECK_EQUAL(looking.shown, 0u);
    }
    BOOST_CHECK(rig->flush());
    const std::lock_guard lock(*rig);
    BOOST_CHECK_EQUAL(looking.shown, 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
