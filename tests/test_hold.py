"""Holds on a clock that stands still: what they grant, renew and release, and what they tell of what was lost."""

import asyncio
import copy
import gc
import os
import pickle
import random
from collections.abc import Iterator
from typing import Any

import pytest

import grantwheel
from grantwheel import Cause, Manager, ManualClock, Policy, ResourceType
from grantwheel.hold import Hold
from support import ALL, AUDIO, CPU, GPS, TIMER, Hook, brief, check_error, make_manager, refusal

UID, PID = 1000, 42
TTL = 30_000
THIRD = TTL // 3


def hold(manager: Manager, mask: int = GPS, **terms: Any) -> Hold:
    return manager.hold(mask, **{"uid": UID, "pid": PID, "timeout_ms": TTL, **terms})


def later(manager: Manager, clock: ManualClock, ms: int) -> int | None:
    clock.advance(ms)
    return manager.renew_holds()


def remaining(manager: Manager, uid: int = UID) -> list[int | None]:
    record = manager.find_app(uid)
    return [grant.remaining_ms for grant in record.grants] if record else []


def test_a_hold_lasts_as_long_as_its_block() -> None:
    manager, clock = make_manager()
    with hold(manager, CPU | AUDIO, reason="export") as held:
        record = manager.find_app(UID)
        assert record is not None
        assert (record.pid, record.mask) == (PID, CPU | AUDIO)
        assert {grant.reason for grant in record.grants} == {"export"}
        assert held.types == ResourceType.CPU | ResourceType.AUDIO
        for _ in range(10):
            assert later(manager, clock, THIRD) == clock.now() + THIRD
            assert remaining(manager) == [TTL, TTL]
        assert not held.lost
    assert manager.app_mask(UID) == 0
    assert not held.lost
    assert [(event.cause, event.mask, event.time) for event in manager.drain()] == [
        (Cause.APPLY, CPU | AUDIO, 0),
        (Cause.RELEASE, CPU | AUDIO, 10 * THIRD),
    ]
    assert manager.renew_holds() is None
    manager.validate()


def test_it_renews_at_a_third_and_not_before() -> None:
    manager, clock = make_manager()
    with hold(manager):
        assert manager.renew_holds() == THIRD
        assert later(manager, clock, THIRD - 1) == THIRD
        assert remaining(manager) == [TTL - THIRD + 1]
        assert later(manager, clock, 1) == 2 * THIRD
        assert remaining(manager) == [TTL]


def test_on_a_loop_it_is_renewed_by_hand_too() -> None:
    async def main() -> None:
        manager, clock = make_manager()
        async with hold(manager):
            assert manager.renew_holds() == THIRD
            assert later(manager, clock, THIRD) == 2 * THIRD
            assert remaining(manager) == [TTL]
        assert manager.renew_holds() is None

    asyncio.run(main())


def test_uid_and_pid_default_to_this_process() -> None:
    manager, _ = make_manager()
    with manager.hold(GPS):
        record = manager.find_app(os.getuid())
        assert record is not None
        assert (record.pid, record.grants[0].timeout_ms) == (os.getpid(), 30_000)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_it_releases_whatever_happens(error: type[BaseException]) -> None:
    manager, _ = make_manager()
    with pytest.raises(error), hold(manager):
        raise error
    assert manager.app_mask(UID) == 0


def test_it_releases_when_its_generator_is_closed_or_forgotten() -> None:
    manager, _ = make_manager()

    def holding() -> Iterator[None]:
        with hold(manager):
            yield

    generator = holding()
    next(generator)
    assert manager.app_mask(UID) == GPS
    generator.close()  # type: ignore[attr-defined]
    assert manager.app_mask(UID) == 0
    generator = holding()
    next(generator)
    del generator
    gc.collect()
    assert manager.app_mask(UID) == 0


def test_a_hold_that_is_dropped_is_over() -> None:
    manager, clock = make_manager()
    hold(manager).__enter__()
    gc.collect()
    assert manager.app_mask(UID) == 0
    assert later(manager, clock, THIRD) is None


def test_a_manager_that_is_dropped_is_collected() -> None:
    class Kept(Manager):
        collected = False

        def __del__(self) -> None:
            Kept.collected = True

    manager = Kept(clock=ManualClock())
    with hold(manager):
        pass
    del manager
    gc.collect()
    assert Kept.collected


