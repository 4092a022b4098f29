"""Thawing what a crash has left frozen: what every freezer does at its start, and ``grantwheel thaw``."""

import logging
import signal
from pathlib import Path
from typing import NamedTuple

from grantwheel.linux.freezers import FreezeError, printable
from grantwheel.linux.freezers_group import thaw_group
from grantwheel.linux.freezers_notes import Frozen, LeftFile, boot_of, left_files, require_private
from grantwheel.linux.freezers_process import Process, is_at_rest, send
from grantwheel.linux.pidfd import PROC

_log = logging.getLogger("grantwheel")


class Thawed(NamedTuple):
    """What has become of what was left frozen.

    ``uids`` are the apps of which something was thawed, ``gone`` counts processes and cgroups that are not there any
    more, ``failures`` says what could not be thawed, ``in_use`` how many files of notes are those of freezers that
    live, which were left alone, and ``damage`` what of the notes could not be read.
    """

    uids: tuple[int, ...]
    gone: int
    failures: tuple[str, ...]
    in_use: int
    damage: tuple[str, ...]


def thaw(proc: Path, frozen: Frozen) -> bool:
    """Let a process or a cgroup go on. Returns False when it is not there any more.

    Raises
    ------
    FreezeError
        It cannot be done.
    """
    if not isinstance(frozen, Process):
        return thaw_group(proc, frozen)
    try:
        return send(proc, frozen, signal.SIGCONT)
    except FreezeError:
        if not is_at_rest(proc, frozen):  # whoever may not be continued could not be stopped either
            return True
        raise


def thaw_left(folder: Path, proc: Path = PROC) -> Thawed:
    """Thaw whatever freezers that have ended have left frozen, by their notes, and log it.

    Parameters
    ----------
    folder : Path
        Where freezers keep their notes. It is fine if it is not there.
    proc : Path
        Where procfs is mounted.

    Raises
    ------
    FreezeError
        The folder is somebody else's, or open to others.
    OSError
        The notes cannot be read.
    """
    work = _Work(proc)
    if not folder.exists():
        return work.told()
    require_private(folder)
    for file in left_files(folder):
        with file as taken:
            if taken is not None:
                work.do(taken)
            else:
                work.in_use += file.path.exists()
    return work.told()


class _Work:
    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._boot = boot_of(proc)
        self._uids: set[int] = set()
        self._gone = 0
        self._failures: list[str] = []
        self._damage: list[str] = []
        self.in_use = 0

    def do(self, file: LeftFile) -> None:
        """Thaw what one file says, and remove it if that is all done."""
        left = file.read(self._boot)
        if left.is_newer:
            self._failures.append(f"{file.path} was written by a newer version, which is to thaw what it says")
            return
        failed = len(self._failures)
        if left.is_of_this_boot:
            for uid, noted in left.frozen.items():
                self._thaw(uid, noted)
        if len(self._failures) > failed:
            return  # it is there for the next attempt
        if left.unread:
            where = ", ".join(map(str, left.unread))
            aside = file.set_aside()
            self._damage.append(f"{file.path}: what line {where} says is not known; it is kept as {aside.name}")
        else:
            file.remove()

    def _thaw(self, uid: int, noted: list[Frozen]) -> None:
        for one in noted:
            try:
                if thaw(self._proc, one):
                    self._uids.add(uid)
                else:
                    self._gone += 1
            except FreezeError as error:
                self._failures.append(f"app {uid}: {error.strerror}")

    def told(self) -> Thawed:
        """Return what came of it, and log it."""
        for uid in sorted(self._uids):
            _log.warning("app %d was left frozen, and has been thawed", uid)
        for text in (*self._failures, *self._damage):
            _log.error("what was left frozen: %s", printable(text))
        return Thawed(tuple(sorted(self._uids)), self._gone, tuple(self._failures), self.in_use, tuple(self._damage))
