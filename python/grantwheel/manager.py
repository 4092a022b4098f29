"""The manager as users see it: the compiled one, with a policy that can be read back, subscriptions and the listing."""

from collections.abc import Callable, Hashable

from . import _core
from .caller import Caller
from .listing import listing
from .policy import Policy
from .subscription import UNKNOWN_SUBSCRIBER, Subscription
from .types import Clock, Command, Event, EventColumns

_NULL_SUBSCRIBER = 401
_SUBSCRIBED_TWICE = 980000501


def _identity(subscriber: object) -> Hashable:
    """Return what tells subscribers apart: equality, or identity for what cannot be hashed."""
    try:
        hash(subscriber)
    except TypeError:
        return (_identity, id(subscriber))
    return subscriber


def _require_subscriber(subscriber: object) -> None:
    if subscriber is None:
        raise _core.business_error(_NULL_SUBSCRIBER, "subscriber must be given, as any object but None.")


class Manager(_core.Manager):
    """Keeps grants: who may use which types of resources, until when. Thread-safe.

    Time comes from the clock and from nowhere else; all times are milliseconds. What is due is gone for every reader at
    once; `advance` turns it into events.

    Parameters
    ----------
    clock : object
        `BootClock` (the default), `MonotonicClock`, `ManualClock`, or any object whose ``now()`` returns an int.
    policy : Policy
        Who may hold what. The default trusts everyone.
    max_records : int
        The limit of app and process records together, 1..2^31-1.
    max_strings : int
        The limit of distinct reasons and bundle names in use, 1..2^31-1.
    event_capacity : int
        How many events are kept for readers, 1..2^31-1.
    reserve : int
        The number of records for which memory is taken at once, at most `max_records`.
    recorder : callable
        Gets a `Command` after it is admitted and before it is executed, outside the lock. When it raises, the call
        fails with 9800003 and nothing has changed. It may read single records of the manager, and must do nothing else
        with it.

    Raises
    ------
    ValueError
        A limit is out of range: names it.
    TypeError
        The clock has no ``now()``, the policy is none, or the recorder cannot be called.
    BusinessError
        9800001: the memory is not to be had.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        policy: Policy | None = None,
        max_records: int = 1_000_000,
        max_strings: int = 65_536,
        event_capacity: int = 1 << 16,
        reserve: int = 0,
        recorder: Callable[[Command], object] | None = None,
    ) -> None:
        super().__init__(
            clock=_core.BootClock() if clock is None else clock,
            max_records=max_records,
            max_strings=max_strings,
            event_capacity=event_capacity,
            reserve=reserve,
            recorder=recorder,
        )
        self._subscriptions: dict[Hashable, Subscription] = {}
        self._own = Subscription(self, self)
        self.set_policy(Policy() if policy is None else policy)

    @property
    def policy(self) -> Policy:
        """The policy in force; replace it with `set_policy`."""
        return self._policy

    def set_policy(self, policy: Policy) -> None:
        """Replace the policy, from the next call on. No grant is dropped by it.

        Raises
        ------
        TypeError, ValueError, BusinessError
            The policy is not valid; the old one stays.
        """
        if not isinstance(policy, Policy):
            raise TypeError(f"policy must be a Policy, not {type(policy).__name__}")
        super().set_policy(policy)
        self._policy = policy

    def subscribe(self, subscriber: object, *, caller: Caller | None = None) -> Subscription:
        """Start a subscription: every event from now on, to be drained.

        Parameters
        ----------
        subscriber : object
            Any object but None. It stands for the subscription in `unsubscribe`; equal objects are one subscriber.
        caller : Caller
            Must be native. Default: this process, with what the policy says of its uid.

        Raises
        ------
        BusinessError
            401: the subscriber is None. 201: the caller is not native. 9800005: it is subscribed already. 9800004: the
            manager is closed.
        """
        _require_subscriber(subscriber)
        self.require_native(caller=caller)
        subscription = Subscription(self, subscriber)
        if self._subscriptions.setdefault(_identity(subscriber), subscription) is not subscription:
            raise _core.business_error(_SUBSCRIBED_TWICE)
        return subscription

    def unsubscribe(self, subscriber: object) -> None:
        """End the subscription of a subscriber.

        Raises
        ------
        BusinessError
            401: the subscriber is None. 9800005: it is not subscribed. 9800004: the manager is closed.
        """
        _require_subscriber(subscriber)
        last = self.last_sequence()
        subscription = self._subscriptions.pop(_identity(subscriber), None)
        if subscription is None:
            raise _core.business_error(UNKNOWN_SUBSCRIBER)
        subscription.end_at(last)

    def drain(self, limit: int | None = None) -> list[Event]:
        """Return the events since the last drain, or since the manager was made: its own subscription."""
        return self._own.drain(limit)

    def drain_columns(self, limit: int | None = None) -> EventColumns:
        """Return the same as `drain`, as columns: for many events, without an object each."""
        return self._own.drain_columns(limit)

    @property
    def missed(self) -> int:
        """How many events of the manager's own subscription were overwritten before they were drained."""
        return self._own.missed

    def admin_list(self) -> str:
        """Return a text that lists every record with its grants, apps before processes, keys ascending."""
        return listing(self.records())
