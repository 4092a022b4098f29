"""The SQLite file of a journal: its form, how it is made, whether it is sound, and what can be read if it is not.

The form, which other programs may read and write: `application_id` and `user_version` as below; a table ``groups`` with
a row for each group, of which ``crc`` is the CRC-32 of its bytes with the position, cut to 32 bits, as the value to
begin with; and a table ``writer`` with the one who writes.
"""

import binascii
import contextlib
import errno
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ._errors import FormatError
from ._files import ASIDE, beside, copy, create, scratch, sync_directory, sync_file
from ._kept import KeptGroups
from ._wal import FRAME_HEADER_SIZE, HEADER_SIZE
from ._words import OnProgress

APPLICATION_ID = 0x47574A4C  # "GWJL"
FORMAT = 1
PAGE_SIZE = 4096
WAL = "-wal"
SNAPSHOT = "-snapshot"
REPAIR = "-repair"
INDEX = "-shm"
_BUILDING = "-building"
_REPAIRED = "-repaired"
# How each of these files begins: the name, the size of a page, WAL for writing and reading, and constants of SQLite.
_BEGINNING = b"SQLite format 3\0" + PAGE_SIZE.to_bytes(2, "big") + bytes([2, 2, 0, 64, 32, 32])
_SCHEMA = {
    "groups": "CREATE TABLE groups(sequence INTEGER PRIMARY KEY, crc INTEGER NOT NULL, bytes BLOB NOT NULL)",
    "writer": (
        "CREATE TABLE writer(id INTEGER PRIMARY KEY CHECK (id = 1), token BLOB NOT NULL, pid INTEGER NOT NULL, "
        "host TEXT NOT NULL, flushed INTEGER NOT NULL)"
    ),
}
Row: TypeAlias = tuple[int, int, Any]  # sequence, crc, and the bytes, unless it is damaged
_INDEX_SIZE = 48  # of its head, which is there twice
_INDEX_BYTES = 32768  # at first
_INDEX_BLOCK = 4096
_SLICE_BYTES = 1 << 20  # what one look at the file reads, about
_SLICE_ROWS = 1024
_DROPPED_ROWS = 64  # at most so many at once
_INSERT = "INSERT INTO groups(sequence, crc, bytes) VALUES (?, ?, ?)"


def crc_of(sequence: int, data: bytes | memoryview) -> int:
    """Return what tells a group at its position from anything else."""
    return binascii.crc32(data, sequence & 0xFFFFFFFF)


def connect(path: Path, timeout_s: float = 1.0, *, mode: Literal["rw", "ro"] = "rw") -> sqlite3.Connection:
    """Open a file that is there, for whichever thread has the turn.

    Raises
    ------
    OSError, sqlite3.Error
        It can't be opened, or there is no room for what SQLite has beside it.
    """
    _require_room_for_index(path)
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "cell_size_check=ON",
            "trusted_schema=OFF",
            "secure_delete=OFF",  # where it is on, what is dropped is written once more, as zeros
            "temp_store=MEMORY",
            "cache_spill=OFF",  # no page of a group is in the log before its commit
            "wal_autocheckpoint=0",  # those by itself swallow their errors
        ):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _require_room_for_index(path: Path) -> None:
    """Refuse what would end the process.

    SQLite has the index of its log written through memory, where a block that can't be had is a signal. It makes sure
    of one byte in each 4096 before: that is enough unless the blocks are smaller.
    """
    disk = os.statvfs(path.parent)
    has_small_blocks = disk.f_blocks > 0 and disk.f_frsize < _INDEX_BLOCK  # some file systems say nothing of themselves
    if has_small_blocks and disk.f_bavail * disk.f_frsize < 2 * _INDEX_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@contextlib.contextmanager
