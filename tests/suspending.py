"""What the tests of suspension share: freezers that note what they are told, and a suspension on a clock at 0."""

from collections.abc import Callable
from typing import Any

from grantwheel import Manager, ManualClock
from grantwheel.suspend import AppState, Suspension, SuspensionEvent
from support import make_manager

APP, PID, OTHER = 700, 71, 800
GRACE, THAW, FREEZE, RETRY, LOOK = 5_000, 10_000, 2_000, 1_000, 30_000

FOREGROUND, BACKGROUND, SUSPENDED = AppState


class RecordingFreezer:
    """Freezes nobody, and notes what it is told. ``answers`` says what is to be answered otherwise."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.frozen: set[int] = set()
        self.answers: list[bool | BaseException] = []  # to the next calls
        self.before: Callable[[], object] = lambda: None
        self.closed = 0

    def freeze(self, uid: int) -> bool:
        self.calls.append(("freeze", uid))
        self.before()
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, BaseException):
            raise answer
        self.frozen.add(uid)
        return answer

    def thaw(self, uid: int) -> None:
        self.calls.append(("thaw", uid))
        self.before()
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, BaseException):
            raise answer
        self.frozen.discard(uid)

    def close(self) -> None:
        self.closed += 1

    def taken(self) -> list[tuple[str, int]]:
        taken, self.calls = self.calls, []
        return taken


class Stage:
    """A manager on a clock at 0, its suspension by hand, and what that does and tells."""

    def __init__(self, **arguments: Any) -> None:
        self.manager, self.clock = made = make_manager()
        assert isinstance(made[0], Manager)
        assert isinstance(made[1], ManualClock)
        self.freezer = RecordingFreezer()
        self.suspension = Suspension(self.manager, self.freezer, **arguments)
        self.reader = self.suspension.subscribe("the test")

    def go_to(self, ms: int) -> None:
        """Set the clock on to an instant, as a loop would: from one at which something is due to the next."""
        while True:
            self.manager.advance()
            wakes = (self.suspension.advance(), self.manager.next_deadline())
            now = self.clock.now()
            due = min((wake for wake in wakes if wake is not None and now < wake <= ms), default=None)
            if due is None:
                break
            self.clock.set(due)
        self.clock.set(max(ms, self.clock.now()))
        self.manager.advance()
        self.suspension.advance()

    def go(self, ms: int) -> None:
        self.go_to(self.clock.now() + ms)

    def suspend(self, uid: int = APP) -> None:
        """Have an app suspended, and forget how."""
        self.suspension.background(uid)
        self.go(GRACE)
        assert self.suspension.state(uid) is SUSPENDED
        self.events()
        self.freezer.taken()

    def events(self) -> list[tuple[int, str, str, int]]:
        return [brief(event) for event in self.reader.drain()]


def brief(event: SuspensionEvent) -> tuple[int, str, str, int]:
    return event.time, str(event.kind), str(event.cause), event.uid
