"""What `on_lost` of a hold hears, when and how often, and what may be given for it."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

import grantwheel
from grantwheel import Manager, ManualClock, Policy, ResourceType
from grantwheel.hold import Hold
from support import AUDIO, CPU, GPS, TIMER, Hook, make_manager
from waiting import wait_for

UID, PID = 1000, 42
TTL = 30_000
THIRD = TTL // 3

News = list[tuple[ResourceType, Exception | None]]


class Listening:
    """Notes what a hold has lost, and why its last renewal failed, each time that it is called."""

    def __init__(self) -> None:
        self.news: News = []

    def __call__(self, hold: Hold) -> None:
        self.news.append((hold.lost, hold.failure))


def hold(manager: Manager, mask: int = GPS, on_lost: Callable[[Hold], object] | None = None, **terms: Any) -> Hold:
    return manager.hold(mask, on_lost=on_lost, **{"uid": UID, "pid": PID, "timeout_ms": TTL, **terms})


def later(manager: Manager, clock: ManualClock) -> None:
    clock.advance(THIRD)
    manager.renew_holds()


def test_it_is_called_once_for_what_has_gone() -> None:
    manager, clock = make_manager()
    heard = Listening()
    with hold(manager, GPS | AUDIO | TIMER, heard):
        later(manager, clock)
        assert heard.news == []
        manager.release(UID, PID, GPS)
        later(manager, clock)
        later(manager, clock)
        assert heard.news == [(ResourceType.GPS, None)]
        manager.app_stopped(UID)
        later(manager, clock)
        later(manager, clock)
        assert heard.news[1:] == [(ResourceType.GPS | ResourceType.AUDIO, None)]
    later(manager, clock)
    assert len(heard.news) == 2


def test_it_is_called_for_what_somebody_has_looked_at_before() -> None:
    manager, clock = make_manager()
    heard = Listening()
    with hold(manager, GPS, heard) as held:
        manager.release(UID, PID, GPS)
        assert held.lost == ResourceType.GPS
        assert heard.news == []
        later(manager, clock)
        assert heard.news == [(ResourceType.GPS, None)]


def test_it_is_called_once_for_renewals_that_fail_one_after_the_other() -> None:
    manager, clock = make_manager()
    heard = Listening()
    with hold(manager, GPS, heard) as held:
        for _ in range(2):
            manager.ready = False
            for _attempt in range(3):
                clock.advance(TTL // 100)
                held._renew()
            manager.ready = True
            held._renew()
    assert [(lost, type(failure)) for lost, failure in heard.news] == [
        (0, grantwheel.ServiceOperationError),
        (0, grantwheel.ServiceOperationError),
    ]


def test_a_renewal_that_fails_until_the_grant_has_run_out() -> None:
    manager, clock = make_manager()
    heard = Listening()
    with hold(manager, GPS, heard):
        manager.ready = False
        for _ in range(4):
            later(manager, clock)
        assert [lost for lost, _failure in heard.news] == [0, ResourceType.GPS]
        assert manager.renew_holds() is None


def test_a_manager_that_is_closed_has_lost_all() -> None:
    manager, clock = make_manager()
    heard = Listening()
    with hold(manager, GPS, heard):
        manager.close()
        later(manager, clock)
        assert [lost for lost, _failure in heard.news] == [ResourceType.GPS]
        later(manager, clock)
    assert len(heard.news) == 1


def test_the_end_of_a_block_is_no_loss() -> None:
    manager, clock = make_manager()
    heard = Listening()
    with hold(manager, GPS, heard):
        manager.release(UID, PID, GPS)
    later(manager, clock)
    assert heard.news == []


def test_a_hold_that_ends_while_it_is_renewed_hears_nothing() -> None:
    class Ending(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            held.__exit__()
            raise ValueError("no")

    manager, clock = make_manager()
    heard = Listening()
    held = hold(manager, CPU, heard)
    held.__enter__()
    manager.set_policy(Policy(quota=Ending()))
    later(manager, clock)
    assert heard.news == []


def test_what_it_raises_is_logged_and_the_others_are_renewed(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_hold: Hold) -> None:
        raise ValueError("no")

    manager, clock = make_manager()
    with hold(manager, GPS, fail), hold(manager, AUDIO):
        manager.release(UID, PID, GPS)
        later(manager, clock)
        assert [grant.remaining_ms for grant in manager.records()[0].grants] == [TTL]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "on_lost" in record.message


def test_it_may_end_its_hold_and_begin_another() -> None:
    manager, clock = make_manager()
    again: list[Hold] = []

    def begin_again(held: Hold) -> None:
        held.__exit__()
        again.append(hold(manager, GPS).__enter__())

    first = hold(manager, GPS, begin_again).__enter__()
    manager.release(UID, PID, GPS)
    later(manager, clock)
    assert (manager.app_mask(UID), first.lost, again[0].lost) == (GPS, GPS, 0)
    again[0].__exit__()
    assert manager.app_mask(UID) == 0


def test_the_thread_calls_it() -> None:
    manager = Manager()
    heard = Listening()
    with hold(manager, GPS, heard, timeout_ms=300):
        manager.release(UID, PID, GPS)
        wait_for(lambda: heard.news)
    assert heard.news == [(ResourceType.GPS, None)]


def test_on_the_thread_it_may_end_its_hold(caplog: pytest.LogCaptureFixture) -> None:
    manager = Manager()
    ended: list[float] = []

    def end(held: Hold) -> None:
        began = time.monotonic()
        held.__exit__()
        ended.append(time.monotonic() - began)

    held = hold(manager, GPS | AUDIO, end, timeout_ms=300).__enter__()
    manager.release(UID, PID, GPS)
    wait_for(lambda: ended)
    assert ended[0] < 0.9  # it does not wait for the thread that it is on
    assert (manager.app_mask(UID), held.lost, caplog.records) == (0, GPS, [])


def test_it_is_called_when_the_thread_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_place: object) -> None:
        raise OSError("no more waiting")

    manager = Manager()
    heard = Listening()
    monkeypatch.setattr(manager._loop, "_turn", fail)
    with hold(manager, GPS, heard):
        wait_for(lambda: heard.news)
    ((lost, failure),) = heard.news
    assert lost == 0
    assert isinstance(failure, RuntimeError)
    assert isinstance(failure.__cause__, OSError)


def test_the_loop_calls_it() -> None:
    async def main() -> None:
        manager = Manager()
        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        async with hold(
            manager, GPS, lambda held: lost.set_result((held.lost, asyncio.get_running_loop())), timeout_ms=300
        ):
            manager.release(UID, PID, GPS)
            assert await lost == (ResourceType.GPS, loop)

    asyncio.run(main())


class Asynchronous:
    async def __call__(self, hold: Hold) -> None: ...
    async def method(self, hold: Hold) -> None: ...


async def function(hold: Hold) -> None: ...


@pytest.mark.parametrize(
    "on_lost",
    [function, functools.partial(function), Asynchronous(), Asynchronous().method, functools.partial(Asynchronous())],
)
def test_what_would_have_to_be_awaited_is_refused(on_lost: Any) -> None:
    manager, _ = make_manager()
    with pytest.raises(TypeError, match="on_lost must be a plain function"):
        hold(manager, GPS, on_lost)


def test_what_cannot_be_called_is_refused() -> None:
    manager, _ = make_manager()
    with pytest.raises(TypeError, match="on_lost must be callable, not str"):
        hold(manager, GPS, "lost")  # type: ignore[arg-type]


def test_a_coroutine_that_it_returns_is_told_and_not_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    manager, clock = make_manager()
    with hold(manager, GPS, lambda _held: function(held)) as held:
        manager.release(UID, PID, GPS)
        later(manager, clock)
    assert "asynchronous" in caplog.text
