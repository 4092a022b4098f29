// The gate where two things meet: ops of two groups about one owner, a group that fails behind one that fails, memory that
// is lacking when an op is executed, places that are used again.
#include <mutex>

#include "allocations.hpp"
#include "gate_rig.hpp"

namespace grantwheel::test {

namespace {

Status answer_of(GateRig& rig, Ticket ticket) { return rig->await(ticket).status; }

// What a log does that needs no waiting.
class ImmediateLog final : public Log {
public:
    Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
        if (after != count_) return Appended::conflict;
        ++count_;
        size_ += group.size();
        return Appended::appended;
    }
    Position last() noexcept override { return {true, count_}; }
    [[nodiscard]] bool is_immediate() const noexcept override { return true; }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

private:
    std::uint64_t count_ = 0;
    std::size_t size_ = 0;
};

Staged stage_wait(GateRig& rig) {
    const std::lock_guard lock(*rig);
    return rig->stage_wait();
}

Staged stage_rows(GateRig& rig, std::span<const Admission> rows, bool is_apply = true) {
    const std::lock_guard lock(*rig);
    return rig->stage_many(rows, is_apply);
}

// Applies while there is no memory to be had, and again if it was lacking.
void apply_without_memory(Gate& gate, std::uint32_t uid, const std::string& reason) {
    const auto apply = GateRig::applying(uid, GPS, 10'000, reason);
    Status status = Status::ok;
    {
        const FailingAllocation failing(0);
        status = gate.change_at(0, apply).status;
    }
    REQUIRE_QUIETLY(status == Status::ok || status == Status::out_of_memory);
    if (status != Status::ok) REQUIRE_EQUAL_QUIETLY(gate.change_at(0, apply).status, Status::ok);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gate)

BOOST_AUTO_TEST_CASE(a_read_of_a_process_waits_for_what_is_about_its_uid) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig->change_at(0, GateRig::of_process(1000, 7, true)).status, Status::ok);
    const auto stop = [](std::int64_t uid) {
        return [uid](const Manager& manager, Instant now) { return manager.admit_app_stopped(uid, now); };
    };
    const Owner process{OwnerKind::process, 7};
    Stalled stalled(rig);
    const Ticket stopped = rig.stage(1, stop(1000)).ticket;
    stalled.wait();
    BOOST_CHECK(!rig.reads_at_once(1, process));
    BOOST_CHECK(rig.reads_at_once(1, {OwnerKind::process, 8}));
    stalled.release();
    BOOST_CHECK_EQUAL(answer_of(rig, stopped), Status::ok);
    BOOST_CHECK(rig.reads_at_once(1, process));

    // Of the uid that it will have by then, as well.
    Stalled again(rig);
    const Ticket taken = rig.stage(2, GateRig::of_process(1001, 7, true)).ticket;
    again.wait();
    const Ticket later = rig.stage(2, stop(1001)).ticket;
    BOOST_CHECK_LT(taken.group, later.group);
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK_EQUAL(rig->group_about(process), later.group);
    }
    again.release();
    for (const Ticket ticket : {taken, later}) BOOST_CHECK_EQUAL(answer_of(rig, ticket), Status::ok);
    BOOST_CHECK_EQUAL(rig.mask(2, process), 0u);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(a_read_is_not_of_an_instant_before_it_came_though_others_were_staged_before) {
    GateRig rig;
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 100).status, Status::ok);
    const Ticket staged = rig.stage_apply(20, 1001);
    BOOST_CHECK_EQUAL(rig.app_mask(100, 1000), 0u);
    BOOST_CHECK_EQUAL(rig.app_mask(100, 1002), 0u);
    BOOST_CHECK_EQUAL(answer_of(rig, staged), Status::ok);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(a_reset_of_a_process_concerns_it_and_its_uid) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig->change_at(0, GateRig::of_process(1000, 7, true)).status, Status::ok);
    Stalled stalled(rig);
    const auto reset = [](const Manager& manager, Instant now) {
        return manager.admit_admin_reset_process(7, CPU, now);
    };
    const Ticket ticket = rig.stage(1, reset).ticket;
    stalled.wait();
    BOOST_CHECK(!rig.reads_at_once(1, {OwnerKind::process, 7}));
    BOOST_CHECK(!rig.reads_at_once(1, {OwnerKind::app, 1000}));
    BOOST_CHECK(rig.reads_at_once(1, {OwnerKind::app, 7}));
    stalled.release();
    BOOST_CHECK_EQUAL(answer_of(rig, ticket), Status::ok);
}

