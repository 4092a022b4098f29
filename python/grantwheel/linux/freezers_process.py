"""Stopping processes and letting them go on, each by what names it for good: pid and start. Private."""

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grantwheel import _core
from grantwheel.linux.freezers import FreezeError, FreezeRefusedError, printable
from grantwheel.linux.pidfd import PROC, open_process
from grantwheel.linux.procfs import read_uid
from grantwheel.linux.running import hides_processes

_PF_KTHREAD = 0x00200000
# Stopped, traced and stopped, or ended. And what sleeps in the kernel and cannot be woken now (D), as a parent does
# whose vfork-child is stopped: the signal has come, so it is stopped before it gets back to its own code.
_RESTING = b"TtZXxD"
_ENDED = b"ZXx"


class Process(NamedTuple):
    """A process, whoever has its pid later: it began at these clock ticks of the kernel since boot."""

    pid: int
    start_ticks: int


class Seen(NamedTuple):
    """A process as it was a moment ago."""

    process: Process
    name: str
    state: bytes
    parent: int
    is_of_kernel: bool
    threads: int

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more, though nobody has waited for it."""
        return self.state in _ENDED and self.threads < 2


def see(proc: Path, pid: int) -> Seen | None:
    """Return a process as it is; None when there is none.

    Raises
    ------
    FreezeError
        It is hidden.
    """
    try:
        stat = _core.read_start(f"{proc}/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        raise FreezeError(error.errno, f"process {pid} cannot be seen: {error.strerror}") from error
    opening, closing = stat.find(b"("), stat.rfind(b")")
    fields = stat[closing + 1 :].split()
    if opening < 0 or len(fields) < 20:
        return None
    name = printable(stat[opening + 1 : closing].decode("utf-8", "backslashreplace"))
    is_of_kernel = bool(int(fields[6]) & _PF_KTHREAD)
    return Seen(Process(pid, int(fields[19])), name, fields[0], int(fields[1]), is_of_kernel, int(fields[17]))


def is_at_rest(proc: Path, process: Process) -> bool:
    """Return whether no thread of a process runs, nor will before it is continued; one that has ended rests too."""
    seen = see(proc, process.pid)
    if seen is None or seen.process != process or seen.has_ended:
        return True
    if seen.threads < 2:
        return seen.state in _RESTING
    return all(state in _RESTING for state in _states_of_threads(proc, process.pid))


def _states_of_threads(proc: Path, pid: int) -> Iterator[bytes]:
    try:
        names = os.listdir(f"{proc}/{pid}/task")  # noqa: PTH208 - plain strings, as elsewhere in this room
    except (FileNotFoundError, ProcessLookupError):
        return
    for name in names:
        try:
            stat = _core.read_start(f"{proc}/{pid}/task/{name}/stat")
        except OSError:
            continue  # it has ended
        yield stat[stat.rfind(b")") + 1 :].split()[0]


def send(proc: Path, process: Process, number: signal.Signals) -> bool:
    """Send a signal to this process, and to no other that has got its pid. Returns whether it is still there.

    Raises
    ------
    FreezeError
        It may not be signalled, or not be opened.
    """
    try:
        descriptor = open_process(process.pid)
        seen = see(proc, process.pid)  # of the one that was opened, or else it has ended
        if seen is None or seen.process != process:
            return False
        signal.pidfd_send_signal(descriptor.fileno(), number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        what = f"process {process.pid} may not be sent {number.name}: that takes its user, root or CAP_KILL"
        raise FreezeError(error.errno, what) from error
    except (OSError, ValueError) as error:
        if isinstance(error, FreezeError):
            raise
        number_of = error.errno if isinstance(error, OSError) else errno.EINVAL
        raise FreezeError(number_of, f"process {process.pid} could not be sent {number.name}: {error}") from error
    return True


def processes_of(proc: Path, uid: int) -> list[int]:
    """Return the pids of all processes whose real uid this is.

    Raises
    ------
    FreezeRefusedError
        They cannot be known, or are the system's.
    """
    if uid == 0:
        raise FreezeRefusedError(errno.EPERM, "uid 0 is not frozen: its processes are those of the system")
    require_all_seen(proc)
    try:
        with os.scandir(proc) as entries:
            pids = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    except OSError as error:
        raise FreezeError(error.errno, f"{proc} cannot be read: {error.strerror}") from error
    return sorted(pid for pid in pids if read_uid(proc, pid) == uid)


def descendants_of(pid: int, proc: Path = PROC) -> list[int]:
    """Return the pids of the children of a process, of their children and so on: for `SignalFreezer`.

    Raises
    ------
    FreezeError
        They cannot be known.
    """
    parents = {}
    for name in os.listdir(proc):  # noqa: PTH208 - plain strings, as elsewhere in this room
        if name.isdecimal() and (seen := see(proc, int(name))) is not None:
            parents[seen.process.pid] = seen.parent
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    found = []
    left = [pid]
    while left:
        below = children.pop(left.pop(), [])
        found += below
        left += below
    return sorted(found)


def require_all_seen(proc: Path) -> None:
    """Refuse a ``/proc`` that hides processes, or has them under other numbers.

    Raises
    ------
    FreezeRefusedError
        It does: says what to do.
    """
    try:
        hides = hides_processes(proc)
    except OSError as error:
        raise FreezeError(error.errno, f"{proc} cannot be read: {error.strerror}") from error
    if hides:
        why = "it hides processes (hidepid), or is that of another pid namespace: run as root, or mount it anew"
        raise FreezeRefusedError(errno.EPERM, f"who is to be frozen cannot be found in {proc}: {why}")


def protected(proc: Path) -> dict[int, str]:
    """Return the processes that are never frozen, with what they are to this one."""
    found = {1: "the init"}
    leader = os.getsid(0)
    if leader > 0:
        found[leader] = "the leader of this session"
    pid, what = os.getpid(), "this process"
    while pid > 1 and (seen := see(proc, pid)) is not None:
        found[pid] = what
        pid, what = seen.parent, "a parent of this process"
    found.setdefault(os.getpid(), "this process")
    return found


def require_harmless(seen: Seen, forbidden: dict[int, str]) -> None:
    """Refuse to freeze what must not be frozen.

    Raises
    ------
    FreezeRefusedError
        It must not: says why.
    """
    what = "of the kernel" if seen.is_of_kernel else forbidden.get(seen.process.pid)
    if what is not None:
        raise FreezeRefusedError(errno.EPERM, f"process {seen.process.pid} ({seen.name}) is not frozen: it is {what}")
