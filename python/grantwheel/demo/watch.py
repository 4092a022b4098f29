"""Turns what goes on among the processes into calls of a manager, and the manager's events into a view."""

import time
from types import TracebackType

from grantwheel import BusinessError, Cause, Event, EventKind, Manager, ResourceType
from grantwheel.linux.procfs import Process
from grantwheel.types import Clock, OwnerKind

from .deaths import Deaths
from .sampler import Opened, Sample, Sampler
from .view import Counts, Entry, Frame, Summary, View, type_names

_APPLIES = (EventKind.APP_APPLY, EventKind.PROCESS_APPLY)
_FROM_FILES = (ResourceType.TIMER, ResourceType.AUDIO)


class Stopwatch:
    """Counts the calls of an engine and the time that they take: ``with stopwatch:`` around each."""

    def __init__(self) -> None:
        self.calls = 0
        self.ns = 0
        self._began = 0

    def __enter__(self) -> None:
        self._began = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ns += time.perf_counter_ns() - self._began
        self.calls += 1


class Watch:
    """Keeps the grants of a manager in step with the processes that a sampler sees.

    A process that used CPU gets a CPU grant of its own. A process whose open files show a type gets its app a grant of
    that type. A later look renews them or lets them run out. A process that is gone has died; with the last process of
    a uid its app has stopped.

    Parameters
    ----------
    manager : Manager
        The manager to call; nobody else calls it but `deaths`.
    sampler : Sampler
        Where the processes come from.
    clock : Clock
        The manager's clock.
    timeout_ms : int
        How long a grant lasts unless it is renewed.
    view : View
        What the events are shown on.
    deaths : Deaths or None
        Who sees the ends of processes with a CPU grant before the next look does; None for nobody.
    """

    def __init__(
        self,
        manager: Manager,
        sampler: Sampler,
        clock: Clock,
        *,
        timeout_ms: int,
        view: View,
        deaths: Deaths | None = None,
    ) -> None:
        self.engine = Stopwatch()
        self._manager = manager
        self._sampler = sampler
        self._clock = clock
        self._start = clock.now()
        self._timeout_ms = timeout_ms
        self._view = view
        self._deaths_at_once = deaths
        self._busy = 0
        self._applies = 0
        self._grants = self._expiries = self._deaths = self._refusals = 0
        self._uid_of: dict[int, int] = {}  # by pid: every process that grants were given for, until it is gone
        self._pids_of: dict[int, set[int]] = {}  # the same by uid, as long as there are any
        self._emptied: set[int] = set()  # uids that have left that map since the last look
        # The newest reason of each grant, by kind of owner, its key, and type: events do not carry reasons.
        self._reasons: dict[tuple[OwnerKind, int, str], str] = {}

    def look(self) -> Sample:
        """Take a sample, tell the manager what it shows, and report what came of it."""
        sample = self._sampler.sample()
        self._busy = len(sample.busy)
        self._take_away(sample.gone)
        self.report()
        for process in sample.busy:
            uid = self._sampler.uid(process.pid)
            if uid is not None:
                self._grant(uid, process, ResourceType.CPU)
        self._grant_by_files(sample.opened)
        self.report()
        return sample

    def report(self) -> int | None:
        """End what is due, show each event, and return the instant (ms) to be called again by, if any."""
        with self.engine:
            self._manager.advance()
        self._show_events()
        with self.engine:
            return self._manager.wake_at

    def frame(self) -> Frame:
        """Return the present state. Reading it for a view is no part of the engine's work here, and is not timed."""
        records = self._manager.records()
        self._show_events()
        counts = self._counts(sum(len(record.grants) for record in records))
        return Frame(
            elapsed_ms=self._clock.now() - self._start,
            processes=self._sampler.processes,
            busy=self._busy,
            processes_refused=self._sampler.refused,
            files_refused=self._sampler.files_refused,
            counts=counts,
            records=records,
        )

    def summary(self, *, finished: bool, children: int) -> Summary:
        """Return what it came to."""
        frame = self.frame()
        return Summary(
            elapsed_ms=frame.elapsed_ms,
            finished=finished,
            processes=frame.processes,
            looks=self._sampler.looks,
            counts=frame.counts,
            calls=self.engine.calls,
            engine_ns=self.engine.ns,
            procfs_ns=self._sampler.ns,
            processes_refused=frame.processes_refused,
            files_refused=frame.files_refused,
            children=children,
        )

    def _counts(self, held: int) -> Counts:
        renewals = self._applies - self._grants
        return Counts(self._grants, renewals, self._expiries, self._deaths, self._refusals, held)

    def _take_away(self, gone: list[Process]) -> None:
        for process in gone:
            if self._deaths_at_once is not None:
                self._deaths_at_once.forget(process.pid)
            uid = self._forget(process.pid)
            if uid is not None:
                with self.engine:
                    self._manager.process_died(uid, process.pid)
        if self._emptied:
            self._stop_apps()

    def _stop_apps(self) -> None:
        """Stop the apps that have no process left. Other processes than those known here may still run for them.

        That takes a look at the uid of every process. It is rare: who is found here is known from now on.
        """
        for pid, uid in self._sampler.uids().items():
            if uid in self._emptied:
                self._remember(uid, pid)
        for uid in sorted(self._emptied - self._pids_of.keys()):
            with self.engine:
                self._manager.app_stopped(uid)
        self._emptied.clear()

    def _remember(self, uid: int, pid: int) -> None:
        if self._uid_of.get(pid) != uid:
            self._forget(pid)  # it has changed its uid
            self._uid_of[pid] = uid
            self._pids_of.setdefault(uid, set()).add(pid)

    def _forget(self, pid: int) -> int | None:
        uid = self._uid_of.pop(pid, None)
        if uid is not None:
            pids = self._pids_of[uid]
            pids.discard(pid)
            if not pids:
                del self._pids_of[uid]
                self._emptied.add(uid)
        return uid

    def _grant_by_files(self, opened: list[Opened]) -> None:
        """Grant each app the types that the open files of its processes show: one call for each, for its first pid.

        A call for each type, so that the events count single grants.
        """
        granted = set()
        for process, types in opened:
            uid = self._sampler.uid(process.pid)
            for kind in _FROM_FILES:
                if uid is not None and kind & types and (uid, kind) not in granted:
                    granted.add((uid, kind))
                    self._grant(uid, process, kind)

    def _grant(self, uid: int, process: Process, kind: ResourceType) -> None:
        own = kind is ResourceType.CPU  # the process's own; all else is the app's
        try:
            with self.engine:
                self._manager.apply(uid, process.pid, kind, self._timeout_ms, process=own, reason=process.command)
        except BusinessError as error:
            self._refusals += 1
            self._view.note(f"refused uid {uid} pid {process.pid}: {error}")
            return
        self._applies += 1
        owner = (OwnerKind.PROCESS, process.pid) if own else (OwnerKind.APP, uid)
        self._reasons[*owner, kind.name or ""] = process.command
        self._remember(uid, process.pid)
        if own and self._deaths_at_once is not None:
            self._deaths_at_once.expect(process)

    def _show_events(self) -> None:
        with self.engine:
            events = self._manager.drain()
        ended: set[tuple[OwnerKind, int, str]] = set()
        for event in events:
            keys = _keys(event)
            if event.kind in _APPLIES:
                self._grants += len(keys)
                ended.difference_update(keys)
            else:
                ended.update(keys)
                if event.cause is Cause.EXPIRED:
                    self._expiries += len(keys)
                else:
                    self._deaths += len(keys)
            # More than one command only where grants of several types ended at one instant.
            commands = dict.fromkeys(self._reasons.get(key, "") for key in keys)
            self._view.entry(Entry(event, event.time - self._start, ", ".join(commands)))
        for key in ended:
            self._reasons.pop(key, None)


def _keys(event: Event) -> list[tuple[OwnerKind, int, str]]:
    of_process = event.kind in (EventKind.PROCESS_APPLY, EventKind.PROCESS_RESET)
    owner = (OwnerKind.PROCESS, event.pid) if of_process else (OwnerKind.APP, event.uid)
    return [(*owner, name) for name in type_names(event.mask)]
