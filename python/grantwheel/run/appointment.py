"""Something that has its own times and is done on the loop of a manager: when its time comes."""

import logging
from collections.abc import Callable

from grantwheel import _core
from grantwheel.run.loop import Loop
from grantwheel.types import Clock

_log = logging.getLogger("grantwheel")
# So long a sleep lasts at most: a clock may go on without the timers of the kernel hearing of it, as that of a guest
# does that is resumed, or one that is written in Python.
_STEP_MS = 1000


class Appointment:
    """Has a function called on the thread of a manager when its time comes. It is made for no time at all."""

    def __init__(self, clock: Clock, loop: Loop, what: str, keep: Callable[[], object]) -> None:
        self._clock = clock
        self._loop = loop
        self._what = what
        self._keep = keep
        self._timer = _core.Timer()

    def __repr__(self) -> str:
        return self._what

    def begin(self) -> None:
        """Be waited for; see `Loop.add`."""
        self._loop.add(self)

    def end(self, *, wait_s: float = 0.0) -> None:
        """Be waited for no more; see `Loop.remove`."""
        self._loop.remove(self, wait_s=wait_s)

    def set(self, due_ms: int | None) -> None:
        """Have the function called at an instant of the clock, or a second from now if that is sooner; None: never."""
        left = None if due_ms is None else max(min(due_ms - self._clock.now(), _STEP_MS), 0)
        self._timer.set(left)

    def fileno(self) -> int:
        """Return the descriptor of the timer."""
        return self._timer.fileno()

    def ready(self) -> None:
        """Keep it. What it raises is logged by the loop, and it is called again a second later."""
        self._timer.clear()
        try:
            self._keep()
        except BaseException:
            self._timer.set(_STEP_MS)
            raise

    def failed(self, error: BaseException) -> None:
        """Hear that the loop has ended."""
        _log.critical("%s is not driven any more", self._what, exc_info=error)
