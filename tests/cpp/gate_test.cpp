// The gate: what is answered is what is in the log, whatever the log does, and no reader sees what was not or what comes
// back. Where a log stalls, the gate's own thread waits for it, and the test does not.
#include <sys/poll.h>

#include <mutex>

#include "allocations.hpp"
#include "gate_rig.hpp"

namespace grantwheel::test {

namespace {

constexpr Owner app_of(std::uint32_t uid) { return {OwnerKind::app, uid}; }
constexpr Owner process_of(std::uint32_t pid) { return {OwnerKind::process, pid}; }

Status status_of(GateRig& rig, Ticket ticket) { return rig->await(ticket).status; }

}  // namespace

BOOST_AUTO_TEST_SUITE(gate)

BOOST_AUTO_TEST_CASE(without_a_log_a_call_is_carried_out_at_once) {
    Instant now = 5;
    const GateClock clock{[](void* context) noexcept { return *static_cast<Instant*>(context); }, &now};
    const auto gate = Gate::create(Manager::create({}), {.clock = clock});
    BOOST_CHECK(!gate->has_log());
    const Answer answer = gate->change(GateRig::applying(1000, GPS | CPU, 10));
    BOOST_CHECK_EQUAL(answer.status, Status::ok);
    BOOST_CHECK_EQUAL(answer.mask, GPS | CPU);
    Mask held = 0;
    const auto look = [&](const Engine& engine, Instant at) { held = engine.mask(app_of(1000), at).mask; };
    BOOST_CHECK_EQUAL(gate->read(app_of(1000), look), Status::ok);
    BOOST_CHECK_EQUAL(held, GPS | CPU);
    now = 4;
    BOOST_CHECK_EQUAL(gate->change(GateRig::applying(1000, GPS, 10)).status, Status::time_backwards);
    now = 15;
    BOOST_CHECK_EQUAL(gate->advance().ended, 2u);
    BOOST_CHECK_EQUAL(gate->close(), Status::ok);
    BOOST_CHECK_EQUAL(gate->change(GateRig::applying(1000, GPS, 10)).status, Status::not_connected);
    BOOST_CHECK_EQUAL(gate->read(app_of(1000), look), Status::ok);
    BOOST_CHECK(gate->take_manager() != nullptr);
    BOOST_CHECK_EQUAL(gate->read(app_of(1000), look), Status::not_connected);
}

BOOST_AUTO_TEST_CASE(what_is_answered_is_on_record) {
    for (const bool own_thread : {false, true}) {
        GateRig rig(own_thread);
        BOOST_CHECK_EQUAL(rig.apply(10, 1000, GPS | CPU).mask, GPS | CPU);
        BOOST_CHECK_EQUAL(rig.apply(20, 1001).status, Status::ok);
        BOOST_CHECK_EQUAL(rig->change_at(30, GateRig::of_process(1000, 7, true)).mask, CPU);
        BOOST_CHECK_EQUAL(rig.ops(), 3);
        BOOST_CHECK_EQUAL(rig.app_mask(30, 1000), GPS | CPU);
        rig.check_log();
    }
}

BOOST_AUTO_TEST_CASE(who_is_refused_at_admission_is_not_on_record) {
    GateRig rig;
    BOOST_CHECK_EQUAL(rig.apply(10, 1000, 0).status, Status::request_invalid);
    BOOST_CHECK_EQUAL(rig.apply(10, -1).status, Status::identity_invalid);
    BOOST_CHECK_EQUAL(rig.apply(max_now + 1, 1000).status, Status::time_out_of_range);
    BOOST_CHECK_EQUAL(rig.apply(9, 1000).status, Status::time_backwards);
    BOOST_CHECK_EQUAL(rig.log.appends(), 0);
}

BOOST_AUTO_TEST_CASE(a_group_that_was_not_appended_has_changed_nothing) {
    GateRig rig;
    rig.log.then(says_not);
    BOOST_CHECK_EQUAL(rig.apply(10, 1000).status, Status::transaction_failed);
    BOOST_CHECK_EQUAL(rig.app_mask(10, 1000), 0u);
    BOOST_CHECK_EQUAL(rig.apply(10, 1001).status, Status::ok);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(an_uncertain_group_is_what_the_log_says_it_is) {
    for (const bool own_thread : {false, true}) {
        GateRig rig(own_thread);
        rig.log.then(unsure_but_there);
        rig.log.then(unsure_and_not_there);
        BOOST_CHECK_EQUAL(rig.apply(10, 1000).status, Status::ok);
        BOOST_CHECK_EQUAL(rig.apply(20, 1001).status, Status::transaction_failed);
        BOOST_CHECK_EQUAL(rig.apply(30, 1002).status, Status::ok);
        BOOST_CHECK_EQUAL(rig.ops(), 2);
        BOOST_CHECK_EQUAL(rig.app_mask(30, 1000), GPS);
        BOOST_CHECK_EQUAL(rig.app_mask(30, 1001), 0u);
        rig.check_log();
    }
}

BOOST_AUTO_TEST_CASE(while_the_log_does_not_know_nothing_new_is_taken) {
    GateRig rig(true);
    rig.log.then({Appended::uncertain, true, 1'000'000});
    const Ticket ticket = rig.stage_apply(10, 1000);
    rig.log.wait_for_lasts(2);
    BOOST_CHECK_EQUAL(rig.stage(10, GateRig::applying(1001, GPS, 10)).status, Status::transaction_failed);
    BOOST_CHECK(!rig.reads_at_once(10, app_of(1000)));
    BOOST_CHECK(rig.reads_at_once(10, app_of(1001)));
    BOOST_CHECK(!rig->wait(ticket.group, 1));
    BOOST_CHECK_EQUAL(rig->close(0), Status::ok);
    BOOST_CHECK_EQUAL(status_of(rig, ticket), Status::not_connected);
    BOOST_CHECK_EQUAL(rig.app_mask(10, 1000), 0u);
}

BOOST_AUTO_TEST_CASE(after_a_conflict_only_reads_go_on) {
    GateRig rig;
    BOOST_CHECK_EQUAL(rig.apply(10, 1000, GPS, 100).status, Status::ok);
    rig.log.then(says_conflict);
    BOOST_CHECK_EQUAL(rig.apply(20, 1001).status, Status::transaction_failed);
    BOOST_CHECK_EQUAL(rig.apply(30, 1002).status, Status::transaction_failed);
    BOOST_CHECK_EQUAL(rig.log.appends(), 2);
    BOOST_CHECK(!rig->is_closed());
    BOOST_CHECK_EQUAL(rig.app_mask(40, 1000), GPS);
    BOOST_CHECK_EQUAL(rig.app_mask(110, 1000), 0u);
    BOOST_CHECK_EQUAL(rig.holders().size(), 0u);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(somebody_elses_group_after_an_uncertain_one_is_a_conflict) {
    GateRig rig(true);
    rig.log.then({Appended::uncertain, true, 2});
    const Ticket ticket = rig.stage_apply(10, 1000);
    rig.log.wait_for_lasts(1);
    rig.log.intrude();
    BOOST_CHECK_EQUAL(status_of(rig, ticket), Status::not_connected);
    BOOST_CHECK_EQUAL(rig.apply(10, 1001).status, Status::transaction_failed);
}

BOOST_AUTO_TEST_CASE(while_the_log_stalls_others_are_read_at_once) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig.apply(10, 1000).status, Status::ok);
    Stalled stalled(rig);
    const Ticket renewal = rig.stage_apply(20, 1000, GPS, 5000);
    const Ticket fresh = rig.stage_apply(20, 1001);
    stalled.wait();
    BOOST_CHECK(rig.reads_at_once(30, app_of(1002)));
    BOOST_CHECK(!rig.reads_at_once(30, app_of(1000)));
    BOOST_CHECK(!rig.reads_at_once(30, app_of(1001)));
    BOOST_CHECK(!rig->wait(renewal.group, 0));
    stalled.release();
    BOOST_CHECK_EQUAL(status_of(rig, renewal), Status::ok);
    BOOST_CHECK_EQUAL(status_of(rig, fresh), Status::ok);
    BOOST_CHECK_EQUAL(rig.app_mask(5000, 1000), GPS);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(a_grant_that_a_reader_saw_end_does_not_come_back) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 1000).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.app_mask(1000, 1000), 0u);
    BOOST_CHECK_EQUAL(rig.apply(900, 1000, GPS, 1000).status, Status::time_backwards);
    BOOST_CHECK_EQUAL(rig.apply(1000, 1000, GPS, 1000).status, Status::ok);
    rig.check_log();

    // A renewal that was there first: who comes after it waits, and sees it.
    Stalled stalled(rig);
    const Ticket renewal = rig.stage_apply(1900, 1000, GPS, 1000);
    stalled.wait();
    BOOST_CHECK(!rig.reads_at_once(2000, app_of(1000)));
    stalled.release();
    BOOST_CHECK_EQUAL(status_of(rig, renewal), Status::ok);
    BOOST_CHECK_EQUAL(rig.app_mask(2000, 1000), GPS);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(a_read_that_waited_is_not_of_an_earlier_instant_than_it_came) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 100).status, Status::ok);
    Stalled stalled(rig);
    const Ticket first = rig.stage_apply(10, 1000, CPU, 1000);
    stalled.wait();
    const Ticket next = rig.stage_apply(20, 1001);  // in the next group, and before the reader
    std::uint64_t group = 0;
    {
        const std::lock_guard lock(*rig);
        BOOST_REQUIRE_EQUAL(rig->enter(100), Status::ok);
        group = rig->group_about(app_of(1000));
        BOOST_CHECK_EQUAL(group, first.group);
        BOOST_CHECK_LT(group, next.group);
    }
    stalled.release();
    BOOST_CHECK(rig->wait(group));
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK_EQUAL(rig->read_instant(100), 100u);
        BOOST_CHECK_EQUAL(rig->manager()->engine().mask(app_of(1000), 100).mask, CPU);
    }
    BOOST_CHECK_EQUAL(status_of(rig, next), Status::ok);
}

