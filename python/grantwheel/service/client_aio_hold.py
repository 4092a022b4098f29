"""Holding through the service on an event loop: ``async with client.hold(...)``, renewed by a task."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Protocol, Self

from grantwheel import BusinessError
from grantwheel.service.client_hold import HoldState, held_by_others
from grantwheel.service.client_link import Backoff, is_absence

_log = logging.getLogger("grantwheel")


class Line(Protocol):
    """A connection, as far as holds look at it."""

    ended: "asyncio.Future[None]"


class Holding(Protocol):
    """What holds use of their client."""

    _line: Any
    _holds: "list[AsyncHold]"

    async def apply(
        self, uid: int, pid: int, mask: int, timeout_ms: int, /, *, process: bool, reason: str, cpu_level: int
    ) -> int:
        """Apply for types."""
        ...

    async def renew(
        self, uid: int, pid: int, mask: int, timeout_ms: int, /, *, process: bool, reason: str, cpu_level: int
    ) -> int:
        """Apply for those that are held."""
        ...

    async def release(self, uid: int, pid: int, mask: int, /, *, process: bool) -> int:
        """Release types."""
        ...


class AsyncHold(HoldState):
    """A grant for the time of a block: ``async with client.hold(...) as held``; see `grantwheel.Manager.hold`."""

    def __init__(self, client: Holding, *asked: Any) -> None:
        super().__init__(*asked)
        self._client = client
        self._line: Line | None = None  # the connection that last confirmed it
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._begin()
        self._types = await self._ask(self._client.apply, self._mask)
        self._state = "held"
        self._client._holds.append(self)
        self._task = asyncio.ensure_future(self._look_after())
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._is_here or self._state != "held":
            return
        self._state = "ended"
        self._client._holds.remove(self)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([self._task])
        if mask := self._left() & ~held_by_others(self, self._client._holds):
            uid, pid, process = self._owner
            try:
                await self._client.release(uid, pid, mask, process=process)
            except BusinessError:
                _log.warning("%r could not be released: it runs out", self, exc_info=True)

    async def _ask(self, call: Callable[..., Any], mask: int) -> int:
        """Apply or renew, and return what of it is held."""
        uid, pid, process = self._owner
        in_effect: int = await call(
            uid, pid, mask, self._timeout_ms, process=process, reason=self._reason, cpu_level=self._cpu_level
        )
        self._line = self._client._line
        return in_effect & mask

    async def _look_after(self) -> None:
        """Renew each time that a part of the time has passed, and apply again when the connection has ended."""
        backoff = Backoff()
        pause_s: float | None = None
        while self._left():
            if pause_s is not None:
                await asyncio.sleep(pause_s)
            elif self._line is not None:
                await asyncio.wait([self._line.ended], timeout=self._interval_s)
            pause_s = backoff.next_s() if await self._renew() else None
            if pause_s is None:
                backoff.reset()

    async def _renew(self) -> bool:
        """Renew what it has, or apply for it over a new connection. Returns whether the service was not there."""
        left, lost, line = self._left(), self._lost, self._line
        try:
            is_cut = line is None or line.ended.done() or line is not self._client._line
            got = await self._ask(self._client.apply if is_cut else self._client.renew, left)
            if not is_cut and self._line is not line:  # it was made anew by this very call
                got = await self._ask(self._client.apply, left)
        except BusinessError as error:
            self._note(error, lost)
            return is_absence(error)
        self._note(None, lost | (left & ~got))
        return False
