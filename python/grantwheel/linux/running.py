"""Which processes run, under which uids and since when, and what of that ``/proc`` hides.

Time is what starts with the machine: `CLOCK_BOOTTIME`, in milliseconds.
"""

import os
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from grantwheel import _core

_CAP_SYS_PTRACE = 19  # who has it sees what the option hidepid hides


class Running(NamedTuple):
    """A process that runs: all uids that it has (real, effective, saved), and when it started, rounded down."""

    uids: tuple[int, ...]
    start_ms: int


class Hidden:
    """The pids of which something runs that ``/proc`` may not show: as a container, which asks the kernel."""

    def __contains__(self, pid: object) -> bool:
        if not isinstance(pid, int) or pid <= 0:
            return False
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass
        return True


class Look(NamedTuple):
    """The processes that were seen, by pid. ``hides`` when there may be others, which only ``Hidden`` tells."""

    processes: dict[int, Running]
    hides: bool


def read_boot_id(proc: Path) -> uuid.UUID | None:
    """Return the number that the kernel has drawn for this boot, or None where it does not tell, as in a container."""
    try:
        return uuid.UUID((proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def look_at_processes(proc: Path) -> Look:
    """Return the processes that run. Zombies have ended; a process whose first thread alone has ended runs."""
    processes: dict[int, Running] = {}
    try:
        with os.scandir(proc) as entries:
            pids = [int(entry.name) for entry in entries if entry.name.isdecimal()]
        hides = 1 not in pids or hides_processes(proc)
    except OSError:
        return Look(processes, hides=True)
    for pid in pids:
        try:
            found = read_running(proc, pid)
        except PermissionError:
            hides = True
        except (OSError, ValueError, IndexError):
            continue  # ended meanwhile
        else:
            if found is not None:
                processes[pid] = found
    return Look(processes, hides)


def read_running(proc: Path, pid: int) -> Running | None:
    """Return a process, or None when it has ended.

    Raises
    ------
    OSError, ValueError, IndexError
        It is hidden, or has gone.
    """
    stat = _core.read_start(f"{proc}/{pid}/stat")
    status = _core.read_start(f"{proc}/{pid}/status")
    fields = stat[stat.rfind(b")") + 1 :].split()
    if fields[0] in (b"Z", b"X", b"x") and int(fields[17]) < 2:
        return None
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            uids = tuple(sorted({int(uid) for uid in line.split()[1:4]}))
            return Running(uids, int(int(fields[19]) * 1000 / os.sysconf("SC_CLK_TCK")))
    return None


def hides_processes(proc: Path) -> bool:
    """Return whether there may be processes that this one cannot see, or under other numbers only.

    Raises
    ------
    OSError
        Nothing can be read.
    """
    return is_of_others(proc) or _hides_by_option(proc)


def is_of_others(proc: Path) -> bool:
    """Return whether ``/proc`` belongs to an outer pid namespace, in which pids are other ones (``unshare --pid``)."""
    return os.readlink(proc / "self") != str(os.getpid())  # noqa: PTH115 - a name is wanted, and no path


def _hides_by_option(proc: Path) -> bool:
    """Whether the file system hides the processes of others from this one."""
    own = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
    options = {option for line in own.splitlines() for option in _options(line, proc)}
    if not any(option.startswith("hidepid=") and option not in ("hidepid=0", "hidepid=off") for option in options):
        return False
    status = (proc / "self/status").read_text(encoding="ascii", errors="replace")
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return not effective >> _CAP_SYS_PTRACE & 1


def _options(line: str, proc: Path) -> Collection[str]:
    """Return the options of the file system of a line of ``mountinfo``, if it is the one that is mounted there."""
    mount, _, system = line.partition(" - ")
    fields, last = mount.split(), system.split()
    if len(fields) < 5 or len(last) < 3 or fields[4] != str(proc):
        return ()
    return last[2].split(",")
