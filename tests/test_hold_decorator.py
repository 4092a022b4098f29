"""A hold as a decorator: each call of the function has one of its own."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from grantwheel.hold import Hold
from support import AUDIO, GPS, make_manager

UID, PID = 1000, 42


def test_each_call_holds() -> None:
    manager, clock = make_manager()
    seen: list[int] = []

    @manager.hold(GPS, uid=UID, pid=PID, timeout_ms=90)
    def work(depth: int, *, step: int = 1) -> str:
        """Say how deep."""
        seen.append(manager.app_mask(UID))
        clock.advance(30)
        manager.renew_holds()
        return f"{depth}" if depth == 0 else work(depth - step)

    assert manager.app_mask(UID) == 0
    assert (work(2), work(1)) == ("0", "0")
    assert seen == [GPS] * 5
    assert manager.app_mask(UID) == 0
    assert manager.renew_holds() is None
    assert (work.__name__, work.__doc__) == ("work", "Say how deep.")


def test_an_error_of_the_function_comes_out_and_the_hold_ends() -> None:
    manager, _ = make_manager()

    @manager.hold(GPS, uid=UID, pid=PID)
    def fail() -> None:
        assert manager.app_mask(UID) == GPS
        raise KeyError("mine")

    for _turn in range(2):
        with pytest.raises(KeyError, match="mine"):
            fail()
        assert manager.app_mask(UID) == 0


def test_an_async_function_holds_while_it_is_awaited() -> None:
    manager, _ = make_manager()

    @manager.hold(GPS, uid=UID, pid=PID)
    async def work() -> int:
        await asyncio.sleep(0)
        return manager.app_mask(UID)

    assert inspect.iscoroutinefunction(work)

    async def main() -> list[int]:
        first = work()
        before = manager.app_mask(UID)
        return [before, *await asyncio.gather(first, work()), manager.app_mask(UID)]

    assert asyncio.run(main()) == [0, GPS, GPS, 0]


def test_methods_hold_too() -> None:
    manager, _ = make_manager()
    hold = functools.partial(manager.hold, uid=UID, pid=PID)

    class Exporter:
        @hold(GPS)
        @hold(AUDIO)
        def export(self) -> int:
            return manager.app_mask(UID)

    assert Exporter().export() == GPS | AUDIO
    assert manager.app_mask(UID) == 0


def test_what_only_begins_when_it_is_called_is_refused() -> None:
    manager, _ = make_manager()

    def generate() -> Iterator[int]:
        yield 1

    async def generate_async() -> AsyncIterator[int]:
        yield 1

    function: Any
    for function in (generate, generate_async, functools.partial(generate), 3, None):
        with pytest.raises(TypeError, match="what a hold decorates"):
            manager.hold(GPS, uid=UID, pid=PID)(function)

    async def work() -> None: ...

    @manager.hold(GPS, uid=UID, pid=PID)
    def later() -> object:
        return work()

    with pytest.raises(TypeError, match="what a hold decorates is asynchronous"):
        later()
    assert manager.app_mask(UID) == 0


def test_a_hold_that_has_decorated_can_still_be_entered_once() -> None:
    manager, _ = make_manager()
    hold = manager.hold(GPS, uid=UID, pid=PID)
    work = hold(lambda: manager.app_mask(UID))
    with hold as held:
        assert isinstance(held, Hold)
        assert work() == GPS
        assert manager.app_mask(UID) == GPS
    assert manager.app_mask(UID) == 0
    assert work() == GPS


@pytest.mark.parametrize("length", [90, timedelta(milliseconds=90)])
def test_the_timeout_may_be_a_timedelta(length: int | timedelta) -> None:
    manager, clock = make_manager()
    with manager.hold(GPS, uid=UID, pid=PID, timeout_ms=length):
        assert manager.renew_holds() == clock.now() + 30
        (grant,) = manager.records()[0].grants
        assert grant.timeout_ms == 90


@pytest.mark.parametrize(
    ("length", "error"),
    [
        (timedelta(microseconds=1), ValueError),
        ("90", TypeError),
        (1.5, TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_a_timeout_that_is_none_is_refused_by_name(length: Any, error: type[Exception]) -> None:
    manager, _ = make_manager()
    with pytest.raises(error, match=r"^timeout_ms must be"):
        manager.hold(GPS, uid=UID, pid=PID, timeout_ms=length)
