"""Who held what, from when to when, and how it ended: what the events of a journal tell when it is carried out."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from grantwheel import BusinessError, Event, EventKind, Follower, MemoryOperationError, OwnerKind, Record, ops
from grantwheel.journal.reading import JournalView

from .failure import CommandError
from .opened import DAMAGED, UNREADABLE, start
from .times import WallClock

_EVENTS = 1 << 20  # kept between two looks; a group that makes more of them leaves a gap
_OF_PROCESSES = frozenset({EventKind.PROCESS_APPLY, EventKind.PROCESS_RESET})
_BEGINNINGS = frozenset({EventKind.APP_APPLY, EventKind.PROCESS_APPLY})
UNKNOWN = "unknown"
RECOVERED = "recovered"


class Owner(NamedTuple):
    """Who holds: an app by its uid, or a process by its pid, with the uid that it runs under."""

    kind: OwnerKind
    uid: int
    pid: int | None


class Span(NamedTuple):
    """One type held by one owner, from an instant to another. ``cause`` is how it ended; None if it is held still.

    ``is_older``: it was held when what is on record begins, and so for longer than that.
    """

    owner: Owner
    type: int
    start: int
    end: int
    cause: str | None
    is_older: bool


class History:
    """Carries out what is on record, and gives each span to whoever wants it when it is over.

    Attributes
    ----------
    first, last : int
        The instants between which it goes.
    groups : int
        How many were carried out.
    missed : int
        Events that were overwritten unread. What they told is seen by looking at what is held, without causes.
    names : dict of Owner to str
        The last bundle of each owner.
    records : list of Record
        What is held at the end.
    fault : str or None
        Why it did not go on to the end.
    """

    def __init__(self, view: JournalView, take: Callable[[Span], object], until: int | None = None) -> None:
        self.clock = WallClock()
        self.names: dict[Owner, str] = {}
        self.records: list[Record] = []
        self.fault: str | None = None
        self.first = self.last = self.groups = self.missed = 0
        self._take = take
        self._until = until
        self._held: dict[tuple[Owner, int], tuple[int, bool]] = {}
        self._owners: dict[tuple[bool, int], Owner] = {}
        try:
            self._follower = self._begin(view)
            self._play(view)
        except MemoryOperationError as error:
            raise CommandError(str(error), UNREADABLE) from error

    def _begin(self, view: JournalView) -> Follower:
        try:
            return start(view, is_whole=True, event_capacity=_EVENTS)
        except MemoryOperationError:
            raise
        except BusinessError as error:
            raise CommandError(f"the snapshot cannot be loaded: {error}", DAMAGED) from error

    def _play(self, view: JournalView) -> None:
        follower = self._follower
        self._after = follower.last_sequence
        is_begun = view.snapshot() is not None and follower.position > 0
        self.first = follower.now_ms
        if is_begun:
            self._reconcile(UNKNOWN)
        for position, group in view.read(follower.position):
            try:
                first, recoveries, behind = self._look_at(group)
                if not is_begun and first is not None:
                    self.first, is_begun = first, True
                whole = group if behind is None else group[:behind]
                if whole:
                    self._carry_out(whole, recoveries)
                    self.groups += 1
            except MemoryOperationError:
                raise
            except BusinessError as error:
                self.fault = f"group {position} cannot be carried out: {error}"
                break
            if behind is not None:
                break
        self._end(is_begun=is_begun)

    def _look_at(self, group: bytes) -> tuple[int | None, list[int], int | None]:
        """Return the first instant of a group, where its recoveries begin, and where to stop; None for its end."""
        found = ops.read(group)
        first = None
        recoveries: list[int] = []
        for op in found:
            first = op.time if first is None else first
            if self._until is not None and op.time > self._until:
                return first, recoveries, found.place
            self.clock.note_op(op)
            if isinstance(op, ops.Recovery):
                recoveries.append(found.place)
        return first, recoveries, None

    def _carry_out(self, group: bytes, recoveries: list[int]) -> None:
        """Carry out a group. What a recovery drops is told by no event, so it is looked for before and after."""
        at = 0
        for place in recoveries:
            self._feed(group[at:place])
            rest = ops.read(group[place:])
            recovery = next(rest)
            next(rest, None)
            at = place + rest.place
            self._expire(recovery.time)
            self._feed(group[place:at])
            self._reconcile(RECOVERED, recovery.time)
        self._feed(group[at:])

    def _feed(self, part: bytes) -> None:
        if part:
            self._follower.feed(part)
            self._read()

    def _expire(self, time: int) -> None:
        """See what is due at an instant, and when it was, without ending it: the log has not."""
        ahead = Follower(snapshot=self._follower.snapshot(), event_capacity=_EVENTS)
        after = ahead.last_sequence
        ahead.feed(ops.end_at(time))
        while True:
            events, _, after = ahead.read(after, 4096)
            for event in events:
                self._take_event(event)
            if not events:
                return

    def _end(self, *, is_begun: bool) -> None:
        """End what is due by then, and hand out what is held still."""
        self.last = self._follower.now_ms if self._until is None else self._until
        if is_begun and self.last < self.first:
            raise CommandError(f"what is on record begins at {self.first} ms, and not before", UNREADABLE)
        if self.fault is None:  # else the follower may have lost its way, and ends where it is
            self._follower.feed(ops.end_at(self.last))
        self._read()
        self.records = self._follower.records()
        for (owner, one), (begun, is_older) in self._held.items():
            self._take(Span(owner, one, begun, self.last, None, is_older))

    def _read(self) -> None:
        """Take the events that have come."""
        has_gap = False
        while True:
            events, missed, self._after = self._follower.read(self._after, 4096)
            self.missed += missed
            has_gap = has_gap or missed > 0
            for event in events:
                self._take_event(event)
            if not events:
                break
        if has_gap:
            self._reconcile(UNKNOWN)

    def _take_event(self, event: Event) -> None:
        is_process = event.kind in _OF_PROCESSES
        key = (is_process, event.pid if is_process else event.uid)
        owner = self._owner(key, event.uid)
        if event.kind in _BEGINNINGS:
            if event.bundle:
                self.names[owner] = event.bundle
            for one in bits(event.mask):
                if (owner, one) in self._held:  # its end was not told
                    self._close(owner, one, event.time, UNKNOWN)
                self._held[owner, one] = (event.time, False)
        else:
            for one in bits(event.mask):
                self._close(owner, one, event.time, str(event.cause))

    def _owner(self, key: tuple[bool, int], uid: int) -> Owner:
        owner = self._owners.get(key)
        if owner is None or owner.uid != uid:
            is_process, number = key
            owner = Owner(OwnerKind.PROCESS if is_process else OwnerKind.APP, uid, number if is_process else None)
            self._owners[key] = owner
        return owner

    def _close(self, owner: Owner, one: int, time: int, cause: str) -> None:
        found = self._held.pop((owner, one), None)
        if found is not None:
            self._take(Span(owner, one, found[0], max(time, found[0]), cause, found[1]))

    def _reconcile(self, cause: str, ended_at: int | None = None) -> None:
        """Have what is held be what the records say: what is not there any more has ended, nobody has said when."""
        now = self._follower.now_ms
        there: set[tuple[Owner, int]] = set()
        for record in self._follower.records():
            is_process = record.kind is OwnerKind.PROCESS
            owner = self._owner((is_process, record.pid if is_process else record.uid), record.uid)
            if record.bundle:
                self.names[owner] = record.bundle
            there.update((owner, one) for one in bits(record.mask))
        for owner, one in self._held.keys() - there:
            self._close(owner, one, now if ended_at is None else ended_at, cause)
        for key in there - self._held.keys():
            self._held[key] = (now, True)


def marks_of(view: JournalView) -> WallClock:
    """Return when the instants of a journal were, by all marks that are on record."""
    clock = WallClock()
    with contextlib.suppress(BusinessError):  # what is damaged ends it, as it ends the replay
        for _, group in view.read(view.first - 1):
            for op in ops.read(group):
                clock.note_op(op)
    return clock


def bits(mask: int) -> tuple[int, ...]:
    """Return the types of a mask, one by one."""
    return _BITS[mask]


_BITS = tuple(tuple(1 << place for place in range(9) if mask >> place & 1) for mask in range(512))
