"""Watching processes: whose end is told to a manager at once, without looking for it."""

import operator
from typing import TYPE_CHECKING

from .run.watches import Watch, WatchState

if TYPE_CHECKING:
    from .manager import Manager

__all__ = ["Watch", "WatchState", "watch"]

_MAX_PID = 2**31 - 1


def _to_int(value: object, name: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    return operator.index(value)


def watch(manager: "Manager", pid: int, *, start_ticks: int | None = None, stops_app: bool = True) -> Watch:
    """Tell a manager when a process ends.

    That is a call of `grantwheel.Manager.process_died`, and with the last watched process of a uid one of
    `grantwheel.Manager.app_stopped`. It comes about as soon as the process has ended, whether or not the process is a
    child of this one and whether or not anybody waits for it. A process may be watched more than once.

    Parameters
    ----------
    manager : Manager
        Who is told.
    pid : int
        The process. Its uid is the real one that it has now.
    start_ticks : int
        When the process started, as ``/proc/PID/stat`` has it (field 22), for who has known it for longer: then a
        process that has got its pid since is not taken for it. Default: whoever has the pid now.
    stops_app : bool
        Whether this death stops the app when it is that of the last watched process of the uid. False for who watches
        some processes of an app only, and knows better when it has stopped.

    Returns
    -------
    Watch
        Its ``cancel()`` ends it.

    Raises
    ------
    ProcessLookupError
        There is no such process, or it has ended, or it has another start time.
    TypeError
        The pid or the start time is no int.
    ValueError
        The pid is not within 1..2^31-1, or is that of a thread.
    PermissionError
        ``/proc`` does not tell the uid of the process: it is hidden, or ``/proc`` belongs to an outer pid namespace
        that does not know the process. Or the system call ``pidfd_open`` is forbidden, as by a seccomp profile.
    OSError
        The kernel is older than Linux 5.3 (``ENOSYS``). Or the limit of open files, ``RLIMIT_NOFILE``, is used up
        though its soft limit has been raised to the hard one (``EMFILE``).
    BusinessError
        9800004: the manager is closed.
    """
    pid = _to_int(pid, "pid")
    if not 0 < pid <= _MAX_PID:
        raise ValueError("pid must be within 1..2^31-1")
    if start_ticks is not None:
        start_ticks = _to_int(start_ticks, "start_ticks")
    _ = manager.last_sequence  # refused when it is closed, and in the child of a fork
    return manager._watches.begin(pid, start_ticks, stops_app=stops_app)
