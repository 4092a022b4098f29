"""The events of a manager against those of the model: what each call reported, and in which order.

Expiry is the one thing that they may report at different times. The model ends what is due at once; the manager may
report it later, in the order within each record, before it acts on that record, and all of it by a full advance. So
every ending that the model has made waits in a queue of its record until the manager reports it.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from grantwheel import Caller, Event
from model import EventTuple, Model

Owner = tuple[bool, int]
"""Whether it is an app, and its key: sorts processes before apps, as expiry does."""


class Mismatch(AssertionError):
    """The manager and the model disagree, or the manager broke a rule of its own."""


def _owner(event: Sequence[Any]) -> Owner:
    """The record that an event (without its sequence number) is about."""
    is_app = event[1] == "app_reset" or event[1] == "app_apply"
    return is_app, event[3] if is_app else event[4]


def show(events: Sequence[Event]) -> str:
    """Events in short, for messages."""
    return "; ".join(" ".join(map(str, event)) for event in events[:30])


class EventComparison:
    """Follows the events of a manager and of a model, from their start.

    Parameters
    ----------
    manager, model
        Both fresh.
    capacity : int
        How many events the manager keeps.
    may_restart : bool
        Limits are low: a call may settle its own records first, and then end all others to free places.

    Attributes
    ----------
    waiting : dict
        The endings that the manager has not reported yet, by record.
    lines : list of str
        A line for each event; whoever reads it may clear it.
    """

    def __init__(self, manager: Any, model: Model, capacity: int, *, may_restart: bool) -> None:
        self.waiting: dict[Owner, deque[EventTuple]] = {}
        self.lines: list[str] = []
        self._manager = manager
        self._model = model
        self._may_restart = may_restart
        self._sequence = 0
        self._missed = 0
        self._model_events = 0
        self._log: deque[EventTuple | None] = deque(maxlen=capacity)
        self._reader = manager.subscribe("reader", caller=Caller(uid=0, pid=0, native=True))
        self._reader_sequence = 0
        self._reader_missed = 0

    def compare(self, *, full: bool, batch: bool = False) -> list[Event] | None:
        """Compare what the manager has reported since the last call, and answer it; None when some of it was lost.

        ``full`` says that the manager has to report everything that is due; ``batch``, that it was many calls in one.
        """
        acts = self._take_acts()
        events: list[Event] = self._manager.drain()
        if self._manager.missed != self._missed:
            self._follow_gap(events, acts, full=full)
            return None
        act = 0
        previous: tuple[int, Owner] | None = None
        restarts = 0 if self._may_restart and not full else 1
        for event in events:
            plain = self._enter(event)
            owner = _owner(plain)
            waiting = self.waiting.get(owner)
            if event.cause != "expired":
                if act == len(acts) or acts[act] != plain:
                    raise Mismatch(f"events: the manager gave {show([event])}, the model {acts[act : act + 1]}")
                if waiting:
                    raise Mismatch(f"events: {show([event])} came before {waiting[0]}")
                act += 1
                continue
            if not waiting or waiting.popleft() != plain:
                raise Mismatch(f"events: {show([event])} is not the next ending of its record: {waiting}")
            if not waiting:
                del self.waiting[owner]
            order = (event.time, owner)
            restarts += previous is not None and order <= previous
            previous = order
            if (act or restarts > 1) and not batch:
                raise Mismatch(f"events: {show([event])} is out of order in {show(events)}")
        if act != len(acts):
            raise Mismatch(f"events: the manager did not give {acts[act]}")
        if full and self.waiting:
            raise Mismatch(f"events: still not reported: {list(self.waiting.values())}")
        return events

    def _take_acts(self) -> list[EventTuple]:
        """Take the new events of the model; endings wait in the queues of their records, the others are answered."""
        fresh = self._model.events
        if not fresh:
            return fresh
        acts = []
        for event in fresh:
            if event[2] == "expired":
                self.waiting.setdefault(_owner(event), deque()).append(event)
            else:
                acts.append(event)
        self._model_events += len(fresh)
        fresh.clear()
        return acts

    def _enter(self, event: Event) -> EventTuple:
        """Note an event in the log and in the digest; answer it without its number, which must be the next."""
        self._sequence += 1
        if event.sequence != self._sequence:
            raise Mismatch(f"events: {event} should have the number {self._sequence}")
        plain: EventTuple = event[1:]
        self._log.append(plain)
        self.lines.append(" ".join(map(str, plain)))
        return plain

    def _follow_gap(self, events: list[Event], acts: list[EventTuple], *, full: bool) -> None:
        """Compare as far as possible when the ring has overwritten events of this very call."""
        lost = self._skip_lost()
        plain = [self._enter(event) for event in events]
        if full or not self.waiting:
            waiting = [event for queue in self.waiting.values() for event in queue]
            waiting.sort(key=lambda event: (event[0], _owner(event)))
            expected = waiting + acts
            if lost + len(plain) != len(expected) or plain != expected[lost:]:
                raise Mismatch(f"events: {lost} lost, then {plain}, but the model gave {expected}")
        else:
            self._manager.advance()
            rest = self._manager.drain()
            self._skip_lost()
            for event in rest:
                self._enter(event)
        self.waiting.clear()
        if self._sequence != self._model_events:
            raise Mismatch(f"events: the manager gave {self._sequence} so far, the model {self._model_events}")

    def _skip_lost(self) -> int:
        """Count the events that the last drain has found overwritten."""
        lost: int = self._manager.missed - self._missed
        self._missed += lost
        self._sequence += lost
        self._log.extend([None] * lost)
        return lost

    def read(self, limit: int | None) -> None:
        """Drain a subscription of another reader, who may be late."""
        if self._manager.drain():
            raise Mismatch("events: there are some that the last call did not give")
        first = max(self._reader_sequence, self._sequence - (self._log.maxlen or 0))
        self._reader_missed += first - self._reader_sequence
        start = len(self._log) - (self._sequence - first)
        expected = list(self._log)[start : None if limit is None else start + limit]
        events = self._reader.drain() if limit is None else self._reader.drain(limit)
        self._reader_sequence = first + len(expected)
        if [event.sequence for event in events] != list(range(first + 1, self._reader_sequence + 1)):
            raise Mismatch(f"reader: {events} should begin after number {first} and be {len(expected)}")
        if any(entry is not None and entry != event[1:] for entry, event in zip(expected, events, strict=True)):
            raise Mismatch(f"reader: {events} differs from {expected}")
        if self._reader.missed != self._reader_missed:
            raise Mismatch(f"reader: missed {self._reader.missed}, should be {self._reader_missed}")
