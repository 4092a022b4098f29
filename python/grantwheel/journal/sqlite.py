"""A journal in a file of SQLite: a row for each group, the snapshot in a file beside it."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Self

from . import _snapshot
from ._database import (
    PAGE_SIZE,
    SNAPSHOT,
    WAL,
    code_of,
    connect,
    crc_of,
    cut_log,
    drop_some,
    is_damage,
    keep_log,
    read_slice,
    roll_back,
)
from ._errors import Conflict, DamageError, NotAppended
from ._files import beside, identity, lay_out
from ._lock import WriterLock
from ._recovery import LOCK, cut_back, make_sound, was_journal
from ._wal import FRAME_HEADER_SIZE, HEADER_SIZE
from ._words import Buffer, OnProgress, Report
from ._writer import OWN_NAME, become_writer, note_last, other_writer

_WAL_PAGES = 1000  # so many, and they are brought into the file; the log then begins anew in the same place
# What it is laid out for: some more, as that is an estimate. Whole frames, since the rest of one would look torn.
_WAL_BYTES = HEADER_SIZE + _WAL_PAGES * 5 // 4 * (FRAME_HEADER_SIZE + PAGE_SIZE)


class SqliteJournal:
    """A journal in a file of SQLite, for one writer at a time.

    Parameters
    ----------
    path : str or path
        The file. It is made if it is not there. Beside it are its log (``-wal``, ``-shm``), its snapshot
        (``-snapshot``), the lock of its writer (``-lock``), and what was set aside (``-damaged-1`` and so on). All are
        the owner's alone.
    durability : str
        ``"commit"``: a group is on the disk when `append` returns. ``"batch"``: when `flush` returns, or when the log
        is brought into the file; the end of the process takes nothing away, that of the machine what came since.
    busy_ms : int
        How long an append waits for another program that writes to the file, such as the shell of SQLite.
    on_checked : callable
        Called while it is opened, with how many groups have been checked and how many there are.

    Attributes
    ----------
    path : Path
        The file.
    durability : str
        As given.
    reports : tuple of grantwheel.journal.Report
        What was found damaged or torn and dealt with, oldest first.
    instance : str
        What tells it from any other, and from itself before something of it was damaged.

    Raises
    ------
    InUseError
        Another one has it open; with the pid.
    FormatError
        The file is something else, or of a newer version.
    OSError, sqlite3.Error
        It can't be opened, or not be made sound for want of room.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Literal["commit", "batch"] = "commit",
        busy_ms: int = 1000,
        on_checked: OnProgress | None = None,
    ) -> None:
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._closed = True
        self._pid = os.getpid()
        if durability not in ("commit", "batch"):
            raise ValueError(f"durability is 'commit' or 'batch', not {durability!r}")
        self.path = Path(path).resolve()  # so that it has one lock, by whatever name it is opened
        self.durability = durability
        self.reports: tuple[Report, ...] = ()
        self._busy_ms = busy_ms
        self._saver = threading.Lock()  # taken before the next one, that before the one after
        self._writer = threading.Lock()
        self._reader = threading.Lock()
        self._token = b""
        self._doubt: str | None = None  # why it is not known where the journal stands
        self._last = self._covered = self._dropped = self._flushed = self._pages = 0
        self._was_one = was_journal(self.path)
        self._lock = WriterLock(beside(self.path, LOCK))
        try:
            _snapshot.clear(beside(self.path, SNAPSHOT))  # later one may be in the making
            self._open(on_checked)
        except BaseException:
            self._disconnect()
            self._lock.release()
            raise
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def last(self) -> int:
        """Return the position of the last group, or of the snapshot if that is behind it.

        After a failed commit or sync the files are closed, read again, and what is there is written to a new file,
        which is synced and takes the place of the old one.

        Raises
        ------
        OSError, sqlite3.Error
            That can't be done now.
        ValueError
            The journal is closed.
        """
        self._require_process()
        with self._writer:
            self._require_open()
            if self._doubt is not None:
                self._disconnect()
                self._open()
            return self._last

    def append(self, after: int, group: Buffer, /) -> int:
        """Put a group behind the last one, and return its position.

        Raises
        ------
        NotAppended
            It is certainly not there: there is no room, another program is writing to the file, the journal is closed
            or was opened before a fork, or `last` has to say first what became of the group before.
        Conflict
            The last position is another one, or somebody else has taken the file.
        sqlite3.Error
            The commit or its sync has failed: the group may be there. `last` tells.
        """
        data = memoryview(group).cast("B")
        if os.getpid() != self._pid:
            raise NotAppended("the journal was opened before a fork")
        with self._writer:
            if self._closed:
                raise NotAppended("the journal is closed")
            if self._doubt is not None or self._writing is None:
                raise NotAppended(f"where the journal stands is for last() to say: {self._doubt}")
            if after != self._last:
                raise Conflict(
                    f"the last group of {self.path} is {self._last}, not {after}: {self._who(self._writing)}"
                )
            self._kept.forget()
            upto = self._put(self._writing, after + 1, data)
            self._commit(self._writing)
            self._last = after + 1
            if upto > self._dropped:
                self._dropped = upto
                self._pages += 2
            self._pages += len(data) // PAGE_SIZE + 2
            if self.durability == "commit":
                self._flushed = self._last
            if self._pages >= _WAL_PAGES:
                self._checkpoint(self._writing)
            return self._last

    def flush(self) -> None:
        """Have all groups so far on the disk; only with durability ``batch`` there is something to do.

        Raises
        ------
        sqlite3.Error
            That is not known now. `last` tells which groups are there, and then all of them are on the disk.
        OSError
            `last` has to say first what became of a group.
        ValueError
            The journal is closed.
        """
        self._require_process()
        with self._writer:
            self._require_open()
            connection = self._require_certain()
            if self._flushed == self._last:
                return
            self._doubt = "a flush was interrupted"
            connection.execute("PRAGMA synchronous=FULL")
            note_last(connection, self._last, self._token)
            connection.execute("PRAGMA synchronous=NORMAL")
            self._doubt = None
            self._pages += 1
            self._flushed = self._last

    def read(self, after: int = 0, /) -> Iterator[tuple[int, bytes]]:
        """Return the groups behind a position, with their positions.

        Raises
        ------
        LookupError
            Some of them are gone: begin with the snapshot. While reading, too.
        DamageError
            A group is not what was written. While reading.
        OSError, sqlite3.Error
            The file can't be read. While reading.
        ValueError
            The journal is closed, or the position is negative.
        """
        return ((first + i, group) for first, groups in self.read_slices(after) for i, group in enumerate(groups))

    def read_slices(self, after: int = 0, /) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """Return the same as `read`, many groups at once: the position of the first of some, and these."""
        if after < 0:
            raise ValueError(f"a position is not negative, as {after} is")
        self._require_process()
        self._require_open()
        return self._read(after)

    def save(self, sequence: int, chunks: Iterable[Buffer], /) -> None:
        """Keep a snapshot in a file beside the log: written, synced, renamed, the directory synced.

        The groups that it stands for are dropped by the appends that follow, some with each, in the same commit.

        Raises
        ------
        ValueError
            The position is before that of the snapshot that is there, or behind the last group; or the journal is
            closed.
        Exception
            What the chunks or the file system raise. What was there before is there still.
        """
        self._require_process()
        with self._saver:
            with self._writer:
                self._require_open()
                if not self._covered <= sequence <= self._last:
                    span = f"from {self._covered} to {self._last}"
                    raise ValueError(f"a snapshot is of a position {span}, which {sequence} is not")
            _snapshot.write(beside(self.path, SNAPSHOT), sequence, chunks)
            with self._writer:
                self._covered = sequence

    def snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        """Return the position of the snapshot and its bytes in pieces of up to a MiB, or None.

        Raises
        ------
        DamageError
            It is not what was written. While reading, too.
        OSError
            It can't be read. While reading, too.
        ValueError
            The journal is closed.
        """
        self._require_process()
        self._require_open()
        return _snapshot.read(beside(self.path, SNAPSHOT))

    def set_aside(self, what: str, last: int, /, *, snapshot: bool = True) -> Report:
        """Go on from an earlier group, after all files were copied aside, as what is behind it can't be understood.

        ``what`` is wrong, for people; ``last`` is the last group that makes sense. Without its ``snapshot``, which goes
        as well then, only groups that begin at 1 do. What is returned is in `reports` too.

        Raises
        ------
        OSError, sqlite3.Error
            There is no room for the copies, for example. What was there is there still.
        ValueError
            The journal is closed, or the position is none that it has.
        """
        self._require_process()
        with self._saver, self._writer:
            self._require_open()
            after = self._covered if snapshot else 0
            if not after <= last <= self._last:
                raise ValueError(f"the journal has groups from {after} to {self._last}, and not {last}")
            self._disconnect()
            self._doubt = "what is damaged is being set aside"
            report = cut_back(self.path, what, after, last, keep_snapshot=snapshot)
            self._token = b""  # what is left is not the journal that it was
            self._open()
            self.reports += (report,)
            return report

    def close(self) -> None:
        """Bring the log into the file and let another one open it. It waits for a `save` that is under way."""
        if self._closed:
            return
        if os.getpid() != self._pid:  # of the process that has opened it, as the files are
            self._closed = True
            return
        with self._saver, self._writer:
            if not self._closed:
                self._closed = True
                if self._doubt is None and self._writing is not None:
                    try:
                        note_last(self._writing, self._last, self._token)
                    except sqlite3.Error as error:
                        cut_log(self.path)
                        self._doubt = f"the journal could not be closed: {error}"
                self._disconnect()
                self._lock.release()

    def _open(self, on_checked: OnProgress | None = None) -> None:
        """Make the files sound and open them. Where this raises it is still not known where the journal stands."""
        self._doubt = self._doubt or "it is not open"
        sound = make_sound(self.path, was_one=self._was_one, for_writing=True, on_checked=on_checked)
        self.reports += sound.reports
        self._writing = connection = connect(self.path, self._busy_ms / 1000)
        connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        connection.execute("PRAGMA synchronous=FULL")
        known = self._token[:OWN_NAME] if all(one.kind == "torn" for one in sound.reports) else b""
        self._token = become_writer(connection, sound.last, known)  # if it fails, SQLite drops its log
        self.instance = self._token[:OWN_NAME].hex()
        if self.durability == "batch":
            connection.execute("PRAGMA synchronous=NORMAL")
        lay_out(beside(self.path, WAL), _WAL_BYTES)
        (first,) = connection.execute("SELECT min(sequence) FROM groups").fetchone()
        with self._reader:
            self._reading = connect(self.path, mode="ro")
            self._reading.execute("PRAGMA query_only=ON")
            keep_log(self._reading)
        self._identity = identity(self.path)
        self._kept = sound.kept
        self._covered, self._last, self._flushed, self._pages = sound.covered, sound.last, sound.last, 0
        self._dropped = sound.covered if first is None else first - 1
        self._was_one = True
        self._doubt = None

    def _disconnect(self) -> None:
        """Close the files. That may fail, and what is there then is for the next one who opens them to see."""
        with self._reader:
            reading, self._reading = self._reading, None
        writing, self._writing = self._writing, None
        # The last one brings the log into the file, unchecked; in doubt that is the one that only reads, and so can't.
        for connection in (reading, writing) if self._doubt is None else (writing, reading):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def _put(self, connection: sqlite3.Connection, position: int, data: memoryview) -> int:
        """Begin a transaction with a group, and with the end of some that are dropped; return the last of those."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            insert = "INSERT INTO groups(sequence, crc, bytes) SELECT ?, ?, ? FROM writer WHERE token = ?"
            found = connection.execute(insert, (position, crc_of(position, data), data, self._token)).rowcount
            if found != 1 or identity(self.path) != self._identity:
                raise Conflict(f"somebody else has taken {self.path}: {self._who(connection)}")
            # About twice what is written, so that it costs no append much.
            return drop_some(connection, self._dropped, self._covered, 2 * (len(data) + PAGE_SIZE))
        except BaseException as error:
            if not roll_back(connection):
                self._doubt = "a transaction could not be ended"
                raise
            if isinstance(error, sqlite3.IntegrityError):
                raise Conflict(f"{self.path} has a group {position}: {self._who(connection)}") from error
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                self._doubt = f"the file is damaged: {error}"
                raise
            if isinstance(error, sqlite3.Error | OverflowError | MemoryError):
                raise NotAppended(f"{self.path}: {error}") from error
            raise

    def _commit(self, connection: sqlite3.Connection) -> None:
        self._doubt = "a commit has failed"
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            # No room to write to: so it has not come to the last frame, nor to the sync.
            if code_of(error) != sqlite3.SQLITE_FULL or not roll_back(connection):
                raise
            self._doubt = None
            cut_log(self.path)
            raise NotAppended(f"{self.path}: {error}") from error
        self._doubt = None

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Bring the log into the file. The next append then begins it anew."""
        try:
            _, frames, done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if code_of(error) not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                self._doubt = "the log could not be brought into the file"
                raise
            self._pages -= _WAL_PAGES // 4  # tried again after some more
        else:
            self._pages = 0 if done == frames else _WAL_PAGES * 3 // 4

    def _read(self, after: int) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        for kept in self._kept.take(after):
            self._require_open()
            yield after + 1, kept
            after += len(kept)
        while True:
            self._require_process()
            with self._reader:
                if self._reading is None:
                    self._require_open()
                    raise OSError(f"where the journal stands is for last() to say: {self._doubt}")
                groups, wrong = read_slice(self._reading, after)
            if groups:
                yield after + 1, groups
            after += len(groups)
            if wrong is not None and wrong[0] == after + 1:
                raise DamageError(f"group {after + 1} of {self.path} does not fit its checksum")
            if (wrong is not None or not groups) and after < self._covered:
                raise LookupError(f"the groups up to {self._covered} are in the snapshot only")
            if wrong is not None:
                raise DamageError(f"group {after + 1} of {self.path} is missing")
            if not groups:
                return

    def _who(self, connection: sqlite3.Connection) -> str:
        """Say who writes the file."""
        if other := other_writer(connection, self._token):
            return other
        if identity(self.path) != self._identity:
            return "another file is in its place"
        return "this journal is its only writer"

    def _require_process(self) -> None:
        if os.getpid() != self._pid:
            raise ValueError("the journal was opened before a fork, in which only the parent has it")

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("the journal is closed")

    def _require_certain(self) -> sqlite3.Connection:
        if self._doubt is not None or self._writing is None:
            raise OSError(f"where the journal stands is for last() to say: {self._doubt}")
        return self._writing