def looking_into(path: Path) -> Iterator[sqlite3.Connection]:
    """Have SQLite read a file for the time of a block, and leave it and its log as they are.

    Whoever closes such a file last brings the log into it, unless that one may only read.
    """
    with contextlib.closing(connect(path, mode="ro")) as reader, contextlib.closing(connect(path)) as connection:
        for one in (connection, reader):  # the first one makes the index of the log
            keep_log(one)
        yield connection


def keep_log(reader: sqlite3.Connection) -> None:
    """Have one that may only read be one of those who have the log open: so is who has read something."""
    with contextlib.suppress(sqlite3.DatabaseError):  # which whoever wants to read something meets as well
        reader.execute("SELECT name FROM sqlite_schema LIMIT 1").fetchone()


def identify(path: Path, *, was_one: bool = False) -> None:
    """Check that a file is a journal, and of a version that is known; without SQLite, which would open anything.

    One that was a journal may be something else now: that is damage.

    Raises
    ------
    FormatError
        It is not.
    """
    with path.open("rb") as file:
        head = file.read(100)
    application = int.from_bytes(head[68:72], "big")
    version = int.from_bytes(head[60:64], "big")
    if application != APPLICATION_ID:
        if was_one or (len(head) < 100 and any(beside(path, ending).exists() for ending in (WAL, SNAPSHOT))):
            return  # what is beside it says so
        raise FormatError(f"{path} is not a journal of grantwheel")
    if version != FORMAT:
        raise FormatError(f"{path} is a journal of version {version}; this program knows version {FORMAT}")


def has_its_beginning(path: Path) -> bool:
    """Return whether a file begins as all journals do. SQLite takes another beginning for a file to be read only."""
    with path.open("rb") as file:
        head = file.read(100)
    return head.startswith(_BEGINNING) and int.from_bytes(head[68:72], "big") == APPLICATION_ID


def build(path: Path, groups: Iterable[tuple[int, bytes]]) -> None:
    """Make a new file with groups, and put it in the place of the old one and its log when it is whole.

    Raises
    ------
    OSError, sqlite3.Error
        It could not be made. What was there is there still.
    """
    with _replacing(path) as connection:
        connection.execute(f"PRAGMA page_size={PAGE_SIZE}")
        connection.execute("BEGIN")
        for statement in _SCHEMA.values():
            connection.execute(statement)
        rows = ((sequence, crc_of(sequence, group), group) for sequence, group in groups)
        connection.executemany(_INSERT, rows)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute("COMMIT")


def write_anew(path: Path, connection: sqlite3.Connection) -> None:
    """Put a new file with all that one reads in the place of the old one and its log.

    Raises
    ------
    OSError, sqlite3.Error
        It could not be made. What was there is there still.
    """
    with _replacing(path) as new:
        connection.backup(new)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[sqlite3.Connection]:
    """Have an empty file, which is put in the place of another one when the block has filled it."""
    clear(path)
    building = beside(path, _BUILDING)
    try:
        create(building).close()
        with contextlib.closing(connect(building)) as connection:
            connection.execute("PRAGMA synchronous=OFF")  # it is synced as a whole
            connection.execute("PRAGMA journal_mode=MEMORY")
            yield connection
            connection.execute("PRAGMA journal_mode=WAL")
        if beside(building, WAL).exists():
            raise OSError(f"{building} could not be closed: the log is still there")
        sync_file(building)
    except BaseException:
        with contextlib.suppress(OSError):
            clear(path)  # what is half made takes the room that may be missing
        raise
    building.rename(beside(path, _REPAIRED))
    sync_directory(path.parent)
    finish(path)


def clear(path: Path) -> None:
    """Remove what a process that ended in the middle has left half made."""
    for ending in ("", "-journal", WAL, INDEX):
        beside(path, _BUILDING + ending).unlink(missing_ok=True)
    for directory in (REPAIR, ASIDE):
        shutil.rmtree(beside(path, directory), ignore_errors=True)


