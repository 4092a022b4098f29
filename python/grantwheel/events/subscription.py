"""Subscriptions: cursors on the ring of events of a manager."""

import contextlib
import operator
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, Protocol, Self, SupportsIndex, TypeVar

from grantwheel import _core
from grantwheel._process import OfOneProcess
from grantwheel.types import Event, EventColumns, EventKind

UNKNOWN_SUBSCRIBER = 980000502
_MAX_UID = 2**32 - 2
_ALL_KINDS = 2**32 - 1


class Numbered(Protocol):
    """An event: numbers and instants are all that is asked of it here."""

    @property
    def sequence(self) -> int:
        """Its number."""
        ...

    @property
    def time(self) -> int:
        """Its instant."""
        ...


EventT = TypeVar("EventT", bound=Numbered)


class EventCursor(Protocol[EventT]):
    """Somebody's place in a row of events. All that it is asked names the manager, to which it does not refer."""

    @property
    def after(self) -> int:
        """The last event that is behind it."""
        ...

    @property
    def missed(self) -> int:
        """How many events were lost, as far as reads have come upon it."""
        ...

    def read(self, manager: _core.Manager, limit: SupportsIndex | None, is_delivery: bool = True) -> list[EventT]:
        """Return the next events; raise 9800004 when the manager is closed and there are none."""
        ...

    def pending(self, manager: _core.Manager) -> int:
        """Return how many events have not been read."""
        ...

    def last(self, manager: _core.Manager) -> int:
        """Return the last event there is."""
        ...

    def end(self, manager: _core.Manager) -> None:
        """Let nothing be read that comes from now on."""
        ...

    def hand_over(self, manager: _core.Manager, event_time: int) -> None:
        """Hear that an event of an instant is given to a callback."""
        ...

    def fileno(self, manager: _core.Manager) -> int:
        """Return a descriptor that is readable while there are events."""
        ...


class Lateness(NamedTuple):
    """How long after their instants events came to a reader, in ms: after the deadline for an expiry.

    ``last_ms`` is that of the newest event, ``max_ms`` the longest. ``counts`` says how many events came within each
    span: below 1 ms, below 2 ms, below 4 ms and so on, doubling; the last one is for all others.
    """

    last_ms: int
    max_ms: int
    counts: tuple[int, ...]


def _to_kinds(kinds: Iterable[EventKind | str] | None) -> int:
    if kinds is None:
        return _ALL_KINDS
    order = list(EventKind)
    return sum({1 << order.index(EventKind(kind)) for kind in ((kinds,) if isinstance(kinds, str) else kinds)})


def to_uids(uids: Iterable[int] | None) -> list[int] | None:
    """Return uids that are wanted, ascending; None for all."""
    if uids is None:
        return None
    wanted = sorted({operator.index(uid) for uid in uids})
    if wanted and not 0 <= wanted[0] <= wanted[-1] <= _MAX_UID:
        raise ValueError("uids must be within 0..2^32-2")
    return wanted


def cursor_of(
    manager: _core.Manager, kinds: Iterable[EventKind | str] | None, uids: Iterable[int] | None
) -> _core.Cursor:
    """Return a place at the end of a manager's events, for those of some kinds and uids."""
    return _core.Cursor(manager, _to_kinds(kinds), to_uids(uids))


