"""Delivery: subscriptions whose events go to a callback, in a thread of their own, while the manager runs.

Nobody here waits for a lock: a signal handler, a finaliser and another thread may come in between any two instructions.
Whoever changes what a thread looks at changes it first and rings then; the thread looks once more after each reading.
"""

import inspect
import logging
import select
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic

from grantwheel import _core
from grantwheel._callback import is_work, require_plain
from grantwheel._telling import tell
from grantwheel._text import shown
from grantwheel._waiting import wait_until
from grantwheel.events.subscription import EventCursor, EventT, Reader, Subscription
from grantwheel.types import Event

_FOREVER = 2**64 - 1
_ONE_BY_ONE = 256  # events that are read at once: they are safe from being overwritten, and not delivered yet
_BATCH = 1024
_OTHERWISE = "See grantwheel.aio.events"
_PAUSE_S = 1.0  # after an error that may be there the next time too
_JOIN_S = 1.0  # a thread with nothing left to do ends at once
_here = threading.local()


def is_delivering() -> bool:
    """Whether this thread is one that calls callbacks. Such a thread never waits for another one."""
    return getattr(_here, "delivering", False)


def _deliver(reference: "weakref.ref[Delivering[Any]]") -> None:
    """Deliver until the end: the work of the thread.

    Between events it holds no reference, so that it keeps nothing alive; nor does one that an interrupt has kept from
    starting, which stays known to the interpreter for ever. What tells of events is a duplicate of the subscription's
    descriptor: it stays open, and becomes readable, when the subscription goes.
    """
    if (subscription := reference()) is None:
        return
    claim, bells = subscription._claim, subscription._bells
    if (ends := bells.get(threading.current_thread())) is None:
        return
    bell, events = ends
    del subscription, ends
    _here.delivering = True
    poll = select.poll()
    poll.register(events.fileno(), select.POLLIN)
    poll.register(bell.fileno(), select.POLLIN)
    try:
        while (subscription := reference()) is not None and subscription._is_wanted() and claim.acquire(blocking=False):
            # While it has the claim it is the only one. What is wanted between its last look and its letting go is seen
            # by the look above.
            try:
                while subscription is not None and subscription._deliver():
                    del subscription
                    poll.poll()
                    bell.clear()
                    subscription = reference()
            finally:
                claim.release()
            del subscription
    finally:
        bells.pop(threading.current_thread(), None)


