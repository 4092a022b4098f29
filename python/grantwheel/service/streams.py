"""Events that are read by number and pushed: those of the manager, and those of its tasks."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from grantwheel import aio
from grantwheel.caller import Caller
from grantwheel.tasks.values import TaskEvent, TaskEventKind
from grantwheel.types import Event, EventKind

from .context import Stream, Wanted
from .words import another, kinds, number, uids

if TYPE_CHECKING:
    from grantwheel.manager import Manager
    from grantwheel.tasks.tasks import Tasks

MOST: Final = 1024  # events in one answer
_KEPT: Final = 1 << 14  # events of tasks, which are to be read by number
_SPARE: Final = 1 << 12  # so many more there may be before they are taken away: that is not done for each
_ANYBODY: Final = Caller(native=True)


class GrantEvents:
    """The events of a manager, which keeps the last of them itself."""

    name = "events"
    kinds = EventKind

    def __init__(self, manager: "Manager", instance: str) -> None:
        self.instance = instance
        self._manager = manager

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._manager.last_sequence

    def read(self, after: int, limit: int) -> tuple[Sequence[Event], int, int]:
        """Return events after a number, how many were overwritten before them, and after which number to go on."""
        return self._manager.read(after, limit)

    def row(self, one: Event) -> list[Any]:
        """Return an event as it is told."""
        return [one.sequence, one.time, one.kind, one.cause, one.uid, one.pid, int(one.mask), one.bundle, one.cpu_level]

    def changes(self) -> AsyncIterator[object]:
        """Iterate, without an end, over when there is something more to read."""
        return aio.events(self._manager, batch=True, caller=_ANYBODY)


class TaskEvents:
    """The events of tasks. The last of them are kept here: a subscription gives each once, and not by number."""

    name = "taskevents"
    kinds = TaskEventKind

    def __init__(self, tasks: "Tasks", instance: str) -> None:
        self.instance = instance
        self._kept: list[TaskEvent] = []  # without a gap
        self._reader = tasks.subscribe(self, caller=_ANYBODY)
        self._last = tasks.last_sequence
        self._come: asyncio.Event | None = None  # of whoever iterates over changes

    def close(self) -> None:
        """Take no more of them."""
        with self._reader:  # which cancels it, unless the manager is closed
            pass

    @property
    def last(self) -> int:
        """The number of the last event."""
        found = self._reader.drain()
        if found and self._come is not None:  # the descriptor is quiet by now, whoever has asked
            self._come.set()
        for event in found:
            if event.sequence != self._last + 1:
                self._kept.clear()
            self._kept.append(event)
            self._last = event.sequence
        if len(self._kept) > _KEPT + _SPARE:
            del self._kept[:-_KEPT]
        return self._last

    def read(self, after: int, limit: int) -> tuple[Sequence[TaskEvent], int, int]:
        """Return events after a number, how many were overwritten before them, and after which number to go on."""
        first = self.last - len(self._kept) + 1
        missed = max(0, first - 1 - after)
        start = max(0, after - (first - 1))
        found = self._kept[start : start + limit]
        return found, missed, found[-1].sequence if found else max(after, first - 1)

    def row(self, one: TaskEvent) -> list[Any]:
        """Return an event as it is told."""
        return [one.sequence, one.time, one.kind, one.uid, one.pid, one.bundle, one.id, list(map(int, one.modes))]

    async def changes(self) -> AsyncIterator[object]:
        """Iterate, without an end, over when there is something more to read."""
        loop = asyncio.get_running_loop()
        descriptor = self._reader.fileno()
        come = self._come = asyncio.Event()
        loop.add_reader(descriptor, come.set)
        try:
            while True:
                await come.wait()
                last = self.last
                come.clear()
                yield last
        finally:
            loop.remove_reader(descriptor)
            self._come = None


def place(stream: Stream, given: Mapping[bytes, Sequence[bytes]]) -> int:
    """Return the number of the event after which a request begins: by default the last one's.

    A number is refused that is another service's, which was here before: when it is not its INSTANCE, or when there is
    no such event yet.
    """
    if b"INSTANCE" in given and given[b"INSTANCE"][0].decode("ascii", "replace") != stream.instance:
        raise another(f"INSTANCE must be {stream.instance}: the service that these numbers are of is gone")
    last = stream.last
    after = number(given[b"AFTER"][0], "AFTER") if b"AFTER" in given else last
    if not 0 <= after <= last:
        raise another(f"AFTER must be within 0..{last}, the number of the last event")
    return after


def wanted(stream: Stream, given: Mapping[bytes, Sequence[bytes]]) -> Wanted:
    """Return which events a request is about: kinds and uids, None for all."""
    return (
        kinds(given[b"KINDS"][0], stream.kinds) if b"KINDS" in given else None,
        uids(given[b"UIDS"][0]) if b"UIDS" in given else None,
    )


def is_wanted(one: Event | TaskEvent, wanted: Wanted) -> bool:
    """Tell whether an event is of these kinds and uids."""
    some, owners = wanted
    return (some is None or one.kind in some) and (owners is None or one.uid in owners)


def page(stream: Stream, after: int, most: int, wanted: Wanted) -> list[Any]:
    """Return a page as it is answered: the number to go on after, how many were missed, the events."""
    found, missed, after = stream.read(after, most)
    return [after, missed, [stream.row(one) for one in found if is_wanted(one, wanted)]]
