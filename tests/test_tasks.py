"""The tasks of a manager: its clock, its readiness, its deaths, its thread, and who hears of them.

A real clock is read where the thread of a manager is to drive by itself; the figures are small then.
"""

import gc
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import grantwheel
from forking import in_child
from grantwheel import (
    Ability,
    BackgroundMode,
    Caller,
    Manager,
    ManualClock,
    Policy,
    TaskPolicy,
    Tasks,
    TransientFigures,
    processes,
)
from grantwheel.tasks.queue import EventQueue
from grantwheel.tasks.tasks import tasks_of
from interrupting import at_each_instruction
from support import refusal
from task_stage import Stubborn
from waiting import loop_threads, wait_for

MAIL = Caller(uid=700, pid=71, bundle="org.tide.mail", native=True)
MAPS = Caller(uid=800, pid=81, bundle="org.tide.maps")
QUICK = TransientFigures(request_ms=60, low_battery_ms=50, quota_ms=400, least_quota_ms=30, notice_ms=20, forced_ms=20)


def make(**more: Any) -> tuple[Tasks, Manager, ManualClock]:
    clock = ManualClock(start_ms=0)
    manager = Manager(clock=clock)
    return Tasks(manager, **more), manager, clock


def nothing() -> None:
    pass


def kinds(events: list[grantwheel.TaskEvent]) -> list[str]:
    return [str(event.kind) for event in events]


# What they have of their manager.


def test_the_clock_of_the_manager_counts() -> None:
    tasks, _, clock = make()
    assert tasks.next_deadline() is None
    clock.advance(1_000)
    assert tasks.request_suspend_delay("save", nothing, caller=MAIL) == (1, 180_000)
    assert tasks.next_deadline() == 175_000
    clock.advance(60_000)
    assert tasks.remaining_delay_time(1, caller=MAIL) == 120_000
    assert tasks.transient_task_info(caller=MAIL) == (540_000, [(1, 120_000)])
    tasks.cancel_suspend_delay(1, caller=MAIL)
    assert [(event.sequence, event.time, event.kind, event.id) for event in tasks.drain()] == [
        (1, 1_000, "task_start", 1),
        (2, 1_000, "app_task_start", 0),
        (3, 61_000, "task_end", 1),
        (4, 61_000, "app_task_end", 0),
    ]


def test_the_readiness_of_the_manager_counts() -> None:
    tasks, manager, _ = make()
    manager.ready = False
    calls: list[tuple[Callable[[], object], int]] = [
        (lambda: tasks.request_suspend_delay("", nothing, caller=MAIL), 980000401),
        (lambda: tasks.cancel_suspend_delay(1, caller=MAIL), 980000401),
        (lambda: tasks.remaining_delay_time(1, caller=MAIL), 980000401),
        (lambda: tasks.transient_task_info(caller=MAIL), 990000401),
        (lambda: tasks.start_background_running("a", 1, True, caller=MAIL), 980000401),
        (lambda: tasks.update_background_running("a", 1, caller=MAIL), 980000401),
        (lambda: tasks.stop_background_running("a", caller=MAIL), 980000401),
    ]
    for call, detail in calls:
        assert refusal(call).detail == detail
    tasks.set_foreground(700, 71, True)
    tasks.set_screen(False)
    tasks.set_battery(True)
    manager.process_died(700, 71)
    manager.ready = True
    assert tasks.request_suspend_delay("", nothing, caller=MAIL).actualDelayTime == 60_000


def test_a_closed_manager_refuses_and_its_events_are_there_to_be_read() -> None:
    tasks, manager, _ = make()
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    reader = tasks.subscribe("r", caller=MAIL)
    tasks.cancel_suspend_delay(1, caller=MAIL)
    descriptor = reader.fileno()
    manager.close()
    calls: list[Callable[[], object]] = [
        lambda: tasks.request_suspend_delay("", nothing, caller=MAIL),
        lambda: tasks.start_background_running("a", 1, True, caller=MAIL),
        tasks.continuous_tasks,
        lambda: tasks.set_screen(True),
        tasks.advance,
        tasks.next_deadline,
        tasks.dump,
        lambda: tasks.subscribe("s", caller=MAIL),
        lambda: Tasks(manager),
    ]
    for call in calls:
        assert refusal(call).detail == 980000402
    error = refusal(lambda: tasks.transient_task_info(caller=MAIL))
    assert (error.code, error.detail) == (9900004, 990000402)
    assert reader.pending == 2
    assert kinds(reader.drain(1)) == ["task_end"]
    assert kinds(reader.drain()) == ["app_task_end"]
    assert select.select([descriptor], [], [], 0)[0]
    assert len(tasks.drain()) == 4
    for read in (reader.drain, tasks.drain, lambda: reader.pending):
        assert refusal(read).detail == 980000402


