"""The events of tasks on their way to readers: a queue for each, bounded.

Nobody here waits for a lock: what a signal handler, a finaliser and another thread may come in between is one operation
of a deque or a dict.
"""

import contextlib
import weakref
from collections import deque
from collections.abc import Iterable
from typing import Final, SupportsIndex

from grantwheel import _core
from grantwheel._process import OfOneProcess
from grantwheel.events.subscription import to_uids

from .values import TaskEvent, TaskEventKind

_MAX_CAPACITY: Final = 2**31 - 1


class EventQueue(OfOneProcess):
    """A reader's events: what a `Reader` asks for them. It refers to nobody."""

    def __init__(
        self, queues: "EventQueues", kinds: frozenset[TaskEventKind] | None, uids: frozenset[int] | None
    ) -> None:
        super().__init__()
        self._queues = queues
        self._kinds = kinds
        self._uids = uids
        self._events: deque[TaskEvent] = deque()
        self._lost = 0  # how many were taken away, for being too many
        self._missed = 0  # how many of them a read has come upon
        self._has_ended = False
        self._bells: dict[int, _core.Bell] = {}  # the only one is under 0

    def put(self, event: TaskEvent) -> None:
        """Take an event, if it is one of those that are wanted. One caller at a time."""
        if self._has_ended or not self._wants(event):
            return
        self._events.append(event)
        if len(self._events) > self._queues.capacity:
            with contextlib.suppress(IndexError):  # a reader has just been faster
                self._events.popleft()
                self._lost += 1
        self.ring()

    def _wants(self, event: TaskEvent) -> bool:
        return (self._kinds is None or event.kind in self._kinds) and (self._uids is None or event.uid in self._uids)

    def ring(self) -> None:
        """Make the descriptor readable, if there is one."""
        for bell in list(self._bells.values()):
            bell.ring()

    @property
    def after(self) -> int:
        """The last event that is behind it: before the next one that it has, or the last there is."""
        last = self._queues.last  # first: an event is in the queue before it is the last
        try:
            return self._events[0].sequence - 1
        except IndexError:
            return last

    @property
    def missed(self) -> int:
        """How many were lost, as far as reads have come upon it."""
        return self._missed

    def read(self, manager: _core.Manager, limit: SupportsIndex | None, is_delivery: bool = True) -> list[TaskEvent]:  # noqa: ARG002
        """Return the next events; raise 9800004 when the manager is closed and there are none."""
        self._require_here()
        most = len(self._events) if limit is None else limit.__index__()
        if most < 0:
            raise ValueError("limit must not be negative")
        self._missed = self._lost
        found: list[TaskEvent] = []
        try:
            while len(found) < most:
                found.append(self._events.popleft())
        except IndexError:
            pass
        if not self._events:
            if not found and (most or limit is None):
                _ = manager.last_sequence
            self._quiet()
        return found

    def _quiet(self) -> None:
        for bell in list(self._bells.values()):
            bell.clear()
        if self._events or self._queues.is_closed:  # it has come meanwhile, or is to be readable for good
            self.ring()

    def pending(self, manager: _core.Manager) -> int:
        """Return how many events there are to be read."""
        self._require_here()
        if not self._events:
            _ = manager.last_sequence
        return len(self._events)

    def last(self, _manager: _core.Manager) -> int:
        """Return the last event there is."""
        return self._queues.last

    def end(self, _manager: _core.Manager) -> None:
        """Take nothing any more."""
        self._has_ended = True
        self._queues.forget(self)

    def hand_over(self, _manager: _core.Manager, _event_time: int) -> None:
        """Nobody counts how late events are."""

    def fileno(self, manager: _core.Manager) -> int:
        """Return a descriptor that is readable while there are events, and for good when the manager is closed."""
        self._require_here()
        bell = self._bells.get(0)
        if bell is None:
            _ = manager.last_sequence
            bell = self._bells.setdefault(0, _core.Bell())
            if self._events or self._queues.is_closed:
                bell.ring()
        return bell.fileno()


class EventQueues:
    """All readers' queues. Each event gets the next number, and goes to those who want it.

    Parameters
    ----------
    capacity : int
        How many events a queue may have: the oldest goes for one more.
    """

    def __init__(self, capacity: int) -> None:
        if not 1 <= capacity <= _MAX_CAPACITY:
            raise ValueError(f"event_capacity must be within 1..2^31-1, not {capacity}")
        self.capacity = capacity
        self.last = 0
        self.is_closed = False
        self._queues: dict[int, weakref.ref[EventQueue]] = {}

    def make(self, kinds: Iterable[TaskEventKind | str] | None, uids: Iterable[int] | None) -> EventQueue:
        """Return a queue of the events of some kinds and uids, from now on.

        Raises
        ------
        ValueError
            A kind is none, or a uid is out of range.
        """
        named = (kinds,) if isinstance(kinds, str) else kinds
        wanted = None if named is None else frozenset(TaskEventKind(kind) for kind in named)
        numbers = to_uids(uids)
        queue = EventQueue(self, wanted, None if numbers is None else frozenset(numbers))
        for key, one in list(self._queues.items()):
            if one() is None:
                self._queues.pop(key, None)
        self._queues[id(queue)] = weakref.ref(queue)
        return queue

    def forget(self, queue: EventQueue) -> None:
        """Give a queue nothing any more."""
        self._queues.pop(id(queue), None)

    def put(self, event: TaskEvent) -> None:
        """Give an event to those who want it. One caller at a time."""
        event = event._replace(sequence=self.last + 1)
        for queue in self._all():
            queue.put(event)
        self.last = event.sequence

    def close(self) -> None:
        """Make all descriptors readable for good."""
        self.is_closed = True
        for queue in self._all():
            queue.ring()

    def _all(self) -> list[EventQueue]:
        return [queue for one in list(self._queues.values()) if (queue := one()) is not None]
