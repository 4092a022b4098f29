"""Running a manager on an asyncio loop, and reading its events there: no thread, no polling.

Needs a loop with ``add_reader``, as those of asyncio on Linux and uvloop have it.
"""

import asyncio
import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Self, overload

from . import _core
from ._process import OfOneProcess
from .events.subscription import Lateness, Subscription, cursor_of
from .run.runner import Runner, Running, drive, lost_log
from .types import Event, EventKind

if TYPE_CHECKING:
    from .caller import Caller
    from .manager import Manager
    from .service.client_aio import AsyncClient

__all__ = ["BatchStream", "EventStream", "LoopRunner", "connect", "events", "running"]

_log = logging.getLogger("grantwheel")
_PAUSE_S = 1.0  # after an error that will be there the next time too


class LoopRunner(Runner, _core.AsyncBlock):
    """Runs a manager on the running loop for the time of an ``async with`` block: what `running` returns."""

    def __init__(self, manager: _core.Manager, running: Running) -> None:
        super().__init__(manager, running)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm = -1
        self._is_told = False  # that the log takes no changes now

    def _begin(self) -> None:
        raise TypeError("aio.running is for 'async with'; Manager.running is for 'with'")

    def _begin_on_loop(self) -> None:
        loop = asyncio.get_running_loop()
        alarm = _core.alarm_fileno(self._manager)
        self._take()
        self._loop, self._alarm = loop, alarm
        self._follow()

    def _end(self) -> None:
        self._leave()

    def _hold_on(self) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._alarm, self._drive)

    def _let_go(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._alarm)

    def _is_stranded(self) -> bool:
        return self._loop is not None and self._loop.is_closed()

    async def _rest(self) -> None:
        """Wait until all is delivered: what is awaited at the end of the block."""
        if self._is_here and not self._running.join(0.0):
            await asyncio.to_thread(self._running.join)

    def _drive(self) -> None:
        """End a slice. The alarm stays readable while more is due, so the loop calls again after its other work."""
        try:
            goes_on = drive(self._manager)
            self._is_told = False
            if goes_on:
                return
            self._failure = lost_log(self._manager)
        except Exception as error:  # noqa: BLE001 - logged, and the runner goes on
            if not self._is_told:
                _log.exception("a manager could not be driven; it is tried again in a second")
            self._is_told = isinstance(error, _core.TransactionError)  # once for a row of them
            if self._loop is not None:
                self._loop.call_later(_PAUSE_S, self._watch_again)
        self._let_go()

    def _watch_again(self) -> None:
        if self._is_on:
            self._hold_on()


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
    return LoopRunner(manager, manager._running)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class _Stream(OfOneProcess):
    """What both streams have in common. For one task at a time."""

    _LIMIT: int

    def __init__(self, manager: "Manager", kinds: Iterable[EventKind | str] | None, uids: Iterable[int] | None) -> None:
        super().__init__()
        self._subscription = Subscription(manager, None, cursor_of(manager, kinds, uids))
        self._in_hand: list[Event] = []  # newest first
        self._waits = False
        self._gave_way = True  # whether the loop has had its turn since the last read

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._subscription!r}>"

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


def connect(path: "str | os.PathLike[str] | None" = None) -> "AsyncClient":
    """Return a client of the service for the running loop: `grantwheel.connect`, with calls to be awaited.

    Raises
    ------
    ImportError
        hiredis is missing: names the extra.
    """
    from .service.client_aio import AsyncClient

    return AsyncClient(path)