def test_the_manager_tells_deaths() -> None:
    tasks, manager, _ = make()
    for callback, pid in ((nothing, 71), (print, 72)):
        tasks.request_suspend_delay("", callback, caller=Caller(uid=700, pid=pid, bundle="b"))
    tasks.start_background_running("a", 1, True, caller=MAIL)
    manager.apply(700, 71, 1, 1_000, process=True)
    tasks.drain()
    assert manager.process_died(700, 71) == 1
    assert kinds(tasks.drain()) == ["task_end"]
    assert tasks.keeps_running(700)
    assert manager.app_stopped(700) == 0
    assert kinds(tasks.drain()) == ["task_end", "app_task_end", "continuous_stop", "continuous_app_stop"]
    assert not tasks.keeps_running(700)
    tasks.start_background_running("a", 1, True, caller=MAIL)
    assert tasks.keeps_running(700)
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    tasks.drain()
    manager.package_removed(700)
    assert kinds(tasks.drain()) == ["task_end", "app_task_end", "continuous_stop", "continuous_app_stop"]


def test_a_death_that_is_refused_is_told_to_nobody() -> None:
    tasks, manager, _ = make()
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    assert refusal(lambda: manager.process_died(700, -1)).code == 18700001
    assert tasks.keeps_running(700)


def test_the_end_of_a_watched_process_ends_its_tasks() -> None:
    with Manager() as manager:
        tasks = Tasks(manager)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            who = Caller(uid=os.getuid(), pid=child.pid, bundle="b")
            tasks.request_suspend_delay("", nothing, caller=who)
            tasks.start_background_running("a", 1, True, caller=who)
            processes.watch(manager, child.pid)
            child.communicate(b"\n")
            wait_for(lambda: not tasks.keeps_running(who.uid))
        finally:
            child.kill()
            child.wait()


def test_a_manager_has_tasks_once() -> None:
    tasks, manager, _ = make()
    assert tasks_of(manager) is tasks
    with pytest.raises(ValueError, match="has tasks already"):
        Tasks(manager)
    assert tasks_of(Manager()) is None