def finish(path: Path) -> None:
    """Put a new file in its place, if there is one: also where a crash has kept `build` from doing so.

    The old log goes first, and for good: SQLite would take it for that of the new file.
    """
    repaired = beside(path, _REPAIRED)
    if not repaired.exists():
        return
    for ending in (WAL, INDEX):
        beside(path, ending).unlink(missing_ok=True)
    sync_directory(path.parent)
    repaired.rename(path)
    sync_directory(path.parent)


def find_fault(
    connection: sqlite3.Connection, after: int, kept: KeptGroups, on_checked: OnProgress | None
) -> tuple[str | None, int]:
    """Return what is wrong with a file, or None, and the position of the last group that is right.

    Every page is looked at, and every group behind a position; the groups are kept.
    """
    last = after
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            return str(verdict), last
        # A flipped bit here is all right for SQLite, and may hide every group.
        if dict(connection.execute("SELECT name, sql FROM sqlite_schema")) != _SCHEMA:
            return "the tables are not those of a journal", last
        (end,) = connection.execute("SELECT max(sequence) FROM groups").fetchone()
        while True:
            groups, wrong = read_slice(connection, last)
            last += len(groups)
            kept.add(groups)
            if groups and on_checked is not None:
                on_checked(last - after, end - after)
            if wrong is not None:
                if wrong[0] != last + 1:
                    return f"group {last + 1} is missing, and {wrong[0]} is there", last
                return f"group {wrong[0]} does not fit its checksum", last
            if not groups:
                break
        for (flushed,) in connection.execute("SELECT flushed FROM writer"):
            if last < flushed:
                return f"the groups up to {flushed} were there, and {last} is the last one", last
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return str(error), last
        raise
    return None, last


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether SQLite says that the file is not what it has written, or not what `build` has."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def code_of(error: sqlite3.Error) -> int:
    """Return the primary code of an error of SQLite, 0 for one of the module's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def roll_back(connection: sqlite3.Connection) -> bool:
    """End a transaction, and return whether that is certain."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return not connection.in_transaction


def cut_log(path: Path) -> None:
    """Cut off what a failed commit has left in SQLite's log, if that is possible: it would look torn later.

    SQLite's index of the log knows how many frames are committed, https://sqlite.org/walformat.html. To follow the log
    itself would take as long as a start does, for each commit on a disk that is full.
    """
    with contextlib.suppress(OSError):
        with beside(path, INDEX).open("rb") as file:
            head, copy_of_it = file.read(_INDEX_SIZE), file.read(_INDEX_SIZE)
        if len(head) < _INDEX_SIZE or head != copy_of_it:  # it is being changed
            return
        frames = int.from_bytes(head[16:20], sys.byteorder)
        end = HEADER_SIZE + frames * (FRAME_HEADER_SIZE + PAGE_SIZE)
        if frames and end < beside(path, WAL).stat().st_size:
            os.truncate(beside(path, WAL), end)


def read_some(connection: sqlite3.Connection, after: int) -> list[Row]:
    """Return some groups behind a position with their checksums, in a short transaction.

    A long one would keep SQLite's log from beginning anew.
    """
    found = []
    size = 0
    query = "SELECT sequence, crc, bytes FROM groups WHERE sequence > ? ORDER BY sequence LIMIT ?"
    with contextlib.closing(connection.execute(query, (after, _SLICE_ROWS))) as rows:
        for row in rows:
            found.append(row)
            data = row[2]
            size += len(data) if type(data) is bytes else 1  # in a damaged file it may be anything
            if size >= _SLICE_BYTES:
                break
    return found


def read_slice(connection: sqlite3.Connection, after: int) -> tuple[tuple[bytes, ...], Row | None]:
    """Return some groups that follow on a position and fit their checksums, and the next row if it does neither.

    No groups and no row: that is the end.
    """
    groups = _read_all_of(connection, after)
    if groups:
        return groups, None
    rows = read_some(connection, after)
    for i, (sequence, crc, data) in enumerate(rows):
        if sequence != after + 1 + i or not isinstance(data, bytes) or crc_of(sequence, data) != crc:
            return tuple(row[2] for row in rows[:i]), rows[i]
    return tuple(row[2] for row in rows), None


