"""`open`: from a journal to a manager, in the steps of a start."""

import logging
import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from grantwheel import _core
from grantwheel.journal import Conflict, Journal, OnProgress
from grantwheel.policy import Policy
from grantwheel.types import Cause, Clock

from .durable import DurableManager, clocks_of
from .loading import Loaded, Told, load
from .report import Report
from .start import Start, require_int
from .timeline import App, Lost, Mark, Moment, ProcessRecord, find_lost, place, runs_still

_log = logging.getLogger("grantwheel")
_OUT_OF_MEMORY = 980000101
_LIMIT_NAMES = ("max_records", "max_strings", "event_capacity")


def open_manager(
    where: str | os.PathLike[str] | Journal,
    *,
    durability: Literal["commit", "batch"] = "commit",
    owners: Literal["any", "processes"] = "any",
    clock: Clock | None = None,
    policy: Policy | None = None,
    max_records: int | None = None,
    max_strings: int | None = None,
    event_capacity: int | None = None,
    start: Start | None = None,
    on_progress: OnProgress | None = None,
    snapshots: bool = True,
) -> DurableManager:
    """Open a manager whose grants survive its end: those of a journal, with their remaining time.

    Parameters
    ----------
    where : str or os.PathLike, or Journal
        A file, which is made if it is not there; closing the manager closes it. Or a journal, which stays open.
    durability : str
        ``"commit"``: a call that changes something returns when that is on the disk. ``"batch"``: it returns at once,
        and what it has changed is on the disk some milliseconds later, or when `Manager.flush` has returned.
    owners : str
        ``"any"``: uids and pids are whatever numbers the program uses. ``"processes"``: they are those of this machine,
        and what belongs to processes that do not run any more goes at the start, tasks too, without events.
    clock : object
        Default: a `BootClock` that goes on with the time of the log. Any other one shows the time of the log itself,
        and must not be before its last instant.
    policy : Policy
        As of a `Manager`. It is not in the journal.
    max_records, max_strings, event_capacity : int
        As of a `Manager`. Default: those that the journal was opened with before, at first those of a `Manager`.
    start : Start
        The machine at this start, for tests. Default: as it is.
    on_progress : callable
        Called some times a second, if it takes longer than one: with how many groups have been read and how many there
        are. In a file they are checked before, which counts as half of it.
    snapshots : bool
        Whether snapshots are made by themselves, in a thread, when the log has grown. Without any it grows for ever.

    Returns
    -------
    DurableManager
        Its ``recovery`` says what was found. What was overdue has ended; `Manager.drain` has these events.

    Raises
    ------
    InUseError
        Another process has the journal, or another manager of this one.
    FormatError
        The file is no journal, or of a newer format. It was not touched.
    BusinessError
        9800001: what the journal has does not fit a limit, which is named, or there is not enough memory.
    NotAppended
        The journal takes nothing now.
    ValueError, TypeError
        An argument is out of range or of the wrong type: names it. The clock is before the last instant of the log.
    Exception
        What the journal raises.

    Examples
    --------
    >>> import grantwheel
    >>> journal = grantwheel.journal.MemoryJournal()  # or the path of a file
    >>> with grantwheel.open(journal) as manager:
    ...     manager.apply(1000, 42, 32, 60_000)
    32
    >>> with grantwheel.open(journal) as manager:
    ...     manager.app_mask(1000), 0 < manager.find_app(1000).grants[0].remaining_ms <= 60_000
    (32, True)
    """
    options = Options(durability, owners, clock, policy, (max_records, max_strings, event_capacity), start, snapshots)
    _check(where, options)
    begun = time.monotonic()
    with ExitStack() as opened:
        told = None if on_progress is None else Told(on_progress)
        journal, owns = _journal_of(where, told)
        if owns:
            opened.callback(journal.close)
        opening = _Opening(journal, load(journal, told), options)
        opening.put_on_record()
        manager = opening.make_manager(owns=owns)
        opened.pop_all()
    try:
        opening.settle_tasks(manager)
        expired = opening.end_overdue(manager)
    except BaseException:
        manager.close()
        raise
    manager._report = replace(manager._report, expired=expired, seconds=time.monotonic() - begun)
    manager._keeper.start()
    return manager


