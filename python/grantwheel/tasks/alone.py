"""How the tasks of a manager are changed: by one at a time, who does not wait for himself."""

import threading
from collections.abc import Callable
from typing import TypeVar

from grantwheel.manager import Manager

_Answer = TypeVar("_Answer")


class Alone:
    """Lets one at a time work, at the instant that it is, and nobody from within a work that goes on.

    Parameters
    ----------
    manager : Manager
        Whose clock and log count.
    waits : bool
        Whether that log is waited for in every change.
    """

    def __init__(self, manager: Manager, *, waits: bool) -> None:
        self.lock = threading.RLock()
        self._manager = manager
        self._waits = waits
        self._is_busy = False

    def require(self) -> None:
        """Raise RuntimeError from within a work, and for whom the log calls: who has the lock may be waiting for it.

        It waits for nobody else's append. Where the log has no thread, and nobody appends to it now, what others have
        staged is committed here.
        """
        # What is left of a work that was interrupted while it ended counts for nothing: it does not own the lock.
        if self._is_busy and self.lock._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks it
            raise RuntimeError("tasks were called from within a call of theirs: by their store, or a signal handler")
        if self._waits:
            self._manager.flush(0)  # which tells that

    def do(self, work: Callable[[int], _Answer]) -> _Answer:
        """Do some work, which is called with the instant that it is.

        Raises
        ------
        BusinessError
            9800004: the manager is closed.
        RuntimeError
            As `require`.
        """
        self.require()
        depth = self._depth
        try:
            # No context manager of our own: who is interrupted on the way into its block would keep the lock.
            with self.lock:
                try:
                    self._is_busy = True
                    _ = self._manager.last_sequence  # refused when it is closed
                    return work(self._manager.clock.now())
                finally:
                    self._is_busy = False
        except BaseException:
            self._back_to(depth)
            raise

    def safely(self, work: Callable[[], _Answer]) -> _Answer:
        """Do something that takes the lock, and keep it no longer than that, whatever comes up."""
        depth = self._depth
        try:
            return work()
        except BaseException:
            self._back_to(depth)
            raise

    @property
    def _depth(self) -> int:
        """How often this thread has the lock; always 0 where CPython does not tell, before 3.11.6 and in 3.12.0."""
        tell: Callable[[], int] = getattr(self.lock, "_recursion_count", int)
        return tell()

    def _back_to(self, depth: int) -> None:
        """Let go of the lock if this thread has it more often than before.

        From CPython 3.14 on a signal handler may raise when it has been taken, and its block has not begun.
        """
        if self._depth > depth:
            self.lock.release()
