"""Suspension: apps in the background that nothing keeps up are frozen, and thawed when something comes."""

import operator
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Self, SupportsIndex

from grantwheel._process import OfOneProcess
from grantwheel._times import to_ms
from grantwheel.linux.freezers import Freezer
from grantwheel.types import ResourceType

from .listening import Listeners, SuspensionSubscription
from .values import DELIVERABLE, AppState, SuspensionKind, SuspensionStats, TaskKind, Timing, Why
from .work import Work

if TYPE_CHECKING:
    from grantwheel.manager import Manager

_MAX_UID = 2**32 - 2
_MAX_MS = 2**32 - 1
_MAX_COUNT = 2**31 - 1


class Suspension(OfOneProcess):
    """Suspends the apps of a manager while they are in the background and nothing keeps them up.

    An app is a uid. The host says which apps go to the background and come back; what keeps one up is what it holds:
    CPU, by itself or by one of its processes; AUDIO while it plays; and tasks that run. Thread-safe. It works on the
    thread of the manager, and hears that a grant has ended while the manager runs (`grantwheel.Manager.running`). With
    a `grantwheel.ManualClock`, which nothing can sleep on, `advance` does what is due. As a context manager it is
    closed: at its end, and at the end of the manager and of the interpreter, everybody is thawed.

    Parameters
    ----------
    manager : Manager
        Who knows what apps hold.
    freezer : Freezer
        What freezes and thaws them; it is closed with this.
    grace_ms : int or timedelta
        How long an app has been in the background with nothing that keeps it up, before it is suspended.
    thaw_ms : int or timedelta
        How long a suspended app is thawed for an event.
    freeze_ms : int or timedelta
        Within which all of an app must be frozen; else it is thawed again, and that is a failure.
    retry_ms : int or timedelta
        After which a freezer that has failed is tried again; it doubles with each failure, up to 64 times that.
    look_ms : int or timedelta
        How often it is looked whether a suspended app still is: somebody may have continued it, or begun another
        process of it.
    max_apps : int
        The limit of apps that something is known of at once.
    event_capacity : int
        How many events are kept for readers.

    Raises
    ------
    TypeError, ValueError
        An argument is of another type, or out of range: names it.
    BusinessError
        9800004: the manager is closed.
    """

    def __init__(
        self,
        manager: "Manager",
        freezer: Freezer,
        grace_ms: int | timedelta = 5_000,
        thaw_ms: int | timedelta = 10_000,
        *,
        freeze_ms: int | timedelta = 2_000,
        retry_ms: int | timedelta = 1_000,
        look_ms: int | timedelta = 30_000,
        max_apps: int = 65_536,
        event_capacity: int = 4_096,
    ) -> None:
        super().__init__()
        timing = Timing(
            _length(grace_ms, "grace_ms", 0),
            _length(thaw_ms, "thaw_ms", 1),
            _length(freeze_ms, "freeze_ms", 1),
            _length(retry_ms, "retry_ms", 1),
            _length(look_ms, "look_ms", 1),
        )
        limit = _within(max_apps, "max_apps", 1, _MAX_COUNT)
        self._manager = manager
        self._listeners = Listeners(_within(event_capacity, "event_capacity", 1, _MAX_COUNT))
        self._work = Work(manager, freezer, timing, limit, self._listeners.put, self._listeners.close)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._manager!r}{', closed' if self._work.is_closed else ''}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the host says.

    def background(self, uid: SupportsIndex) -> None:
        """Say that an app went to the background.

        Raises
        ------
        TypeError, ValueError
            The uid is no int, or not within 0..2^32-2. So with all calls that take one.
        BusinessError
            9800001: more than ``max_apps`` would be known. 9800004: the suspension is closed, its manager is, or this
            is the child of a fork. So with all calls.
        """
        who = _uid(uid)
        self._work.carry_out(who, lambda now: self._work.decider.background(who, now), begins=True)

    def foreground(self, uid: SupportsIndex) -> None:
        """Say that an app came to the foreground. When this returns it is thawed, or `why` says why not."""
        who = _uid(uid)
        self._work.carry_out(who, lambda now: self._work.decider.foreground(who, now))

    def forget(self, uid: SupportsIndex) -> None:
        """Say that an app is no more: it is thawed, and nothing is known of it then."""
        who = _uid(uid)
        self._work.carry_out(who, lambda now: self._work.decider.forget(who, now))

    def playing(self, uid: SupportsIndex, plays: bool) -> None:
        """Say whether an app plays. While it does, AUDIO keeps it up."""
        who, does = _uid(uid), _bool(plays, "plays")
        self._work.carry_out(who, lambda now: self._work.decider.playing(who, does, now), begins=does)

    def task(self, uid: SupportsIndex, kind: TaskKind | str, running: bool) -> None:
        """Say whether a transient or a continuous task of an app runs, which keeps it up.

        There is one of each kind: tell the first one's beginning and the last one's end.

        Raises
        ------
        ValueError
            There is no such kind.
        """
        who, which, runs = _uid(uid), TaskKind(kind), _bool(running, "running")
        self._work.carry_out(who, lambda now: self._work.decider.task(who, which, runs, now), begins=runs)

    def deliver(self, uid: SupportsIndex, kind: SupportsIndex) -> bool:
        """Return whether an event of a kind may reach an app now. A suspended app is thawed for it, for ``thaw_ms``.

        It may, if the app is not suspended, or holds the type of that name. One that may not is counted.

        Parameters
        ----------
        uid : int
            The app.
        kind : ResourceType
            COMMON_EVENT, TIMER, BLUETOOTH or GPS.

        Raises
        ------
        ValueError
            It is another type.
        RuntimeError
            A signal handler asks in the middle of another call of this thread, or a freezer does.
        """
        who, which = _uid(uid), ResourceType(operator.index(kind))
        if which not in tuple(DELIVERABLE):
            names = ", ".join(str(one.name) for one in DELIVERABLE)
            raise ValueError(f"kind must be one of {names}, not {which!r}")
        return self._work.deliver(who, which)

    # What is so.

    def state(self, uid: SupportsIndex) -> AppState:
        """Return how an app stands. It is suspended if the freezer has said that all of it is frozen.

        Whoever has not been told of is in the foreground.
        """
        self._require_here()
        return self._work.decider.state(_uid(uid))

    def why(self, uid: SupportsIndex) -> Why:
        """Return why an app is as it is: what keeps it up, or since when it is suspended."""
        return self._work.why(_uid(uid))

    def apps(self) -> dict[int, AppState]:
        """Return the apps that something is known of, by uid."""
        self._require_here()
        with self._work.lock:
            return {uid: self._work.decider.state(uid) for uid in sorted(self._work.decider.uids())}

    def sensors_intercepted(self, uid: SupportsIndex) -> bool:
        """Return whether the sensor callbacks of an app are to be kept from it: it is suspended, and has no SENSOR."""
        return self._is_without(uid, ResourceType.SENSOR)

    def locks_proxied(self, uid: SupportsIndex) -> bool:
        """Return whether the running locks of an app count as the host's: it is suspended, and has no RUNNING_LOCK."""
        return self._is_without(uid, ResourceType.RUNNING_LOCK)

    def work_is_loose(self, uid: SupportsIndex) -> bool:
        """Return whether the deferred work of an app runs under the loose policy: it holds WORK_SCHEDULER."""
        self._work.require_open()
        return bool(self._manager.app_mask(_uid(uid)) & ResourceType.WORK_SCHEDULER)

    def _is_without(self, uid: SupportsIndex, resource: ResourceType) -> bool:
        self._work.require_open()
        who = _uid(uid)
        return self.state(who) is AppState.SUSPENDED and not self._manager.app_mask(who) & resource

    def stats(self) -> SuspensionStats:
        """Return the numbers."""
        self._require_here()
        with self._work.lock:
            return self._work.decider.stats()

    # Events.

    def subscribe(
        self,
        subscriber: object,
        *,
        kinds: Iterable[SuspensionKind | str] | None = None,
        uids: Iterable[int] | None = None,
        on_gap: Callable[[int], object] | None = None,
    ) -> SuspensionSubscription:
        """Start a subscription: every event from now on, once and in order.

        A callable is called with each event, in a thread of its own, so that a slow one delays nobody; what it raises
        is logged (logger ``grantwheel``). It may call the suspension. Any other object stands for a reader that calls
        `SuspensionSubscription.drain`.

        Parameters
        ----------
        subscriber : object
            Any object but None. It stands for the subscription in `unsubscribe`; equal objects are one subscriber.
        kinds : iterable of SuspensionKind
            Only these. Default: all.
        uids : iterable of int
            Only events of these apps. Default: all.
        on_gap : callable
            Called with the number of events that were overwritten before a callable could have them. Default: a
            warning is logged.

        Raises
        ------
        BusinessError
            401: the subscriber is None. 9800005: it is subscribed already. 9800004: the suspension is closed.
        ValueError
            A kind is none.
        TypeError
            ``on_gap`` is given for what is not callable, or the subscriber is a coroutine function.
        """
        self._work.require_open()
        return self._listeners.add(subscriber, kinds=kinds, uids=uids, on_gap=on_gap)

    def unsubscribe(self, subscriber: object) -> None:
        """End the subscription of a subscriber; see `SuspensionSubscription.cancel`.

        Raises
        ------
        BusinessError
            401: the subscriber is None. 9800005: it is not subscribed.
        """
        self._require_here()
        self._listeners.cancel(subscriber)

    # Work.

    def advance(self) -> int | None:
        """Do what is due by now: for a `grantwheel.ManualClock`. On all other clocks it happens by itself.

        Returns
        -------
        int or None
            When to call again, in ms of the clock; None: when something else happens.
        """
        return self._work.advance()

    def close(self) -> None:
        """Thaw everybody, and suspend nobody any more. It is fine if it has been closed.

        Who cannot be thawed is logged; the freezer's notes have it, for the next start. Callbacks have the events up to
        this one. Every later call is refused with 9800004, but for questions of what is so.
        """
        self._work.close()


def _uid(value: SupportsIndex) -> int:
    if isinstance(value, bool):
        raise TypeError("uid must be an int, not bool")
    uid = operator.index(value)
    if not 0 <= uid <= _MAX_UID:
        raise ValueError("uid must be within 0..2^32-2")
    return uid


def _bool(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value


def _within(value: SupportsIndex, name: str, least: int, most: int) -> int:
    number = operator.index(value)
    if not least <= number <= most:
        raise ValueError(f"{name} must be within {least}..{most}")
    return number


def _length(value: int | timedelta, name: str, least: int) -> int:
    return _within(to_ms(value, name), name, least, _MAX_MS)
