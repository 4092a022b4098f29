"""Calls of tasks that are made together: one entry of the log, or each for itself where that is refused."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from grantwheel import BusinessError, MemoryLog, Tasks
from interrupting import at_each_instruction
from journals import ScriptedLog, Stall, in_thread, raises_after, refuses
from support import make_manager
from task_stage import Stubborn
from test_tasks_on_record import MAIL, MAPS, check_on_record, kinds, on_log
from waiting import PATIENCE


def starts(tasks: Tasks, *names: str) -> list[Callable[[], int]]:
    return [lambda name=name: tasks.start_background_running(name, 1, True, caller=MAIL) for name in names]  # type: ignore[misc]


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_calls_of_both_kinds_are_one_entry_of_the_log_and_answered_in_their_order(durability: Any) -> None:
    log = ScriptedLog()
    tasks, manager, _ = on_log(log, durability=durability)
    called: list[int] = []
    answers = tasks.together(
        [
            lambda: tasks.request_suspend_delay("save", called.clear, caller=MAIL),
            *starts(tasks, "a", "b", "a"),
            lambda: tasks.set_battery(True),
            lambda: tasks.request_suspend_delay("load", called.clear, caller=MAIL),
            lambda: tasks.request_suspend_delay("load", print, caller=MAPS),
            lambda: tasks.cancel_suspend_delay(1, caller=MAIL),
            lambda: tasks.keeps_running(800),
        ]
    )
    codes = [answer.code if isinstance(answer, BusinessError) else answer for answer in answers]
    assert codes == [(1, 180_000), 1, 2, 9800005, None, 9900002, (2, 60_000), None, True]
    manager.flush()
    assert len(log.groups) == 1
    starting, ending = ["task_start", "app_task_start"], ["task_end", "app_task_end"]
    assert kinds(tasks) == [*starting, "continuous_start", "continuous_start", *starting, *ending]
    check_on_record(tasks, log.groups)
    assert tasks.request_suspend_delay("again", called.clear, caller=MAIL).requestId == 3


def test_in_batches_nothing_is_told_before_it_is_on_record() -> None:
    stall = Stall()
    tasks, manager, _ = on_log(ScriptedLog(stall), durability="batch")
    assert tasks.together(starts(tasks, "a", "b")) == [1, 2]
    stall.wait()
    assert kinds(tasks) == []
    stall.go_on()
    manager.flush()
    assert kinds(tasks) == ["continuous_start"] * 2


def test_nobody_sees_them_before_they_are_on_record() -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    tasks, _, _ = on_log(log)
    with in_thread(lambda: tasks.together(starts(tasks, "a", "b"))) as first:
        stall.wait()
        assert tasks.last_sequence == 0
        with in_thread(lambda: tasks.keeps_running(700)) as second:
            stall.go_on()
    assert (first, second) == ([[1, 2]], [True])
    check_on_record(tasks, log.groups)


def test_a_log_that_refuses_them_refuses_each_and_nothing_has_changed() -> None:
    log, called = ScriptedLog(), list[int]()
    tasks, _, clock = on_log(log)
    tasks.request_suspend_delay("save", lambda: called.append(1), caller=MAIL)
    clock.set(175_000)
    log.otherwise = refuses
    state, told = tasks.dump(), tasks.last_sequence
    answers = tasks.together(
        [
            *starts(tasks, "a"),
            lambda: tasks.request_suspend_delay("", print, caller=MAPS),
            lambda: tasks.cancel_suspend_delay(1, caller=MAIL),
            lambda: tasks.start_background_running("a", 77, True, caller=MAIL),
        ]
    )
    assert [answer.code for answer in answers if isinstance(answer, BusinessError)] == [9800007, 9800003, 9800003, 401]
    assert (tasks.dump(), tasks.last_sequence) == (state, told)
    log.otherwise = ScriptedLog().otherwise
    tasks.advance()
    assert called == [1]  # it was not cancelled
    assert tasks.request_suspend_delay("", print, caller=MAPS).requestId == 2
    check_on_record(tasks, log.groups)


def test_what_there_is_no_room_for_takes_no_other_along() -> None:
    manager, _ = make_manager(log=MemoryLog())
    tasks = Tasks(manager)
    tasks.start_background_running("a", 1, True, caller=MAIL)
    manager.write_notes({b"%08d" % number: bytes(2**16 - 8) for number in range(255)})
    free = 2**24 - sum(len(key) + len(value) for key, value in manager.notes().items())
    manager.write_notes({b"rest": bytes(free - 4)})
    answers = tasks.together([*starts(tasks, "b"), lambda: tasks.update_background_running("a", 2, caller=MAIL)])
    assert isinstance(answers[0], BusinessError)
    assert (answers[0].code, answers[1]) == (9800007, None)
    assert [task.modes for task in tasks.continuous_tasks()] == [(2,)]


def test_a_closed_manager_refuses_each() -> None:
    manager, _ = make_manager()
    tasks = Tasks(manager)
    manager.close()
    assert [getattr(answer, "code", None) for answer in tasks.together(starts(tasks, "a", "b"))] == [9800004] * 2


def test_a_store_of_ones_own_that_raises_has_refused() -> None:
    store = Stubborn()
    tasks = Tasks(make_manager()[0], store=store)
    store.refuses = True
    assert [getattr(answer, "code", None) for answer in tasks.together(starts(tasks, "a", "b"))] == [9800007] * 2
    store.refuses = False
    assert tasks.together(starts(tasks, "a", "b")) == [1, 2]
    assert len(store.writes) == 1


def test_they_make_none_together_themselves() -> None:
    tasks = Tasks(make_manager()[0])
    calls = starts(tasks, "a", "b")
    first, second = tasks.together([lambda: tasks.together(calls), calls[0]])
    assert isinstance(first, RuntimeError)
    assert second == 1


class Rang(Exception):
    """What a signal handler raises."""


def ring(*_: object) -> None:
    raise Rang


@pytest.mark.parametrize("is_there", [True, False])
def test_a_signal_handler_that_raises_meanwhile_leaves_what_is_on_record(is_there: bool) -> None:
    stall = Stall(ScriptedLog().otherwise if is_there else refuses)
    log = ScriptedLog(stall)
    tasks, _, _ = on_log(log)

    def interrupt_it() -> None:
        stall.wait()
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        waker = threading.Thread(target=interrupt_it)
        waker.start()
        with pytest.raises(Rang):
            tasks.together([*starts(tasks, "a"), lambda: tasks.request_suspend_delay("", print, caller=MAIL)])
        waker.join(PATIENCE)
        stall.go_on()
        tasks.set_battery(True)
        check_on_record(tasks, log.groups)
        told = ["continuous_start", "task_start", "app_task_start"]
        assert kinds(tasks) == (told if is_there else [])
        assert tasks.request_suspend_delay("", print, caller=MAPS).requestId == (2 if is_there else 1)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_append_of_which_nobody_knows_is_answered_when_the_log_says() -> None:
    log = ScriptedLog(raises_after, lost=2)
    tasks, _, _ = on_log(log)
    assert tasks.together(starts(tasks, "a", "b")) == [1, 2]
    check_on_record(tasks, log.groups)


def interrupt() -> None:
    """Do what Ctrl-C does before events are told, but not where a block ends: there CPython looks for no signals."""
    frame = sys._getframe(2)
    if frame.f_code.co_qualname in ("Alone.do", "TiedTasks._do_together"):
        return
    while frame.f_code.co_qualname != "TiedTasks._take_all":
        if frame.f_back is None:
            raise KeyboardInterrupt
        frame = frame.f_back


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in generators that are closed
def test_an_interrupt_at_any_instruction_leaves_them_as_the_store_has_them() -> None:
    store = Stubborn()
    manager = make_manager()[0]
    tasks = Tasks(manager, store=store)
    calls = [*starts(tasks, "a"), lambda: tasks.set_battery(True)]
    for where in at_each_instruction(interrupt, lambda: tasks.together(calls)):
        assert {**tasks.dump(), **dict(store.items())} == tasks.dump(), where
        with in_thread(lambda: tasks.keeps_running(700)) as found:
            pass
        assert found == [bool(tasks.continuous_tasks())], where
        assert kinds(tasks) == ["continuous_start"] * len(tasks.continuous_tasks()), where
        manager.package_removed(700)
        tasks.set_battery(False)
        tasks.drain()