def test_the_last_one_out_releases() -> None:
    manager, _ = make_manager()
    first, second, third = hold(manager), hold(manager), hold(manager, GPS | TIMER)
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert manager.app_mask(UID) == GPS
    third.__enter__()
    second.__exit__()
    assert manager.app_mask(UID) == GPS | TIMER
    third.__exit__()
    assert manager.app_mask(UID) == 0
    assert brief(manager.drain()) == [
        ("app_apply", UID, PID, GPS),
        ("app_apply", UID, PID, TIMER),
        ("app_reset", UID, PID, GPS | TIMER),
    ]


def test_holds_of_different_types_and_owners_have_nothing_to_do_with_each_other() -> None:
    manager, _ = make_manager()
    with hold(manager, GPS), hold(manager, GPS, uid=2000):
        with hold(manager, AUDIO):
            assert manager.app_mask(UID) == GPS | AUDIO
        assert (manager.app_mask(UID), manager.app_mask(2000)) == (GPS, GPS)


def test_a_hold_of_a_process_is_its_own() -> None:
    manager, _ = make_manager()
    with hold(manager, CPU | GPS, process=True), hold(manager, CPU | GPS, process=True, pid=43):
        assert (manager.process_mask(PID), manager.process_mask(43), manager.app_mask(UID)) == (CPU, CPU, GPS)
        with hold(manager, CPU | GPS, process=True):
            pass
        assert (manager.process_mask(PID), manager.app_mask(UID)) == (CPU, GPS)
    assert manager.records() == []


def test_each_hold_renews_for_its_own_time() -> None:
    manager, clock = make_manager()
    with hold(manager, GPS, timeout_ms=300):
        with hold(manager, AUDIO, timeout_ms=3000):
            later(manager, clock, 100)
            assert remaining(manager) == [300, 2900]
            for _ in range(9):
                later(manager, clock, 100)
            assert remaining(manager) == [300, 3000]
        assert remaining(manager) == [300]


def lose_by_release(manager: Manager, clock: ManualClock) -> None:
    manager.release(UID, 7, GPS)


def lose_by_reset(manager: Manager, clock: ManualClock) -> None:
    manager.admin_reset_app(UID, GPS)


def lose_by_stop(manager: Manager, clock: ManualClock) -> None:
    manager.app_stopped(UID)


def lose_by_expiry(manager: Manager, clock: ManualClock) -> None:
    clock.advance(TTL)


@pytest.mark.parametrize("lose", [lose_by_release, lose_by_reset, lose_by_stop, lose_by_expiry])
@pytest.mark.parametrize("asked", [False, True])
def test_what_is_lost_is_told_and_not_granted_again(lose: Any, asked: bool) -> None:
    manager, clock = make_manager()
    with hold(manager, GPS) as held:
        lose(manager, clock)
        if asked:
            assert held.lost == ResourceType.GPS
        assert later(manager, clock, THIRD) in (None, clock.now() + THIRD)
        assert held.lost == ResourceType.GPS
        assert later(manager, clock, THIRD) is None
        assert manager.app_mask(UID) == 0
    assert held.lost == ResourceType.GPS
    manager.advance()
    assert [event.kind for event in manager.drain()] == ["app_apply", "app_reset"]


def test_what_is_left_goes_on() -> None:
    manager, clock = make_manager()
    with hold(manager, GPS | TIMER | CPU, process=True) as held:
        manager.app_stopped(UID)
        later(manager, clock, THIRD)
        assert held.lost == ResourceType.GPS | ResourceType.CPU
        assert remaining(manager) == [TTL]
        manager.process_died(UID, PID)
        assert manager.app_mask(UID) == TIMER
    assert manager.records() == []


def test_a_process_that_dies_loses_its_hold_and_so_does_a_reused_pid() -> None:
    manager, clock = make_manager()
    with hold(manager, CPU, process=True) as held:
        manager.process_died(UID, PID)
        assert held.lost == ResourceType.CPU
    with hold(manager, CPU, process=True) as held:
        manager.apply(2000, PID, CPU, TTL, process=True)
        later(manager, clock, THIRD)
        assert held.lost == ResourceType.CPU
    record = manager.find_process(PID)
    assert record is not None
    assert (record.uid, record.grants[0].remaining_ms) == (2000, TTL - THIRD)


def test_a_hold_that_comes_after_a_loss_is_not_touched_by_those_before() -> None:
    manager, clock = make_manager()
    with hold(manager) as before:
        manager.release(UID, PID, GPS)
        after = hold(manager)
        after.__enter__()
        assert (before.lost, after.lost) == (ResourceType.GPS, 0)
        later(manager, clock, THIRD)
    assert manager.app_mask(UID) == GPS
    assert not after.lost
    after.__exit__()
    assert manager.app_mask(UID) == 0


