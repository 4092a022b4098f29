"""What a durable manager needs while it runs: a mark of the time now and then, and snapshots.

A snapshot is a follower's work, which reads the journal as a start does. The manager does not wait for it.
"""

import logging
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Protocol

from grantwheel._core import BootClock, BusinessError, MonotonicClock, business_error
from grantwheel._process import OfOneProcess, end_at_exit
from grantwheel.journal import Buffer, Journal
from grantwheel.types import Clock, SnapshotStats

from .loading import Loaded, read

_log = logging.getLogger("grantwheel")
LEAST_BYTES = 4 << 20  # a log behind a snapshot that is no longer than that is read in no time
TIMES_SNAPSHOT = 2
OLDEST_MS = 3_600_000
MARK_MS = 55_000  # at least one a minute while there are timed grants
_LOOK_S = 2.5
_NEVER = 1 << 62
_NOT_CONNECTED = 980000402
_REST_S = 60.0  # after a snapshot that failed


class CountedLog:
    """A journal as the log of a manager, with the bytes that have been put there counted."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.appended = 0
        self.enough = 0  # so many, and whoever waits is woken
        self.wake = threading.Event()

    def last(self) -> int:
        """Return the position of the last group."""
        return self._journal.last()

    def append(self, after: int, group: Buffer, /) -> int:
        """Put a group behind the last one."""
        position = self._journal.append(after, group)
        self.appended += len(group)
        if self.appended >= self.enough:
            self.wake.set()
        return position


class Kept(Protocol):
    """What a keeper knows of a manager."""

    @property
    def clock(self) -> Clock:
        """Its clock."""
        ...

    @property
    def wake_at(self) -> int | None:
        """When something may be due; None while nothing is timed."""
        ...

    def _mark(self) -> None:
        """Say on record when it is, by the machine's clocks."""
        ...

    def _end_by(self, give_up: float) -> bool:
        """End at the exit of the interpreter; as `EndsAtExit`."""
        ...


