"""Journals: what each of them must do, and what is said of all of them."""

import ast
from pathlib import Path

import pytest

from grantwheel.journal import Conflict, Journal, MemoryJournal
from grantwheel.journal.sqlite import SqliteJournal
from grantwheel.testing.journal_suite import JournalSuite

PACKAGE = Path(__file__).resolve().parent.parent / "python" / "grantwheel"


class TestMemoryJournal(JournalSuite):
    durable = False

    def open(self, place: Path) -> Journal:
        return MemoryJournal()


class TestSqliteJournal(JournalSuite):
    def open(self, place: Path) -> Journal:
        return SqliteJournal(place)


class TestSqliteJournalInBatches(JournalSuite):
    def open(self, place: Path) -> Journal:
        return SqliteJournal(place, durability="batch")


class Forgetful(MemoryJournal):
    """One that says yes to everything."""

    def append(self, after: int, group: bytes | bytearray | memoryview, /) -> int:
        return super().append(self.last(), group)


def test_the_suite_sees_what_a_journal_does_wrong(tmp_path: Path) -> None:
    class Suite(JournalSuite):
        def open(self, place: Path) -> Journal:
            return Forgetful()

    with pytest.raises(pytest.fail.Exception, match=r"DID NOT RAISE .*Conflict"):
        Suite().test_another_position_is_a_conflict(tmp_path, 10)
    with pytest.raises(AssertionError):
        Suite().test_it_is_there_when_it_is_opened_again(tmp_path)


def test_a_conflict_in_memory_says_what_is_there() -> None:
    journal = MemoryJournal()
    with pytest.raises(Conflict, match="the last group is 0, not 7"):
        journal.append(7, b"")


@pytest.mark.parametrize("path", [*PACKAGE.glob("journal/*.py"), PACKAGE / "testing" / "journal_suite.py"], ids=str)
def test_journals_know_nothing_of_the_engine(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            allowed = ("grantwheel.journal", "grantwheel._log_errors")
            assert not node.module.startswith("grantwheel") or node.module.startswith(allowed)
