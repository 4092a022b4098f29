"""What tests of the rules of tasks have in common: a store that can refuse, and events in brief."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from grantwheel import BusinessError, replay
from grantwheel.tasks.notes import NoteStore
from grantwheel.tasks.store import MemoryStore
from grantwheel.tasks.values import TaskEvent
from journals import ScriptedLog, appends, raises_after, raises_before, refuses
from model_policy import Refused
from support import make_manager


class Stubborn(MemoryStore):
    """A store that refuses while it is told to, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False
        self.interrupts: str = ""  # "before" or "after" the next write, a Ctrl-C comes
        self.writes: list[dict[str, bytes | None]] = []

    def write(self, changes: Mapping[str, bytes | None], /) -> None:
        if self.refuses:
            raise OSError("no space left")
        when, self.interrupts = self.interrupts, ""
        if when == "before":
            raise KeyboardInterrupt
        self.writes.append(dict(changes))
        super().write(changes)
        if when == "after":
            raise KeyboardInterrupt


class OnRecord:
    """A store in the log of a manager, which takes nothing while it is told so, and does not always say what it took.

    Parameters
    ----------
    seed : int
        Of the choice between its failures.
    """

    def __init__(self, seed: int) -> None:
        self.log = ScriptedLog()
        self.refuses = False
        self._dice = Random(seed)
        self._manager, _ = make_manager(log=self.log)
        self._store = NoteStore(self._manager, ("transient", "continuous"))

    def items(self) -> list[tuple[str, bytes]]:
        return self._store.items()

    def write(self, changes: Mapping[str, bytes | None], /) -> None:
        steps = (refuses, raises_before) if self.refuses else (appends, appends, raises_after)
        self.log.otherwise = self._dice.choice(steps)
        self._store.write(changes)

    def check(self) -> None:
        """Check that what is on record leads to what the manager has."""
        assert replay(self.log.groups).notes() == self._manager.notes()


def brief_transient(event: TaskEvent) -> tuple[Any, ...]:
    """Reduce an event to kind, time, uid, and pid or id where it has one."""
    if event.kind == "expired_callback":
        return (str(event.kind), event.time, event.uid, event.id)
    if event.kind in ("task_start", "task_end"):
        return (str(event.kind), event.time, event.uid, event.pid)
    return (str(event.kind), event.time, event.uid)


def brief_continuous(event: TaskEvent) -> tuple[Any, ...]:
    """Reduce an event to kind, uid, and id and modes where it has some."""
    kind = str(event.kind)
    if kind == "continuous_app_stop":
        return (kind, event.uid)
    if kind == "continuous_stop":
        return (kind, event.uid, event.id)
    return (kind, event.uid, event.id, [int(mode) for mode in event.modes])


def attempt(call: Callable[[], Any]) -> Any:
    """Return what a call answers, or the inner code that it is refused with."""
    try:
        return call()
    except BusinessError as error:
        return error.detail
    except Refused as refused:
        return refused.inner
