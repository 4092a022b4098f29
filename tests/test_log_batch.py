"""Durability 'batch': changes are carried out at once and are on record soon after, unless the log fails."""

import asyncio
import gc
import threading
import time
from array import array
from typing import Any

import pytest

import grantwheel
from grantwheel import (
    Conflict,
    Manager,
    ManualClock,
    MemoryLog,
    NotAppended,
    Policy,
    ServiceOperationError,
    TransactionError,
    _core,
    aio,
)
from journals import ScriptedLog, Stall, Step, appends, check_record, conflicts, raises_after, raises_before, refuses
from support import CPU, GPS, Hook, check_refused, make_manager
from waiting import is_readable, wait_for


def batched(*script: Step, otherwise: Step = appends, **arguments: Any) -> tuple[Manager, ManualClock, ScriptedLog]:
    log = ScriptedLog(*script, otherwise=otherwise)
    manager, clock = make_manager(log=log, durability="batch", **arguments)
    return manager, clock, log


def test_the_words_of_durability() -> None:
    for durability in ("commit", "batch"):
        assert make_manager(log=MemoryLog(), durability=durability)[0].apply(1, 1, GPS, 40) == GPS
    with pytest.raises(ValueError, match="durability must be 'commit' or 'batch', not 'always'"):
        make_manager(log=MemoryLog(), durability="always")
    with pytest.raises(ValueError, match="there is none"):
        make_manager(durability="batch")


def test_a_change_is_answered_at_once_and_on_record_after_a_flush() -> None:
    stall = Stall()
    manager, clock, log = batched(stall)
    assert manager.apply(700, 71, GPS | CPU, 40) == GPS | CPU
    assert not manager.flush(0)
    stall.wait()
    numbers = array("i", [1, 2, 3])
    assert list(manager.apply_many(numbers, numbers, numbers, numbers)) == [1, 2, 3]
    clock.set(3)
    assert manager.advance() == 4
    assert manager.app_mask(700) == GPS | CPU
    assert manager.count(GPS) == 1
    assert not manager.flush(10)
    assert log.groups == []
    stall.go_on()
    assert manager.flush()
    assert len(log.groups) == 2
    check_record(manager, log, 3)


def test_it_gets_there_by_itself() -> None:
    manager, _, log = batched()
    manager.apply(700, 71, GPS, 40)
    wait_for(lambda: log.groups)
    check_record(manager, log, 0)


def test_flush_without_anything_to_wait_for() -> None:
    assert make_manager()[0].flush()
    for durability in ("commit", "batch"):
        manager, _ = make_manager(log=ScriptedLog(), durability=durability)
        assert manager.flush(0)
        manager.apply(1, 1, GPS, 40)
        assert manager.flush()
        with pytest.raises(ValueError, match="timeout_ms"):
            manager.flush(-1)
        manager.close()
        with pytest.raises(ServiceOperationError):
            manager.flush()


def test_an_event_is_shown_when_what_caused_it_is_on_record() -> None:
    stall = Stall()
    manager, clock, _ = batched(stall)
    before = manager.subscribe(object())
    manager.apply(700, 71, GPS, 40)
    after = manager.subscribe(object())
    clock.set(40)
    assert manager.advance() == 1
    descriptor = before.fileno()
    stall.wait()
    assert (manager.drain(), before.drain(), before.pending, manager.read(0)) == ([], [], 0, ([], 0, 0))
    assert not is_readable(descriptor)
    assert manager.last_sequence == 2
    stall.go_on()
    assert is_readable(descriptor, 30_000)
    assert manager.flush()
    assert [event.sequence for event in before.drain()] == [1, 2]
    assert [event.sequence for event in after.drain()] == [2]
    assert [event.sequence for event in manager.drain()] == [1, 2]


def test_what_is_overwritten_before_it_was_shown_is_missed() -> None:
    stall = Stall()
    manager, _, _ = batched(stall, event_capacity=4)
    for uid in range(10):
        manager.apply(uid, 1, GPS, 40)
    stall.wait()
    assert (manager.drain(), manager.missed) == ([], 0)
    stall.go_on()
    assert manager.flush()
    assert [event.uid for event in manager.drain()] == [6, 7, 8, 9]
    assert manager.missed == 6


