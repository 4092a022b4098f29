"""The model of suspension: rules of SPEC 16 counted millisecond by millisecond, with no instants and no agenda.

Where the decider remembers instants, this counts down; where the decider wakes when something is due, this looks at
everybody in every millisecond. So what they share is the rules alone.
"""

from collections.abc import Callable
from enum import Enum

GRACE, THAW, FREEZE, RETRY, LOOK = 50, 80, 20, 10, 120
FIRST_THAW_RETRY, DOUBLINGS, LAST_POLL = 100, 6, 64


class Ice(Enum):
    NONE = 0
    PARTLY = 1
    WHOLE = 2


#: What a freezer answers: whether all is frozen (or thawed), or why it has failed.
Answer = Callable[[int, str], bool | str]


class ModelApp:
    def __init__(self) -> None:
        self.back = self.leaving = False
        self.keepers: dict[str, bool] = dict.fromkeys(
            ("cpu", "process_cpu", "granted", "plays", "transient_task", "continuous_task"), False
        )
        self.quiet = 0  # so long ago the last thing that kept it up has gone, or it went to the background
        self.window_left = 0
        self.window_over_for: int | None = None  # since when there is no time for an event any more; None: never was
        self.ice = Ice.NONE
        self.undo = False
        self.no_freeze_for = 0  # after a failure
        self.no_look_for = 0  # at what is frozen, or is being frozen
        self.no_thaw_for = 0
        self.freezing_for = 0
        self.polls = 0
        self.freeze_failures = 0
        self.thaw_failures = 0
        self.reason = "host"

    def kept_by(self) -> list[str]:
        held = self.keepers
        found = {**held, "audio": held["granted"] and held["plays"]}
        return [name for name in ("cpu", "process_cpu", "audio", "transient_task", "continuous_task") if found[name]]

    @property
    def state(self) -> str:
        if self.ice is Ice.WHOLE:
            return "suspended"
        return "background" if self.back else "foreground"

    def rests(self) -> bool:
        return self.back and not self.leaving and not self.kept_by() and self.quiet >= GRACE and self.window_left == 0


