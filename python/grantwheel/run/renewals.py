"""When holds are renewed: on the thread of their manager, on an event loop, or by hand.

The schedule refers to holds weakly, and each of its calls is one step for everybody. So nothing here waits for a lock:
a signal handler, a finaliser and another thread may come in between any two instructions.
"""

import contextlib
import logging
import weakref
from typing import TYPE_CHECKING, Protocol

from grantwheel import _core
from grantwheel.run.loop import Loop
from grantwheel.types import Clock

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("grantwheel")
# So long a sleep lasts at most: a clock may go on without the timers of the kernel hearing of it, as that of a guest
# does that is resumed, or one that is written in Python.
_STEP_MS = 1000
_NEVER = 2**63
# So long the end of the last hold waits for the thread to end. That ends at once, unless a hook is slow.
_SETTLE_S = 1.0


class Renewable(Protocol):
    """What is renewed again and again."""

    @property
    def _interval_ms(self) -> int: ...

    def _renew(self) -> bool:
        """Renew, and return whether there is anything to be renewed again."""
        ...

    def _fail(self, error: Exception) -> None:
        """Hear that nobody renews any more, and why."""
        ...

    def _end(self) -> None: ...


class Renewals:
    """Renewals by hand: for a clock that nobody can sleep on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._schedule = _core.Schedule()

    def add(self, hold: Renewable) -> int:
        """Renew a hold from now on, and return when the first time is due (ms of the clock)."""
        due: int = self._clock.now() + hold._interval_ms
        self._schedule.add(hold, due, hold._interval_ms)
        return due

    def discard(self, hold: Renewable) -> None:
        """Renew a hold no more. It is fine if it was not there."""
        self._schedule.discard(hold)

    def leave(self, hold: Renewable) -> None:
        """Do the same, and wait a moment for what is there for holds only to end, if there are none any more."""
        self.discard(hold)

    def all(self) -> list[Renewable]:
        """Return the holds."""
        return self._schedule.all()

    def run_due(self) -> int | None:
        """Renew each hold whose time has come, once, and return when the next one is due (ms of the clock)."""
        now = self._clock.now()
        while (hold := self._schedule.take(now)) is not None:
            if not hold._renew():
                self.discard(hold)
        return self._schedule.next()


class _Sleeping(Renewals):
    """Renewals by whoever waits for a descriptor of theirs."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._wakes_at = _NEVER  # the timer goes off by then

    @property
    def _timer(self) -> _core.Timer:
        return self._schedule.timer()

    def fileno(self) -> int:
        return self._timer.fileno()

    def add(self, hold: Renewable) -> int:
        due = super().add(hold)
        self._have_it_waited_for()
        if due < self._wakes_at:
            self._timer.set(0)
        return due

    def discard(self, hold: Renewable) -> None:
        super().discard(hold)
        self._adapt()

    def ready(self) -> None:
        """Renew what is due, and sleep on: what whoever waits for the descriptor calls."""
        try:
            self._timer.clear()
            while not self._is_asleep(self.run_due()):
                pass
        except BaseException:
            self._timer.set(_STEP_MS)  # the clock may work again then
            raise

    def _is_asleep(self, due: int | None) -> bool:
        """Sleep until a hold is due, and return whether no earlier one has come in meanwhile."""
        if due is None:
            self._wakes_at = _NEVER
            self._timer.set(None)
            self._adapt()
        else:
            now = self._clock.now()
            self._wakes_at = min(due, now + _STEP_MS)
            self._timer.set(max(self._wakes_at - now, 0))
        following = self._schedule.next()
        return following is None or following >= self._wakes_at

    def _adapt(self, wait_s: float = 0.0) -> None:
        """Be waited for exactly while there are holds: others may come and go meanwhile."""
        if not len(self._schedule):
            self._let_go(wait_s)
        if len(self._schedule) and not self._is_waited_for():
            try:
                self._have_it_waited_for()
                self._timer.set(0)
            except (OSError, RuntimeError):
                _log.exception("holds are not renewed any more")

    def _is_waited_for(self) -> bool:
        raise NotImplementedError

    def _have_it_waited_for(self) -> None:
        """See to it that somebody waits for the descriptor. It is fine if somebody does."""
        raise NotImplementedError

    def _let_go(self, wait_s: float) -> None:
        """See to it that nobody waits for the descriptor, and wait so long for who did."""
        raise NotImplementedError


class ThreadRenewals(_Sleeping):
    """Renewals on the thread of a manager, which is there while there are holds."""

    def __init__(self, clock: Clock, loop: Loop) -> None:
        super().__init__(clock)
        self._loop = loop

    def __repr__(self) -> str:
        return f"the renewals of {len(self._schedule)} holds"

    def failed(self, error: BaseException) -> None:
        """Hear from the loop that it has ended, and tell the holds."""
        failure = RuntimeError("nobody renews any more: the thread of the manager has failed")
        failure.__cause__ = error
        for hold in self.all():
            hold._fail(failure)

    def _is_waited_for(self) -> bool:
        return self._loop.has(self)

    def _have_it_waited_for(self) -> None:
        self._loop.add(self)

    def _let_go(self, wait_s: float) -> None:
        self._loop.remove(self, wait_s=wait_s)

    def leave(self, hold: Renewable) -> None:
        """Renew a hold no more, and wait a moment for the thread to end, if it is there for nothing else."""
        self._schedule.discard(hold)
        self._adapt(_SETTLE_S)


class LoopRenewals(_Sleeping):
    """Renewals on an event loop of asyncio, which is not kept alive."""

    def __init__(self, clock: Clock, loop: "asyncio.AbstractEventLoop") -> None:
        super().__init__(clock)
        self._loop = weakref.ref(loop)
        self._has_reader = False

    def _is_waited_for(self) -> bool:
        return self._has_reader

    def _have_it_waited_for(self) -> None:
        loop = self._loop()
        if loop is not None:
            self._has_reader = True
            loop.add_reader(self.fileno(), self.ready)

    def _let_go(self, _wait_s: float) -> None:
        loop = self._loop()
        if loop is None or loop.is_closed():
            return
        if _is_on(loop):
            loop.remove_reader(self.fileno())
            self._has_reader = False
        else:
            self._timer.set(0)  # loops are for their own threads: it will find out there


def _is_on(loop: "asyncio.AbstractEventLoop") -> bool:
    """Whether this code runs on the loop."""
    import asyncio

    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop() is loop
    return False
