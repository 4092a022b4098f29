"""The socket of a service as a file: in a folder that nobody else can write to, and of one service at a time."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import places

_MOST_BYTES: Final = 107  # of the address of a Unix socket


class SocketRefusedError(Exception):
    """A service cannot be where it was asked to be; says why."""


@contextlib.contextmanager
def listening(path: Path, *, mode: int, group: int | None) -> Iterator[socket.socket]:
    """Have a socket at a path for the time of a block; it is bound, and listens when the server makes it listen.

    Parameters
    ----------
    path : Path
        Where. A socket that an ended service has left there is removed.
    mode : int
        Who may connect: the permissions of the file.
    group : int or None
        The gid that the file belongs to. None: as it comes.

    Raises
    ------
    SocketRefusedError
        Another service is there, or something that is no socket.
    places.PlaceRefusedError
        Others could put another one in its place.
    OSError
        It cannot be made.
    """
    if len(os.fsencode(path)) > _MOST_BYTES:
        raise SocketRefusedError(f"the path of a socket may have at most {_MOST_BYTES} bytes: {path}")
    places.check(path.parent, "the folder of the socket")
    with _locked(path), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        _remove_stale(path)
        before = os.umask(0o177)  # nobody else connects before the file is as it should be
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        made = path.lstat()
        try:
            if group is not None:
                os.chown(path, -1, group)
            path.chmod(mode)
            yield listener
        finally:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.lstat(), made):
                    path.unlink()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Be the only service that is at a path, or wants to be."""
    lock = path.with_name(path.name + ".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SocketRefusedError(f"another service is at {path}") from None
        yield
    finally:
        os.close(descriptor)  # the file stays: who removed it could let two have it


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketRefusedError(f"{path} is there, and no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise SocketRefusedError(f"another service is at {path}")
    path.unlink()
