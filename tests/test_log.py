"""A manager with a log: what is on record, in which order, by whom it is written, and what readers see of it."""

import contextlib
import gc
import threading
import time
import weakref
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import grantwheel
from grantwheel import Caller, Conflict, Follower, Manager, ManualClock, MemoryLog, Policy, TransactionError, replay
from journals import ScriptedLog, Stall, appends, check_record, doing, in_thread, logged, raises_before, refuses, sleeps
from support import ALL, AUDIO, CPU, GPS, MAIL, PLAIN, TIMER, Hook, check_refused, make_manager, request, state
from waiting import PATIENCE, is_readable, wait_for

CHANGES: dict[str, Callable[[Manager], object]] = {
    "apply": lambda manager: manager.apply(700, 71, AUDIO, 40, process=True, reason="because"),
    "apply_request": lambda manager: manager.apply_request(request(), caller=MAIL),
    "renew": lambda manager: manager.renew(700, 71, GPS, 900),
    "release": lambda manager: manager.release(700, 71, GPS),
    "reset_all": lambda manager: manager.reset_all(700, 71),
    "reset_all_request": lambda manager: manager.reset_all_request(caller=MAIL),
    "process_died": lambda manager: manager.process_died(700, 71),
    "app_stopped": lambda manager: manager.app_stopped(700),
    "package_removed": lambda manager: manager.package_removed(700),
    "admin_reset_all": lambda manager: manager.admin_reset_all(),
    "admin_reset_app": lambda manager: manager.admin_reset_app(700, GPS),
    "admin_reset_process": lambda manager: manager.admin_reset_process(71, CPU),
    "apply_many": lambda manager: manager.apply_many(*[array("i", [1, 2, 3])] * 4),
    "release_many": lambda manager: manager.release_many(array("i", [700, 1]), array("i", [71, 1]), array("i", [1, 1])),
    "write_notes": lambda manager: manager.write_notes({b"key": b"value"}),
}


def fill(manager: Manager) -> None:
    manager.apply(700, 71, GPS | CPU | TIMER, 40, process=True, caller=MAIL)


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_one_group_and_is_replayed(name: str) -> None:
    manager, clock, log = logged()
    fill(manager)
    clock.set(7)
    CHANGES[name](manager)
    assert len(log.groups) == 2
    check_record(manager, log, 7)


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_appended_has_changed_nothing(name: str) -> None:
    manager, _, log = logged()
    fill(manager)
    log.otherwise = refuses
    error = check_refused(manager, lambda: CHANGES[name](manager), 9800003, 980000301)
    assert isinstance(error.__cause__, grantwheel.NotAppended)
    log.otherwise = appends
    CHANGES[name](manager)
    check_record(manager, log, 0)


def test_what_changes_nothing_is_not_on_record() -> None:
    hook = Hook(answer=False)
    manager, clock = make_manager(log=(log := MemoryLog()), policy=Policy(quota=hook))
    manager.apply(700, 71, GPS, 40)
    check_refused(manager, lambda: manager.apply(700, 71, GPS, 40, caller=PLAIN), 202, 202)
    check_refused(manager, lambda: manager.apply(700, 71, CPU, 40), 201, 201)
    check_refused(manager, lambda: manager.process_died(-1, 71), 18700001, 1870000102)
    manager.get_all(caller=MAIL)
    manager.infos(caller=Caller(native=True))
    manager.admin_list()
    manager.next_deadline()
    manager.set_policy(Policy())
    manager.ready = False
    assert manager.advance() == 0
    assert log.last() == 1
    clock.set(40)
    assert manager.holders(GPS) == ([], [])
    assert log.last() == 1
    assert manager.advance() == 1
    assert log.last() == 2


def test_a_log_is_written_by_one_thread_which_is_no_callers() -> None:
    manager, clock, log = logged()
    for uid in range(3):
        with in_thread(partial(manager.apply, uid, 1, GPS, 5)):
            pass
    manager.apply(700, 71, GPS, 40)
    clock.set(5)
    manager.advance()
    assert len(log.threads) == 1
    assert log.threads.isdisjoint({threading.get_ident()})


def test_a_memory_log_is_written_without_a_thread() -> None:
    before = threading.active_count()
    log = MemoryLog()
    manager, _ = make_manager(log=log)
    manager.apply(700, 71, GPS, 40)
    assert threading.active_count() == before
    ((position, group),) = log.read()
    assert position == 1
    assert isinstance(group, bytes)
    assert replay([group]).records() == manager.records()