BOOST_AUTO_TEST_CASE(a_read_across_records_is_of_one_instant) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 100).status, Status::ok);
    Stalled stalled(rig);
    const Ticket before = rig.stage_apply(50, 1001);
    stalled.wait();
    std::uint64_t group = 0;
    {
        const std::lock_guard lock(*rig);
        BOOST_REQUIRE_EQUAL(rig->enter(60), Status::ok);
        group = rig->last_group();
        BOOST_CHECK(!rig->has_settled(group));
    }
    const Ticket after = rig.stage_apply(70, 1002);
    BOOST_CHECK_EQUAL(rig.app_mask(200, 1003), 0u);
    stalled.release();
    BOOST_CHECK_EQUAL(status_of(rig, before), Status::ok);
    BOOST_CHECK_EQUAL(status_of(rig, after), Status::ok);
    BOOST_CHECK(rig->wait(group));
    BOOST_CHECK_EQUAL(rig.holders().size(), 2u);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(what_comes_after_a_read_across_records_is_not_in_it) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 100).status, Status::ok);
    Stalled stalled(rig);
    const Ticket after = rig.stage_apply(70, 1002);
    stalled.wait();
    const std::lock_guard lock(*rig);
    BOOST_REQUIRE_EQUAL(rig->enter(200), Status::ok);
    // A reader who came at 60, before it was staged, sees what was then, and nothing has moved.
    BOOST_CHECK_EQUAL(rig->read_instant(60), 70u);
    BOOST_CHECK_EQUAL(rig->manager()->engine().mask(app_of(1000), rig->read_instant(60)).mask, GPS);
    stalled.release();
    static_cast<void>(after);
}

