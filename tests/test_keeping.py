"""What a durable manager does beside its calls: marks of the time, snapshots, and a file that does not grow."""

import itertools
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import grantwheel
from grantwheel import BusinessError, ManualClock, MemoryLog, SnapshotStats, _core
from grantwheel.journal import Buffer, MemoryJournal
from grantwheel.recovery import Start, keeping
from support import CPU, GPS, make_manager
from waiting import wait_for

MINUTE = 60_000


def open_at(journal: Any, clock: ManualClock, **more: Any) -> grantwheel.DurableManager:
    return grantwheel.open(journal, clock=clock, start=Start(None, clock.now(), clock.now()), **more)


def marks_of(journal: MemoryJournal) -> list[int]:
    """The instants of the marks of a journal, as far as they differ."""
    follower = grantwheel.Follower()
    found: list[int] = []
    for _, group in journal.read(0):
        follower.feed(group)
        mark = _core.mark_of(follower)
        if mark is not None and (not found or found[-1] != mark[0]):
            found.append(mark[0])
    return found


def test_a_mark_a_minute_while_something_is_timed() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with open_at(journal, clock) as manager:
        manager.apply(1, 1, CPU, persist=True)
        for _ in range(10):
            clock.advance(MINUTE)
            manager.maintain()
        assert marks_of(journal) == [0]
        manager.apply(1, 1, GPS, 3 * MINUTE)
        for _ in range(40):
            clock.advance(5_000)
            manager.maintain()
            manager.advance()
            manager.flush()
        marks = marks_of(journal)
        assert marks[0] == 0
        assert marks[1] == 605_000
        assert all(after - before <= MINUTE for before, after in itertools.pairwise(marks[1:]))
        assert marks[-1] <= 780_000
    assert marks_of(journal)[-1] == 800_000


def test_a_snapshot_stands_for_all_groups() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with open_at(journal, clock) as manager:
        for uid in range(50):
            manager.apply(uid, 1, GPS, MINUTE)
        position = manager.snapshot()
        assert position == journal.last() == 51
        assert manager.snapshot() == 51
        found = journal.snapshot()
        assert found is not None
        assert found[0] == 51
        manager.apply(50, 1, GPS, MINUTE)
        records = manager.records()
    with open_at(journal, clock) as manager:
        assert manager.records() == records
        assert manager.recovery.snapshot == 51
        assert manager.recovery.groups == 2
        assert manager.stats().granted == 51


def test_an_old_log_is_reason_enough() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    with open_at(journal, clock) as manager:
        manager.apply(1, 1, CPU, persist=True)
        clock.advance(3_599_999)
        manager.maintain()
        assert journal.snapshot() is None
        clock.advance(1)
        manager.maintain()
        assert journal.snapshot() is not None


def test_snapshots_may_be_left_to_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LEAST_BYTES", 1)
    journal, clock = MemoryJournal(), ManualClock()
    with open_at(journal, clock, snapshots=False) as manager:
        manager.apply(1, 1, CPU, persist=True)
        manager.maintain()
        assert journal.snapshot() is None
        manager.snapshot()
        assert journal.snapshot() is not None


def test_one_that_fails_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "LEAST_BYTES", 1000)
    monkeypatch.setattr(keeping, "_REST_S", 0.01)

    class Failing(MemoryJournal):
        fails = 2

        def save(self, sequence: int, chunks: Iterable[Buffer], /) -> None:
            if self.fails:
                self.fails -= 1
                raise OSError("no room")
            super().save(sequence, chunks)

    journal = Failing()
    with caplog.at_level(logging.ERROR, "grantwheel"), open_at(journal, ManualClock()) as manager:
        for uid in range(100):
            manager.apply(uid, 1, CPU, persist=True)
        wait_for(lambda: figures(manager).made)
        assert (figures(manager).failures, figures(manager).failure) == (2, "OSError: no room")
        manager.validate()
    assert [record.message for record in caplog.records] == [
        "a snapshot could not be made; it is tried again in a minute"
    ] * 2


def figures(manager: grantwheel.DurableManager) -> SnapshotStats:
    found = manager.stats().snapshots
    assert found is not None
    return found