def test_they_go_with_their_last_reference_and_take_nothing_along() -> None:
    manager = Manager()
    gc.collect()
    gc.disable()
    try:
        tasks: Tasks | None = Tasks(manager)
        assert tasks is not None
        tasks.request_suspend_delay("", nothing)
        gone = weakref.ref(tasks)
        tasks = None
        assert gone() is None
    finally:
        gc.enable()
    assert tasks_of(manager) is None
    manager.process_died(700, 71)
    Tasks(manager).request_suspend_delay("", nothing)
    manager.close()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"manager": ManualClock()}, TypeError, "manager must be a Manager, not ManualClock"),
        ({"policy": Policy()}, TypeError, "policy must be a TaskPolicy, not Policy"),
        ({"max_records": 0}, ValueError, "max_records must be within 1..2^31-1, not 0"),
        ({"event_capacity": 0}, ValueError, "event_capacity must be within 1..2^31-1, not 0"),
    ],
)
def test_what_tasks_cannot_be_made_of(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    manager = Manager(clock=ManualClock())
    with pytest.raises(error, match=said.replace("^", "\\^")):
        Tasks(**{"manager": manager, **arguments})
    Tasks(manager)  # it has none


# Who calls, and with what.


def test_this_process_calls_if_nobody_is_named() -> None:
    tasks, manager, _ = make()
    tasks.request_suspend_delay("", nothing)
    tasks.start_background_running("a", 1, True)
    first, *_, last = tasks.drain()
    assert (first.uid, first.pid, first.bundle) == (os.getuid(), os.getpid(), f"uid.{os.getuid()}")
    assert (last.uid, last.pid, last.bundle) == (os.getuid(), os.getpid(), f"uid.{os.getuid()}")
    manager.set_policy(Policy(callers={os.getuid(): Caller(bundle="org.tide.rest", keep_background_running=False)}))
    assert refusal(lambda: tasks.start_background_running("b", 1, True)).code == 201
    assert refusal(lambda: tasks.cancel_suspend_delay(1)).detail == 990000103  # it has another bundle now
    tasks.request_suspend_delay("", print)
    assert tasks.drain()[0].bundle == "org.tide.rest"


def test_the_policy_of_the_manager_says_which_bundles_there_are() -> None:
    tasks, manager, _ = make()
    manager.set_policy(Policy(unknown_bundles=[MAIL.bundle]))
    assert refusal(lambda: tasks.request_suspend_delay("", nothing, caller=MAIL)).detail == 990000102
    assert tasks.request_suspend_delay("", nothing, caller=MAPS).requestId == 1


async def later() -> None:
    pass


class Later:
    """A callable of which nobody can see that it is asynchronous."""

    def __call__(self) -> object:
        return later()


BAD_ARGUMENTS: list[tuple[str, tuple[Any, ...], int]] = [
    ("request_suspend_delay", (), 9800401),
    ("request_suspend_delay", ("",), 9800401),
    ("request_suspend_delay", ("", nothing, 1), 9800401),
    ("request_suspend_delay", (b"", nothing), 9800402),
    ("request_suspend_delay", ("x" * 1025, nothing), 9800402),
    ("request_suspend_delay", ("", "nothing"), 9800403),
    ("request_suspend_delay", ("", later), 9800403),
    ("request_suspend_delay", (1, 1), 9800402),
    ("cancel_suspend_delay", (), 9800401),
    ("cancel_suspend_delay", (1, 2), 9800401),
    ("cancel_suspend_delay", ("1",), 9800404),
    ("cancel_suspend_delay", (True,), 9800404),
    ("cancel_suspend_delay", (1.5,), 9800404),
    ("cancel_suspend_delay", (0,), 9800405),
    ("remaining_delay_time", (None,), 9800404),
    ("remaining_delay_time", (-1,), 9800405),
    ("transient_task_info", (1,), 9800401),
    ("start_background_running", ("a", 1), 9800401),
    ("start_background_running", ("a", 1, True, 1), 9800401),
    ("update_background_running", ("a",), 9800401),
    ("stop_background_running", (), 9800401),
]


@pytest.mark.parametrize(("name", "args", "detail"), BAD_ARGUMENTS)
def test_arguments_that_are_none(name: str, args: tuple[Any, ...], detail: int) -> None:
    tasks, manager, _ = make()
    manager.ready = False
    error = refusal(lambda: getattr(tasks, name)(*args, caller=Caller()))
    assert (error.code, error.detail) == (401, detail)
    assert error.message.startswith("Parameter error. ")
    assert error.message.endswith(".")


def test_a_reason_may_be_long_and_empty_and_must_be_utf_8() -> None:
    tasks, _, _ = make()
    tasks.request_suspend_delay("é" * 512, nothing, caller=MAIL)
    tasks.request_suspend_delay("", print, caller=MAIL)
    error = refusal(lambda: tasks.request_suspend_delay("\ud800", len, caller=MAIL))
    assert (error.code, error.detail) == (9900003, 990000301)


def test_the_task_policy_is_read_at_each_call() -> None:
    tasks, _, _ = make(policy=TaskPolicy(abilities={"org.tide.mail": {"Main": [1, BackgroundMode.TASK_KEEPING]}}))
    assert tasks.start_background_running("Main", 1, "agent", caller=MAIL) == 1
    assert refusal(lambda: tasks.update_background_running("Main", 9, caller=MAIL)).detail == 980000503
    assert refusal(lambda: tasks.update_background_running("Main", 2, caller=MAIL)).detail == 980000504
    assert refusal(lambda: tasks.start_background_running("Main", 1, "", caller=MAPS)).detail == 980000504
    tasks.set_policy(TaskPolicy(abilities={"org.tide.mail": {"Main": [9]}}, task_keeping=True))
    tasks.update_background_running("Main", [9], caller=MAIL)
    assert tasks.continuous_tasks() == tasks.continuous_tasks(700)
    (task,) = tasks.continuous_tasks()
    assert (task.ability, task.modes) == (Ability("Main"), (BackgroundMode.TASK_KEEPING,))
    with pytest.raises(TypeError, match="policy must be a TaskPolicy"):
        tasks.set_policy(None)  # type: ignore[arg-type]
    assert tasks.policy.task_keeping


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"task_keeping": 1}, TypeError, "task_keeping must be a bool"),
        ({"abilities": []}, TypeError, "abilities must be a mapping"),
        ({"abilities": {1: {}}}, TypeError, "a key of abilities must be a str"),
        ({"abilities": {"b": []}}, TypeError, r"abilities\['b'\] must be a mapping"),
        ({"abilities": {"b": {1: []}}}, TypeError, r"a key of abilities\['b'\] must be a str"),
        ({"abilities": {"b": {"a": 1}}}, TypeError, r"abilities\['b'\]\['a'\] must be an iterable"),
        ({"abilities": {"b": {"a": ["1"]}}}, TypeError, r"abilities\['b'\]\['a'\] must be of modes, not of str"),
        ({"abilities": {"b": {"a": [10]}}}, ValueError, r"abilities\['b'\]\['a'\] must be of modes within 1..9"),
    ],
)
def test_what_is_no_task_policy(fields: Mapping[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        TaskPolicy(**fields)


def test_a_task_policy_is_a_copy() -> None:
    given = {"b": {"a": [1]}}
    policy = TaskPolicy(abilities=given)
    given["b"]["a"].append(2)
    given["c"] = {}
    assert policy.abilities == {"b": {"a": frozenset({1})}}


# Callbacks of requests.


def test_a_callback_is_called_once_when_time_is_nearly_over() -> None:
    tasks, _, clock = make()
    calls: list[int] = []
    tasks.request_suspend_delay("", lambda: calls.append(clock.now()), caller=MAIL)
    clock.set(173_999)
    tasks.advance()
    assert calls == []
    clock.set(174_000)
    tasks.advance()
    tasks.advance()
    clock.set(180_000)
    tasks.advance()
    assert calls == [174_000]


def test_a_callback_may_cancel_and_ask_anew() -> None:
    tasks, _, clock = make()

    def callback() -> None:
        tasks.cancel_suspend_delay(1, caller=MAIL)
        tasks.request_suspend_delay("", callback, caller=MAIL)

    tasks.request_suspend_delay("", callback, caller=MAIL)
    clock.set(174_000)
    tasks.advance()
    assert tasks.transient_task_info(caller=MAIL).transientTasks == [(2, 180_000)]


def test_other_calls_call_nobody_and_advance_does_then() -> None:
    tasks, _, clock = make()
    calls: list[str] = []
    tasks.request_suspend_delay("", lambda: calls.append("a"), caller=MAIL)
    tasks.request_suspend_delay("", lambda: calls.append("b"), caller=MAPS)
    clock.set(190_000)
    assert tasks.transient_task_info(caller=MAIL) == (420_000, [])
    assert calls == []
    tasks.advance()  # late is not never
    assert calls == ["a", "b"]


def test_a_request_that_is_cancelled_before_anybody_has_called_is_not_told() -> None:
    tasks, _, clock = make()
    calls: list[str] = []
    tasks.request_suspend_delay("", lambda: calls.append("a"), caller=MAIL)
    clock.set(175_000)
    assert tasks.remaining_delay_time(1, caller=MAIL) == 5_000
    tasks.cancel_suspend_delay(1, caller=MAIL)
    tasks.advance()
    assert calls == []


def test_a_callback_that_raises_is_logged_and_the_others_are_called(caplog: pytest.LogCaptureFixture) -> None:
    tasks, _, clock = make()
    calls: list[str] = []

    def fails() -> None:
        raise OSError("no disk")

    for callback in (fails, Later(), lambda: calls.append("last")):
        tasks.request_suspend_delay("", callback, caller=MAIL)
    clock.set(174_000)
    tasks.advance()
    assert calls == ["last"]
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    assert "no disk" in caplog.text
    assert "the callback is asynchronous" in caplog.text


def test_callbacks_are_told_apart_by_equality_or_by_a_name() -> None:
    tasks, _, _ = make()
    numbers: list[int] = []
    tasks.request_suspend_delay("", numbers.clear, caller=MAIL)
    assert refusal(lambda: tasks.request_suspend_delay("", numbers.clear, caller=MAPS)).detail == 990000202
    tasks.request_suspend_delay("", [].clear, caller=MAIL)
    tasks.request_suspend_delay("", lambda: None, caller=MAPS, name="one")
    again: Callable[[], object] = lambda: tasks.request_suspend_delay("", nothing, caller=MAPS, name="one")  # noqa: E731
    assert refusal(again).detail == 990000202
    tasks.cancel_suspend_delay(3, caller=MAPS)
    again()
    tasks.cancel_suspend_delay(1, caller=MAIL)
    tasks.request_suspend_delay("", numbers.clear, caller=MAPS)


def test_a_callback_without_a_hash() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self) -> None:
            pass

    tasks, _, _ = make()
    odd = Odd()
    tasks.request_suspend_delay("", odd, caller=MAIL)
    assert refusal(lambda: tasks.request_suspend_delay("", odd, caller=MAIL)).detail == 990000202
    tasks.request_suspend_delay("", Odd(), caller=MAIL)


# The thread of the manager.


def test_the_thread_of_the_manager_drives_them() -> None:
    called = threading.Event()
    with Manager() as manager:
        tasks = Tasks(manager, figures=QUICK)
        tasks.request_suspend_delay("", called.set)
        assert called.wait(30)
        wait_for(lambda: tasks._own.pending(manager) == 5)
        assert kinds(tasks.drain())[2:] == ["expired_callback", "task_end", "app_task_end"]
        wait_for(lambda: not loop_threads())  # nothing is due


def test_a_request_that_is_cancelled_needs_no_thread() -> None:
    with Manager() as manager:
        tasks = Tasks(manager)
        granted = tasks.request_suspend_delay("", nothing)
        assert loop_threads()
        tasks.cancel_suspend_delay(granted.requestId)
        wait_for(lambda: not loop_threads())


def test_what_the_store_refuses_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store = Stubborn()
    called = threading.Event()
    with Manager() as manager:
        tasks = Tasks(manager, figures=QUICK, store=store)
        tasks.request_suspend_delay("", called.set)
        store.refuses = True
        wait_for(lambda: bool(caplog.records))
        assert not called.is_set()
        store.refuses = False
        assert called.wait(30)


class Clock:
    """A clock that wakes nobody."""

    now_ms = 0

    def now(self) -> int:
        return self.now_ms


def test_a_callback_that_another_call_has_come_upon_is_called_though_nothing_else_is_due() -> None:
    clock, called = Clock(), threading.Event()
    with Manager(clock=clock) as manager:
        tasks = Tasks(manager)
        tasks.request_suspend_delay("", called.set)
        clock.now_ms = 190_000
        assert tasks.transient_task_info().transientTasks == []
        assert called.wait(30)


def test_a_clock_in_python_is_looked_at_again_and_again() -> None:
    clock, called = Clock(), threading.Event()
    with Manager(clock=clock) as manager:
        tasks = Tasks(manager)
        tasks.request_suspend_delay("", called.set)
        clock.now_ms = 174_000  # nothing wakes anybody now
        assert called.wait(30)


def test_without_a_thread_it_is_logged_and_done_by_hand(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Manager() as manager:
        tasks = Tasks(manager)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        tasks.request_suspend_delay("", nothing)
        assert "are not driven by themselves" in caplog.text
        tasks.advance()


def test_many_threads_ask_at_once() -> None:
    tasks, manager, _ = make()
    failures: list[BaseException] = []

    def work(uid: int) -> None:
        try:
            for number in range(60):
                who = Caller(uid=uid, pid=number, bundle="b")
                granted = tasks.request_suspend_delay("", object.__init__, caller=who, name=f"{uid} {number}")
                tasks.set_foreground(uid, number, number % 2 == 0)
                assert tasks.remaining_delay_time(granted.requestId, caller=who) == 180_000
                if number % 3:
                    tasks.cancel_suspend_delay(granted.requestId, caller=who)
                else:
                    manager.process_died(uid, number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(uid,)) for uid in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    events = tasks.drain()
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert sorted(event.id for event in events if event.kind == "task_end") == list(range(1, 481))


def test_a_call_from_within_a_call_is_refused() -> None:
    class Meddling(Stubborn):
        tasks: Tasks

        def write(self, changes: Mapping[str, bytes | None], /) -> None:
            self.tasks.keeps_running(700)
            super().write(changes)

    store = Meddling()
    store.tasks, _, _ = make(store=store)
    error = refusal(lambda: store.tasks.set_battery(True))
    assert error.code == 9800003
    assert isinstance(error.__cause__, RuntimeError)
    assert not store.tasks.keeps_running(700)


def test_an_interrupt_leaves_them_usable() -> None:
    store = Stubborn()
    tasks, _, _ = make(store=store)
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    store.interrupts = "after"
    with pytest.raises(KeyboardInterrupt):
        tasks.cancel_suspend_delay(1, caller=MAIL)
    assert tasks.transient_task_info(caller=MAIL).transientTasks == []
    assert tasks.request_suspend_delay("", nothing, caller=MAIL).requestId == 2
    assert tasks.dump() == {"continuous": b'{"next_id":1}', **dict(store.items())}


def require_usable(tasks: Tasks, store: Stubborn) -> None:
    """Check that they have what the store has, also for another thread."""
    assert {**tasks.dump(), **dict(store.items())} == tasks.dump()
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(tasks.keeps_running(700)))
    thread.start()
    thread.join(30)
    assert found == [bool(tasks.transient_task_info(caller=MAIL).transientTasks)]
    for request in tasks.transient_task_info(caller=MAIL).transientTasks:
        tasks.cancel_suspend_delay(request.requestId, caller=MAIL)


def interrupt() -> None:
    """Do what Ctrl-C does, but not where a block ends: there CPython looks for no signals, and tracing does."""
    if sys._getframe(2).f_code.co_qualname != "Alone.do":
        raise KeyboardInterrupt


def test_an_interrupt_at_any_instruction_leaves_them_usable() -> None:
    store = Stubborn()
    tasks, _, _ = make(store=store)

    def switch() -> None:
        tasks.set_battery(True)
        tasks.set_battery(False)

    for _ in at_each_instruction(interrupt, switch):
        require_usable(tasks, store)
        tasks.set_battery(False)


def ask_and_cancel(tasks: Tasks) -> None:
    granted = tasks.request_suspend_delay("", nothing, caller=MAIL)
    tasks.cancel_suspend_delay(granted.requestId, caller=MAIL)


@pytest.mark.long
def test_an_interrupt_at_any_instruction_of_a_request_leaves_them_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _told: None)  # of generators that are closed
    store = Stubborn()
    tasks, _, _ = make(store=store)
    for _ in at_each_instruction(interrupt, lambda: ask_and_cancel(tasks)):
        require_usable(tasks, store)


