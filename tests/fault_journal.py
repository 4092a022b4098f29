"""Uses a journal on SQLite again and again, and each time another call of a kind fails: run by test_journal_faults.py.

The library of tests/faults stands between, and is told here what fails. What the journal answered is held against what
is there afterwards, both in its folder and on a disk whose power went just before it was closed.

With ``--killed`` a process has the journal no longer than until something fails, and ends without closing it; the next
one opens what it has left. With ``--cut-step`` the power goes at some change after the failure, and takes away what was
not synced, but for some of it.
"""

import argparse
import collections
import contextlib
import copy
import errno
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from faulty_files import KINDS, copy_disk, each_in_turn, keep_logs_short, library, quick_folder
from grantwheel.journal import NotAppended
from grantwheel.journal.sqlite import SqliteJournal

SNAPSHOT = b"what %d groups have led to "


class GivenUp(Exception):
    """Three attempts have failed, as they all do."""


class Killed(Exception):
    """The process has ended."""


class Run:
    """One use of a journal, what it answered, and what must be there then."""

    def __init__(self, path: Path, options: argparse.Namespace) -> None:
        self.path = path
        self.options = options
        self.groups: list[bytes] = []
        self.doubtful: bytes | None = None  # the group behind those, if it is not known
        self.flushed = 0
        self.saved: set[int] = {0}
        self.tries = 0
        self.disks: list[tuple[Path, Run]] = []  # what the power has left, and what had been answered by then
        self.errors: collections.Counter[str] = collections.Counter()

    def use(self) -> None:
        """Do a little of everything; each failure is met once, and then it goes on."""
        with contextlib.suppress(GivenUp):
            for _ in range(3):
                with contextlib.closing(self.open()) as journal, contextlib.suppress(Killed):
                    try:
                        self.learn(journal)
                        self.flushed = len(self.groups)
                        self.go_on(journal)
                    finally:
                        if not self.options.cut:
                            self.copy_disk()
                        if self.options.killed:
                            journal._doubt = "the process was killed"  # so that the log stays where it is
        if self.options.cut:
            self.copy_disk()

    def go_on(self, journal: SqliteJournal) -> None:
        for number in range(12):
            self.attempt(journal, "append", lambda: self.append(journal))
            if number == 3:
                self.attempt(journal, "save", lambda: self.save(journal))
            if number % 5 == 4:
                self.attempt(journal, "flush", lambda: self.flush(journal))
                self.attempt(journal, "read", lambda: self.compare(journal))

    def open(self) -> SqliteJournal:
        for _ in range(3):
            try:
                return SqliteJournal(self.path, durability=self.options.durability)
            except (OSError, sqlite3.Error) as error:
                self.note("open", error)
        raise GivenUp

    def attempt(self, journal: SqliteJournal, what: str, step: Callable[[], None]) -> None:
        for _ in range(3):
            try:
                step()
                return
            except (OSError, sqlite3.Error, NotAppended) as error:
                self.note(what, error)
                if self.options.killed:
                    raise Killed from error
                is_new = what in ("append", "flush") and not isinstance(error, NotAppended)
            with contextlib.suppress(GivenUp):
                self.learn(journal)
                if is_new:  # so all that is there was written to a new file, and synced
                    self.flushed = len(self.groups)
        raise GivenUp

    def note(self, what: str, error: Exception) -> None:
        self.errors[f"{what}: {type(error).__name__}"] += 1
        if not self.options.for_good and not library.faults_is_cut():
            assert sum(self.errors.values()) == 1, f"one call has failed, and then {what} with {error!r}"

    def append(self, journal: SqliteJournal) -> None:
        self.tries += 1
        group = b"group %d in attempt %d " % (len(self.groups) + 1, self.tries) * (self.tries * 37 % 300)
        try:
            assert journal.append(len(self.groups), group) == len(self.groups) + 1
        except NotAppended:
            raise
        except Exception:
            self.doubtful = group
            raise
        self.groups.append(group)
        if self.options.durability == "commit":
            self.flushed = len(self.groups)

    def learn(self, journal: SqliteJournal) -> None:
        """Ask where the journal stands."""
        try:
            last = journal.last()
        except (OSError, sqlite3.Error) as error:
            self.note("last", error)
            raise GivenUp from error
        self.take(last)

    def take(self, last: int) -> None:
        """The journal says where it stands: the group in doubt is there or not, and nothing else is missing."""
        if self.doubtful is not None:
            self.groups.append(self.doubtful)
            self.doubtful = None
            assert last >= self.flushed
        else:
            assert last <= len(self.groups)
        assert self.flushed <= last <= len(self.groups), (self.flushed, last, len(self.groups))
        if self.options.durability == "commit":
            assert last >= len(self.groups) - 1
        del self.groups[last:]

    def flush(self, journal: SqliteJournal) -> None:
        journal.flush()
        self.flushed = len(self.groups)

    def save(self, journal: SqliteJournal) -> None:
        covered = len(self.groups) - 2
        self.saved.add(covered)
        journal.save(covered, [SNAPSHOT % covered * 300])
        self.saved = {covered}

    def compare(self, journal: SqliteJournal) -> None:
        """What can be read is what was written."""
        covered, chunks = journal.snapshot() or (0, iter(()))
        assert covered in self.saved, (covered, self.saved)
        assert b"".join(chunks) == (SNAPSHOT % covered * 300 if covered else b"")
        found = list(journal.read(covered))
        assert [position for position, _ in found] == list(range(covered + 1, len(self.groups) + 1))
        assert [group for _, group in found] == self.groups[covered:]

    def copy_disk(self) -> None:
        """Keep what the power leaves when it goes now, and what has been answered by then."""
        disk = self.path.parent.with_name(f"disk-{len(self.disks)}")
        copy_disk(self.path.parent, disk, seed=self.options.seed)
        known = copy.copy(self)
        known.groups, known.saved, known.errors = list(self.groups), set(self.saved), self.errors.copy()
        self.disks.append((disk / self.path.name, known))

    def check(self, path: Path) -> None:
        """Open what is there, without faults: what was acknowledged is there, and it goes on."""
        with SqliteJournal(path) as journal:
            if not self.options.cut:  # which may leave the end of what was being written, and not what is before it
                assert [report for report in journal.reports if report.kind != "torn"] == [], journal.reports
            self.take(journal.last())
            self.compare(journal)
            self.append(journal)
        with SqliteJournal(path) as journal:
            assert journal.reports == ()
            self.compare(journal)