def test_a_memory_log_is_a_log_by_itself() -> None:
    log = MemoryLog()
    groups = [b"", b"one", bytes(3_000_000), b"two"]
    for after, group in enumerate(groups):
        assert log.append(after, group) == after + 1
    assert log.last() == 4
    assert list(log.read()) == list(enumerate(groups, start=1))
    assert list(log.read(3)) == [(4, b"two")]
    assert list(log.read(4)) == []
    for after in (0, 3, 5):
        with pytest.raises(Conflict):
            log.append(after, b"three")
    with pytest.raises(TypeError, match="group"):
        log.append(4, "three")  # type: ignore[arg-type]
    reading = log.read(3)
    log.append(4, b"three")
    assert list(reading) == [(4, b"two"), (5, b"three")]


def test_one_that_is_derived_from_memory_log_is_asked() -> None:
    class Counting(MemoryLog):
        appended = 0

        def append(self, after: int, group: Any) -> int:
            self.appended += 1
            return super().append(after, group)

    log = Counting()
    manager, _ = make_manager(log=log)
    manager.apply(700, 71, GPS, 40)
    assert (log.appended, log.last()) == (1, 1)


@pytest.mark.parametrize("log", [7, object(), ScriptedLog])
def test_a_log_has_two_methods(log: Any) -> None:
    if log is ScriptedLog:
        log = type("Half", (), {"last": lambda self: 0})()
    with pytest.raises(TypeError, match=r"append|last"):
        make_manager(log=log)


def test_a_log_that_has_groups_already_is_refused() -> None:
    log = MemoryLog()
    log.append(0, b"")
    with pytest.raises(ValueError, match="log"):
        make_manager(log=log)


def test_a_batch_is_one_group_and_one_instant() -> None:
    manager, clock, log = logged()
    size = 5_000
    uids = array("I", range(size))
    masks, timeouts = array("I", [GPS | TIMER]) * size, array("I", range(1, size + 1))
    clock.set(3)
    out = array("i", [7]) * size
    assert manager.apply_many(uids, uids, masks, timeouts, out=out) is out
    assert set(out) == {GPS | TIMER}
    assert len(log.groups) == 1
    assert {event.time for event in manager.read(0)[0]} == {3}
    clock.set(1_000)
    assert manager.count(GPS) == size - 997
    manager.release_many(uids, uids, masks)
    assert manager.count(GPS) == 0
    check_record(manager, log, 1_000)


def test_rows_that_are_refused_have_their_codes() -> None:
    hook = Hook()
    manager, _ = make_manager(
        log=(log := ScriptedLog()), policy=Policy(default_allowed=[1, 6], quota=hook), max_records=2
    )
    uids, masks = array("q", [1, -1, 3, 4, 5]), array("i", [GPS, GPS, AUDIO, CPU, GPS])
    pids = array("i", [1] * 5)
    assert manager.apply_many(uids, pids, masks, pids).tolist() == [GPS, -18700001, -201, CPU, -9800001]
    assert hook.calls == [("check", 4, "", CPU, True)]
    follower = replay(log.groups, max_records=2)
    assert follower.records() == manager.records()
    assert manager.apply_many(uids[1:3], pids[:2], masks[1:3], pids[:2]).tolist() == [-18700001, -201]
    assert len(log.groups) == 1


def test_the_hook_is_asked_before_the_log_and_told_after_it() -> None:
    order: list[str] = []

    class Noting(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            order.append("check")
            return True

        def settle(self, uid: int, /) -> None:
            order.append("settle")

    manager, clock = make_manager(
        log=ScriptedLog(otherwise=doing(lambda: order.append("append"))),
        policy=Policy(quota=Noting()),
    )
    manager.apply(700, 71, CPU, 40)
    manager.release(700, 71, CPU)
    assert order == ["check", "append", "check", "append", "settle"]
    manager.apply(700, 71, CPU, 40)
    order.clear()
    clock.set(40)
    manager.advance()
    assert order == ["append", "settle"]


# The order of things


def test_a_reader_of_what_is_staged_waits_and_others_do_not() -> None:
    stall = Stall()
    manager, _, _ = logged(appends, stall)
    manager.apply(800, 81, GPS, 40)
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)):
        stall.wait()
        assert manager.app_mask(800) == GPS
        assert manager.find_app(800) is not None
        with in_thread(lambda: manager.app_mask(700)) as read:
            time.sleep(0.02)
            assert not read
            stall.go_on()
        assert read == [GPS]