def test_an_interrupt_at_random_moments_leaves_them_usable() -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    moments = random.Random(seed)
    store = Stubborn()
    tasks, _, _ = make(store=store)
    is_armed = False

    def handle(_number: int, _frame: object) -> None:
        if is_armed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    gc.disable()  # what others have called in a collection would be interrupted too
    try:
        for _ in range(200):
            try:
                is_armed = True
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.0001, 0.002), 0.1)
                while True:
                    ask_and_cancel(tasks)
            except KeyboardInterrupt:
                is_armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)
            require_usable(tasks, store)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()


def test_a_signal_handler_may_call_between_calls_and_is_refused_within_one() -> None:
    tasks, _, _ = make()
    answers: list[object] = []

    def handle() -> None:
        try:
            answers.append(tasks.keeps_running(700))
        except RuntimeError as error:
            answers.append(str(error))

    for _ in at_each_instruction(handle, lambda: tasks.set_battery(True)):
        assert tasks.next_deadline() is None
    assert {type(answer) for answer in answers} == {bool, str}


# Subscribers.


def test_readers_have_what_they_want_from_then_on() -> None:
    tasks, _, _ = make()
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    everything = tasks.subscribe("all", caller=MAIL)
    some = tasks.subscribe("some", kinds=["task_start", "continuous_start"], uids=[800], caller=MAIL)
    for who, name in ((MAIL, "a"), (MAPS, "b")):
        tasks.request_suspend_delay("", nothing, caller=who, name=name)
        tasks.start_background_running("Main", 1, True, caller=who)
    assert [event.uid for event in everything.drain()] == [700, 700, 800, 800, 800]
    assert everything.pending == 0
    assert [(str(event.kind), event.uid) for event in some.drain(1)] == [("task_start", 800)]
    assert kinds(some.drain()) == ["continuous_start"]
    some.cancel()
    tasks.stop_background_running("Main", caller=MAPS)
    assert some.drain() == []
    assert refusal(some.cancel).detail == 980000502
    assert refusal(lambda: tasks.subscribe("all", caller=MAIL)).detail == 980000501
    tasks.unsubscribe("all")
    assert refusal(lambda: tasks.unsubscribe("all")).detail == 980000502
    assert kinds(everything.drain()) == ["continuous_stop", "continuous_app_stop"]