def test_what_is_counted_of_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0

    class Counted(MemoryJournal):
        error: Exception | None = None
        size = 0

        def save(self, sequence: int, chunks: Iterable[Buffer], /) -> None:
            nonlocal now_s
            now_s += 0.25
            if self.error is not None:
                raise self.error
            kept = [bytes(chunk) for chunk in chunks]
            self.size = sum(map(len, kept))
            super().save(sequence, kept)

    monkeypatch.setattr(keeping, "time", SimpleNamespace(monotonic=lambda: now_s))
    journal, clock = Counted(), ManualClock()
    with open_at(journal, clock, snapshots=False) as manager:
        assert figures(manager) == SnapshotStats(0, 0, 0, 0.0, 0, None)
        manager.apply(1, 1, GPS, MINUTE)
        assert manager.snapshot() == 2
        first = SnapshotStats(1, 2, journal.size, 0.25, 0, None)
        assert figures(manager) == first
        assert journal.size > 100
        now_s += 1
        assert manager.snapshot() == 2  # there is nothing new
        assert figures(manager) == first
        manager.apply(2, 1, GPS, MINUTE)
        for error in (OSError("no room"), ValueError("nothing will do")):
            journal.error = error
            with pytest.raises(type(error)):
                manager.snapshot()
        failed = first._replace(failures=2, failure="ValueError: nothing will do")
        assert figures(manager) == failed
        journal.error = None
        assert manager.snapshot() == 3
        assert figures(manager) == failed._replace(made=2, position=3, bytes=journal.size)
        size = journal.size
    with open_at(journal, clock) as manager:  # the last one is there still
        assert figures(manager) == SnapshotStats(0, 3, size, 0.0, 0, None)
    journal_without: Any = MemoryLog()
    with open_at(journal_without, clock) as manager:
        with pytest.raises(TypeError, match="keeps no snapshots"):
            manager.snapshot()
        assert figures(manager) == SnapshotStats(0, 0, 0, 0.0, 0, None)
    assert make_manager()[0].stats().snapshots is None
    assert make_manager(log=MemoryLog())[0].stats().snapshots is None
    assert grantwheel.Follower().stats().snapshots is None


def test_closing_does_not_wait_for_the_rest_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LEAST_BYTES", 1000)
    failed = threading.Event()

    class Failing(MemoryJournal):
        def save(self, _sequence: int, _chunks: Iterable[Buffer], /) -> None:
            failed.set()
            raise OSError("no room")

    manager = open_at(Failing(), ManualClock())
    for uid in range(100):
        manager.apply(uid, 1, CPU, persist=True)
    assert failed.wait(60)
    begun = time.monotonic()
    manager.close()
    assert time.monotonic() - begun < keeping._REST_S / 2


def test_reading_for_a_snapshot_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LEAST_BYTES", 1000)
    begun, goes_on = threading.Event(), threading.Event()
    read = 0

    class Endless(MemoryJournal):
        is_slow = False

        def read(self, after: int = 0, /) -> Iterator[tuple[int, bytes]]:
            nonlocal read
            for position, group in super().read(after):
                if self.is_slow:
                    begun.set()
                    goes_on.wait(60)
                    read += 1
                yield position, group

    journal = Endless()
    manager = open_at(journal, ManualClock())
    journal.is_slow = True
    for uid in range(100):
        manager.apply(uid, 1, CPU, persist=True)
    assert begun.wait(60)
    closing = threading.Thread(target=manager.close)
    closing.start()
    wait_for(lambda: manager._keeper._stopping)
    goes_on.set()
    closing.join(60)
    assert not closing.is_alive()
    assert read == 1


def test_closing_does_not_wait_for_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LEAST_BYTES", 1000)
    begun, closing = threading.Event(), threading.Event()

    class Slow(MemoryJournal):
        def save(self, sequence: int, chunks: Iterable[Buffer], /) -> None:
            def slowly() -> Iterator[Buffer]:
                begun.set()
                assert closing.wait(30)
                yield from chunks

            super().save(sequence, slowly())

    journal = Slow()
    manager = open_at(journal, ManualClock())
    for uid in range(100):
        manager.apply(uid, 1, CPU, persist=True)
    assert begun.wait(30)
    stop = manager._keeper.stop

    def stops(timeout_s: float | None = None) -> bool:
        manager._keeper._stopping = True
        closing.set()
        return stop(timeout_s)

    monkeypatch.setattr(manager._keeper, "stop", stops)
    manager.close()
    assert journal.snapshot() is None
    assert (manager._keeper.stats.made, manager._keeper.stats.failures) == (0, 0)  # it was given up
    with pytest.raises(BusinessError):
        manager.snapshot()


def test_the_file_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An hour of renewals, each app every ten seconds, with a sixteenth of the usual bounds.
    monkeypatch.setattr(keeping, "LEAST_BYTES", 256 << 10)
    clock = ManualClock()
    largest = 0
    with grantwheel.open(tmp_path / "grants.db", clock=clock, durability="batch") as manager:
        keeper = manager._keeper
        for second in range(3600):
            for uid in range(second % 10, 100, 10):
                manager.apply(uid, 1, GPS, 30_000, reason=f"reason {uid}")
            clock.advance(1000)
            manager.maintain()
            if second % 60 == 0:
                manager.flush()
                wait_for(lambda: keeper.behind < (512 << 10))
            largest = max(largest, (tmp_path / "grants.db").stat().st_size)
        assert largest < 4 << 20
        records = manager.records()
    with grantwheel.open(tmp_path / "grants.db", clock=clock) as manager:
        assert manager.records() == records
        assert manager.recovery.snapshot > 0
        manager.validate()
