"""What a start makes of the past: which instant of the log it is, and whose records go. Pure functions.

The log has a timeline of its own: the time since boot of the machine that began it, carried on by every start. A mark
says which instant of the log was when, by the machine's clocks.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from grantwheel._core import RETAINED

from .start import Start


class Mark(NamedTuple):
    """When an instant of the log was. ``boot_id`` has 16 bytes, all zero when it is not known."""

    now_ms: int
    boot_id: bytes
    boot_ms: int
    wall_ms: int


class Moment(NamedTuple):
    """A start on the timeline of the log: its instant there, and whether the machine was started since."""

    now_ms: int
    is_reboot: bool


class App(NamedTuple):
    """An app record, as far as a start looks at it."""

    uid: int
    mask: int


class ProcessRecord(NamedTuple):
    """A process record, as far as a start looks at it; the instant of its last apply is one of the log."""

    pid: int
    uid: int
    applied_ms: int


class Lost(NamedTuple):
    """Whose records go at a start, each ascending, and those that are kept for what can't be seen."""

    apps: list[int]
    processes: list[int]
    kept_apps: list[int]
    kept_processes: list[int]


def place(mark: Mark | None, last_ms: int, start: Start) -> Moment:
    """Return where a start is on the timeline of a log.

    On the same boot that is exact. After another one the calendar tells how long the machine was away, and time goes on
    from no earlier than the last instant of the log.

    Parameters
    ----------
    mark : Mark or None
        The last one of the log; None for a log without.
    last_ms : int
        The last instant of the log.
    start : Start
        The machine now.
    """
    if mark is None:  # a new log, or one that was written without marks
        return Moment(max(start.boot_ms, last_ms), start.boot_ms < last_ms)
    if is_reboot(mark, start):
        now_ms = mark.now_ms + max(start.wall_ms - mark.wall_ms, 0)
        return Moment(max(now_ms, last_ms), is_reboot=True)
    return Moment(max(mark.now_ms + start.boot_ms - mark.boot_ms, last_ms), is_reboot=False)


def is_reboot(mark: Mark, start: Start) -> bool:
    """Return whether the machine was started since a mark: another boot id, or a time since boot that is below it.

    Where one of the two boot ids is not known, the times tell alone.
    """
    are_known = any(mark.boot_id) and any(start.boot_bytes)
    return (are_known and mark.boot_id != start.boot_bytes) or start.boot_ms < mark.boot_ms


def find_lost(apps: Iterable[App], processes: Iterable[ProcessRecord], moment: Moment, start: Start) -> Lost:
    """Return whose records go: apps keep their retained types, and processes nothing.

    After a reboot all do. Otherwise an app whose uid certainly has no process, and a process unless its pid runs under
    its uid and has run since before the last apply of the record.
    """
    lost = Lost([], [], [], [])
    mortal = [app.uid for app in apps if app.mask & ~RETAINED]
    if moment.is_reboot:
        lost.apps.extend(sorted(mortal))
        lost.processes.extend(sorted(record.pid for record in processes))
        return lost
    running = start.running()
    uids = {uid for process in running.values() for uid in process.uids}
    for uid in sorted(mortal):
        if uid not in uids:
            (lost.apps if start.hidden is None else lost.kept_apps).append(uid)
    offset_ms = moment.now_ms - start.boot_ms
    for record in sorted(processes):
        process = running.get(record.pid)
        if process is not None:
            is_same = record.uid in process.uids and process.start_ms + offset_ms <= record.applied_ms
        else:
            is_same = start.hidden is not None and record.pid in start.hidden
            if is_same:
                lost.kept_processes.append(record.pid)
        if not is_same:
            lost.processes.append(record.pid)
    return lost


def runs_still(last_ms: int, moment: Moment, start: Start) -> Callable[[int, int], bool]:
    """Return what tells whether a process, of a uid and a pid, is one that may be on record.

    It has to run under its uid, and to have run since before the last instant of the log. After a reboot none does, and
    what can't be seen is taken to.
    """
    running, hidden = start.running(), start.hidden
    offset_ms = moment.now_ms - start.boot_ms

    def runs(uid: int, pid: int) -> bool:
        if moment.is_reboot:
            return False
        process = running.get(pid)
        if process is None:
            return hidden is not None and pid in hidden
        return uid in process.uids and process.start_ms + offset_ms <= last_ms

    return runs
