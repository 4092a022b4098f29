"""Notes of what is about to be frozen, so that somebody can thaw it after a crash. Private.

A folder has a file for each freezer, which its process has locked while it lives. What is added is synced before
anything is frozen. Whoever starts next finds the files that nobody has locked.

A file begins with a line that says what it is, which format it has and which boot it is of. Each line after it is a
list of JSON: ``["process", uid, pid, start ticks]`` and ``["cgroup", uid, inode, path]`` are about to be frozen,
``["done", uid]`` has been thawed. A last line without its end was never synced, and nothing was frozen for it.
"""

import errno
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from grantwheel.linux.freezers import FreezeError
from grantwheel.linux.freezers_process import Process
from grantwheel.linux.running import read_boot_id

ENDING = ".frozen"
_MAGIC, _FORMAT = "grantwheel-frozen", 1
_REWRITE_LINES = 1024  # and four times as many as there are to keep

# The files that this process has locked, by device and inode: its own lock would not keep it from them, and would be
# lost by closing them. A child of a fork has the memory, not the locks.
_MINE: dict[tuple[int, int], int] = {}


class Group(NamedTuple):
    """A cgroup, whoever has its path later."""

    path: str
    inode: int


Frozen = Process | Group


class Left(NamedTuple):
    """What a file that was left behind says: what may be frozen still, by uid, if it is of this boot.

    ``unread`` are the numbers of lines that make no sense; ``is_newer`` when it is of a format that is not known here.
    """

    frozen: dict[int, list[Frozen]]
    is_of_this_boot: bool
    unread: list[int]
    is_newer: bool


class Notes:
    """The notes of one freezer.

    Parameters
    ----------
    folder : Path
        Where they are kept; made if it is not there. It must be writable by its owner alone, who is this user.
    proc : Path
        Where the boot is read.

    Raises
    ------
    FreezeError
        The folder is somebody else's, or open to others.
    OSError
        It cannot be written.
    """

    def __init__(self, folder: Path, proc: Path) -> None:
        self._folder = folder
        self._boot = boot_of(proc)
        self._noted: dict[int, dict[Frozen, None]] = {}
        self._path = folder
        self._descriptor = -1
        self._head = 0  # the length of the first line
        self._lines = 0
        self._is_torn = False  # a part of a line is at the end, which could not be taken back
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(folder)
        self._begin()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def uids(self) -> list[int]:
        """Return whom something is noted of."""
        return list(self._noted)

    def of(self, uid: int) -> list[Frozen]:
        """Return what is noted of an app."""
        return list(self._noted.get(uid, ()))

    def add(self, uid: int, frozen: Iterable[Frozen]) -> None:
        """Note what is about to be frozen of an app. When this returns, it is on the disk.

        Raises
        ------
        OSError
            It is not, and nothing may be frozen for it.
        """
        known = self._noted.get(uid, {})
        new = [one for one in frozen if one not in known]
        if not new:
            return
        if self._is_torn:
            self._begin()
        self._write([_line_of(uid, one) for one in new], is_synced=True)
        self._noted.setdefault(uid, {}).update(dict.fromkeys(new))

    def drop(self, uid: int) -> None:
        """Note that nothing of an app is frozen any more.

        Should that not be written, somebody will thaw it once more after a crash, which does no harm. So nothing waits
        for the disk, and a full one is no error.
        """
        if self._noted.pop(uid, None) is None:
            return
        try:
            if not self._noted:
                os.ftruncate(self._descriptor, self._head)
                self._lines = 0
                self._is_torn = False
            elif self._is_torn or self._lines > max(_REWRITE_LINES, 4 * sum(map(len, self._noted.values()))):
                self._begin()
            else:
                self._write([["done", uid]], is_synced=False)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise

    def close(self) -> None:
        """End the notes: the file goes, unless something is noted still. It is fine if it was closed."""
        if self._descriptor < 0:
            return
        if not self._noted:
            self._path.unlink(missing_ok=True)
        self._let_go()

    def _begin(self) -> None:
        """Begin a file with what is noted, in place of the one there was."""
        before = (self._descriptor, self._path) if self._descriptor >= 0 else None
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}{ENDING}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            if status.st_nlink == 0:  # somebody who looked for what was left has taken it for that, before the lock
                raise FreezeError(errno.EAGAIN, f"{path} was removed while it was made")
            head = f"{_MAGIC} {_FORMAT} {self._boot}\n".encode()
            lines = [_line_of(uid, one) for uid, noted in self._noted.items() for one in noted]
            _write_all(descriptor, head + _as_bytes(lines))
            os.fsync(descriptor)
            sync_folder(self._folder)
        except BaseException:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        _MINE[status.st_dev, status.st_ino] = os.getpid()
        self._head = len(head)
        self._descriptor, self._path, self._lines, self._is_torn = descriptor, path, len(lines), False
        if before is not None:
            before[1].unlink(missing_ok=True)
            _close(before[0])

    def _write(self, lines: list[list[object]], *, is_synced: bool) -> None:
        """Add lines, all or none: a part of one would spoil the next."""
        end = os.fstat(self._descriptor).st_size
        self._is_torn = True
        try:
            _write_all(self._descriptor, _as_bytes(lines))
            if is_synced:
                os.fsync(self._descriptor)
        except BaseException:
            os.ftruncate(self._descriptor, end)
            self._is_torn = False
            raise
        self._is_torn = False
        self._lines += len(lines)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        _close(descriptor)