class Keeper(OfOneProcess):
    """Looks after the log of one manager, in a thread of its own, or when it is told to.

    Parameters
    ----------
    manager : Kept
        Which is not kept alive.
    journal : Journal
        Where its groups are.
    log : CountedLog
        The same, as the manager writes it.
    loaded : Loaded
        What was read at the start.
    snapshots : bool
        Whether to make any by itself.
    """

    def __init__(self, manager: Kept, journal: Journal, log: CountedLog, loaded: Loaded, *, snapshots: bool) -> None:
        super().__init__()
        self._manager = weakref.ref(manager, self._forgotten)
        self._journal = journal
        self._log = log
        self._can_save = hasattr(journal, "save") and hasattr(journal, "snapshot")
        self._wants_snapshots = snapshots and self._can_save
        self._saving = threading.Lock()
        self._stopping = False
        self._not_before = 0.0  # by the monotonic clock: no snapshot, as the last one has failed
        self._thread: threading.Thread | None = None
        self._before = loaded.group_bytes  # of the groups behind the snapshot that were there at the start
        self._saved_bytes = loaded.snapshot_bytes
        self._saved_ms = loaded.snapshot_ms
        self.stats = SnapshotStats(0, loaded.snapshot, loaded.snapshot_bytes, 0.0, 0, None)
        self._expect()
        self.marked_ms = 0

    def __repr__(self) -> str:
        return "what looks after the log of a manager"

    @property
    def behind(self) -> int:
        """How many bytes of groups are behind the snapshot."""
        return self._before + self._log.appended

    def start(self) -> None:
        """Do it by itself from now on; by another clock than the kernel's only what does not depend on time."""
        self._thread = threading.Thread(target=self._run, name="grantwheel-log", daemon=True)
        self._thread.start()
        end_at_exit(self)

    def stop(self, timeout_s: float | None = None) -> bool:
        """Do it no more; a snapshot that is being made is given up. Returns whether the thread has ended by then."""
        self._stopping = True
        if not self._is_here:
            return True
        self._log.wake.set()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def step(self) -> None:
        """Do what is due now: a mark, a snapshot."""
        self._require_open()
        now_ms = self._mark_if_due()
        if self._wants_snapshots and self._is_due(now_ms):
            self.snapshot()

    def snapshot(self) -> int:
        """Make a snapshot of what is in the journal now, and return its position."""
        if not self._can_save:
            raise TypeError(f"a {type(self._journal).__name__} keeps no snapshots: it lacks save() or snapshot()")
        with self._saving:
            self._require_open()
            try:
                return self._save()
            except Exception as error:
                if not self._stopping:  # else it was given up, or nobody waits for it any more
                    told = f"{type(error).__name__}: {error}"
                    self.stats = self.stats._replace(failures=self.stats.failures + 1, failure=told)
                raise

    def _save(self) -> int:
        begun = time.monotonic()
        loaded = read(self._journal, self)
        follower = loaded.follower
        if not loaded.groups and loaded.snapshot:
            return follower.position
        size = 0

        def chunks() -> Iterator[bytes]:
            nonlocal size
            for chunk in follower.snapshot():
                self.at(0, 0)
                size += len(chunk)
                yield chunk

        self._journal.save(follower.position, chunks())
        self._before -= loaded.group_bytes
        self._saved_bytes, self._saved_ms = size, follower.now_ms
        seconds = time.monotonic() - begun
        self.stats = self.stats._replace(
            made=self.stats.made + 1, position=follower.position, bytes=size, seconds=seconds
        )
        self._expect()
        return follower.position

    def at(self, _done: int, _total: int) -> None:
        """Go on with what cannot wait for a snapshot: its giving up, and marks."""
        self._require_open()
        if self._has_own_time():
            self._mark_quietly()

    def end(self, _done: int) -> None:
        """All groups have been read."""

    def _require_open(self) -> None:
        if self._stopping:
            raise business_error(_NOT_CONNECTED)

    def _mark_if_due(self) -> int:
        """Return the instant."""
        manager = self._manager()
        if manager is None:
            return 0
        now_ms = manager.clock.now()
        if now_ms - self.marked_ms >= MARK_MS and manager.wake_at is not None:
            manager._mark()
            self.marked_ms = now_ms
        return now_ms

    def _is_due(self, now_ms: int) -> bool:
        """Whether the log behind the snapshot is long enough, or old enough, for another one."""
        behind = self.behind
        return behind >= self._most() or (behind > 0 and now_ms - self._saved_ms >= OLDEST_MS)

    def _most(self) -> int:
        return max(LEAST_BYTES, TIMES_SNAPSHOT * self._saved_bytes)

    def _expect(self) -> None:
        self._log.enough = self._most() - self._before if self._wants_snapshots else _NEVER

    def _has_own_time(self) -> bool:
        """Whether time goes on by itself, and not when somebody says so."""
        manager = self._manager()
        return manager is not None and isinstance(manager.clock, BootClock | MonotonicClock)

    def _run(self) -> None:
        wake = self._log.wake
        has_own_time = self._has_own_time()
        while True:
            rest_s = self._not_before - time.monotonic()
            look_s = _LOOK_S if has_own_time else None
            wake.wait(look_s if rest_s <= 0 else min(rest_s, look_s or rest_s))
            wake.clear()
            if self._stopping:
                return
            now_ms = self._mark_quietly() if has_own_time else 0
            if not self._wants_snapshots or not self._is_due(now_ms) or time.monotonic() < self._not_before:
                continue
            try:
                self.snapshot()
            except Exception:  # noqa: BLE001 - logged, and tried again
                if self._is_stopping():
                    return
                _log.exception("a snapshot could not be made; it is tried again in a minute")
                self._log.enough = _NEVER
                self._not_before = time.monotonic() + _REST_S

    def _mark_quietly(self) -> int:
        """Return the instant; 0 when it is closed, or its log takes nothing now: who changes something is told so."""
        try:
            return self._mark_if_due()
        except BusinessError as error:
            _log.debug("the time could not be put on record: %s", error)
            return 0

    def _is_stopping(self) -> bool:
        return self._stopping

    def _forgotten(self, _: object) -> None:
        self._stopping = True
        if self._is_here:  # in the child of a fork nobody waits, and the lock of the event may be taken for ever
            self._log.wake.set()

    def _end_at_exit(self, give_up: float) -> bool:
        manager = self._manager()
        return manager is None or manager._end_by(give_up)
