"""Suspension as a host sees it, by hand, on a clock that stands: the table of what a grant does, and all around it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

import grantwheel
from grantwheel import BusinessError, ResourceType
from grantwheel.suspend import Keeper, Suspension, TaskKind
from support import (
    ALL,
    AUDIO,
    BLUETOOTH,
    COMMON_EVENT,
    CPU,
    GPS,
    RUNNING_LOCK,
    SENSOR,
    TIMER,
    WORK_SCHEDULER,
    check_error,
    refusal,
)
from suspending import APP, BACKGROUND, FOREGROUND, GRACE, LOOK, OTHER, PID, SUSPENDED, THAW, RecordingFreezer, Stage

DELIVERABLE = (COMMON_EVENT, TIMER, BLUETOOTH, GPS)
LONG = 600_000


def test_an_app_is_suspended_after_the_grace_and_comes_back_at_once() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.go_to(GRACE - 1)
    assert (stage.suspension.state(APP), stage.freezer.calls) == (BACKGROUND, [])
    stage.go_to(GRACE)
    assert (stage.suspension.state(APP), stage.freezer.taken()) == (SUSPENDED, [("freeze", APP)])
    stage.go_to(GRACE + 10)
    stage.suspension.foreground(APP)
    assert (stage.suspension.state(APP), stage.freezer.taken()) == (FOREGROUND, [("thaw", APP)])
    assert stage.events() == [
        (0, "background", "host", APP),
        (GRACE, "suspended", "idle", APP),
        (GRACE + 10, "foreground", "host", APP),
    ]
    assert stage.suspension.apps() == {}


def test_saying_it_again_changes_nothing() -> None:
    stage = Stage()
    stage.suspension.foreground(APP)
    stage.suspension.background(APP)
    stage.go_to(GRACE - 1)
    stage.suspension.background(APP)
    stage.go_to(GRACE)
    stage.suspension.background(APP)
    assert stage.suspension.state(APP) is SUSPENDED
    assert [event[1] for event in stage.events()] == ["background", "suspended"]


def play(stage: Stage) -> None:
    stage.manager.apply(APP, PID, AUDIO, LONG)
    stage.suspension.playing(APP, True)


KEEPERS: dict[str, tuple[Callable[[Stage], object], Callable[[Stage], object], Keeper]] = {
    "CPU of the app": (
        lambda stage: stage.manager.apply(APP, PID, CPU, LONG),
        lambda stage: stage.manager.release(APP, PID, CPU),
        Keeper.CPU,
    ),
    "CPU of a process": (
        lambda stage: stage.manager.apply(APP, PID, CPU, LONG, process=True),
        lambda stage: stage.manager.process_died(APP, PID),
        Keeper.PROCESS_CPU,
    ),
    "AUDIO while it plays": (
        play,
        lambda stage: stage.suspension.playing(APP, False),
        Keeper.AUDIO,
    ),
    "a transient task": (
        lambda stage: stage.suspension.task(APP, TaskKind.TRANSIENT, True),
        lambda stage: stage.suspension.task(APP, "transient", False),
        Keeper.TRANSIENT_TASK,
    ),
    "a continuous task": (
        lambda stage: stage.suspension.task(APP, "continuous", True),
        lambda stage: stage.suspension.task(APP, TaskKind.CONTINUOUS, False),
        Keeper.CONTINUOUS_TASK,
    ),
}


@pytest.mark.parametrize("name", KEEPERS)
def test_what_keeps_an_app_up(name: str) -> None:
    begin, end, keeper = KEEPERS[name]
    stage = Stage()
    begin(stage)
    stage.suspension.background(APP)
    stage.go_to(100_000)
    assert (stage.suspension.state(APP), stage.freezer.calls) == (BACKGROUND, [])
    assert stage.suspension.why(APP).kept_by == (keeper,)
    end(stage)
    assert stage.suspension.why(APP)[3:5] == ((Keeper.GRACE,), 100_000 + GRACE)
    stage.go_to(100_000 + GRACE - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go_to(100_000 + GRACE)
    assert stage.suspension.state(APP) is SUSPENDED


@pytest.mark.parametrize("name", KEEPERS)
def test_what_keeps_an_app_up_ends_its_suspension_at_once(name: str) -> None:
    begin, _, keeper = KEEPERS[name]
    stage = Stage()
    stage.suspend()
    begin(stage)
    stage.suspension.advance()
    assert (stage.suspension.state(APP), stage.freezer.taken()) == (BACKGROUND, [("thaw", APP)])
    assert stage.events() == [(GRACE, "background", str(keeper), APP)]
    why = stage.suspension.why(APP)
    assert (why.state, why.since_ms, why.cause, why.kept_by) == (BACKGROUND, GRACE, str(keeper), (keeper,))


def test_what_does_not_keep_an_app_up() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, ALL & ~CPU, 0, persist=True)  # AUDIO too: it does not play
    stage.manager.apply(OTHER, 81, CPU, LONG)  # another one
    stage.manager.apply(OTHER, 82, CPU, LONG, process=True)
    stage.suspension.playing(OTHER, True)
    stage.suspend()


def test_playing_without_the_grant_keeps_nobody_up() -> None:
    stage = Stage()
    stage.suspension.playing(APP, True)
    stage.suspend()
    stage.manager.apply(APP, PID, AUDIO, LONG)
    stage.suspension.advance()
    assert stage.suspension.state(APP) is BACKGROUND


def test_the_last_process_with_cpu_is_what_counts() -> None:
    stage = Stage()
    for pid in (71, 72):
        stage.manager.apply(APP, pid, CPU, LONG, process=True)
    stage.suspension.background(APP)
    stage.manager.apply(APP, 73, CPU, 20_000, process=True)
    stage.manager.process_died(APP, 71)
    stage.manager.process_died(APP, 72)
    stage.go_to(20_000 + GRACE - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go_to(20_000 + GRACE)
    assert stage.suspension.state(APP) is SUSPENDED


def test_the_grace_counts_from_the_deadline_of_a_grant_however_late_it_is_told() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, CPU, 20_000)
    stage.suspension.background(APP)
    stage.clock.set(20_000 + GRACE - 1)
    stage.manager.advance()
    assert stage.suspension.advance() == 20_000 + GRACE
    stage.clock.advance(1)
    stage.suspension.advance()
    assert stage.suspension.state(APP) is SUSPENDED


def test_the_grace_counts_from_the_last_of_all_that_kept_it_up_whatever_is_told_last() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, CPU, 500)
    stage.suspension.task(APP, "transient", True)
    stage.suspension.background(APP)
    stage.clock.set(1_000)
    stage.suspension.task(APP, "transient", False)  # nobody has told that CPU has ended
    stage.clock.set(1_100)
    stage.manager.advance()
    stage.go_to(1_000 + GRACE - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go_to(1_000 + GRACE)
    assert stage.suspension.state(APP) is SUSPENDED


def test_the_grace_is_whole_though_what_ended_before_is_told_after() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, CPU, 500)
    stage.suspension.playing(APP, True)
    stage.clock.set(1_000)
    stage.suspension.background(APP)
    stage.clock.set(1_100)
    stage.manager.advance()
    stage.go_to(1_000 + GRACE - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go_to(1_000 + GRACE)
    assert stage.suspension.state(APP) is SUSPENDED


def test_what_is_due_keeps_nobody_up_though_nobody_drives_the_manager() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, CPU, 20_000)
    stage.manager.apply(APP, PID, CPU, 20_000, process=True)
    stage.suspension.background(APP)
    stage.clock.set(20_010)
    assert stage.suspension.why(APP)[3:5] == ((Keeper.GRACE,), 20_000 + GRACE)


def test_a_grant_that_came_and_went_unseen_gives_the_grace_again() -> None:
    stage = Stage()
    stage.suspend()
    stage.manager.apply(APP, PID, CPU, LONG)
    stage.clock.advance(100)
    stage.manager.release(APP, PID, CPU)
    stage.suspension.advance()
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go_to(GRACE + 100 + GRACE - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go(1)
    assert stage.suspension.state(APP) is SUSPENDED


@pytest.mark.parametrize("kind", DELIVERABLE)
def test_an_event_of_a_kind_that_is_held_thaws_for_a_while(kind: ResourceType) -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, kind, LONG)
    stage.suspend()
    assert stage.suspension.deliver(APP, kind)
    assert (stage.suspension.state(APP), stage.freezer.taken()) == (BACKGROUND, [("thaw", APP)])
    assert stage.suspension.why(APP)[3:5] == ((Keeper.EVENT,), GRACE + THAW)
    stage.go(THAW - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go(1)
    assert stage.suspension.state(APP) is SUSPENDED
    assert stage.events() == [
        (GRACE, "background", "event", APP),
        (GRACE + THAW, "suspended", "event_over", APP),
    ]
    stats = stage.suspension.stats()
    assert (stats.delivered[kind], sum(stats.delivered.values()), sum(stats.refused.values())) == (1, 1, 0)
    assert stats.suspended_by == {"idle": 1, "event_over": 1}
    assert stats.resumed_by == {"event": 1}


@pytest.mark.parametrize("kind", DELIVERABLE)
def test_an_event_of_a_kind_that_is_not_held_is_refused_and_counted(kind: ResourceType) -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, (ALL & ~CPU) & ~kind, LONG)
    stage.suspend()
    assert not stage.suspension.deliver(APP, kind)
    assert (stage.suspension.state(APP), stage.freezer.calls, stage.events()) == (SUSPENDED, [], [])
    stats = stage.suspension.stats()
    assert (stats.refused[kind], sum(stats.refused.values()), sum(stats.delivered.values())) == (1, 1, 0)


def test_a_second_event_gets_its_whole_time_too() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, TIMER, LONG)
    stage.suspend()
    assert stage.suspension.deliver(APP, TIMER)
    stage.go(THAW - 1)
    assert stage.suspension.deliver(APP, TIMER)
    stage.go(THAW - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go(1)
    assert stage.suspension.state(APP) is SUSPENDED
    assert stage.freezer.taken() == [("thaw", APP), ("freeze", APP)]


def test_the_time_for_an_event_ends_with_the_foreground() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, TIMER, LONG)
    stage.suspend()
    assert stage.suspension.deliver(APP, TIMER)
    stage.suspension.playing(APP, True)  # so that it stays known
    stage.suspension.foreground(APP)
    stage.suspension.background(APP)
    stage.go(GRACE)
    assert stage.suspension.state(APP) is SUSPENDED


def test_whoever_is_up_may_have_any_event_and_no_time_for_it() -> None:
    stage = Stage()
    assert stage.suspension.deliver(APP, GPS)
    stage.suspension.background(APP)
    stage.go_to(GRACE - 1)
    assert stage.suspension.deliver(APP, GPS)
    stage.go(1)
    assert stage.suspension.state(APP) is SUSPENDED


def test_an_event_in_the_grace_that_is_held_gets_its_time() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, GPS, LONG)
    stage.suspension.background(APP)
    stage.go_to(GRACE - 1)
    assert stage.suspension.deliver(APP, GPS)
    stage.go_to(GRACE - 1 + THAW - 1)
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go(1)
    assert stage.suspension.state(APP) is SUSPENDED


def test_an_answer_does_not_depend_on_who_drives_the_suspension() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.clock.set(GRACE)  # nobody has looked
    assert not stage.suspension.deliver(APP, GPS)
    assert stage.suspension.state(APP) is SUSPENDED


def test_a_grant_that_is_due_lets_no_event_through() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, GPS, GRACE + 10)
    stage.suspend()
    stage.clock.set(GRACE + 9)
    assert stage.suspension.deliver(APP, GPS)
    stage.go(THAW)
    assert stage.suspension.state(APP) is SUSPENDED
    assert not stage.suspension.deliver(APP, GPS)


@pytest.mark.parametrize("kind", [CPU, AUDIO, ResourceType(0), GPS | TIMER, 3, 512])
def test_other_types_are_no_kinds_of_events(kind: int) -> None:
    with pytest.raises(ValueError, match="kind must be one of COMMON_EVENT, TIMER, BLUETOOTH, GPS"):
        Stage().suspension.deliver(APP, kind)


def test_what_a_host_can_ask_for() -> None:
    stage = Stage()
    asked = (stage.suspension.sensors_intercepted, stage.suspension.locks_proxied, stage.suspension.work_is_loose)

    def answers() -> list[bool]:
        return [question(APP) for question in asked]

    assert answers() == [False, False, False]
    stage.suspend()
    assert answers() == [True, True, False]
    stage.manager.apply(APP, PID, SENSOR, LONG)
    assert answers() == [False, True, False]
    stage.manager.apply(APP, PID, RUNNING_LOCK, LONG)
    assert answers() == [False, False, False]
    stage.manager.apply(APP, PID, WORK_SCHEDULER, LONG)
    assert answers() == [False, False, True]
    stage.manager.release(APP, PID, SENSOR | RUNNING_LOCK)
    stage.suspension.foreground(APP)
    assert answers() == [False, False, True]


def test_why_tells_since_when_and_why_it_is_suspended() -> None:
    stage = Stage()
    assert stage.suspension.why(APP)[0] is FOREGROUND
    assert stage.suspension.why(APP).kept_by == (Keeper.FOREGROUND,)
    stage.manager.apply(APP, PID, CPU, 1_000)
    stage.suspension.background(APP)
    stage.go_to(60_000)
    why = stage.suspension.why(APP)
    assert tuple(why) == (SUSPENDED, 1_000 + GRACE, "idle", (), None, "")


def test_who_is_no_more_is_thawed_and_forgotten() -> None:
    stage = Stage()
    stage.suspend()
    stage.suspension.forget(APP)
    assert stage.freezer.taken() == [("thaw", APP)]
    assert stage.events() == [(GRACE, "background", "host", APP), (GRACE, "forgotten", "host", APP)]
    assert stage.suspension.apps() == {}
    stage.suspension.forget(APP)
    assert stage.events() == []


def test_close_thaws_everybody_and_refuses_what_comes() -> None:
    stage = Stage()
    stage.suspend(APP)
    stage.suspend(OTHER)
    stage.suspension.close()
    assert (stage.freezer.frozen, stage.freezer.closed) == (set(), 1)
    assert [event[1:] for event in stage.events()] == [("background", "closed", APP), ("background", "closed", OTHER)]
    for call in (
        lambda: stage.suspension.background(APP),
        lambda: stage.suspension.foreground(APP),
        lambda: stage.suspension.deliver(APP, GPS),
        lambda: stage.suspension.task(APP, "transient", True),
        stage.suspension.advance,
        lambda: stage.suspension.subscribe("somebody"),
    ):
        error = refusal(call)
        assert (error.code, error.detail) == (9800004, 980000402)
        assert "The suspension is closed." in error.message
    stage.suspension.close()
    assert stage.suspension.state(APP) is BACKGROUND
    assert stage.suspension.stats().resumed_by == {"closed": 2}


def test_the_end_of_the_manager_thaws_everybody() -> None:
    stage = Stage()
    stage.suspend()
    stage.manager.close()
    check_error(refusal(stage.suspension.advance), 9800004, 980000402)
    assert (stage.freezer.frozen, stage.freezer.closed) == (set(), 1)


def test_no_more_apps_are_known_than_there_may_be() -> None:
    stage = Stage(max_apps=2)
    stage.suspension.background(APP)
    stage.suspension.playing(OTHER, True)
    check_error(refusal(lambda: stage.suspension.background(900)), 9800001, 980000101)
    stage.suspension.playing(900, False)  # nothing that is to be known
    stage.suspension.playing(OTHER, False)
    stage.suspension.background(900)
    assert stage.suspension.apps() == {APP: BACKGROUND, 900: BACKGROUND}


@pytest.mark.parametrize(
    ("name", "value"),
    [("grace_ms", -1), ("thaw_ms", 0), ("freeze_ms", 0), ("retry_ms", 0), ("look_ms", 0), ("max_apps", 0)],
)
def test_figures_out_of_range_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        Stage(**{name: value})


def test_lengths_of_time_may_be_timedeltas() -> None:
    stage = Stage(grace_ms=timedelta(seconds=1))
    stage.suspension.background(APP)
    stage.go_to(1_000)
    assert stage.suspension.state(APP) is SUSPENDED


def test_no_grace_at_all() -> None:
    stage = Stage(grace_ms=0)
    stage.suspension.background(APP)
    assert stage.suspension.state(APP) is SUSPENDED


@pytest.mark.parametrize("uid", [-1, 2**32 - 1])
def test_uids_are_within_their_range(uid: int) -> None:
    with pytest.raises(ValueError, match=r"uid must be within 0..2\^32-2"):
        Stage().suspension.background(uid)


def test_wrong_types_are_refused() -> None:
    suspension = Stage().suspension
    with pytest.raises(TypeError):
        suspension.background("700")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="uid"):
        suspension.background(True)
    with pytest.raises(TypeError, match="plays"):
        suspension.playing(APP, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kept"):
        suspension.task(APP, "kept", True)


def test_a_manager_that_does_not_serve_is_followed_all_the_same() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, CPU, LONG, process=True)
    stage.manager.ready = False
    stage.suspension.background(APP)
    stage.go_to(GRACE)
    assert stage.suspension.why(APP).kept_by == (Keeper.PROCESS_CPU,)


def test_events_that_were_overwritten_are_made_up_for() -> None:
    manager = grantwheel.Manager(clock=grantwheel.ManualClock(), event_capacity=4)
    freezer = RecordingFreezer()
    suspension = Suspension(manager, freezer, grace_ms=0)
    for uid in (APP, OTHER):
        suspension.background(uid)
    manager.apply(APP, PID, CPU, LONG, process=True)
    for other in range(20):
        manager.apply(other, 1, GPS, LONG)
    suspension.advance()
    assert suspension.apps() == {APP: BACKGROUND, OTHER: SUSPENDED}
    manager.process_died(APP, PID)
    for other in range(20):
        manager.apply(other, 1, TIMER, LONG)
    suspension.advance()
    assert suspension.apps() == {APP: SUSPENDED, OTHER: SUSPENDED}


def test_who_is_not_known_any_more_is_not_followed() -> None:
    stage = Stage()
    for uid in range(100):
        stage.suspension.background(uid)
        stage.suspension.foreground(uid)
    assert len(stage.suspension._work._grants) == 0


def test_it_needs_no_native_caller() -> None:
    policy = grantwheel.Policy(default_caller=grantwheel.Caller())
    manager = grantwheel.Manager(clock=grantwheel.ManualClock(), policy=policy)
    Suspension(manager, RecordingFreezer()).background(APP)


def test_a_closed_manager_is_refused() -> None:
    manager = grantwheel.Manager()
    manager.close()
    with pytest.raises(BusinessError) as caught:
        Suspension(manager, RecordingFreezer())
    check_error(caught.value, 9800004, 980000402)


def test_a_suspended_app_is_looked_at_now_and_then() -> None:
    stage = Stage()
    stage.suspend()
    assert stage.suspension.advance() == GRACE + LOOK
    stage.go(LOOK)
    assert stage.freezer.taken() == [("freeze", APP)]
    stage.freezer.answers = [False]
    stage.go(LOOK)
    assert stage.events() == [(GRACE + 2 * LOOK, "background", "escaped", APP)]
    assert stage.suspension.why(APP).kept_by == (Keeper.FREEZER,)
    stage.go(1)
    assert stage.events() == [(GRACE + 2 * LOOK + 1, "suspended", "idle", APP)]
