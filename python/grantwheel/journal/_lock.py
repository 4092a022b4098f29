"""One writer: a lock on a file, which the kernel gives back when the process ends, however it ends."""

import fcntl
import os
import struct
import threading
from pathlib import Path

from ._errors import InUseError
from ._files import identity

# Locks of this kind belong to a process: another one is refused and told by whom, and a child of a fork has none. But a
# process may lock its own again, and loses the lock when it closes any descriptor of the file. So the files that this
# process has locked are known here, by device and inode, and none of them is opened a second time.
_MINE: dict[tuple[int, int], int] = {}  # the process that has locked it: a child of a fork has the memory, not the lock
_GUARD = threading.Lock()
_FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, pid


class WriterLock:
    """The right to write, held until `release` or the end of the process.

    Raises
    ------
    InUseError
        Another one has it.
    OSError
        The file can't be made or locked.
    """

    def __init__(self, path: Path) -> None:
        with _GUARD:
            known = identity(path)
            if known is not None and known in _MINE:
                raise InUseError(str(path), _MINE[known])
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    os.fchmod(descriptor, 0o600)
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except (BlockingIOError, PermissionError) as error:
                    raise InUseError(str(path), _holder(descriptor) or 0) from error
                status = os.fstat(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
            self._identity = (status.st_dev, status.st_ino)
            _MINE[self._identity] = os.getpid()

    def release(self) -> None:
        """Let another one have it. The file stays: to remove it would let two lock different ones."""
        with _GUARD:
            if self._descriptor < 0:
                return
            os.close(self._descriptor)
            self._descriptor = -1
            del _MINE[self._identity]


def holder(path: Path) -> int | None:
    """Return the process that has the right to write, 0 if it can't be seen from here, or None for nobody.

    Raises
    ------
    InUseError
        It is this process, which would lose it by the look at the file.
    OSError
        The file can't be read.
    """
    with _GUARD:
        known = identity(path)
        if known is None:
            return None
        if _MINE.get(known) == os.getpid():
            raise InUseError(str(path), os.getpid())
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            return _holder(descriptor)
        finally:
            os.close(descriptor)


def _holder(descriptor: int) -> int | None:
    asked = fcntl.fcntl(descriptor, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    kind, _, _, _, pid = _FLOCK.unpack(asked)
    return None if kind == fcntl.F_UNLCK else max(pid, 0)
