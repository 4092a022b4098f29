"""When tasks are driven: by the thread of their manager, once something is due."""

import logging
import weakref
from collections.abc import Callable
from typing import Any, Final

from grantwheel import _core
from grantwheel._telling import tell
from grantwheel.run.loop import Loop, TryAgain

# So long a sleep lasts at most: a clock may go on without the timers of the kernel hearing of it.
_STEP_MS: Final = 1000


def _nobody() -> None:
    """Stand for what has gone."""


class Deadline:
    """The next instant at which something is due, as a source of the loop. It does not keep alive what it drives.

    Parameters
    ----------
    driven : object
        What has something due now and then.
    drive : callable
        Called with it then. No method of it, which would keep it alive.
    loop : Loop
        Whose thread that is done in.
    """

    def __init__(self, driven: object, drive: Callable[[Any], object], loop: Loop) -> None:
        self._loop = loop
        self._drive = drive
        self._timer = _core.Timer()
        self._driven: Callable[[], object | None] = weakref.ref(driven, self._forget)
        self._is_told = False

    def __repr__(self) -> str:
        return "what is due of tasks"

    def fileno(self) -> int:
        """Return the timer's descriptor."""
        return self._timer.fileno()

    def set(self, left_ms: int | None) -> None:
        """Drive after so long, or a little earlier; None: not before this is called again.

        Nobody is told when there can be no thread: it is logged, and `Tasks.advance` does it by hand.
        """
        if left_ms is None:
            self._timer.set(None)
            self._loop.remove(self)
            return
        self._timer.set(min(max(left_ms, 0), _STEP_MS))
        try:
            self._loop.add(self)
        except (OSError, RuntimeError) as error:
            tell(logging.ERROR, "the tasks of a manager are not driven by themselves", error=error)

    def ready(self) -> None:
        """Drive, and see to it that it is tried again in a second if that fails."""
        self._timer.clear()
        driven = self._driven()
        if driven is None:
            self._loop.remove(self)
            return
        try:
            self._drive(driven)
        except _core.BusinessError as error:
            self._timer.set(_STEP_MS)
            if isinstance(error, _core.ServiceOperationError):  # closed
                self._loop.remove(self)
                return
            if self._is_told:
                raise TryAgain from None
            self._is_told = True
            raise
        except BaseException:
            self._timer.set(_STEP_MS)
            raise
        self._is_told = False

    def failed(self, error: BaseException) -> None:
        """Hear from the loop that it has ended."""
        tell(logging.ERROR, "the tasks of a manager are not driven by themselves any more", error=error)

    def _forget(self, _driven: object) -> None:
        self._driven = _nobody  # the reference leads back here, and would keep the timer until the next collection
        self._loop.remove(self)
