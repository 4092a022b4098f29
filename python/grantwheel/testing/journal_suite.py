"""The tests that a journal must pass, for whoever writes one: a base class for pytest.

In a test module::

    from grantwheel.testing.journal_suite import JournalSuite

    class TestMyJournal(JournalSuite):
        def open(self, place):
            return MyJournal(place)

Each test opens journals of its own at places of its own. For full messages of its assertions, say
``pytest.register_assert_rewrite("grantwheel.testing.journal_suite")`` in a conftest.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from grantwheel.journal import Buffer, Conflict, Journal, NotAppended

__all__ = ["JournalSuite"]

_PATIENCE = 30  # seconds for what comes at once, so that what never comes fails


class JournalSuite:
    """What every journal does. Derive a class whose name begins with ``Test``, and give it `open`.

    Attributes
    ----------
    durable : bool
        Whether a journal that is opened again at the same place has what was there. Set it to False for one in memory.
    """

    durable: ClassVar[bool] = True

    def open(self, place: Path) -> Journal:
        """Return the journal at a place: a path in a directory of the test's own, with nothing there at first.

        A journal that has no files can take the path as its name.
        """
        raise NotImplementedError

    def test_a_new_one_is_empty(self, tmp_path: Path) -> None:
        """No groups, no snapshot, and nothing to read."""
        journal = self.open(tmp_path / "journal")
        assert journal.last() == 0
        assert list(journal.read(0)) == []
        assert journal.snapshot() is None
        journal.close()

    def test_groups_have_positions(self, tmp_path: Path) -> None:
        """They count from 1, and `append` returns them."""
        journal = self.open(tmp_path / "journal")
        for position in range(1, 6):
            assert journal.append(position - 1, _group(position)) == position
            assert journal.last() == position
        assert list(journal.read(0)) == _numbered(1, 5)
        assert list(journal.read(3)) == _numbered(4, 5)
        assert list(journal.read(5)) == []
        journal.close()

    @pytest.mark.parametrize("length", [0, 1, 4_096, 300_000], ids="{} bytes".format)
    def test_groups_are_any_bytes(self, tmp_path: Path, length: int) -> None:
        """Of any length, in any buffer, and kept as they were when they were given."""
        journal = self.open(tmp_path / "journal")
        expected = (bytes(range(256)) * (length // 256 + 1))[:length]
        changed = bytearray(expected)
        groups: list[Buffer] = [expected, changed, memoryview(expected)]
        for position, group in enumerate(groups):
            journal.append(position, group)
        changed[:] = b"\0" * length
        read = list(journal.read(0))
        assert read == [(position, expected) for position in (1, 2, 3)]
        assert all(type(group) is bytes for _, group in read)
        journal.close()

    @pytest.mark.parametrize("after", [0, 2, 4, 10])
    def test_another_position_is_a_conflict(self, tmp_path: Path, after: int) -> None:
        """And changes nothing."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 3)
        with pytest.raises(Conflict):
            journal.append(after, b"of another writer")
        assert journal.last() == 3
        assert list(journal.read(0)) == _numbered(1, 3)
        assert journal.append(3, _group(4)) == 4
        journal.close()

    def test_a_reader_delays_no_append(self, tmp_path: Path) -> None:
        """However slowly it reads, and it comes to what was appended meanwhile."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 3)
        reader = journal.read(0)
        assert next(reader) == (1, _group(1))
        _in_time(lambda: _fill(journal, 3))
        assert list(reader) == _numbered(2, 6)
        journal.close()

    def test_many_groups(self, tmp_path: Path) -> None:
        """They are read in order, from any place."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 700)
        for after in (0, 255, 256, 257, 699):
            assert list(journal.read(after)) == _numbered(after + 1, 700)
        journal.close()

    def test_a_snapshot_is_kept(self, tmp_path: Path) -> None:
        """All its bytes, and the position it is of; the groups behind it are there."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 5)
        chunks: list[Buffer] = [b"first", b"", bytearray(b"second"), memoryview(b"third" * 100_000)]
        journal.save(3, chunks)
        assert _snapshot(journal) == (3, b"".join(chunks))
        assert list(journal.read(3)) == _numbered(4, 5)
        assert journal.last() == 5
        assert journal.append(5, _group(6)) == 6
        journal.close()

    def test_a_snapshot_may_be_empty(self, tmp_path: Path) -> None:
        """It has a position all the same."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 2)
        journal.save(2, [])
        assert _snapshot(journal) == (2, b"")
        assert journal.last() == 2
        journal.close()

    def test_a_later_snapshot_takes_its_place(self, tmp_path: Path) -> None:
        """One of the same position too."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 5)
        for position, data in ((2, b"two"), (4, b"four"), (4, b"four again"), (5, b"five")):
            journal.save(position, [data])
            assert _snapshot(journal) == (position, data)
        journal.close()

    @pytest.mark.parametrize("position", [2, 6])
    def test_a_snapshot_is_of_what_is_there(self, tmp_path: Path, position: int) -> None:
        """Not of what is before the snapshot, nor of what is yet to come."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 5)
        journal.save(3, [b"three"])
        with pytest.raises(ValueError):  # noqa: PT011 - the words are the journal's
            journal.save(position, [b"of no use"])
        assert _snapshot(journal) == (3, b"three")
        journal.close()

    def test_a_snapshot_that_fails_leaves_the_one_before(self, tmp_path: Path) -> None:
        """As when the one who makes it gives up."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 5)
        journal.save(2, [b"two"])

        def chunks() -> Iterator[bytes]:
            yield b"half of"
            raise _GivenUpError

        with pytest.raises(_GivenUpError):
            journal.save(4, chunks())
        assert _snapshot(journal) == (2, b"two")
        assert list(journal.read(2)) == _numbered(3, 5)
        journal.save(4, [b"four"])
        assert _snapshot(journal) == (4, b"four")
        journal.close()

    def test_a_snapshot_delays_no_append(self, tmp_path: Path) -> None:
        """However slowly its chunks come, nor does it keep readers waiting."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 3)
        seen = []

        def chunks() -> Iterator[bytes]:
            for _ in range(3):
                _in_time(lambda: _fill(journal, 1))
                _in_time(lambda: seen.append(len(list(journal.read(0)))))
                yield b"chunk "

        journal.save(3, chunks())
        assert seen == [4, 5, 6]
        assert _snapshot(journal) == (3, b"chunk " * 3)
        assert list(journal.read(3)) == _numbered(4, 6)
        journal.close()

    def test_what_a_snapshot_stands_for_is_whole_or_refused(self, tmp_path: Path) -> None:
        """A reader from before the snapshot never misses a group in silence."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 300)
        slow = journal.read(0)
        assert next(slow) == (1, _group(1))
        journal.save(290, [b"snapshot"])
        _fill(journal, 20)
        for after in (0, 100, 289):
            assert _whole(journal.read(after), after, 320)
        assert _whole(slow, 1, 320)
        assert list(journal.read(290)) == _numbered(291, 320)
        journal.close()

    def test_a_closed_one_does_nothing(self, tmp_path: Path) -> None:
        """It refuses a group for certain, and closing it again is no error."""
        journal = self.open(tmp_path / "journal")
        _fill(journal, 1)
        journal.close()
        journal.close()
        with pytest.raises(NotAppended):
            journal.append(1, b"too late")
        for use in (journal.last, lambda: list(journal.read(0)), journal.snapshot, lambda: journal.save(1, [b""])):
            with pytest.raises(Exception):  # noqa: B017, PT011 - which one is the journal's
                use()

    def test_it_is_there_when_it_is_opened_again(self, tmp_path: Path) -> None:
        """Groups, snapshot and position; and it goes on from there."""
        self._require_durable()
        place = tmp_path / "journal"
        for opened in range(1, 4):
            journal = self.open(place)
            before = 10 * (opened - 1)
            assert journal.last() == before
            _fill(journal, 10)
            journal.save(before + 5, [b"of ", _group(before + 5)])
            journal.close()
            journal = self.open(place)
            assert journal.last() == before + 10
            assert _snapshot(journal) == (before + 5, b"of " + _group(before + 5))
            assert list(journal.read(before + 5)) == _numbered(before + 6, before + 10)
            journal.close()

    def test_the_position_is_never_before_the_snapshot(self, tmp_path: Path) -> None:
        """Also when the snapshot stands for all groups."""
        self._require_durable()
        journal = self.open(tmp_path / "journal")
        _fill(journal, 7)
        journal.save(7, [b"all"])
        journal.close()
        journal = self.open(tmp_path / "journal")
        assert journal.last() == 7
        assert journal.append(7, _group(8)) == 8
        assert list(journal.read(7)) == _numbered(8, 8)
        journal.close()

    def test_there_is_one_writer(self, tmp_path: Path) -> None:
        """A second one can't open it, or can't append once the other one has."""
        self._require_durable()
        first = self.open(tmp_path / "journal")
        _fill(first, 2)
        try:
            second = self.open(tmp_path / "journal")
        except OSError:
            _fill(first, 1)
        else:
            _fill(second, 1)
            with pytest.raises(Conflict):
                first.append(2, b"of the first")
            second.close()
        first.close()

    def test_threads_append_one_after_the_other(self, tmp_path: Path) -> None:
        """Each group is there once, and each position was given once."""
        journal = self.open(tmp_path / "journal")
        given: list[tuple[int, bytes]] = []

        def work(name: int) -> None:
            for number in range(20):
                group = f"{name} {number}".encode()
                while True:
                    try:
                        position = journal.append(journal.last(), group)
                    except Conflict:
                        continue
                    given.append((position, group))
                    break

        threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE)
        assert sorted(given) == list(journal.read(0))
        assert [position for position, _ in sorted(given)] == list(range(1, 81))
        journal.close()

    def _require_durable(self) -> None:
        if not self.durable:
            pytest.skip("it keeps nothing when it is closed")


class _GivenUpError(Exception):
    pass


def _group(position: int) -> bytes:
    return b"group %d " % position * (1 + position % 40)


def _numbered(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(position, _group(position)) for position in range(first, last + 1)]


def _fill(journal: Journal, count: int) -> None:
    """Append some more groups."""
    last = journal.last()
    for position in range(last + 1, last + count + 1):
        journal.append(position - 1, _group(position))


def _snapshot(journal: Journal) -> tuple[int, bytes] | None:
    found = journal.snapshot()
    return None if found is None else (found[0], b"".join(found[1]))


def _whole(reader: Iterator[tuple[int, bytes]], after: int, last: int) -> bool:
    """Return whether a reader has all that is behind a position, or all up to where it says that some is gone."""
    found: list[tuple[int, bytes]] = []
    try:
        found.extend(reader)
    except LookupError:
        last = after + len(found)
    return found == _numbered(after + 1, last)


def _in_time(work: Callable[[], object]) -> None:
    """Do something in another thread, so that a test fails that would hang."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the test sees it
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    assert not thread.is_alive(), "it waits for another one's work"
    if failures:
        raise failures[0]
