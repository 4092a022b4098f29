"""Holding through the service: grants for the time of a block, renewed meanwhile, applied for again when need be."""

import functools
import inspect
import logging
import operator
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from grantwheel import BusinessError
from grantwheel._callback import refuse_coroutine, require_plain
from grantwheel._process import OfOneProcess, end_at_exit
from grantwheel._times import to_ms
from grantwheel.service.client_link import Backoff, Link, is_absence
from grantwheel.types import ResourceType

_log = logging.getLogger("grantwheel")
_PARTS = 3  # a hold is renewed when this part of its time has passed: there is time for a second attempt
_HUNG_UP = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL
_JOIN_S = 1.0

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Owner = tuple[int, int, bool]


class Holding(Protocol):
    """What holds use of their client."""

    _link: Link
    _lock: threading.RLock
    _is_busy: bool

    def apply(
        self, uid: int, pid: int, mask: int, timeout_ms: int, /, *, process: bool, reason: str, cpu_level: int
    ) -> int:
        """Apply for types."""
        ...

    def renew(
        self, uid: int, pid: int, mask: int, timeout_ms: int, /, *, process: bool, reason: str, cpu_level: int
    ) -> int:
        """Apply for those that are held."""
        ...

    def release(self, uid: int, pid: int, mask: int, /, *, process: bool) -> int:
        """Release types."""
        ...