BOOST_AUTO_TEST_CASE(a_limit_is_an_answer_that_the_replay_gives_as_well) {
    GateRig rig(false, {.max_records = 2, .event_capacity = 64});
    BOOST_CHECK_EQUAL(rig.apply(0, 1000, GPS, 10).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.apply(0, 1001, GPS, 10).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.apply(5, 1002).status, Status::out_of_memory);
    BOOST_CHECK_EQUAL(rig.apply(10, 1003).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.ops(), 4);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_change_may_fail_and_then_nothing_has_changed) {
    const std::string reason(700, 'r');
    for (std::size_t passed = 0, failed = 1; failed != 0; ++passed) {
        GateRig rig(passed % 2 == 1);
        const std::vector<Admission> rows(600, GateRig::applying(1001, SENSOR, 10, "")(*rig->manager(), 0));
        Status status = Status::ok;
        Staged staged;
        {
            const FailingAllocation failing(passed);
            status = rig->change_at(0, GateRig::applying(1000, GPS, 10, reason)).status;
            rig->lock();
            staged = rig->stage_many(rows, true);
            rig->unlock();
            failed = FailingAllocation::happened() ? 1 : 0;
        }
        BOOST_CHECK(rig->flush());
        BOOST_CHECK(status == Status::ok || status == Status::out_of_memory);
        BOOST_CHECK_EQUAL(rig.app_mask(0, 1000), status == Status::ok ? GPS : 0u);
        if (staged.status == Status::ok) {
            status = status_of(rig, staged.ticket);
        } else {
            status = staged.status;
        }
        BOOST_CHECK(status == Status::ok || status == Status::out_of_memory);
        BOOST_CHECK_EQUAL(rig.apply(1, 1002).status, Status::ok);
        rig.check_log();
    }
}

