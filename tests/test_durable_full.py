"""Opened managers on a disk that is full: changes are refused, nothing is lost, and they go on when there is room."""

import contextlib
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

import grantwheel
from failing_connections import failed, let_fail
from grantwheel import BusinessError, ManualClock, NotAppended, TransactionError
from grantwheel.journal.sqlite import SqliteJournal
from grantwheel.recovery import durable, keeping
from small_disks import fill, small_disk
from support import CPU, GPS
from waiting import PATIENCE, wait_for

Durability: TypeAlias = Literal["commit", "batch"]
ROWS = 200  # of a batch
STRANGER = 4_000_000

# In the first there is no room to lay the log out; in the others there is, and it goes on for a while.
DISKS = [
    pytest.param(("tmpfs", 1 << 10), id="tmpfs-1M"),
    pytest.param(("tmpfs", 16 << 10), id="tmpfs-16M", marks=pytest.mark.long),
    pytest.param(("ext4", 24 << 10), id="ext4-24M", marks=pytest.mark.long),
]


@pytest.fixture(params=DISKS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    kind, kib = request.param
    with small_disk(tmp_path / "disk", kib, kind) as place:
        yield place


class Ledger:
    """A manager on a disk, and what it has answered: who has GPS."""

    def __init__(self, path: Path, durability: Durability) -> None:
        self.path = path
        self.clock = ManualClock(1000)
        self.manager = grantwheel.open(path, durability=durability, clock=self.clock)
        self.uids: list[int] = []
        self.safe = 0  # so many of them are on the disk for certain
        self.is_commit = durability == "commit"

    def apply(self) -> None:
        """Grant something to some more."""
        first = len(self.uids)
        uids = array("I", range(first, first + ROWS))
        masks = self.manager.apply_many(uids, uids, array("i", [GPS]) * ROWS, array("i", [1_000_000]) * ROWS)
        assert list(masks) == [GPS] * ROWS
        self.uids.extend(uids)
        if self.is_commit:
            self.safe = len(self.uids)

    def flush(self) -> None:
        assert self.manager.flush()
        self.safe = len(self.uids)

    def apply_until_refused(self) -> None:
        refusals = 0
        while not refusals:
            assert len(self.uids) < 2_000_000
            try:
                self.apply()
                self.flush()
            except TransactionError:
                refusals += 1

    def check(self) -> None:
        """All that was answered is there, and nothing else."""
        assert self.manager.holders(GPS).apps == self.uids
        self.manager.validate()

    def check_refusals(self) -> None:
        """All that changes something is refused, and changes nothing; reads go on."""
        for _ in range(3):
            with pytest.raises(TransactionError):
                self.apply()
            self.check()
        assert self.manager.app_mask(0) == GPS
        assert self.manager.find_app(STRANGER) is None
        if not self.is_commit:
            with pytest.raises(TransactionError):
                self.manager.flush()

    def check_kill(self, folder: Path) -> None:
        """What a process leaves that is killed now."""
        folder.mkdir()
        journal = self.manager._journal
        assert isinstance(journal, SqliteJournal)
        with journal._writer:  # nobody writes meanwhile
            for file in self.path.parent.glob(f"{self.path.name}*"):
                shutil.copyfile(file, folder / file.name)
        with grantwheel.open(folder / self.path.name, clock=self.clock) as found:
            assert found.recovery.damage == ()
            uids = found.holders(GPS).apps
            assert uids == self.uids[: len(uids)]
            assert len(uids) >= self.safe
            found.validate()

    def catch_up(self) -> None:
        """Wait until it takes changes again, as there is room now."""
        if not self.is_commit:
            wait_for(self.has_caught_up)
        self.apply()
        self.flush()
        self.check()

    def has_caught_up(self) -> bool:
        try:
            return self.manager.flush()
        except TransactionError:
            return False


@pytest.fixture(params=["commit", "batch"])
def ledger(request: pytest.FixtureRequest, disk: Path) -> Iterator[Ledger]:
    made = Ledger(disk / "grants.db", request.param)
    yield made
    with contextlib.suppress(BusinessError):
        made.manager.close()


def test_a_manager_goes_on_when_there_is_room_again(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(2):
        ledger.apply()
        ledger.flush()
        filler = fill(ledger.path.parent)
        ledger.apply_until_refused()
        ledger.check_refusals()
        with pytest.raises((OSError, sqlite3.Error)):
            ledger.manager.snapshot()
        ledger.check_refusals()
        ledger.check_kill(tmp_path / f"kill-{number}")
        os.truncate(filler, 0)
        ledger.catch_up()
    ledger.manager.snapshot()
    ledger.manager.close()
    with grantwheel.open(ledger.path, clock=ledger.clock) as manager:
        assert manager.recovery.damage == ()
        assert manager.holders(GPS).apps == ledger.uids


def test_a_snapshot_in_the_background_does_no_harm(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "LEAST_BYTES", 1)
    monkeypatch.setattr(keeping, "TIMES_SNAPSHOT", 0)
    monkeypatch.setattr(keeping, "_REST_S", 0.05)
    for durability in ("commit", "batch"):
        ledger = Ledger(disk / f"{durability}.db", durability)
        saved = ledger.path.with_name(ledger.path.name + "-snapshot")
        ledger.apply()
        wait_for(saved.exists)
        filler = fill(disk, leave=24 << 10)  # for a change, and not for a snapshot beside it
        with caplog.at_level(logging.ERROR, "grantwheel"):
            ledger.apply_until_refused()
            wait_for(lambda: "a snapshot could not be made" in caplog.text)
        before = saved.read_bytes()
        ledger.check_refusals()
        ledger.check_kill(tmp_path / durability)
        assert saved.read_bytes() == before
        os.truncate(filler, 0)
        ledger.catch_up()
        wait_for(lambda: saved.read_bytes() != before)  # noqa: B023 - of this turn
        ledger.manager.close()
        with grantwheel.open(ledger.path, clock=ledger.clock) as manager:
            assert manager.holders(GPS).apps == ledger.uids
        for file in disk.iterdir():
            if file.is_file():
                file.unlink()
        caplog.clear()


def test_a_start_on_a_full_disk_loses_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_SETTLE_MS", 500)
    ledger.apply()
    ledger.flush()
    filler = fill(ledger.path.parent)
    ledger.apply_until_refused()
    if ledger.is_commit:
        ledger.manager.close()
    else:
        with pytest.raises(TransactionError, match="has not taken the last"):
            ledger.manager.close()
    for _ in range(3):
        try:
            manager = grantwheel.open(ledger.path, clock=ledger.clock)
        except (OSError, sqlite3.Error, NotAppended):
            assert not list(ledger.path.parent.glob("*-building*"))
            continue
        with manager:
            assert manager.holders(GPS).apps[: ledger.safe] == ledger.uids[: ledger.safe]
            assert manager.recovery.damage == ()
    os.truncate(filler, 0)
    with grantwheel.open(ledger.path, clock=ledger.clock) as manager:
        uids = manager.holders(GPS).apps
        assert uids == ledger.uids[: len(uids)]
        assert len(uids) >= ledger.safe
        assert manager.recovery.damage == ()
        manager.apply(STRANGER, 1, GPS, 5)


def test_a_start_that_comes_to_the_end_of_the_room_leaves_nothing_torn(ledger: Ledger) -> None:
    ledger.apply()
    ledger.flush()
    ledger.manager.close()
    filler = fill(ledger.path.parent)
    size = filler.stat().st_size
    failures = 0
    for pages in (*range(12), size >> 12):
        os.truncate(filler, size - (pages << 12))
        try:
            manager = grantwheel.open(ledger.path, clock=ledger.clock)
        except (OSError, sqlite3.Error, NotAppended):
            failures += 1
            continue
        with manager:
            assert manager.recovery.damage == ()
            assert manager.holders(GPS).apps == ledger.uids
    assert 0 < failures < 13


def test_a_sync_that_fails_on_a_full_disk_waits_for_room(ledger: Ledger) -> None:
    """The journal has to be written anew, for which there is no room."""
    manager, journal = ledger.manager, ledger.manager._journal
    assert isinstance(journal, SqliteJournal)
    for _ in range(20):
        ledger.apply()
    ledger.flush()
    filler = fill(ledger.path.parent, leave=48 << 10)
    let_fail(journal, "COMMIT", failed(sqlite3.SQLITE_IOERR_FSYNC), after=True)
    answers: list[int] = []
    calling = threading.Thread(target=lambda: answers.append(manager.apply(5, 5, CPU, 10_000)))
    calling.start()
    wait_for(lambda: is_uncertain(ledger))
    for _ in range(3):
        with pytest.raises(TransactionError):
            manager.apply(STRANGER, 1, GPS, 5)
        assert manager.app_mask(0) == GPS
        assert manager.find_app(STRANGER) is None
    assert answers == ([] if ledger.is_commit else [CPU])
    os.truncate(filler, 0)
    calling.join(PATIENCE)
    assert answers == [CPU]
    ledger.catch_up()
    assert manager.app_mask(5) == CPU | GPS
    manager.close()
    with grantwheel.open(ledger.path, clock=ledger.clock) as again:
        assert again.app_mask(5) == CPU | GPS
        assert again.holders(GPS).apps == ledger.uids


def test_no_room_for_the_index_of_the_log_is_an_error_and_no_signal(tmp_path: Path) -> None:
    """SQLite writes it through memory, where a block that is missing ends the process; it asks for one in each 4096."""
    code = "import sys, grantwheel; grantwheel.open(sys.argv[1]).close(); print('opened')"
    with small_disk(tmp_path / "disk", 8 << 10, "ext4", block=1024) as place:
        command = [sys.executable, "-c", code, str(place / "grants.db")]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "opened\n"
        filler = fill(place, leave=20 << 10)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done
        assert "No space left on device" in done.stderr
        os.truncate(filler, 0)
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "opened\n"


def is_uncertain(ledger: Ledger) -> bool:
    """Whether the journal was asked where it stands, and has not said so."""
    journal = ledger.manager._journal
    assert isinstance(journal, SqliteJournal)
    return journal._doubt is not None and journal._writing is None
