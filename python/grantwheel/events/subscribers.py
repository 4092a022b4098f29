"""Who is subscribed to a manager, and whether the callbacks among them have their events."""

from collections.abc import Callable, Collection, Hashable
from typing import Any, Generic, TypeVar

from grantwheel import _core
from grantwheel._callback import identity_of
from grantwheel._process import OfOneProcess
from grantwheel.events.delivery import require_callback
from grantwheel.events.subscription import UNKNOWN_SUBSCRIBER, EventCursor, Reader

_NULL_SUBSCRIBER = 401
_SUBSCRIBED_TWICE = 980000501
_Reader = TypeVar("_Reader", bound=Reader[Any])


def require_subscriber(manager: _core.Manager, subscriber: object) -> None:
    """Refuse None."""
    if subscriber is None:
        raise _core.refuse(manager, _NULL_SUBSCRIBER, "subscriber must be given, as any object but None.")


class Subscribers(OfOneProcess, Generic[_Reader]):
    """The subscriptions of one manager, by subscriber. Refers to no manager.

    Parameters
    ----------
    plain, calling : type
        What a subscription is, and what one of a callable is: a `Reader` and a `Delivering`.
    """

    def __init__(self, plain: Callable[..., _Reader], calling: Callable[..., _Reader]) -> None:
        super().__init__()
        self._plain = plain
        self._calling = calling
        self._by_subscriber: dict[Hashable, _Reader] = {}
        self.runners: Collection[object] = ()  # while there is one, callbacks have their events

    def add(
        self,
        manager: _core.Manager,
        subscriber: object,
        make_cursor: Callable[[], EventCursor[Any]],
        *,
        batch: bool,
        on_gap: Callable[[int], object] | None,
    ) -> _Reader:
        """Subscribe somebody, as `Manager.subscribe` says."""
        subscription = self._make(manager, subscriber, make_cursor, batch=batch, on_gap=on_gap)
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
        make_cursor: Callable[[], EventCursor[Any]],
        *,
        batch: bool,
        on_gap: Callable[[int], object] | None,
    ) -> _Reader:
        if callable(subscriber):
            require_callback(subscriber, on_gap)
            return self._calling(manager, subscriber, make_cursor(), self._forget, batch=batch, on_gap=on_gap)
        if batch or on_gap is not None:
            raise TypeError("batch and on_gap are for a subscriber that is callable")
        return self._plain(manager, subscriber, make_cursor(), self._forget)

    def _forget(self, subscription: Reader[Any]) -> bool:
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

    def _follow(self, subscription: Reader[Any]) -> None:
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
