"""Who hears the events of a suspension: readers at their own pace, and callbacks in threads of their own."""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Self

from grantwheel._callback import identity_of, is_work, require_plain
from grantwheel._documented import refusal
from grantwheel._process import OfOneProcess
from grantwheel._telling import tell

from .values import SuspensionEvent, SuspensionKind

_NULL_SUBSCRIBER, _SUBSCRIBED_TWICE, _UNKNOWN_SUBSCRIBER = 401, 980000501, 980000502
_JOIN_S = 1.0  # so long the end of a suspension waits for a callback
_here = threading.local()


class _Ring:
    """The last events. One writes at a time; many read."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._events: list[SuspensionEvent] = []
        self.last = 0

    def put(self, event: SuspensionEvent) -> None:
        """Add an event, in place of the oldest one when there is no more room."""
        if len(self._events) < self._capacity:
            self._events.append(event)
        else:
            self._events[(event.sequence - 1) % self._capacity] = event
        self.last = event.sequence

    def read(self, after: int) -> tuple[list[SuspensionEvent], int]:
        """Return the events after a number, and how many before them are no longer there."""
        last = self.last
        first = max(after, last - self._capacity) + 1
        found = [self._events[(sequence - 1) % self._capacity] for sequence in range(first, last + 1)]
        # What was overwritten while it was read is newer than it should be; it comes again in its turn.
        kept = [event for place, event in enumerate(found) if event.sequence == first + place]
        return kept, last - after - len(kept)


class SuspensionSubscription(OfOneProcess):
    """The events of a suspension from its start on, once and in order: what `Suspension.subscribe` returns.

    Nobody waits for a reader: one that falls behind by more than ``event_capacity`` loses the oldest events, which
    `missed` counts. As a context manager it is cancelled.
    """

    def __init__(
        self,
        listeners: "Listeners",
        subscriber: object,
        kinds: frozenset[SuspensionKind] | None,
        uids: frozenset[int] | None,
    ) -> None:
        super().__init__()
        self._listeners = listeners
        self._subscriber = subscriber
        self._kinds = kinds
        self._uids = uids
        self._after = listeners.ring.last
        self._until: int | None = None  # the last event, once it has ended
        self._missed = 0
        self._reading = threading.RLock()
        self._bell = _Bell()

    def __repr__(self) -> str:
        state = "" if self._until is None else ", cancelled"
        return (
            f"<{type(self).__name__} of {self._subscriber!r} after event {self._after}, missed {self._missed}{state}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_here and self._until is None:
            self.cancel()

    @property
    def subscriber(self) -> object:
        """What was given to `Suspension.subscribe`."""
        return self._subscriber

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were read, whatever their kinds and apps were."""
        return self._missed

    def fileno(self) -> int:
        """Return a descriptor that is readable while events wait, and when there will be none any more.

        It belongs to the subscription: neither read it nor close it.
        """
        self._require_here()
        return self._bell.fileno()

    def drain(self) -> list[SuspensionEvent]:
        """Return the events that have not been read yet, oldest first."""
        self._require_here()
        with self._reading:
            self._bell.clear()
            if self._until is not None:  # looked at behind the clearing, as the end rings behind setting it
                self._bell.ring()
            events, missed = self._listeners.ring.read(self._after)
            if self._until is not None:
                events = [event for event in events if event.sequence <= self._until]
            self._missed += missed
            self._after = max(events[-1].sequence if events else 0, self._after + missed)
        return [
            event
            for event in events
            if (self._kinds is None or event.kind in self._kinds) and (self._uids is None or event.uid in self._uids)
        ]

    def cancel(self) -> None:
        """End the subscription. A callback that is being called is waited for, unless this call comes from it.

        What a reader has not drained is still there for it. It is fine if it has ended.
        """
        self._require_here()
        self._listeners.remove(self)
        self._end()

    def _ring(self) -> None:
        self._bell.ring()

    def _join(self, wait_s: float | None) -> None:
        """Wait until nobody is called any more."""

    def _end(self) -> None:
        if self._until is None:
            self._until = self._listeners.ring.last
        self._bell.ring()


class _Bell:
    """A descriptor that is readable from `ring` to `clear`."""

    _descriptor = -1

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def ring(self) -> None:
        os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)