def test_who_may_not_subscribe() -> None:
    tasks, manager, _ = make()
    assert refusal(lambda: tasks.subscribe("r", caller=MAPS)).code == 201
    assert refusal(lambda: tasks.subscribe(None)).code == 401
    assert refusal(lambda: tasks.unsubscribe(None)).code == 401
    with pytest.raises(ValueError, match="rain"):
        tasks.subscribe("r", kinds=["rain"])
    with pytest.raises(ValueError, match="uids"):
        tasks.subscribe("r", uids=[-1])
    with pytest.raises(TypeError, match="batch and on_gap"):
        tasks.subscribe("r", batch=True)
    manager.subscribe("r")
    tasks.subscribe("r")  # that is another list


def test_a_reader_that_is_too_slow_misses_the_oldest() -> None:
    tasks, _, _ = make(event_capacity=3)
    reader = tasks.subscribe("r")
    for number in range(4):
        tasks.start_background_running(f"{number}", 1, True, caller=MAIL)
    assert reader.missed == 0  # it has not come upon it
    assert [event.sequence for event in reader.drain()] == [2, 3, 4]
    assert (reader.missed, tasks.missed) == (1, 0)
    tasks.drain()
    assert tasks.missed == 1


def test_a_descriptor_is_readable_while_events_wait() -> None:
    tasks, _, _ = make()
    reader = tasks.subscribe("r")
    tasks.start_background_running("a", 1, True, caller=MAIL)
    descriptor = reader.fileno()

    def is_readable() -> bool:
        return bool(select.select([descriptor], [], [], 0)[0])

    assert is_readable()
    reader.drain()
    assert not is_readable()
    tasks.update_background_running("a", [2, 3], caller=MAIL)
    tasks.stop_background_running("a", caller=MAIL)
    assert is_readable()
    reader.drain(1)
    assert is_readable()
    reader.drain()
    assert not is_readable()
    assert descriptor == reader.fileno()


