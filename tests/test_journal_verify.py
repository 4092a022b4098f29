"""``grantwheel journal verify``: what is wrong that only carrying out the groups, or reading them, can show."""

import json
from pathlib import Path
from typing import Any

import pytest

import grantwheel
from grantwheel import Manager, ManualClock, ops, replay
from grantwheel.journal.sqlite import SqliteJournal
from journal_files import seal, snapshot_of, write_journal
from journal_tool import Capture, run
from support import GPS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with a little of everything."""
    (tmp_path / "journal").mkdir()
    path = tmp_path / "journal" / "grants.db"
    write_journal(path)
    return path


def damaged(capsys: Capture, path: Path) -> dict[str, Any]:
    """What is said of a journal with one thing wrong, and that one."""
    code, out, err = run(capsys, "verify", path, "--json")
    assert (code, err) == (1, "")
    found: dict[str, Any] = json.loads(out)
    assert not found["sound"]
    (found["damage"],) = found["damage"]
    return found


def test_a_snapshot_of_something_else_is_damage(path: Path, capsys: Capture) -> None:
    with SqliteJournal(path) as journal:
        journal.save(7, [b"anything"])
    found = damaged(capsys, path)
    report = found["damage"]
    assert report["what"].startswith("the snapshot cannot be loaded: ")
    assert report["file"] == str(snapshot_of(path))
    assert (report["last"], found["groups"]["count"], found["time_ms"]["last"]) == (7, 7, 2010)  # all groups are there
    with grantwheel.open(path, clock=ManualClock(5000)) as manager:
        assert manager.recovery.groups == 7


def test_without_its_snapshot_a_journal_begins_with_the_first_group_or_with_none(path: Path, capsys: Capture) -> None:
    with SqliteJournal(path) as journal:
        journal.save(3, [b"anything"])
        journal.append(7, dict(journal.read(0))[7])  # which drops some of those before
    found = damaged(capsys, path)
    assert found["damage"]["what"].startswith("the snapshot cannot be loaded: ")
    assert (found["damage"]["last"], found["groups"]["first"]) == (0, 4)
    assert (found["held"]["owners"], found["time_ms"]["first"]) == (0, 2000)


def test_what_cannot_be_read_is_named_by_its_group(
    path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteJournal(path) as journal:
        sixth = dict(journal.read(0))[6]
    read_ops = ops.read

    def read(group: bytes) -> object:
        return read_ops(group[:-1] if group == sixth else group)

    monkeypatch.setattr(ops, "read", read)
    found = damaged(capsys, path)
    report = found["damage"]
    assert report["what"].startswith("group 6 cannot be read: ")
    assert (report["file"], report["last"]) == (str(path), 5)


def test_a_group_that_the_snapshot_stands_for_is_named_as_such(path: Path, capsys: Capture) -> None:
    path.unlink()
    with SqliteJournal(path) as journal, Manager(clock=ManualClock(7), log=journal) as manager:
        manager.apply(1, 11, GPS, 5000)
        manager.apply(2, 22, GPS, 5000)
        log = dict(journal.read(0))
    path.unlink()
    with SqliteJournal(path) as journal:
        journal.append(0, log[1])
        journal.append(1, b"anything")
        journal.append(2, log[2])
        journal.save(2, replay([log[1]]).snapshot())
    found = damaged(capsys, path)
    assert (found["position"], found["held"]["owners"]) == (3, 2)
    report = found["damage"]
    assert report["what"].startswith("group 2, which the snapshot stands for, cannot be read: ")
    assert report["last"] == 3  # a start does without it
    with grantwheel.open(path, clock=ManualClock(8)) as manager:
        assert (manager.recovery.damage, manager.recovery.records) == ((), 2)


def test_what_is_newer_is_no_damage(path: Path, capsys: Capture) -> None:
    with SqliteJournal(path) as journal:
        journal.append(7, seal(b"\x02\x00later"))
    code, out, err = run(capsys, "verify", path)
    assert (code, out) == (2, "")
    assert err.startswith("grantwheel journal verify: group 8 cannot be carried out: ")
    assert "newer format" in err
