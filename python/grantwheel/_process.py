"""What a process has once: its end, its forks, and no copies of what lives in it.

Private. The live layer (subscriptions, runners, holds, watches) takes its rules for these from here.
"""

import atexit
import os
import time
import weakref
from typing import NoReturn, Protocol

from grantwheel import _core
from grantwheel._text import shown

_NOT_CONNECTED = 980000402
_EXIT_S = 5.0  # so long an exiting interpreter waits, for everything together

_forks = 0  # how many lie between this process and the one that imported the package


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class OfOneProcess:
    """Something that stays with the process that made it, and is not copied or sent to another one."""

    _home = -1  # nobody's, until it has been made

    def __init__(self) -> None:
        self._home = _forks

    @property
    def _is_here(self) -> bool:
        return self._home == _forks

    def _require_here(self) -> None:
        if not self._is_here:
            raise _core.business_error(
                _NOT_CONNECTED, "A manager does not survive a fork: the child makes one of its own."
            )

    def __reduce_ex__(self, _protocol: object, /) -> NoReturn:
        refuse_to_pickle(self)


def refuse_to_pickle(self: object, _protocol: object = None, /) -> NoReturn:
    """Raise TypeError: for ``__reduce_ex__`` of what cannot be copied nor sent to another process."""
    raise TypeError(f"cannot pickle or copy a {type(self).__name__}: it lives in this process and is one of a kind")


class EndsAtExit(Protocol):
    """What has to end before the interpreter does."""

    @property
    def _is_here(self) -> bool: ...

    def _end_at_exit(self, give_up: float) -> bool:
        """End, and wait until the instant of ``time.monotonic()`` at most. Returns whether it has ended."""
        ...


_ends: "weakref.WeakSet[EndsAtExit]" = weakref.WeakSet()


def end_at_exit(one: EndsAtExit) -> None:
    """Let something be ended at the exit of the interpreter, if it is still there then."""
    _ends.add(one)


@atexit.register
def _end_all() -> None:
    """End what still runs, while threads can still end. By now all threads that are no daemons have."""
    give_up = time.monotonic() + _EXIT_S
    for one in list(_ends):
        if one._is_here and not one._end_at_exit(give_up):
            import logging  # which takes longer to import than all else here, and whatever runs has it

            words = "%s has not ended within %g s; the interpreter exits all the same"
            logging.getLogger("grantwheel").warning(words, shown(one), _EXIT_S)
