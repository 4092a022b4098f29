"""A journal whose files were cut, flipped or lost: never wrong, and nothing of it overwritten."""

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from grantwheel.journal import DamageError, FormatError, Report
from grantwheel.journal._wal import FRAME_HEADER_SIZE, HEADER_SIZE, checksum, read_chain
from grantwheel.journal.sqlite import SqliteJournal

FRAME = FRAME_HEADER_SIZE + 4096
TAIL = 16 * 1024
GROUPS = 30
SAMPLE = 24


def group(position: int) -> bytes:
    return b"%d " % position * 40


def copy(source: Path, target: Path) -> Path:
    """Copy the files of a journal, so that they look as after the end of its process."""
    target.mkdir()
    for file in source.iterdir():
        if file.is_file():
            shutil.copyfile(file, target / file.name)
    return target / "grants.db"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as a process leaves it that is killed: the last groups are in the log."""
    folder = tmp_path_factory.mktemp("killed")
    with SqliteJournal(folder / "grants.db") as journal:
        for position in range(1, 6):
            journal.append(position - 1, group(position))
    with SqliteJournal(folder / "grants.db") as journal:
        for position in range(6, GROUPS + 1):
            journal.append(position - 1, group(position))
        path = copy(folder, tmp_path_factory.mktemp("copies") / "killed")
    os.truncate(log_of(path), read_chain(log_of(path)).end)  # what is laid out for groups to come is not of interest
    return path.parent


def log_of(path: Path) -> Path:
    return path.with_name("grants.db-wal")


def flip(path: Path, at: int, bit: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ bit]))


def opened(path: Path) -> tuple[int, tuple[Report, ...]]:
    """Open a journal, check that it is a beginning of what was written and can go on, and say how much it is."""
    with SqliteJournal(path) as journal:
        last = journal.last()
        assert list(journal.read(0)) == [(position, group(position)) for position in range(1, last + 1)]
        assert journal.append(last, b"more") == last + 1
        reports = journal.reports
    with SqliteJournal(path) as journal:
        assert journal.last() == last + 1
        assert journal.reports == ()
    return last, reports


def check_aside(report: Report, before: dict[str, bytes]) -> None:
    """The files are set aside as they were found."""
    assert report.aside is not None
    for name, data in before.items():
        if name.endswith("-wal") or (report.kind == "damaged" and not name.endswith(("-shm", "-lock"))):
            assert (report.aside / name).read_bytes() == data
    assert report.aside.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in report.aside.iterdir()} == {0o600}


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}


def test_the_log_of_a_killed_process_is_sound(killed: Path, tmp_path: Path) -> None:
    path = copy(killed, tmp_path / "it")
    chain = read_chain(log_of(path))
    assert (chain.kind, chain.end) == ("sound", log_of(path).stat().st_size)
    assert chain.frames > GROUPS - 6
    assert opened(path) == (GROUPS, ())


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_checksum_is_that_of_sqlite(killed: Path, order: str) -> None:
    head = log_of(killed / "grants.db").read_bytes()[:HEADER_SIZE]
    magic = 0x377F0683 if order == ">" else 0x377F0682
    same = (int.from_bytes(head[24:28], "big"), int.from_bytes(head[28:32], "big"))
    assert (checksum(order, (0, 0), head[:24]) == same) == (int.from_bytes(head[:4], "big") == magic)


def places(size: int, sample: int = SAMPLE) -> list[int]:
    """The bytes of the tail that are damaged, one after the other; all of them for a sample of 0."""
    tail = range(max(size - TAIL, 0), size)
    if not sample:
        return list(tail)
    edges = [size - 1, size - FRAME, size - FRAME + 1, size - FRAME + 23, size - FRAME + 24, size - 2 * FRAME]
    return sorted({*edges, *random.Random(17).sample(tail, min(sample, len(tail)))})


def check_cut(killed: Path, folder: Path, at: int) -> None:
    path = copy(killed, folder)
    size = log_of(path).stat().st_size
    os.truncate(log_of(path), at)
    last, reports = opened(path)
    assert last >= GROUPS - 2 - (size - at) // FRAME
    whole = (at - HEADER_SIZE) % FRAME == 0
    assert [(report.kind, report.file, report.last) for report in reports] == (
        [] if whole else [("torn", log_of(path), last)]
    )
    shutil.rmtree(folder)


def check_flip(killed: Path, folder: Path, at: int, bit: int) -> None:
    path = copy(killed, folder)
    flip(log_of(path), at, bit)
    before = contents(path)
    frame = (at - HEADER_SIZE) // FRAME
    last, (report,) = opened(path)
    assert report.last == last < GROUPS
    assert report.offset == HEADER_SIZE + frame * FRAME
    check_aside(report, before)
    salts = 8 <= (at - HEADER_SIZE) % FRAME < 16
    is_last = frame == (log_of(killed / "grants.db").stat().st_size - HEADER_SIZE) // FRAME - 1
    assert report.kind == ("torn" if is_last and not salts else "damaged")
    shutil.rmtree(folder)


def test_a_log_that_is_cut(killed: Path, tmp_path: Path) -> None:
    for at in places(log_of(killed / "grants.db").stat().st_size):
        check_cut(killed, tmp_path / "it", at)


def test_a_log_with_a_flipped_bit(killed: Path, tmp_path: Path) -> None:
    for at in places(log_of(killed / "grants.db").stat().st_size):
        check_flip(killed, tmp_path / "it", at, 1 << at % 8)


@pytest.mark.long
def test_a_log_that_is_cut_at_many_bytes(killed: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    sample = pytestconfig.getoption("--journal-places")
    for at in places(log_of(killed / "grants.db").stat().st_size, sample):
        check_cut(killed, tmp_path / "it", at)


@pytest.mark.long
def test_a_log_with_many_a_flipped_bit(killed: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    sample = pytestconfig.getoption("--journal-places")
    for at in places(log_of(killed / "grants.db").stat().st_size, sample):
        check_flip(killed, tmp_path / "it", at, 1 << at % 8)


@pytest.mark.parametrize("at", [0, 5, 9, 17, 25])
def test_a_header_that_does_not_fit_is_damage(killed: Path, tmp_path: Path, at: int) -> None:
    path = copy(killed, tmp_path / "it")
    flip(log_of(path), at)
    before = contents(path)
    last, (report,) = opened(path)
    assert (last, report.kind, report.offset) == (5, "damaged", 0)
    check_aside(report, before)


def test_what_is_left_of_a_round_before_is_no_damage(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "grants.db") as journal:
        for position in range(1, 31):
            journal.append(position - 1, group(position))
        checkpoint(journal)
        size = log_of(journal.path).stat().st_size
        for position in range(31, 34):
            journal.append(position - 1, group(position))
        path = copy(tmp_path, tmp_path / "it")
    assert log_of(path).stat().st_size == size
    chain = read_chain(log_of(path))
    assert (chain.kind, chain.bad) == ("sound", None)
    assert chain.end < size
    assert opened(path) == (33, ())


def checkpoint(journal: SqliteJournal) -> None:
    connection = journal._writing
    assert connection is not None
    journal._checkpoint(connection)


def test_a_log_that_is_damaged_after_it_was_brought_into_the_file_loses_nothing(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "grants.db") as journal:
        for position in range(1, 31):
            journal.append(position - 1, group(position))
        checkpoint(journal)
        path = copy(tmp_path, tmp_path / "it")
    flip(log_of(path), HEADER_SIZE + 3 * FRAME + 100)
    last, (report,) = opened(path)
    assert (last, report.kind) == (30, "damaged")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as a journal leaves it that was closed: all is in the file."""
    folder = tmp_path_factory.mktemp("closed")
    with SqliteJournal(folder / "grants.db") as journal:
        for position in range(1, 201):
            journal.append(position - 1, group(position))
    return folder


