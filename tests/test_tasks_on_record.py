"""Tasks in the log of their manager: what was answered is there after the next opening, and what was refused is not."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

import grantwheel
from grantwheel import (
    Ability,
    BusinessError,
    Caller,
    Manager,
    ManualClock,
    MemoryLog,
    Tasks,
    TransientFigures,
    processes,
    replay,
)
from grantwheel.journal import MemoryJournal
from grantwheel.ops import NotesChange, read
from grantwheel.recovery import Start
from grantwheel.tasks.notes import MOST_BYTES
from journals import (
    ScriptedLog,
    Stall,
    conflicts,
    doing,
    in_thread,
    raises_after,
    raises_before,
    refuses,
)
from support import GPS, TIMER, make_manager, refusal
from waiting import PATIENCE, wait_for

MAIL: Final = Caller(uid=700, pid=71, bundle="org.tide.mail", native=True)
MAPS: Final = Caller(uid=800, pid=81, bundle="org.tide.maps")


def nothing() -> None:
    pass


def on_log(log: Any, **more: Any) -> tuple[Tasks, Manager, ManualClock]:
    manager, clock = make_manager(log=log, **more)
    return Tasks(manager), manager, clock


def check_on_record(tasks: Tasks, groups: list[bytes]) -> None:
    """Check that what is on record, replayed, is what the tasks have."""
    notes = {key.decode().removeprefix("tasks/"): value for key, value in replay(groups).notes().items()}
    beginnings = {"transient": b"", "continuous": b'{"next_id":1}'}
    state = {key: value for key, value in tasks.dump().items() if notes.get(key) or key not in beginnings}
    assert notes == state


def some(tasks: Tasks) -> None:
    """Have tasks of both kinds of two apps."""
    tasks.request_suspend_delay("save", nothing, caller=MAIL)
    tasks.request_suspend_delay("load", print, caller=MAPS)
    tasks.start_background_running(Ability("Main", 3), [1, 2], True, caller=MAIL)
    tasks.start_background_running("Main", 1, True, caller=MAPS)
    tasks.set_foreground(800, 81, True)
    tasks.set_battery(True)


# What comes back.


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_a_manager_that_is_opened_again_has_its_tasks(tmp_path: Path, durability: Any) -> None:
    path, clock = tmp_path / "grants.db", ManualClock(start_ms=1_000)
    with grantwheel.open(path, clock=clock, durability=durability) as manager:
        tasks = Tasks(manager)
        some(tasks)
        clock.advance(10_000)
        tasks.cancel_suspend_delay(2, caller=MAPS)
        tasks.stop_background_running("Main", caller=MAPS)
        state = tasks.dump()
    clock.advance(20_000)
    with grantwheel.open(path, clock=clock, durability=durability) as manager:
        tasks = Tasks(manager)
        assert tasks.dump() == state
        assert tasks.drain() == []
        assert [(task.id, task.uid) for task in tasks.continuous_tasks()] == [(1, 700)]
        assert tasks.transient_task_info(caller=MAIL) == (570_000, [(1, 150_000)])  # the time between counts
        assert tasks.next_deadline() == 175_000
        assert tasks.request_suspend_delay("again", nothing, caller=MAPS) == (3, 60_000)  # the battery is low still
        assert tasks.start_background_running("Main", 1, True, caller=MAPS) == 3


def test_what_is_overdue_ends_when_tasks_are_made() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with grantwheel.open(journal, clock=clock) as manager:
        Tasks(manager).request_suspend_delay("save", nothing, caller=MAIL)
    clock.advance(1_000_000)
    with grantwheel.open(journal, clock=clock) as manager:
        tasks = Tasks(manager)
        assert not tasks.keeps_running(700)
        tasks.advance()
        assert [(event.time, str(event.kind)) for event in tasks.drain()] == [
            (174_000, "expired_callback"),
            (180_000, "task_end"),
            (180_000, "app_task_end"),
        ]
        assert tasks.transient_task_info(caller=MAIL).remainingQuota == 420_000


def test_an_operation_is_one_entry_of_the_log_with_its_instant() -> None:
    log = MemoryLog()
    tasks, _, clock = on_log(log)
    clock.set(5)
    tasks.start_background_running("Main", 1, True, caller=MAIL)
    tasks.continuous_tasks()
    tasks.transient_task_info(caller=MAIL)
    ((op,),) = [read(group) for _, group in log.read()]
    assert isinstance(op, NotesChange)
    assert (op.time, set(op.changes)) == (5, {b"tasks/continuous", b"tasks/continuous/1"})


def test_without_a_log_there_are_no_notes() -> None:
    manager, _ = make_manager()
    some(Tasks(manager))
    assert manager.notes() == {}


def test_notes_of_others_are_left_alone() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with grantwheel.open(journal, clock=clock) as manager:
        manager.write_notes({b"tasks": b"x", b"transient": b"y"})
        some(Tasks(manager))
    with grantwheel.open(journal, clock=clock) as manager:
        assert len(Tasks(manager).continuous_tasks()) == 2
        assert (manager.notes()[b"tasks"], manager.notes()[b"transient"]) == (b"x", b"y")


def test_a_snapshot_has_them() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with grantwheel.open(journal, clock=clock) as manager:
        tasks = Tasks(manager)
        some(tasks)
        state = tasks.dump()
        assert manager.snapshot() == journal.last()
    with pytest.raises(LookupError):
        next(journal.read(0))  # the groups are gone
    with grantwheel.open(journal, clock=clock) as manager:
        assert manager.recovery.snapshot
        assert Tasks(manager).dump() == state


def test_a_record_may_be_longer_than_a_note() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    reason = "\x01" * 1024  # six bytes each as JSON
    with grantwheel.open(journal, clock=clock) as manager:
        tasks = Tasks(manager)
        for number in range(1, 41):
            who = Caller(uid=700, pid=number, bundle=f"b{number}")
            tasks.request_suspend_delay(reason, nothing, caller=who, name=str(number))
        state = tasks.dump()
        assert len(state["transient/700"]) > 3 * MOST_BYTES
        for number in range(1, 31):
            tasks.cancel_suspend_delay(number, caller=Caller(uid=700, pid=number, bundle=f"b{number}"))
        less = tasks.dump()
        assert len(less["transient/700"]) < len(state["transient/700"]) / 2
        parts = [key for key in manager.notes() if key.startswith(b"tasks/transient/700")]
        assert len(parts) == -(-len(less["transient/700"]) // MOST_BYTES)
    with grantwheel.open(journal, clock=clock) as manager:
        tasks = Tasks(manager)
        assert tasks.dump() == less
        manager.package_removed(700)
        assert [key for key in manager.notes() if key.startswith(b"tasks/transient/")] == []


# What cannot be read.


@pytest.mark.parametrize(
    ("notes", "named"),
    [
        ({b"tasks/continuous/1": b"{"}, "'continuous/1'"),
        ({b"tasks/continuous/1": b""}, "'continuous/1'"),
        ({b"tasks/continuous/1": b"[" * 60_000}, "'continuous/1'"),
        ({b"tasks/transient/700": b"{}"}, "'transient/700'"),
        ({b"tasks/transient": b'{"next_id":1,"reset_at":0,"is_screen_on":true}'}, "'transient'"),
        ({b"tasks/continuous": b'{"next_id":1,"since":2}'}, "'continuous'"),  # of a version to come
        ({b"tasks/scheduled/1": b"{}"}, "b'tasks/scheduled/1'"),
        ({b"tasks/": b"{}"}, "b'tasks/'"),
        ({b"tasks/continuous+01": b"{}"}, r"b'tasks/continuous\+01'"),
        ({b"tasks/continuous+0": b"{}"}, r"b'tasks/continuous\+0'"),
        ({b"tasks/continuous+x": b"{}"}, r"b'tasks/continuous\+x'"),
        ({b"tasks/\xff": b"{}"}, r"b'tasks/\\xff'"),
        ({b"tasks/transient/7": b"{", b"tasks/transient/7+2": b"}"}, "'transient/7' of the tasks lacks a part"),
        ({b"tasks/transient/7+1": b"}"}, "'transient/7' of the tasks lacks a part"),
    ],
)
def test_what_cannot_be_read_is_named_and_grants_are_there(notes: dict[bytes, bytes], named: str) -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with grantwheel.open(journal, clock=clock) as manager:
        manager.write_notes(notes)
        manager.apply(700, 71, GPS, 1_000)
    with grantwheel.open(journal, clock=clock) as manager:
        with pytest.raises(BusinessError, match=named) as caught:
            Tasks(manager)
        assert caught.value.code == 9800002
        assert manager.app_mask(700) == GPS
        assert {**manager.notes(), **notes} == manager.notes()
        manager.write_notes(dict.fromkeys(notes))  # who knows better takes them away
        assert Tasks(manager).continuous_tasks() == []


# A log that fails.


@pytest.mark.parametrize("step", [refuses, raises_before, raises_after, conflicts])
def test_what_is_refused_is_not_on_record_and_what_is_answered_is(step: Any) -> None:
    log = ScriptedLog()
    tasks, manager, _ = on_log(log)
    some(tasks)
    calls: list[tuple[Callable[[], object], int]] = [
        (lambda: tasks.request_suspend_delay("", some, caller=MAIL), 9800003),
        (lambda: tasks.cancel_suspend_delay(1, caller=MAIL), 9800003),
        (lambda: tasks.set_screen(False), 9800003),
        (lambda: tasks.start_background_running("Other", 1, True, caller=MAIL), 9800007),
        (lambda: tasks.update_background_running("Main", 2, caller=MAPS), 9800007),
        (lambda: tasks.stop_background_running("Main", caller=MAPS), 9800007),
        (lambda: manager.package_removed(800), 9800003),
    ]
    for call, code in calls:
        state, told = tasks.dump(), tasks.last_sequence
        log.otherwise = step
        if step is raises_after:
            call()
            assert tasks.dump() != state
        else:
            assert refusal(call).code == code
            assert (tasks.dump(), tasks.last_sequence) == (state, told)
        assert tasks.keeps_running(800) or step is raises_after
        log.otherwise = ScriptedLog().otherwise
        check_on_record(tasks, log.groups)
    if step is not conflicts:
        tasks.set_screen(True)
        tasks.set_battery(False)
        check_on_record(tasks, log.groups)


def test_a_refusal_says_why() -> None:
    log = ScriptedLog(otherwise=refuses)
    tasks, _, _ = on_log(log)
    for call in (lambda: tasks.set_screen(False), lambda: tasks.start_background_running("a", 1, True, caller=MAIL)):
        cause = refusal(call).__cause__
        assert isinstance(cause, grantwheel.TransactionError)
        assert "no room" in str(cause.__cause__)


def test_an_operation_of_which_nobody_knows_is_answered_when_the_log_says() -> None:
    log = ScriptedLog()
    tasks, _, _ = on_log(log)
    some(tasks)
    log.otherwise, log.lost = raises_after, 3
    tasks.set_screen(False)  # it is asked until it says, and then the change is there
    assert log.asked > 3
    check_on_record(tasks, log.groups)


def test_no_room_in_the_notes_is_9800001_and_a_continuous_task_is_not_stored() -> None:
    manager, _ = make_manager(log=MemoryLog())
    tasks = Tasks(manager)
    tasks.set_battery(True)
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    manager.write_notes({b"%08d" % number: bytes(2**16 - 8) for number in range(255)})
    free = 2**24 - sum(len(key) + len(value) for key, value in manager.notes().items())
    manager.write_notes({b"rest": bytes(free - 4)})
    state = tasks.dump()
    assert refusal(lambda: tasks.request_suspend_delay("", print, caller=MAPS)).code == 9800001
    assert refusal(lambda: tasks.start_background_running("a", 1, True, caller=MAIL)).code == 9800007
    assert tasks.dump() == state
    assert tasks.keeps_running(700)
    manager.write_notes({b"rest": None})
    tasks.start_background_running("a", 1, True, caller=MAIL)


def test_a_death_that_is_not_on_record_is_told_again() -> None:
    log = ScriptedLog()
    tasks, manager, _ = on_log(log)
    some(tasks)
    log.otherwise = refuses
    assert refusal(lambda: manager.app_stopped(700)).code in (9800003, 9800007)
    assert tasks.keeps_running(700)
    log.otherwise = ScriptedLog().otherwise
    manager.app_stopped(700)
    assert not tasks.keeps_running(700)
    check_on_record(tasks, log.groups)


def test_the_end_of_a_watched_process_is_tried_again() -> None:
    log = ScriptedLog()
    with Manager(log=log) as manager:
        tasks = Tasks(manager)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        who = Caller(uid=os.getuid(), pid=child.pid, bundle="b")
        tasks.request_suspend_delay("", nothing, caller=who)
        tasks.start_background_running("a", 1, True, caller=who)
        processes.watch(manager, child.pid)
        failed = threading.Event()

        def fails(log: ScriptedLog, group: bytes) -> None:
            failed.set()
            refuses(log, group)

        log.otherwise = fails
        child.communicate(b"\n")
        assert failed.wait(PATIENCE)
        assert tasks.keeps_running(who.uid)
        log.otherwise = ScriptedLog().otherwise
        wait_for(lambda: not tasks.keeps_running(who.uid))
        check_on_record(tasks, log.groups)


def test_what_is_due_is_tried_again_and_called_once_it_is_on_record() -> None:
    quick = TransientFigures(request_ms=60, low_battery_ms=50, quota_ms=400, least_quota_ms=30, notice_ms=20)
    log, called, failed = ScriptedLog(), threading.Event(), threading.Event()
    with Manager(log=log) as manager:
        tasks = Tasks(manager, figures=quick)
        tasks.request_suspend_delay("", called.set, caller=MAIL)

        def fails(log: ScriptedLog, group: bytes) -> None:
            failed.set()
            refuses(log, group)

        log.otherwise = fails
        assert failed.wait(PATIENCE)
        assert not called.is_set()
        assert [str(event.kind) for event in tasks.drain()] == ["task_start", "app_task_start"]
        log.otherwise = ScriptedLog().otherwise
        assert called.wait(PATIENCE)


def test_a_manager_that_is_closed_meanwhile_refuses() -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    tasks, manager, _ = on_log(log)
    with in_thread(lambda: tasks.set_screen(False)) as first:
        stall.wait()
        closing = threading.Thread(target=manager.close)
        closing.start()
        stall.go_on()
        closing.join(PATIENCE)
    assert first == [None]
    assert refusal(lambda: tasks.set_screen(True)).code == 9800004
    assert replay(log.groups).notes()[b"tasks/transient"] == tasks_after(screen=False)


def tasks_after(*, screen: bool) -> bytes:
    """Return the record of a device of which nothing else is known."""
    fields = {"is_battery_low": False, "is_screen_on": screen, "next_id": 1, "reset_at": 0}
    return json.dumps(fields, separators=(",", ":")).encode()


# Nobody waits for somebody who waits.


def test_a_log_that_calls_tasks_is_refused_and_nobody_waits_for_ever() -> None:
    found: list[object] = []

    def meddle() -> None:
        for call in (tasks.set_battery, lambda _: tasks.keeps_running(700)):
            try:
                found.append(call(True))
            except RuntimeError as error:
                found.append(str(error))

    log = ScriptedLog(doing(meddle), doing(meddle))
    tasks, manager, _ = on_log(log)
    tasks.set_screen(False)  # which waits for the log with the lock of the tasks
    manager.apply(700, 71, GPS, 1_000)
    assert found == ["the log of a manager cannot wait for itself"] * 4
    check_on_record(tasks, log.groups)


def test_others_wait_for_a_write_and_are_done_after_it() -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    tasks, manager, _ = on_log(log)
    with in_thread(lambda: tasks.set_screen(False)) as first:
        stall.wait()
        with (
            in_thread(lambda: tasks.keeps_running(700)) as second,
            in_thread(lambda: manager.app_stopped(700)) as third,
        ):
            stall.go_on()
    assert (first, second, third) == ([None], [False], [0])


def test_a_quota_hook_may_ask_tasks() -> None:
    class Hook:
        def check(self, uid: int, *_: object) -> bool:
            tasks.set_battery(True)
            return tasks.keeps_running(uid)

        def settle(self, _uid: int) -> None:
            tasks.set_battery(False)

    log = ScriptedLog()
    manager, clock = make_manager(log=log, policy=grantwheel.Policy(quota=Hook()))
    tasks = Tasks(manager)
    some(tasks)
    assert manager.apply(700, 71, 1, 1_000) == 1
    clock.advance(2_000)
    manager.advance()
    check_on_record(tasks, log.groups)


def test_threads_ask_at_once_and_all_that_they_were_told_is_on_record(tmp_path: Path) -> None:
    path, told = tmp_path / "grants.db", []
    with grantwheel.open(path) as manager:
        tasks = Tasks(manager)

        def ask(uid: int) -> None:
            for number in range(5):
                told.append(tasks.start_background_running(f"a{number}", 1, True, caller=Caller(uid=uid, pid=1)))
                manager.apply(uid, 1, GPS, 60_000)

        threads = [threading.Thread(target=ask, args=(uid,)) for uid in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert sorted(told) == list(range(1, 21))
    with grantwheel.open(path) as manager:
        assert [task.id for task in Tasks(manager).continuous_tasks()] == sorted(told)


class Rang(Exception):
    """What a signal handler raises."""


def ring(*_: object) -> None:
    raise Rang


def interrupt_in(stall: Stall) -> None:
    """Interrupt whoever waits for an append."""
    stall.wait()
    os.kill(os.getpid(), signal.SIGALRM)


def test_a_signal_handler_that_raises_while_the_log_is_waited_for_leaves_what_is_on_record() -> None:
    log = ScriptedLog()
    tasks, _, _ = on_log(log)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        for after in (ScriptedLog().otherwise, refuses):
            stall = Stall(after)
            log.otherwise = stall
            waker = threading.Thread(target=interrupt_in, args=(stall,))
            waker.start()
            is_there = after is not refuses
            with pytest.raises(Rang):
                tasks.start_background_running(f"a{is_there}", 1, True, caller=MAIL)
            waker.join(PATIENCE)
            log.otherwise = ScriptedLog().otherwise
            stall.go_on()
            tasks.set_battery(is_there)
            check_on_record(tasks, log.groups)
            assert [task.ability.name for task in tasks.continuous_tasks()] == ["aTrue"]
            assert kinds(tasks) == (["continuous_start"] if is_there else [])
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("is_transient", [False, True])
def test_who_is_interrupted_does_not_wait_for_the_log_and_its_events_are_told_by_themselves(is_transient: bool) -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    with Manager(log=log) as manager:
        tasks = Tasks(manager)
        call: Callable[[], object] = lambda: tasks.start_background_running("a", 1, True, caller=MAIL)  # noqa: E731
        if is_transient:
            call = lambda: tasks.request_suspend_delay("", nothing, caller=MAIL)  # noqa: E731
        before = signal.signal(signal.SIGALRM, ring)
        try:
            waker = threading.Thread(target=interrupt_in, args=(stall,))
            waker.start()
            with pytest.raises(Rang):
                call()
            waker.join(PATIENCE)
            assert log.groups == []
            stall.go_on()
            wait_for(lambda: tasks.last_sequence == (2 if is_transient else 1))
            check_on_record(tasks, log.groups)
        finally:
            signal.signal(signal.SIGALRM, before)


# A log that is behind.


def behind(*script: Any) -> tuple[Tasks, Manager, ManualClock, ScriptedLog]:
    log = ScriptedLog(*script)
    return *on_log(log, durability="batch"), log


def log_state(manager: Manager) -> str:
    log = manager.stats().log
    assert log is not None
    return log.state


def kinds(tasks: Tasks) -> list[str]:
    return [str(event.kind) for event in tasks.drain()]


def test_in_batches_changes_are_answered_at_once_and_events_told_when_they_are_on_record() -> None:
    stall = Stall()
    tasks, manager, _, log = behind(stall)
    reader = tasks.subscribe("r", caller=MAIL)
    tasks.request_suspend_delay("save", nothing, caller=MAIL)
    stall.wait()
    tasks.start_background_running("a", 1, True, caller=MAIL)
    assert tasks.keeps_running(700)
    assert (kinds(tasks), reader.drain(), tasks.last_sequence, log.groups) == ([], [], 0, [])
    stall.go_on()
    assert manager.flush()
    assert kinds(tasks) == ["task_start", "app_task_start", "continuous_start"]
    assert len(reader.drain()) == 3
    check_on_record(tasks, log.groups)


def test_in_batches_readers_are_woken_by_themselves() -> None:
    stall = Stall()
    tasks, _, _, _ = behind(stall)
    told = threading.Event()
    reader = tasks.subscribe("r", caller=MAIL)
    tasks.start_background_running("a", 1, True, caller=MAIL)
    stall.wait()
    assert not reader.pending
    stall.go_on()
    wait_for(lambda: bool(reader.pending))
    assert not told.is_set()
    assert [event.sequence for event in reader.drain()] == [1]


def test_in_batches_what_has_come_since_then_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stall = Stall()
    tasks, manager, _, log = behind()
    flush, me = manager.flush, threading.get_ident()

    def flush_and_go_on(_timeout_ms: int | None = None) -> bool:
        if threading.get_ident() != me:  # the thread of the manager looks too
            return False
        is_settled = flush()
        log.otherwise = stall
        tasks.start_background_running("b", 1, True, caller=MAIL)
        return is_settled

    with monkeypatch.context() as patch:
        patch.setattr(manager, "flush", flush_and_go_on, raising=False)
        tasks.start_background_running("a", 1, True, caller=MAIL)
        tasks._tell_settled()
        assert tasks.last_sequence == 1
    stall.go_on()
    wait_for(lambda: tasks.last_sequence == 2)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_in_batches_a_callback_is_called_when_that_is_on_record(is_cancelled: bool) -> None:
    called: list[int] = []
    tasks, manager, clock, log = behind()
    tasks.request_suspend_delay("save", lambda: called.append(1), caller=MAIL)
    assert manager.flush()
    log.otherwise = stall = Stall()
    clock.set(175_000)
    tasks.advance()
    stall.wait()
    tasks.advance()
    assert called == []
    if is_cancelled:
        tasks.cancel_suspend_delay(1, caller=MAIL)
    stall.go_on()
    assert manager.flush()
    tasks.drain()
    tasks.advance()
    assert called == ([] if is_cancelled else [1])


def test_in_batches_a_log_that_fails_refuses_changes_until_it_has_caught_up() -> None:
    tasks, manager, _, log = behind()
    log.otherwise = refuses
    tasks.set_screen(False)
    tasks.start_background_running("a", 1, True, caller=MAIL)
    assert refusal(manager.flush).code == 9800003
    wait_for(lambda: log_state(manager) == "behind")
    state = tasks.dump()
    assert refusal(lambda: tasks.start_background_running("b", 1, True, caller=MAIL)).code == 9800007
    assert refusal(lambda: tasks.set_battery(True)).code == 9800003
    assert tasks.dump() == state
    assert kinds(tasks) == []
    log.otherwise = ScriptedLog().otherwise
    wait_for(lambda: log_state(manager) == "open")
    tasks.set_battery(True)
    assert manager.flush()
    assert kinds(tasks) == ["continuous_start"]
    check_on_record(tasks, log.groups)


@pytest.mark.parametrize("is_lost", [False, True])
def test_in_batches_the_end_tells_what_is_on_record(is_lost: bool) -> None:
    stall = Stall(conflicts if is_lost else ScriptedLog().otherwise)
    tasks, manager, _, _ = behind(stall)
    tasks.start_background_running("a", 1, True, caller=MAIL)
    stall.wait()
    stall.go_on()
    if is_lost:
        assert refusal(manager.close).code == 9800003
        assert refusal(tasks.drain).code == 9800004
    else:
        manager.close()
        assert kinds(tasks) == ["continuous_start"]


def test_in_batches_the_end_tells_nothing_of_which_the_log_has_not_answered() -> None:
    stall = Stall()
    tasks, manager, _, _ = behind(stall)
    tasks.start_background_running("a", 1, True, caller=MAIL)
    stall.wait()
    assert not manager._close_within(0)
    assert refusal(tasks.drain).code == 9800004
    stall.go_on()


def behind_in_two_groups(then: Any) -> tuple[Tasks, Manager, ScriptedLog]:
    """Have a request in a group that the log has, and a continuous task in one of which it does something else."""
    stall = Stall()
    tasks, manager, _, log = behind(stall)
    tasks.request_suspend_delay("save", nothing, caller=MAIL)
    stall.wait()
    tasks.start_background_running("a", 1, True, caller=MAIL)
    log.otherwise = then
    stall.go_on()
    return tasks, manager, log


@pytest.mark.parametrize("then", [conflicts, refuses, raises_before])
def test_in_batches_the_end_tells_what_is_on_record_when_the_rest_is_lost(then: Any) -> None:
    tasks, manager, log = behind_in_two_groups(then)
    with tasks._alone.lock:  # the thread of the manager tells it no sooner
        assert refusal(lambda: manager._close_within(50)).code == 9800003
    assert kinds(tasks) == ["task_start", "app_task_start"]
    assert refusal(tasks.drain).code == 9800004
    assert list(replay(log.groups).notes()) == [b"tasks/transient", b"tasks/transient/700"]


def test_in_batches_what_is_on_record_is_told_while_the_log_does_not_take_the_rest() -> None:
    tasks, manager, log = behind_in_two_groups(conflicts)
    wait_for(lambda: log_state(manager) == "broken")
    assert kinds(tasks) == ["task_start", "app_task_start"]
    assert kinds(tasks) == []
    assert len(log.groups) == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_in_batches_what_was_written_before_the_end_and_told_after_it_is_not_forgotten(
    is_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, manager, _, log = behind(*([conflicts] if is_lost else []))
    write = manager.write_notes

    def write_and_close(changes: Any) -> None:
        write(changes)
        if is_lost:
            assert refusal(manager.close).code == 9800003
        else:
            manager.close()

    monkeypatch.setattr(manager, "write_notes", write_and_close, raising=False)
    assert tasks.start_background_running("a", 1, True, caller=MAIL) == 1
    if is_lost:
        assert refusal(tasks.drain).code == 9800004
        assert log.groups == []
    else:
        assert kinds(tasks) == ["continuous_start"]
        assert b"tasks/continuous/1" in replay(log.groups).notes()


def test_in_batches_the_end_comes_between_no_change_and_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, manager, _, _ = behind()
    close, found = tasks._queues.close, []

    def look() -> None:
        with in_thread(lambda: tasks._alone.lock.acquire(blocking=False)) as has_it:
            pass
        found.extend(has_it)
        close()

    monkeypatch.setattr(tasks._queues, "close", look)
    manager.close()
    assert found == [False]


# Whose processes have ended.


def start(at: int, *running: tuple[int, int, int], **more: Any) -> Start:
    """Return a machine on which processes run, each by uid, pid and start."""
    there = {pid: (uid, begun) for uid, pid, begun in running}
    return Start(boot_id="00000000-0000-4000-8000-000000000001", boot_ms=at, wall_ms=at, processes=there, **more)


def opened(journal: MemoryJournal, clock: ManualClock, begun: Start, owners: Any = "processes") -> Manager:
    return grantwheel.open(journal, clock=clock, owners=owners, start=begun)


def left(tasks: Tasks) -> tuple[set[tuple[int, int]], list[tuple[int, int]]]:
    """Return whose tasks there are: transient, continuous."""
    return tasks.processes(), [(task.uid, task.pid) for task in tasks.continuous_tasks()]


@pytest.mark.parametrize(
    ("running", "more", "stays"),
    [
        ([(700, 71, 0)], {}, True),
        ([(700, 71, 5_000)], {}, True),
        ([(700, 71, 5_001)], {}, False),  # another one with its number
        ([(701, 71, 0)], {}, False),
        ([(700, 72, 0)], {}, False),
        ([], {"hidden": [71]}, True),
        ([], {"hidden": [72]}, False),
    ],
)
def test_tasks_of_processes_that_have_ended_go_at_the_opening(
    running: list[tuple[int, int, int]], more: dict[str, Any], stays: bool
) -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        tasks = Tasks(manager)
        tasks.set_foreground(900, 91, True)
        clock.set(5_000)
        some(tasks)
    clock.set(6_000)
    with opened(journal, clock, start(6_000, *running, **more)) as manager:
        tasks = Tasks(manager)
        assert left(tasks) == (({(700, 71)}, [(700, 71)]) if stays else (set(), []))
        assert 900 in tasks.apps()  # others of its processes may run
        assert tasks.drain() == []
        check_on_record(tasks, [group for _, group in journal.read(0)])


def test_after_a_boot_all_processes_have_ended() -> None:
    journal, clock = MemoryJournal(), ManualClock(start_ms=1_000)
    with opened(journal, clock, start(1_000)) as manager:
        tasks = Tasks(manager)
        some(tasks)
        tasks.set_foreground(900, 91, True)
        tasks.set_foreground(901, 91, False)
    boot = Start(boot_id="00000000-0000-4000-8000-000000000002", boot_ms=1_000, processes={71: (700, 0), 81: (800, 0)})
    with opened(journal, clock, boot) as manager:
        tasks = Tasks(manager)
        assert left(tasks) == (set(), [])
        assert tasks.apps() == set()  # nobody has left the foreground
        check_on_record(tasks, [group for _, group in journal.read(0)])


@pytest.mark.parametrize(("wall_ms", "most"), [(60_000, 120_000), (-60_000, 180_000)])
def test_after_a_boot_time_goes_on_by_the_calendar_and_never_back(wall_ms: int, most: int) -> None:
    journal, begun = MemoryJournal(), grantwheel.BootClock().now()
    first = Start(boot_id="00000000-0000-4000-8000-000000000001", boot_ms=begun, wall_ms=10**12)
    with grantwheel.open(journal, start=first) as manager:
        assert Tasks(manager).request_suspend_delay("save", nothing, caller=MAIL).requestId == 1
    taken = grantwheel.BootClock().now() - begun
    begun = grantwheel.BootClock().now()
    second = Start(boot_id="00000000-0000-4000-8000-000000000002", boot_ms=begun, wall_ms=10**12 + wall_ms)
    with grantwheel.open(journal, start=second) as manager:
        (left,) = Tasks(manager).transient_task_info(caller=MAIL).transientTasks
        assert left.requestId == 1
        assert most - taken - (grantwheel.BootClock().now() - begun) <= left.actualDelayTime <= most + taken


def test_owners_that_may_be_anything_stay() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        some(Tasks(manager))
    with opened(journal, clock, start(0), owners="any") as manager:
        assert left(Tasks(manager)) == ({(700, 71), (800, 81)}, [(700, 71), (800, 81)])


def test_only_the_first_tasks_of_a_manager_look_at_what_ran_when_it_was_opened() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        some(Tasks(manager))  # by processes that were not there when it was opened; nobody keeps these tasks
        assert len(Tasks(manager).continuous_tasks()) == 2


class Full(MemoryJournal):
    """A journal that has room for so many groups more."""

    room = 10**9

    def append(self, after: int, group: Any) -> int:
        if not self.room:
            raise grantwheel.NotAppended("no room")
        self.room -= 1
        return super().append(after, group)


def test_an_opening_whose_journal_is_full_has_its_grants_and_drops_tasks_when_they_are_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal, clock = Full(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        some(Tasks(manager))
        manager.apply(700, 71, int(TIMER), 60_000)  # which an app keeps
    journal.room = 1  # for the group of the opening itself
    with opened(journal, clock, start(0)) as manager:
        assert "are on record still" in caplog.text
        assert manager.app_mask(700) == TIMER
        assert refusal(lambda: Tasks(manager)).code == 9800003
        assert refusal(lambda: manager.process_died(700, 71)).code == 9800003
        journal.room = 10**9
        assert left(Tasks(manager)) == (set(), [])


def test_an_opening_that_nobody_makes_tasks_of_drops_those_of_processes_that_have_ended() -> None:
    journal, clock = MemoryJournal(), ManualClock(start_ms=1_000)
    with opened(journal, clock, start(1_000)) as manager:
        some(Tasks(manager))
    boot_id = "00000000-0000-4000-8000-000000000002"
    with opened(journal, clock, Start(boot_id=boot_id, boot_ms=500)):
        pass
    again = {71: (700, 100), 81: (800, 100)}  # others, which have the same numbers
    clock.set(2_000)
    with opened(journal, clock, Start(boot_id=boot_id, boot_ms=1_500, processes=again)) as manager:
        assert left(Tasks(manager)) == (set(), [])
        check_on_record(Tasks(manager), [group for _, group in journal.read(0)])


# Before there are `Tasks`.

DEATHS: Final[dict[str, Callable[[Manager], object]]] = {
    "a process": lambda manager: manager.process_died(700, 71),
    "the process in the foreground": lambda manager: manager.process_died(800, 81),
    "another process": lambda manager: manager.process_died(700, 72),
    "an app": lambda manager: manager.app_stopped(700),
    "a package": lambda manager: manager.package_removed(700),
    "another app": lambda manager: manager.app_stopped(600),
}


@pytest.mark.parametrize("owners", ["any", "processes"])
@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_a_death_that_is_told_before_tasks_are_made_counts_as_one_that_is_told_to_them(
    death: Callable[[Manager], object], owners: str
) -> None:
    dumps = []
    for comes_first in (True, False):
        journal, clock = MemoryJournal(), ManualClock()
        with opened(journal, clock, start(0), owners) as manager:
            tasks = Tasks(manager)
            tasks.request_suspend_delay("brief", nothing, caller=MAIL, name="1")
            clock.set(1_000)
            tasks.request_suspend_delay("save", nothing, caller=MAIL, name="2")
            tasks.request_suspend_delay("load", nothing, caller=MAPS, name="3")
            clock.set(2_000)
            tasks.set_foreground(800, 81, True)
            tasks.start_background_running("Main", 1, True, caller=MAIL)
        clock.set(3_000)
        with opened(journal, clock, start(3_000, (700, 71, 0), (800, 81, 0)), owners) as manager:
            clock.set(9_000)
            if comes_first:
                death(manager)
            tasks = Tasks(manager)
            if not comes_first:
                death(manager)
            check_on_record(tasks, [group for _, group in journal.read(0)])
            dumps.append(tasks.dump())
    assert dumps[0] == dumps[1]


def test_a_death_that_is_told_before_tasks_are_made_is_on_record() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        some(Tasks(manager))
    begun = start(0, (700, 71, 0), (800, 81, 0))
    with opened(journal, clock, begun) as manager:
        manager.app_stopped(700)
    with opened(journal, clock, begun) as manager:
        assert left(Tasks(manager)) == ({(800, 81)}, [(800, 81)])


def test_before_tasks_are_made_nothing_happens_that_is_due() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        tasks = Tasks(manager)
        tasks.request_suspend_delay("save", nothing, caller=MAIL)
        tasks.request_suspend_delay("load", print, caller=MAPS)
    clock.set(1_000_000)
    with opened(journal, clock, start(1_000_000, (700, 71, 0), (800, 81, 0))) as manager:
        manager.process_died(700, 71)
        tasks = Tasks(manager)
        tasks.advance()
        assert [(event.time, str(event.kind), event.uid) for event in tasks.drain()] == [
            (174_000, "expired_callback", 800),
            (180_000, "task_end", 800),
            (180_000, "app_task_end", 800),
        ]
        # Who has died is charged for no longer than until the end that it would have come to.
        assert tasks.transient_task_info(caller=MAIL).remainingQuota == 420_000


def test_before_tasks_are_made_their_figures_are_not_known() -> None:
    journal, clock, figures = MemoryJournal(), ManualClock(), TransientFigures(quota_ms=600_010)
    with opened(journal, clock, start(0)) as manager:
        Tasks(manager, figures=figures).request_suspend_delay("save", nothing, caller=MAIL)
        clock.set(10)
    with opened(journal, clock, start(10)) as manager:
        tasks = Tasks(manager, figures=figures)
        assert left(tasks) == (set(), [])
        assert tasks.transient_task_info(caller=MAIL).remainingQuota == 600_000  # all that others have


def test_what_cannot_be_read_keeps_nobody_from_dropping_the_rest() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    damage = {b"tasks/scheduled/1": b"{}", b"tasks/transient/900": b"[" * 60_000, b"tasks/continuous/9+1": b"}"}
    with opened(journal, clock, start(0)) as manager:
        some(Tasks(manager))
        manager.write_notes(damage)
    with opened(journal, clock, start(0, (700, 71, 0))) as manager:
        manager.app_stopped(700)
        assert refusal(lambda: Tasks(manager)).code == 9800002
        assert {**manager.notes(), **damage} == manager.notes()
        manager.write_notes(dict.fromkeys(damage))
        assert left(Tasks(manager)) == (set(), [])


def test_a_death_that_has_waited_for_tasks_to_be_made_goes_to_them() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        some(Tasks(manager))
    with opened(journal, clock, start(0, (700, 71, 0), (800, 81, 0))) as manager:
        waiting = manager._mourner()
        assert waiting is not None
        tasks = Tasks(manager)
        waiting._process_died(700, 71)
        waiting._app_stopped(800)
        assert left(tasks) == (set(), [(700, 71)])
        assert "task_end" in kinds(tasks)
        waiting._package_removed(700)
        assert left(tasks) == (set(), [])
        check_on_record(tasks, [group for _, group in journal.read(0)])


def test_a_log_that_tells_deaths_before_tasks_are_made_is_refused() -> None:
    found: list[str] = []

    class Meddling(MemoryJournal):
        manager: Manager | None = None

        def append(self, after: int, group: Any) -> int:
            if self.manager is not None:
                try:
                    self.manager.process_died(5, 5)  # of which nothing is known, so that the manager has nothing to do
                except RuntimeError as error:
                    found.append(str(error))
            return super().append(after, group)

    journal, clock = Meddling(), ManualClock()
    with opened(journal, clock, start(0)) as manager:
        some(Tasks(manager))
    with opened(journal, clock, start(0, (700, 71, 0))) as manager:
        journal.manager = manager
        manager.app_stopped(700)
        journal.manager = None
        assert set(found) == {"the log of a manager cannot wait for itself"}
        assert left(Tasks(manager)) == (set(), [])


def test_an_opening_without_tasks_loads_nothing_of_them(tmp_path: Path) -> None:
    code = (
        "import sys, grantwheel\n"
        f"with grantwheel.open({str(tmp_path / 'grants.db')!r}, owners='processes') as manager:\n"
        "    manager.write_notes({b'other': b'note'})\n"
        "    manager.app_stopped(700)\n"
        "    print([name for name in sys.modules if name.startswith('grantwheel.tasks')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
