"""How callbacks have their events when something is wrong around them: a close, failing threads, coroutines."""

import asyncio
import functools
import gc
import logging
import random
import sys
import threading
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from grantwheel import BusinessError, Event, Manager, Subscription, aio
from intruding import soon
from support import GPS, make_manager
from waiting import own_threads, wait_for


def blink(manager: Manager, times: int = 1) -> None:
    """Make two events."""
    for _ in range(times):
        manager.apply(700, 71, GPS, 40)
        manager.release(700, 71, GPS)


def numbers(events: list[Event]) -> list[int]:
    return [event.sequence for event in events]


# Events from before a close.


@pytest.mark.parametrize("batch", [False, True])
def test_what_happened_before_the_close_is_delivered(batch: bool, caplog: pytest.LogCaptureFixture) -> None:
    manager, _ = make_manager()
    seen: list[Any] = []
    resets: list[Event] = []
    subscription = manager.subscribe(seen.append, batch=batch)
    manager.subscribe(resets.append, kinds=["app_reset"])
    with manager.running():
        blink(manager, 3000)
        manager.close()
    events = [event for part in seen for event in part] if batch else seen
    assert numbers(events) == list(range(1, 6001))
    assert numbers(resets) == list(range(2, 6001, 2))
    assert (subscription.pending, subscription.missed) == (0, 0)
    assert caplog.records == []


def test_what_waits_when_the_manager_closes_is_pending_until_it_is_delivered() -> None:
    manager, _ = make_manager()
    go_on = threading.Semaphore(0)
    story: list[tuple[int, int]] = []

    def take(event: Event) -> None:
        go_on.acquire()
        story.append((event.sequence, subscription.pending))

    subscription = manager.subscribe(take)
    with manager.running():
        blink(manager, 2)
        manager.close()
        for left in (3, 2, 1):
            go_on.release()
            wait_for(lambda: story and story[-1][1] == left)  # noqa: B023
        go_on.release()
    assert story == [(1, 3), (2, 2), (3, 1), (4, 0)]


def test_a_gap_is_told_after_the_close_too() -> None:
    manager, _ = make_manager(event_capacity=4)
    story: list[int | str] = []
    entered, go_on = threading.Event(), threading.Event()

    def take(event: Event) -> None:
        entered.set()
        go_on.wait()
        story.append(event.sequence)

    manager.subscribe(take, on_gap=lambda count: story.append(f"gap of {count}"))
    with manager.running():
        manager.apply(700, 71, GPS, 40)
        entered.wait()
        blink(manager, 5)
        manager.close()
        go_on.set()
    assert story == [1, "gap of 5", 7, 8, 9, 10]


def test_a_callback_may_close_the_manager() -> None:
    manager, _ = make_manager()
    events: list[Event] = []

    def take(event: Event) -> None:
        events.append(event)
        if event.sequence == 2:
            manager.close()

    others: list[Event] = []
    uids = array("I", [1, 2, 3])
    manager.subscribe(take)
    manager.subscribe(others.append)
    with manager.running():
        manager.apply_many(uids, uids, array("i", [GPS] * 3), array("I", [40] * 3))
    assert numbers(events) == numbers(others) == [1, 2, 3]


def test_streams_have_what_happened_before_the_close() -> None:
    manager, _ = make_manager()

    async def main() -> None:
        one_by_one, batches, resets = (
            aio.events(manager),
            aio.events(manager, batch=True),
            aio.events(manager, kinds=["app_reset"]),
        )
        blink(manager, 200)
        first = await anext(one_by_one)
        manager.close()
        assert one_by_one.pending == 399
        assert [first.sequence, *[event.sequence async for event in one_by_one]] == list(range(1, 401))
        assert [event.sequence async for events in batches for event in events] == list(range(1, 401))
        assert [event.sequence async for event in resets] == list(range(2, 401, 2))
        assert [stream.missed for stream in (one_by_one, batches, resets)] == [0, 0, 0]

    asyncio.run(main())


# What goes wrong around a callback.


class FailingStarts:
    """Threads of which one cannot be started."""

    def __init__(self, patch: pytest.MonkeyPatch, place: int) -> None:
        self._left = place
        self._start = threading.Thread.start
        self.has_failed = False
        patch.setattr(threading.Thread, "start", lambda thread: self.begin(thread))  # noqa: PLW0108 - else no method

    def begin(self, thread: threading.Thread) -> None:
        self._left -= 1
        if self._left < 0 and not self.has_failed:
            self.has_failed = True
            raise RuntimeError("can't start new thread")
        self._start(thread)


