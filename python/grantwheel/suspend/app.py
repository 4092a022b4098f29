"""What is known of one app, and what follows from it: is anything to be done with it, and when. Private."""

from dataclasses import dataclass, field
from enum import StrEnum

from .values import AppState, Keeper, SuspensionCause, TaskKind, Timing

_FIRST_POLL_MS, _LAST_POLL_MS = 1, 64  # between two looks at an app that is being frozen
_THAW_RETRY_MS = 100  # a thaw is more urgent than a freeze: somebody waits for it
_DOUBLINGS = 6

_CAUSES = {
    Keeper.CPU: SuspensionCause.CPU,
    Keeper.PROCESS_CPU: SuspensionCause.PROCESS_CPU,
    Keeper.AUDIO: SuspensionCause.AUDIO,
    Keeper.TRANSIENT_TASK: SuspensionCause.TRANSIENT_TASK,
    Keeper.CONTINUOUS_TASK: SuspensionCause.CONTINUOUS_TASK,
}


class ActionKind(StrEnum):
    """What is to be done with an app."""

    FREEZE = "freeze"  # begin with it, go on with it, or look whether it still is
    THAW = "thaw"


@dataclass(slots=True)
class App:
    """One app. Times are instants in ms."""

    since_ms: int  # in this state
    cause: SuspensionCause = SuspensionCause.HOST  # of this state
    is_back: bool = False
    is_leaving: bool = False  # the host has said that it is no more
    is_over: bool = False  # nobody is suspended any more
    cpu: bool = False
    process_cpu: bool = False
    audio: bool = False
    plays: bool = False
    tasks: set[TaskKind] = field(default_factory=set)
    idle_since_ms: int = 0  # when the last thing that kept it up went, or it went to the background itself
    window_ms: int = 0  # the end of the time for an event
    reason: SuspensionCause = SuspensionCause.HOST  # what came last of all that keeps apps up
    # What the freezer has done to it. `touched`: it may have frozen something of it. `frozen`: it has said that all is.
    touched: bool = False
    frozen: bool = False
    undo: bool = False  # what it has begun is to be taken back, as it could not be finished
    began_ms: int = 0
    polls: int = 0
    try_ms: int = 0  # not to be frozen, nor looked at, before
    thaw_ms: int = 0  # not to be thawed before
    freeze_failures: int = 0  # in a row
    thaw_failures: int = 0
    failure: str = ""
    armed_ms: int | None = None  # when somebody looks at it next

    @property
    def state(self) -> AppState:
        """How it stands."""
        if self.frozen:
            return AppState.SUSPENDED
        return AppState.BACKGROUND if self.is_back else AppState.FOREGROUND

    def keepers(self) -> tuple[Keeper, ...]:
        """Return what keeps it up, whatever the time is; in the foreground that is not asked."""
        found = (
            (self.cpu, Keeper.CPU),
            (self.process_cpu, Keeper.PROCESS_CPU),
            (self.audio and self.plays, Keeper.AUDIO),
            (TaskKind.TRANSIENT in self.tasks, Keeper.TRANSIENT_TASK),
            (TaskKind.CONTINUOUS in self.tasks, Keeper.CONTINUOUS_TASK),
        )
        return tuple(keeper for holds, keeper in found if holds)

    def is_plain(self) -> bool:
        """Whether nothing is known of it that is not so of every app."""
        return not (self.is_back or self.plays or self.tasks or self.touched)

    def settle_keepers(self, before: tuple[Keeper, ...], at_ms: int) -> None:
        """Hear at which instant what keeps it up has become another than before."""
        now = self.keepers()
        for keeper in now:
            if keeper not in before:
                self.reason = _CAUSES[keeper]
        if not set(before) <= set(now):  # also when others are left: it may turn out that they went before
            self.idle_since_ms = max(self.idle_since_ms, at_ms)

    def rest_ms(self, timing: Timing) -> int | None:
        """Return from when on it is to be suspended; None: not as things are."""
        if not self.is_back or self.is_leaving or self.is_over or self.keepers():
            return None
        return max(self.idle_since_ms + timing.grace_ms, self.window_ms)

    def is_to_rest(self, timing: Timing, now_ms: int) -> bool:
        """Whether it is to be suspended at an instant."""
        rest = self.rest_ms(timing)
        return rest is not None and rest <= now_ms

    def look_ms(self, timing: Timing, now_ms: int) -> int | None:
        """Return when there is something to be done with it, or to be decided; None: never, if nothing else comes."""
        rest = self.rest_ms(timing)
        if not self.touched:
            return None if rest is None else max(rest, self.try_ms)
        if self.undo or rest is None:
            return self.thaw_ms
        if rest <= now_ms:
            return self.try_ms
        return min(rest, self.thaw_ms)

    def due(self, timing: Timing, now_ms: int) -> ActionKind | None:
        """Return what is to be done with it now."""
        rests = self.is_to_rest(timing, now_ms)
        if self.touched and (self.undo or not rests):
            return ActionKind.THAW if self.thaw_ms <= now_ms else None
        return ActionKind.FREEZE if rests and self.try_ms <= now_ms else None

    def begin_freeze(self, now_ms: int) -> None:
        """Hear that freezing begins, or begins anew behind a thaw that has failed: it has all its time."""
        self.touched = True
        self.began_ms = now_ms
        self.polls = 0
        self.thaw_failures = 0

    def wait_for_freeze(self, timing: Timing, now_ms: int) -> None:
        """Hear that not all of it is frozen yet: look again soon, but no later than it has to be."""
        wait = min(_FIRST_POLL_MS << self.polls, _LAST_POLL_MS)
        self.polls += 1
        self.try_ms = min(now_ms + wait, self.began_ms + timing.freeze_ms)

    def back_off_freeze(self, timing: Timing, now_ms: int) -> None:
        """Hear that freezing has failed."""
        self.try_ms = now_ms + (timing.retry_ms << min(self.freeze_failures, _DOUBLINGS))
        self.freeze_failures += 1
        self.undo = True
        self.thaw_ms = now_ms

    def back_off_thaw(self, now_ms: int) -> None:
        """Hear that thawing has failed, which may have let a part of it go on: to be frozen it is looked at first."""
        self.thaw_ms = now_ms + (_THAW_RETRY_MS << min(self.thaw_failures, _DOUBLINGS))
        self.thaw_failures += 1
        if not self.undo:
            self.try_ms = now_ms
