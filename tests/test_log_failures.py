"""Logs that fail: what was answered is exactly what is on record, and reads go on all the while."""

import _thread
import asyncio
import gc
import threading
import time
from array import array
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

import grantwheel
import grantwheel.aio
import grantwheel.run.loop
from grantwheel import Conflict, NotAppended, TransactionError
from journals import (
    ScriptedLog,
    Stall,
    Step,
    appends,
    check_record,
    conflicts,
    in_thread,
    is_interrupted_after,
    logged,
    raises_after,
    raises_before,
    refuses,
)
from support import AUDIO, CPU, GPS, check_refused, make_manager, state
from waiting import PATIENCE, wait_for


@pytest.mark.parametrize(
    ("step", "is_in"), [(raises_before, False), (raises_after, True), (is_interrupted_after, True)]
)
@pytest.mark.parametrize("lost", [0, 3])
def test_an_uncertain_append_is_settled_by_what_the_log_says(step: Step, is_in: bool, lost: int) -> None:
    log = ScriptedLog(appends, step, lost=lost)
    manager, _ = make_manager(log=log)
    manager.apply(800, 81, GPS, 40)
    if is_in:
        assert manager.apply(700, 71, GPS, 40) == GPS
    else:
        error = check_refused(manager, lambda: manager.apply(700, 71, GPS, 40), 9800003, 980000301)
        assert isinstance(error.__cause__, OSError)
    assert log.asked == lost + 1
    assert manager.app_mask(700) == (GPS if is_in else 0)
    manager.apply(900, 91, AUDIO, 40)
    check_record(manager, log, 0)


def test_while_the_log_does_not_say_where_it_stands_changes_are_refused_and_reads_go_on() -> None:
    asked, gone = threading.Event(), threading.Event()
    log = ScriptedLog(appends, raises_after)
    last = log.last

    def silent() -> int:
        if not gone.is_set():
            asked.set()
            raise OSError("no connection")
        return last()

    log.last = silent  # type: ignore[method-assign]
    manager, clock = make_manager(log=log)
    manager.apply(800, 81, GPS, 40)
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)) as applied:
        assert asked.wait(PATIENCE)
        wait_for(lambda: is_refused(lambda: manager.apply(900, 91, GPS, 40)))
        assert manager.app_mask(800) == GPS
        clock.set(40)
        assert manager.app_mask(800) == 0
        assert not applied
        gone.set()
    assert applied == [GPS]
    assert manager.apply(900, 91, GPS, 40) == GPS
    check_record(manager, log, 40)


def is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except TransactionError:
        return True
    return False


def test_a_conflict_closes_the_manager_to_changes_for_good() -> None:
    manager, clock, log = logged(appends, conflicts)
    manager.apply(700, 71, GPS | CPU, 40)
    manager.apply_many(*[array("i", [])] * 4)
    with pytest.raises(TransactionError) as caught:
        manager.apply(800, 81, GPS, 40)
    assert isinstance(caught.value.__cause__, Conflict)
    before = manager.records()
    calls: list[Callable[[], object]] = [
        lambda: manager.apply(1, 1, GPS, 1),
        lambda: manager.release(700, 71, GPS),
        manager.admin_reset_all,
    ]
    for call in calls:
        with pytest.raises(TransactionError):
            call()
    assert manager.records() == before
    clock.set(40)
    # What is due has gone for every reader, though no event can be made of it any more.
    assert (manager.app_mask(700), manager.find_app(700), manager.records()) == (0, None, [])
    assert (manager.count(GPS), manager.holders(CPU), manager.next_deadline()) == (0, ([], []), None)
    stats = manager.stats()
    assert (stats.app_records, sum(stats.app_grants.values())) == (0, 0)
    assert manager.infos(caller=grantwheel.Caller(native=True)) == ([], [])
    assert list(manager.app_masks(array("I", [700, 800]))) == [0, 0]
    with pytest.raises(TransactionError):
        manager.advance()
    assert manager.last_sequence == 1
    assert len(log.groups) == 1
    manager.close()


def test_a_position_that_cannot_be_is_a_conflict() -> None:
    manager, _, log = logged(raises_before)
    log.groups.extend([b"", b""])  # somebody else's
    for _ in range(2):
        with pytest.raises((TransactionError, grantwheel.ServiceOperationError)):
            manager.apply(700, 71, GPS, 40)
    assert manager.records() == []


def test_an_answer_of_append_that_cannot_be_is_uncertain() -> None:
    class Odd(ScriptedLog):
        def append(self, after: int, group: bytes) -> int:
            super().append(after, group)
            return 77

    log = Odd()
    manager, _ = make_manager(log=log)
    assert manager.apply(700, 71, GPS, 40) == GPS
    assert log.asked == 1
    check_record(manager, log, 0)


def test_none_says_that_it_is_appended() -> None:
    class Silent(ScriptedLog):
        def append(self, after: int, group: bytes) -> Any:
            super().append(after, group)

    log = Silent()
    manager, _ = make_manager(log=log)
    assert manager.apply(700, 71, GPS, 40) == GPS
    assert log.asked == 0