def test_who_cancels_has_still_what_happened_before() -> None:
    stall = Stall()
    manager, _, _ = batched(stall)
    reader = manager.subscribe(object())
    manager.apply(700, 71, GPS, 40)
    descriptor = reader.fileno()
    reader.cancel()
    manager.apply(800, 81, GPS, 40)
    assert is_readable(descriptor)
    assert reader.drain() == []
    assert not is_readable(descriptor)
    stall.go_on()
    assert manager.flush()
    assert is_readable(descriptor)
    assert [event.uid for event in reader.drain()] == [700]


def test_the_end_of_a_run_delivers_what_has_happened() -> None:
    manager, clock, _ = batched()
    heard: list[int] = []
    manager.subscribe(lambda event: heard.append(event.sequence))
    with manager.running():
        manager.apply(700, 71, GPS, 40)
        clock.set(40)
    assert heard == [1, 2]


def test_a_stream_has_them_too() -> None:
    async def run() -> list[int]:
        manager, _, _ = batched()
        stream = aio.events(manager)
        async with aio.running(manager):
            manager.apply(700, 71, GPS, 40)
            return [(await anext(stream)).sequence]

    assert asyncio.run(run()) == [1]


def test_closing_puts_everything_on_record() -> None:
    manager, _, log = batched(refuses)
    manager.apply(700, 71, GPS, 40)
    reader = manager.subscribe(object())
    manager.apply(800, 81, GPS, 40)
    manager.close()
    assert len(log.groups) == 1
    assert [event.uid for event in reader.drain()] == [800]
    assert [event.uid for event in manager.drain()] == [700, 800]
    with pytest.raises(ServiceOperationError):
        manager.drain()


@pytest.mark.parametrize("step", [refuses, raises_before])
def test_changes_are_refused_until_a_log_that_fails_has_what_is_due_to_it(step: Step) -> None:
    manager, clock, log = batched(appends, otherwise=step)
    manager.apply(700, 71, GPS, 40)
    assert manager.flush()
    manager.apply(800, 81, GPS, 40)
    with pytest.raises(TransactionError) as caught:
        manager.flush()
    assert isinstance(caught.value.__cause__, NotAppended | OSError)
    error = check_refused(manager, lambda: manager.apply(900, 91, GPS, 40), 9800003, 980000301)
    assert isinstance(error.__cause__, NotAppended | OSError)
    clock.set(40)
    assert (manager.app_mask(700), manager.records(), manager.next_deadline()) == (0, [], None)
    assert [event.uid for event in manager.drain()] == [700]
    log.otherwise = appends
    wait_for(lambda: manager.last_sequence == 3 or _applies(manager))
    assert manager.flush()
    assert [event.uid for event in manager.drain()] == [800, 900]
    check_record(manager, log, 40)


def _applies(manager: Manager) -> bool:
    try:
        manager.apply(900, 91, GPS, 40)
    except TransactionError:
        return False
    return True


def test_an_uncertain_group_is_not_written_twice() -> None:
    manager, _, log = batched(raises_after)
    manager.apply(700, 71, GPS, 40)
    assert manager.flush()
    assert len(log.groups) == 1
    check_record(manager, log, 0)


def test_a_conflict_is_told_once_and_closes_the_manager_to_changes_for_good(caplog: pytest.LogCaptureFixture) -> None:
    manager, clock, log = batched(appends, otherwise=conflicts)
    manager.apply(700, 71, GPS, 40)
    assert manager.flush()
    manager.apply(800, 81, GPS, 40)
    for _ in range(2):
        with pytest.raises(TransactionError) as caught:
            manager.flush()
        assert isinstance(caught.value.__cause__, Conflict)
    for _ in range(2):
        check_refused(manager, lambda: manager.apply(900, 91, GPS, 40), 9800003, 980000301)
    assert manager.app_mask(800) == GPS
    assert [event.uid for event in manager.drain()] == [700]
    clock.set(40)
    runner = manager.running()
    runner.start()
    wait_for(lambda: runner.failure)
    assert isinstance(runner.failure, TransactionError)
    with pytest.raises(RuntimeError, match="not driven any more"):
        runner.stop()
    with pytest.raises(TransactionError, match="last 1 changes"):
        manager.close()
    manager.close()
    with pytest.raises(ServiceOperationError):
        manager.drain()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "takes no changes any more" in caplog.text
    assert len(log.groups) == 1