class SuspensionModel:
    def __init__(self, answer: Answer) -> None:
        self.now = 0
        self.apps: dict[int, ModelApp] = {}
        self.answer = answer
        self.calls: list[tuple[int, int, str]] = []
        self.events: list[tuple[int, str, str, int]] = []
        self.counts = {"delivered": 0, "refused": 0, "undelivered": 0}

    # Time.

    def tick(self) -> None:
        self.now += 1
        for app in self.apps.values():
            app.no_freeze_for = max(app.no_freeze_for - 1, 0)
            app.no_look_for = max(app.no_look_for - 1, 0)
            app.no_thaw_for = max(app.no_thaw_for - 1, 0)
            if app.ice is Ice.PARTLY:
                app.freezing_for += 1
            app.quiet += 1
            if app.window_left:
                app.window_left -= 1
                app.window_over_for = 0 if app.window_left == 0 else None
            elif app.window_over_for is not None:
                app.window_over_for += 1
        self.act()

    def act(self) -> None:
        for uid in sorted(self.apps):
            self.act_on(uid)

    def act_on(self, uid: int) -> None:
        while uid in self.apps and self._act_once(uid, self.apps[uid]):
            pass
        app = self.apps.get(uid)
        if app is not None and app.ice is Ice.NONE:
            if app.leaving:
                del self.apps[uid]
                self._tell("forgotten", "host", uid)
            elif not app.back and not any(app.keepers[name] for name in ("plays", "transient_task", "continuous_task")):
                del self.apps[uid]

    def _act_once(self, uid: int, app: ModelApp) -> bool:
        if app.ice is not Ice.NONE and (app.undo or not app.rests()):
            if app.no_thaw_for:
                return False
            self._thaw(uid, app)
            return True
        if app.rests() and not (app.no_freeze_for if app.ice is Ice.NONE else app.no_look_for):
            self._freeze(uid, app)
            return True
        return False

    def _thaw(self, uid: int, app: ModelApp) -> None:
        if self._ask(uid, "thaw") is not True:
            app.no_thaw_for = FIRST_THAW_RETRY * 2 ** min(app.thaw_failures, DOUBLINGS)
            app.thaw_failures += 1
            app.no_look_for = 0  # a part of it may run
            self._tell("thaw_failed", "freezer", uid)
            return
        was = app.ice
        app.ice, app.undo, app.thaw_failures = Ice.NONE, False, 0
        if was is Ice.WHOLE:
            cause = "host" if app.leaving or not app.back else app.reason
            self._tell("background" if app.back else "foreground", cause, uid)

    def _freeze(self, uid: int, app: ModelApp) -> None:
        if app.ice is Ice.NONE or app.thaw_failures:
            app.freezing_for, app.polls, app.thaw_failures = 0, 0, 0
        if app.ice is Ice.NONE:
            app.ice = Ice.PARTLY
        answer = self._ask(uid, "freeze")
        if answer is True:
            app.no_look_for, app.freeze_failures = LOOK, 0
            if app.ice is Ice.PARTLY:
                app.ice = Ice.WHOLE
                ended = app.window_over_for
                is_event = ended is not None and ended < app.quiet - GRACE
                self._tell("suspended", "event_over" if is_event else "idle", uid)
        elif answer is False and (app.ice is Ice.WHOLE or app.freezing_for < FREEZE):
            if app.ice is Ice.WHOLE:
                app.ice, app.freezing_for, app.polls = Ice.PARTLY, 0, 0
                self._tell("background", "escaped", uid)
            app.no_look_for = min(2**app.polls, LAST_POLL, FREEZE - app.freezing_for)
            app.polls += 1
        else:
            app.no_freeze_for = RETRY * 2 ** min(app.freeze_failures, DOUBLINGS)
            app.freeze_failures += 1
            app.undo, app.no_thaw_for = True, 0
            self._tell("freeze_failed", "freezer", uid)
            if app.ice is Ice.WHOLE:
                app.ice = Ice.PARTLY
                self._tell("background", "freezer", uid)

    def _ask(self, uid: int, what: str) -> bool | str:
        self.calls.append((self.now, uid, what))
        return self.answer(uid, what)

    def _tell(self, kind: str, cause: str, uid: int) -> None:
        self.events.append((self.now, kind, cause, uid))

    # What happens.

    def background(self, uid: int) -> None:
        app = self.apps.setdefault(uid, ModelApp())
        app.leaving = False
        if not app.back:
            app.back, app.quiet = True, 0
            app.window_left, app.window_over_for = 0, None
            app.no_freeze_for = 0
            app.reason = "host"
            if app.ice is not Ice.WHOLE:
                self._tell("background", "host", uid)

    def foreground(self, uid: int) -> None:
        app = self.apps.get(uid)
        if app is None:
            return
        app.leaving = False
        if app.back:
            app.back, app.no_thaw_for, app.freeze_failures = False, 0, 0
            if app.ice is not Ice.WHOLE:
                self._tell("foreground", "host", uid)

    def forget(self, uid: int) -> None:
        if uid in self.apps:
            self.apps[uid].leaving = True
            self.apps[uid].no_thaw_for = 0

    def set(self, uid: int, what: dict[str, bool], ago: int, creates: bool) -> None:
        """Let keepers be so since some ms ago."""
        app = self.apps.get(uid)
        if app is None:
            if not creates:
                return
            app = self.apps[uid] = ModelApp()
        before = app.kept_by()
        app.keepers.update(what)
        after = app.kept_by()
        for name in after:
            if name not in before:
                app.reason = name
        if any(name not in after for name in before):
            app.quiet = min(ago, app.quiet)
        if after and before != after:
            app.no_thaw_for = 0

    def deliver(self, uid: int, granted: bool) -> bool:
        self.act_on(uid)
        app = self.apps.get(uid)
        if app is None:
            self.counts["delivered"] += 1
            return True
        if not granted and app.ice is not Ice.NONE and app.rests():
            self.counts["refused"] += 1
            return False
        if granted and app.back:
            if app.window_left < THAW:
                app.window_left, app.window_over_for = THAW, None
            app.reason = "event"
        self.act_on(uid)
        app = self.apps.get(uid)
        is_up = app is None or app.ice is Ice.NONE
        self.counts["delivered" if is_up else "undelivered"] += 1
        return is_up