class HoldState(OfOneProcess):
    """What a hold asks for, and what became of it: the same on threads and on event loops."""

    def __init__(
        self,
        owner: _Owner,
        mask: int,
        timeout_ms: int,
        reason: str,
        cpu_level: int,
        on_lost: Callable[[Any], object] | None,
    ) -> None:
        super().__init__()
        self._owner = owner
        self._mask = mask
        self._timeout_ms = timeout_ms
        self._reason = reason
        self._cpu_level = cpu_level
        self._on_lost = on_lost
        self._interval_s = max(timeout_ms // _PARTS, 1) / 1000
        self._state = "new"
        self._types = 0
        self._lost = 0
        self._failure: Exception | None = None

    def __repr__(self) -> str:
        uid, pid, _ = self._owner
        return f"<{type(self).__name__} of {ResourceType(self._mask)!r} for uid {uid} pid {pid}, {self._state}>"

    @property
    def types(self) -> ResourceType:
        """The types that were granted. None before the block begins."""
        self._require_here()
        return ResourceType(self._types)

    @property
    def lost(self) -> ResourceType:
        """The types that went while the block ran, as far as renewals have found."""
        self._require_here()
        return ResourceType(self._lost)

    @property
    def failure(self) -> Exception | None:
        """Why the last renewal failed; None when it came through. The next one is tried all the same."""
        self._require_here()
        return self._failure

    def _begin(self) -> None:
        self._require_here()
        if self._state != "new":
            raise RuntimeError("a hold is for one block: make another one")

    def _left(self) -> int:
        """Return the types that it has still, as far as it knows."""
        return self._types & ~self._lost

    def _note(self, failure: Exception | None, lost: int) -> None:
        if self._state != "held":
            return  # it has ended meanwhile, and nobody wants to hear of it any more
        has_news = bool(lost & ~self._lost) or (failure is not None and self._failure is None)
        self._failure, self._lost = failure, lost
        if has_news and self._on_lost is not None:
            try:
                refuse_coroutine(self._on_lost(self), "on_lost")
            except Exception:  # noqa: BLE001 - the other holds have to be renewed
                _log.exception("on_lost of %r raised", self)


def held_by_others(hold: HoldState, holds: Iterable[HoldState]) -> int:
    """Return the types that other holds of the same owner have."""
    types = 0
    for other in holds:
        if other is not hold and other._owner == hold._owner:
            types |= other._left()
    return types


class ClientHold(HoldState):
    """A grant for the time of a block: ``with client.hold(...) as held``; see `grantwheel.Manager.hold`."""

    def __init__(self, holds: "ClientHolds", *asked: Any) -> None:
        super().__init__(*asked)
        self._holds = holds
        self._asked = asked
        self._due = 0.0
        self._generation = 0  # of the connection that last confirmed it

    def __enter__(self) -> Self:
        self._begin()
        self._types = self._apply()
        self._state = "held"
        self._holds.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_here and self._state == "held":
            self._state = "ended"
            self._holds.leave(self)

    def __call__(self, function: Callable[_Arguments, _Result], /) -> Callable[_Arguments, _Result]:
        """Hold for the time of each call of a plain function."""
        require_plain(function, "what a hold decorates", "Hold inside it.")

        @functools.wraps(function)
        def held(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
            again = ClientHold(self._holds, *self._asked)
            with again:
                result = function(*args, **kwargs)
                if inspect.iscoroutine(result):
                    refuse_coroutine(result, "what a hold decorates")
                return result

        return held

    def _apply(self, mask: int | None = None) -> int:
        """Apply, and return what of it is held."""
        client = self._holds.client()
        uid, pid, process = self._owner
        wanted = self._mask if mask is None else mask
        in_effect = client.apply(
            uid, pid, wanted, self._timeout_ms, process=process, reason=self._reason, cpu_level=self._cpu_level
        )
        self._generation = client._link.generation
        self._due = time.monotonic() + self._interval_s
        return in_effect & wanted

    def _release(self, mask: int) -> None:
        uid, pid, process = self._owner
        try:
            self._holds.client().release(uid, pid, mask, process=process)
        except BusinessError:
            _log.warning("%r could not be released: it runs out", self, exc_info=True)

    def _renew(self) -> bool:
        """Renew what it has still, or apply for it over a new connection. Returns whether the service was there."""
        client = self._holds.client()
        left = self._left()
        failure: BusinessError | None = None
        lost = self._lost
        try:
            if self._generation != client._link.generation or client._link.fileno() < 0:
                got = self._apply(left)
            else:
                uid, pid, process = self._owner
                got = client.renew(
                    uid, pid, left, self._timeout_ms, process=process, reason=self._reason, cpu_level=self._cpu_level
                )
                if self._generation != client._link.generation:  # it was made anew by this very call
                    got = self._apply(left)
                self._due = time.monotonic() + self._interval_s
            lost |= left & ~got
        except BusinessError as error:
            failure = error
            self._due = time.monotonic() + self._interval_s
        self._note(failure, lost)
        return failure is None or not is_absence(failure)


class ClientHolds(OfOneProcess):
    """The holds of a client, and the thread that renews them: it is there while there are holds."""

    def __init__(self, client: Holding) -> None:
        super().__init__()
        self._client = weakref.ref(client)
        self._held: list[ClientHold] = []
        self._changing = threading.RLock()
        self._thread: threading.Thread | None = None
        self._bell = -1
        end_at_exit(self)

    def __repr__(self) -> str:
        return f"<the holds of a client, {len(self._held)} left>"

    def client(self) -> Holding:
        """Return the client."""
        client = self._client()
        if client is None:
            raise RuntimeError("the client of this hold is gone: keep it while you hold")
        return client

    def make(
        self,
        mask: int,
        *,
        uid: int,
        pid: int,
        reason: str,
        timeout_ms: int | timedelta,
        process: bool,
        cpu_level: int,
        on_lost: Callable[[ClientHold], object] | None,
    ) -> ClientHold:
        """Make a hold; see ``Client.hold``."""
        timeout = to_ms(timeout_ms, "timeout_ms")
        if on_lost is not None:
            require_plain(on_lost, "on_lost", "It may create a task that awaits")
        return ClientHold(self, (uid, pid, process), operator.index(mask), timeout, reason, cpu_level, on_lost)

    def add(self, hold: ClientHold) -> None:
        """Renew a hold from now on."""
        with self._changing:
            self._held.append(hold)
            if self._thread is None:
                self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                self.client()._link.on_connect = self.ring
                self._thread = threading.Thread(
                    target=self._run, args=(self._bell,), name="grantwheel holds of a client", daemon=True
                )
                self._thread.start()
        self.ring()

    def leave(self, hold: ClientHold) -> None:
        """Renew a hold no more, and release what no other one of its owner holds."""
        with self._changing:
            self._held.remove(hold)
            others = held_by_others(hold, self._held)
        if mask := hold._left() & ~others:
            hold._release(mask)
        if not self._held:
            self.ring()

    def ring(self) -> None:
        """Let the thread look again."""
        with self._changing:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """End all holds."""
        for hold in list(self._held):
            hold.__exit__()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _end_at_exit(self, give_up: float) -> bool:
        self.close()
        return time.monotonic() < give_up

    def _run(self, bell: int) -> None:
        """Renew what is due, and all that a new connection has to be told of."""
        backoff = Backoff()
        while self._goes_on(bell):
            is_there = True
            for hold in list(self._held):
                is_there = self._look_after(hold) and is_there
            if is_there:
                backoff.reset()
            self._sleep(bell, None if is_there else backoff.next_s())

    def _goes_on(self, bell: int) -> bool:
        with self._changing:
            if self._held and self._client() is not None:
                return True
            self._thread, self._bell = None, -1
            os.close(bell)
            return False

    def _look_after(self, hold: ClientHold) -> bool:
        client = self._client()
        if client is None or hold._state != "held":
            return True
        is_cut = client._link.fileno() < 0 or hold._generation != client._link.generation
        if not is_cut and time.monotonic() < hold._due and hold._failure is None:
            return True
        if not hold._left():
            hold._due = time.monotonic() + hold._interval_s
            return True
        try:
            return hold._renew()
        except Exception:  # noqa: BLE001 - the other holds have to be renewed
            _log.exception("%r could not be renewed", hold)
            return False

    def _sleep(self, bell: int, pause_s: float | None) -> None:
        """Sleep until a hold is due, the connection ends, somebody rings, or a pause has passed."""
        client = self._client()
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        link = -1 if client is None else client._link.fileno()
        if link >= 0:
            poll.register(link, _HUNG_UP)
        del client
        now = time.monotonic()
        due = min((hold._due for hold in list(self._held)), default=now)
        span_s = max(due - now, 0.0) if pause_s is None else pause_s
        heard = dict(poll.poll(int(span_s * 1000) + 1))
        if bell in heard:
            os.eventfd_read(bell)
        if link in heard:
            self._hang_up(link)

    def _hang_up(self, descriptor: int) -> None:
        """Drop a connection that has ended, so that the next look makes a new one."""
        client = self._client()
        if client is not None:
            with client._lock:
                if client._link.fileno() == descriptor and not client._is_busy:
                    client._link.close()
