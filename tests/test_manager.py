"""The manager as a whole: making one, its policy and readiness, closing it, and many threads."""

import gc
import re
import threading
import weakref
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from typing import Any, SupportsIndex

import pytest

from grantwheel import (
    Caller,
    Manager,
    ManualClock,
    Policy,
    ServiceOperationError,
)
from support import (
    ALL,
    COMMON_EVENT,
    CPU,
    GPS,
    MAIL,
    TIMER,
    check_error,
    check_refused,
    filled,
    make_manager,
    refusal,
    request,
)

NATIVE = Caller(native=True)


# Making one.


def test_the_arguments_are_keywords() -> None:
    make: Any = Manager
    with pytest.raises(TypeError):
        make(ManualClock())
    with pytest.raises(TypeError):
        make(max_records=7, colour="blue")
    policy: Any
    for policy in (7, "all", Policy, {}):
        with pytest.raises(TypeError, match="policy"):
            make(policy=policy)


def test_managers_are_apart() -> None:
    first, second = make_manager()[0], make_manager()[0]
    first.apply(700, 71, GPS, 40)
    assert second.app_mask(700) == 0
    assert second.drain() == []


def test_a_manager_may_be_subclassed() -> None:
    class Counting(Manager):
        deaths = 0

        def process_died(self, uid: SupportsIndex, pid: SupportsIndex) -> int:
            self.deaths += 1
            return super().process_died(uid, pid)

    manager = Counting(clock=ManualClock())
    manager.apply(700, 71, CPU, 40, process=True)
    assert manager.process_died(700, 71) == CPU
    assert manager.deaths == 1


def test_a_manager_in_a_cycle_is_collected() -> None:
    class Hook:
        manager: Manager

        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            return True

        def settle(self, uid: int, /) -> None:
            pass

    class Collected(Manager):
        pass

    hook = Hook()
    hook.manager = Collected(clock=ManualClock(), policy=Policy(quota=hook))
    gone = weakref.ref(hook.manager)
    del hook
    gc.collect()
    assert gone() is None


# The policy.


def test_a_policy_is_a_value() -> None:
    policy = Policy(default_allowed=[1])
    field: Any = "default_allowed"
    with pytest.raises(FrozenInstanceError):
        setattr(policy, field, [2])
    assert replace(policy, default_allowed=(0,)) == Policy()


def test_the_policy_may_change_while_running() -> None:
    manager, _ = make_manager()
    assert manager.policy == Policy()
    manager.apply(700, 71, GPS | CPU, 40)
    strict = Policy(default_allowed=(1,), default_caller=Caller(service_extension=True))
    manager.set_policy(strict)
    assert manager.policy is strict
    assert manager.app_mask(700) == GPS | CPU
    check_refused(manager, lambda: manager.release(700, 71, GPS), 201, 201)
    check_refused(manager, lambda: manager.subscribe("s"), 201, 201)
    assert manager.release(700, 71, GPS | CPU) == CPU
    manager.set_policy(Policy())
    assert manager.release(700, 71, GPS) == GPS


def test_a_large_policy() -> None:
    bundles = [f"org.tide.b{number}" for number in range(3000)]
    policy = Policy(
        allowed={bundle: [1 + number % 9] for number, bundle in enumerate(bundles)},
        callers={uid: Caller(bundle=bundle, system_app=True) for uid, bundle in enumerate(bundles)},
        default_allowed=(),
    )
    manager, _ = make_manager(policy=policy)
    for uid in range(3000):
        assert manager.apply(uid, 1, ALL, 40) == 1 << uid % 9
    check_refused(manager, lambda: manager.apply(3000, 1, ALL, 40), 201, 201)


def test_readiness_comes_and_goes() -> None:
    manager, _ = make_manager()
    assert manager.ready is True
    manager.ready = False
    assert manager.ready is False
    check_refused(manager, lambda: manager.apply(700, 71, GPS, 40), 9800004, 980000401)
    manager.ready = True
    assert manager.apply(700, 71, GPS, 40) == GPS


def test_not_being_ready_stops_requests_only() -> None:
    manager, clock = filled()
    manager.ready = False
    assert manager.app_mask(700) == TIMER | CPU
    assert manager.count(CPU) == 3
    assert len(manager.infos(caller=NATIVE).apps) == 3
    assert manager.process_died(700, 72) == CPU
    assert manager.admin_reset_app(700, CPU) == CPU
    clock.set(500)
    assert manager.advance() == 3
    assert [record.uid for record in manager.records()] == [700]


# Closing.


