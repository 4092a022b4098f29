"""The decisions of suspension beside a model that counts milliseconds: random runs, each printed with its seed."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from grantwheel.suspend.app import ActionKind
from grantwheel.suspend.decide import Decider
from grantwheel.suspend.values import SuspensionEvent, TaskKind, Timing
from grantwheel.types import ResourceType
from model_suspension import FREEZE, GRACE, LOOK, RETRY, THAW, SuspensionModel
from support import AUDIO, COMMON_EVENT, CPU

TIMING = Timing(grace_ms=GRACE, thaw_ms=THAW, freeze_ms=FREEZE, retry_ms=RETRY, look_ms=LOOK)
UIDS = range(10, 16)


def moody(seed: int, mood: float) -> Callable[[int, str], bool | str]:
    """A freezer whose n-th answer about an app is drawn, the same for everybody who asks in the same order."""
    asked: Counter[tuple[int, str]] = Counter()

    def answer(uid: int, what: str) -> bool | str:
        asked[uid, what] += 1
        drawn = random.Random(f"{seed} {uid} {what} {asked[uid, what]}").random()
        if drawn < mood:
            return "it is broken"
        return what == "thaw" or drawn > 2 * mood

    return answer


class Driven:
    """A decider that does at once what is due, and keeps what it did and told."""

    def __init__(self, answer: Callable[[int, str], bool | str]) -> None:
        self.now = 0
        self.told: list[SuspensionEvent] = []
        self.decider = Decider(TIMING, self.told.append)
        self.answer = answer
        self.calls: list[tuple[int, int, str]] = []

    def act(self, uid: int | None = None) -> None:
        while (action := self.decider.next_action(self.now, uid)) is not None:
            self.calls.append((self.now, action.uid, action.kind))
            answer = self.answer(action.uid, action.kind)
            if isinstance(answer, str) and action.kind is ActionKind.FREEZE:
                self.decider.freeze_failed(action.uid, answer, self.now)
            elif isinstance(answer, str):
                self.decider.thaw_failed(action.uid, answer, self.now)
            elif action.kind is ActionKind.FREEZE:
                self.decider.froze(action.uid, answer, self.now)
            else:
                self.decider.thawed(action.uid, self.now)

    def run_to(self, end: int) -> None:
        while (wake := self.decider.wake_ms) is not None and wake <= end:
            assert wake >= self.now
            self.now = wake
            self.act()
        self.now = end

    def deliver(self, uid: int, granted: bool) -> bool:
        self.act(uid)
        if not self.decider.deliver(uid, COMMON_EVENT, granted, self.now):
            return False
        self.act(uid)
        return self.decider.reached(uid, COMMON_EVENT)

    @property
    def events(self) -> list[tuple[int, str, str, int]]:
        return [(event.time, event.kind, event.cause, event.uid) for event in self.told]


class Run:
    """A random run of both."""

    def __init__(self, seed: int, mood: float) -> None:
        self.random = random.Random(seed)
        self.driven = Driven(moody(seed, mood))
        self.model = SuspensionModel(moody(seed, mood))
        self.held_at = dict.fromkeys(UIDS, 0)

    def step(self) -> None:
        uid = self.random.choice(UIDS)
        what = self.random.choices(
            (self.move, self.time, self.keep, self.hold, self.deliver, self.forget), (3, 6, 2, 3, 4, 0.3)
        )[0]
        what(uid)
        self.driven.act()
        self.model.act()
        self.compare()

    def time(self, _uid: int) -> None:
        self.wait(self.random.choice((1, 2, 7, GRACE - 1, GRACE, GRACE + 1, THAW, LOOK, 400)))

    def wait(self, length: int) -> None:
        self.driven.run_to(self.driven.now + length)
        for _ in range(length):
            self.model.tick()

    def move(self, uid: int) -> None:
        where = self.random.choice(("background", "background", "foreground"))
        getattr(self.driven.decider, where)(uid, self.driven.now)
        getattr(self.model, where)(uid)

    def keep(self, uid: int) -> None:
        on = self.random.random() < 0.4
        name = self.random.choice(("plays", "transient_task", "continuous_task"))
        if name == "plays":
            self.driven.decider.playing(uid, on, self.driven.now)
        else:
            self.driven.decider.task(uid, TaskKind(name.removesuffix("_task")), on, self.driven.now)
        self.model.set(uid, {name: on}, 0, creates=on)

    def hold(self, uid: int) -> None:
        """Change what is held, some time ago, but not before the last such change: as events of a manager come late."""
        mask = self.random.choice((ResourceType(0), ResourceType(0), CPU, AUDIO, CPU | AUDIO))
        process_cpu = self.random.random() < 0.3
        at = self.random.randint(self.held_at[uid], self.driven.now)
        self.driven.decider.held(uid, mask, process_cpu, at, self.driven.now)
        so = {"cpu": bool(mask & CPU), "granted": bool(mask & AUDIO), "process_cpu": process_cpu}
        self.model.set(uid, so, self.driven.now - at, creates=False)
        self.held_at[uid] = self.driven.now

    def deliver(self, uid: int) -> None:
        granted = self.random.random() < 0.5
        assert self.driven.deliver(uid, granted) == self.model.deliver(uid, granted)

    def forget(self, uid: int) -> None:
        self.driven.decider.forget(uid, self.driven.now)
        self.model.forget(uid)

    def compare(self) -> None:
        assert self.driven.calls[-20:] == self.model.calls[-20:]
        assert self.driven.events[-20:] == self.model.events[-20:]
        assert set(self.driven.decider.uids()) == set(self.model.apps)
        for uid in UIDS:
            app = self.model.apps.get(uid)
            assert self.driven.decider.state(uid) == ("foreground" if app is None else app.state)
            why = self.driven.decider.why(uid, self.driven.now)
            if app is not None and app.back and not app.leaving:
                assert [
                    keeper for keeper in why.kept_by if keeper not in ("event", "grace", "freezer")
                ] == app.kept_by()
                rests = app.rests()
                assert (why.kept_by in ((), ("freezer",))) == rests
                assert (why.kept_by == ()) == (rests and app.state == "suspended")
        stats = self.driven.decider.stats()
        assert stats.delivered[COMMON_EVENT] == self.model.counts["delivered"]
        assert stats.refused[COMMON_EVENT] == self.model.counts["refused"]
        assert stats.undelivered[COMMON_EVENT] == self.model.counts["undelivered"]
        states = Counter(app.state for app in self.model.apps.values())
        assert (stats.foreground, stats.background, stats.suspended) == tuple(
            states[name] for name in ("foreground", "background", "suspended")
        )

    def end(self) -> None:
        assert self.driven.calls == self.model.calls
        assert self.driven.events == self.model.events


def run_one(seed: int, steps: int) -> Run:
    print(f"seed {seed}")
    run = Run(seed, random.Random(seed).choice((0.0, 0.05, 0.3)))
    for _ in range(steps):
        run.step()
    run.end()
    return run


@pytest.mark.parametrize("seed", range(12))
def test_the_decider_is_as_the_model(seed: int) -> None:
    run = run_one(seed, 400)
    kinds = {kind for _, kind, _, _ in run.model.events}
    assert {"suspended", "background", "foreground"} <= kinds  # else it has tried nothing


def test_back_to_the_background_behind_a_thaw_that_failed() -> None:
    """The least of what seed 1989816021 came upon: the model waited for the next look, 17 ms later."""
    run = Run(0, 0.0)
    run.driven.answer = fails_once("thaw")
    run.model.answer = fails_once("thaw")
    for move, length in (("background", GRACE + 3), ("foreground", GRACE), ("background", GRACE)):
        getattr(run.driven.decider, move)(10, run.driven.now)
        getattr(run.model, move)(10)
        run.driven.act()
        run.model.act()
        run.wait(length)
        run.compare()
    run.end()
    assert run.model.calls == [(GRACE, 10, "freeze"), (GRACE + 3, 10, "thaw"), (3 * GRACE + 3, 10, "freeze")]


def test_nobody_is_frozen_behind_the_end() -> None:
    driven = Driven(lambda _, __: True)
    driven.decider.background(10, 0)
    driven.run_to(GRACE)
    driven.decider.background(11, GRACE)
    driven.decider.close(GRACE)
    driven.act()
    driven.run_to(100 * GRACE)
    assert driven.calls == [(GRACE, 10, "freeze"), (GRACE, 10, "thaw")]
    assert driven.events[-1] == (GRACE, "background", "closed", 10)


def fails_once(what: str) -> Callable[[int, str], bool | str]:
    answers = {what: ["it is broken"]}
    return lambda _, asked: answers[asked].pop() if answers.get(asked) else True


@pytest.mark.long
def test_the_decider_is_as_the_model_for_longer() -> None:
    start = random.SystemRandom().randrange(2**32)
    for seed in range(start, start + 40):
        run_one(seed, 1000)
