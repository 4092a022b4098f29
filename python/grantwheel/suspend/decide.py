"""Which app is to be frozen and which thawed, when: a pure function of what it is told, with time as an argument.

Nothing here reads a clock, waits, or touches a process. Whoever has a `Decider` tells it what happens, asks
`Decider.next_action` what is to be done, does it, and tells what came of it.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from grantwheel.types import ResourceType

from .app import ActionKind, App
from .values import (
    DELIVERABLE,
    AppState,
    Keeper,
    SuspensionCause,
    SuspensionEvent,
    SuspensionKind,
    SuspensionStats,
    TaskKind,
    Timing,
    Why,
)

_SLACK = 64  # entries of the agenda that may be stale, besides as many as there are apps
_DELIVERABLE = tuple(ResourceType(DELIVERABLE))


class Action(NamedTuple):
    """What is to be done with an app. Whoever has taken it tells what came of it, in any case."""

    uid: int
    kind: ActionKind


class Decider:
    """What all apps are to be, by what it was told.

    Parameters
    ----------
    timing : Timing
        How long things take.
    emit : callable
        Called with each event, as it happens.

    Instants (``now_ms``) never go back; one that does counts as the last one.
    """

    def __init__(self, timing: Timing, emit: Callable[[SuspensionEvent], object]) -> None:
        self._timing = timing
        self._emit = emit
        self._apps: dict[int, App] = {}
        self._agenda: list[tuple[int, int]] = []  # a heap of instants and uids; what `App.armed_ms` denies is stale
        self._now_ms = 0
        self._sequence = 0
        self._suspended_by: Counter[SuspensionCause] = Counter()
        self._resumed_by: Counter[SuspensionCause] = Counter()
        self._delivered: Counter[ResourceType] = Counter()
        self._refused: Counter[ResourceType] = Counter()
        self._undelivered: Counter[ResourceType] = Counter()
        self._freeze_failures = 0
        self._thaw_failures = 0

    def __len__(self) -> int:
        return len(self._apps)

    def __contains__(self, uid: object) -> bool:
        return uid in self._apps

    def uids(self) -> list[int]:
        """Return the apps that something is known of, in the order in which they became known."""
        return list(self._apps)

    # What happens.

    def background(self, uid: int, now_ms: int) -> None:
        """Hear that an app went to the background."""
        now_ms = self._reach(now_ms)
        app = self._know(uid, now_ms)
        app.is_leaving = False
        if not app.is_back:
            app.is_back = True
            app.idle_since_ms = now_ms
            app.window_ms = 0
            app.try_ms = now_ms
            app.reason = SuspensionCause.HOST
            if not app.frozen:  # else it could not be thawed in the meantime
                self._enter(uid, app, SuspensionKind.BACKGROUND, SuspensionCause.HOST)
        self._arm(uid, app)

    def foreground(self, uid: int, now_ms: int) -> None:
        """Hear that an app came to the foreground."""
        now_ms = self._reach(now_ms)
        app = self._apps.get(uid)
        if app is None:
            return
        app.is_leaving = False
        if app.is_back:
            app.is_back = False
            app.thaw_ms = now_ms
            app.freeze_failures = 0
            if not app.touched:
                app.failure = ""
            if not app.frozen:
                self._enter(uid, app, SuspensionKind.FOREGROUND, SuspensionCause.HOST)
        self._arm(uid, app)

    def forget(self, uid: int, now_ms: int) -> None:
        """Hear that an app is no more: nothing of it stays frozen, and nothing is known of it then."""
        now_ms = self._reach(now_ms)
        app = self._apps.get(uid)
        if app is None:
            return
        app.is_leaving = True
        app.thaw_ms = now_ms
        self._arm(uid, app)

    def playing(self, uid: int, plays: bool, now_ms: int) -> None:
        """Hear whether an app plays."""
        self._change(uid, now_ms, now_ms, plays, lambda app: setattr(app, "plays", plays))

    def task(self, uid: int, kind: TaskKind, running: bool, now_ms: int) -> None:
        """Hear whether a task of an app runs."""
        self._change(
            uid, now_ms, now_ms, running, lambda app: app.tasks.add(kind) if running else app.tasks.discard(kind)
        )

    def held(self, uid: int, mask: int, process_cpu: bool, at_ms: int, now_ms: int) -> None:
        """Hear what an app that is known holds since an instant: its types, and whether a process of it has CPU."""

        def note(app: App) -> None:
            app.cpu = bool(mask & ResourceType.CPU)
            app.audio = bool(mask & ResourceType.AUDIO)
            app.process_cpu = process_cpu

        self._change(uid, at_ms, now_ms, False, note)

    def _change(self, uid: int, at_ms: int, now_ms: int, begins: bool, note: Callable[[App], object]) -> None:
        now_ms = self._reach(now_ms)
        app = self._know(uid, now_ms) if begins else self._apps.get(uid)
        if app is None:
            return
        before = app.keepers()
        note(app)
        app.settle_keepers(before, at_ms)
        if app.keepers() and before != app.keepers():
            app.thaw_ms = now_ms
        self._arm(uid, app)

    def deliver(self, uid: int, kind: ResourceType, granted: bool, now_ms: int) -> bool:
        """Return whether an event of a kind may reach an app; what is due with the app has been done before.

        If it may, the app gets time for it, and what `next_action` says now is to be done; then `reached` is to be
        called. ``granted`` is whether the app holds the type of that name.
        """
        now_ms = self._reach(now_ms)
        app = self._apps.get(uid)
        if app is None:
            return True
        if app.touched and app.is_to_rest(self._timing, now_ms) and not granted:
            self._refused[kind] += 1
            return False
        if granted and app.is_back:
            app.window_ms = now_ms + self._timing.thaw_ms
            app.reason = SuspensionCause.EVENT
            self._arm(uid, app)
        return True

    def reached(self, uid: int, kind: ResourceType) -> bool:
        """Return whether an app to which an event may go is up, and count it."""
        app = self._apps.get(uid)
        is_up = app is None or not app.touched
        (self._delivered if is_up else self._undelivered)[kind] += 1
        return is_up

    def close(self, now_ms: int) -> None:
        """Hear that all ends: everybody is to be thawed, and nobody frozen any more."""
        now_ms = self._reach(now_ms)
        for uid, app in list(self._apps.items()):
            app.is_over = True
            app.thaw_ms = now_ms
            self._arm(uid, app)

    # What is to be done.

    @property
    def wake_ms(self) -> int | None:
        """When `next_action` may have something; None: not before something else happens."""
        while self._agenda:
            at, uid = self._agenda[0]
            app = self._apps.get(uid)
            if app is not None and app.armed_ms == at:
                return at
            heapq.heappop(self._agenda)
        return None

    def next_action(self, now_ms: int, uid: int | None = None) -> Action | None:
        """Return what is to be done by now, with one app or with any; None: nothing.

        Whoever takes an action calls `froze`, `freeze_failed`, `thawed` or `thaw_failed` when it is done.
        """
        now_ms = self._reach(now_ms)
        if uid is not None:
            app = self._apps.get(uid)
            return None if app is None else self._take(uid, app, now_ms)
        while (at := self.wake_ms) is not None and at <= now_ms:
            _, uid = heapq.heappop(self._agenda)
            app = self._apps[uid]
            app.armed_ms = None
            action = self._take(uid, app, now_ms)
            if action is not None:
                return action
        return None

    def _take(self, uid: int, app: App, now_ms: int) -> Action | None:
        kind = app.due(self._timing, now_ms)
        if kind is None:
            if app.is_leaving and not app.touched:
                self._drop(uid, app)
            else:
                self._arm(uid, app)
            return None
        if kind is ActionKind.FREEZE and (not app.touched or app.thaw_failures):
            app.begin_freeze(now_ms)
        return Action(uid, kind)

    def froze(self, uid: int, is_all: bool, now_ms: int) -> None:
        """Hear what came of freezing: whether all of the app is frozen now."""
        now_ms = self._reach(now_ms)
        app = self._apps[uid]
        if is_all:
            app.try_ms = now_ms + self._timing.look_ms
            app.freeze_failures = 0
            app.failure = ""
            if not app.frozen:
                app.frozen = True
                is_over = app.window_ms > app.idle_since_ms + self._timing.grace_ms
                cause = SuspensionCause.EVENT_OVER if is_over else SuspensionCause.IDLE
                self._suspended_by[cause] += 1
                self._enter(uid, app, SuspensionKind.SUSPENDED, cause)
        elif not app.frozen and now_ms >= app.began_ms + self._timing.freeze_ms:
            self.freeze_failed(uid, f"not all of it was frozen within {self._timing.freeze_ms} ms", now_ms)
            return
        else:
            if app.frozen:
                app.frozen = False
                app.began_ms = now_ms
                app.polls = 0
                self._resume(uid, app, SuspensionCause.ESCAPED)
            app.wait_for_freeze(self._timing, now_ms)
        self._arm(uid, app)

    def freeze_failed(self, uid: int, why: str, now_ms: int) -> None:
        """Hear that freezing has failed; what was begun is to be taken back."""
        now_ms = self._reach(now_ms)
        app = self._apps[uid]
        app.failure = why
        app.back_off_freeze(self._timing, now_ms)
        self._freeze_failures += 1
        self._tell(uid, SuspensionKind.FREEZE_FAILED, SuspensionCause.FREEZER, why)
        if app.frozen:
            app.frozen = False  # nobody knows any more
            self._resume(uid, app, SuspensionCause.FREEZER)
        self._arm(uid, app)

    def thawed(self, uid: int, now_ms: int) -> None:
        """Hear that nothing of an app is frozen any more by the freezer."""
        now_ms = self._reach(now_ms)
        app = self._apps[uid]
        was_frozen = app.frozen
        app.touched = app.frozen = app.undo = False
        app.thaw_failures = 0
        if not app.freeze_failures:
            app.failure = ""
            app.try_ms = now_ms
        if was_frozen:
            self._resume(uid, app, self._cause_of_thaw(app))
        if app.is_leaving:
            self._drop(uid, app)
        else:
            self._arm(uid, app)

    def thaw_failed(self, uid: int, why: str, now_ms: int, *, is_partly: bool = False) -> None:
        """Hear that thawing has failed, or has come through for a part of the app only: it is tried again."""
        now_ms = self._reach(now_ms)
        app = self._apps[uid]
        app.failure = why
        app.back_off_thaw(now_ms)
        self._thaw_failures += 1
        self._tell(uid, SuspensionKind.THAW_FAILED, SuspensionCause.FREEZER, why)
        if is_partly and app.frozen:
            app.frozen = False
            self._resume(uid, app, self._cause_of_thaw(app))
        self._arm(uid, app)

    # What is so.

    def state(self, uid: int) -> AppState:
        """Return how an app stands."""
        app = self._apps.get(uid)
        return AppState.FOREGROUND if app is None else app.state

    def frozen(self) -> list[int]:
        """Return the apps of which something may be frozen."""
        return [uid for uid, app in self._apps.items() if app.touched]

    def why(self, uid: int, now_ms: int) -> Why:
        """Return why an app is as it is."""
        now_ms = self._reach(now_ms)
        app = self._apps.get(uid)
        if app is None:
            return Why(AppState.FOREGROUND, 0, SuspensionCause.HOST, (Keeper.FOREGROUND,), None, "")
        kept_by: tuple[Keeper, ...] = ()
        until = None
        if not app.is_back:
            kept_by = (Keeper.FOREGROUND,)
        elif app.keepers():
            kept_by = app.keepers()
        elif not app.is_to_rest(self._timing, now_ms):
            until = app.rest_ms(self._timing)
            is_grace = now_ms < app.idle_since_ms + self._timing.grace_ms
            kept_by = (Keeper.EVENT,) if now_ms < app.window_ms else ()
            kept_by += (Keeper.GRACE,) if is_grace else ()
        elif not app.frozen:
            kept_by = (Keeper.FREEZER,)
        return Why(app.state, app.since_ms, app.cause, kept_by, until, app.failure)

    def stats(self) -> SuspensionStats:
        """Return the numbers."""
        states = Counter(app.state for app in self._apps.values())
        return SuspensionStats(
            foreground=states[AppState.FOREGROUND],
            background=states[AppState.BACKGROUND],
            suspended=states[AppState.SUSPENDED],
            suspended_by=dict(self._suspended_by),
            resumed_by=dict(self._resumed_by),
            delivered={kind: self._delivered[kind] for kind in _DELIVERABLE},
            refused={kind: self._refused[kind] for kind in _DELIVERABLE},
            undelivered={kind: self._undelivered[kind] for kind in _DELIVERABLE},
            freeze_failures=self._freeze_failures,
            thaw_failures=self._thaw_failures,
            last_sequence=self._sequence,
        )

    # Within.

    def _reach(self, now_ms: int) -> int:
        self._now_ms = max(self._now_ms, now_ms)
        return self._now_ms

    def _know(self, uid: int, now_ms: int) -> App:
        app = self._apps.get(uid)
        if app is None:
            app = self._apps[uid] = App(since_ms=now_ms)
        return app

    def _arm(self, uid: int, app: App) -> None:
        """Have an app looked at when there is something to do with it; forget one of which there is nothing to know."""
        at = self._now_ms if app.is_leaving and not app.touched else app.look_ms(self._timing, self._now_ms)
        if at is None:
            app.armed_ms = None
            if app.is_plain():
                self._drop(uid, app)
            return
        at = max(at, self._now_ms)
        if at != app.armed_ms:
            app.armed_ms = at
            heapq.heappush(self._agenda, (at, uid))
            if len(self._agenda) > 2 * len(self._apps) + _SLACK:
                self._agenda = [(app.armed_ms, uid) for uid, app in self._apps.items() if app.armed_ms is not None]
                heapq.heapify(self._agenda)

    def _drop(self, uid: int, app: App) -> None:
        del self._apps[uid]
        if app.is_leaving:
            self._tell(uid, SuspensionKind.FORGOTTEN, SuspensionCause.HOST)

    def _cause_of_thaw(self, app: App) -> SuspensionCause:
        if app.is_over:
            return SuspensionCause.CLOSED
        return SuspensionCause.HOST if app.is_leaving or not app.is_back else app.reason

    def _resume(self, uid: int, app: App, cause: SuspensionCause) -> None:
        self._resumed_by[cause] += 1
        kind = SuspensionKind.BACKGROUND if app.is_back else SuspensionKind.FOREGROUND
        self._enter(uid, app, kind, cause)

    def _enter(self, uid: int, app: App, kind: SuspensionKind, cause: SuspensionCause) -> None:
        app.since_ms, app.cause = self._now_ms, cause
        self._tell(uid, kind, cause)

    def _tell(self, uid: int, kind: SuspensionKind, cause: SuspensionCause, detail: str = "") -> None:
        self._sequence += 1
        self._emit(SuspensionEvent(self._sequence, self._now_ms, kind, cause, uid, detail))
