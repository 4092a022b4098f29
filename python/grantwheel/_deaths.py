"""Deaths that a manager hears of, and those who hear of them from it. Private."""

import operator
import weakref
from collections.abc import Callable
from typing import Final, Protocol, SupportsIndex

from . import _core


class Mourner(Protocol):
    """What hears of deaths."""

    def _process_died(self, uid: int, pid: int) -> None: ...
    def _app_stopped(self, uid: int) -> None: ...
    def _package_removed(self, uid: int) -> None: ...


class Tied(Mourner, Protocol):
    """The tasks of a manager, which hear of its end too."""

    def _closed(self) -> None: ...


class Untended(Mourner, Protocol):
    """What hears of deaths until there are tasks, and then lets them go on from there."""

    def hand_over(self, make: Callable[[], object], /) -> None: ...


def _nobody() -> None:
    """Stand for the tasks of a manager that has none."""


class TellsDeaths(_core.Manager):
    """The compiled manager, which tells deaths to the tasks that are tied to it. It does not keep them alive."""

    _TASK_NOTES: Final = b"tasks/"  # how the keys of the notes begin that have tasks
    _tasks: Callable[[], Tied | None] = staticmethod(_nobody)
    _kept_tasks: Tied | None = None  # those that nobody else keeps: of the documented module
    _untended: Untended | None = None  # tasks that are on record from before, until the first ones are made

    def _begin_tasks(self, tasks: Tied) -> None:
        """Let tasks hear of deaths and of the end."""
        if self._tasks() is not None:
            raise ValueError("the manager has tasks already")
        self._tasks = weakref.ref(tasks)
        self._untended = None

    def _mourner(self) -> Mourner | None:
        """Return who hears of deaths."""
        tasks = self._tasks()
        return self._untended if tasks is None else tasks

    def process_died(self, uid: SupportsIndex, pid: SupportsIndex) -> int:
        """Drop the process record of a process that has died. A record of another uid stays: its pid was reused.

        If the manager has `Tasks`, or tasks on record, the transient ones of the process end.

        Returns
        -------
        int
            The types that were removed; 0 when it held nothing, which is fine.

        Raises
        ------
        BusinessError
            18700001: uid or pid out of range. 9800003: not in the log, or the tasks are not on record: telling it again
            is fine. 9800004: closed.
        ValueError
            The clock has run backwards or out of range.
        RuntimeError
            A signal handler tells it amid a call of the tasks: telling it again is fine, and is needed.
        """
        removed = super().process_died(uid, pid)
        if (tasks := self._mourner()) is not None:
            tasks._process_died(operator.index(uid), operator.index(pid))
        return removed

    def app_stopped(self, uid: SupportsIndex) -> int:
        """Release everything of an application but the retained types, with all its processes.

        Retained types (WORK_SCHEDULER, TIMER) go on and still expire. If the manager has `Tasks`, or
        tasks on record, all those of the uid end.

        Returns
        -------
        int
            The types that were removed, over all records.

        Raises
        ------
        BusinessError, ValueError, RuntimeError
            As `process_died`; 9800007 for continuous tasks that are not on record.
        """
        removed = super().app_stopped(uid)
        if (tasks := self._mourner()) is not None:
            tasks._app_stopped(operator.index(uid))
        return removed

    def package_removed(self, uid: SupportsIndex) -> int:
        """Release everything of an application, with all its processes, and end all its `Tasks`.

        Returns
        -------
        int
            The types that were removed, over all records.

        Raises
        ------
        BusinessError, ValueError, RuntimeError
            As `app_stopped`.
        """
        removed = super().package_removed(uid)
        if (tasks := self._mourner()) is not None:
            tasks._package_removed(operator.index(uid))
        return removed