BOOST_AUTO_TEST_CASE(an_open_group_has_a_limit) {
    GateRig rig(true, {.event_capacity = 64}, 600);
    Stalled stalled(rig);
    const Ticket flying = rig.stage_apply(0, 1000);
    stalled.wait();
    std::vector<Ticket> staged;
    Staged last;
    for (std::uint32_t uid = 1001; last.status == Status::ok; ++uid) {
        last = rig.stage(0, GateRig::applying(uid, GPS, 10));
        if (last.status == Status::ok) staged.push_back(last.ticket);
    }
    BOOST_CHECK_EQUAL(last.status, Status::out_of_memory);
    BOOST_CHECK_GT(staged.size(), 5u);
    stalled.release();
    BOOST_CHECK_EQUAL(status_of(rig, flying), Status::ok);
    for (const Ticket ticket : staged) BOOST_CHECK_EQUAL(status_of(rig, ticket), Status::ok);
    BOOST_CHECK_EQUAL(rig.apply(0, 2000).status, Status::ok);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(nothing_due_is_no_op_and_something_due_is_one) {
    for (const bool own_thread : {false, true}) {
        GateRig rig(own_thread);
        BOOST_CHECK_EQUAL(rig->advance().ended, 0u);
        BOOST_CHECK_EQUAL(rig.ops(), 0);
        for (std::uint32_t uid = 0; uid < 100; ++uid) BOOST_CHECK_EQUAL(rig.apply(0, uid, GPS, 10).status, Status::ok);
        BOOST_CHECK_EQUAL(rig.apply(1, 7, GPS, 10).status, Status::ok);  // its timer is behind
        BOOST_CHECK_EQUAL(rig.app_mask(9, 0), GPS);
        BOOST_CHECK_EQUAL(rig->advance().ended, 0u);
        BOOST_CHECK_EQUAL(rig.ops(), 101);
        BOOST_CHECK_EQUAL(rig.app_mask(10, 0), 0u);
        const Answer some = rig->advance(30);
        BOOST_CHECK_EQUAL(some.records, 30u);
        BOOST_CHECK(some.more);
        const Answer rest = rig->advance();
        BOOST_CHECK_EQUAL(rest.ended, 69u);
        BOOST_CHECK(!rest.more);
        BOOST_CHECK_EQUAL(rig.ops(), 103);
        rig.check_log();
    }
}

BOOST_AUTO_TEST_CASE(abandoned_tickets_settle_all_the_same) {
    GateRig rig(true);
    Stalled stalled(rig);
    const Ticket ticket = rig.stage_apply(0, 1000);
    stalled.wait();
    {
        const std::lock_guard lock(*rig);
        rig->abandon(ticket);
    }
    stalled.release();
    BOOST_CHECK(rig->flush());
    BOOST_CHECK_EQUAL(rig.app_mask(0, 1000), GPS);
    BOOST_CHECK_EQUAL(status_of(rig, ticket), Status::argument_invalid);
    rig.check_log();

    // Without a thread whoever comes next sees to it.
    GateRig lazy;
    const Ticket left = lazy.stage_apply(0, 1000);
    {
        const std::lock_guard lock(*lazy);
        lazy->abandon(left);
    }
    BOOST_CHECK_EQUAL(lazy.holders().size(), 1u);
    lazy.check_log();
}

BOOST_AUTO_TEST_CASE(closing_waits_for_what_is_staged) {
    GateRig rig;
    const Ticket ticket = rig.stage_apply(0, 1000);
    BOOST_CHECK_EQUAL(rig->close(), Status::ok);
    BOOST_CHECK_EQUAL(status_of(rig, ticket), Status::ok);
    BOOST_CHECK_EQUAL(rig.apply(0, 1001).status, Status::not_connected);
    rig.check_log();
    BOOST_CHECK(rig->take_manager() != nullptr);
    BOOST_CHECK_EQUAL(rig.apply(0, 1001).status, Status::not_connected);
}

BOOST_AUTO_TEST_CASE(closing_while_the_log_stalls_refuses_what_the_log_has_not_got) {
    GateRig rig(true);
    Stalled stalled(rig);
    const Ticket flying = rig.stage_apply(0, 1000);
    stalled.wait();
    const Ticket open = rig.stage_apply(0, 1001);
    BOOST_CHECK_EQUAL(rig->close(5), Status::transaction_failed);
    BOOST_CHECK_EQUAL(status_of(rig, open), Status::not_connected);
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK(rig->take_manager() == nullptr);
    }
    stalled.release();
    BOOST_CHECK_EQUAL(rig->close(), Status::ok);
    BOOST_CHECK_EQUAL(status_of(rig, flying), Status::ok);
    rig.check_log();
    BOOST_CHECK_EQUAL(rig.ops(), 1);
}

