"""Holding: a grant that lasts as long as a block of code, renewed while it runs and released at its end.

Holds of one owner and type share one grant, as the engine keeps one: they are counted here, and the last one out
releases it. Nothing here grants again what has gone: a renewal extends what is held, under the manager's own lock, and
what is not held it leaves alone.
"""

import atexit
import contextlib
import heapq
import logging
import os
import threading
import weakref
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Self

from . import _core
from ._process import refuse_to_pickle
from .caller import Caller
from .types import OwnerKind, ResourceType

if TYPE_CHECKING:
    import asyncio

    from .manager import Manager

_logger = logging.getLogger("grantwheel")

_TYPES = tuple(int(bit) for bit in ResourceType)

# A hold is renewed when this part of its time has passed: there is time for a second and a third attempt.
_PARTS = 3
_CLOSED = 980000402  # the inner code of a closed manager, and of any in the child of a fork
# How long the last hold waits for the thread of the renewals to end, in s. It ends at once, unless a hook is slow.
_JOIN_SECONDS = 1.0
# When the thread tries again after the clock has failed, in s.
_RETRY_SECONDS = 1.0


class Terms(NamedTuple):
    """What a hold asks for, checked by the manager."""

    mask: int
    uid: int
    pid: int
    reason: str
    ttl_ms: int
    process: bool
    cpu_level: int
    caller: Caller | None

    def owners(self) -> Iterator[tuple[int, tuple[OwnerKind, int]]]:
        """Give each type that is asked for, with who it is for."""
        for bit in _TYPES:
            if self.mask & bit:
                of_process = self.process and bit == ResourceType.CPU
                yield bit, (OwnerKind.PROCESS, self.pid) if of_process else (OwnerKind.APP, self.uid)


class _Grant:
    """A type of an owner, as its holds have it in common."""

    __slots__ = ("holds", "key", "lost")

    def __init__(self, key: tuple[OwnerKind, int, int]) -> None:
        self.key = key
        self.holds = 0
        self.lost = False


class Hold:
    """A grant for the time of a block: ``with manager.hold(...) as held``, or ``async with``; see `Manager.hold`."""

    def __init__(self, holds: "Holds", terms: Terms) -> None:
        self._holds = holds
        self._terms = terms
        self._state = "new"
        self._grants: dict[int, _Grant] = {}  # by type
        self._lost = 0  # at the end
        self._due = 0
        self._failure: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        terms = self._terms
        return f"<Hold of {ResourceType(terms.mask)!r} for uid {terms.uid} pid {terms.pid}, {self._state}>"

    @property
    def types(self) -> ResourceType:
        """The types that were granted, as far as the policy allows what was asked for. None before the block begins."""
        return ResourceType(sum(self._grants))

    @property
    def lost(self) -> ResourceType:
        """The types that went while the block ran, so that ``if held.lost`` asks whether any did.

        They were released by others, or their owner stopped, died or was reset, or they ran out because no renewal
        came through in time. They do not come back to this hold. After the block: what was lost when it ended.

        Raises
        ------
        ValueError
            The clock has run backwards or out of range.
        """
        return ResourceType(self._holds.lost(self))

    @property
    def failure(self) -> Exception | None:
        """Why the last renewal failed; None when it came through. The next one is tried all the same."""
        return self._failure

    def __enter__(self) -> Self:
        self._holds.enter(self)
        return self

    def __exit__(self, *_error: object) -> None:
        self._holds.leave(self)

    async def __aenter__(self) -> Self:
        import asyncio

        # Without an await, here and at the end: a cancellation cannot come in between.
        self._holds.enter(self, asyncio.get_running_loop())
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._holds.leave(self)

    __reduce_ex__ = refuse_to_pickle

    def _is_live(self) -> bool:
        """Whether there is anything to renew."""
        return self._state == "held" and not all(grant.lost for grant in self._grants.values())

    def __del__(self) -> None:
        if self._state == "held":
            self._holds.leave(self)


