"""Running a manager on an asyncio loop, and reading its events there: no thread, no polling.

Needs a loop with ``add_reader``, as those of asyncio on Linux and uvloop have it.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, Self, overload

from . import _core
from .running import PAUSE_S, Cancellable, Runner, call, drive, join
from .subscription import Lateness, Subscription, refuse_to_pickle
from .types import Event, EventKind

if TYPE_CHECKING:
    from .caller import Caller
    from .manager import Manager

__all__ = ["BatchStream", "EventStream", "LoopRunner", "events", "running"]


class LoopRunner(Runner):
    """Runs a manager on the running loop for the time of an ``async with`` block: what `running` returns."""

    def __init__(self, manager: "Manager") -> None:
        super().__init__(manager)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm = -1
        self._readers: set[int] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._alarm = self._begin()
        try:
            loop.add_reader(self._alarm, self._drive)
        except BaseException:
            self._end()
            raise
        self._loop = loop
        return self

    async def __aexit__(self, *_: object) -> None:
        loop, self._loop = self._loop, None
        if loop is None or not self._is_on or self._pid != os.getpid():
            return
        for descriptor in (self._alarm, *self._readers):
            loop.remove_reader(descriptor)
        self._readers.clear()
        subscriptions = self._end()
        if subscriptions:
            await asyncio.to_thread(join, subscriptions)

    def _drive(self) -> None:
        """End a slice. The alarm stays readable while more is due, so the loop calls again after its other work."""
        outcome = drive(self._manager)
        if outcome == "go on" or self._loop is None:
            return
        self._loop.remove_reader(self._alarm)
        if outcome == "pause":
            self._loop.call_later(PAUSE_S, self._watch_again)

    def _watch_again(self) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._alarm, self._drive)

    def _on_loop(self, function: Callable[[], object]) -> None:
        """Call at once when this is the loop, else as soon as the loop can."""
        if self._loop is None:
            raise RuntimeError("the runner has not been started, or has stopped")
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            function()
        else:
            self._loop.call_soon_threadsafe(function)

    def add_reader(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call back on the loop whenever a descriptor is readable, until `remove_reader`."""

        def add() -> None:
            if self._loop is not None:
                self._loop.add_reader(descriptor, call, callback)
                self._readers.add(descriptor)

        self._on_loop(add)

    def remove_reader(self, descriptor: int) -> None:
        """Do not watch a descriptor any more. It is fine if it was not watched. To be called before it is closed."""

        def remove() -> None:
            if self._loop is not None and descriptor in self._readers:
                self._loop.remove_reader(descriptor)
                self._readers.discard(descriptor)

        if self._loop is not None:
            self._on_loop(remove)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Cancellable:
        """Call back once on the loop, after so many seconds."""
        later = _LoopLater(callback)

        def begin() -> None:
            if self._loop is not None:
                self._loop.call_later(delay_s, self._call, later)

        self._on_loop(begin)
        return later

    def _call(self, later: "_LoopLater") -> None:
        if self._loop is not None and later.callback is not None:
            call(later.callback)