def test_what_is_certainly_not_appended_is_not_asked_for() -> None:
    manager, _, log = logged(refuses)
    with pytest.raises(TransactionError):
        manager.apply(700, 71, GPS, 40)
    assert log.asked == 0


def test_a_log_that_does_not_say_where_it_stands_is_told_of_once_in_a_row(caplog: pytest.LogCaptureFixture) -> None:
    log = ScriptedLog(raises_after, appends, raises_after, lost=3)
    manager, _ = make_manager(log=log)
    manager.apply(700, 71, GPS, 40)
    assert log.asked == 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    manager.apply(800, 81, GPS, 40)
    log.lost = 2
    manager.apply(900, 91, GPS, 40)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


@pytest.mark.parametrize("odd", [True, 1.0, None, "1"])
def test_a_position_that_is_no_number_says_nothing(odd: object, caplog: pytest.LogCaptureFixture) -> None:
    log = ScriptedLog(raises_before)
    answers = [odd, odd]
    last = log.last
    log.last = lambda: answers.pop() if answers else last()  # type: ignore[method-assign, return-value, assignment]
    manager, _ = make_manager(log=log)
    with pytest.raises(TransactionError):
        manager.apply(700, 71, GPS, 40)
    assert manager.apply(700, 71, GPS, 40) == GPS
    assert "last() of the log must return an int" in caplog.text
    check_record(manager, log, 0)


def test_a_batch_that_is_not_appended_is_refused_whole() -> None:
    manager, _, log = logged(appends, refuses)
    numbers = array("i", [1, 2, 3])
    manager.apply(700, 71, GPS, 40)
    before = state(manager)
    out = array("i", [77]) * 3
    with pytest.raises(TransactionError) as caught:
        manager.apply_many(numbers, numbers, numbers, numbers, out=out)
    assert isinstance(caught.value.__cause__, NotAppended)
    assert list(out) == [77] * 3
    assert state(manager) == before
    assert list(manager.apply_many(numbers, numbers, numbers, numbers)) == [1, 2, 3]
    check_record(manager, log, 0)


def test_all_that_share_a_group_share_its_fate() -> None:
    stall = Stall()
    manager, _, log = logged(stall, refuses)
    with in_thread(lambda: manager.apply(1, 1, GPS, 40)) as first:
        stall.wait()
        with in_thread(lambda: manager.apply(2, 1, GPS, 40)) as second, in_thread(lambda: manager.app_mask(2)) as read:
            time.sleep(0.05)
            stall.go_on()
    assert first == [GPS]
    assert isinstance(second[0], TransactionError)
    assert read == [0]
    check_record(manager, log, 0)


def test_close_between_record_and_execution_loses_nothing() -> None:
    # What is answered "nothing has changed" is not on record, and what is on record is answered so.
    stall = Stall()
    manager, _, log = logged(stall)
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)) as applied:
        stall.wait()
        with in_thread(lambda: manager.apply(800, 81, GPS, 40)) as staged, in_thread(manager.close):
            time.sleep(0.05)
            stall.go_on()
    answers = [applied[0], staged[0]]
    assert answers[0] == GPS
    on_record = grantwheel.replay(log.groups).holders(GPS).apps
    assert on_record == [uid for uid, answer in zip((700, 800), answers, strict=True) if answer == GPS]


def test_close_gives_up_on_a_log_that_stalls(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    stall = Stall()
    manager, _, log = logged(stall)
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)) as first:
        stall.wait()
        with in_thread(lambda: manager.apply(800, 81, GPS, 40)) as second:
            time.sleep(0.05)
            began = time.monotonic()
            manager.close()
            assert 4 < time.monotonic() - began < 20
        assert isinstance(second[0], grantwheel.ServiceOperationError)  # it has not been given to the log
        assert "has not answered" in caplog.text
        assert not first
        stall.go_on()
    assert first == [GPS]
    assert len(log.groups) == 1
    manager.close()


# Interrupts


@contextmanager
def interrupt_while(stall: Stall) -> Any:
    """Interrupt the main thread once the log has been reached."""

    def interrupt() -> None:
        stall.wait()
        time.sleep(0.02)
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    yield
    thread.join()


WAITING: dict[str, Callable[[Any], object]] = {
    "apply": lambda manager: manager.apply(700, 71, GPS, 40),
    "apply_many": lambda manager: manager.apply_many(*[array("i", [32])] * 4),
    "hold": lambda manager: manager.hold(GPS, uid=700, pid=71).__enter__(),
}


@pytest.mark.parametrize("name", ["apply", "apply_many"])
def test_an_interrupted_caller_raises_and_its_command_settles(name: str) -> None:
    stall = Stall()
    manager, _, log = logged(stall)
    with pytest.raises(KeyboardInterrupt), interrupt_while(stall):
        WAITING[name](manager)
    assert manager.last_sequence == 0
    stall.go_on()
    wait_for(lambda: manager.last_sequence == 1)
    assert manager.count(GPS) == 1
    check_record(manager, log, 0)