class Holds:
    """All holds of one manager.

    A lock keeps one that begins and one that ends apart, hooks of the manager included. Renewals need no lock. They run
    in one thread, which lives while there are holds for it, or on the event loop of a hold. With a `ManualClock` there
    is nothing to sleep on: `Manager.renew_holds` does it.
    """

    def __init__(self, manager: "Manager") -> None:
        self.process = os.getpid()
        self._manager = manager
        self._by_hand = isinstance(manager.clock, _core.ManualClock)
        # Reentrant: a hold may end in a destructor, wherever that happens to run.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._grants: dict[tuple[OwnerKind, int, int], _Grant] = {}
        self._live: weakref.WeakSet[Hold] = weakref.WeakSet()
        # What is to be renewed, the earliest first. Weak: a hold that is dropped without its end is not kept alive.
        self._queue: list[tuple[int, int, weakref.ref[Hold]]] = []
        self._serial = count()
        self._queued = 0  # holds that the queue is there for
        self._thread: threading.Thread | None = None
        _all.add(self)

    # Beginning and ending

    def enter(self, hold: Hold, loop: "asyncio.AbstractEventLoop | None" = None) -> None:
        """Apply for a hold, and see to its renewals: on the loop if there is one."""
        terms = hold._terms
        if os.getpid() != self.process:
            raise _core.business_error(_CLOSED, "A manager does not survive a fork.")
        with self._lock:
            if hold._state != "new":
                raise RuntimeError(f"a hold can be used once; this one is {hold._state}")
            known = {bit: grant for bit, owner in terms.owners() if (grant := self._grants.get((*owner, bit)))}
            self._look(terms, known)
            # Counted before the call, so that nobody releases in between what it will find held.
            for bit, owner in terms.owners():
                grant = hold._grants[bit] = self._grants.setdefault((*owner, bit), _Grant((*owner, bit)))
                grant.holds += 1
            granted = 0
            try:
                granted = self._apply(terms)
                self._drop(hold, [bit for bit in hold._grants if not granted & bit])
                hold._state = "held"
                self._live.add(hold)
                self._schedule(hold, loop)
            except BaseException:
                hold._state = "ended"
                self._live.discard(hold)
                self._release(terms, self._drop(hold, list(hold._grants)) & granted)
                raise

    def leave(self, hold: Hold) -> None:
        """Release what no other hold is still there for. Never raises: the grant runs out if it cannot be released."""
        if os.getpid() != self.process:
            return  # in the child of a fork the hold is the parent's
        idle = None
        with self._lock:
            if hold._state != "held":
                return
            hold._state = "ended"
            self._live.discard(hold)
            with contextlib.suppress(Exception):  # if the clock fails, the release will tell
                self._look(hold._terms, hold._grants)
            hold._lost = sum(bit for bit, grant in hold._grants.items() if grant.lost)
            freed = 0
            for bit, grant in hold._grants.items():
                if not grant.lost and self._uncount(grant):
                    freed |= bit
            if hold._timer is None:
                idle = self._unqueue()
            self._release(hold._terms, freed)
        if idle is not None and idle is not threading.current_thread():
            idle.join(_JOIN_SECONDS)

    def lost(self, hold: Hold) -> int:
        """Return the types of a hold that have gone."""
        if hold._state != "held":
            return hold._lost
        if os.getpid() != self.process:
            return sum(hold._grants)
        with self._lock:
            if hold._state == "held":
                self._look(hold._terms, hold._grants)
                return sum(bit for bit, grant in hold._grants.items() if grant.lost)
            return hold._lost

    def end_all(self) -> None:
        """End every hold: the interpreter exits."""
        if os.getpid() == self.process:
            for hold in list(self._live):
                self.leave(hold)

    def _apply(self, terms: Terms) -> int:
        return self._manager.apply(
            terms.uid,
            terms.pid,
            terms.mask,
            terms.ttl_ms,
            process=terms.process,
            reason=terms.reason,
            cpu_level=terms.cpu_level,
            caller=terms.caller,
        )

    def _release(self, terms: Terms, mask: int) -> None:
        if not mask:
            return
        try:
            self._manager.release(terms.uid, terms.pid, mask, process=terms.process, caller=terms.caller)
        except Exception as error:
            if not _is_closed(error):  # else nothing is held any more
                _logger.warning("%r could not be released, and runs out", ResourceType(mask), exc_info=True)

    def _look(self, terms: Terms, grants: dict[int, _Grant]) -> None:
        """Mark those of the grants that have gone."""
        if not grants:
            return
        held = self._held(terms)
        for bit, grant in grants.items():
            if not held & bit and not grant.lost:
                grant.lost = True
                if self._grants.get(grant.key) is grant:
                    del self._grants[grant.key]

    def _held(self, terms: Terms) -> int:
        """Return which types the owners hold now: none when the manager is closed."""
        try:
            if not (terms.process and terms.mask & ResourceType.CPU):
                return self._manager.app_mask(terms.uid)
            of_app = self._manager.app_mask(terms.uid) & ~ResourceType.CPU
            record = self._manager.find_process(terms.pid)
        except _core.ServiceOperationError:
            return 0
        return of_app | (record.mask if record is not None and record.uid == terms.uid else 0)

    def _uncount(self, grant: _Grant) -> bool:
        """Take a hold off a grant, and return whether it was the last one."""
        grant.holds -= 1
        if grant.holds == 0 and self._grants.get(grant.key) is grant:
            del self._grants[grant.key]
        return grant.holds == 0

    def _drop(self, hold: Hold, bits: list[int]) -> int:
        """Take grants off a hold that begins, and return those that nobody else has."""
        return sum(bit for bit in bits if self._uncount(hold._grants.pop(bit)))

    # Renewing

    def renew_due(self) -> int | None:
        """Renew every hold whose time has come, and return the instant (ms) of the next; None without holds."""
        while True:
            with self._lock:
                hold = self._next()
                if hold is None or hold._due > self._manager.clock.now():
                    return None if hold is None else hold._due
                heapq.heappop(self._queue)
                self._put(hold)
            self._renew(hold)

    def renew_on_loop(self, hold: Hold, loop: "asyncio.AbstractEventLoop") -> None:
        """Renew a hold, and let the loop call again while it has anything."""
        if os.getpid() == self.process and hold._is_live():
            self._call_later(hold, loop)
            self._renew(hold)

    def _renew(self, hold: Hold) -> None:
        """Renew what a hold still has."""
        terms = hold._terms
        mask = sum(bit for bit, grant in hold._grants.items() if not grant.lost)
        if hold._state != "held" or not mask:
            return
        renewed = 0
        try:
            renewed = self._manager.renew(
                terms.uid,
                terms.pid,
                mask,
                terms.ttl_ms,
                process=terms.process,
                reason=terms.reason,
                cpu_level=terms.cpu_level,
                caller=terms.caller,
            )
            hold._failure = None
        except Exception as error:
            hold._failure = error
            if not _is_closed(error):
                _logger.warning("%r could not be renewed", hold, exc_info=True)
        if renewed != mask:
            self.lost(hold)

    def _call_later(self, hold: Hold, loop: "asyncio.AbstractEventLoop") -> None:
        hold._timer = loop.call_later(_interval(hold) / 1000, _renew_on_loop, weakref.ref(hold), loop)

    def _schedule(self, hold: Hold, loop: "asyncio.AbstractEventLoop | None") -> None:
        if loop is not None and not self._by_hand:
            self._call_later(hold, loop)
            return
        self._put(hold)
        if self._thread is None and not self._by_hand:
            thread = threading.Thread(target=self._run, name="grantwheel-holds", daemon=True)
            thread.start()
            self._thread = thread
        self._queued += 1

    def _put(self, hold: Hold) -> None:
        hold._due = self._manager.clock.now() + _interval(hold)
        heapq.heappush(self._queue, (hold._due, next(self._serial), weakref.ref(hold)))
        if self._queue[0][2]() is hold:
            self._changed.notify_all()

    def _unqueue(self) -> threading.Thread | None:
        """Count a hold off that has ended, and return the thread if it is of no use any more."""
        self._queued -= 1
        if len(self._queue) > 2 * self._queued:  # mostly of holds that have ended
            self._queue = [entry for entry in self._queue if (hold := entry[2]()) is not None and hold._is_live()]
            heapq.heapify(self._queue)
        if self._queued:
            return None
        thread, self._thread = self._thread, None
        self._changed.notify_all()
        return thread

    def _next(self) -> Hold | None:
        """Return the next hold of the queue that still is one."""
        while self._queue:
            hold = self._queue[0][2]()
            if hold is not None and hold._is_live():
                return hold
            heapq.heappop(self._queue)
        return None

    def _run(self) -> None:
        while True:
            try:
                if not self._sleep():
                    return
                self.renew_due()
            except Exception:
                _logger.exception("the clock of a manager failed; its holds are renewed when it works again")
                with self._lock:
                    self._changed.wait(_RETRY_SECONDS)

    def _sleep(self) -> bool:
        """Sleep until a hold is due. Return False when the thread is of no use any more."""
        with self._lock:
            while self._thread is threading.current_thread():
                hold = self._next()
                seconds = None if hold is None else (hold._due - self._manager.clock.now()) / 1000
                if seconds is not None and seconds <= 0:
                    return True
                del hold  # it may be dropped meanwhile
                self._changed.wait(seconds)
            return False


def _interval(hold: Hold) -> int:
    return max(hold._terms.ttl_ms // _PARTS, 1)


def _is_closed(error: Exception) -> bool:
    return isinstance(error, _core.ServiceOperationError) and error.detail == _CLOSED


def _renew_on_loop(held: weakref.ref[Hold], loop: "asyncio.AbstractEventLoop") -> None:
    """Renew a hold that is still there. What the loop keeps must not keep the hold."""
    hold = held()
    if hold is not None:
        hold._holds.renew_on_loop(hold, loop)


_all: weakref.WeakSet[Holds] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for holds in list(_all):
        holds.end_all()