def run_once(number: int, options: argparse.Namespace, folder: Path) -> tuple[bool, bool, collections.Counter[str]]:
    """Have a call fail; whether there was one, whether the power went, and what was raised."""
    place = folder / "place"
    for old in folder.iterdir():
        shutil.rmtree(old)
    place.mkdir()
    library.faults_begin(bytes(place), options.at_once)
    kind = KINDS.index(options.kind)
    library.faults_arm(kind, number, getattr(errno, options.error), options.for_good)
    library.faults_cut(options.cut)
    run = Run(place / "grants.db", options)
    run.use()
    calls = int(library.faults_calls(kind))
    is_cut = bool(library.faults_is_cut())
    library.faults_begin(b"", 0)
    for disk, known in run.disks:
        if disk.exists():
            known.check(disk)
    if not is_cut:
        run.check(run.path)
    return calls >= number, is_cut, run.errors


def cuts(options: argparse.Namespace) -> Iterator[int]:
    """At which changes after the failure the power is to go; 0: at none."""
    return itertools.count(options.cut_first, options.cut_step) if options.cut_step else iter([0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--durability", default="commit")
    parser.add_argument("--error", default="EIO")
    parser.add_argument("--for-good", action="store_true")
    parser.add_argument("--at-once", action="store_true", help="what a failed sync was to bring is gone at once")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--killed", action="store_true", help="the process ends when something fails, and at the end")
    parser.add_argument("--cut-step", type=int, default=0, help="the power goes at every such change after the failure")
    parser.add_argument("--cut-first", type=int, default=1)
    options = parser.parse_args()
    keep_logs_short()
    raised: collections.Counter[str] = collections.Counter()

    def is_met(number: int, place: Path) -> bool:
        for cut in cuts(options):
            options.cut, options.seed = cut, cut and number * 1000 + cut
            try:
                has_come, is_cut, errors = run_once(number, options, place)
            except BaseException as error:
                error.add_note(f"the power was to go at change {cut}")
                raise
            raised.update(errors)
            if not is_cut:
                return has_come
        raise AssertionError

    with quick_folder() as place:
        print(each_in_turn(options.first, options.step, lambda number: is_met(number, place)), dict(raised))


if __name__ == "__main__":
    main()
