"""What a grant does for an app in the background, row by row of that table, with processes that are really frozen.

The clock is set by hand. The kernel alone is waited for: until it has frozen what it was told to, and while it shows
that nothing runs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from freezing import BUSY, Apps, make_group, rests, runs
from freezing_groups import Real
from grantwheel import ResourceType
from grantwheel.suspend import CgroupFreezer, Freezer, SignalFreezer, Suspension
from support import ALL, CPU, RUNNING_LOCK, SENSOR, WORK_SCHEDULER, make_manager
from suspending import APP, BACKGROUND, FOREGROUND, PID, SUSPENDED, Stage
from test_suspension import DELIVERABLE, KEEPERS, LONG
from waiting import wait_for

GRACE, THAW = 20, 40
MOMENT_S = 0.05  # a busy process would have had five ticks of CPU time


class RealStage(Stage):
    """A manager on a clock at 0, and the suspension of an app that does nothing but run."""

    def __init__(self, pid: int, freezer: Freezer) -> None:
        self.manager, self.clock = make_manager()
        self.suspension = Suspension(self.manager, freezer, grace_ms=GRACE, thaw_ms=THAW)
        self.reader = self.suspension.subscribe("the test")
        self.pid = pid

    def becomes(self, state: str) -> bool:
        """Whether it comes to be so, while the time that freezing takes goes on."""

        def is_so() -> bool:
            self.go(1)
            return self.suspension.state(APP) == state

        wait_for(is_so)
        return True

    def is_up(self) -> bool:
        return self.suspension.state(APP) is not SUSPENDED and runs(self.pid)

    def rests(self) -> bool:
        return self.suspension.state(APP) is SUSPENDED and rests([self.pid], MOMENT_S)


class Frozen(NamedTuple):
    """A busy process, and what makes a freezer for it with notes in a folder."""

    pid: int
    freezer: Callable[[Path], Freezer]


@pytest.fixture(scope="module")
def by_signals() -> Iterator[Frozen]:
    apps = Apps()
    pid = apps.start(BUSY)
    yield Frozen(pid, lambda notes: SignalFreezer(notes, processes=lambda _: [pid]))
    apps.end()


@pytest.fixture(scope="module")
def by_cgroups() -> Iterator[Frozen]:
    with Real(make_group()) as real:
        path = real.group("app")
        yield Frozen(real.start(path, BUSY), lambda notes: CgroupFreezer(notes, cgroup=lambda _: path, root=path))


@pytest.fixture(params=["by_signals", "by_cgroups"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealStage]:
    app: Frozen = request.getfixturevalue(request.param)
    notes = tmp_path / "notes"
    stage = RealStage(app.pid, app.freezer(notes))
    yield stage
    stage.suspension.close()
    assert runs(stage.pid)  # nobody stays frozen, whatever the test was about
    assert list(notes.iterdir()) == []


@pytest.mark.parametrize("name", KEEPERS)
def test_what_keeps_an_app_up(stage: RealStage, name: str) -> None:
    begin, end, _ = KEEPERS[name]
    begin(stage)
    stage.suspension.background(APP)
    stage.go(10 * GRACE)
    assert stage.is_up()
    end(stage)
    stage.go(GRACE - 1)
    assert stage.is_up()
    assert stage.becomes(SUSPENDED)
    assert stage.rests()
    begin(stage)
    stage.suspension.advance()
    assert stage.is_up()


@pytest.mark.parametrize("kind", DELIVERABLE)
def test_an_event_that_it_may_have(stage: RealStage, kind: ResourceType) -> None:
    stage.manager.apply(APP, PID, kind, LONG)
    stage.suspension.background(APP)
    stage.go(GRACE)
    assert stage.becomes(SUSPENDED)
    assert stage.suspension.deliver(APP, kind)
    assert stage.is_up()
    stage.go(THAW - 1)
    assert stage.is_up()
    assert stage.becomes(SUSPENDED)
    assert stage.rests()


@pytest.mark.parametrize("kind", DELIVERABLE)
def test_an_event_that_it_may_not_have(stage: RealStage, kind: ResourceType) -> None:
    stage.manager.apply(APP, PID, (ALL & ~CPU) & ~kind, LONG)
    stage.suspension.background(APP)
    stage.go(GRACE)
    assert stage.becomes(SUSPENDED)
    assert not stage.suspension.deliver(APP, kind)
    assert stage.suspension.stats().refused[kind] == 1
    assert stage.rests()


def answers(suspension: Suspension) -> tuple[bool, bool, bool]:
    return suspension.sensors_intercepted(APP), suspension.locks_proxied(APP), suspension.work_is_loose(APP)


@pytest.mark.parametrize(
    ("held", "answer"),
    [
        (ResourceType(0), (True, True, False)),
        (SENSOR, (False, True, False)),
        (RUNNING_LOCK, (True, False, False)),
        (WORK_SCHEDULER, (True, True, True)),
    ],
    ids=str,
)
def test_what_is_asked_about_an_app_that_rests(
    stage: RealStage, held: ResourceType, answer: tuple[bool, bool, bool]
) -> None:
    if held:
        stage.manager.apply(APP, PID, held, LONG)
    stage.suspension.background(APP)
    stage.go(GRACE - 1)
    assert answers(stage.suspension) == (False, False, bool(held & WORK_SCHEDULER))
    assert stage.becomes(SUSPENDED)
    assert answers(stage.suspension) == answer
    assert stage.rests()


def test_the_foreground_ends_it_at_once(stage: RealStage) -> None:
    stage.suspension.background(APP)
    stage.go(GRACE)
    assert stage.becomes(SUSPENDED)
    assert stage.rests()
    stage.suspension.foreground(APP)
    assert (stage.suspension.state(APP), stage.is_up()) == (FOREGROUND, True)
    assert [event[1:3] for event in stage.events()] == [
        ("background", "host"),
        ("suspended", "idle"),
        ("foreground", "host"),
    ]


def test_a_grant_that_ends_by_itself(stage: RealStage) -> None:
    stage.manager.apply(APP, stage.pid, CPU, 100, process=True)
    stage.suspension.background(APP)
    stage.go(100 + GRACE - 1)
    assert (stage.suspension.state(APP), stage.is_up()) == (BACKGROUND, True)
    assert stage.becomes(SUSPENDED)
    assert stage.rests()
