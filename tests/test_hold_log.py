"""Holds over a log: what is beginning counts from when it is staged, and what the log refuses runs out."""

import contextlib
import gc
import time
from collections.abc import Iterator

import pytest

from grantwheel import Hold, Manager, TransactionError
from journals import ScriptedLog, Stall, appends, check_record, in_thread, logged, refuses
from support import AUDIO, GPS

UID, PID, TTL = 700, 71, 300


def hold(manager: Manager, mask: int = GPS) -> Hold:
    return manager.hold(mask, uid=UID, pid=PID, timeout_ms=TTL)


def test_a_hold_is_held_when_it_is_in_the_log() -> None:
    manager, clock, log = logged()
    with hold(manager) as held:
        assert (held.types, held.lost, len(log.groups)) == (GPS, 0, 1)
        clock.advance(TTL // 3)
        manager.renew_holds()
        assert len(log.groups) == 2
    assert len(log.groups) == 3
    assert manager.records() == []
    check_record(manager, log, clock.now())


def test_a_begin_that_the_log_refuses_leaves_nothing() -> None:
    manager, _, log = logged(refuses)
    with pytest.raises(TransactionError), hold(manager):
        pytest.fail("it has not begun")
    with hold(manager):
        pass
    assert len(log.groups) == 2
    check_record(manager, log, 0)


def test_a_renewal_that_the_log_refuses_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    manager, clock, log = logged(appends, refuses)
    with hold(manager) as held:
        clock.advance(TTL // 3)
        manager.renew_holds()
        assert isinstance(held.failure, TransactionError)
        assert held.lost == 0
        clock.advance(TTL // 3)
        manager.renew_holds()
        assert held.failure is None
    assert "could not be renewed" in caplog.text  # type: ignore[unreachable]
    check_record(manager, log, clock.now())


def test_a_release_that_the_log_refuses_lets_the_grant_run_out(caplog: pytest.LogCaptureFixture) -> None:
    manager, clock, log = logged(appends, refuses)
    with hold(manager):
        pass
    assert manager.app_mask(UID) == GPS
    assert "could not be released, and runs out" in caplog.text
    with hold(manager, AUDIO):  # what is left has nothing to do with those that come after
        pass
    assert manager.app_mask(UID) == GPS
    clock.advance(TTL)
    assert manager.app_mask(UID) == 0
    check_record(manager, log, clock.now())


@contextlib.contextmanager
def another_begins() -> Iterator[tuple[list[Hold], Stall, Manager, ScriptedLog]]:
    """Two holds: the first has begun, and the block is run while the log keeps the second one from it."""
    stall = Stall()
    manager, _, log = logged(appends, stall)
    holds = [hold(manager), hold(manager)]
    holds[0].__enter__()
    second = holds[1]
    with in_thread(second.__enter__):
        stall.wait()
        yield holds, stall, manager, log
    assert (second.types, second.lost) == (GPS, 0)


def test_one_that_ends_while_another_begins_leaves_the_grant_to_it() -> None:
    with another_begins() as ((first, second), stall, manager, log), in_thread(first.__exit__):
        time.sleep(0.02)
        stall.go_on()
    assert manager.app_mask(UID) == GPS
    assert [event.cause for event in manager.read(0)[0]] == ["apply"]
    second.__exit__()
    assert manager.records() == []
    check_record(manager, log, 0)


def test_one_that_nobody_has_any_more_while_another_begins_leaves_the_grant_to_it() -> None:
    with another_begins() as (holds, stall, manager, log):
        second = holds.pop()
        holds.clear()  # which does not wait for the log, and so not for what becomes of the other
        gc.collect()
        stall.go_on()
    assert [event.cause for event in manager.read(0)[0]] == ["apply"]
    second.__exit__()
    assert manager.records() == []
    check_record(manager, log, 0)


def test_one_that_begins_behind_the_end_of_another_has_a_grant_of_its_own() -> None:
    stall = Stall()
    manager, _, log = logged(appends, stall)
    first, second = hold(manager), hold(manager)
    first.__enter__()
    with in_thread(first.__exit__):
        stall.wait()
        with in_thread(second.__enter__):
            time.sleep(0.02)
            stall.go_on()
    assert (second.types, second.lost) == (GPS, 0)
    assert [event.cause for event in manager.read(0)[0]] == ["apply", "release", "apply"]
    second.__exit__()
    assert manager.records() == []
    check_record(manager, log, 0)


def test_what_goes_before_a_begin_is_carried_out_is_lost_to_the_others() -> None:
    stall = Stall()
    manager, _, log = logged(appends, stall)
    first, second = hold(manager), hold(manager)
    first.__enter__()
    with in_thread(lambda: manager.admin_reset_app(UID, GPS)):
        stall.wait()
        with in_thread(second.__enter__):
            time.sleep(0.02)
            stall.go_on()
    assert (first.lost, second.lost) == (GPS, 0)
    first.__exit__()
    assert manager.app_mask(UID) == GPS
    second.__exit__()
    assert manager.records() == []
    check_record(manager, log, 0)
