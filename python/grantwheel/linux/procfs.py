"""Reads who a process is from a procfs directory, such as ``/proc``."""

import errno
from pathlib import Path
from typing import NamedTuple

from grantwheel import _core


class Identity(NamedTuple):
    """Who a process is: its real uid, and when it started, in clock ticks of the kernel since boot."""

    uid: int
    start_ticks: int


# The start of a file is longer than any stat line, and than the head of a status file down to its uids.
# Paths are plain strings below: they may be made thousands of times a second, and a Path costs as much as the system
# call.


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


def _uid_of(status: bytes) -> int | None:
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None
