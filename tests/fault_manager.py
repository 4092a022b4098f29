"""Uses an opened manager again and again, and each time another call of a kind fails: run by test_durable_faults.py.

The library of tests/faults stands between the manager and its files. A manager in memory, the twin, is told what was
answered: what the opened one has is held against it, and what a fresh one finds, in the folder as it is, as after a
kill, and in what the power would have left of it.
"""

import argparse
import collections
import contextlib
import errno
import shutil
import sqlite3
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias

import grantwheel
from faulty_files import KINDS, copy_disk, each_in_turn, keep_logs_short, library, quick_folder
from grantwheel import BusinessError, Event, Manager, ManualClock, NotAppended
from grantwheel.journal import InUseError
from grantwheel.journal.sqlite import SqliteJournal
from grantwheel.recovery import Start, durable, keeping
from support import ALL, AUDIO, CPU, GPS, TIMER
from waiting import PATIENCE, wait_for

BOOT = "00000000-0000-4000-8000-000000000001"
ENOUGH = 3  # so often something fails in a row before the fault goes away
STRANGER = 4_000_000  # has nothing

Op: TypeAlias = Callable[[Manager], object]
Grants: TypeAlias = set[tuple[Any, ...]]


class Asked(SqliteJournal):
    """A journal of which is known how often it could not say where it stands."""

    silent = 0

    def last(self) -> int:
        try:
            return super().last()
        except BaseException:
            Asked.silent += 1
            raise


class Stalled(Exception):
    """A call does not come back while the journal does not say where it stands."""

    def __init__(self, future: "Future[Any]") -> None:
        super().__init__()
        self.future = future


def apply_some(manager: Manager, timeout_ms: int) -> list[int]:
    uids, pids, masks = array("i", [7, 8, 9]), array("i", [1, 2, 3]), array("i", [GPS, CPU, AUDIO])
    return list(manager.apply_many(uids, pids, masks, array("i", [500, 60, timeout_ms])))


def steps(number: int) -> Iterator[Op]:
    """What is done one after the other: calls that change something."""
    uid = number % 5
    yield lambda manager: manager.apply(uid, 10 + uid, GPS | CPU, 400 + 70 * number, reason=f"reason {number}")
    yield lambda manager: manager.apply(uid, 20 + uid, CPU, 90 + 10 * number, process=True)
    if number % 2:
        yield lambda manager: manager.apply(uid + 1, 11 + uid, TIMER | AUDIO, persist=True, reason="for good")
        yield lambda manager: apply_some(manager, number + 1)
    else:
        yield lambda manager: manager.release(uid, 10 + uid, CPU)
        yield lambda manager: manager.process_died(uid, 20 + uid)
    if number % 5 == 4:
        yield lambda manager: manager.admin_reset_app(uid, ALL)


def require_refused(error: BusinessError, code: int = 9800003) -> None:
    assert error.code == code, error


def advance(manager: Manager) -> int:
    return manager.advance()


def twin_of(done: list[tuple[int, Op]]) -> tuple[Manager, ManualClock]:
    """A manager in memory to which all this has happened."""
    clock = ManualClock()
    manager = Manager(clock=clock)
    for now_ms, op in done:
        clock.set(now_ms)
        op(manager)
    return manager, clock


def grants_of(manager: Manager, now_ms: int) -> Grants:
    """What is held at an instant, which may be later than the manager's."""
    return {
        (record.kind, record.uid, record.pid, record.cpu_level, grant.type, grant.deadline_ms, grant.reason)
        for record in manager.records()
        for grant in record.grants
        if grant.deadline_ms is None or grant.deadline_ms > now_ms
    }


