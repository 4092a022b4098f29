"""Reads processes from a procfs directory, such as ``/proc``.

A process that ends while it is being read, or that the reader may not see, is left out.
"""

from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One process at one instant. Times are clock ticks of the kernel; ``pid`` and ``start_ticks`` together name it."""

    pid: int
    start_ticks: int
    cpu_ticks: int
    command: str


def read_processes(proc: Path) -> dict[int, Process]:
    """Return the processes that live, by pid; zombies have died already."""
    found = (_read_process(entry) for entry in proc.iterdir() if entry.name.isdecimal())
    return {process.pid: process for process in found if process is not None}


def read_uid(proc: Path, pid: int) -> int | None:
    """Return the real uid of a process, or None when it cannot be read."""
    try:
        status = (proc / str(pid) / "status").read_bytes()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None


def _read_process(directory: Path) -> Process | None:
    try:
        stat = (directory / "stat").read_bytes()
    except OSError:
        return None
    # "pid (command) state ...": the command may hold blanks and brackets itself.
    opening, closing = stat.find(b"("), stat.rfind(b")")
    fields = stat[closing + 1 :].split()
    if opening < 0 or closing < opening or len(fields) < 20 or fields[0] in (b"Z", b"X", b"x"):
        return None
    user, system, start = (int(fields[index]) for index in (11, 12, 19))
    command = stat[opening + 1 : closing].decode("utf-8", "replace")
    return Process(int(directory.name), start, user + system, command)
