"""What comes before a journal on SQLite is opened: are its files sound? If not, they are set aside and made so.

Nothing here is done to a file that is not sound before a copy of it is on the disk.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import _snapshot
from ._database import (
    REPAIR,
    SNAPSHOT,
    WAL,
    build,
    clear,
    find_fault,
    finish,
    has_its_beginning,
    identify,
    looking_into,
    sound_groups,
    write_anew,
)
from ._errors import DamageError
from ._files import beside, keep_to_owner, set_aside, sync_directory
from ._kept import KeptGroups
from ._wal import Chain, read_chain
from ._words import OnProgress, Report

LOCK = "-lock"
_ALL = ("", WAL, SNAPSHOT)


class Sound(NamedTuple):
    """Where a journal stands: its snapshot, its last group, what was found on the way, and groups that were read."""

    covered: int
    last: int
    reports: tuple[Report, ...]
    kept: KeptGroups


class _Fault(NamedTuple):
    file: Path
    offset: int | None
    what: str


def was_journal(path: Path) -> bool:
    """Return whether there has been a journal of this name, whatever is there now: its lock stays.

    Raises
    ------
    FormatError
        There has not, and the file is something else.
    """
    if beside(path, LOCK).exists():
        return True
    if path.exists() and path.stat().st_size:
        identify(path)
    return False


def make_sound(
    path: Path, *, was_one: bool = False, for_writing: bool = False, on_checked: OnProgress | None = None
) -> Sound:
    """Make the files of a journal sound, and say where it stands.

    Parameters
    ----------
    path : Path
        The file. If there is none, nor anything of one, a new journal is made.
    was_one : bool
        Whether it was a journal, so that anything else there now is damage.
    for_writing : bool
        Whether more is to be written, so that what the kernel shows has to be on the disk. A file that was left with
        its log was not closed, or not well: a sync may have failed, whoever was told of it. It is written anew.
    on_checked : callable
        Told of how many groups have been checked, and how many there are.

    Raises
    ------
    FormatError
        It is not a journal, or one of a newer version.
    OSError, sqlite3.Error
        The files can't be read, or not be made sound for want of room. What was there is there still.
    """
    clear(path)
    finish(path)
    log, snapshot = beside(path, WAL), beside(path, SNAPSHOT)
    is_there = path.exists() and path.stat().st_size > 0
    if not is_there and not snapshot.exists() and not (log.exists() and log.stat().st_size):
        build(path, ())
        return Sound(0, 0, (), KeptGroups())
    if is_there:
        identify(path, was_one=was_one)
    for file in (path, log, snapshot):
        if file.exists():
            keep_to_owner(file)
    if for_writing:
        sync_directory(path.parent)  # whoever gave a snapshot its name may have ended before that
    covered, fault = _look_at_snapshot(snapshot)
    kept = KeptGroups(covered)
    chain = read_chain(log)
    if fault is None and chain.kind == "damaged":
        fault = _Fault(log, chain.bad, chain.what)
    if fault is None and not is_there:
        fault = _Fault(path, None, "the file is gone, and others of the journal are there")
    if fault is None and not has_its_beginning(path):
        fault = _Fault(path, 0, "the file does not begin as a journal does")
    aside = whole = None
    if fault is None:
        is_left = log.exists() and log.stat().st_size > 0
        if chain.kind == "torn":  # what looks like it may be a flipped bit in the last group
            aside = set_aside(path, (WAL,))
        fault, whole, last = _look_at_database(path, covered, kept, on_checked, rebuild=for_writing and is_left)
    if fault is not None:
        return _repair(path, covered, chain, fault, whole or set_aside(path, _ALL))
    reports = (Report("torn", log, chain.bad, chain.what, last, aside),) if chain.kind == "torn" else ()
    return Sound(covered, last, reports, kept)


def cut_back(path: Path, what: str, after: int, last: int, *, keep_snapshot: bool) -> Report:
    """Set a journal aside that nobody has open, and keep of it what comes up to a group.

    Raises
    ------
    OSError, sqlite3.Error
        There is no room, or the files can't be read. What was there is there still.
    """
    aside = set_aside(path, _ALL)
    end = read_chain(beside(path, WAL)).end
    kept = after

    def groups() -> Iterator[tuple[int, bytes]]:
        nonlocal kept
        for position, group in sound_groups(aside / path.name, beside(path, REPAIR), end, after):
            if position > last:
                return
            kept = position
            yield position, group

    build(path, groups())
    snapshot = beside(path, SNAPSHOT)
    if not keep_snapshot:
        snapshot.unlink(missing_ok=True)
        sync_directory(path.parent)
    file = path if keep_snapshot else snapshot
    return Report("damaged", file, None, what, kept, aside)


def _look_at_snapshot(snapshot: Path) -> tuple[int, _Fault | None]:
    try:
        return _snapshot.check(snapshot) or 0, None
    except DamageError as error:
        return 0, _Fault(snapshot, None, str(error))


def _look_at_database(
    path: Path, covered: int, kept: KeptGroups, on_checked: OnProgress | None, *, rebuild: bool
) -> tuple[_Fault | None, Path | None, int]:
    """Have SQLite read the file, and write what it reads to a new one if that is wanted.

    SQLite takes some errors of reading for damage, which is still there at a second look.
    """
    fault = None
    with contextlib.ExitStack() as opened:
        for _ in range(2):
            connection = opened.enter_context(looking_into(path))
            kept.forget()
            what, last = find_fault(connection, covered, kept, on_checked)
            if what is None:
                if rebuild:
                    write_anew(path, connection)
                return None, None, last
            fault = _Fault(path, None, what)
        return fault, set_aside(path, _ALL), last


def _repair(path: Path, covered: int, chain: Chain, fault: _Fault, aside: Path) -> Sound:
    """Go on with what is sound of the files that have been set aside."""
    last = covered

    def groups() -> Iterator[tuple[int, bytes]]:
        nonlocal last
        for position, group in sound_groups(aside / path.name, beside(path, REPAIR), chain.end, covered):
            last = position
            yield position, group

    build(path, groups())
    snapshot = beside(path, SNAPSHOT)
    if fault.file == snapshot:
        snapshot.unlink()
        sync_directory(path.parent)
    return Sound(covered, last, (Report("damaged", fault.file, fault.offset, fault.what, last, aside),), KeptGroups())