def test_an_event_that_comes_while_a_descriptor_is_made_quiet_makes_it_readable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks, _, _ = make()
    reader = tasks.subscribe("r")
    descriptor = reader.fileno()
    bell = tasks._queues._all()[-1]._bells[0]

    class Meddling:
        """The same bell, and something happens before it is quiet."""

        ring = bell.ring

        def clear(self) -> None:
            tasks.stop_background_running("a", caller=MAIL)
            bell.clear()

    tasks.start_background_running("a", 1, True, caller=MAIL)
    monkeypatch.setitem(tasks._queues._all()[-1]._bells, 0, Meddling())
    assert kinds(reader.drain()) == ["continuous_start"]
    assert select.select([descriptor], [], [], 0)[0]


def test_callbacks_have_events_while_the_manager_runs() -> None:
    tasks, manager, _ = make()
    single: list[str] = []
    batches: list[list[str]] = []
    tasks.subscribe(lambda event: single.append(str(event.kind)))
    tasks.subscribe(lambda events: batches.append(kinds(events)), batch=True)
    tasks.start_background_running("a", 1, True, caller=MAIL)
    assert single == []
    with manager.running():
        wait_for(lambda: single == ["continuous_start"] and batches == [["continuous_start"]])
        tasks.stop_background_running("a", caller=MAIL)
    assert single == ["continuous_start", "continuous_stop", "continuous_app_stop"]
    assert [kind for batch in batches for kind in batch] == single
    tasks.start_background_running("a", 1, True, caller=MAIL)
    with manager.running():
        pass
    assert single[3:] == ["continuous_start"]