def _read_all_of(connection: sqlite3.Connection, after: int) -> tuple[bytes, ...]:
    """Return a slice all at once, if it is small and nothing is wrong with it; else nothing.

    A step in Python for each row would take longer than all the rest.
    """
    query = (
        "SELECT count(*), min(sequence), max(sequence), sum(length(bytes)), sum(typeof(bytes) = 'blob') "
        "FROM (SELECT sequence, bytes FROM groups WHERE sequence > ? ORDER BY sequence LIMIT ?)"
    )
    count, first, last, size, blobs = connection.execute(query, (after, _SLICE_ROWS)).fetchone()
    if (first, last, blobs) != (after + 1, after + count, count) or size > _SLICE_BYTES:
        return ()
    query = "SELECT crc, bytes FROM groups WHERE sequence > ? AND sequence <= ? ORDER BY sequence"
    if not (rows := connection.execute(query, (after, last)).fetchall()):
        return ()
    sums, groups = zip(*rows, strict=True)
    is_whole = tuple(map(binascii.crc32, groups, range(first, last + 1))) == sums
    return groups if is_whole else ()


def drop_some(connection: sqlite3.Connection, after: int, upto: int, size: int) -> int:
    """Drop some of the groups behind a position and up to another, about so many bytes; return the last of those."""
    if after >= upto:
        return after
    last = after
    query = "SELECT sequence, length(bytes) FROM groups WHERE sequence <= ? ORDER BY sequence LIMIT ?"
    for sequence, length in connection.execute(query, (upto, _DROPPED_ROWS)).fetchall():
        last = sequence
        size -= length
        if size <= 0:
            break
    else:
        last = last if last > after else upto
    connection.execute("DELETE FROM groups WHERE sequence <= ?", (last,))
    return last


def sound_groups(path: Path, work: Path, wal_end: int, after: int) -> Iterator[tuple[int, bytes]]:
    """Return the groups behind a position, as far as they can be read, one after the other.

    They are taken from two copies of the file: one with its log up to a byte, one without it, since what the log has
    lost may be in the file already. A group that fits its checksum is right wherever it is found.
    """
    with scratch(work), contextlib.ExitStack() as stack:
        template = work / "template"
        build(template, ())
        connections = []
        for with_wal in (True, False):
            place = work / ("with" if with_wal else "without")
            place.mkdir(mode=0o700)
            if not path.exists():
                continue
            copy(path, place / path.name)
            _put_first_page(place / path.name, template)
            log = beside(path, WAL)
            if with_wal and wal_end and log.exists():
                copy(log, place / log.name, wal_end)
            with _where_damaged():
                connections.append(stack.enter_context(contextlib.closing(connect(place / path.name))))
        position = after + 1
        while (group := _first(connections, position)) is not None:
            yield position, group
            position += 1


@contextlib.contextmanager
def _where_damaged() -> Iterator[None]:
    """Pass over what is damaged. What can't be read now is not: it would be left out for good."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise


def _put_first_page(path: Path, template: Path) -> None:
    """Give a copy the first page that all journals have: without that nothing can be read.

    Beside what never changes it has a list of free pages, which nobody needs here, and how many pages there are.
    """
    pages = path.stat().st_size // PAGE_SIZE
    first = template.read_bytes()[:PAGE_SIZE]
    with path.open("r+b") as file:
        file.write(first[:28] + pages.to_bytes(4, "big") + bytes(8) + first[40:])


def _first(connections: list[sqlite3.Connection], position: int) -> bytes | None:
    for connection in connections:
        with _where_damaged():
            row = connection.execute("SELECT crc, bytes FROM groups WHERE sequence = ?", (position,)).fetchone()
            if row is not None and isinstance(row[1], bytes) and crc_of(position, row[1]) == row[0]:
                return row[1]
    return None
