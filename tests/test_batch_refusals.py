"""Batches with a quota: refused whole, or every row has its answer."""

from array import array
from typing import Any

import pytest

import grantwheel
from grantwheel import Caller, Policy
from support import CPU, GPS, Hook, make_manager, unchanged

NUMBERS = array("i", [1, 2, 3, 4])


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("row", NUMBERS)
def test_an_exception_of_check_refuses_the_whole_batch(row: int, error: type[BaseException]) -> None:
    class Failing(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            if uid == row and is_failing:
                raise error("no table")
            return True

    is_failing = False
    manager, _ = make_manager(policy=Policy(quota=Failing()))
    everything = array("i", [CPU | GPS]) * 4
    manager.apply_many(NUMBERS, NUMBERS, everything, NUMBERS)
    is_failing = True
    out = array("i", [77]) * 4
    with unchanged(manager):
        with pytest.raises(error, match="no table"):
            manager.apply_many(NUMBERS, NUMBERS, everything, everything, out=out)
        with pytest.raises(error, match="no table"):
            manager.release_many(NUMBERS, NUMBERS, everything, out=out)
    assert list(out) == [77] * 4


@pytest.mark.parametrize("answer", [None, 1])
def test_an_answer_of_check_that_is_no_bool_refuses_the_whole_batch(answer: Any) -> None:
    class Odd(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            return True if uid < 3 else answer

    manager, _ = make_manager(policy=Policy(quota=Odd()))
    with unchanged(manager), pytest.raises(TypeError, match="check"):
        manager.apply_many(NUMBERS, NUMBERS, array("i", [CPU]) * 4, NUMBERS)


@pytest.mark.parametrize("back_at", [1, 3, 4])
def test_a_clock_that_steps_back_while_check_is_asked_refuses_the_whole_batch(back_at: int) -> None:
    class Turning(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            if uid == back_at:
                clock.set(9)
            return True

    manager, clock = make_manager(policy=Policy(quota=Turning()))
    clock.set(10)
    manager.apply(700, 71, GPS, 40)
    with pytest.raises(ValueError, match="before"):
        manager.apply_many(NUMBERS, NUMBERS, array("i", [CPU]) * 4, NUMBERS)
    clock.set(10)
    assert [record.uid for record in manager.records()] == [700]
    assert manager.last_sequence == 1


def test_a_batch_with_a_hook_is_of_one_instant() -> None:
    class Slow(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            clock.advance(5)
            return True

    manager, clock = make_manager(policy=Policy(quota=Slow()))
    assert list(manager.apply_many(NUMBERS, NUMBERS, array("i", [CPU]) * 4, array("i", [1]) * 4)) == [CPU] * 4
    assert [event.time for event in manager.read(0)[0]] == [20] * 4
    assert manager.count(CPU) == 4


def test_a_hook_may_replace_the_policy_in_the_middle_of_a_batch() -> None:
    class Replacing(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            manager.set_policy(Policy())
            return True

    callers = {uid: Caller(uid=uid, bundle=f"org.tide.{uid}" * 20, system_app=True) for uid in NUMBERS}
    manager, _ = make_manager(policy=Policy(callers=callers, quota=Replacing()))
    manager.apply_many(NUMBERS, NUMBERS, array("i", [CPU]) * 4, NUMBERS)
    assert [record.bundle for record in manager.records()] == [callers[uid].bundle for uid in NUMBERS]


def test_a_manager_closed_by_the_hook_refuses_the_whole_batch() -> None:
    class Closing(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            manager.close()
            return True

    manager, _ = make_manager(policy=Policy(quota=Closing()))
    with pytest.raises(grantwheel.ServiceOperationError):
        manager.apply_many(NUMBERS, NUMBERS, array("i", [CPU]) * 4, NUMBERS)