def test_a_grant_that_was_seen_to_end_is_not_carried_on() -> None:
    # A renewal of 900 is on its way to the log when a reader comes at 1000: it either waits, or comes before.
    stall = Stall()
    manager, clock, log = logged(appends, stall)
    manager.apply(700, 71, GPS, 1_000)
    clock.set(900)
    with in_thread(lambda: manager.renew(700, 71, GPS, 1_000)) as renewed:
        stall.wait()
        clock.set(1_000)
        with in_thread(lambda: (manager.app_mask(700), manager.holders(GPS).apps, manager.count(GPS))) as seen:
            time.sleep(0.02)
            assert not seen
            stall.go_on()
    assert (renewed, seen) == ([GPS], [(GPS, [700], 1)])
    assert manager.advance() == 0
    check_record(manager, log, 1_000)


def test_a_reader_across_records_waits_for_what_came_before_it() -> None:
    stall = Stall()
    manager, _, _ = logged(appends, stall)
    manager.apply(800, 81, GPS, 40)
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)):
        stall.wait()
        with in_thread(lambda: manager.holders(GPS).apps) as read:
            time.sleep(0.02)
            assert not read
            stall.go_on()
    assert read == [[700, 800]]


def test_nothing_is_seen_before_it_is_in_the_log() -> None:
    stall = Stall()
    manager, _, _ = logged(stall)
    reader = manager.subscribe("a reader")
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)):
        stall.wait()
        assert manager.last_sequence == 0
        assert reader.pending == 0
        assert not is_readable(reader.fileno())
        stall.go_on()
    assert is_readable(reader.fileno())
    assert [event.uid for event in reader.drain()] == [700]


def test_what_comes_while_a_group_is_being_appended_is_the_next_group() -> None:
    stall = Stall()
    manager, _, log = logged(stall)
    with in_thread(lambda: manager.apply(1, 1, GPS, 40)):
        stall.wait()
        with in_thread(lambda: manager.apply(2, 1, GPS, 40)), in_thread(lambda: manager.apply(3, 1, GPS, 40)):
            time.sleep(0.05)  # they are staged
            stall.go_on()
    assert len(log.groups) == 2
    check_record(manager, log, 0)


def test_advances_are_on_record_so_that_events_are_replayed() -> None:
    manager, clock, log = logged()
    manager.apply(700, 71, GPS, 10)
    manager.apply(800, 81, AUDIO, 100)
    clock.set(50)
    manager.advance()
    manager.release(800, 81, AUDIO)
    assert [event.cause for event in manager.read(0)[0]] == ["apply", "apply", "expired", "release"]
    check_record(manager, log, 50)


def test_a_replay_of_much_has_the_same_events_with_the_same_numbers() -> None:
    log = MemoryLog()
    manager, clock = make_manager(log=log, max_records=40)
    for step in range(3_000):
        clock.advance(step % 7)
        uid, pid, mask = step % 50, step % 11, 1 + step * 37 % 511
        with contextlib.suppress(grantwheel.MemoryOperationError):
            manager.apply(uid, pid, mask, 1 + step % 60, process=step % 3 == 0, reason=f"{step % 4}")
        manager.renew((uid + 1) % 50, pid, mask, 50)
        manager.release((step + 1) % 50, pid, 1 + step * 53 % 511, process=step % 2 == 0)
        if step % 17 == 0:
            manager.process_died(uid, pid)
        if step % 5 == 0:
            manager.advance(step % 3)
        if step % 31 == 0:
            manager.holders(GPS)
    follower = replay((group for _, group in log.read()), max_records=40)
    assert follower.records(now_ms=clock.now()) == manager.records()
    events, missed, _ = manager.read(0)
    assert follower.read(0) == (events, missed, manager.last_sequence)
    follower.validate()


def test_a_budget_of_an_advance_counts_records() -> None:
    manager, clock, log = logged()
    for uid in range(10):
        manager.apply(uid, 1, GPS | AUDIO, 5)
    clock.set(5)
    assert manager.advance(3) == 6
    assert manager.advance(0) == 0
    assert manager.advance() == 14
    check_record(manager, log, 5)


def test_a_budget_counts_records_over_several_entries() -> None:
    log = MemoryLog()
    manager, clock = make_manager(log=log)
    uids, gps, timeouts = array("i", range(30_000)), array("i", [GPS]) * 30_000, array("i", [5]) * 30_000
    manager.apply_many(uids, uids, gps, timeouts)
    clock.set(5)
    assert manager.advance(20_000) == 20_000
    assert manager.advance() == 10_000
    assert log.last() > 3