def boot_of(proc: Path) -> str:
    """Return what names this boot; a dash where it has no name."""
    return str(read_boot_id(proc) or "-")


def require_private(folder: Path) -> None:
    """Check that a folder is this user's alone: what it says decides who is continued.

    Raises
    ------
    FreezeError
        It is not.
    """
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        why = "must be this user's, and writable by its owner alone"
        raise FreezeError(errno.EPERM, f"{folder}, the folder of the notes, {why}")


def sync_folder(folder: Path) -> None:
    """Have the disk know which files there are."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LeftFile:
    """A file of a freezer that has ended, which is this process's alone for the time of a ``with`` block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def __enter__(self) -> "LeftFile | None":
        """Take it; None when it is somebody's who lives, or has gone."""
        try:
            status = self.path.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode) or _MINE.get((status.st_dev, status.st_ino)) == os.getpid():
                return None
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        self._descriptor = descriptor
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return None
        return self if os.fstat(descriptor).st_nlink else None

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, boot: str) -> Left:
        """Return what it says."""
        text = b""
        while piece := os.pread(self._descriptor, 1 << 20, len(text)):  # no duplicate: closing it would lose the lock
            text += piece
        return _read(text, boot)

    def remove(self) -> None:
        """Remove it: what it says has been dealt with."""
        self.path.unlink(missing_ok=True)

    def set_aside(self) -> Path:
        """Give it another name, under which nobody looks for it, and return that."""
        aside = self.path.with_suffix(".damaged")
        self.path.rename(aside)
        return aside


def left_files(folder: Path) -> Iterator[LeftFile]:
    """Return the files of a folder, also those of freezers that live: taking one tells."""
    for path in sorted(folder.glob(f"*{ENDING}")):
        yield LeftFile(path)


def _read(text: bytes, boot: str) -> Left:
    head, _, rest = text.partition(b"\n")
    words = head.decode("ascii", "replace").split()
    if not rest and not text.endswith(b"\n"):
        return Left({}, True, [], False)  # it was not begun, and nothing was frozen for it
    if len(words) != 3 or words[0] != _MAGIC or not words[1].isdecimal():
        return Left({}, True, [1], False)
    if int(words[1]) != _FORMAT:
        return Left({}, True, [], True)
    frozen: dict[int, list[Frozen]] = {}
    unread = []
    for number, line in enumerate(rest.split(b"\n")[:-1], 2):
        try:
            uid, one = _frozen_of(json.loads(line))
        except (ValueError, TypeError, RecursionError):
            unread.append(number)
            continue
        if one is None:
            frozen.pop(uid, None)
        else:
            frozen.setdefault(uid, []).append(one)
    return Left(frozen, words[2] == boot, unread, False)


def _frozen_of(line: object) -> tuple[int, Frozen | None]:
    match line:
        case ["process", int(uid), int(pid), int(start)] if 0 < pid < 2**31:
            return uid, Process(pid, start)
        case ["cgroup", int(uid), int(inode), str(path)] if "\0" not in path:
            return uid, Group(path, inode)
        case ["done", int(uid)]:
            return uid, None
    raise ValueError("it is no line of notes")


def _line_of(uid: int, one: Frozen) -> list[object]:
    if isinstance(one, Process):
        return ["process", uid, one.pid, one.start_ticks]
    return ["cgroup", uid, one.inode, one.path]


def _as_bytes(lines: Iterable[list[object]]) -> bytes:
    return b"".join(json.dumps(line).encode("ascii") + b"\n" for line in lines)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _close(descriptor: int) -> None:
    status = os.fstat(descriptor)
    _MINE.pop((status.st_dev, status.st_ino), None)
    os.close(descriptor)