class Options(NamedTuple):
    """What `open` was called with."""

    durability: str
    owners: str
    clock: Clock | None
    policy: Policy | None
    limits: tuple[int | None, int | None, int | None]
    start: Start | None
    snapshots: bool


class _Opening:
    """One start, from what was loaded to the manager."""

    def __init__(self, journal: Journal, loaded: Loaded, options: Options) -> None:
        self._journal = journal
        self._loaded = loaded
        self._options = options
        self._follower = follower = loaded.follower
        with_processes = options.owners == "processes"
        self._start = start = Start.now(processes=with_processes) if options.start is None else options.start
        found = _core.mark_of(follower)
        mark = None if found is None else Mark(*found)
        self._last_ms = follower.now_ms
        self._moment, self._clock = _moment(mark, self._last_ms, start, options)
        self._records = _core.used_of(follower)[0]
        self._lost = Lost([], [], [], [])
        self._lost_grants = 0
        if with_processes:
            apps, processes = _core.owners_of(follower)
            records = (ProcessRecord(*one) for one in processes)
            self._lost = find_lost((App(*one) for one in apps), records, self._moment, start)
        gone = set(self._lost.processes)
        self._overdue = [one for one in _core.overdue_of(follower, self._moment.now_ms) if one[0] not in gone]
        self._expired = follower.stats().ended[Cause.EXPIRED]

    def put_on_record(self) -> None:
        """Have the follower drop what is lost, take the limits and note the time; then append that as one group.

        In this order: what does not fit the limits is refused, and nothing is on record.
        """
        now_ms, follower = self._moment.now_ms, self._follower
        before = _core.limits_of(follower)
        records, strings, events = self._options.limits
        limits = (records or before[0], strings or before[1], events or before[2])
        ops = []
        if self._lost.apps or self._lost.processes:
            ops.append(_core.encode_recovery(self._lost.apps, self._lost.processes, now_ms))
        if limits != before:
            ops.append(_core.encode_limits(*limits, now_ms))
        start = self._start
        ops.append(_core.encode_mark(now_ms, start.boot_bytes, start.boot_ms, start.wall_ms))
        group = b"".join(ops)
        position = follower.position
        recovered = follower.stats().ended[Cause.RECOVERED]
        follower.feed(group)
        self._lost_grants = follower.stats().ended[Cause.RECOVERED] - recovered
        self._require_limits(limits)
        if self._journal.last() != position:
            raise Conflict(f"the journal goes up to {self._journal.last()}, and {position} of it was to be read")
        self._journal.append(position, group)
        self._opened_bytes = len(group)

    def make_manager(self, *, owns: bool) -> DurableManager:
        """Make a manager of the follower, which is of no use afterwards."""
        options, start, moment, loaded, lost = self._options, self._start, self._moment, self._loaded, self._lost
        report = Report(
            snapshot=loaded.snapshot,
            groups=loaded.groups,
            records=self._records,
            damage=tuple(getattr(self._journal, "reports", ())),
            now_ms=moment.now_ms,
            away_ms=moment.now_ms - self._last_ms,
            is_reboot=moment.is_reboot,
            lost_apps=tuple(lost.apps),
            lost_processes=tuple(lost.processes),
            lost_grants=self._lost_grants,
            kept_apps=tuple(lost.kept_apps),
            kept_processes=tuple(lost.kept_processes),
            instance=getattr(self._journal, "instance", None),
        )
        return DurableManager(
            clock=self._clock,
            policy=options.policy,
            journal=self._journal,
            owns_journal=owns,
            loaded=loaded._replace(group_bytes=loaded.group_bytes + self._opened_bytes, groups=loaded.groups + 1),
            durability=options.durability,
            clocks=clocks_of(start, moment.now_ms, is_given=options.start is not None),
            report=report,
            snapshots=options.snapshots,
        )

    def settle_tasks(self, manager: DurableManager) -> None:
        """Drop the tasks on record of processes that have ended, and let the others hear of deaths from now on.

        The grants are served in any case: what the log does not take now is dropped when the `Tasks` are made.
        """
        if not any(name.startswith(manager._TASK_NOTES) for name in manager.notes()):
            return
        from grantwheel.tasks.untended import UntendedTasks  # tasks are loaded by who has some

        with_processes = self._options.owners == "processes"
        runs = runs_still(self._last_ms, self._moment, self._start) if with_processes else None
        untended = manager._untended = UntendedTasks(manager, runs, is_reboot=self._moment.is_reboot)
        try:
            untended.settle()
        except _core.BusinessError:
            _log.exception("the tasks of processes that have ended are on record still")

    def end_overdue(self, manager: DurableManager) -> int:
        """End what is overdue, processes first, and return how many grants that were."""
        if self._overdue:
            _core.end_due(manager, self._overdue)
        manager.advance()
        return manager.stats().ended[Cause.EXPIRED] - self._expired

    def _require_limits(self, wanted: tuple[int, ...]) -> None:
        """Refuse limits that the log did not take, since what is held does not fit."""
        if _core.limits_of(self._follower) == wanted:
            return
        for name, limit, used in zip(_LIMIT_NAMES, wanted, _core.used_of(self._follower), strict=False):
            if used > limit:
                rule = f"{name} ({limit}) is below the {used} that the journal has"
                raise _core.business_error(_OUT_OF_MEMORY, "", rule)
        raise _core.business_error(_OUT_OF_MEMORY)