def test_a_reader_of_a_log_in_memory_is_woken() -> None:
    manager, clock = make_manager(log=MemoryLog())
    reader = manager.subscribe("reader", caller=Caller(native=True))
    numbers = array("i", [32])
    calls: list[Callable[[], object]] = [
        lambda: manager.apply(700, 71, GPS, 40),
        lambda: manager.apply_many(numbers, numbers, numbers, numbers),
        manager.advance,
    ]
    for now, call in zip((0, 0, 40), calls, strict=True):
        clock.set(now)
        assert not is_readable(reader.fileno())
        call()
        assert is_readable(reader.fileno())
        reader.drain()


def test_a_runner_ends_what_is_due_through_the_log() -> None:
    manager, clock, log = logged()
    heard: list[int] = []
    manager.subscribe(lambda event: heard.append(event.uid))
    with manager.running():
        manager.apply(700, 71, GPS, 10)
        clock.set(10)
        wait_for(lambda: len(heard) == 2)
    assert len(log.groups) == 2
    check_record(manager, log, 10)


# Its end


def test_a_closed_manager_has_its_changes_on_record() -> None:
    stall = Stall()
    manager, _, log = logged(stall)
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)) as applied:
        stall.wait()
        with in_thread(manager.close):
            time.sleep(0.02)
            stall.go_on()
    assert applied == [GPS]
    assert len(log.groups) == 1
    assert [event.uid for event in manager.drain()] == [700]
    for call in (lambda: manager.apply(1, 1, GPS, 1), manager.records, lambda: manager.app_mask(1), manager.advance):
        with pytest.raises(grantwheel.ServiceOperationError):
            call()
    manager.close()


def test_a_closed_manager_keeps_no_log_nor_what_that_raised() -> None:
    manager, _, log = logged(raises_before)
    with pytest.raises(TransactionError):
        manager.apply(700, 71, GPS, 40)  # what the log raised has a traceback, in which the log is
    kept = weakref.ref(log)
    del log
    gc.collect()
    assert kept() is not None
    manager.close()
    gc.collect()
    assert kept() is None


def test_a_manager_and_its_log_that_know_each_other_are_collected() -> None:
    log: Any = ScriptedLog()
    manager = Manager(clock=ManualClock(), log=log)
    log.manager = manager
    manager.apply(700, 71, GPS, 40)
    gone = [weakref.ref(manager), weakref.ref(log)]
    del manager, log
    gc.collect()
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_threads_of_managers_that_have_gone_end() -> None:
    for _ in range(200):
        manager, _, _ = logged()
        manager.apply(700, 71, GPS, 40)
        manager.close()
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in status if line.startswith("Threads:")]
    assert int(line.split()[1]) < 50


def test_the_log_may_not_wait_for_its_manager_and_does_not_hang() -> None:
    seen: list[object] = []

    def uses(log: ScriptedLog, group: bytes) -> None:
        if len(log.groups) == 0:
            seen.append(manager.apply(800, 81, GPS, 40))  # goes into the next group
            seen.append((manager.app_mask(800), manager.app_mask(700), manager.holders(GPS).apps, manager.advance()))
        appends(log, group)

    manager, _, log = logged(otherwise=uses)
    assert manager.apply(700, 71, GPS, 40) == GPS
    wait_for(lambda: len(log.groups) == 2)
    assert seen == [GPS, (0, 0, [], 0)]
    assert manager.holders(GPS).apps == [700, 800]


def test_many_threads_share_groups_and_lead_to_the_same_state() -> None:
    manager, clock, log = logged(otherwise=sleeps(0.001))

    def work(number: int) -> None:
        for step in range(40):
            uid = number * 10 + step % 3
            manager.apply(uid, 1, ALL, 1 + step % 9)
            manager.release(uid, 1, GPS)
            clock.advance(1)
            assert manager.app_mask(uid) & GPS == 0

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert len(log.groups) < 8 * 40 * 2
    check_record(manager, log, clock.now())


def test_a_manager_that_refuses_goes_on_with_the_state_it_had() -> None:
    manager, _, log = logged()
    fill(manager)
    before = state(manager)
    log.otherwise = refuses
    for _ in range(3):
        with pytest.raises(TransactionError):
            manager.release(700, 71, GPS)
    assert state(manager) == before
    follower = Follower()
    follower.feed(log.groups[0])
    assert follower.records() == manager.records()
