"""Logs that do what a test tells them with each append, and what their groups lead to when they are replayed."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from grantwheel import Conflict, Follower, Manager, ManualClock, NotAppended, replay
from support import make_manager
from waiting import PATIENCE

#: What becomes of one group.
Step: TypeAlias = Callable[["ScriptedLog", bytes], object]


def appends(log: "ScriptedLog", group: bytes) -> None:
    """Do what is asked."""
    log.groups.append(group)


def refuses(_log: "ScriptedLog", _group: bytes) -> None:
    """Say that it is certainly not appended."""
    raise NotAppended("no room")


def raises_before(_log: "ScriptedLog", _group: bytes) -> None:
    """Fail, and nobody knows how far it came: the group is not there."""
    raise OSError("the connection broke")


def raises_after(log: "ScriptedLog", group: bytes) -> None:
    """Fail, and nobody knows how far it came: the group is there."""
    log.groups.append(group)
    raise OSError("the connection broke")


def is_interrupted_after(log: "ScriptedLog", group: bytes) -> None:
    """The same with what is no Exception."""
    log.groups.append(group)
    raise KeyboardInterrupt


def conflicts(_log: "ScriptedLog", _group: bytes) -> None:
    """Say that another one writes."""
    raise Conflict("another one writes")


def doing(work: Callable[[], object]) -> Step:
    """Append after something else."""

    def step(log: "ScriptedLog", group: bytes) -> None:
        work()
        log.groups.append(group)

    return step


def sleeps(seconds: float) -> Step:
    """Append after some time."""
    return doing(lambda: time.sleep(seconds))


class Stall:
    """A step that is not done before it is told, and then does another one."""

    def __init__(self, then: Step = appends) -> None:
        self._then = then
        self._inside = threading.Event()
        self._go_on = threading.Event()

    def __call__(self, log: "ScriptedLog", group: bytes) -> None:
        self._inside.set()
        assert self._go_on.wait(PATIENCE)
        self._then(log, group)

    def wait(self) -> None:
        """Wait until an append has come here."""
        assert self._inside.wait(PATIENCE)

    def go_on(self) -> None:
        """Let it be done."""
        self._go_on.set()


class ScriptedLog:
    """A log in memory.

    Parameters
    ----------
    *script
        What becomes of the first groups.
    otherwise
        What becomes of the others.
    lost
        So often `last` fails.
    """

    def __init__(self, *script: Step, otherwise: Step = appends, lost: int = 0) -> None:
        self.groups: list[bytes] = []
        self.otherwise = otherwise
        self.lost = lost
        self.asked = 0
        self.threads: set[int] = set()
        self._script = deque(script)

    def last(self) -> int:
        """Return how many groups there are."""
        self.threads.add(threading.get_ident())
        self.asked += 1
        if self.lost:
            self.lost -= 1
            raise OSError("no connection")
        return len(self.groups)

    def append(self, after: int, group: bytes) -> int:
        """Do the next step of the script."""
        self.threads.add(threading.get_ident())
        if after != len(self.groups):
            raise Conflict(f"{len(self.groups)} groups, not {after}")
        step = self._script.popleft() if self._script else self.otherwise
        step(self, group)
        return len(self.groups)


def logged(*script: Step, otherwise: Step = appends) -> tuple[Manager, ManualClock, ScriptedLog]:
    """Make a manager on a clock at 0, with a log."""
    log = ScriptedLog(*script, otherwise=otherwise)
    manager, clock = make_manager(log=log)
    return manager, clock, log


def check_record(manager: Manager, log: ScriptedLog, now: int) -> Follower:
    """Check that what is on record, replayed, is what the manager has: the same grants, events and notes."""
    follower = replay(log.groups)
    assert follower.records(now_ms=now) == manager.records()
    assert follower.read(0)[0] == manager.read(0)[0]
    assert follower.notes() == manager.notes()
    follower.validate()
    manager.validate()
    return follower


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[list[object]]:
    """Do some work in another thread meanwhile; at the end the list has what it returned or raised."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(work())
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield result
    thread.join(PATIENCE)
    assert not thread.is_alive()