class Reader(OfOneProcess, Generic[EventT]):
    """A cursor on events: every one from its start on, once and in order, at the reader's own pace.

    Nobody waits for a reader. One that falls too far behind loses the oldest events, which `missed` counts.
    Thread-safe. As a context manager it is cancelled at the end of the block, if it was not before.

    What happened before the manager was closed is still there to be read; after that a closed manager refuses.
    """

    def __init__(
        self,
        manager: _core.Manager,
        subscriber: object,
        cursor: EventCursor[EventT],
        forget: "Callable[[Reader[Any]], bool]" = lambda _subscription: True,
    ) -> None:
        super().__init__()
        self._manager = manager
        self._subscriber = subscriber
        self._forget = forget  # takes it off the list of subscribers; says whether it was there
        self._is_cancelled = False
        self._cursor = cursor

    def __repr__(self) -> str:
        state = ", cancelled" if self._is_cancelled else ""
        place = f"after event {self._cursor.after}, missed {self._cursor.missed}{state}"
        return f"<{type(self).__name__} of {self._subscriber!r} {place}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_here and not self._is_cancelled:
            # A closed manager has no subscribers, and another thread may have been faster.
            with contextlib.suppress(_core.ServiceOperationError, _core.ContinuousTaskError):
                self.cancel()

    @property
    def subscriber(self) -> object:
        """What was given to `Manager.subscribe`."""
        self._require_here()
        return self._subscriber

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were read, as far as reads have come upon it.

        They count whatever their kinds and uids were: nobody knows any more.
        """
        self._require_here()
        return self._cursor.missed

    @property
    def pending(self) -> int:
        """How many events have not been read yet, those of other kinds and uids and those overwritten included."""
        return self._cursor.pending(self._manager)

    def fileno(self) -> int:
        """Return a descriptor that is readable while events wait: for ``select``, ``epoll`` and event loops.

        It belongs to the subscription: neither read it nor close it. Reading the events makes it unreadable again. It
        is readable for good when the manager is closed.

        Raises
        ------
        BusinessError
            9800004: the manager was closed before there was a descriptor.
        OSError
            The process may not open more descriptors.
        """
        return self._cursor.fileno(self._manager)

    def drain(self, limit: int | None = None) -> list[EventT]:
        """Return the events that have not been read yet, oldest first, at most ``limit`` of them.

        Does not drive the manager: what is due becomes an event by a call that meets it or by `Manager.advance`. After
        `cancel`, and after the manager was closed, the events from before are still there to be read. When events were
        missed, the ones before the gap and the ones after it come in different lists.

        Raises
        ------
        BusinessError
            9800004: the manager is closed, and all was read.
        """
        return self._cursor.read(self._manager, limit)

    def cancel(self) -> None:
        """End the subscription.

        A callback that is being called is waited for, unless this call comes from a callback: afterwards it is not
        called any more. What a reader has not drained is still there for it.

        Raises
        ------
        BusinessError
            9800005: it is cancelled already. 9800004: the manager is closed.
        """
        _ = self._manager.last_sequence  # refused when it is closed, and in the child of a fork
        # Ended first and taken off the list then: if this is interrupted in between, the next call goes on with it.
        self._end()
        if not self._forget(self):
            raise _core.refuse(self._manager, UNKNOWN_SUBSCRIBER)
        self._settle()

    def _end(self) -> None:
        """Let nothing be read that comes from now on. It is fine if it has ended."""
        self._is_cancelled = True
        self._cursor.end(self._manager)

    def _settle(self) -> None:
        """Wait until nobody is being called any more."""

    # What the list of subscribers tells it. A reader that reads by itself has nothing to do then.

    def _begin_delivery(self) -> None:
        """Hear that the manager runs from now on."""

    def _finish_delivery(self) -> None:
        """Hear that the manager does not run any more."""

    def _join_delivery(self, give_up: float | None) -> bool:  # noqa: ARG002
        """Wait until all is delivered that is to be, or until an instant of ``time.monotonic()``. Whether it is."""
        return True


class Subscription(Reader[Event]):
    """A cursor on the events of a manager: every event from its start on, once and in order, at the reader's own pace.

    Nobody waits for a reader. One that falls behind by more than the manager's ``event_capacity`` loses the oldest
    events, which `missed` counts; `Manager.records` then gives the current state. Thread-safe. As a context manager it
    is cancelled at the end of the block, if it was not before.

    What happened before the manager was closed is still there to be read; after that a closed manager refuses.
    """

    _cursor: _core.Cursor

    @property
    def lateness(self) -> Lateness:
        """How long after their instants the events were read. Not counted on a clock written in Python."""
        self._require_here()
        return Lateness(*self._cursor.lateness(self._manager))

    def drain_columns(self, limit: int | None = None) -> EventColumns:
        """Return the same as `drain`, as columns: for many events, without an object each.

        Raises
        ------
        BusinessError
            9800004: the manager is closed, and all was read.
        """
        return self._cursor.read_columns(self._manager, limit)