def test_an_interrupted_reader_raises() -> None:
    stall = Stall()
    manager, _, _ = logged(stall)
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)):
        stall.wait()
        with pytest.raises(KeyboardInterrupt), interrupt_while(stall):
            manager.app_mask(700)
        with pytest.raises(KeyboardInterrupt), interrupt_while(stall):
            manager.records()
        stall.go_on()
    assert manager.app_mask(700) == GPS


def test_an_interrupted_begin_of_a_hold_is_released_behind_it() -> None:
    stall = Stall()
    manager, _, log = logged(stall)
    with pytest.raises(KeyboardInterrupt), interrupt_while(stall):
        WAITING["hold"](manager)
    stall.go_on()
    wait_for(lambda: manager.last_sequence == 2)
    assert manager.records() == []
    check_record(manager, log, 0)


# Finalisers


class Releases:
    """What changes its manager when it goes."""

    def __init__(self, manager: Any, uid: int) -> None:
        self.manager = manager
        self.uid = uid
        self.me = self  # garbage, not gone at once

    def __del__(self) -> None:
        self.manager.release(self.uid, 1, GPS)


def test_a_finaliser_on_the_thread_of_the_log_stages_without_waiting() -> None:
    def collects(log: ScriptedLog, group: bytes) -> None:
        appends(log, group)
        gc.collect()

    manager, _, log = logged()
    manager.apply(900, 1, GPS, 40)
    gc.collect()
    gc.disable()
    try:
        held: Any = manager.hold(GPS, uid=800, pid=1)
        held.__enter__()
        held.me = held
        del held
        Releases(manager, 900)
        log.otherwise = collects
        assert manager.apply(700, 71, GPS, 40) == GPS
        wait_for(lambda: manager.holders(GPS).apps == [700])
    finally:
        gc.enable()
    check_record(manager, log, 0)


def test_a_finaliser_of_a_hold_does_not_wait_for_a_log_that_stalls() -> None:
    stall = Stall()
    manager, _, log = logged(appends, stall)
    held: Any = manager.hold(GPS, uid=800, pid=1)
    held.__enter__()
    with in_thread(lambda: manager.apply(700, 71, GPS, 40)):
        stall.wait()
        del held
        gc.collect()
        stall.go_on()
    wait_for(lambda: manager.holders(GPS).apps == [700])
    check_record(manager, log, 0)


# Runners


def attempts(log: ScriptedLog, step: Step) -> list[int]:
    """Let each append of a log fail from now on; the list grows with them."""
    tried: list[int] = []

    def fails(log: ScriptedLog, group: bytes) -> None:
        tried.append(len(log.groups))
        step(log, group)

    log.otherwise = fails
    return tried


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_a_runner_tells_once_that_the_log_takes_no_changes_now(
    durability: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(grantwheel.run.loop, "_PAUSE_MS", 5)
    log = ScriptedLog()
    manager, clock = make_manager(log=log, durability=durability)
    manager.apply(700, 71, GPS, 40)
    assert manager.flush()

    def told() -> int:
        return caplog.text.count("tried again in a second")

    tried = attempts(log, refuses)
    if durability == "batch":
        manager.apply(800, 81, GPS, 90)
        with pytest.raises(TransactionError):  # so that it is behind, and the advance refused
            manager.flush()
    with manager.running():
        clock.set(40)
        wait_for(lambda: told() == 1)
        before = len(tried)
        wait_for(lambda: len(tried) > before + 3)
        log.otherwise = appends
        wait_for(lambda: manager.app_mask(700) == 0 and manager.stats().ended[grantwheel.Cause.EXPIRED] == 1)
    assert told() == 1
    assert manager.flush()
    check_record(manager, log, 40)


@pytest.mark.parametrize("form", ["thread", "loop"])
def test_a_runner_stops_when_the_log_is_lost(form: str, caplog: pytest.LogCaptureFixture) -> None:
    manager, clock, log = logged(appends)
    manager.apply(700, 71, GPS, 40)
    tried = attempts(log, conflicts)
    clock.set(40)

    async def run() -> BaseException | None:
        async with grantwheel.aio.running(manager) as runner:
            while runner.failure is None:
                await asyncio.sleep(0.001)
            return runner.failure

    if form == "loop":
        failure = asyncio.run(run())
    else:
        runner = manager.running()
        runner.start()
        wait_for(lambda: runner.failure)
        failure = runner.failure
        with pytest.raises(RuntimeError, match="not driven any more"):
            runner.stop()
    assert isinstance(failure, TransactionError)
    assert len(tried) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "takes no changes any more" in caplog.text
    assert manager.app_mask(700) == 0


def test_that_a_log_in_memory_is_lost_is_told(caplog: pytest.LogCaptureFixture) -> None:
    log = grantwheel.MemoryLog()
    first, second = (make_manager(log=log)[0] for _ in range(2))
    first.apply(700, 71, GPS, 40)
    for _ in range(2):
        with pytest.raises(TransactionError):
            second.apply(700, 71, GPS, 40)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "takes no changes any more" in caplog.text