// Marks are few: what was marked long ago is known from the record alone.
BOOST_AUTO_TEST_CASE(a_process_of_long_ago_and_its_uid_concern_each_other) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig->change_at(0, GateRig::of_process(1000, 7, true)).status, Status::ok);
    for (std::uint32_t uid = 2000; uid < 7000; ++uid) REQUIRE_EQUAL_QUIETLY(rig.apply(0, uid).status, Status::ok);
    Stalled stalled(rig);
    const Ticket asked = rig.stage_apply(1, 1000);
    stalled.wait();
    BOOST_CHECK(!rig.reads_at_once(1, {OwnerKind::process, 7}));
    stalled.release();
    BOOST_CHECK_EQUAL(answer_of(rig, asked), Status::ok);
    for (std::uint32_t uid = 2000; uid < 7000; ++uid) REQUIRE_EQUAL_QUIETLY(rig.apply(1, uid).status, Status::ok);
    Stalled again(rig);
    const Ticket taken = rig.stage(1, GateRig::of_process(1001, 7, true)).ticket;
    again.wait();
    BOOST_CHECK(!rig.reads_at_once(1, {OwnerKind::app, 1000}));
    again.release();
    BOOST_CHECK_EQUAL(answer_of(rig, taken), Status::ok);
}

BOOST_AUTO_TEST_CASE(a_large_batch_concerns_everybody_in_it) {
    GateRig rig(true);
    std::vector<Admission> rows;
    for (std::uint32_t uid = 0; uid < 1000; ++uid) {
        rows.push_back(GateRig::applying(uid, GPS, 10, "")(*rig->manager(), 0));
    }
    Stalled stalled(rig);
    const Staged staged = stage_rows(rig, rows);
    BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
    stalled.wait();
    for (std::uint32_t uid = 0; uid < 1000; ++uid) REQUIRE_QUIETLY(!rig.reads_at_once(0, {OwnerKind::app, uid}));
    stalled.release();
    BOOST_CHECK_EQUAL(answer_of(rig, staged.ticket), Status::ok);
}

BOOST_AUTO_TEST_CASE(nothing_is_given_to_a_log_after_a_conflict) {
    GateRig rig(true);
    rig.log.then(says_conflict);
    Stalled stalled(rig);
    const Ticket flying = rig.stage_apply(0, 1000);
    stalled.wait();
    const Ticket open = rig.stage_apply(0, 1001);
    stalled.release();
    BOOST_CHECK_EQUAL(answer_of(rig, flying), Status::transaction_failed);
    BOOST_CHECK_EQUAL(answer_of(rig, open), Status::transaction_failed);
    BOOST_CHECK_EQUAL(rig.log.appends(), 1);
    BOOST_CHECK_EQUAL(rig.holders().size(), 0u);
}

BOOST_AUTO_TEST_CASE(what_has_nothing_to_say_is_not_given_to_the_log) {
    GateRig rig;
    BOOST_CHECK_EQUAL(answer_of(rig, stage_wait(rig).ticket), Status::ok);
    const std::vector<Admission> refused(3, Admission{.status = Status::permission_denied});
    const Staged staged = stage_rows(rig, refused);
    BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
    BOOST_CHECK(rig->wait(staged.ticket.group));
    std::array<Result, 3> results{};
    Answer answer;
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK(rig->take(staged.ticket, answer, results));
    }
    BOOST_CHECK_EQUAL(answer.status, Status::ok);
    BOOST_CHECK_EQUAL(results[2].status, Status::permission_denied);
    BOOST_CHECK_EQUAL(rig.log.appends(), 0);
    // Who waits in a group that the log refuses has waited all the same.
    rig.log.then(says_not);
    const Ticket ticket = rig.stage_apply(0, 1000);
    const Staged wait = stage_wait(rig);
    BOOST_CHECK_EQUAL(answer_of(rig, ticket), Status::transaction_failed);
    BOOST_CHECK_EQUAL(answer_of(rig, wait.ticket), Status::ok);
}

