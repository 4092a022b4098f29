"""Reads, writes, syncs and the like that fail under a journal, one after the other: see fault_journal.py."""

import itertools
import sqlite3
from pathlib import Path
from typing import cast

import pytest

from failing_connections import Failing, failed
from faulty_files import KINDS, NEEDS, compile_library, run_under
from grantwheel.journal import _database, _recovery
from grantwheel.journal.sqlite import SqliteJournal

STEPS = {"open": 23, "read": 83, "write": 311, "sync": 31, "truncate": 5, "rename": 4, "unlink": 17}  # for a brief look

pytestmark = NEEDS


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands between a journal and its files."""
    return compile_library(tmp_path_factory.mktemp("faults"))


def run(library: Path, *arguments: str) -> None:
    run_under(library, "fault_journal.py", *arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_some_calls_fail(library: Path, kind: str) -> None:
    run(library, kind, "--step", str(STEPS[kind]))


def test_a_failed_flush_takes_away_what_it_was_to_bring(library: Path) -> None:
    run(library, "sync", "--durability", "batch", "--at-once", "--step", "2")


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_what_was_left_after_a_failed_sync_is_not_believed(library: Path, durability: str) -> None:
    """The process ends, the next one opens what is there, and the power goes while that one goes on."""
    few = ("--first", "16", "--step", "18", "--cut-first", "38", "--cut-step", "37")
    run(library, "sync", "--durability", durability, "--killed", *few)


def make_journal(path: Path) -> None:
    with SqliteJournal(path) as journal:
        for position in range(3):
            journal.append(position, b"%d" % (position + 1))


def test_an_error_of_reading_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's check says of a page that can't be read that it is not as it should be."""
    make_journal(tmp_path / "grants.db")
    verdicts = ["Tree 2 page 3: unable to get the page. error code=266"]
    real = _database.find_fault
    monkeypatch.setattr(_recovery, "find_fault", lambda *given: (verdicts.pop(), 1) if verdicts else real(*given))
    with SqliteJournal(tmp_path / "grants.db") as journal:
        assert journal.reports == ()
        assert list(journal.read(0)) == [(1, b"1"), (2, b"2"), (3, b"3")]


def test_what_cannot_be_read_is_not_left_out_of_a_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grants.db"
    make_journal(path)
    path.with_name("grants.db-snapshot").write_bytes(b"damaged")
    real = _database.connect

    def connect(file: Path) -> sqlite3.Connection:
        made = real(file)
        error = failed(sqlite3.SQLITE_IOERR_READ)
        return cast(sqlite3.Connection, Failing(made, "SELECT crc", error)) if file.parent.name == "with" else made

    with monkeypatch.context() as patch:
        patch.setattr(_database, "connect", connect)
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            SqliteJournal(path)
    with SqliteJournal(path) as journal:
        assert [report.kind for report in journal.reports] == ["damaged"]
        assert list(journal.read(0)) == [(1, b"1"), (2, b"2"), (3, b"3")]


def test_a_repair_that_is_tried_again_and_again_sets_aside_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grants.db"
    make_journal(path)
    for content in (b"damaged", b"damaged too"):
        path.with_name("grants.db-snapshot").write_bytes(content)
        with monkeypatch.context() as patch:
            patch.setattr(_recovery, "build", no_room)
            for _ in range(3):
                with pytest.raises(OSError, match="no room"):
                    SqliteJournal(path)
        with SqliteJournal(path) as journal:
            assert [report.kind for report in journal.reports] == ["damaged"]
    asides = sorted(tmp_path.glob("grants.db-damaged-*"))
    assert [(aside / "grants.db-snapshot").read_bytes() for aside in asides] == [b"damaged", b"damaged too"]


def no_room(*_: object) -> None:
    raise OSError("no room")


@pytest.mark.long
@pytest.mark.parametrize("durability", ["commit", "batch"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_fails(library: Path, kind: str, durability: str, request: pytest.FixtureRequest) -> None:
    """Once and for good; what a failed sync was to bring is gone at once, or when the power goes."""
    step = str(request.config.getoption("--journal-fault-step"))
    if step == "0":
        pytest.skip("only with --journal-fault-step")
    for more in itertools.chain.from_iterable(itertools.combinations(("--for-good", "--at-once"), n) for n in range(3)):
        if "--at-once" in more and kind != "sync":
            continue
        error = "EIO" if kind in ("read", "sync") else "ENOSPC"
        run(library, kind, "--step", step, "--durability", durability, "--error", error, *more)
        if kind == "write":
            run(library, kind, "--step", step, "--durability", durability, "--error", "EIO", *more)
    run(library, kind, "--step", step, "--durability", durability, "--killed")


@pytest.mark.long
@pytest.mark.parametrize("durability", ["commit", "batch"])
@pytest.mark.parametrize("killed", [False, True])
def test_the_power_goes_at_any_change_after_a_failed_sync(
    library: Path, durability: str, killed: bool, request: pytest.FixtureRequest
) -> None:
    step = request.config.getoption("--journal-fault-step")
    if not step:
        pytest.skip("only with --journal-fault-step")
    more = ("--killed",) if killed else ()
    run(library, "sync", "--durability", durability, "--step", str(step), "--cut-step", str(7 * step), *more)
