"""The demonstration itself: it does the steps of its script, and tells a view what comes of them."""

import operator
from collections.abc import Sequence

from grantwheel import Event, Manager, ResourceType
from grantwheel.suspend import AppState, Suspension, SuspensionEvent, SuspensionKind

from .script import Act, Script, Step
from .story import Story
from .view import Entry, Frame, Row, Summary, Tally, View
from .workers import Worker

_OF_STATE = (SuspensionKind.FOREGROUND, SuspensionKind.BACKGROUND, SuspensionKind.SUSPENDED)


class _Watched:
    """What has been seen of a worker so far."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.count = 0  # at the last look
        self.spell_ms: int | None = None  # since when it was frozen at that look; None: it was not
        self.base: tuple[int, int] | None = None  # instant and count from which its speed is taken
        self.frozen_since_ms: int | None = None  # by the events
        self.frozen = 0
        self.frozen_ms = 0
        self.counted_frozen = 0


class Show:
    """A demonstration: apps that work, a manager that knows what they hold, and a suspension that enforces it.

    Parameters
    ----------
    manager : Manager
        The manager. Nobody else drains it.
    suspension : Suspension
        Its suspension. This closes it when the script says so.
    workers : sequence of Worker
        The apps.
    script : Script
        What happens to them.
    view : View
        What it is shown on.
    """

    def __init__(
        self, manager: Manager, suspension: Suspension, workers: Sequence[Worker], script: Script, view: View
    ) -> None:
        self._manager = manager
        self._suspension = suspension
        self._script = script
        self._view = view
        self._start_ms = manager.clock.now()
        self._watched = {worker.uid: _Watched(worker) for worker in workers}
        self._uids = {worker.name: worker.uid for worker in workers}
        self._reader = suspension.subscribe(self)
        names = {worker.uid: worker.name for worker in workers}
        self._story = Story(names, self._start_ms, script.grace_ms, script.thaw_ms)
        self._lengths: dict[tuple[int, ResourceType], int] = {}
        self._failures = 0
        self._is_closed = False

    @property
    def elapsed_ms(self) -> int:
        """The time since the start."""
        return self._manager.clock.now() - self._start_ms

    def descriptors(self) -> list[int]:
        """Return what is readable when there is something to report."""
        own = [self._manager.fileno()]
        return own if self._is_closed else [self._reader.fileno(), *own]  # it is readable for good then

    def do(self, step: Step) -> None:
        """Do a step, and report what comes of it."""
        uid = self._uids.get(step.app, 0)
        match step.act:
            case Act.GRANT:
                self._lengths[uid, step.kind] = step.length_ms
                pid = self._watched[uid].worker.pid
                self._manager.apply(uid, pid, step.kind, step.length_ms, reason="demonstration")
            case Act.BACKGROUND:
                self._suspension.background(uid)
            case Act.FOREGROUND:
                self._suspension.foreground(uid)
            case Act.DELIVER:
                self._deliver(uid, step.kind)
            case Act.CLOSE:
                self._suspension.close()
                self._is_closed = True
        self.report()

    def _deliver(self, uid: int, kind: ResourceType) -> None:
        was_frozen = self._suspension.state(uid) is AppState.SUSPENDED
        is_delivered = self._suspension.deliver(uid, kind)
        if is_delivered and was_frozen:
            return  # the thaw is an event, and says it
        word = "delivered" if is_delivered else "refused"
        text = self._story.of_delivery(uid, kind, is_delivered)
        self._view.entry(Entry(self.elapsed_ms, self._watched[uid].worker.name, uid, word, str(kind.name), text))

    def report(self) -> None:
        """Show all that has happened since the last time."""
        # What a grant has caused is read before the grants: so each comes after its cause, never in a later report.
        caused: list[Event | SuspensionEvent] = [*self._reader.drain()]
        events: list[Event | SuspensionEvent] = [*self._manager.drain(), *caused]
        for event in sorted(events, key=operator.attrgetter("time")):
            watched = self._watched[event.uid]
            if isinstance(event, SuspensionEvent):
                self._note(watched, event)
                text = self._story.of_suspension(event, watched.worker.counted())
            else:
                length_ms = self._lengths.get((event.uid, event.mask), 0)
                text = self._story.of_grant(event, length_ms)
            elapsed_ms = event.time - self._start_ms
            name = watched.worker.name
            self._view.entry(Entry(elapsed_ms, name, event.uid, str(event.kind), str(event.cause), text))

    def _note(self, watched: _Watched, event: SuspensionEvent) -> None:
        if event.kind not in _OF_STATE:
            self._failures += event.kind is not SuspensionKind.FORGOTTEN
            return
        watched.base = (self._manager.clock.now(), watched.worker.counted())  # it is another speed from now on
        if watched.frozen_since_ms is not None:
            watched.frozen_ms += event.time - watched.frozen_since_ms
            watched.frozen_since_ms = None
        if event.kind is SuspensionKind.SUSPENDED:
            watched.frozen += 1
            watched.frozen_since_ms = event.time

    def look(self) -> None:
        """Look at all apps, and show how they are."""
        self.report()
        rows = [self._row(watched) for watched in self._watched.values()]
        self.report()
        self._view.frame(Frame(self.elapsed_ms, self._script.end_ms, rows))

    def _row(self, watched: _Watched) -> Row:
        worker = watched.worker
        before = self._suspension.why(worker.uid)
        now, count = self._manager.clock.now(), worker.counted()
        why = self._suspension.why(worker.uid)
        # Only what is read between two answers that are the same was read while it was so.
        is_frozen = why.state is AppState.SUSPENDED and before[:2] == why[:2]
        spell_ms = why.since_ms if is_frozen else None
        if spell_ms is not None and spell_ms == watched.spell_ms:
            watched.counted_frozen += count - watched.count
        base_ms, base_count = watched.base or (now, count)
        per_second = round((count - base_count) * 1000 / (now - base_ms)) if now > base_ms else None
        watched.count, watched.spell_ms, watched.base = count, spell_ms, (now, count)
        record = self._manager.find_app(worker.uid)
        grants = {} if record is None else {str(one.type.name): one.remaining_ms or 0 for one in record.grants}
        left_ms = None if why.until_ms is None else max(why.until_ms - now, 0)
        return Row(
            app=worker.name,
            uid=worker.uid,
            pid=worker.pid,
            grants=grants,
            state=why.state,
            frozen_ms=max(now - why.since_ms, 0) if why.state is AppState.SUSPENDED else None,
            kept_by=why.kept_by,
            left_ms=left_ms,
            counted=count,
            per_second=per_second,
        )

    def summary(self, *, finished: bool) -> Summary:
        """Return what it came to."""
        now = self._manager.clock.now()
        tallies = []
        for watched in self._watched.values():
            since = watched.frozen_since_ms
            frozen_ms = watched.frozen_ms + (0 if since is None else now - since)
            name, count = watched.worker.name, watched.worker.counted()
            tallies.append(Tally(name, watched.frozen, frozen_ms, watched.counted_frozen, count))
        return Summary(now - self._start_ms, finished, tallies, self._failures)
