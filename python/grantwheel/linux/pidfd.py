"""Descriptors of processes, pidfds: each stands for one process, whoever has its pid later."""

import contextlib
import errno
import resource
import select
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from grantwheel import _core
from grantwheel.linux.procfs import Identity, read_identity

PROC = Path("/proc")
_T = TypeVar("_T")


def open_process(pid: int) -> _core.Descriptor:
    """Return a descriptor of the process that has the pid now; it is readable when the process has ended.

    Raises
    ------
    ProcessLookupError
        There is no such process.
    ValueError
        The pid is that of a thread.
    PermissionError
        The system call is forbidden.
    OSError
        The kernel is older than Linux 5.3 (``ENOSYS``), or no more files may be opened (``EMFILE``).
    """
    try:
        return _with_descriptors(lambda: _core.open_process(pid))
    except OSError as error:
        reason = error.errno
        if reason == errno.ENOSYS:
            raise OSError(errno.ENOSYS, "processes can be watched with pidfd_open, from Linux 5.3 on") from error
        if reason == errno.ESRCH:
            raise ProcessLookupError(errno.ESRCH, f"there is no process {pid}") from None
        if reason in (errno.EINVAL, errno.ENOENT):
            raise ValueError(f"pid must be that of a process; {pid} is that of a thread") from error
        if reason in (errno.EPERM, errno.EACCES):
            message = (
                "the system call pidfd_open is forbidden here, as by the seccomp profile of some container runtimes: "
                "let the profile allow it, or tell deaths yourself by Manager.process_died"
            )
            raise PermissionError(reason, message) from error
        raise


def has_ended(descriptor: int) -> bool:
    """Return whether the process of a descriptor has ended."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def identify(pid: int, descriptor: int) -> Identity:
    """Return who the process of a descriptor is, by what ``/proc`` says of it.

    Raises
    ------
    ProcessLookupError
        It has ended.
    PermissionError
        ``/proc`` does not tell, or is that of other processes.
    """
    identity = None
    with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
        identity = _with_descriptors(lambda: read_identity(PROC, _name_in_proc(pid, descriptor)))
    # Its number cannot become another's before it has ended. So what was read is said of this process, if it lives now.
    if has_ended(descriptor):
        raise ProcessLookupError(errno.ESRCH, f"process {pid} has ended")
    if identity is None:
        message = f"/proc does not tell the uid of process {pid}: it is hidden, or /proc is that of other processes"
        raise PermissionError(errno.EACCES, message)
    return identity


def _name_in_proc(pid: int, descriptor: int) -> int:
    """Return the number under which ``/proc`` has the process of a descriptor.

    It is another one than the pid where ``/proc`` still belongs to an outer pid namespace (``unshare --pid`` without
    ``--mount-proc``): there the pid names some other process.
    """
    info = (PROC / "self" / "fdinfo" / str(descriptor)).read_text(encoding="ascii")
    for line in info.splitlines():
        if line.startswith("Pid:"):
            number = int(line.split()[1])
            if number > 0:
                return number
            raise ProcessLookupError(errno.ESRCH, f"/proc is that of other processes, or {pid} has ended")
    return pid  # a kernel before 5.5 does not say


def _with_descriptors(call: Callable[[], _T]) -> _T:
    """Make a call that needs a descriptor; when there is none left, raise the limit of open files and call again."""
    try:
        return call()
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        return call()
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        message = f"watching takes a file for each process, and RLIMIT_NOFILE is used up (soft {soft}, hard {hard})"
        raise OSError(errno.EMFILE, message) from None
