"""What the files of a journal need: the owner's alone, on the disk when that is said, and set aside as they are."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

OWNER_ONLY = 0o600
ASIDE = "-aside"  # a directory that is being filled
_PIECE = 1 << 20


def beside(path: Path, ending: str) -> Path:
    """Return the name of a file beside the one of the journal."""
    return path.with_name(path.name + ending)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name: device and inode. None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def sync_directory(directory: Path) -> None:
    """Have the disk know which files there are."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Have the disk know what is in a file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path) -> BinaryIO:
    """Make a file that only its owner may read, whatever the umask, in place of what has been left there."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
    os.fchmod(descriptor, OWNER_ONLY)
    return os.fdopen(descriptor, "w+b")


def keep_to_owner(path: Path) -> None:
    """Take the rights of others to a file away, if it is ours."""
    status = path.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        path.chmod(OWNER_ONLY)


def lay_out(path: Path, size: int) -> None:
    """Have a file as long as it will be, with zeros, if there is room: a sync of one that grows takes longer."""
    with path.open("r+b", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            for start in range(before, size, _PIECE):
                if file.write(bytes(min(_PIECE, size - start))) != min(_PIECE, size - start):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)


def copy(source: Path, target: Path, length: int | None = None) -> None:
    """Copy a file, or its beginning, and sync the copy."""
    with source.open("rb") as reading, create(target) as writing:
        shutil.copyfileobj(reading, writing, _PIECE)
        if length is not None:
            writing.truncate(length)
        writing.flush()
        os.fsync(writing.fileno())


def is_same(one: Path, other: Path) -> bool:
    """Return whether two files have the same bytes."""
    with one.open("rb") as ours, other.open("rb") as theirs:
        while (data := ours.read(_PIECE)) == theirs.read(_PIECE):
            if not data:
                return True
    return False


def set_aside(path: Path, endings: tuple[str, ...]) -> Path:
    """Copy the files of a journal as they are into a new directory beside them, and return it.

    It has its name when all of it is on the disk. One that has them already is used again, so that somebody who tries
    the same again and again, on a disk that is full for example, does not fill it.

    Raises
    ------
    OSError
        There is no room, for example. The files have not been touched.
    """
    sources = [source for ending in endings if (source := beside(path, ending)).exists()]
    number = 1
    while (aside := beside(path, f"-damaged-{number}")).exists():
        if {source.name for source in sources} == {file.name for file in aside.iterdir()} and all(
            is_same(source, aside / source.name) for source in sources
        ):
            sync_directory(path.parent)
            return aside
        number += 1
    with scratch(beside(path, ASIDE)) as building:
        for source in sources:
            copy(source, building / source.name)
        sync_directory(building)
        building.rename(aside)
    sync_directory(path.parent)
    return aside


@contextlib.contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """Have an empty directory for the time of a block."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    directory.chmod(0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
