"""Where the files of a service may be: where nobody else can put others in their place."""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS: Final = 40


class PlaceRefusedError(ValueError):
    """A file or a folder that others could change, or exchange for another one; says which, and the rule."""


def check(path: Path, name: str) -> None:
    """Refuse a file or a folder that somebody else but root and this user could change, or exchange.

    It and each folder above it, up to ``/``, belong to root or to the user that this process runs as, and are writable
    by their owner alone; the ones above may be sticky instead, as ``/tmp`` is. Links are followed, and belong to one of
    these two as well.

    Parameters
    ----------
    path : Path
        The file or the folder.
    name : str
        What it is to be called.

    Raises
    ------
    PlaceRefusedError
        It could be changed.
    OSError
        It is not there, or cannot be looked at.
    """
    try:
        *above, last = _way(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    for at, found in above:
        _check(at, found, f"a {'link' if stat.S_ISLNK(found.st_mode) else 'folder'} above {name}", may_be_sticky=True)
    _check(*last, name, may_be_sticky=False)


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Pass what lies on the way from the root to a path: folders, links, and what it is the path of."""
    at = Path("/")
    yield at, at.lstat()
    parts = deque((Path.cwd() / path).parts[1:])
    links = 0
    while parts:
        part = parts.popleft()
        if part == "..":
            at = at.parent
            yield at, at.lstat()
            continue
        found = (at / part).lstat()
        yield at / part, found
        if not stat.S_ISLNK(found.st_mode):
            at /= part
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = (at / part).readlink()
        if target.is_absolute():
            at = Path("/")
        yield at, at.lstat()
        parts.extendleft(reversed(target.parts[target.is_absolute() :]))


def _check(at: Path, found: os.stat_result, name: str, *, may_be_sticky: bool) -> None:
    own = os.geteuid()
    if found.st_uid not in (0, own):
        raise PlaceRefusedError(f"{name}, {at}, belongs to uid {found.st_uid}: it must belong to root or to uid {own}")
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode) or not mode & _OTHERS or (may_be_sticky and mode & stat.S_ISVTX):
        return
    rule = "it must be writable by its owner alone" + (", or sticky as /tmp is" if may_be_sticky else "")
    raise PlaceRefusedError(f"others may write to {name}, {at} (mode {mode:04o}): {rule}")