class _CallbackSubscription(SuspensionSubscription):
    """A subscription whose events go to its subscriber, a callable, in a thread of its own."""

    def __init__(
        self,
        listeners: "Listeners",
        subscriber: Callable[[Any], object],
        kinds: frozenset[SuspensionKind] | None,
        uids: frozenset[int] | None,
        on_gap: Callable[[int], object] | None,
    ) -> None:
        require_plain(subscriber, "subscriber", "It may put what it gets into a queue")
        if on_gap is not None:
            require_plain(on_gap, "on_gap", "It may put what it gets into a queue")
        super().__init__(listeners, subscriber, kinds, uids)
        self._callback = subscriber
        self._on_gap = on_gap
        self._is_cancelled = False
        name = getattr(subscriber, "__qualname__", type(subscriber).__qualname__)
        self._thread = threading.Thread(target=self._deliver, name=f"grantwheel {name}", daemon=True)

    def start(self) -> None:
        """Let it be called from now on."""
        self._thread.start()

    def cancel(self) -> None:
        """End it: afterwards it is not called any more."""
        self._is_cancelled = True
        super().cancel()
        self._join(None)

    def _join(self, wait_s: float | None) -> None:
        if not getattr(_here, "delivers", False) and self._thread.is_alive():  # else two could wait for each other
            self._thread.join(wait_s)

    def _deliver(self) -> None:
        _here.delivers = True
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        is_last = False
        while not is_last:
            poll.poll()
            is_last = self._until is not None  # before what is read: nothing comes behind the end
            missed = self._missed
            events = self.drain()
            if self._missed != missed:
                self._tell_gap(self._missed - missed)
            for event in events:
                self._call(self._callback, event)

    def _tell_gap(self, gap: int) -> None:
        if self._on_gap is None:
            tell(logging.WARNING, "%s missed %d events: it is slower than they come", self._subscriber, gap)
        else:
            self._call(self._on_gap, gap)

    def _call(self, function: Callable[[Any], object], what: Any) -> None:
        if self._is_cancelled:
            return
        try:
            result = function(what)
            if result is not None and is_work(result):
                tell(logging.ERROR, "%s, a subscriber, does nothing when it is called: nobody awaits it", function)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it would end the thread and nothing else
            tell(logging.ERROR, "%s, a subscriber, raised", function, error=error)


class Listeners:
    """The subscriptions of a suspension, by subscriber, and the events that they read."""

    def __init__(self, capacity: int) -> None:
        self.ring = _Ring(capacity)
        self._by_subscriber: dict[Hashable, SuspensionSubscription] = {}

    def put(self, event: SuspensionEvent) -> None:
        """Tell everybody of an event."""
        self.ring.put(event)
        for subscription in list(self._by_subscriber.values()):
            subscription._ring()

    def add(
        self,
        subscriber: object,
        *,
        kinds: Iterable[SuspensionKind | str] | None,
        uids: Iterable[int] | None,
        on_gap: Callable[[int], object] | None,
    ) -> SuspensionSubscription:
        """Subscribe somebody, as `Suspension.subscribe` says."""
        key = self._key(subscriber)
        wanted = (
            None if kinds is None else frozenset(map(SuspensionKind, (kinds,) if isinstance(kinds, str) else kinds))
        )
        whose = None if uids is None else frozenset(uids)
        made: SuspensionSubscription
        if callable(subscriber):
            made = callback = _CallbackSubscription(self, subscriber, wanted, whose, on_gap)
        elif on_gap is not None:
            raise TypeError("on_gap is for a subscriber that is callable")
        else:
            made, callback = SuspensionSubscription(self, subscriber, wanted, whose), None
        if self._by_subscriber.setdefault(key, made) is not made:
            rule = f"this {type(subscriber).__name__} is subscribed already: keep the subscription of the first call"
            raise refusal(_SUBSCRIBED_TWICE, "", rule)
        if callback is not None:
            callback.start()
        return made

    def cancel(self, subscriber: object) -> None:
        """End the subscription of somebody, as `Suspension.unsubscribe` says."""
        subscription = self._by_subscriber.get(self._key(subscriber))
        if subscription is None:
            raise refusal(_UNKNOWN_SUBSCRIBER)
        subscription.cancel()

    def remove(self, subscription: SuspensionSubscription) -> None:
        """Take a subscription off the list. It is fine if it is not there."""
        key = self._key(subscription.subscriber)
        if self._by_subscriber.get(key) is subscription:
            self._by_subscriber.pop(key, None)

    def close(self) -> None:
        """End all, after what there is now."""
        for subscription in list(self._by_subscriber.values()):
            self.remove(subscription)
            subscription._end()
            subscription._join(_JOIN_S)

    @staticmethod
    def _key(subscriber: object) -> Hashable:
        if subscriber is None:
            raise refusal(_NULL_SUBSCRIBER, "subscriber must be given, as any object but None.")
        return identity_of(subscriber)
