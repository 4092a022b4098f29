"""A journal on SQLite as it is at one moment, for tools: nothing of it is locked or changed."""

import contextlib
import errno
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from . import _snapshot
from ._database import SNAPSHOT, WAL, connect, crc_of, read_some
from ._errors import DamageError
from ._files import beside, identity
from ._lock import holder
from ._recovery import make_sound, was_journal
from ._wal import HEADER_SIZE, Chain, read_chain
from ._words import OnProgress, Report

_REPAIRED = "-repaired"  # what a crash in the middle of a repair leaves, to be put in the place of the file
_TRIES = 50
_PAUSE_S = 0.05

_Stamp = tuple[tuple[int, int] | None, tuple[int, int] | None, bytes]


class JournalView:
    """What is in the files of a journal on SQLite at one moment, whoever writes it, in a sound state or not.

    It is read from a copy, in a directory for temporary files, of all but what is in SQLite's way: so the files are not
    touched, and need not be writable. What is damaged is reported, and what is sound is there, as when they are opened.

    Parameters
    ----------
    path : str or path
        The file of the journal.
    on_checked : callable
        Called with how many groups have been checked, and how many there are.

    Attributes
    ----------
    path : Path
        The file.
    writer : int or None
        The process that had it open; 0 if it can't be seen from here, None for nobody.
    sizes : dict of str to int
        The files of the journal by name, and how many bytes they had.
    saved_s : float or None
        When the snapshot was written, in seconds since 1970; None if there is none.
    covered : int
        The position of the snapshot; 0 if there is none.
    first : int
        The position of the first group that is there; ``last() + 1`` if there is none.
    reports : tuple of grantwheel.journal.Report
        What does not fit. Nothing was set aside, so ``aside`` is None.
    aside : tuple of Path
        The directories with what was set aside before, by whoever opened the journal.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It is no journal, or one of a newer version.
    InUseError
        It is open in this very process: read that one.
    OSError
        It can't be read, or there is no room for the copy.
    """

    def __init__(self, path: str | os.PathLike[str], *, on_checked: OnProgress | None = None) -> None:
        self.path = Path(path).resolve()
        self._connection: sqlite3.Connection | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="grantwheel-")
        self._copy = Path(self._folder.name) / self.path.name
        try:
            with _as_os_error():
                self._open(on_checked)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def last(self) -> int:
        """Return the position of the last group, or of the snapshot if that is behind it."""
        return self._last

    def read(self, after: int = 0, /) -> Iterator[tuple[int, bytes]]:
        """Return the groups behind a position, with their positions.

        Raises
        ------
        LookupError
            Some of them are gone: begin with the snapshot.
        """
        if after < self.first - 1:
            raise LookupError(f"the groups up to {self.first - 1} are in the snapshot only")
        return self._read(after)

    def snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        """Return the position of the snapshot and its bytes in pieces, or None."""
        return _snapshot.read(beside(self._copy, SNAPSHOT))

    def close(self) -> None:
        """Remove the copy."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._folder.cleanup()

    def _open(self, on_checked: OnProgress | None) -> None:
        chain = self._take_copy()
        names = ("", WAL, SNAPSHOT)
        self.aside = tuple(sorted(self.path.parent.glob(f"{_escaped(self.path.name)}-damaged-*"), key=_number))
        found = [*self._look_at_snapshot(), *self._look_at_log(chain)]
        sound = make_sound(self._copy, was_one=was_journal(self.path), on_checked=on_checked)
        self.covered, self._last = sound.covered, sound.last
        found = [*(self._of_original(report) for report in sound.reports), *found]
        seen: dict[Path, Report] = {}
        for report in found:
            if report.kind == "damaged" or self.writer is None:  # else it is being written
                seen.setdefault(report.file, report._replace(last=sound.last))
        self.reports = tuple(seen.values())
        assert all(report.file.name in {self.path.name + name for name in names} for report in self.reports)
        self._connection = connect(self._copy)
        self._connection.execute("PRAGMA query_only=ON")
        self.first = self._find_first()

    def _take_copy(self) -> Chain:
        """Copy the files, so that they fit each other: again if SQLite's log has begun anew meanwhile."""
        bad = None
        for left in reversed(range(_TRIES)):
            self.writer = holder(beside(self.path, "-lock"))
            before = _stamp(self.path)
            self._copy_files()
            chain = read_chain(beside(self._copy, WAL))
            self.writer = self.writer if self.writer is not None else holder(beside(self.path, "-lock"))
            # What does not fit may have been written while it was copied: then it fits the next time.
            if _stamp(self.path) != before:
                bad = None
            elif self.writer is None or chain.kind != "damaged" or chain.bad == bad:
                return chain
            else:
                bad = chain.bad
            if left:
                time.sleep(_PAUSE_S)
        raise OSError(errno.EAGAIN, "the files change faster than they can be copied", str(self.path))

    def _copy_files(self) -> None:
        self.sizes, self.saved_s = {}, None
        for name in ("", WAL, _REPAIRED, SNAPSHOT):  # the snapshot last: groups are dropped when it is there
            source, target = beside(self.path, name), beside(self._copy, name)
            target.unlink(missing_ok=True)
            try:
                shutil.copyfile(source, target)
            except FileNotFoundError:
                if not name and not beside(self.path, SNAPSHOT).exists() and not beside(self.path, WAL).exists():
                    raise
                continue
            self.sizes[source.name] = target.stat().st_size
            if name == SNAPSHOT:
                self.saved_s = source.stat().st_mtime

    def _look_at_snapshot(self) -> Iterator[Report]:
        file = beside(self._copy, SNAPSHOT)
        try:
            _snapshot.check(file)
        except DamageError as error:
            yield self._of_original(Report("damaged", file, None, str(error), 0, None))

    def _look_at_log(self, chain: Chain) -> Iterator[Report]:
        if chain.kind != "sound":
            file = beside(self._copy, WAL)
            yield self._of_original(Report(chain.kind, file, chain.bad, chain.what, 0, None))

    def _of_original(self, report: Report) -> Report:
        """Name the files that were copied, and the byte also where it is in the words only."""
        what = report.what.removeprefix(f"{report.file}: ").replace(str(self._copy.parent), str(self.path.parent))
        byte = re.search(r" at byte (\d+)$", what)
        offset = int(byte[1]) if report.offset is None and byte is not None else report.offset
        return report._replace(file=self.path.parent / report.file.name, offset=offset, what=what, aside=None)

    def _find_first(self) -> int:
        """Return the first of the groups that are there without a hole, also of those that the snapshot stands for."""
        assert self._connection is not None
        first = self.covered + 1
        query = "SELECT sequence, crc, bytes FROM groups WHERE sequence <= ? ORDER BY sequence DESC"
        with contextlib.closing(self._connection.execute(query, (self.covered,))) as rows:
            for sequence, crc, data in rows:
                if sequence != first - 1 or not isinstance(data, bytes) or crc_of(sequence, data) != crc:
                    break
                first = sequence
        return first

    def _read(self, after: int) -> Iterator[tuple[int, bytes]]:
        while self._connection is not None and after < self._last:
            with _as_os_error():
                found = read_some(self._connection, after)
            if not found:
                return
            for sequence, _, data in found:
                yield sequence, data
            after = found[-1][0]


def _stamp(path: Path) -> _Stamp:
    """Return what is another one when SQLite's log has begun anew, or one of the files is another."""
    log = beside(path, WAL)
    try:
        with log.open("rb") as file:
            head = file.read(HEADER_SIZE)
    except FileNotFoundError:
        head = b""
    return identity(path), identity(log), head


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"the copy can't be read: {error}") from error


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _number(path: Path) -> int:
    ending = path.name.rpartition("-")[2]
    return int(ending) if ending.isdecimal() else 0
