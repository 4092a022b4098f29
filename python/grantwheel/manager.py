"""The manager as users see it: the compiled one, with a policy that can be read back, subscriptions and the listing."""

import operator
import os
import time
import weakref
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from . import _core
from ._deaths import TellsDeaths
from ._process import OfOneProcess, end_at_exit, refuse_to_pickle
from .caller import Caller
from .events.delivery import CallbackSubscription
from .events.subscribers import Subscribers, require_subscriber
from .events.subscription import Subscription, cursor_of
from .hold import Hold, Holds
from .listing import listing
from .policy import Policy
from .run.loop import Loop
from .run.runner import Runner, Running, ThreadRunner
from .run.watches import Watches
from .types import Clock, Event, EventColumns, EventKind, Log, Stats

_ALL_KINDS = 2**32 - 1
_CLOSE_MS = 5000  # so long a log has to take what is staged


class _Staged(OfOneProcess):
    """What a manager has staged, which is to be in its log before the interpreter exits."""

    def __init__(self, manager: "Manager") -> None:
        super().__init__()
        self._manager = weakref.ref(manager)
        end_at_exit(self)

    def __repr__(self) -> str:
        return "what a manager has for its log"

    def _end_at_exit(self, give_up: float) -> bool:
        manager = self._manager()
        left_ms = int(max(give_up - time.monotonic(), 0.0) * 1000)
        return manager is None or _core.settle(manager, left_ms)