def test_tasks_that_are_made_while_the_manager_runs_have_their_callbacks_called() -> None:
    manager = Manager()
    heard: list[str] = []
    with manager.running():
        tasks = Tasks(manager)
        tasks.subscribe(lambda event: heard.append(str(event.kind)))
        tasks.start_background_running("a", 1, True)
        wait_for(lambda: heard == ["continuous_start"])
    manager.close()


def test_a_slow_callback_gets_a_gap_and_delays_nobody() -> None:
    tasks, manager, _ = make(event_capacity=2)
    go = threading.Event()
    heard: list[int] = []
    gaps: list[int] = []

    def slow(event: grantwheel.TaskEvent) -> None:
        go.wait(30)
        heard.append(event.sequence)

    tasks.subscribe(slow, on_gap=gaps.append)
    with manager.running():
        tasks.start_background_running("0", 1, True, caller=MAIL)
        wait_for(lambda: tasks._subscribers._by_subscriber[slow].pending == 1)
        for number in range(1, 6):
            tasks.start_background_running(f"{number}", 1, True, caller=MAIL)
        go.set()
        wait_for(lambda: len(heard) + sum(gaps) == 6)
    assert heard == sorted(heard)
    assert heard[-1] == 6
    assert gaps


def test_queues_of_readers_that_are_gone_are_forgotten() -> None:
    tasks, _, _ = make()
    for number in range(50):
        tasks._queues.make(None, None)
        assert len(tasks._queues._queues) <= 3, number
    kept = tasks._queues.make(None, None)
    assert isinstance(kept, EventQueue)
    with pytest.raises(ValueError, match="negative"):
        kept.read(tasks.manager, -1)


