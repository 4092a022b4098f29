"""Subscriptions: cursors on the ring of events of a manager."""

import threading
from typing import TYPE_CHECKING

from . import _core
from .types import Event, EventColumns

if TYPE_CHECKING:
    from .manager import Manager


UNKNOWN_SUBSCRIBER = 980000502
_FOREVER = 2**64 - 1


class Subscription:
    """A cursor on the events of a manager: every event from its start on, once and in order, at the reader's own pace.

    Nobody waits for a reader. One that falls behind by more than the manager's ``event_capacity`` loses the oldest
    events, which `missed` counts; `Manager.records` then gives the current state. Thread-safe.
    """

    def __init__(self, manager: "Manager", subscriber: object) -> None:
        self._manager = manager
        self._subscriber = subscriber
        self._lock = threading.Lock()
        self._after = manager.last_sequence()
        self._until = _FOREVER
        self._missed = 0

    def __repr__(self) -> str:
        state = "" if self._until == _FOREVER else ", cancelled"
        return f"<Subscription of {self._subscriber!r} after event {self._after}, missed {self._missed}{state}>"

    @property
    def subscriber(self) -> object:
        """What was given to `Manager.subscribe`."""
        return self._subscriber

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were read, as far as drains have come upon it."""
        return self._missed

    def drain(self, limit: int | None = None) -> list[Event]:
        """Return the events that have not been read yet, oldest first, at most `limit` of them.

        Does not drive the manager: what is due becomes an event by a call that meets it or by `Manager.advance`. After
        `cancel` the events from before are still there to be read.

        Raises
        ------
        BusinessError
            9800004: the manager is closed.
        """
        with self._lock:
            events, missed, self._after = self._manager.read(self._after, limit, self._until)
            self._missed += missed
            return events

    def drain_columns(self, limit: int | None = None) -> EventColumns:
        """Return the same as `drain`, as columns: for many events, without an object each.

        Raises
        ------
        BusinessError
            9800004: the manager is closed.
        """
        with self._lock:
            columns, missed, self._after = self._manager.read_columns(self._after, limit, self._until)
            self._missed += missed
            return columns

    def cancel(self) -> None:
        """End the subscription.

        Raises
        ------
        BusinessError
            9800005: it is cancelled already. 9800004: the manager is closed.
        """
        if self._until != _FOREVER:
            raise _core.business_error(UNKNOWN_SUBSCRIBER)
        self._manager.unsubscribe(self._subscriber)

    def end_at(self, sequence: int) -> None:
        """Let nothing after this event be read: what `Manager.unsubscribe` does."""
        self._until = sequence
