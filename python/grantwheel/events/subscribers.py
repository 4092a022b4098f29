"""Who is subscribed to a manager, and whether the callbacks among them have their events."""

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any

from grantwheel import _core
from grantwheel._callback import identity_of
from grantwheel._process import OfOneProcess
from grantwheel.events.delivery import CallbackSubscription
from grantwheel.events.subscription import UNKNOWN_SUBSCRIBER, Subscription
from grantwheel.types import EventKind

_NULL_SUBSCRIBER = 401
_SUBSCRIBED_TWICE = 980000501


def require_subscriber(manager: _core.Manager, subscriber: object) -> None:
    """Refuse None."""
    if subscriber is None:
        raise _core.refuse(manager, _NULL_SUBSCRIBER, "subscriber must be given, as any object but None.")


class Subscribers(OfOneProcess):
    """The subscriptions of one manager, by subscriber. Refers to no manager."""

    def __init__(self) -> None:
        super().__init__()
        self._by_subscriber: dict[Hashable, Subscription] = {}
        self.runners: Collection[object] = ()  # while there is one, callbacks have their events

    def add(
        self,
        manager: _core.Manager,
        subscriber: object,
        *,
        kinds: Iterable[EventKind | str] | None,
        uids: Iterable[int] | None,
        batch: bool,
        on_gap: Callable[[int], object] | None,
    ) -> Subscription:
        """Subscribe somebody, as `Manager.subscribe` says."""
        subscription = self._make(manager, subscriber, kinds=kinds, uids=uids, batch=batch, on_gap=on_gap)
        if self._by_subscriber.setdefault(identity_of(subscriber), subscription) is not subscription:
            rule = f"this {type(subscriber).__name__} is subscribed already: keep the Subscription of the first call"
            raise _core.refuse(manager, _SUBSCRIBED_TWICE, "", rule)
        try:
            self._follow(subscription)
        except BaseException:
            self._forget(subscription)
            subscription._end()
            raise
        return subscription

    def _make(
        self,
        manager: _core.Manager,
        subscriber: object,
        *,
        kinds: Iterable[EventKind | str] | None,
        uids: Iterable[int] | None,
        batch: bool,
        on_gap: Callable[[int], object] | None,
    ) -> Subscription:
        callback: Callable[[Any], object]
        if callable(subscriber):
            callback = subscriber
            return CallbackSubscription(
                manager, callback, kinds=kinds, uids=uids, batch=batch, on_gap=on_gap, forget=self._forget
            )
        if batch or on_gap is not None:
            raise TypeError("batch and on_gap are for a subscriber that is callable")
        return Subscription(manager, subscriber, kinds=kinds, uids=uids, forget=self._forget)

    def _forget(self, subscription: Subscription) -> bool:
        """Take a subscription off the list. Returns whether it was there, and no other one of an equal subscriber."""
        key = identity_of(subscription._subscriber)
        if self._by_subscriber.get(key) is not subscription:
            return False
        return self._by_subscriber.pop(key, None) is not None

    def cancel(self, manager: _core.Manager, subscriber: object) -> None:
        """End the subscription of somebody, as `Manager.unsubscribe` says."""
        subscription = self._by_subscriber.get(identity_of(subscriber))
        if subscription is None:
            _ = manager.last_sequence  # refused when it is closed, and in the child of a fork
            raise _core.refuse(manager, UNKNOWN_SUBSCRIBER)
        subscription.cancel()

    def follow(self) -> None:
        """Let callbacks have their events while somebody runs the manager; else what there is now, and nothing more."""
        for subscription in list(self._by_subscriber.values()):
            self._follow(subscription)

    def _follow(self, subscription: Subscription) -> None:
        """Let a subscription do what is right now, also if that changes meanwhile."""
        while True:
            is_running = bool(self.runners)
            if is_running:
                subscription._begin_delivery()
            else:
                subscription._finish_delivery()
            if is_running == bool(self.runners):
                return

    def join_delivery(self, give_up: float | None = None) -> bool:
        """Wait until they have it, or until an instant of ``time.monotonic()``. Returns whether they do.

        A thread that calls callbacks does not wait.
        """
        subscriptions = list(self._by_subscriber.values())
        return all(subscription._join_delivery(give_up) for subscription in subscriptions)