def test_closing_ends_every_call() -> None:
    manager, _ = filled()
    subscription = manager.subscribe("s")
    manager.apply(701, 72, GPS, 40)
    manager.close()
    manager.close()
    calls: list[Callable[[], object]] = [
        lambda: manager.apply(700, 71, GPS, 40),
        lambda: manager.release(700, 71, GPS),
        lambda: manager.reset_all(700, 71),
        lambda: manager.apply_request(request(), caller=MAIL),
        lambda: manager.reset_all_request(caller=MAIL),
        lambda: manager.app_mask(700),
        lambda: manager.process_mask(71),
        lambda: manager.holders(GPS),
        lambda: manager.count(GPS),
        lambda: manager.find_app(700),
        lambda: manager.find_process(71),
        manager.records,
        lambda: manager.process_died(700, 71),
        lambda: manager.app_stopped(700),
        lambda: manager.package_removed(700),
        manager.admin_list,
        manager.admin_reset_all,
        lambda: manager.admin_reset_app(700, GPS),
        lambda: manager.admin_reset_process(71, CPU),
        lambda: manager.set_policy(Policy()),
        lambda: manager.ready,
        lambda: setattr(manager, "ready", False),
        manager.advance,
        manager.next_deadline,
        lambda: manager.wake_at,
        lambda: manager.subscribe("t"),
        lambda: manager.unsubscribe("nobody"),
        lambda: manager.unsubscribe("s"),
        subscription.cancel,
        manager.drain,
        subscription.drain,
        manager.stats,
        manager.validate,
    ]
    assert manager.drain()  # what happened before is not lost
    assert [event.uid for event in subscription.drain()] == [701]
    for call in calls:
        check_error(refusal(call), 9800004, 980000402)
    check_error(refusal(lambda: manager.get_all(caller=MAIL)), 18700004, 1870000402)
    check_error(refusal(manager.infos), 18700004, 1870000402)


def test_batches_on_a_closed_manager() -> None:
    from array import array

    manager, _ = make_manager()
    manager.close()
    one = array("i", [1])
    for call in (
        lambda: manager.apply_many(one, one, one, one),
        lambda: manager.release_many(one, one, one),
        lambda: manager.app_masks(one),
    ):
        check_error(refusal(call), 9800004, 980000402)


def test_closing_lets_go_of_the_hook() -> None:
    class Hook:
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            return True

        def settle(self, uid: int, /) -> None:
            pass

    manager, _ = make_manager(policy=Policy(quota=Hook()))
    manager.apply(700, 71, CPU, 40)
    manager.close()
    check_error(refusal(lambda: manager.release(700, 71, CPU)), 9800004, 980000402)


# Threads.


def test_many_threads_may_use_one_manager() -> None:
    manager, clock = make_manager()
    errors: list[BaseException] = []
    rounds = 300

    def work(uid: int) -> None:
        try:
            for _ in range(rounds):
                assert manager.apply(uid, uid, GPS | CPU, 50, process=True) == GPS | CPU
                assert manager.apply(1000, uid, COMMON_EVENT, 0, persist=True) == COMMON_EVENT
                assert manager.app_mask(uid) == GPS
                assert manager.count(GPS) >= 1
                assert manager.reset_all(uid, uid) == GPS | CPU
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(uid,)) for uid in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    manager.validate()
    assert [record.uid for record in manager.records()] == [1000]
    assert manager.stats().last_sequence == 4 * rounds * 4 + 1
    clock.advance(50)
    assert manager.advance() == 0


def test_the_end_of_a_block_closes() -> None:
    with Manager() as manager:
        assert manager.apply(1, 11, GPS, 60_000) == GPS
    with pytest.raises(ServiceOperationError):
        manager.app_mask(1)
    with pytest.raises(KeyError), Manager() as manager:
        raise KeyError
    assert "closed" in repr(manager)


def test_repr_tells_and_changes_nothing() -> None:
    manager, clock = make_manager()
    manager.apply(1, 11, GPS, 10)
    clock.set(50)
    assert re.fullmatch(r"<Manager on .*ManualClock.*, 1 events>", repr(manager))
    assert manager.last_sequence == 1  # what is due has not been ended by it


def test_wall_time_of_an_instant() -> None:
    manager, clock = make_manager()
    clock.set(10_000)
    before = datetime.now(UTC)
    at, earlier = manager.wall_time(10_000), manager.wall_time(4_000)
    after = datetime.now(UTC)
    assert before - timedelta(milliseconds=1) < at <= after
    assert timedelta(seconds=5.9) < at - earlier < timedelta(seconds=6) + (after - before)
    assert at.microsecond % 1000 == 0
    assert manager.wall_time(manager.clock.now() + 86_400_000) - at >= timedelta(hours=24)
    with pytest.raises(OverflowError):
        manager.wall_time(2**62)
    with pytest.raises(TypeError):
        manager.wall_time("soon")  # type: ignore[arg-type]