class Manager(TellsDeaths):
    """Keeps grants: who may use which types of resources, until when. Thread-safe. As a context manager it is closed.

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
    log : Log
        Where every change is on record before anybody sees it: an empty `MemoryLog`, or any object with ``last()`` and
        ``append(after, group)``; see `Log`. Default: none, and changes are carried out at once.
    durability : str
        With a log: ``"commit"``, as above, or ``"batch"``: changes are carried out at once and are on record within
        10 ms, if the log is no slower. What a crash takes away is what came since; `flush` waits for all so far. Events
        are shown when what caused them is on record, with both. A `MemoryLog` needs no waiting, and has no batches.

    Raises
    ------
    ValueError
        A limit is out of range: names it. The log has groups already, which this manager knows nothing of. The
        durability is none, or ``"batch"`` without a log.
    TypeError
        The clock has no ``now()``, the policy is none, or the log lacks a method.
    BusinessError
        9800001: there is not enough memory.
    Exception
        What ``last()`` of the log raises.
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
        log: Log | None = None,
        durability: Literal["commit", "batch"] = "commit",
    ) -> None:
        made_clock = _core.BootClock() if clock is None else clock
        # By position: by name pybind11 would look for names that it may have had no memory for.
        super().__init__(made_clock, max_records, max_strings, event_capacity, reserve, log, os.urandom(16), durability)
        self._begin(policy, has_log=log is not None, is_behind=durability == "batch")

    def _begin(self, policy: Policy | None, *, has_log: bool, is_behind: bool) -> None:
        """Make all that is around the compiled one."""
        self._subscribers = Subscribers(Subscription, CallbackSubscription)
        self._running = Running(self._subscribers)
        self._loop = Loop()
        self._watches = Watches(self, self._loop)
        self._own = _core.Cursor(self, _ALL_KINDS, None)
        self._holds = Holds(self, self._loop)
        self._staged = _Staged(self) if has_log else None
        self._is_behind = is_behind  # whether what is changed gets into the log only afterwards
        self.set_policy(Policy() if policy is None else policy)

    __reduce_ex__ = refuse_to_pickle

    @property
    def policy(self) -> Policy:
        """The policy in force; replace it with `set_policy`."""
        return self._policy

    def set_policy(self, policy: Policy) -> None:
        """Replace the policy, from the next call on. No grant is dropped by it.

        Raises
        ------
        TypeError
            It is no `Policy`.
        BusinessError
            9800001: there is not enough memory. 9800004: the manager is closed. After any error the old policy stays.
        """
        if not isinstance(policy, Policy):
            raise TypeError(f"policy must be a Policy, not {type(policy).__name__}")
        super().set_policy(policy)
        self._policy = policy

    def close(self) -> None:
        """Give the memory back. Every later call is refused with 9800004, but for this one.

        With a log, what is staged has five seconds to get there; what the log has not been given by then is refused,
        and that it has not answered for the rest is logged (logger ``grantwheel``). With durability ``"batch"`` what
        the log has not taken by then was carried out, and is lost.

        What has happened by now is still delivered to callbacks, and is there for readers to drain. Watches of
        processes are cancelled.

        Raises
        ------
        BusinessError
            9800003: the manager is closed, and changes of durability ``"batch"`` are lost; says how many.
        """
        self._close_within(_CLOSE_MS)

    def _close_within(self, timeout_ms: int) -> bool:
        """Close, with so long for the log, and return whether that is not called any more."""
        try:
            return _core.close_within(self, timeout_ms)
        finally:
            self._watches.cancel_all()
            if (tasks := self._tasks()) is not None:
                tasks._closed()

    def stats(self) -> Stats:
        """Return the numbers of the manager: what lives now, and what was counted since it was made. Advances first.

        Raises
        ------
        ValueError, BusinessError
            As `holders`.
        """
        return Stats(*super().stats())  # the compiled one knows nothing of snapshots

    def pipeline(self) -> _core.Pipeline:
        """Return a pipeline, in which calls are queued that its ``execute`` carries out in their order.

        With a log they are one group, for which is waited once; each has arguments of its own, which a batch has not.
        It is empty afterwards and may be used again.
        """
        return _core.Pipeline(self)

    def running(self) -> ThreadRunner:
        """Run the manager in a thread for the time of a ``with`` block: what is due ends by itself, at its deadline.

        The thread sleeps until `wake_at` and calls `advance`, in slices; meanwhile callback subscriptions get their
        events. The end of the block stops it, after what has happened by then was delivered. One at a time.

        Raises
        ------
        RuntimeError
            From the block: the manager is running already.
        ValueError
            From the block: the clock is a Python object, which cannot wake anybody.
        BusinessError
            From the block: 9800004, the manager is closed.
        """
        return ThreadRunner(self, self._running, self._loop)

    @property
    def runner(self) -> Runner | None:
        """What runs the manager now, in a thread or on a loop; None when nothing does."""
        return self._running.runner

    def fileno(self) -> int:
        """Return a descriptor that is readable when something is due or an event waits for `drain`.

        For event loops that grantwheel does not know: when it is readable, call `advance` and `drain`; then it no
        longer is. It belongs to the manager: neither read it nor close it.

        Raises
        ------
        ValueError
            The clock is a Python object, which cannot wake anybody.
        BusinessError
            9800004: the manager is closed.
        OSError
            The process may not open more descriptors.
        """
        self._own.fileno(self)
        return _core.joint_fileno(self, self._own)

    def subscribe(
        self,
        subscriber: object,
        *,
        kinds: Iterable[EventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        batch: bool = False,
        on_gap: Callable[[int], object] | None = None,
        caller: Caller | None = None,
    ) -> Subscription:
        """Start a subscription: every event from now on, once and in order.

        A callable is called with each event while the manager runs (`running`, `grantwheel.aio.running`), in a thread
        of its own, so that a slow one delays nobody. When it raises, that is logged (logger ``grantwheel``) and it goes
        on. It may call the manager, cancel itself and subscribe others. Any other object stands for a reader that
        calls `Subscription.drain`.

        Parameters
        ----------
        subscriber : object
            Any object but None. It stands for the subscription in `unsubscribe`; equal objects are one subscriber.
        kinds : iterable of EventKind
            Only these. Default: all.
        uids : iterable of int
            Only events of these uids. Default: all.
        batch : bool
            Call a callable with lists, of as many events as wait, at most 1024. Much faster than one by one.
        on_gap : callable
            Called with the number of events that were overwritten before a callable could have them, in its thread,
            before the next event. `records` has the state to go on from. Default: a warning is logged.
        caller : Caller
            Must be native. Default: this process, with what the policy says of its uid.

        Raises
        ------
        BusinessError
            401: the subscriber is None. 201: the caller is not native. 9800005: it is subscribed already. 9800004: the
            manager is closed.
        ValueError
            A kind is none, or a uid is out of range.
        TypeError
            ``batch`` or ``on_gap`` is given for what is not callable, or the subscriber is a coroutine function.
        """
        require_subscriber(self, subscriber)
        self.require_native(caller=caller)
        return self._subscribers.add(self, subscriber, lambda: cursor_of(self, kinds, uids), batch=batch, on_gap=on_gap)

    def unsubscribe(self, subscriber: object) -> None:
        """End the subscription of a subscriber.

        A callback that is being called is waited for, unless this call comes from a callback: afterwards it is not
        called any more.

        Raises
        ------
        BusinessError
            401: the subscriber is None. 9800005: it is not subscribed. 9800004: the manager is closed.
        """
        require_subscriber(self, subscriber)
        self._subscribers.cancel(self, subscriber)

    def drain(self, limit: int | None = None) -> list[Event]:
        """Return the events since the last drain, or since the manager was made: its own subscription.

        Parameters
        ----------
        limit : int
            At most so many; the rest is for the next drain. Default: all.

        Raises
        ------
        BusinessError
            9800004: the manager is closed, and all was drained.
        """
        return self._own.read(self, limit)

    def drain_columns(self, limit: int | None = None) -> EventColumns:
        """Return the same as `drain`, as columns: for many events, without an object each."""
        return self._own.read_columns(self, limit)

    @property
    def missed(self) -> int:
        """How many events of the manager's own subscription were overwritten before they were drained."""
        return self._own.missed

    def admin_list(self) -> str:
        """Return a text that lists every record with its grants, apps before processes, keys ascending.

        Made for people to read; `records` has the same for programs.
        """
        return listing(self.records())

    def hold(
        self,
        mask: int,
        *,
        uid: int | None = None,
        pid: int | None = None,
        reason: str = "",
        timeout_ms: int | timedelta = 30_000,
        process: bool = False,
        cpu_level: int = -1,
        caller: Caller | None = None,
        on_lost: Callable[[Hold], object] | None = None,
    ) -> Hold:
        """Hold types for the time of a ``with`` or ``async with`` block, or of each call of a function.

        Applies when the block begins, renews each time that a third of ``timeout_ms`` has passed, and releases at its
        end, however it ends. Holds of one owner and type may overlap: the last one out releases. What goes meanwhile,
        because it was released by others or its owner stopped, is not granted again: `Hold.lost` tells.

        Parameters
        ----------
        mask : int
            The types, 1..511.
        uid, pid : int
            Who holds them. Default: this process.
        reason : str
            Why, at most 1024 bytes of UTF-8.
        timeout_ms : int or timedelta
            How long the grants go on without a renewal, 1..2^32-1 ms.
        process, cpu_level, caller
            As in `apply`.
        on_lost : callable
            Called with the hold when a renewal finds that types have gone, or fails after one that came through:
            `Hold.lost` and `Hold.failure` say what it is. By whoever renews: the thread of the manager, the event loop
            of an ``async with``, or the caller of `renew_holds`. When it raises, that is logged.

        Returns
        -------
        Hold
            To be used in one ``with`` or ``async with`` statement, or as a decorator. Its begin raises what `apply`
            raises; its end raises nothing: what cannot be released runs out, and that is logged.

        Raises
        ------
        TypeError
            An argument has the wrong type, or ``on_lost`` cannot be called, or would have to be awaited.
        BusinessError
            9800002: the reason or the bundle cannot be encoded. 9800004: the manager was made before a fork.
        """
        return self._holds.make(
            self,
            uid=os.getuid() if uid is None else uid,
            pid=os.getpid() if pid is None else pid,
            mask=mask,
            timeout_ms=timeout_ms,
            process=process,
            reason=reason,
            cpu_level=cpu_level,
            caller=caller,
            on_lost=on_lost,
        )

    def renew_holds(self) -> int | None:
        """Renew every hold whose time has come: for a `ManualClock`, which nothing can sleep on.

        On all other clocks it happens by itself.

        Returns
        -------
        int or None
            When to call again, in ms of the clock; None without holds.

        Raises
        ------
        ValueError
            The clock has run backwards or out of range.
        BusinessError
            9800004: the manager was made before a fork.
        """
        return self._holds.renew_due()

    def wall_time(self, instant_ms: int) -> datetime:
        """Return when an instant of the manager's clock was, or will be, by the calendar: in UTC, to the millisecond.

        For the times of events and for deadlines. It is worked out from both clocks as they stand now, so that a wall
        clock that is set moves the answer. Where a suspend lies between, it is wrong by the length of that with a
        `MonotonicClock`. A `ManualClock` is taken to show the present.

        Parameters
        ----------
        instant_ms : int
            The instant, in ms of the clock.

        Raises
        ------
        OverflowError
            The calendar does not reach so far.
        """
        ago = timedelta(milliseconds=self.clock.now() - operator.index(instant_ms))
        wall = datetime.now(UTC) - ago
        return wall.replace(microsecond=wall.microsecond // 1000 * 1000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            state = f"{self.last_sequence} events"
        except _core.ServiceOperationError:
            state = "closed, or of another process"
        return f"<{type(self).__name__} on {self.clock!r}, {state}>"