class _LoopLater:
    """One call that is to be made; may be cancelled from any thread."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


def running(manager: "Manager") -> LoopRunner:
    """Run a manager on the running loop for the time of an ``async with`` block.

    The same as `grantwheel.Manager.running` without a thread for the manager: what is due is ended on the loop, in
    slices between which it does its other work. Callback subscriptions have their threads here too; `events` is for the
    loop. The end of the block waits until they have delivered what happened before it.

    Raises
    ------
    RuntimeError
        From the block: the manager is running already.
    ValueError
        From the block: the clock of the manager is a Python object, which cannot wake anybody.
    BusinessError
        From the block: 9800004, the manager is closed.
    """
    return LoopRunner(manager)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class _Stream:
    """What both streams have in common. For one task at a time."""

    _LIMIT: int

    def __init__(self, manager: "Manager", kinds: Iterable[EventKind | str] | None, uids: Iterable[int] | None) -> None:
        self._subscription = Subscription(manager, self, kinds=kinds, uids=uids)
        self._in_hand: list[Event] = []  # newest first
        self._waits = False
        self._gave_way = True  # whether the loop has had its turn since the last read

    __reduce_ex__ = refuse_to_pickle

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, missed {self.missed}>"

    def __aiter__(self) -> Self:
        return self

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were read; counted just before the first one after them."""
        return self._subscription.missed

    @property
    def pending(self) -> int:
        """How many events have not been given yet, those of other kinds and uids and those overwritten included."""
        return self._subscription.pending + len(self._in_hand)

    @property
    def lateness(self) -> Lateness:
        """How long after their instants the events were read. Not counted on a clock written in Python."""
        return self._subscription.lateness

    async def _read(self) -> list[Event]:
        """Return the next events, at least one. Each await comes before the read: whoever is cancelled took nothing."""
        try:
            while True:
                if not self._gave_way:
                    await asyncio.sleep(0)
                self._gave_way = True
                if events := self._subscription.drain(self._LIMIT):
                    self._gave_way = False
                    return events
                await self._wait()
        except _core.ServiceOperationError:
            raise StopAsyncIteration from None  # closed

    async def _wait(self) -> None:
        """Wait until events do."""
        if self._waits:
            raise RuntimeError("another task is waiting for this stream: each needs one of its own")
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        descriptor = self._subscription.fileno()
        loop.add_reader(descriptor, _wake, woken)
        self._waits = True
        try:
            await woken
        finally:
            self._waits = False
            loop.remove_reader(descriptor)


class EventStream(_Stream):
    """An asynchronous iterator over the events of a manager, without an end: what `events` returns.

    Nothing is lost when the task is cancelled while it waits: the next iteration goes on where it was. A stream that
    nobody iterates any more needs no closing. It ends when the manager is closed. For one task at a time.
    """

    _LIMIT = 256

    async def __anext__(self) -> Event:
        if not self._in_hand:
            self._in_hand = (await self._read())[::-1]
        return self._in_hand.pop()


class BatchStream(_Stream):
    """The same with a list of events at a time, as many as there are: what `events` returns for ``batch=True``."""

    _LIMIT = 1024

    async def __anext__(self) -> list[Event]:
        return await self._read()


@overload
def events(
    manager: "Manager",
    *,
    kinds: Iterable[EventKind | str] | None = None,
    uids: Iterable[int] | None = None,
    batch: Literal[False] = False,
    caller: "Caller | None" = None,
) -> EventStream: ...
@overload
def events(
    manager: "Manager",
    *,
    kinds: Iterable[EventKind | str] | None = None,
    uids: Iterable[int] | None = None,
    batch: Literal[True],
    caller: "Caller | None" = None,
) -> BatchStream: ...
def events(
    manager: "Manager",
    *,
    kinds: Iterable[EventKind | str] | None = None,
    uids: Iterable[int] | None = None,
    batch: bool = False,
    caller: "Caller | None" = None,
) -> EventStream | BatchStream:
    """Return the events from now on, for ``async for``: each once and in order, whoever runs the manager.

    Parameters
    ----------
    manager : Manager
        Whose events.
    kinds : iterable of EventKind
        Only these. Default: all.
    uids : iterable of int
        Only those of these uids. Default: all.
    batch : bool
        Give lists, of as many events as wait, at most 1024. Much faster than one by one.
    caller : Caller
        Must be native. Default: this process, with what the policy says of its uid.

    Raises
    ------
    BusinessError
        201: the caller is not native. 9800004: the manager is closed.
    ValueError
        A kind is none, or a uid is out of range.
    """
    manager.require_native(caller=caller)
    return BatchStream(manager, kinds, uids) if batch else EventStream(manager, kinds, uids)