BOOST_AUTO_TEST_CASE(a_descriptor_tells_that_tickets_are_done) {
    GateRig rig(true);
    pollfd waited{.fd = -1, .events = POLLIN, .revents = 0};
    {
        const std::lock_guard lock(*rig);
        waited.fd = rig->descriptor();
    }
    BOOST_CHECK_EQUAL(::poll(&waited, 1, 0), 0);
    const Ticket ticket = rig.stage_apply(0, 1000);
    const Staged wait = [&] {
        const std::lock_guard lock(*rig);
        return rig->stage_wait();
    }();
    BOOST_CHECK_EQUAL(::poll(&waited, 1, 60'000), 1);
    BOOST_CHECK(rig->flush());
    const std::lock_guard lock(*rig);
    rig->clear();
    BOOST_CHECK_EQUAL(::poll(&waited, 1, 0), 0);
    Answer answer;
    BOOST_CHECK(rig->take(ticket, answer));
    BOOST_CHECK_EQUAL(answer.mask, GPS);
    BOOST_CHECK(rig->take(wait.ticket, answer));
    BOOST_CHECK_EQUAL(answer.status, Status::ok);
    BOOST_CHECK(rig->take(wait.ticket, answer));
    BOOST_CHECK_EQUAL(answer.status, Status::argument_invalid);
}

BOOST_AUTO_TEST_CASE(many_rows_are_answered_one_by_one) {
    GateRig rig(false, {.max_records = 600, .event_capacity = 4096});
    rig.log.then(says_not);
    BOOST_CHECK_EQUAL(rig.apply(0, 1000).status, Status::transaction_failed);
    std::vector<Admission> rows;
    for (std::uint32_t uid = 0; uid < 700; ++uid) {
        rows.push_back(GateRig::applying(uid, uid % 7 == 0 ? 0 : GPS, 10, "")(*rig->manager(), 0));
    }
    rig->lock();
    BOOST_REQUIRE_EQUAL(rig->enter(0), Status::ok);
    const Staged staged = rig->stage_many(rows, true);
    rig->unlock();
    BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
    BOOST_CHECK(rig->wait(staged.ticket.group));
    std::vector<Result> results(rows.size());
    Answer answer;
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK(rig->take(staged.ticket, answer, results));
    }
    BOOST_CHECK_EQUAL(answer.status, Status::ok);
    std::size_t granted = 0;
    for (std::uint32_t uid = 0; uid < 700; ++uid) {
        const Status expected = uid % 7 == 0    ? Status::request_invalid
                                : granted < 600 ? Status::ok
                                                : Status::out_of_memory;
        BOOST_CHECK_EQUAL(results[uid].status, expected);
        granted += expected == Status::ok ? 1u : 0u;
    }
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(columns_are_admitted_as_they_are_staged) {
    GateRig rig(true);
    const std::array<std::uint32_t, 3> uids{1000, 1001, 1002};
    const std::array<std::uint32_t, 3> masks{GPS, 512, GPS | CPU};
    const std::array<std::uint32_t, 3> timeouts{10, 10, 20};
    Requests requests{.count = 3,
                      .uids = Column(uids),
                      .pids = Column(uids),
                      .masks = Column(masks),
                      .timeouts_ms = Column(timeouts)};
    for (const bool is_apply : {true, false}) {
        requests.is_apply = is_apply;
        Stalled stalled(rig);
        const Staged staged = [&] {
            const std::lock_guard lock(*rig);
            BOOST_REQUIRE_EQUAL(rig->enter(0), Status::ok);
            return rig->stage_many(requests);
        }();
        BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
        stalled.wait();
        for (const std::uint32_t uid : {1000u, 1002u}) BOOST_CHECK(!rig.reads_at_once(0, app_of(uid)));
        BOOST_CHECK(rig.reads_at_once(0, app_of(1001)));
        stalled.release();
        BOOST_CHECK(rig->wait(staged.ticket.group));
        std::array<Result, 3> results{};
        Answer answer;
        const std::lock_guard lock(*rig);
        BOOST_CHECK(rig->take(staged.ticket, answer, results));
        BOOST_CHECK_EQUAL(results[0].mask, GPS);
        BOOST_CHECK_EQUAL(results[1].status, Status::request_invalid);
        BOOST_CHECK_EQUAL(results[2].mask, GPS | CPU);
    }
    BOOST_CHECK_EQUAL(rig.ops(), 2);
    rig.check_log();
    // What a batch cannot say.
    const std::vector<Admission> rows(1, GateRig::applying(1000, GPS, 10, "why")(*rig->manager(), 0));
    rig->lock();
    const Staged staged = rig->stage_many(rows, true);
    rig->unlock();
    BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
    BOOST_CHECK(rig->wait(staged.ticket.group));
    const std::lock_guard lock(*rig);
    std::array<Result, 1> results{};
    Answer answer;
    BOOST_CHECK(rig->take(staged.ticket, answer, results));
    BOOST_CHECK_EQUAL(results[0].status, Status::request_invalid);
}

BOOST_AUTO_TEST_CASE(a_process_that_another_uid_takes_over_concerns_both) {
    GateRig rig(true);
    BOOST_CHECK_EQUAL(rig->change_at(0, GateRig::of_process(1000, 7, true)).status, Status::ok);
    Stalled stalled(rig);
    const Ticket taken = rig.stage(0, GateRig::of_process(1001, 7, true)).ticket;
    stalled.wait();
    for (const Owner owner : {app_of(1000), app_of(1001), process_of(7)}) BOOST_CHECK(!rig.reads_at_once(1, owner));
    BOOST_CHECK(rig.reads_at_once(1, process_of(8)));
    const Ticket again = rig.stage(1, GateRig::of_process(1002, 7, true)).ticket;
    const Ticket stopped =
        rig.stage(1, [](const Manager& manager, Instant now) { return manager.admit_app_stopped(1002, now); }).ticket;
    {
        const std::lock_guard lock(*rig);
        BOOST_CHECK_EQUAL(rig->group_about(app_of(1001)), again.group);
        BOOST_CHECK_EQUAL(rig->group_about(process_of(7)), stopped.group);
    }
    stalled.release();
    for (const Ticket ticket : {taken, again, stopped}) BOOST_CHECK_EQUAL(status_of(rig, ticket), Status::ok);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(a_reset_of_everything_concerns_everybody) {
    GateRig rig(true);
    Stalled stalled(rig);
    const Ticket reset =
        rig.stage(0, [](const Manager& manager, Instant now) { return manager.admit_admin_reset_all(now); }).ticket;
    stalled.wait();
    BOOST_CHECK(!rig.reads_at_once(0, app_of(5)));
    BOOST_CHECK(!rig.reads_at_once(0, process_of(5)));
    stalled.release();
    BOOST_CHECK_EQUAL(status_of(rig, reset), Status::ok);
    BOOST_CHECK(rig.reads_at_once(0, app_of(5)));
}

BOOST_AUTO_TEST_CASE(more_owners_than_there_are_marks_are_waited_for) {
    GateRig rig(true);
    Stalled stalled(rig);
    std::vector<Ticket> tickets{rig.stage_apply(0, 0)};
    stalled.wait();
    for (std::uint32_t uid = 1; uid < 5000; ++uid) tickets.push_back(rig.stage_apply(0, uid));
    for (std::uint32_t uid = 0; uid < 5000; ++uid) REQUIRE_QUIETLY(!rig.reads_at_once(0, app_of(uid)));
    stalled.release();
    for (const Ticket ticket : tickets) REQUIRE_EQUAL_QUIETLY(status_of(rig, ticket), Status::ok);
}

BOOST_AUTO_TEST_CASE(a_watcher_hears_what_has_become_of_its_op) {
    class Heard final : public Watcher {
    public:
        void executing(const Engine&, const Command& command, Instant) noexcept override { asked = command.mask; }
        void settled(const Result& result) noexcept override {
            status = result.status;
            ++count;
        }
        Mask asked = 0;
        Status status = Status::argument_invalid;
        int count = 0;
    };
    GateRig rig;
    Heard executed;
    Heard refused;
    const Ticket first = rig.stage(0, GateRig::applying(1000, GPS, 10), &executed).ticket;
    BOOST_CHECK_EQUAL(status_of(rig, first), Status::ok);
    rig.log.then(says_not);
    const Ticket second = rig.stage(0, GateRig::applying(1000, CPU, 10), &refused).ticket;
    BOOST_CHECK_EQUAL(status_of(rig, second), Status::transaction_failed);
    BOOST_CHECK_EQUAL(executed.asked, GPS);
    BOOST_CHECK_EQUAL(executed.status, Status::ok);
    BOOST_CHECK_EQUAL(refused.asked, 0u);
    BOOST_CHECK_EQUAL(refused.status, Status::transaction_failed);
    BOOST_CHECK_EQUAL(executed.count + refused.count, 2);
}

BOOST_AUTO_TEST_CASE(who_lost_cpu_is_told_once) {
    GateRig rig;
    auto policy = Policy::create();
    policy->set_quota(true);
    BOOST_REQUIRE_EQUAL(rig->manager()->set_policy(std::move(policy)), Status::ok);
    for (std::uint32_t uid = 0; uid < 5; ++uid) BOOST_CHECK_EQUAL(rig.apply(0, uid, CPU, 10).status, Status::ok);
    BOOST_CHECK_EQUAL(rig.app_mask(10, 0), 0u);
    BOOST_CHECK_EQUAL(rig->advance().ended, 5u);
    std::array<std::uint32_t, 3> ended{};
    BOOST_CHECK_EQUAL(rig->take_cpu_ended(ended), 3u);
    BOOST_CHECK_EQUAL(rig->take_cpu_ended(ended), 2u);
    BOOST_CHECK_EQUAL(rig->take_cpu_ended(ended), 0u);
}

BOOST_AUTO_TEST_CASE(a_mark_is_on_record_like_a_change) {
    for (const GateOptions& options :
         {GateOptions{}, GateOptions{.own_thread = true}, GateOptions{.is_behind = true}}) {
        GateRig rig({.event_capacity = 64}, options);
        BOOST_CHECK_EQUAL(rig.apply(10, 1000).status, Status::ok);
        Mark mark{.now = 5, .boot_id = {1, 2, 3}, .boot_ms = 77, .wall_ms = -8};
        Staged staged;
        {
            const std::lock_guard lock(*rig);
            BOOST_REQUIRE_EQUAL(rig->enter(20), Status::ok);
            staged = rig->stage_mark(mark);
            BOOST_REQUIRE_EQUAL(staged.status, Status::ok);
            Mark late = mark;
            late.boot_ms = max_now + 1;
            BOOST_CHECK_EQUAL(rig->stage_mark(late).status, Status::time_out_of_range);
        }
        if (!staged.is_answered()) staged.answer = rig->await(staged.ticket);
        BOOST_CHECK_EQUAL(staged.answer.status, Status::ok);
        mark.now = 20;
        const std::lock_guard lock(*rig);
        BOOST_REQUIRE(rig->manager()->engine().mark() != nullptr);
        BOOST_CHECK(*rig->manager()->engine().mark() == mark);
    }
    GateRig rig(true);
    {
        const std::lock_guard lock(*rig);
        static_cast<void>(rig->stage_mark({.boot_ms = 1}));
    }
    BOOST_CHECK(rig->flush());
    BOOST_CHECK_EQUAL(rig.ops(), 1);
    BOOST_CHECK(decode(rig.log.groups()[0]).op.kind == OpKind::mark);
    rig.check_log();
}

BOOST_AUTO_TEST_CASE(the_log_may_stage_and_not_wait) {
    class Calling final : public Log {
    public:
        Appended append(std::uint64_t, std::span<const std::byte>) noexcept override {
            if (groups++ == 0) {
                inside = gate->is_in_log();
                status = gate->change_at(5, GateRig::applying(2000, GPS, 10)).status;
                closed = gate->close();
            }
            return Appended::appended;
        }
        Position last() noexcept override { return {true, groups}; }
        Gate* gate = nullptr;
        std::uint64_t groups = 0;
        bool inside = false;
        Status status = Status::ok;
        Status closed = Status::ok;
    };
    Calling log;
    const auto gate = Gate::create(Manager::create({}), {.log = &log});
    log.gate = gate.get();
    BOOST_CHECK_EQUAL(gate->change_at(5, GateRig::applying(1000, GPS, 10)).status, Status::ok);
    BOOST_CHECK(log.inside);
    BOOST_CHECK_EQUAL(log.status, Status::in_callback);
    BOOST_CHECK_EQUAL(log.closed, Status::in_callback);
    BOOST_CHECK(gate->flush());
    BOOST_CHECK_EQUAL(log.groups, 2u);
    BOOST_CHECK_EQUAL(gate->manager()->engine().mask(app_of(2000), 5).mask, GPS);
}

BOOST_AUTO_TEST_CASE(an_immediate_log_is_called_under_the_lock_and_answers_at_once) {
    class Immediate final : public Log {
    public:
        Appended append(std::uint64_t after, std::span<const std::byte> group) noexcept override {
            if (after != groups) return Appended::conflict;
            if (refuses) return Appended::not_appended;
            ++groups;
            bytes += group.size();
            return Appended::appended;
        }
        Position last() noexcept override { return {true, groups}; }
        [[nodiscard]] bool is_immediate() const noexcept override { return true; }
        std::uint64_t groups = 0;
        std::size_t bytes = 0;
        bool refuses = false;
    };
    Immediate log;
    const auto gate = Gate::create(Manager::create({}), {.log = &log, .own_thread = true});
    const auto apply = GateRig::applying(1000, GPS, 10);
    {
        const std::lock_guard lock(*gate);
        BOOST_REQUIRE_EQUAL(gate->enter(5), Status::ok);
        const Staged staged = gate->stage(apply(*gate->manager(), 5));
        BOOST_CHECK(staged.is_answered());
        BOOST_CHECK_EQUAL(staged.answer.mask, GPS);
        log.refuses = true;
        BOOST_CHECK_EQUAL(gate->stage(apply(*gate->manager(), 5)).status, Status::transaction_failed);
        log.refuses = false;
        const std::vector<Admission> rows(3, GateRig::applying(1000, GPS, 10, "")(*gate->manager(), 5));
        const Staged many = gate->stage_many(rows, true);
        std::array<Result, 3> results{};
        Answer answer;
        BOOST_CHECK(gate->take(many.ticket, answer, results));
        BOOST_CHECK_EQUAL(results[2].mask, GPS);
    }
    BOOST_CHECK_EQUAL(gate->change_at(6, apply).mask, GPS);
    BOOST_CHECK_EQUAL(gate->change_at(20, GateRig::applying(1001, GPS, 10)).status, Status::ok);
    BOOST_CHECK_EQUAL(gate->advance().ended, 1u);
    BOOST_CHECK_EQUAL(log.groups, 5u);
    BOOST_CHECK_EQUAL(gate->close(), Status::ok);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
