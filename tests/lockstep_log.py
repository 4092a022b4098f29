"""A manager with a log and the model in step: at random points what is on record must lead to the same.

The groups so far are carried out by three followers: one that is new, one that begins with a snapshot taken on the
way, and one that has come along from the start. All of them must have the records and the events of the manager, and
the same state as each other.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any, Final

from grantwheel import BusinessError, Conflict, Follower, Manager, MemoryLog, NotAppended, replay
from lockstep import Lockstep, Operation, Setup
from lockstep_events import Mismatch
from model_policy import TRANSACTION_FAILED, Refused

STEPS_A_CHECK: Final = 150
STEPS_A_WRITE: Final = 100
NOT_ON_RECORD: Final = ("refused", TRANSACTION_FAILED // 100, TRANSACTION_FAILED)


class UnsureLog:
    """A log in Python that may be told to refuse. Some of its failures do not say what has become of the group.

    Parameters
    ----------
    seed : int
        Of the choice between its failures.
    """

    def __init__(self, seed: int = 0) -> None:
        self.works = True
        self._groups: list[bytes] = []
        self._dice = Random(seed)

    def last(self) -> int:
        """Return how many groups there are."""
        return len(self._groups)

    def append(self, after: int, group: bytes) -> int:
        """Keep a group, or raise that it is not there, or raise what says nothing."""
        if after != len(self._groups):
            raise Conflict(f"{len(self._groups)} groups, not {after}")
        chance = self._dice.random()
        if not self.works and chance < 0.5:
            raise NotAppended("it does not work")
        if self.works:
            self._groups.append(group)
        if not self.works or chance < 0.05:
            raise OSError("nobody knows")
        return len(self._groups)

    def read(self, after: int = 0) -> list[tuple[int, bytes]]:
        """Return the groups after a position, with their positions."""
        return list(enumerate(self._groups[after:], after + 1))


class LoggedLockstep(Lockstep):
    """A fresh manager with a fresh log, and a fresh model.

    Parameters
    ----------
    setup, validate_every, make_manager
        As of `Lockstep`.
    make_log
        What makes the log.
    """

    def __init__(
        self,
        setup: Setup,
        validate_every: int = 1,
        make_manager: Callable[..., Any] = Manager,
        *,
        make_log: Callable[[], MemoryLog | UnsureLog] = MemoryLog,
    ) -> None:
        self._log = make_log()
        super().__init__(setup, validate_every, make_manager, self._log)
        self._limits = {name: getattr(setup, name) for name in ("max_records", "max_strings", "event_capacity")}
        self._dice = Random(0)
        self._companion = Follower(**self._limits)
        self._snapshots: list[tuple[int, int, bytes]] = []  # position, last event, bytes
        self._notes: dict[bytes, bytes] = {}
        self.checks = 0
        for name in ("apply_many", "release_many"):
            for_manager, for_model = self._calls[name]
            self._calls[name] = for_manager, self._as_a_whole(for_model)

    def perform(self, operation: Operation) -> object:
        """Make one call on both and compare; now and then look at the log as well."""
        result = super().perform(operation)
        if self._dice.random() * STEPS_A_WRITE < 1:
            self._write_notes()
        if self._dice.random() * STEPS_A_CHECK < 1:
            self._check_log()
        return result

    def finish(self) -> str:
        """Compare everything, the log too."""
        self._set_journal(True)
        digest = super().finish()
        self._check_log()
        return digest

    @staticmethod
    def _as_a_whole(call: Callable[..., Any]) -> Callable[..., object]:
        """The rows of a batch are on record together, or none is."""

        def answer(*arguments: Any) -> object:
            answers = call(*arguments)
            if -NOT_ON_RECORD[1] in answers:
                raise Refused(TRANSACTION_FAILED)
            return answers

        return answer

    def _set_journal(self, works: bool) -> None:
        if isinstance(self._log, UnsureLog):
            self._log.works = self.model.journal_works = works

    def _advance(self, budget: int | None) -> None:
        """What cannot be put on record does not end."""
        if self.model.journal_works:
            super()._advance(budget)
            return
        self.model.settle(self.now)
        answer: object
        try:
            answer = self.manager.advance() if budget is None else self.manager.advance(budget)
        except BusinessError as error:
            answer = ("refused", error.code, error.detail)
        if self._compare_events(full=False):
            raise Mismatch("advance: it has ended something that is not on record")
        if answer != (NOT_ON_RECORD if self._events.waiting else 0):
            raise Mismatch(f"advance: {answer}, and not on record are {list(self._events.waiting.values())}")

    def _turn_back(self) -> None:
        if self.model.journal_works:
            super()._turn_back()

    def _write_notes(self) -> None:
        """Write some notes of all sizes, or drop them, and compare with what is to be there."""
        dice = self._dice
        size = 1 << dice.choice((7, 8, 14, 16))
        values = (None, b"", bytes(dice.randrange(300)), bytes([dice.randrange(256)]) * size)
        changes = {b"%d" % dice.randrange(12): dice.choice(values) for _ in range(dice.randint(1, 4))}
        answer: object = None
        try:
            self.manager.write_notes(changes)
        except BusinessError as error:
            answer = ("refused", error.code, error.detail)
        if answer != (None if self.model.journal_works else NOT_ON_RECORD):
            raise Mismatch(f"write_notes: {answer}")
        if answer is None:
            left = {key: value for key, value in self._notes.items() if key not in changes}
            written = {key: value for key, value in changes.items() if value is not None}
            self._notes = dict(sorted((left | written).items()))
        if list(self.manager.notes().items()) != list(self._notes.items()):
            raise Mismatch("write_notes: other notes than were written")

    def _check_log(self) -> None:
        """Carry out what is on record in three ways, compare, and keep a snapshot."""
        self.checks += 1
        for _, group in self._log.read(self._companion.position):
            self._companion.feed(group)
        fresh = replay((group for _, group in self._log.read()), **self._limits)
        self._compare_follower("new", fresh, fresh, 0)
        self._compare_follower("the companion", self._companion, fresh, 0)
        data = b"".join(fresh.snapshot())
        if data != b"".join(self._companion.snapshot()):
            raise Mismatch("log: two snapshots of the same state differ")
        if self._snapshots:
            position, sequence, before = self._dice.choice(self._snapshots)
            later = Follower(snapshot=self._cut(before), position=position)
            for _, group in self._log.read(position):
                later.feed(group)
            self._compare_follower(f"from the snapshot at {position}", later, fresh, sequence)
        self._snapshots.append((fresh.position, fresh.last_sequence, data))

    def _cut(self, data: bytes) -> Sequence[bytes]:
        """Cut bytes into chunks at random."""
        places = sorted({0, len(data), *(self._dice.randrange(len(data)) for _ in range(5))})
        return [data[start:end] for start, end in pairwise(places)]

    def _compare_follower(self, name: str, follower: Follower, fresh: Follower, after: int) -> None:
        """Compare with the manager, as far as events go back to a number, and with one that has read all of the log."""
        follower.validate()
        pairs: dict[str, tuple[object, object]] = {
            "records": (follower.records(now_ms=self.now), self.manager.records()),
            "events": (follower.read(after), self.manager.read(after)),
            "position": (follower.position, self._log.last()),
            "notes": (follower.notes(), self._notes),
            "instant": (follower.now_ms, fresh.now_ms),
            "numbers": (follower.stats(), fresh.stats()),
            "state": (follower.state_hash(), fresh.state_hash()),
        }
        for what, (mine, theirs) in pairs.items():
            if mine != theirs:
                raise Mismatch(f"log: {what} of the follower that is {name}: {mine!r}, but {theirs!r}")
