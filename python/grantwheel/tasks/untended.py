"""The tasks that a manager has on record before anybody has made its `Tasks`: they hear of deaths all the same.

That makes no events, and nothing that is due happens: `Tasks` will do that. The figures of those to come are not known:
what belonged to a process is charged by those of the documented API.
"""

import contextlib
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from grantwheel._core import BusinessError
from grantwheel.manager import Manager

from .alone import Alone
from .continuous import ContinuousTasks
from .notes import KINDS, NoteStore
from .store import Draft, Machine
from .transient import TransientTasks
from .values import TaskEvent, TransientFigures

# No app has so much left: one of which it is not known whether that is all it can have stays on record.
_FIGURES: Final = TransientFigures(quota_ms=2**53)
_MAX_RECORDS: Final = 2**31 - 1


class _Readable(Machine):
    """A machine of the records that can be read. The others are left alone, and `Tasks` name them."""

    def _load(self) -> None:
        self._clear()
        for key, value in self._store.items():
            if self.has(key):
                with contextlib.suppress(BusinessError):
                    self._replace(key, self._read_record(key, value))

    def _do_due(self, draft: Draft, now: int) -> None:
        """Leave what is due to `Tasks`."""


class _Transient(_Readable, TransientTasks):
    """Transient tasks that nobody tends: what had to end already is charged until then."""

    def process_died(self, now: int, uid: int, pid: int) -> None:
        self._operate(now, lambda draft: self._drop(draft, now, self._owner(draft, uid), {pid}))

    def app_stopped(self, now: int, uid: int) -> None:
        def end(draft: Draft) -> None:
            owner = self._owner(draft, uid)
            self._drop(draft, now, owner, owner.pids)
            self._put(draft, now, replace(self._owner(draft, uid), left_at=None))

        self._operate(now, end)


class _Continuous(_Readable, ContinuousTasks):
    """Continuous tasks that nobody tends."""


class UntendedTasks:
    """The tasks on record of a manager, until its `Tasks` are made. Thread-safe.

    Parameters
    ----------
    manager : Manager
        Whose log has them. It is not kept alive.
    runs : callable
        Whether a process, of a uid and a pid, is the one that it was: `settle` drops what belongs to others. None:
        nobody knows.
    is_reboot : bool
        Whether the machine was started since, which `settle` takes into account.
    """

    def __init__(self, manager: Manager, runs: Callable[[int, int], bool] | None, *, is_reboot: bool = False) -> None:
        self._manager: Manager = weakref.proxy(manager)
        self._runs = runs
        self._is_reboot = is_reboot
        self._alone = Alone(self._manager, waits=not manager._is_behind)
        store = NoteStore(self._manager, KINDS, skips_unreadable=True)
        self._transient = _Transient(
            manager.clock.now(), store=store, emit=_tell_nobody, figures=_FIGURES, max_records=_MAX_RECORDS
        )
        self._continuous = _Continuous(store=store, emit=_tell_nobody, max_records=_MAX_RECORDS)

    def settle(self) -> None:
        """Drop what belongs to processes that do not run any more, unless that has been done.

        Raises
        ------
        BusinessError
            9800003, 9800007: the log takes nothing now. It is tried again when the `Tasks` are made.
        """
        self._alone.do(self._settle)

    def hand_over(self, make: Callable[[], object]) -> None:
        """Have the `Tasks` made after all of it has been settled. Nobody changes anything meanwhile."""

        def settle_and_make(now: int) -> None:
            self._settle(now)
            make()

        self._alone.do(settle_and_make)

    def _settle(self, now: int) -> None:
        if self._runs is not None:
            self._transient.restarted(now, self._runs, is_reboot=self._is_reboot)
            self._continuous.restarted(now, self._runs)
            self._runs = None

    # What the manager tells.

    def _process_died(self, uid: int, pid: int) -> None:
        def end(now: int) -> None:
            self._transient.process_died(now, uid, pid)

        self._hear(end, lambda tasks: tasks._process_died(uid, pid))

    def _app_stopped(self, uid: int) -> None:
        def stop(now: int) -> None:
            self._transient.app_stopped(now, uid)
            self._continuous.app_stopped(now, uid)

        self._hear(stop, lambda tasks: tasks._app_stopped(uid))

    def _package_removed(self, uid: int) -> None:
        def remove(now: int) -> None:
            self._transient.package_removed(now, uid)
            self._continuous.app_stopped(now, uid)

        self._hear(remove, lambda tasks: tasks._package_removed(uid))

    def _hear(self, change: Callable[[int], object], tell: Callable[[Any], object]) -> None:
        """Change what is on record, or tell the `Tasks` if they have been made while it was waited for that."""

        def change_unless_handed_over(now: int) -> bool:
            is_here = self._manager._untended is self
            if is_here:
                change(now)
            return is_here

        is_done = self._alone.do(change_unless_handed_over)
        if not is_done and (tasks := self._manager._tasks()) is not None:
            tell(tasks)


def _tell_nobody(_event: TaskEvent) -> None:
    """Let an event be: who would have heard of it was not there."""
