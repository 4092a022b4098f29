"""The way into the tasks of a manager that steps of scenarios are driven through."""

from collections.abc import Sequence
from typing import Any, Final

import grantwheel

Json = Any
Row = dict[str, Any]

TRANSIENT: Final = ("task_start", "app_task_start", "expired_callback", "task_end", "app_task_end")
CALLBACK: Final = "cb:"


class Callback:
    """What stands for a callback of a scenario: it is told apart by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


class TaskFace:
    """The tasks of a manager through the public Python API. They begin anew with another manager, from its log."""

    def __init__(self, policy: Row) -> None:
        self._policy = grantwheel.TaskPolicy(
            abilities=policy.get("abilities") or {}, task_keeping=policy.get("task_keeping", False)
        )
        self._tasks: grantwheel.Tasks | None = None
        self._events: dict[str, list[list[Json]]] = {"transient": [], "continuous": []}

    def begin(self, manager: Any) -> None:
        """Begin with a manager: the first one, or the one after a restart."""
        self._tasks = grantwheel.Tasks(manager, policy=self._policy)

    @property
    def tasks(self) -> grantwheel.Tasks:
        """Those of the manager that is open."""
        assert self._tasks is not None
        return self._tasks

    def fetch(self) -> None:
        """Keep the events that there are by now, for the next look."""
        for event in self.tasks.drain():
            kind = str(event.kind)
            if kind in TRANSIENT:
                row: list[Json] = [kind, event.uid]
                if kind == "expired_callback":
                    row.append(event.id)
                elif not kind.startswith("app_"):
                    row.append(event.pid)
                self._events["transient"].append(row)
                continue
            kind = kind.removeprefix("continuous_")
            row = [kind, event.uid]
            if kind != "app_stop":
                row.append(event.id)
            if kind in ("start", "update"):
                row.append([int(mode) for mode in event.modes])
            self._events["continuous"].append(row)

    def events(self, which: str) -> list[list[Json]]:
        """Return the transient or the continuous events since the last look."""
        self.fetch()
        events, self._events[which] = self._events[which], []
        return events

    def request(self, who: grantwheel.Caller, args: Sequence[Json]) -> Row:
        """Make a request; a text "cb:NAME" stands for a callback."""
        made = [
            Callback(one.removeprefix(CALLBACK)) if isinstance(one, str) and one.startswith(CALLBACK) else one
            for one in args
        ]
        names = [one.name for one in made[1:2] if isinstance(one, Callback)]
        return self.tasks.request_suspend_delay(*made, caller=who, name=names[0] if names else None)._asdict()

    def info(self, who: grantwheel.Caller) -> Row:
        """Return what an app has left."""
        info = self.tasks.transient_task_info(caller=who)
        return {
            "remainingQuota": info.remainingQuota,
            "transientTasks": [one._asdict() for one in info.transientTasks],
        }

    def running(self, uid: int) -> list[list[Json]]:
        """Return the continuous tasks of a uid, in rows of a scenario."""
        return [[task.id, [int(mode) for mode in task.modes]] for task in self.tasks.continuous_tasks(uid)]


def ability_of(step: Row) -> Json:
    """Return the ability that a step names, as a caller would give it."""
    name = step.get("ability")
    return grantwheel.Ability(name, step.get("ability_id", 0)) if isinstance(name, str) else name


def with_modes_as_sets(rows: Json) -> Json:
    """Put the modes in rows of tasks in ascending order, each once: they are a set."""
    return [[sorted(set(one)) if isinstance(one, list) else one for one in row] for row in rows]