def test_all_holds_of_a_grant_lose_it_together() -> None:
    manager, _ = make_manager()
    with hold(manager) as first, hold(manager) as second:
        manager.admin_reset_all()
        assert first.lost == second.lost == ResourceType.GPS


def test_what_others_grant_meanwhile_is_not_taken_from_them() -> None:
    manager, clock = make_manager()
    with hold(manager) as held:
        manager.release(UID, PID, GPS)
        assert held.lost
        manager.apply(UID, PID, GPS, 500)
        later(manager, clock, THIRD // 100)
    assert remaining(manager) == [500 - THIRD // 100]


def test_a_closed_manager_has_no_grants() -> None:
    manager, clock = make_manager()
    with hold(manager) as held:
        manager.close()
        assert held.lost == ResourceType.GPS
        assert later(manager, clock, THIRD) is None
    check_error(refusal(lambda: manager.hold(GPS).__enter__()), 9800004, 980000402)


def test_only_what_the_policy_allows_is_held() -> None:
    manager, clock = make_manager(policy=Policy(default_allowed=[6, 7]))
    with hold(manager, ALL) as held:
        assert held.types == ResourceType.GPS | ResourceType.AUDIO
        assert not held.lost
        later(manager, clock, THIRD)
        assert remaining(manager) == [TTL, TTL]
    assert manager.records() == []


def test_what_the_policy_takes_away_runs_out(caplog: pytest.LogCaptureFixture) -> None:
    manager, clock = make_manager()
    with hold(manager, GPS | AUDIO) as held:
        manager.set_policy(Policy(default_allowed=[7]))
        later(manager, clock, THIRD)
        assert (held.lost, held.failure) == (0, None)
        assert remaining(manager) == [TTL - THIRD, TTL]
        later(manager, clock, THIRD)
        later(manager, clock, THIRD)
        assert held.lost == ResourceType.GPS
        manager.set_policy(Policy(default_allowed=[]))
        later(manager, clock, THIRD)
        assert isinstance(held.failure, grantwheel.PermissionDeniedError)
        assert "could not be renewed" in caplog.text
        caplog.clear()
    assert "could not be released" in caplog.text
    assert manager.app_mask(UID) == AUDIO
    clock.advance(TTL)
    assert manager.app_mask(UID) == 0


def test_a_renewal_that_fails_is_tried_again() -> None:
    manager, clock = make_manager()
    with hold(manager) as held:
        manager.ready = False
        later(manager, clock, THIRD)
        failures = [held.failure]
        manager.ready = True
        later(manager, clock, THIRD)
        failures.append(held.failure)
        assert [type(failure) for failure in failures] == [grantwheel.ServiceOperationError, type(None)]
        assert remaining(manager) == [TTL]


def test_a_refused_hold_changes_nothing() -> None:
    manager, _ = make_manager(max_records=1)
    manager.apply(2000, 1, GPS, TTL)
    check_error(refusal(lambda: hold(manager).__enter__()), 9800001, 980000101)
    check_error(refusal(lambda: hold(manager, 0).__enter__()), 18700001, 1870000101)
    check_error(refusal(lambda: hold(manager, timeout_ms=0).__enter__()), 18700001, 1870000101)
    check_error(refusal(lambda: hold(manager, uid=-1).__enter__()), 18700001, 1870000102)
    with pytest.raises(TypeError, match="timeout_ms"):
        hold(manager, timeout_ms="long")
    assert manager.renew_holds() is None
    manager.release(2000, 1, GPS)
    with hold(manager):  # nothing was counted
        pass
    assert manager.records() == []


def test_a_refused_hold_leaves_those_that_are_there() -> None:
    manager, _ = make_manager()
    with hold(manager):
        manager.set_policy(Policy(default_allowed=[7]))
        check_error(refusal(lambda: hold(manager).__enter__()), 201, 201)
        manager.set_policy(Policy())
        assert manager.app_mask(UID) == GPS
    assert manager.app_mask(UID) == 0


def test_a_hold_can_be_used_once() -> None:
    manager, _ = make_manager()
    held = hold(manager)
    with held, pytest.raises(RuntimeError, match="used once; this one is held"):
        held.__enter__()
    with pytest.raises(RuntimeError, match="used once; this one is ended"):
        held.__enter__()
    assert "ended" in repr(held)


@pytest.mark.parametrize("make", [copy.copy, pickle.dumps])
def test_a_hold_is_neither_copied_nor_pickled(make: Any) -> None:
    manager, _ = make_manager()
    with hold(manager) as held, pytest.raises(TypeError):
        make(held)


def test_the_quota_is_asked_and_may_stop_a_hold_in_between() -> None:
    hook = Hook()
    manager, clock = make_manager(policy=Policy(quota=hook))

    class Stopping(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            manager.app_stopped(UID)
            return super().check(uid, bundle, mask, is_apply)

    with hold(manager, CPU) as held:
        assert hook.calls == [("check", UID, "", CPU, True)]
        manager.set_policy(Policy(quota=Stopping()))
        later(manager, clock, THIRD)
        assert held.lost == ResourceType.CPU
        assert manager.app_mask(UID) == 0
        manager.set_policy(Policy())
    assert [event.cause for event in manager.drain()] == ["apply", "app_stopped"]


def test_the_schedule_does_not_grow_with_holds_that_have_ended() -> None:
    manager, clock = make_manager()
    with hold(manager):
        for _ in range(1000):
            with hold(manager, AUDIO):
                pass
        assert len(manager._holds.plain._schedule) == 1
        assert later(manager, clock, THIRD) == 2 * THIRD
    assert len(manager._holds.plain._schedule) == 0


def test_random_holds_keep_what_a_simple_count_says() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    choices = random.Random(seed)
    manager, clock = make_manager()
    owners = (1000, 2000)
    types = (CPU, GPS, AUDIO, TIMER)
    # Each hold with what it has to have still: what was lost is struck off for all that had it.
    live: list[tuple[Hold, int, int, int]] = []

    def lose(uid: int, mask: int) -> None:
        live[:] = [(held, owner, asked, left & ~mask if owner == uid else left) for held, owner, asked, left in live]

    for _ in range(3000):
        action = choices.random()
        uid = choices.choice(owners)
        mask = sum(choices.sample(types, choices.randint(1, 3)))
        if action < 0.4:
            held = hold(manager, mask, uid=uid, timeout_ms=choices.choice([300, 3000]))
            held.__enter__()
            live.append((held, uid, mask, mask))
        elif action < 0.75 and live:
            held, _uid, asked, left = live.pop(choices.randrange(len(live)))
            held.__exit__()
            assert held.lost == asked & ~left
        elif action < 0.8:
            manager.release(uid, PID, mask)
            lose(uid, mask)
        elif action < 0.83:
            manager.app_stopped(uid)
            lose(uid, ALL & ~TIMER)
        else:
            later(manager, clock, choices.randint(0, 100))
        if choices.random() < 0.3:
            for held, _uid, asked, left in live:
                assert held.lost == asked & ~left
        for uid in owners:
            there = 0
            for _held, owner, _asked, left in live:
                there |= left if owner == uid else 0
            assert manager.app_mask(uid) == there
    manager.validate()


class TestRenew:
    """`Manager.renew`, which the renewals of holds are made of."""

    def test_it_extends_what_is_held_and_grants_nothing(self) -> None:
        manager, clock = make_manager()
        assert manager.renew(UID, PID, GPS, TTL) == 0
        manager.apply(UID, PID, GPS, 100)
        clock.set(50)
        assert manager.renew(UID, PID, GPS | AUDIO, TTL, reason="more") == GPS
        assert remaining(manager) == [TTL]
        clock.set(50 + TTL)
        assert manager.renew(UID, PID, GPS | AUDIO, TTL) == 0
        assert [event.cause for event in manager.drain()] == ["apply", "expired"]
        assert manager.advance() == 0
        manager.validate()

    def test_it_looks_where_an_apply_would_go(self) -> None:
        manager, _ = make_manager()
        manager.apply(UID, PID, CPU, TTL)
        assert manager.renew(UID, PID, CPU, TTL, process=True) == 0
        manager.apply(UID, PID, CPU, TTL, process=True)
        assert manager.renew(UID, PID, CPU | GPS, TTL, process=True) == CPU
        assert manager.renew(2000, PID, CPU, TTL, process=True) == 0
        record = manager.find_process(PID)
        assert record is not None
        assert record.uid == UID

    def test_it_is_refused_as_an_apply_is(self) -> None:
        manager, _ = make_manager(policy=Policy(default_allowed=[6]))
        check_error(refusal(lambda: manager.renew(UID, PID, 0, TTL)), 18700001, 1870000101)
        check_error(refusal(lambda: manager.renew(UID, PID, AUDIO, TTL)), 201, 201)
        with pytest.raises(TypeError, match="timeout_ms must be given"):
            manager.renew(UID, PID, GPS)