def _moment(mark: Mark | None, last_ms: int, start: Start, options: Options) -> tuple[Moment, Clock]:
    """Return where the start is on the timeline of the log, and the clock that goes on from there."""
    moment = place(mark, last_ms, start)
    if options.clock is not None:
        now_ms = options.clock.now()
        if now_ms < last_ms:
            raise ValueError(f"clock must not be before the last instant of the log, {last_ms} ms, as {now_ms} ms is")
        return moment._replace(now_ms=now_ms), options.clock
    boot_ms = start.boot_ms if options.start is None else _core.BootClock().now()
    return moment, _core.BootClock(moment.now_ms - boot_ms)


def _check(where: object, options: Options) -> None:
    """Refuse what is wrong before anything is opened."""
    for name, allowed in (("durability", ("commit", "batch")), ("owners", ("any", "processes"))):
        value = getattr(options, name)
        if value not in allowed:
            raise ValueError(f"{name} must be {allowed[0]!r} or {allowed[1]!r}, not {value!r}")
    policy: object = options.policy
    if policy is not None and not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy, not {type(policy).__name__}")
    if options.clock is not None and not callable(getattr(options.clock, "now", None)):
        raise TypeError("clock must have a method now() that returns milliseconds as an int")
    start: object = options.start
    if start is not None and not isinstance(start, Start):
        raise TypeError(f"start must be a Start, not {type(start).__name__}")
    for name, value in zip(_LIMIT_NAMES, options.limits, strict=True):
        if value is not None:
            require_int(value, name, 1, 2**31 - 1)
    if not isinstance(where, str | os.PathLike):
        for name in ("last", "append", "read"):
            if not callable(getattr(where, name, None)):
                raise TypeError(f"where must be a path or a Journal; a {type(where).__name__} has no method {name}()")


def _journal_of(where: str | os.PathLike[str] | Journal, told: Told | None) -> tuple[Journal, bool]:
    """Return the journal, and whether it was opened here."""
    if not isinstance(where, str | os.PathLike):
        return where, False
    from grantwheel.journal.sqlite import SqliteJournal  # SQLite is loaded by who uses it

    return SqliteJournal(Path(where), on_checked=None if told is None else told.checked), True