def flips(long: bool, size: int) -> Iterator[tuple[int, int]]:
    chosen = random.Random(5)
    for _ in range(400 if long else 40):
        yield chosen.randrange(100, size), 1 << chosen.randrange(8)
    for at in range(32):  # what the header says of the pages
        yield at, 1 << chosen.randrange(8)


@pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_file_with_a_flipped_bit(closed: Path, tmp_path: Path, long: bool) -> None:
    seen = set()
    for at, bit in flips(long, (closed / "grants.db").stat().st_size):
        path = copy(closed, tmp_path / "it")
        flip(path, at, bit)
        before = contents(path)
        last, reports = opened(path)
        seen.add(bool(reports))
        for report in reports:
            assert report.kind == "damaged"
            check_aside(report, before)
        assert reports or last == 200  # what no group lives in may flip
        assert last == 200 or at >= 32
        shutil.rmtree(tmp_path / "it")
    assert True in seen


@pytest.mark.parametrize("length", [4_096, 10_000, 20_480])
def test_a_file_that_was_cut(closed: Path, tmp_path: Path, length: int) -> None:
    path = copy(closed, tmp_path / "it")
    os.truncate(path, length)
    before = contents(path)
    last, (report,) = opened(path)
    assert report.last == last < 200
    check_aside(report, before)