@pytest.mark.parametrize("has_run", [False, True], ids=["new", "has run"])
def test_a_thread_that_cannot_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch, has_run: bool) -> None:
    def begin(place: int) -> bool:
        with monkeypatch.context() as patch:
            starts = FailingStarts(patch, place)
            try:
                runner.start()
            except RuntimeError as error:
                assert "new thread" in str(error)  # noqa: PT017 - at the last place there is none
            return starts.has_failed

    manager, _ = make_manager()
    first, second = list[Event](), list[Event]()
    manager.subscribe(first.append)
    manager.subscribe(second.append)
    runner = manager.running()
    if has_run:
        with runner:
            blink(manager)
    blink(manager)
    threads = len(own_threads())

    def fail(place: int) -> int:
        """Let the thread at this place fail, and return how many descriptors are open then."""
        assert soon(lambda: begin(place))
        assert manager.runner is None
        wait_for(lambda: len(own_threads()) <= threads)
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    for place in range(3):  # two callbacks, and the runner itself
        fail(place)  # the first one makes what stays
        assert fail(place) == fail(place)
    assert not soon(lambda: begin(3))
    soon(runner.stop)
    assert numbers(first) == numbers(second) == list(range(1, manager.last_sequence + 1))


class BrokenHandler(logging.Handler):
    """A handler that raises for everything, as one with a full disk may."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(28, record.getMessage())


@pytest.fixture
def broken_log() -> Iterator[None]:
    log = logging.getLogger("grantwheel")
    handler = BrokenHandler()
    log.addHandler(handler)
    yield
    log.removeHandler(handler)


@pytest.mark.usefixtures("broken_log")
@pytest.mark.parametrize("batch", [False, True])
def test_a_log_that_raises_ends_no_delivery(batch: bool) -> None:
    manager, _ = make_manager(event_capacity=8)
    seen: list[Any] = []

    def take(what: object) -> None:
        seen.append(what)
        raise ValueError("as it has to")

    manager.subscribe(take, batch=batch)
    blink(manager, 5)
    runner = manager.running()
    runner.start()
    soon(runner.stop)
    events = [event for part in seen for event in part] if batch else seen
    assert numbers(events) == list(range(3, 11))


def test_what_is_read_and_not_delivered_yet_is_pending() -> None:
    manager, _ = make_manager()
    subscription: Any = manager.subscribe(lambda _: None)
    cursor = subscription._cursor
    pending: list[int] = []

    class Looking:
        """The cursor, and a look at what is pending whenever it was read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(cursor, name)

        def read(self, *arguments: Any, **others: Any) -> list[Event]:
            events: list[Event] = cursor.read(*arguments, **others)
            pending.append(subscription.pending)
            return events

    blink(manager, 2)
    subscription._cursor = Looking()
    with manager.running():
        pass
    subscription._cursor = cursor
    assert pending[0] == 4
    assert set(pending[1:]) <= {0}


# Callables whose calls nobody awaits.


async def take_later(_: object) -> None:
    pass


async def give(_: object) -> AsyncIterator[int]:
    yield 1


def generate(_: object) -> Iterator[int]:
    yield 1


class Later:
    async def __call__(self, _: object) -> None:
        pass

    async def take(self, _: object) -> None:
        pass

    @staticmethod
    async def take_static(_: object) -> None:
        pass

    @classmethod
    async def take_class(cls, _: object) -> None:
        pass


class StaticLater:
    @staticmethod
    async def __call__(_: object) -> None:
        pass


class Heir(Later):
    pass


class Generating:
    def __call__(self, _: object) -> Iterator[int]:
        yield 1


async def take_two(_: object, __: object) -> None:
    pass


ASYNCHRONOUS: dict[str, Callable[..., Any]] = {
    "coroutine function": take_later,
    "async generator function": give,
    "generator function": generate,
    "partial": functools.partial(take_two, None),
    "partial of a partial": functools.partial(functools.partial(take_two), None),
    "bound method": Later().take,
    "static method": Later.take_static,
    "class method": Later.take_class,
    "partial of a bound method": functools.partial(Later().take),
    "object": Later(),
    "object of a subclass": Heir(),
    "object with a static call": StaticLater(),
    "object that generates": Generating(),
    "partial of an object": functools.partial(Later()),
    "mock": AsyncMock(),
}


@pytest.mark.parametrize("kind", ASYNCHRONOUS)
def test_what_is_known_to_be_asynchronous_is_refused(kind: str) -> None:
    manager, _ = make_manager()
    with pytest.raises(TypeError, match=r"subscriber .*aio\.events"):
        manager.subscribe(ASYNCHRONOUS[kind])
    with pytest.raises(TypeError, match=r"on_gap .*aio\.events"):
        manager.subscribe(print, on_gap=ASYNCHRONOUS[kind])
    manager.subscribe(print).cancel()


