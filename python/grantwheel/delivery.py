"""Delivery: subscriptions whose events go to a callback, in a thread of their own, while the manager runs."""

import contextlib
import inspect
import logging
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _core
from .subscription import Subscription
from .types import Event, EventKind

if TYPE_CHECKING:
    from .manager import Manager

_log = logging.getLogger("grantwheel")
_FOREVER = 2**64 - 1
_ONE_BY_ONE = 256  # events that are read at once: they are safe from being overwritten, and not delivered yet
_BATCH = 1024
_PAUSE_S = 1.0  # after an error that may be there the next time too
_here = threading.local()


def is_delivering() -> bool:
    """Whether this thread is one that calls callbacks. Such a thread never waits for another one."""
    return getattr(_here, "delivering", False)


def _deliver(reference: "weakref.ref[CallbackSubscription]", descriptor: int) -> None:
    """Deliver until the end: the work of the thread.

    Between events it holds no reference, so that it keeps nothing alive. The descriptor is a duplicate: it stays valid,
    and becomes readable, when the subscription goes.
    """
    _here.delivering = True
    bell = select.poll()
    bell.register(descriptor, select.POLLIN)
    try:
        while True:
            subscription = reference()
            if subscription is None or not subscription.deliver():
                return
            del subscription
            bell.poll()
    finally:
        os.close(descriptor)


class CallbackSubscription(Subscription):
    """A subscription whose events go to its subscriber, a callable, while the manager runs.

    State  `_thread` and `_stop_at` change under `_state`; the callback runs under `_busy`, and nothing else does.
    """

    def __init__(
        self,
        manager: "Manager",
        subscriber: Callable[[Any], object],
        *,
        kinds: Iterable[EventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        batch: bool = False,
        on_gap: Callable[[int], object] | None = None,
    ) -> None:
        if inspect.iscoroutinefunction(subscriber):
            raise TypeError("subscriber must be a plain function: nobody would await it. See grantwheel.aio.events")
        super().__init__(manager, subscriber, kinds=kinds, uids=uids)
        self._callback = subscriber
        self._is_batch = batch
        self._on_gap = on_gap
        self._state = threading.Lock()
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop_at = _FOREVER
        self._in_hand = 0

    @property
    def pending(self) -> int:
        """How many events have not been delivered yet, those of other kinds and uids and those overwritten included."""
        return super().pending + self._in_hand

    def end_at(self, sequence: int) -> None:
        """Let no callback start any more, and wait for one that runs: what `Manager.unsubscribe` does."""
        super().end_at(sequence)
        self._ring()
        if not is_delivering():
            with self._busy:
                pass

    def begin_delivery(self) -> None:
        """Start the thread, or let the one that is about to end go on."""
        with self._state:
            self._stop_at = _FOREVER
            if self._thread is not None or self._cancelled:
                return
            name = getattr(self._subscriber, "__qualname__", type(self._subscriber).__qualname__)
            descriptor = os.dup(self.fileno())
            try:
                # A daemon, because it has to go on while the threads that are none end. See running.py on the exit.
                thread = threading.Thread(
                    target=_deliver, args=(weakref.ref(self), descriptor), name=f"grantwheel {name}", daemon=True
                )
                thread.start()
            except Exception:  # an interrupt may come when the thread has the descriptor already
                os.close(descriptor)
                raise
            self._thread = thread

    def finish_delivery(self, last: int) -> None:
        """Let the thread end after this event."""
        with self._state:
            self._stop_at = last
        self._ring()

    def join_delivery(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, unless this is such a thread."""
        thread = self._thread
        if thread is not None and not is_delivering():
            thread.join(timeout)

    def _ring(self) -> None:
        with contextlib.suppress(_core.ServiceOperationError):  # a closed manager has rung for good
            self._cursor.ring(self._manager)

    def deliver(self) -> bool:
        """Deliver what is there. Returns whether to wait for more."""
        try:
            while self._deliver_some():
                pass
        except _core.ServiceOperationError:
            self._cancelled = True  # the manager is closed
        except Exception:  # noqa: BLE001 - no memory for the events; they are still there the next time
            _log.exception("%r could not have its events", self._subscriber)
            time.sleep(_PAUSE_S)
        with self._state:
            if not self._cancelled and self._cursor.after < self._stop_at:
                return True
            self._thread = None
            return False

    def _deliver_some(self) -> bool:
        """Deliver what one read gives. Returns whether there may be more to deliver before the end."""
        if self._cancelled or self._cursor.after >= self._stop_at:
            return False
        missed = self._cursor.missed
        if self._is_batch:
            events = self._cursor.read(self._manager, _BATCH)
        else:
            events = self._cursor.read(self._manager, _ONE_BY_ONE, is_delivery=False)
        self._in_hand = len(events)
        try:
            gap = self._cursor.missed - missed
            if gap > 0:
                self._tell_gap(gap)
            if self._is_batch and events:
                self._call(self._callback, events)
            elif not self._is_batch:
                for event in events:
                    self._in_hand -= 1
                    if not self._call(self._callback, event):
                        break
        finally:
            self._in_hand = 0
        return bool(events) or gap > 0

    def _tell_gap(self, gap: int) -> None:
        if self._on_gap is None:
            _log.warning("%r missed %d events: it is slower than they come", self._subscriber, gap)
        else:
            self._call(self._on_gap, gap)

    def _call(self, function: Callable[[Any], object], what: Event | list[Event] | int) -> bool:
        """Call, unless the subscription has ended. Returns whether it has not."""
        with self._busy:
            if self._cancelled:
                return False
            if isinstance(what, Event):
                self._cursor.hand_over(self._manager, what.time)
            try:
                function(what)
            except BaseException:  # noqa: BLE001 - SystemExit too: it would end the thread and nothing else
                _log.exception("%r, a subscriber, raised", function)
        return True