# Processes.


def test_the_child_of_a_fork_is_refused() -> None:
    tasks, _, _ = make()
    reader = tasks.subscribe("r")

    def child(say: Callable[[str], object]) -> None:
        calls: list[Callable[[], object]] = [
            lambda: tasks.request_suspend_delay("", nothing, caller=MAIL),
            lambda: tasks.keeps_running(700),
            tasks.advance,
            tasks.drain,
            lambda: tasks.subscribe("s"),
            reader.drain,
            reader.fileno,
        ]
        for call in calls:
            say(f"{refusal(call).detail}")

    assert in_child(child) == ["980000402"] * 7


def test_they_cannot_be_pickled() -> None:
    import pickle

    tasks, _, _ = make()
    with pytest.raises(TypeError, match="cannot pickle or copy a Tasks"):
        pickle.dumps(tasks)


def test_they_go_on_with_what_the_store_has() -> None:
    store = Stubborn()
    tasks, manager, clock = make(store=store)
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    tasks.request_suspend_delay("", print, caller=MAPS)
    tasks.start_background_running("Main", 1, True, caller=MAIL)
    tasks.start_background_running("Main", 1, True, caller=MAPS)
    state = tasks.dump()
    manager.close()
    clock.advance(10_000)
    manager = Manager(clock=clock)
    tasks = Tasks(manager, store=store)
    assert tasks.dump() == state
    tasks.restarted(lambda uid, _pid: uid == 700)
    assert tasks.drain() == []
    assert [task.uid for task in tasks.continuous_tasks()] == [700]
    assert tasks.transient_task_info(caller=MAIL) == (590_000, [(1, 170_000)])
    clock.set(180_000)
    tasks.advance()
    assert kinds(tasks.drain()) == ["expired_callback", "task_end", "app_task_end"]


def test_apps_are_told_whose_stop_would_change_something() -> None:
    tasks, manager, _ = make()
    assert tasks.apps() == set()
    tasks.request_suspend_delay("", nothing, caller=MAIL)
    tasks.start_background_running("Main", 1, True, caller=MAPS)
    tasks.set_foreground(900, 91, True)
    tasks.set_foreground(901, 91, False)
    assert tasks.apps() == {MAIL.uid, MAPS.uid, 900, 901}
    tasks.set_foreground(900, 91, False)
    tasks.cancel_suspend_delay(1, caller=MAIL)
    assert tasks.apps() == {MAPS.uid, 900, 901}
    assert [tasks.apps(uid) for uid in (MAIL.uid, MAPS.uid, 900)] == [set(), {MAPS.uid}, {900}]
    for uid in (MAPS.uid, 900, 901):
        manager.app_stopped(uid)
    assert tasks.apps() == set()


def test_the_repr_names_the_manager() -> None:
    tasks, manager, _ = make()
    assert repr(tasks) == f"<Tasks of {manager!r}>"
    assert tasks.manager is manager