def test_what_a_log_does_not_take_is_lost_with_the_close() -> None:
    manager, _, log = batched(otherwise=refuses)
    manager.apply(700, 71, GPS, 40)
    manager.apply(800, 81, GPS, 40)
    with pytest.raises(TransactionError, match="last 2 changes") as caught:
        manager.close()
    assert isinstance(caught.value.__cause__, NotAppended)
    assert log.groups == []
    with pytest.raises(ServiceOperationError):
        manager.app_mask(700)
    manager.close()


def test_only_what_callers_have_changed_is_lost() -> None:
    manager, clock, _ = batched(otherwise=refuses)
    numbers = array("i", [1, 2])
    manager.apply_many(numbers, numbers, numbers, numbers)
    clock.set(1)
    _core.stage_mark(manager, bytes(16), 0, 0)
    assert manager.advance() == 1
    assert manager.stats().log is not None
    with pytest.raises(TransactionError, match="last 1 changes"):
        manager.close()


def test_a_close_takes_no_longer_than_it_is_told() -> None:
    manager, _, _ = batched(otherwise=refuses)
    manager.apply(700, 71, GPS, 40)
    begun = time.monotonic()
    with pytest.raises(TransactionError, match="last 1 changes"):
        _core.close_within(manager, 0)
    assert time.monotonic() - begun < 4


def test_the_quota_hook_is_asked_and_told() -> None:
    hook = Hook()
    manager, clock, log = batched(policy=Policy(quota=hook))
    numbers = array("i", [1, 2])
    manager.apply(700, 71, CPU, 40)
    manager.apply_many(numbers, numbers, numbers, numbers)
    clock.set(50)
    assert manager.advance() == 3
    assert sorted(call[1] for call in hook.calls if call[0] == "settle") == [1, 700]
    assert manager.flush()
    check_record(manager, log, 50)


def test_the_log_may_change_the_manager_and_a_finaliser_may_run_there() -> None:
    class Garbage:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            manager.release(700, 71, GPS)

    def calls(log: ScriptedLog, group: bytes) -> None:
        log.groups.append(group)
        gc.collect()
        with pytest.raises(RuntimeError, match="wait for itself"):
            manager.flush()

    manager, _, log = batched(calls)
    manager.apply(700, 71, GPS, 40)
    gc.disable()
    try:
        Garbage()
        assert manager.flush()
    finally:
        gc.enable()
    assert manager.app_mask(700) == 0
    assert manager.flush()
    check_record(manager, log, 0)


def test_threads_share_groups() -> None:
    manager, _, log = batched()
    call_from_threads(manager)
    assert manager.flush()
    assert len(log.groups) < 1000
    follower = check_record(manager, log, 0)
    assert follower.read(0)[0] == manager.drain()
    assert grantwheel.replay(log.groups).records() == []


def test_threads_over_a_log_in_memory_do_not_hang() -> None:
    log = MemoryLog()
    manager, _ = make_manager(log=log)
    call_from_threads(manager)
    assert grantwheel.replay(group for _, group in log.read()).read(0)[0] == manager.drain()


def call_from_threads(manager: Manager) -> None:
    def change(uid: int) -> None:
        uids, ones, masks = (array("i", [one]) for one in (uid, 1, GPS))
        for _ in range(500):
            manager.apply_many(uids, ones, masks, ones)
            manager.apply(uid, 1, GPS, 40)
            manager.holders(GPS)
            manager.release_many(uids, ones, masks)

    threads = [threading.Thread(target=change, args=(uid,)) for uid in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
