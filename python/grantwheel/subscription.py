"""Subscriptions: cursors on the ring of events of a manager."""

import contextlib
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Self

from . import _core
from .types import Event, EventColumns, EventKind

if TYPE_CHECKING:
    from .manager import Manager


UNKNOWN_SUBSCRIBER = 980000502
MAX_UID = 2**32 - 2
_ALL_KINDS = 2**32 - 1


class Lateness(NamedTuple):
    """How long after their instants events came to a reader, in ms: after the deadline for an expiry.

    ``last_ms`` is that of the newest event, ``max_ms`` the longest. ``counts`` says how many events came within each
    span: below 1 ms, below 2 ms, below 4 ms and so on, doubling; the last one is for all others.
    """

    last_ms: int
    max_ms: int
    counts: tuple[int, ...]


def refuse_to_pickle(self: object, _protocol: object = None, /) -> NoReturn:
    """Raise TypeError: for ``__reduce_ex__`` of what cannot be copied nor sent to another process."""
    raise TypeError(f"cannot pickle or copy a {type(self).__name__}: it lives in this process and is one of a kind")


def _to_kinds(kinds: Iterable[EventKind | str] | None) -> int:
    if kinds is None:
        return _ALL_KINDS
    order = list(EventKind)
    return sum({1 << order.index(EventKind(kind)) for kind in ((kinds,) if isinstance(kinds, str) else kinds)})


def _to_uids(uids: Iterable[int] | None) -> list[int] | None:
    if uids is None:
        return None
    wanted = sorted({operator.index(uid) for uid in uids})
    if wanted and not 0 <= wanted[0] <= wanted[-1] <= MAX_UID:
        raise ValueError("uids must be within 0..2^32-2")
    return wanted


class Subscription:
    """A cursor on the events of a manager: every event from its start on, once and in order, at the reader's own pace.

    Nobody waits for a reader. One that falls behind by more than the manager's ``event_capacity`` loses the oldest
    events, which `missed` counts; `Manager.records` then gives the current state. Thread-safe. As a context manager it
    is cancelled at the end of the block, if it was not before.
    """

    def __init__(
        self,
        manager: "Manager",
        subscriber: object,
        *,
        kinds: Iterable[EventKind | str] | None = None,
        uids: Iterable[int] | None = None,
    ) -> None:
        self._manager = manager
        self._subscriber = subscriber
        self._cancelled = False
        self._cursor = _core.Cursor(manager, _to_kinds(kinds), _to_uids(uids))

    def __repr__(self) -> str:
        state = ", cancelled" if self._cancelled else ""
        place = f"after event {self._cursor.after}, missed {self._cursor.missed}{state}"
        return f"<{type(self).__name__} of {self._subscriber!r} {place}>"

    __reduce_ex__ = refuse_to_pickle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._cancelled:
            # A closed manager has no subscribers, and another thread may have been faster.
            with contextlib.suppress(_core.ServiceOperationError, _core.ContinuousTaskError):
                self.cancel()

    @property
    def subscriber(self) -> object:
        """What was given to `Manager.subscribe`."""
        return self._subscriber

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were read, as far as reads have come upon it.

        They count whatever their kinds and uids were: nobody knows any more.
        """
        return self._cursor.missed

    @property
    def pending(self) -> int:
        """How many events have not been read yet, those of other kinds and uids and those overwritten included."""
        return self._cursor.pending(self._manager)

    @property
    def lateness(self) -> Lateness:
        """How long after their instants the events were read. Not counted on a clock written in Python."""
        return Lateness(*self._cursor.lateness)

    def fileno(self) -> int:
        """Return a descriptor that is readable while events wait: for ``select``, ``epoll`` and event loops.

        It belongs to the subscription: neither read it nor close it. Reading the events makes it unreadable again. It
        is readable for good when the manager is closed.

        Raises
        ------
        BusinessError
            9800004: the manager is closed.
        OSError
            The process may not open more descriptors.
        """
        return self._cursor.fileno(self._manager)

    def joint_fileno(self) -> int:
        """Return a descriptor that is readable while events wait or grants are due: what `Manager.fileno` does."""
        self.fileno()
        return _core.joint_fileno(self._manager, self._cursor)

    def drain(self, limit: int | None = None) -> list[Event]:
        """Return the events that have not been read yet, oldest first, at most ``limit`` of them.

        Does not drive the manager: what is due becomes an event by a call that meets it or by `Manager.advance`. After
        `cancel` the events from before are still there to be read. When events were missed, the ones before the gap and
        the ones after it come in different lists.

        Raises
        ------
        BusinessError
            9800004: the manager is closed.
        """
        return self._cursor.read(self._manager, limit)

    def drain_columns(self, limit: int | None = None) -> EventColumns:
        """Return the same as `drain`, as columns: for many events, without an object each.

        Raises
        ------
        BusinessError
            9800004: the manager is closed.
        """
        return self._cursor.read_columns(self._manager, limit)

    def cancel(self) -> None:
        """End the subscription.

        A callback that is being called is waited for, unless this call comes from a callback: afterwards it is not
        called any more. What a reader has not drained is still there for it.

        Raises
        ------
        BusinessError
            9800005: it is cancelled already. 9800004: the manager is closed.
        """
        if self._cancelled:
            raise _core.refuse(self._manager, UNKNOWN_SUBSCRIBER)
        self._manager.unsubscribe(self._subscriber)

    def end_at(self, sequence: int) -> None:
        """Let nothing after this event be read: what `Manager.unsubscribe` does."""
        self._cursor.end_at(sequence)
        self._cancelled = True

    def begin_delivery(self) -> None:
        """Hear that the manager runs now: nothing to do for a reader that reads by itself."""

    def finish_delivery(self, last: int) -> None:
        """Hear that the manager runs no more, after this event."""

    def join_delivery(self, timeout: float | None = None) -> None:
        """Wait until the delivery has finished."""
