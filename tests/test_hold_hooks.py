"""Holds beside the quota hook: what changes while it runs, what it raises, what waits for it."""

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import grantwheel
from grantwheel import Manager, ManualClock, MemoryLog, Policy, ResourceType
from grantwheel.hold import Hold
from support import AUDIO, CPU, GPS, Hook, check_error, make_manager, refusal
from waiting import PATIENCE

UID, PID = 1000, 42
TTL = 30_000


def hold(manager: Manager, mask: int = CPU, **terms: Any) -> Hold:
    return manager.hold(mask, **{"uid": UID, "pid": PID, "timeout_ms": TTL, **terms})


class Doing(Hook):
    """A hook that does something when it is asked, once."""

    def __init__(self) -> None:
        super().__init__()
        self.to_do: Callable[[], object] | None = None

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        to_do, self.to_do = self.to_do, None
        if to_do is not None:
            to_do()
        return super().check(uid, bundle, mask, is_apply)


def doing() -> tuple[Manager, ManualClock, Doing]:
    hook = Doing()
    manager, clock = make_manager(policy=Policy(quota=hook))
    return manager, clock, hook


def in_a_thread(work: Callable[[], object]) -> None:
    """Do it in another thread, and wait for that."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_renewal_of_a_hold_that_has_ended_extends_nothing() -> None:
    manager, clock, hook = doing()
    held = hold(manager, reason="export").__enter__()

    def end_it_and_apply() -> None:
        held.__exit__()
        manager.apply(UID, 7, CPU, 100, reason="other")

    clock.advance(TTL // 3)
    hook.to_do = lambda: in_a_thread(end_it_and_apply)
    manager.renew_holds()
    ((grant,),) = [record.grants for record in manager.records()]
    assert (grant.reason, grant.remaining_ms) == ("other", 100)


def test_a_renewal_extends_nothing_that_was_lost_meanwhile_and_granted_to_others() -> None:
    manager, clock, hook = doing()
    with hold(manager, CPU | GPS) as held:

        def lose_it_and_apply() -> None:
            manager.release(UID, PID, CPU)
            assert held.lost == ResourceType.CPU
            manager.apply(UID, 7, CPU, 100, reason="other")

        clock.advance(TTL // 3)
        hook.to_do = lose_it_and_apply
        manager.renew_holds()
        assert held.lost == ResourceType.CPU
        (record,) = manager.records()
        assert [(grant.type, grant.remaining_ms) for grant in record.grants] == [(CPU, 100), (GPS, TTL)]


@pytest.mark.parametrize("has_log", [False, True])
def test_a_renewal_grants_nothing_anew_that_nobody_has_seen_go(has_log: bool) -> None:
    hook = Doing()
    manager, clock = make_manager(policy=Policy(quota=hook), log=MemoryLog() if has_log else None)
    with hold(manager, CPU | GPS) as held:
        clock.advance(TTL // 3)
        hook.to_do = lambda: manager.release(UID, PID, CPU)
        manager.renew_holds()
        (record,) = manager.records()
        assert [(grant.type, grant.remaining_ms) for grant in record.grants] == [(GPS, TTL)]
        assert held.lost == ResourceType.CPU


def test_a_type_that_somebody_begins_to_hold_while_the_hook_is_asked_is_not_released() -> None:
    manager, _, hook = doing()
    first, second = hold(manager), hold(manager)
    first.__enter__()
    hook.to_do = second.__enter__
    first.__exit__()
    assert (manager.app_mask(UID), second.lost) == (CPU, 0)
    second.__exit__()
    assert manager.app_mask(UID) == 0


def test_a_hold_that_is_ended_by_the_hook_is_released_when_that_returns() -> None:
    manager, clock, hook = doing()
    held = hold(manager).__enter__()
    clock.advance(TTL // 3)
    hook.to_do = held.__exit__
    manager.renew_holds()
    assert manager.app_mask(UID) == 0
    assert [call[-1] for call in hook.calls] == [True, True, False, UID]  # begin, renewal, end, and what it was told


def test_a_hold_that_is_ended_while_it_begins_holds_nothing() -> None:
    manager, _, hook = doing()
    held = hold(manager)
    hook.to_do = held.__exit__
    with pytest.raises(RuntimeError, match="ended while it began"):
        held.__enter__()
    assert manager.records() == []
    assert manager.renew_holds() is None


def test_the_hook_may_wait_for_a_thread_that_begins_and_ends_holds() -> None:
    # And so it may have a lock of its own: nothing of a hold waits for the hook.
    manager, clock, hook = doing()

    def hold_something_else() -> None:
        with hold(manager, GPS):
            assert manager.app_mask(UID) & GPS

    hook.to_do = lambda: in_a_thread(hold_something_else)
    with hold(manager):
        clock.advance(TTL // 3)
        hook.to_do = lambda: in_a_thread(hold_something_else)
        manager.renew_holds()
        hook.to_do = lambda: in_a_thread(hold_something_else)
    assert manager.records() == []


def keep(held: Hold) -> list[object]:
    """Return a list that keeps a hold in a circle, so that only a collection drops it."""
    circle: list[object] = [held]
    circle.append(circle)
    return circle


def holding(manager: Manager, mask: int) -> Iterator[None]:
    """A generator that holds, and is closed by what drops it."""
    with hold(manager, mask, uid=2000):
        yield


def dropped_hold(manager: Manager, mask: int) -> object:
    return keep(hold(manager, mask, uid=2000).__enter__())


def dropped_block(manager: Manager, mask: int) -> object:
    generator = holding(manager, mask)
    next(generator)
    circle: list[object] = [generator]
    circle.append(circle)
    return circle


DROPPED = pytest.mark.parametrize("make", [dropped_hold, dropped_block])


@DROPPED
@pytest.mark.parametrize("mask", [GPS, CPU, CPU | GPS])
def test_a_hold_that_is_collected_while_the_hook_runs_is_released(
    make: Callable[[Manager, int], object], mask: int
) -> None:
    is_asking = False

    class NotTwiceAtOnce(Doing):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            nonlocal is_asking
            assert not is_asking, "the hook is asked while it is asked"
            is_asking = True
            try:
                return super().check(uid, bundle, mask, is_apply)
            finally:
                is_asking = False

    hook = NotTwiceAtOnce()
    manager, _ = make_manager(policy=Policy(quota=hook))
    garbage: object = make(manager, mask)

    def collect() -> None:
        nonlocal garbage
        garbage = None
        gc.collect()

    hook.to_do = collect
    manager.apply(UID, PID, CPU, TTL)
    assert (manager.app_mask(2000), manager.app_mask(UID)) == (0, CPU)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_a_hook_that_raises_at_the_end_has_not_refused(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise error

    manager, _, hook = doing()
    with hold(manager):
        hook.to_do = fail
    assert manager.app_mask(UID) == 0
    (record,) = caplog.records
    assert "the quota failed" in record.message
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_a_hook_that_refuses_the_release_lets_the_grant_run_out(caplog: pytest.LogCaptureFixture) -> None:
    manager, clock, hook = doing()
    with hold(manager, CPU | GPS):
        hook.answer = False
    assert manager.app_mask(UID) == CPU | GPS
    assert "could not be released, and runs out" in caplog.text
    with hold(manager, GPS):  # what is left has nothing to do with those that come after
        pass
    assert manager.app_mask(UID) == CPU
    clock.advance(TTL)
    assert manager.app_mask(UID) == 0


def test_a_hook_that_exits_in_a_renewal_is_a_renewal_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    def leave() -> None:
        raise SystemExit(3)

    manager, clock, hook = doing()
    with hold(manager) as held:
        hook.to_do = leave
        clock.advance(TTL // 3)
        manager.renew_holds()
        failure = held.failure
        assert isinstance(failure, RuntimeError)
        assert isinstance(failure.__cause__, SystemExit)
        clock.advance(TTL // 3)
        manager.renew_holds()
        assert held.failure is None
    assert manager.app_mask(UID) == 0


def test_a_refusal_of_a_hold_is_counted_as_those_of_calls_are() -> None:
    hook = Hook(answer=False)
    manager, _ = make_manager(policy=Policy(quota=hook))
    check_error(refusal(hold(manager).__enter__), 201, 201)
    check_error(refusal(lambda: manager.apply(UID, PID, CPU, TTL)), 201, 201)
    assert manager.stats().refused[201] == 2


class TestLease:
    """What a hold is made of."""

    def lease(self, manager: Manager, mask: int = GPS) -> Any:
        return grantwheel._core.Lease(manager, UID, PID, mask, TTL, False, "", -1, None)

    def test_it_ends_with_itself(self) -> None:
        manager, _ = make_manager()
        lease = self.lease(manager)
        assert lease.begin() == GPS
        del lease
        assert manager.app_mask(UID) == 0

    def test_it_ends_in_a_circle_with_its_manager(self) -> None:
        collected: list[str] = []

        class Kept(Manager):
            lease: Any

            def __del__(self) -> None:
                collected.append("manager")

        manager = Kept(clock=ManualClock())
        manager.lease = self.lease(manager)
        manager.lease.begin()
        del manager
        gc.collect()
        assert collected == ["manager"]

    def test_its_states(self) -> None:
        manager, _ = make_manager()
        lease = self.lease(manager, GPS | AUDIO)
        assert (lease.state, lease.types, lease.lost(), lease.renew()) == ("new", 0, 0, 0)
        lease.begin()
        assert (lease.state, lease.types, lease.renew()) == ("held", GPS | AUDIO, GPS | AUDIO)
        manager.release(UID, PID, GPS)
        assert (lease.lost(), lease.renew()) == (GPS, AUDIO)
        lease.end()
        lease.end()
        assert (lease.state, lease.types, lease.lost(), lease.renew()) == ("ended", GPS | AUDIO, GPS, 0)
        with pytest.raises(RuntimeError, match="used once"):
            lease.begin()

    def test_a_begin_that_fails_is_its_end(self) -> None:
        def fail() -> None:
            raise LookupError("no")

        manager, _, hook = doing()
        refused, failed = self.lease(manager, CPU), self.lease(manager, CPU)
        hook.answer = False
        check_error(refusal(refused.begin), 201, 201)
        hook.to_do = fail
        with pytest.raises(LookupError):
            failed.begin()
        for lease in (refused, failed):
            assert (lease.state, lease.types, lease.lost()) == ("ended", 0, 0)
            with pytest.raises(RuntimeError, match="this one is ended"):
                lease.begin()

    def test_a_renewal_that_its_end_overtakes_extends_nothing_for_others(self) -> None:
        manager, clock, hook = doing()
        first, second = self.lease(manager, CPU), self.lease(manager, CPU)
        assert (first.begin(), second.begin()) == (CPU, CPU)
        clock.advance(TTL // 3)
        hook.to_do = first.end
        assert first.renew() == 0
        ((grant,),) = [record.grants for record in manager.records()]
        assert grant.remaining_ms == TTL - TTL // 3
        assert second.lost() == 0

    def test_one_that_never_began_cannot_begin_after_its_end(self) -> None:
        manager, _ = make_manager()
        lease = self.lease(manager)
        lease.end()
        with pytest.raises(RuntimeError, match="used once"):
            lease.begin()

    def test_the_hook_is_not_asked_about_a_renewal_that_has_lost_its_cpu_by_then(self) -> None:
        class Losing:
            """A clock that is asked for the second time of the renewal when the CPU goes, and others get it."""

            asked = 0

            def now(self) -> int:
                self.asked += 1
                if self.asked == 2:
                    manager.release(UID, PID, CPU)
                    assert lease.lost() == CPU
                    manager.apply(UID, 7, CPU, 100)
                return 10

        hook, clock = Hook(), Losing()
        manager = Manager(clock=clock, policy=Policy(quota=hook))
        lease = self.lease(manager, CPU | GPS)
        clock.asked = 5
        assert lease.begin() == CPU | GPS
        hook.calls.clear()
        clock.asked = 0
        assert lease.renew() == GPS
        assert [call for call in hook.calls if call[0] == "check"] == [
            ("check", UID, "", CPU, False),
            ("check", UID, "", CPU, True),
        ]

    def test_without_init_it_is_refused(self) -> None:
        for name in ("Lease", "Schedule"):
            made = getattr(grantwheel._core, name)
            bare = made.__new__(made)
            for member in set(dir(made)) - set(dir(object)):
                with pytest.raises(TypeError):  # noqa: PT012
                    call = getattr(bare, member)
                    call(*[1] * 3)
            del bare
            gc.collect()
