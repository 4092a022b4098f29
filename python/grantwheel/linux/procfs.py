"""Reads processes from a procfs directory, such as ``/proc``.

A process that ends while it is being read is left out. What the reader may not see is left out too, and counted.
"""

import errno
import os
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from grantwheel import _core


class ProcfsError(Exception):
    """The directory cannot be read at all; the cause says why."""


class Process(NamedTuple):
    """One process at one instant. Times are clock ticks of the kernel; ``pid`` and ``start_ticks`` together name it."""

    pid: int
    start_ticks: int
    cpu_ticks: int
    command: str


class Identity(NamedTuple):
    """Who a process is: its real uid, and when it started, in clock ticks of the kernel since boot."""

    uid: int
    start_ticks: int


class Reading(NamedTuple):
    """The processes that live, by pid, and the number of those that the reader may not see."""

    processes: dict[int, Process]
    refused: int


# The start of a file is longer than any stat line, and than the head of a status file down to its uids.
# Paths are plain strings below: they are made thousands of times a second, and a Path costs as much as the system call.


def read_processes(proc: Path) -> Reading:
    """Return the processes that live; zombies have died already.

    Raises
    ------
    ProcfsError
        When the directory itself cannot be read.
    """
    try:
        with os.scandir(proc) as entries:
            names = [entry.name for entry in entries if entry.name.isdecimal()]
    except OSError as error:
        raise ProcfsError(str(error)) from error
    processes = {}
    refused = 0
    for name in names:
        try:
            process = _read_process(f"{proc}/{name}/stat", int(name))
        except PermissionError:
            refused += 1
        except OSError:
            continue
        else:
            if process is not None:
                processes[process.pid] = process
    return Reading(processes, refused)


def read_uid(proc: Path, pid: int) -> int | None:
    """Return the real uid of a process, or None when it cannot be read."""
    try:
        return _uid_of(_core.read_start(f"{proc}/{pid}/status"))
    except OSError:
        return None


def read_identity(proc: Path, pid: int) -> Identity:
    """Return who a process is.

    Raises
    ------
    OSError
        As it comes: ``FileNotFoundError`` or ``ProcessLookupError`` when it has gone, ``PermissionError`` when the
        reader may not see it.
    """
    stat = _core.read_start(f"{proc}/{pid}/stat")
    uid = _uid_of(_core.read_start(f"{proc}/{pid}/status"))
    fields = stat[stat.rfind(b")") + 1 :].split()
    if uid is None or len(fields) < 20:
        raise ProcessLookupError(errno.ESRCH, f"there is no process {pid} in {proc}")
    return Identity(uid, int(fields[19]))


def read_open_files(proc: Path, pid: int, limit: int) -> list[str]:
    """Return what the first ``limit`` open files of a process are, as the kernel names them; none when it has gone.

    Raises
    ------
    PermissionError
        When the reader may not see them.
    """
    found = []
    try:
        with os.scandir(f"{proc}/{pid}/fd") as entries:
            for entry in islice(entries, limit):
                try:
                    found.append(os.readlink(entry.path))  # noqa: PTH115 - a plain string, as above
                except FileNotFoundError:
                    continue  # closed since
    except PermissionError:
        raise
    except OSError:
        return []
    return found


def _uid_of(status: bytes) -> int | None:
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None


def _read_process(path: str, pid: int) -> Process | None:
    stat = _core.read_start(path)
    # "pid (command) state ...": the command may hold blanks and brackets itself.
    opening, closing = stat.find(b"("), stat.rfind(b")")
    fields = stat[closing + 1 :].split()
    if opening < 0 or closing < opening or len(fields) < 20 or fields[0] in (b"Z", b"X", b"x"):
        return None
    user, system, start = (int(fields[index]) for index in (11, 12, 19))
    return Process(pid, start, user + system, stat[opening + 1 : closing].decode("utf-8", "replace"))