def with_snapshot(folder: Path) -> Path:
    folder.mkdir()
    with SqliteJournal(folder / "grants.db") as journal:
        for position in range(1, 31):
            journal.append(position - 1, group(position))
        journal.save(20, [b"state " * 1000, b"of 20"])
    return folder / "grants.db"


def test_a_snapshot_with_any_bit_flipped(tmp_path: Path) -> None:
    path = with_snapshot(tmp_path / "whole")
    size = path.with_name("grants.db-snapshot").stat().st_size
    for at in [*range(40), *range(50, size, 500), *range(size - 10, size)]:
        it = copy(path.parent, tmp_path / "it")
        flip(it.with_name("grants.db-snapshot"), at)
        before = contents(it)
        last, (report,) = opened(it)  # the groups that it stands for were still there
        assert (last, report.kind, report.file.name) == (30, "damaged", "grants.db-snapshot")
        check_aside(report, before)
        shutil.rmtree(tmp_path / "it")


def test_a_snapshot_that_was_cut(tmp_path: Path) -> None:
    path = with_snapshot(tmp_path / "whole")
    for length in (0, 5, 20, 100, path.with_name("grants.db-snapshot").stat().st_size - 1):
        it = copy(path.parent, tmp_path / "it")
        os.truncate(it.with_name("grants.db-snapshot"), length)
        last, (report,) = opened(it)
        assert (last, report.kind) == (30, "damaged")
        shutil.rmtree(tmp_path / "it")


def test_without_what_a_snapshot_stood_for_nothing_is_left(tmp_path: Path) -> None:
    path = with_snapshot(tmp_path / "it")
    with SqliteJournal(path) as journal:
        journal.append(30, group(31))  # drops them
        assert [position for position, _ in journal.read(20)] == list(range(21, 32))
    flip(path.with_name("grants.db-snapshot"), 200)
    before = contents(path)
    last, (report,) = opened(path)
    assert last == 0
    check_aside(report, before)


def test_a_snapshot_that_is_damaged_while_it_is_read_says_so(tmp_path: Path) -> None:
    path = with_snapshot(tmp_path / "it")
    with SqliteJournal(path) as journal:
        flip(path.with_name("grants.db-snapshot"), 200)
        found = journal.snapshot()
        assert found is not None
        with pytest.raises(DamageError, match="a piece is not what was written, at byte 20"):
            list(found[1])


