"""Holding: a grant that lasts as long as a block of code, renewed while it runs and released at its end.

Holds of one owner and type share one grant, as the engine keeps one: they are counted, and the last one out releases
it. What has gone is not granted again: a renewal extends what is held, and leaves alone what is not. All of this is
decided in `_core.Lease`, under the manager's own lock. Here is what lives around it: blocks, renewals, the exit.
"""

import contextlib
import functools
import inspect
import logging
import operator
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

from . import _core
from ._callback import refuse_coroutine, require_plain
from ._process import OfOneProcess, end_at_exit
from ._times import to_ms
from ._waiting import wait_until
from .caller import Caller
from .run.loop import Loop
from .run.renewals import LoopRenewals, Renewable, Renewals, ThreadRenewals
from .types import ResourceType

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("grantwheel")

# A hold is renewed when this part of its time has passed: there is time for a second attempt.
_PARTS = 3
_CLOSED = 980000402  # the inner code of a closed manager


OnLost = Callable[["Hold"], object]
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class _Asked(NamedTuple):
    """What a lease is made of."""

    manager: _core.Manager
    uid: int
    pid: int
    mask: int
    timeout_ms: int
    process: bool
    reason: str
    cpu_level: int
    caller: Caller | None


class Hold(_core.AsyncBlock, OfOneProcess):
    """A grant for the time of a block: ``with manager.hold(...) as held``, or ``async with``; see `Manager.hold`."""

    def __init__(self, holds: "Holds", asked: "_Asked", on_lost: "OnLost | None") -> None:
        super().__init__()
        self._holds = holds
        self._asked = asked
        self._lease = _core.Lease(*asked)  # which releases when it goes, and no interrupt can keep it from that
        self._renewals: Renewals | None = None  # where it is renewed, once it has begun; they forget it when it goes
        self._interval_ms = max(asked.timeout_ms // _PARTS, 1)
        self._about = f"{ResourceType(operator.index(asked.mask))!r} for uid {asked.uid} pid {asked.pid}"
        self._on_lost = on_lost
        self._told = 0  # what it has been told to be lost
        self._failure: Exception | None = None

    def __repr__(self) -> str:
        return f"<Hold of {self._about}, {self._lease.state}>"

    @property
    def types(self) -> ResourceType:
        """The types that were granted, as far as the policy allows what was asked for. None before the block begins.

        Raises
        ------
        BusinessError
            9800004: this is the child of a fork, and the hold its parent's; so with all that a hold is asked.
        """
        self._require_here()
        return ResourceType(self._lease.types)

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
        self._require_here()
        return ResourceType(self._lease.lost())

    @property
    def failure(self) -> Exception | None:
        """Why the last renewal failed; None when it came through. The next one is tried all the same."""
        self._require_here()
        return self._failure

    def __call__(self, function: Callable[_Arguments, _Result], /) -> Callable[_Arguments, _Result]:
        """Hold for the time of each call of a function, plain or ``async def``: ``@manager.hold(...)`` before it.

        Each call has a hold of its own, with the uid and pid of the process that has decorated it.

        Raises
        ------
        TypeError
            It is a generator function, whose call only begins it: hold inside it. The same from a call that returns a
            coroutine, though the function is not ``async def``.
        """
        self._require_here()
        again = functools.partial(Hold, self._holds, self._asked, self._on_lost)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def held_async(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Any:
                async with again():
                    return await function(*args, **kwargs)

            return cast("Callable[_Arguments, _Result]", held_async)
        require_plain(function, "what a hold decorates", "Hold inside it.")

        @functools.wraps(function)
        def held(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
            with again():
                result = function(*args, **kwargs)
                refuse_coroutine(result, "what a hold decorates")
                return result

        return held

    def _begin(self) -> None:
        self._require_here()
        self._begin_with(self._holds.plain)

    def _begin_on_loop(self) -> None:
        import asyncio

        self._require_here()
        self._begin_with(self._holds.on_loop(asyncio.get_running_loop()))

    def _begin_with(self, renewals: Renewals) -> None:
        self._lease.begin()
        self._renewals = renewals
        renewals.add(self)

    def _end(self) -> None:
        """Release. It may be called again after it was interrupted anywhere, and then goes on."""
        if self._is_here:
            self._lease.end()
            if self._renewals is not None:
                self._renewals.leave(self)

    def _renew(self) -> bool:
        """Renew what it has still, and tell of what it has not. Returns whether there is anything left."""
        failure = self._try_to_renew()
        lost = self._told
        with contextlib.suppress(Exception):  # if the clock fails, the renewal has told
            lost |= self._lease.lost()
        if self._lease.state != "held":
            return False  # it has ended meanwhile, and nobody wants to hear of it any more
        self._note(failure, lost)
        return bool(self._lease.types & ~lost)

    def _try_to_renew(self) -> Exception | None:
        try:
            self._lease.renew()
        except Exception as error:  # noqa: BLE001 - the next renewal is tried all the same
            if not _is_closed(error):
                _log.warning("%r could not be renewed", self, exc_info=True)
            return error
        except SystemExit as error:  # the hook has no say in when a thread exits
            _log.warning("%r could not be renewed", self, exc_info=True)
            failure = RuntimeError("the quota raised SystemExit")
            failure.__cause__ = error
            return failure
        return None

    def _fail(self, error: Exception) -> None:
        """Hear that nobody renews any more."""
        if self._lease.state == "held":
            self._note(error, self._told)

    def _note(self, failure: Exception | None, lost: int) -> None:
        has_news = bool(lost & ~self._told) or (failure is not None and self._failure is None)
        self._failure = failure
        self._told = lost
        if has_news and self._on_lost is not None:
            try:
                refuse_coroutine(self._on_lost(self), "on_lost")
            except Exception:  # noqa: BLE001 - the other holds have to be renewed
                _log.exception("on_lost of %r raised", self)


class _Exit:
    """The end of holds on the thread of their manager, where a hook that does not return holds up nobody else."""

    def __init__(self, loop: Loop, holds: list[Renewable]) -> None:
        self._loop = loop
        self._holds = holds
        self._bell = _core.Bell()
        self._bell.ring()
        self.is_done = False

    def __repr__(self) -> str:
        return f"the end of {len(self._holds)} holds"

    def fileno(self) -> int:
        return self._bell.fileno()

    def ready(self) -> None:
        for hold in self._holds:
            hold._end()
        self.is_done = True
        self._loop.remove(self)

    def failed(self, error: BaseException) -> None:
        pass  # it is not done then


class Holds(OfOneProcess):
    """The holds of one manager, by where they are renewed."""

    def __init__(self, manager: _core.Manager, loop: Loop) -> None:
        super().__init__()
        clock = manager.clock
        self._clock = clock
        self._loop = loop
        self._is_by_hand = isinstance(clock, _core.ManualClock)
        self.plain = Renewals(clock) if self._is_by_hand else ThreadRenewals(clock, loop)
        self._on_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopRenewals] = weakref.WeakKeyDictionary()
        end_at_exit(self)

    def __repr__(self) -> str:
        return f"<the holds of a manager, {len(self._all())} left>"

    def make(
        self,
        manager: _core.Manager,
        *,
        uid: int,
        pid: int,
        mask: int,
        timeout_ms: int | timedelta,
        process: bool,
        reason: str,
        cpu_level: int,
        caller: Caller | None,
        on_lost: OnLost | None,
    ) -> Hold:
        """Make a hold; see `Manager.hold`."""
        self._require_here()
        timeout = to_ms(timeout_ms, "timeout_ms")
        if on_lost is not None:
            require_plain(on_lost, "on_lost", "It may create a task that awaits")
        return Hold(self, _Asked(manager, uid, pid, mask, timeout, process, reason, cpu_level, caller), on_lost)

    def on_loop(self, loop: "asyncio.AbstractEventLoop") -> Renewals:
        """Return where the holds of an event loop are renewed."""
        if self._is_by_hand:
            return self.plain
        return self._on_loops.get(loop) or self._on_loops.setdefault(loop, LoopRenewals(self._clock, loop))

    def renew_due(self) -> int | None:
        """Renew by hand every hold whose time has come; see `Manager.renew_holds`."""
        self._require_here()
        return self.plain.run_due()

    def _all(self) -> list[Renewable]:
        return [hold for renewals in (self.plain, *self._on_loops.values()) for hold in renewals.all()]

    def _end_at_exit(self, give_up: float) -> bool:
        holds = self._all() if self._is_here else []
        if not holds:
            return True
        end = _Exit(self._loop, holds)
        try:
            self._loop.add(end)
        except (OSError, RuntimeError):  # no thread can be started any more
            end.ready()
        return wait_until(lambda: end.is_done, give_up)


def _is_closed(error: BaseException) -> bool:
    return isinstance(error, _core.ServiceOperationError) and error.detail == _CLOSED
