"""Calls of tasks that are made together: one entry of the log, or each for itself where that is refused."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from grantwheel import BusinessError, MemoryLog, Tasks, _core
from interrupting import at_each_instruction
from journals import ScriptedLog, Stall, in_thread, raises_after, refuses
from support import make_manager, refusal
from task_stage import Stubborn
from test_tasks_on_record import MAIL, MAPS, check_on_record, kinds, on_log
from waiting import PATIENCE


def starts(*names: str) -> list[Callable[[Tasks], int]]:
    return [lambda tasks, name=name: tasks.start_background_running(name, 1, True, caller=MAIL) for name in names]  # type: ignore[misc]


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_calls_of_both_kinds_are_one_entry_of_the_log_and_answered_in_their_order(durability: Any) -> None:
    log = ScriptedLog()
    tasks, manager, _ = on_log(log, durability=durability)
    called: list[int] = []
    answers = tasks.together(
        [
            lambda tasks: tasks.request_suspend_delay("save", called.clear, caller=MAIL),
            *starts("a", "b", "a"),
            lambda tasks: tasks.set_battery(True),
            lambda tasks: tasks.request_suspend_delay("load", called.clear, caller=MAIL),
            lambda tasks: tasks.request_suspend_delay("load", print, caller=MAPS),
            lambda tasks: tasks.cancel_suspend_delay(1, caller=MAIL),
            lambda tasks: tasks.keeps_running(800),
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
    assert tasks.together(starts("a", "b")) == [1, 2]
    stall.wait()
    assert kinds(tasks) == []
    stall.go_on()
    manager.flush()
    assert kinds(tasks) == ["continuous_start"] * 2


def test_nobody_sees_them_before_they_are_on_record() -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    tasks, _, _ = on_log(log)
    with in_thread(lambda: tasks.together(starts("a", "b"))) as first:
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
            *starts("a"),
            lambda tasks: tasks.request_suspend_delay("", print, caller=MAPS),
            lambda tasks: tasks.cancel_suspend_delay(1, caller=MAIL),
            lambda tasks: tasks.start_background_running("a", 77, True, caller=MAIL),
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
    answers = tasks.together([*starts("b"), lambda tasks: tasks.update_background_running("a", 2, caller=MAIL)])
    assert isinstance(answers[0], BusinessError)
    assert (answers[0].code, answers[1]) == (9800007, None)
    assert [task.modes for task in tasks.continuous_tasks()] == [(2,)]


def test_a_closed_manager_refuses_each() -> None:
    manager, _ = make_manager()
    tasks = Tasks(manager)
    manager.close()
    assert [getattr(answer, "code", None) for answer in tasks.together(starts("a", "b"))] == [9800004] * 2


def test_a_store_of_ones_own_that_raises_has_refused() -> None:
    store = Stubborn()
    tasks = Tasks(make_manager()[0], store=store)
    store.refuses = True
    assert [getattr(answer, "code", None) for answer in tasks.together(starts("a", "b"))] == [9800007] * 2
    store.refuses = False
    assert tasks.together(starts("a", "b")) == [1, 2]
    assert len(store.writes) == 1


def test_they_make_none_together_themselves() -> None:
    tasks = Tasks(make_manager()[0])
    calls = starts("a", "b")
    first, second = tasks.together([lambda tasks: tasks.together(calls), calls[0]])
    assert isinstance(first, RuntimeError)
    assert second == 1


class Rang(Exception):
    """What a signal handler raises."""


def ring(*_: object) -> None:
    raise Rang


@contextmanager
def on_alarm(handle: Callable[[], object]) -> Iterator[None]:
    """Have SIGALRM handled by this."""
    before = signal.signal(signal.SIGALRM, lambda *_: handle())
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def alarm() -> None:
    signal.raise_signal(signal.SIGALRM)


def after(call: Callable[[Tasks], object]) -> Callable[[Tasks], object]:
    """Return a call that a signal comes after, before the next one."""

    def call_and_ring(tasks: Tasks) -> object:
        answer = call(tasks)
        alarm()
        return answer

    return call_and_ring


def before(call: Callable[[Tasks], object]) -> Callable[[Tasks], object]:
    """Return a call that a signal comes before."""

    def ring_and_call(tasks: Tasks) -> object:
        alarm()
        return call(tasks)

    return ring_and_call


@pytest.mark.parametrize("at", [before, after])
@pytest.mark.parametrize("death", ["process_died", "app_stopped", "package_removed"])
def test_a_death_that_is_told_meanwhile_is_refused_and_not_lost_with_them(at: Any, death: str) -> None:
    log, refused = ScriptedLog(), list[str]()
    tasks, manager, _ = on_log(log)
    tasks.request_suspend_delay("save", print, caller=MAIL)

    def tell() -> None:
        if death == "process_died":
            manager.process_died(700, 71)
        else:
            getattr(manager, death)(700)

    def hear() -> None:
        if log.otherwise is refuses:
            return
        try:
            tell()
        except RuntimeError as error:
            refused.append(str(error))
        log.otherwise = refuses

    with on_alarm(hear):
        first, second = tasks.together(
            [at(lambda tasks: tasks.set_battery(True)), lambda tasks: tasks.set_screen(False)]
        )
    assert [getattr(one, "code", None) for one in (first, second)] == [9800003] * 2
    assert ["amid calls that are made together" in one for one in refused] == [True]
    log.otherwise = ScriptedLog().otherwise
    assert tasks.keeps_running(700)
    tell()
    assert not tasks.keeps_running(700)
    check_on_record(tasks, log.groups)


@pytest.mark.parametrize("at", [before, after])
def test_a_call_of_a_signal_handler_between_them_is_refused(at: Any) -> None:
    log, refused = ScriptedLog(), list[RuntimeError]()
    tasks, _, _ = on_log(log)

    def cancel() -> None:
        try:
            tasks.cancel_suspend_delay(1, caller=MAIL)
        except RuntimeError as error:
            refused.append(error)

    with on_alarm(cancel):
        answers = tasks.together(
            [
                at(lambda tasks: tasks.request_suspend_delay("save", print, caller=MAIL)),
                lambda tasks: tasks.keeps_running(700),
            ]
        )
    assert answers == [(1, 180_000), True]
    assert len(refused) == 1
    assert tasks.keeps_running(700)


def test_a_signal_handler_has_no_place_of_a_call_that_does_not_come_to_the_tasks() -> None:
    tasks, refused = Tasks(make_manager()[0]), list[RuntimeError]()
    state = tasks.dump()

    def darken() -> None:
        try:
            tasks.set_screen(False)
        except RuntimeError as error:
            refused.append(error)

    with on_alarm(darken):
        first, second = tasks.together([before(lambda tasks: tasks.cancel_suspend_delay(0, caller=MAIL))] * 2)
    assert [getattr(one, "code", None) for one in (first, second)] == [401, 401]
    assert (len(refused), tasks.dump()) == (2, state)


def test_a_signal_handler_that_lets_it_out_that_it_is_refused_undoes_all() -> None:
    log = ScriptedLog()
    tasks, _, _ = on_log(log)
    state = tasks.dump()
    with on_alarm(lambda: tasks.set_screen(False)), pytest.raises(RuntimeError, match="made together"):
        tasks.together([*starts("a"), before(lambda tasks: tasks.set_battery(True)), *starts("b")])
    assert (tasks.dump(), log.groups, kinds(tasks)) == (state, [], [])
    assert tasks.start_background_running("a", 1, True, caller=MAIL) == 1


@pytest.mark.parametrize("is_own", [True, False])
def test_what_is_made_together_is_one_call_each_of_the_tasks_that_it_is_given(is_own: bool) -> None:
    tasks = Tasks(make_manager()[0])

    def call(given: Tasks) -> object:
        return [start(given if is_own else tasks) for start in starts("b", "c")[not is_own :]]

    with pytest.raises(RuntimeError, match="made together"):
        tasks.together([*starts("a"), call])
    assert tasks.continuous_tasks() == []


def test_who_keeps_tasks_that_were_given_has_no_place_later() -> None:
    tasks, kept = Tasks(make_manager()[0]), list[Tasks]()
    assert tasks.together([*starts("a"), kept.append]) == [1, None]
    kept[0].set_battery(True)
    with pytest.raises(RuntimeError, match="made together"):
        tasks.together([*starts("b"), lambda _: kept[0].set_battery(False)])
    assert [task.id for task in tasks.continuous_tasks()] == [1]


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_callback_stays_that_of_the_request_that_is_open(is_refused: bool) -> None:
    log = ScriptedLog()
    tasks, _, _ = on_log(log)
    tasks.request_suspend_delay("save", print, caller=MAIL)
    log.otherwise = refuses if is_refused else log.otherwise
    tasks.together(
        [
            lambda tasks: tasks.cancel_suspend_delay(1, caller=MAIL),
            lambda tasks: tasks.request_suspend_delay("again", print, caller=MAIL),
        ]
    )
    log.otherwise = ScriptedLog().otherwise
    assert refusal(lambda: tasks.request_suspend_delay("more", print, caller=MAIL)).code == 9900002
    tasks.cancel_suspend_delay(1 if is_refused else 2, caller=MAIL)
    assert tasks.request_suspend_delay("more", print, caller=MAIL).requestId == (2 if is_refused else 3)


def test_a_signal_handler_that_drains_while_events_are_told_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, manager, _ = on_log(ScriptedLog(), durability="batch")
    tasks.together(starts("a", "b", "c"))
    manager.flush()
    is_on_record, drained = _core.is_on_record, list[str]()

    def look_and_drain(of: Any, group: int) -> bool:
        found = is_on_record(of, group)
        if not drained:
            drained.append("")
            drained.extend(kinds(tasks))
        return found

    monkeypatch.setattr(_core, "is_on_record", look_and_drain)
    told = kinds(tasks)
    assert [*drained[1:], *told] == ["continuous_start"] * 3


def raising(error: BaseException) -> Callable[[Tasks], Any]:
    def call(_: Tasks) -> Any:
        raise error

    return call


@pytest.mark.parametrize("error", [TimeoutError("the alarm"), RuntimeError("of a handler"), OSError("of a handler")])
@pytest.mark.parametrize("count", [1, 3])
def test_what_no_call_raises_is_no_calls_answer(error: Exception, count: int) -> None:
    log = ScriptedLog()
    tasks, _, _ = on_log(log)
    calls = [*starts("a"), raising(error), *starts("b")]
    with pytest.raises(type(error)) as raised:
        tasks.together(calls if count == 3 else calls[1:2])
    assert raised.value is error
    assert (tasks.continuous_tasks(), log.groups, kinds(tasks)) == ([], [], [])
    assert tasks.together(starts("a", "b")) == [1, 2]


@pytest.mark.parametrize("error", [ValueError("the clock"), TypeError("no number")])
def test_what_calls_raise_is_their_answer(error: Exception) -> None:
    tasks, _, _ = on_log(ScriptedLog())
    assert tasks.together([*starts("a"), raising(error), *starts("b")]) == [1, error, 2]


def test_a_refusal_that_a_signal_handler_raises_at_the_end_repeats_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ScriptedLog()
    tasks, manager, _ = on_log(log, durability="batch")
    late = refusal(lambda: tasks.cancel_suspend_delay(9, caller=MAIL))
    last_group, asked = _core.last_group, list[int]()

    def ring_late(of: Any) -> int:
        asked.append(1)
        if len(asked) == 3:  # the first one that is on record
            raise late
        return last_group(of)

    monkeypatch.setattr(_core, "last_group", ring_late)
    with pytest.raises(BusinessError) as raised:
        tasks.together(starts("a", "b"))
    assert raised.value is late
    assert [task.id for task in tasks.continuous_tasks()] == [1, 2]
    manager.flush()
    assert kinds(tasks) == ["continuous_start"] * 2


@pytest.mark.parametrize("is_there", [True, False])
def test_a_signal_handler_that_raises_meanwhile_leaves_what_is_on_record(is_there: bool) -> None:
    stall = Stall(ScriptedLog().otherwise if is_there else refuses)
    log = ScriptedLog(stall)
    tasks, _, _ = on_log(log)

    def interrupt_it() -> None:
        stall.wait()
        os.kill(os.getpid(), signal.SIGALRM)

    with on_alarm(ring):
        waker = threading.Thread(target=interrupt_it)
        waker.start()
        with pytest.raises(Rang):
            tasks.together([*starts("a"), lambda tasks: tasks.request_suspend_delay("", print, caller=MAIL)])
        waker.join(PATIENCE)
        stall.go_on()
        tasks.set_battery(True)
        check_on_record(tasks, log.groups)
        told = ["continuous_start", "task_start", "app_task_start"]
        assert kinds(tasks) == (told if is_there else [])
        assert tasks.request_suspend_delay("", print, caller=MAPS).requestId == (2 if is_there else 1)


def test_an_append_of_which_nobody_knows_is_answered_when_the_log_says() -> None:
    log = ScriptedLog(raises_after, lost=2)
    tasks, _, _ = on_log(log)
    assert tasks.together(starts("a", "b")) == [1, 2]
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
    calls = [*starts("a"), lambda tasks: tasks.set_battery(True)]
    for where in at_each_instruction(interrupt, lambda: tasks.together(calls)):
        assert {**tasks.dump(), **dict(store.items())} == tasks.dump(), where
        with in_thread(lambda: tasks.keeps_running(700)) as found:
            pass
        assert found == [bool(tasks.continuous_tasks())], where
        assert kinds(tasks) == ["continuous_start"] * len(tasks.continuous_tasks()), where
        manager.package_removed(700)
        tasks.set_battery(False)
        tasks.drain()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in generators that are closed
def test_a_second_interrupt_leaves_nothing_that_never_goes_on_record() -> None:
    store = Stubborn()
    manager = make_manager()[0]
    tasks = Tasks(manager, store=store)
    calls = [*starts("a"), lambda tasks: tasks.set_battery(True), raising(KeyboardInterrupt())]
    for where in at_each_instruction(interrupt, lambda: tasks.together(calls)):
        state = tasks.dump()
        assert {**state, **dict(store.items())} == state, where
        assert (tasks.continuous_tasks(), kinds(tasks)) == ([], []), where
        assert b'"is_battery_low":false' in state["transient"], where
        written = len(store.writes)
        tasks.start_background_running("b", 1, True, caller=MAIL)
        assert len(store.writes) == written + 1, where
        tasks.stop_background_running("b", caller=MAIL)
        assert kinds(tasks) == ["continuous_start", "continuous_stop", "continuous_app_stop"], where


class Interrupted:
    """A lock that a signal handler raises behind, once it has been taken: CPython lets one in there from 3.14 on."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()
        raise Rang

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)


@pytest.mark.skipif(not hasattr(threading.RLock(), "_recursion_count"), reason="leaves no lock")
@pytest.mark.parametrize(
    "call",
    [
        lambda tasks: tasks.together(starts("a", "b")),
        lambda tasks: tasks.set_battery(True),
        Tasks.drain,
        Tasks._closed,
        Tasks._catch_up,
    ],
)
def test_an_interrupt_behind_the_lock_of_the_tasks_leaves_it_to_others(
    call: Callable[[Tasks], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, manager, _ = on_log(ScriptedLog(), durability="batch")
    monkeypatch.setattr(tasks._behind, "set", lambda _ms: None)  # nobody else tells anything
    tasks.together(starts("c"))
    manager.flush()
    lock = tasks._alone.lock
    tasks._alone.lock = Interrupted(lock)  # type: ignore[assignment]
    with pytest.raises(Rang):
        call(tasks)
    tasks._alone.lock = lock
    with in_thread(lambda: tasks.keeps_running(700)) as found:
        pass
    assert found == [True]