class Promise:
    """Something that can be awaited and is no coroutine."""

    def __await__(self) -> Iterator[None]:
        yield


SECRETLY_ASYNCHRONOUS: dict[str, Callable[[Any], object]] = {
    "coroutine": take_later,
    "async generator": give,
    "generator": generate,
    "awaitable": lambda _: Promise(),
    "cached": functools.lru_cache(take_later),
}


@pytest.mark.parametrize("kind", SECRETLY_ASYNCHRONOUS)
@pytest.mark.parametrize("batch", [False, True])
def test_what_turns_out_to_be_asynchronous_is_told_once(
    caplog: pytest.LogCaptureFixture, kind: str, batch: bool
) -> None:
    manager, _ = make_manager()
    call = SECRETLY_ASYNCHRONOUS[kind]

    def take(what: Any) -> object:
        return call(what if kind != "cached" else 1)

    manager.subscribe(take, batch=batch)
    with manager.running():
        blink(manager, 3)
    assert [(record.levelno, "aio.events" in record.message) for record in caplog.records] == [(logging.ERROR, True)]
    assert "take" in caplog.text


def test_a_gap_handler_that_turns_out_to_be_asynchronous_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    manager, _ = make_manager(event_capacity=2)

    def mind(count: int) -> Awaitable[None]:
        return take_later(count)

    def take(event: Event) -> Awaitable[None]:
        return take_later(event)

    manager.subscribe(take, on_gap=mind)
    blink(manager, 3)
    with manager.running():
        pass
    assert [word in caplog.text for word in ("mind", "take")] == [True, True]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_what_schedules_elsewhere_is_welcome(caplog: pytest.LogCaptureFixture) -> None:
    """Handing over to a loop gives a future of threads, which nobody has to await."""
    manager, _ = make_manager()
    taken: list[Event] = []

    async def main() -> None:
        async def take(event: Event) -> None:
            taken.append(event)

        loop = asyncio.get_running_loop()
        with manager.subscribe(lambda event: asyncio.run_coroutine_threadsafe(take(event), loop)):
            async with aio.running(manager):
                blink(manager)
            while len(taken) < 2:
                await asyncio.sleep(0)

    asyncio.run(main())
    assert numbers(taken) == [1, 2]
    assert caplog.text == ""


# Several threads at once.


def tolerant(call: Callable[[], object]) -> None:
    """Make a call that may come too late."""
    try:
        call()
    except BusinessError as error:
        assert error.code in {9800004, 9800005}  # noqa: PT017 - there may be none


def play(manager: Manager, subscriptions: list[Subscription], calls: list[Callable[[], object]]) -> None:
    """Make these calls in a thread each, at the same moment, and wait for all."""
    together = threading.Barrier(len(calls))

    def work(call: Callable[[], object]) -> None:
        together.wait()
        tolerant(call)

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    manager.close()
    for subscription in subscriptions:
        assert subscription.missed == 0


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("end", ["cancel", "stop"])
def test_who_drains_takes_no_wake_up_away(end: str) -> None:
    """The thread is told that it may end, and the descriptor that it waits for is made unreadable at once."""
    for _ in range(50):
        manager, _ = make_manager()
        before = own_threads()
        subscription = manager.subscribe(lambda _: None)
        runner = manager.running()
        runner.start()
        calls = {"cancel": subscription.cancel, "stop": runner.stop}
        calls[end]()
        subscription.drain()
        soon(runner.stop)
        wait_for(lambda: not [one for one in own_threads() if one not in before])  # noqa: B023


@pytest.mark.usefixtures("hasty")
def test_ends_of_all_kinds_at_once_leave_no_thread() -> None:
    """Random calls in four threads at once; the seed is printed."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    threads = len(own_threads())
    for _ in range(300):
        manager, _ = make_manager()
        events: list[Event] = []
        subscriptions = [manager.subscribe(events.append), manager.subscribe(lambda _: None, batch=True)]
        runner = manager.running()
        runner.start()
        calls: list[Callable[[], object]] = [
            runner.stop,
            lambda: blink(manager, 3),  # noqa: B023
            *[subscription.cancel for subscription in subscriptions],
            *[subscription.drain for subscription in subscriptions],
            manager.close,
            runner.stop,
        ]
        soon(lambda: play(manager, subscriptions, chance.sample(calls, 4)))  # noqa: B023
        soon(runner.stop)
        assert numbers(events) == sorted(set(numbers(events)))
        wait_for(lambda: len(own_threads()) <= threads)