class Run:
    """One use of a manager, in sessions, and what must be there then."""

    def __init__(self, place: Path, number: int, options: argparse.Namespace) -> None:
        self.path = place / "grants.db"
        self.number = number
        self.options = options
        self.kind = KINDS.index(options.kind)
        self.is_commit = options.durability == "commit"
        self.now_ms = 1000
        self.done: list[tuple[int, Op]] = []  # what was answered, and at which instant
        self.safe = 0  # so much of it is on the disk for certain
        self.twin, self.twin_clock = twin_of([])
        self.pending: tuple[int, Op] | None = None  # what has not been answered
        self.stalled: Future[Any] | None = None
        self.seen: dict[int, Event] = {}  # the events that were shown, by number
        self.errors: collections.Counter[str] = collections.Counter()
        self.has_failed = self.is_over = False  # the call that was to, and what made it fail
        self.clock: ManualClock
        self.manager: grantwheel.DurableManager | None = None

    # What is done. ----------------------------------------------------------------------------------------------------

    def use(self) -> None:
        for session in range(3):
            manager = self.open()
            try:
                self.go_on(manager, session)
                self.check_ends()
            finally:
                self.close(manager)
            self.pass_time(300)

    def go_on(self, manager: grantwheel.DurableManager, session: int) -> None:
        for number in range(6 * session, 6 * session + 6):
            for op in steps(number):
                self.change(manager, op)
            self.pass_time(35)
            self.change(manager, advance)
            if number % 3 == 0:
                self.attempt("mark", manager.maintain)
            if number % 3 == 1:
                self.attempt("snapshot", manager.snapshot)
            if number % 3 == 2 and self.attempt("flush", manager.flush):
                self.safe = len(self.done)

    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        self.clock.set(self.now_ms)
        self.twin_clock.set(self.now_ms)

    def open(self) -> grantwheel.DurableManager:
        self.clock = ManualClock(self.now_ms)
        more: dict[str, Any] = {"snapshots": self.options.background, "start": Start(BOOT, self.now_ms, self.now_ms)}
        manager: grantwheel.DurableManager = self.attempt(
            "open",
            lambda: grantwheel.open(self.path, clock=self.clock, durability=self.options.durability, **more),
        )
        self.manager = manager
        self.done = self.find(manager)
        self.pending = None
        self.done.append((self.now_ms, advance))
        self.safe = len(self.done) if self.is_commit else len(self.done) - 1
        self.twin, self.twin_clock = twin_of(self.done)
        self.check(manager)
        return manager

    def change(self, manager: grantwheel.DurableManager, op: Op) -> None:
        """Change something, as often as it is refused, and have the twin do the same."""
        answers = self.attempt("change", lambda: [op(manager)], op)
        if answers is None:
            return
        self.pending = None
        assert answers == [op(self.twin)]
        self.done.append((self.now_ms, op))
        if self.is_commit:
            self.safe = len(self.done)
        self.check(manager)

    def close(self, manager: grantwheel.DurableManager) -> None:
        """Close it. Whatever fails, the next one can open it."""
        self.manager = None
        try:
            manager.close()
            self.safe = len(self.done)
        except BusinessError as error:
            require_refused(error)
            assert (self.is_commit, self.options.lasts) == (False, "closed")
            self.errors["close"] += 1
        self.let_go()
        wait_for(lambda: self.is_left(manager))
        if self.stalled is not None:
            try:
                answer = self.stalled.result(PATIENCE)
            except BusinessError as error:
                if error.code == 9800003:
                    self.pending = None
                else:  # closed before it could be known
                    require_refused(error, 9800004)
            else:
                assert self.pending is not None
                self.done.append(self.pending)
                self.twin, self.twin_clock = twin_of(self.done)
                self.twin_clock.set(self.now_ms)
                assert answer is not None
                self.pending = None
                self.safe = len(self.done)
            self.stalled = None

    def is_left(self, manager: grantwheel.DurableManager) -> bool:
        """Whether the journal is closed; if it did not answer in time, another close does it."""
        manager.close()
        assert isinstance(manager._journal, SqliteJournal)
        return manager._journal._closed

    # What fails. ------------------------------------------------------------------------------------------------------

    def attempt(self, what: str, work: Callable[[], Any], op: Op | None = None) -> Any:
        """Do something as often as it fails; None when it has been given up, as the fault stays until the end."""
        for tries in range(2 * ENOUGH):
            if what != "open" and self.is_given_up():
                return None
            if op is not None:
                self.pending = (self.now_ms, op)
            try:
                return self.call(what, work)
            except Stalled as error:
                self.stalled = error.future
                continue
            except BusinessError as error:
                require_refused(error)
                failure: Exception = error
            except (OSError, sqlite3.Error, NotAppended) as error:
                if what not in ("open", "snapshot") or isinstance(error, InUseError):
                    raise
                failure = error
            self.note(what, failure)
            if op is not None:  # it was refused
                self.pending = None
            self.check_ends()
            if tries + 1 == ENOUGH and (what == "open" or self.options.lasts == "refused"):
                self.let_go()
            if self.manager is not None and not self.is_commit and self.is_past():
                self.catch_up(self.manager)
        raise AssertionError(f"{what} fails, though no call does any more")

    def call(self, what: str, work: Callable[[], Any]) -> Any:
        """Do something, and see whether it stalls."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        before = Asked.silent
        give_up = time.monotonic() + PATIENCE
        threading.Thread(target=run, daemon=True).start()
        while not future.done() and Asked.silent < before + ENOUGH:
            assert time.monotonic() < give_up, f"{what} does not come back"
            with contextlib.suppress(TimeoutError):
                future.exception(0.01)
        if not future.done():
            self.errors[f"{what} waits"] += 1
            assert self.options.lasts != "once"
            if self.manager is not None:
                self.check_stalled(self.manager)
                if self.options.lasts == "closed":
                    raise Stalled(future)
            self.let_go()
        return future.result(PATIENCE)

    def note(self, what: str, error: Exception) -> None:
        self.errors[f"{what}: {type(error).__name__}"] += 1
        if self.options.lasts == "once" and (self.is_commit or what == "open"):
            assert sum(self.errors.values()) == 1, f"one call has failed, and then {what} with {error!r}"

    def is_hit(self) -> bool:
        self.has_failed = self.has_failed or library.faults_calls(self.kind) >= self.number
        return self.has_failed

    def is_past(self) -> bool:
        """Whether no call fails any more."""
        return self.is_hit() and (self.is_over or self.options.lasts == "once")

    def is_given_up(self) -> bool:
        return self.options.lasts == "closed" and bool(self.errors) and not self.is_over

    def let_go(self) -> None:
        """Have no call fail any more, if one has."""
        if self.is_hit() and not self.is_over:
            self.is_over = True
            library.faults_arm(-1, 0, 0, 0)

    def catch_up(self, manager: grantwheel.DurableManager) -> None:
        """Wait until all that was answered is in the journal, as nothing fails any more."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                assert manager.flush()
                break
            except BusinessError as error:
                require_refused(error)
                if time.monotonic() > give_up:
                    raise
        self.safe = len(self.done)

    # What must be. ----------------------------------------------------------------------------------------------------

    def check(self, manager: grantwheel.DurableManager) -> None:
        """What the manager has is what was answered."""
        assert grants_of(manager, self.now_ms) == grants_of(self.twin, self.now_ms)
        self.look_at_events(manager)

    def look_at_events(self, manager: grantwheel.DurableManager) -> None:
        """What was shown once is so for good."""
        events = manager.read(0)[0]
        assert all(self.seen.get(event.sequence, event) == event for event in events)
        assert manager.last_sequence >= max(self.seen, default=0)
        self.seen.update((event.sequence, event) for event in events)

    def check_stalled(self, manager: grantwheel.DurableManager) -> None:
        """While the journal does not say where it stands reads go on, and changes are refused."""
        assert manager.find_app(STRANGER) is None
        try:
            manager.apply(STRANGER, 1, GPS, 1000)
        except BusinessError as error:
            require_refused(error)
        else:
            raise AssertionError("it is not known where the journal stands, and it takes something")
        self.check_ends()

    def find(self, manager: grantwheel.DurableManager) -> list[tuple[int, Op]]:
        """Return what of all that was answered has happened to a manager: nothing that is safe is missing."""
        manager.validate()
        assert [report for report in manager.recovery.damage if report.kind != "torn"] == []
        assert manager.last_sequence >= max(self.seen, default=0)
        found = grants_of(manager, self.now_ms)
        candidates = [self.done[:count] for count in range(len(self.done), self.safe - 1, -1)]
        if self.pending is not None:
            candidates.insert(0, [*self.done, self.pending])
        for candidate in candidates:
            twin, _ = twin_of([*candidate, (self.now_ms, advance)])
            if (twin.last_sequence, grants_of(twin, self.now_ms)) == (manager.last_sequence, found):
                return candidate
        raise AssertionError(f"{found} is there, and should be one of {len(candidates)}")

    def check_ends(self) -> None:
        """A kill now, or a failure of the power, leaves what was answered."""
        place, copy = self.path.parent, self.path.parent.with_name("copy")
        for power_fails in (False, True):
            with contextlib.ExitStack() as stack:
                if self.manager is not None:  # nobody writes meanwhile
                    journal = self.manager._journal
                    assert isinstance(journal, SqliteJournal)
                    stack.enter_context(journal._saver)
                    stack.enter_context(journal._writer)
                elif not self.path.exists():
                    continue
                copy_disk(place, copy, power_fails=power_fails)
            with grantwheel.open(copy / self.path.name, clock=ManualClock(self.now_ms), snapshots=False) as found:
                self.find(found)

    def check_last(self) -> None:
        """What a fresh one finds, without faults, is all that was answered; and it goes on."""
        for uid in (1, 2):
            manager = self.open()
            self.change(manager, lambda manager, uid=uid: manager.apply(uid, 1, GPS, 1000))  # type: ignore[misc]
            self.close(manager)
        shown = collections.Counter(event._replace(sequence=0) for event in self.seen.values())
        answered = collections.Counter(event._replace(sequence=0) for event in self.twin.read(0)[0])
        assert shown == answered, (shown - answered, answered - shown)