class Delivering(Reader[EventT], Generic[EventT]):
    """A reader whose events go to its subscriber, a callable, while the manager runs."""

    def __init__(
        self,
        manager: _core.Manager,
        subscriber: Callable[[Any], object],
        cursor: EventCursor[EventT],
        forget: Callable[[Reader[Any]], bool],
        *,
        batch: bool,
        on_gap: Callable[[int], object] | None,
    ) -> None:
        super().__init__(manager, subscriber, cursor, forget)
        self._callback = subscriber
        self._is_batch = batch
        self._on_gap = on_gap
        self._claim = threading.Lock()  # held by the thread that delivers; nobody waits for it
        # What wakes each thread that was started: a bell, and events. Two at once are rare: one of them ends, as the
        # other has the claim.
        self._bells: dict[threading.Thread, tuple[_core.Bell, _core.Descriptor]] = {}
        self._stop_at = 0  # the last event that is to be delivered; 0 before the manager has ever run
        self._is_over = False  # the manager is closed, and all was delivered
        self._is_at_work = False  # from before a reading until what it gave was delivered
        self._delivered = 0  # meanwhile: the last event that is not to be delivered any more
        self._is_calling = False
        self._told: set[int] = set()  # the ids of those functions whose results are known to be lost

    @property
    def pending(self) -> int:
        """How many events have not been delivered yet, those of other kinds and uids and those overwritten included."""
        unread = super().pending
        if self._is_at_work:
            return max(unread, self._cursor.last(self._manager) - self._delivered)
        return unread

    def _settle(self) -> None:
        if not is_delivering():
            wait_until(lambda: not self._is_calling)

    def _end(self) -> None:
        super()._end()
        self._ring()

    def _ring(self) -> None:
        for bell, _ in list(self._bells.values()):
            bell.ring()

    def _begin_delivery(self) -> None:
        """Start the thread, or let the one that is about to end go on."""
        self._stop_at = _FOREVER
        if self._is_wanted() and not self._claim.locked():
            self._start()

    def _start(self) -> None:
        name = getattr(self._subscriber, "__qualname__", type(self._subscriber).__qualname__)
        # A daemon, because it has to go on while the threads that are none end. The exit waits for it.
        thread = threading.Thread(target=_deliver, args=(weakref.ref(self),), name=f"grantwheel {name}", daemon=True)
        self._bells[thread] = (_core.Bell(), _core.Descriptor(self.fileno()))
        try:
            thread.start()
        except Exception:
            if thread.ident is None:  # an interrupt may come when it has started, and become another error on its way
                self._bells.pop(thread, None)
            raise

    def _finish_delivery(self) -> None:
        """Let the thread end after what there is now."""
        if self._stop_at == _FOREVER:
            self._stop_at = self._cursor.last(self._manager)
        self._ring()  # in any case: an interrupt may have come before it, the last time

    def _join_delivery(self, give_up: float | None) -> bool:
        if is_delivering():
            return True
        if not wait_until(self._is_settled, give_up):
            return False
        if self._stop_at == _FOREVER:
            return True
        for thread in filter(threading.Thread.is_alive, list(self._bells)):
            thread.join(_JOIN_S if give_up is None else max(0.0, min(_JOIN_S, give_up - time.monotonic())))
        return True

    def _is_wanted(self) -> bool:
        """Whether there is anything to deliver, or may be."""
        return not self._is_cancelled and not self._is_over and self._cursor.after < self._stop_at

    def _is_settled(self) -> bool:
        """Whether what was there at the end of a run is delivered, or will be in another one."""
        if self._stop_at == _FOREVER:  # the manager runs again
            return True
        # In this order: what is read is in the hands of somebody at work.
        if not self._is_wanted() and not self._is_at_work:
            return True
        return not any(thread.is_alive() for thread in list(self._bells))

    def _deliver(self) -> bool:
        """Deliver what is there. Returns whether to wait for more."""
        self._delivered = self._cursor.after
        self._is_at_work = True
        try:
            while self._is_wanted() and self._deliver_some():
                pass
        except _core.ServiceOperationError:
            self._is_over = True
        except Exception as error:  # noqa: BLE001 - no memory for the events; they are still there the next time
            tell(logging.ERROR, "%r could not have its events", self, error=error)
            time.sleep(_PAUSE_S)
        finally:
            self._is_at_work = False
        return self._is_wanted()

    def _deliver_some(self) -> bool:
        """Deliver what one read gives. Returns whether there may be more."""
        missed = self._cursor.missed
        events = self._cursor.read(self._manager, _BATCH if self._is_batch else _ONE_BY_ONE, is_delivery=self._is_batch)
        gap = self._cursor.missed - missed
        if gap > 0:
            self._tell_gap(gap)
        if self._is_batch and events:
            self._call(self._callback, events)
        elif not self._is_batch:
            for event in events:
                self._delivered = event.sequence
                if not self._call(self._callback, event):
                    break
        self._delivered = self._cursor.after
        return bool(events) or gap > 0

    def _tell_gap(self, gap: int) -> None:
        if self._on_gap is None:
            tell(logging.WARNING, "%s missed %d events: it is slower than they come", shown(self._subscriber), gap)
        else:
            self._call(self._on_gap, gap)

    def _call(self, function: Callable[[Any], object], what: Any) -> bool:
        """Call, unless the subscription has ended. Returns whether it has not."""
        self._is_calling = True
        try:
            if self._is_cancelled:
                return False
            if not isinstance(what, list | int):
                self._cursor.hand_over(self._manager, what.time)
            result = function(what)
            if result is not None and is_work(result):
                self._tell_lost_work(function, result)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it would end the thread and nothing else
            tell(logging.ERROR, "%s, a subscriber, raised", shown(function), error=error)
        finally:
            self._is_calling = False
        return True

    def _tell_lost_work(self, function: Callable[[Any], object], result: object) -> None:
        if inspect.iscoroutine(result) or inspect.isgenerator(result):
            result.close()  # else Python would warn of it each time
        if id(function) not in self._told:
            self._told.add(id(function))
            tell(
                logging.ERROR,
                "%s, a subscriber, does nothing when it is called: nobody awaits or iterates what it returns. "
                "See grantwheel.aio.events",
                shown(function),
            )


class CallbackSubscription(Delivering[Event], Subscription):
    """A subscription whose events go to its subscriber, a callable, while the manager runs."""


def require_callback(subscriber: object, on_gap: object) -> None:
    """Raise TypeError for those that cannot be called with events, or with how many were missed."""
    require_plain(subscriber, "subscriber", _OTHERWISE)
    if on_gap is not None:
        if not callable(on_gap):
            raise TypeError(f"on_gap must be callable, not {type(on_gap).__name__}")
        require_plain(on_gap, "on_gap", _OTHERWISE)