BOOST_AUTO_TEST_CASE(an_advance_of_nothing_is_one_of_one_record) {
    GateRig rig;
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 10).status, Status::ok);
    Ticket ticket;
    {
        const std::lock_guard lock(*rig);
        BOOST_REQUIRE_EQUAL(rig->enter(10), Status::ok);
        const Staged staged = rig->stage_advance(0);
        BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
        ticket = staged.ticket;
    }
    BOOST_CHECK_EQUAL(rig->await(ticket).records, 1u);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(a_batch_has_plain_rows_only) {
    GateRig rig;
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 10).status, Status::ok);
    const auto row = [&](const Request& request) {
        return rig->manager()->admit(rig->manager()->caller(1000, 42), request, 0);
    };
    const std::array<Admission, 5> rows{
        row({.mask = GPS, .timeout_ms = 500}), row({.mask = GPS, .only_held = true, .timeout_ms = 900}),
        row({.mask = GPS, .is_persist = true}), row({.mask = CPU, .is_process = true, .timeout_ms = 900}),
        row({.mask = GPS, .is_apply = false})};
    for (const Admission& each : rows) BOOST_REQUIRE_EQUAL(each.status, Status::ok);
    const Staged staged = stage_rows(rig, rows);
    BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
    BOOST_CHECK(rig->wait(staged.ticket.group));
    std::array<Result, 5> results{};
    Answer answer;
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK(rig->take(staged.ticket, answer, results));
    }
    BOOST_CHECK_EQUAL(results[0].status, Status::ok);
    for (std::size_t i = 1; i < rows.size(); ++i) BOOST_CHECK_EQUAL(results[i].status, Status::request_invalid);
    BOOST_CHECK_EQUAL(rig.app_mask(499, 1000), GPS);
    BOOST_CHECK_EQUAL(rig.app_mask(500, 1000), 0u);
    BOOST_CHECK_EQUAL(rig.holders().size(), 0u);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(a_place_that_was_abandoned_is_another_tickets_later) {
    GateRig rig;
    const Ticket dropped = rig.stage_apply(0, 1000);
    {
        const std::lock_guard lock(*rig);
        rig->abandon(dropped);
    }
    BOOST_CHECK(rig->flush());
    const Ticket next = rig.stage_apply(0, 1001);
    BOOST_CHECK(rig->flush());
    const Ticket third = rig.stage_apply(0, 1002);
    BOOST_CHECK_EQUAL(answer_of(rig, next), Status::ok);
    BOOST_CHECK_EQUAL(answer_of(rig, third), Status::ok);
    BOOST_CHECK_EQUAL(answer_of(rig, dropped), Status::argument_invalid);
}