def run_once(number: int, options: argparse.Namespace, folder: Path) -> tuple[bool, collections.Counter[str]]:
    """Have a call fail; whether there was one, and what was raised."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    library.faults_begin(bytes(place), options.at_once)
    run = Run(place, number, options)
    library.faults_arm(run.kind, number, getattr(errno, options.error), options.lasts != "once")
    run.use()
    is_met = run.is_hit()
    run.let_go()
    library.faults_begin(b"", 0)
    run.check_last()
    return is_met, run.errors


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--durability", default="commit")
    parser.add_argument("--error", default="EIO")
    parser.add_argument("--lasts", choices=("once", "refused", "closed"), default="once", help="how long calls fail")
    parser.add_argument("--at-once", action="store_true", help="what a failed sync was to bring is gone at once")
    parser.add_argument("--background", action="store_true", help="snapshots are made by themselves too, very often")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--step", type=int, default=1)
    options = parser.parse_args()
    keep_logs_short()
    grantwheel.journal.sqlite.SqliteJournal = Asked  # type: ignore[misc]
    if options.lasts == "closed":
        durable._SETTLE_MS = 200
    keeping.MARK_MS = 30
    keeping.LEAST_BYTES, keeping.TIMES_SNAPSHOT, keeping._REST_S = 200, 0, 0.01
    raised: collections.Counter[str] = collections.Counter()

    def is_met(number: int, place: Path) -> bool:
        has_come, errors = run_once(number, options, place)
        raised.update(errors)
        return has_come

    with quick_folder() as place:
        print(each_in_turn(options.first, options.step, lambda number: is_met(number, place)), dict(raised))


if __name__ == "__main__":
    main()