def test_a_group_that_is_damaged_while_it_is_read_says_so(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "grants.db") as journal:
        journal.append(0, b"one")
        with sqlite3.connect(journal.path) as other:
            other.execute("UPDATE groups SET bytes = x'00'")
        other.close()
        with pytest.raises(DamageError, match=r"group 1 of .* does not fit its checksum"):
            list(journal.read(0))


def test_a_group_that_goes_while_it_is_read_is_missed(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "grants.db") as journal:
        for after, group in enumerate((b"one", b"two", b"three")):
            journal.append(after, group)
        with sqlite3.connect(journal.path) as other:
            other.execute("DELETE FROM groups WHERE sequence = 2")
        other.close()
        groups = journal.read(0)
        assert next(groups) == (1, b"one")
        with pytest.raises(DamageError, match=r"group 2 of .* is missing"):
            next(groups)


def test_groups_that_the_snapshot_alone_has_are_told_of(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "grants.db") as journal:
        for after in range(3):
            journal.append(after, b"group")
        journal.save(3, [b"state"])
        with sqlite3.connect(journal.path) as other:
            other.execute("DELETE FROM groups")
        other.close()
        with pytest.raises(LookupError, match="up to 3 are in the snapshot only"):
            list(journal.read(1))
        assert list(journal.read(3)) == []


def test_a_file_that_is_gone_leaves_the_snapshot(tmp_path: Path) -> None:
    path = with_snapshot(tmp_path / "it")
    path.unlink()
    with SqliteJournal(path) as journal:
        (report,) = journal.reports
        assert (journal.last(), report.kind, report.last) == (20, "damaged", 20)
        assert report.aside is not None
        found = journal.snapshot()
        assert found is not None
        assert b"".join(found[1]) == b"state " * 1000 + b"of 20"


def test_the_second_damage_is_set_aside_beside_the_first(killed: Path, tmp_path: Path) -> None:
    path = copy(killed, tmp_path / "it")
    asides = []
    for _ in range(2):
        with SqliteJournal(path) as journal:
            journal.append(journal.last(), b"more")
            asides += [report.aside for report in journal.reports]
            log = log_of(path).read_bytes()[: read_chain(log_of(path)).end]
            data = path.read_bytes()
        path.write_bytes(data)
        log_of(path).write_bytes(log[:-5])
    with SqliteJournal(path) as journal:
        asides += [report.aside for report in journal.reports]
    assert [aside and aside.name for aside in asides] == ["grants.db-damaged-1", "grants.db-damaged-2"]


@pytest.mark.parametrize("content", [b"Dear diary", b"x" * 5_000])
def test_what_is_no_journal_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "diary.txt"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"diary\.txt is not a journal of grantwheel"):
        SqliteJournal(path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["diary.txt"]


@pytest.mark.parametrize("content", [b"", b"?" * 50, b"?" * 50_000, bytes(8192)])
def test_what_was_a_journal_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "grants.db"
    with SqliteJournal(path) as journal:
        journal.append(0, b"one")
        journal.save(1, [b"snapshot"])
    for file in tmp_path.iterdir():
        if not file.name.endswith("-lock"):
            file.write_bytes(content)
    with SqliteJournal(path) as journal:
        assert journal.last() == 0
        assert journal.snapshot() is None
        (report,) = journal.reports
        assert report.aside is not None
        assert (report.aside / "grants.db").read_bytes() == content
        assert journal.append(0, b"one") == 1


def test_a_database_of_others_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t(a)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(FormatError, match=r"is not a journal of grantwheel"):
        SqliteJournal(path)
    assert path.read_bytes() == before


def test_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    SqliteJournal(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=2")
    other.close()
    before = path.read_bytes()
    for _ in range(2):  # and lets go of the lock
        with pytest.raises(FormatError, match=r"is a journal of version 2; this program knows version 1"):
            SqliteJournal(path)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    path.touch(mode=0o644)
    with SqliteJournal(path) as journal:
        assert journal.append(0, b"one") == 1
    assert path.stat().st_mode & 0o777 == 0o600