// What is in the log is carried out: all the memory for it is there before.
BOOST_AUTO_TEST_CASE(no_memory_is_lacking_behind_the_log) {
    GateRig rig;
    for (std::uint32_t uid = 0; uid < 1500; ++uid) {
        const std::string reason = "reason " + std::to_string(uid);
        apply_without_memory(*rig, uid, reason);
    }
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(no_memory_is_lacking_behind_the_log_for_the_rows_of_a_batch) {
    for (std::size_t passed = 0, failed = 1; failed != 0; ++passed) {
        GateRig rig;
        std::vector<Admission> rows;
        for (std::uint32_t uid = 0; uid < 600; ++uid) {
            rows.push_back(GateRig::applying(uid, SENSOR | AUDIO, 10, "")(*rig->manager(), 0));
        }
        const Staged staged = stage_rows(rig, rows);
        BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
        {
            const FailingAllocation failing(passed);
            REQUIRE_QUIETLY(rig->flush());
            failed = FailingAllocation::happened() ? 1 : 0;
        }
        const Status status = answer_of(rig, staged.ticket);
        REQUIRE_QUIETLY(status == Status::ok || status == Status::out_of_memory);
        REQUIRE_EQUAL_QUIETLY(rig.apply(1, 5000).status, Status::ok);
        rig.check_log();
    }
}

BOOST_AUTO_TEST_CASE(no_memory_is_lacking_behind_an_immediate_log) {
    const std::string reason(700, 'r');
    for (std::size_t passed = 0, failed = 1; failed != 0; ++passed) {
        ImmediateLog log;
        const auto gate = Gate::create(Manager::create({}), {.log = &log});
        Status status = Status::ok;
        {
            const FailingAllocation failing(passed);
            status = gate->change_at(0, GateRig::applying(1000, GPS | SENSOR, 10, reason)).status;
            failed = FailingAllocation::happened() ? 1 : 0;
        }
        REQUIRE_QUIETLY(status == Status::ok || status == Status::out_of_memory);
        REQUIRE_EQUAL_QUIETLY(log.count(), status == Status::ok ? 1u : 0u);
        BOOST_CHECK_EQUAL(gate->change_at(0, GateRig::applying(1001, GPS, 10)).status, Status::ok);
    }
}

// The same of many, one by one: what each takes is not there for the next.
BOOST_AUTO_TEST_CASE(no_memory_is_lacking_behind_an_immediate_log_however_many_come) {
    ImmediateLog log;
    const auto gate = Gate::create(Manager::create({}), {.log = &log});
    for (std::uint32_t uid = 0; uid < 1500; ++uid) {
        const std::string reason = uid < 750 ? "" : std::string(60, 'r') + std::to_string(uid);
        apply_without_memory(*gate, uid, reason);
    }
    BOOST_CHECK_EQUAL(log.count(), 1500u);
}

// What a read tells is the engine's own, and moves when room is made for more texts.
BOOST_AUTO_TEST_CASE(an_own_text_goes_into_an_immediate_log_as_it_was) {
    ImmediateLog log;
    const auto gate = Gate::create(Manager::create({}), {.log = &log});
    const std::string reason(200, 'r');
    REQUIRE_EQUAL_QUIETLY(gate->change_at(0, GateRig::applying(1, GPS, 1000, reason)).status, Status::ok);
    const auto reason_of = [&](std::uint32_t uid) {
        RecordView view;
        BOOST_REQUIRE_EQUAL(gate->manager()->engine().find({OwnerKind::app, uid}, 0, view), Status::ok);
        BOOST_REQUIRE_EQUAL(view.grant_count, 1u);
        return view.grants[0].reason;
    };
    for (std::uint32_t uid = 2; uid < 1500; ++uid) {
        // Others in between, so that the memory of texts grows at some time.
        const std::string own = reason + std::to_string(uid);
        REQUIRE_EQUAL_QUIETLY(gate->change_at(0, GateRig::applying(10'000 + uid, GPS, 1000, own)).status, Status::ok);
        const auto given = GateRig::applying(uid, GPS, 1000, reason_of(1));
        REQUIRE_EQUAL_QUIETLY(gate->change_at(0, given).status, Status::ok);
        REQUIRE_QUIETLY(reason_of(uid) == reason);
    }
}

BOOST_AUTO_TEST_CASE(an_immediate_log_is_given_no_more_than_a_group_may_have) {
    ImmediateLog log;
    const auto gate = Gate::create(Manager::create({}), {.log = &log, .max_group_bytes = 400});
    const std::string reason(300, 'r');
    const auto long_one = GateRig::applying(1000, GPS, 10, reason);
    BOOST_CHECK_EQUAL(gate->change_at(0, long_one).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(log.count(), 0u);
    BOOST_CHECK_EQUAL(gate->change_at(0, GateRig::applying(1000, GPS, 10)).status, Status::ok);
    BOOST_CHECK_EQUAL(log.count(), 1u);
}

BOOST_AUTO_TEST_CASE(a_budget_counts_records_without_a_log_too) {
    const auto gate = Gate::create(Manager::create({}));
    for (std::uint32_t uid = 0; uid < 5000; ++uid) {
        REQUIRE_EQUAL_QUIETLY(gate->change_at(0, GateRig::applying(uid, GPS | CPU, 10)).status, Status::ok);
    }
    gate->lock();
    BOOST_REQUIRE_EQUAL(gate->enter(10), Status::ok);
    gate->unlock();
    const Answer some = gate->advance(3000);
    BOOST_CHECK_EQUAL(some.records, 3000u);
    BOOST_CHECK_EQUAL(some.ended, 6000u);
    BOOST_CHECK(some.more);
    const Answer rest = gate->advance();
    BOOST_CHECK_EQUAL(rest.records, 2000u);
    BOOST_CHECK(!rest.more);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
