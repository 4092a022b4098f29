"""Reading a journal into a follower: the snapshot, then the groups behind it, up to the first that is damaged."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from grantwheel._core import BusinessError
from grantwheel.follower import Follower
from grantwheel.journal import DamageError, FormatError, Journal, OnProgress

_UNREADABLE = 9800002
_QUIET_S = 1.0  # what is over by then is not told of
_TOLD_S = 0.1
_TRIES = 8  # so often something may be set aside in one go


class Loaded(NamedTuple):
    """A follower that has read a journal, and what that took: positions, bytes, and the instant of the snapshot."""

    follower: Follower
    snapshot: int
    snapshot_bytes: int
    snapshot_ms: int
    groups: int
    group_bytes: int


class _Found(DamageError):  # noqa: N818 - it says what is the case
    """Something that can't be read: up to where the journal is sound, and whether its snapshot is."""

    def __init__(self, what: str, last: int, *, snapshot_is_sound: bool) -> None:
        super().__init__(what)
        self.what = what
        self.last = last
        self.snapshot_is_sound = snapshot_is_sound


class Progress(Protocol):
    """Hears how reading goes on; what it raises ends that."""

    def at(self, done: int, total: int, /) -> None:
        """So many groups of so many have been read."""
        ...

    def end(self, done: int, /) -> None:
        """All have been read."""
        ...


class Told:
    """Tells of progress, if it takes long. Where a journal checks its groups first, that is half of the way."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._next = time.monotonic() + _QUIET_S
        self._told = False
        self._has_checked = False

    def checked(self, done: int, total: int) -> None:
        """So many groups of so many have been checked."""
        self._has_checked = True
        self._tell(done // 2, total)

    def at(self, done: int, total: int) -> None:
        """So many groups of so many have been read."""
        total = max(done, total)
        self._tell((total + done) // 2 if self._has_checked else done, total)

    def end(self, done: int) -> None:
        """All have been read."""
        if self._told:
            self._on_progress(done, done)

    def _tell(self, done: int, total: int) -> None:
        if (now := time.monotonic()) >= self._next:
            self._next = now + _TOLD_S
            self._told = True
            self._on_progress(done, total)


def load(journal: Journal, told: Progress | None = None) -> Loaded:
    """Read a journal as far as it is sound. What is damaged is set aside, with all that is behind it.

    Raises
    ------
    FormatError
        Something is of a newer format. Nothing was touched.
    DamageError
        Something is damaged, and the journal has no ``set_aside``. Nothing was touched.
    BusinessError
        9800001: there is not enough memory.
    Exception
        What the journal raises.
    """
    for _ in range(_TRIES):
        try:
            return read(journal, told)
        except _Found as found:
            set_aside = getattr(journal, "set_aside", None)
            if set_aside is None:
                raise
            set_aside(found.what, found.last, snapshot=found.snapshot_is_sound)
    raise DamageError("the journal is damaged again and again, each time that it is read")


def read(journal: Journal, told: Progress | None = None) -> Loaded:
    """Read a journal; what is damaged is an error.

    Raises
    ------
    DamageError, FormatError, BusinessError, Exception
        As `load`.
    """
    follower, position, size = _read_snapshot(journal)
    snapshot_ms = follower.now_ms
    groups = group_bytes = 0
    total = 0 if told is None else journal.last() - position
    for some in _slices(journal, follower):
        _feed(follower, some)
        groups += len(some)
        group_bytes += sum(map(len, some))
        if told is not None:
            told.at(groups, total)
    if told is not None:
        told.end(groups)
    return Loaded(follower, position, size, snapshot_ms, groups, group_bytes)


def _read_snapshot(journal: Journal) -> tuple[Follower, int, int]:
    size = 0

    def counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            size += len(chunk)
            yield chunk

    take = getattr(journal, "snapshot", None)  # a log that has no snapshots will do
    try:
        found = None if take is None else take()
        if found is None:
            return Follower(), 0, 0
        position, chunks = found
        return Follower(snapshot=counted(chunks), position=position), position, size
    except DamageError as error:
        raise _Found(f"the snapshot: {error}", journal.last(), snapshot_is_sound=False) from error
    except BusinessError as error:
        if error.code != _UNREADABLE:
            raise
        if error.is_newer:
            raise FormatError("the snapshot is of a newer format; this program knows version 1") from error
        raise _Found(f"the snapshot: {error}", journal.last(), snapshot_is_sound=False) from error


def _slices(journal: Journal, follower: Follower) -> Iterator[tuple[bytes, ...]]:
    """Return the groups that the follower has not read, as many at once as the journal gives."""
    read_slices = getattr(journal, "read_slices", None)  # of the one in a file
    slices = iter(_one_by_one(journal, follower.position) if read_slices is None else read_slices(follower.position))
    while True:
        try:
            first, groups = next(slices)
        except StopIteration:
            return
        except DamageError as error:
            raise _Found(str(error), follower.position, snapshot_is_sound=True) from error
        if first != follower.position + 1:
            what = f"group {follower.position + 1} is missing, and {first} is there"
            raise _Found(what, follower.position, snapshot_is_sound=True)
        yield groups


def _one_by_one(journal: Journal, after: int) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    for place, group in journal.read(after):
        yield place, (bytes(group),)


def _feed(follower: Follower, groups: tuple[bytes, ...]) -> None:
    try:
        follower.feed_many(groups)
    except BusinessError as error:
        if error.code != _UNREADABLE:
            raise
        last = follower.position
        if error.is_newer:
            raise FormatError(f"group {last + 1} is of a newer format; this program knows version 1") from error
        raise _Found(f"group {last + 1}: {error}", last, snapshot_is_sound=True) from error
