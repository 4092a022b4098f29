"""Freezers that fail: what is told, when it is tried again, and that nobody is called suspended who is not."""

import itertools
import logging
from collections.abc import Callable

import pytest

from grantwheel.suspend import FreezeError, Keeper, PartlyThawedError
from support import CPU, GPS, TIMER
from suspending import APP, BACKGROUND, FOREGROUND, FREEZE, GRACE, OTHER, PID, RETRY, SUSPENDED, Stage

BROKEN = FreezeError("it is broken")
PARTLY = PartlyThawedError("a part of it is broken")


def test_a_freeze_that_fails_is_told_taken_back_and_tried_again() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [BROKEN, True, BROKEN, True, True]
    stage.go_to(GRACE)
    assert stage.freezer.taken() == [("freeze", APP), ("thaw", APP)]
    assert stage.suspension.state(APP) is BACKGROUND
    why = stage.suspension.why(APP)
    assert (why.kept_by, why.failure) == ((Keeper.FREEZER,), "it is broken")
    stage.go_to(GRACE + RETRY)
    assert stage.freezer.taken() == [("freeze", APP), ("thaw", APP)]
    stage.go_to(GRACE + 3 * RETRY - 1)
    assert stage.freezer.taken() == []
    stage.go(1)
    assert stage.suspension.state(APP) is SUSPENDED
    assert stage.suspension.why(APP).failure == ""
    assert stage.events()[1:] == [
        (GRACE, "freeze_failed", "freezer", APP),
        (GRACE + RETRY, "freeze_failed", "freezer", APP),
        (GRACE + 3 * RETRY, "suspended", "idle", APP),
    ]
    assert stage.suspension.stats().freeze_failures == 2


def test_the_event_says_what_has_failed() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [BROKEN, True, RuntimeError(), True]
    stage.go_to(GRACE + RETRY)
    assert [event.detail for event in stage.reader.drain()] == ["", "it is broken", "RuntimeError()"]


def test_it_is_tried_less_and_less_often_but_again_and_again() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [BROKEN, True] * 10
    stage.go_to(10 * 64 * RETRY)
    times = [time for time, kind, *_ in stage.events() if kind == "freeze_failed"]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits == [RETRY * factor for factor in (1, 2, 4, 8, 16, 32, 64, 64, 64)]


def test_a_new_time_in_the_background_begins_with_the_first_wait_again() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [BROKEN, True] * 4
    stage.go_to(GRACE + 4 * RETRY)  # the third failure has been
    stage.suspension.foreground(APP)
    assert stage.suspension.why(APP).failure == ""
    stage.suspension.playing(APP, True)  # it stays known
    stage.suspension.background(APP)
    stage.go(GRACE)
    stage.events()
    stage.freezer.answers = [BROKEN, True]
    stage.suspension.foreground(APP)
    stage.suspension.background(APP)
    stage.go(GRACE + RETRY)
    times = [time for time, kind, *_ in stage.events() if kind in ("freeze_failed", "suspended")]
    assert times[1] - times[0] == RETRY


def test_whoever_could_not_be_frozen_is_up_for_any_event() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [BROKEN]
    stage.go_to(GRACE)
    assert stage.suspension.deliver(APP, GPS)


def test_what_takes_its_time_to_freeze_is_asked_again_and_is_not_suspended_before() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [False] * 4
    stage.go_to(GRACE + 14)
    assert (stage.suspension.state(APP), len(stage.freezer.taken())) == (BACKGROUND, 4)
    assert stage.suspension.why(APP).kept_by == (Keeper.FREEZER,)
    stage.go(1)
    assert stage.suspension.state(APP) is SUSPENDED
    assert stage.events() == [(0, "background", "host", APP), (GRACE + 15, "suspended", "idle", APP)]


def test_what_is_not_frozen_in_time_is_thawed() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [False] * 1000
    stage.go_to(GRACE + FREEZE)
    assert stage.freezer.taken()[-1] == ("thaw", APP)
    assert stage.events() == [
        (0, "background", "host", APP),
        (GRACE + FREEZE, "freeze_failed", "freezer", APP),
    ]
    assert stage.suspension.why(APP).failure == f"not all of it was frozen within {FREEZE} ms"


def test_a_grant_while_it_is_being_frozen() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.freezer.answers = [False]
    stage.go_to(GRACE)
    stage.manager.apply(APP, PID, CPU, 600_000)
    stage.suspension.advance()
    assert stage.freezer.taken() == [("freeze", APP), ("thaw", APP)]
    assert stage.events() == [(0, "background", "host", APP)]  # it has been there all the while


def test_events_while_it_is_being_frozen() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, GPS, 600_000)
    stage.suspension.background(APP)
    stage.freezer.answers = [False]
    stage.go_to(GRACE)
    assert not stage.suspension.deliver(APP, TIMER)
    assert stage.suspension.deliver(APP, GPS)
    assert stage.freezer.taken() == [("freeze", APP), ("thaw", APP)]


def test_a_thaw_that_fails_leaves_it_suspended_and_is_tried_again() -> None:
    stage = Stage()
    stage.suspend()
    stage.freezer.answers = [BROKEN, BROKEN]
    stage.suspension.foreground(APP)
    assert stage.suspension.state(APP) is SUSPENDED
    assert stage.suspension.why(APP).failure == "it is broken"
    stage.go_to(GRACE + 99)
    assert stage.freezer.taken() == [("thaw", APP)]
    stage.go_to(GRACE + 299)
    assert stage.freezer.taken() == [("thaw", APP)]
    stage.go_to(GRACE + 300)
    assert stage.suspension.state(APP) is FOREGROUND
    assert stage.events() == [
        (GRACE, "thaw_failed", "freezer", APP),
        (GRACE + 100, "thaw_failed", "freezer", APP),
        (GRACE + 300, "foreground", "host", APP),
    ]
    assert stage.suspension.stats().thaw_failures == 2


def test_who_is_thawed_in_part_is_suspended_no_more_and_the_rest_is_tried_again() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, GPS, 600_000)
    stage.suspend()
    stage.freezer.answers = [PARTLY, PARTLY]
    assert not stage.suspension.deliver(APP, GPS)  # the part that is meant may be the one that stands still
    assert stage.suspension.state(APP) is BACKGROUND
    assert stage.suspension.why(APP).failure == "a part of it is broken"
    stage.go_to(GRACE + 300)
    assert stage.freezer.taken() == [("thaw", APP)] * 3
    assert stage.suspension.deliver(APP, GPS)
    assert stage.events() == [
        (GRACE, "thaw_failed", "freezer", APP),
        (GRACE, "background", "event", APP),
        (GRACE + 100, "thaw_failed", "freezer", APP),
    ]


def test_who_was_thawed_in_part_and_is_to_rest_again_is_frozen_as_a_whole() -> None:
    stage = Stage(thaw_ms=50)
    stage.manager.apply(APP, PID, GPS, 600_000)
    stage.suspend()
    stage.freezer.answers = [PARTLY, True]
    assert not stage.suspension.deliver(APP, GPS)
    stage.go_to(GRACE + 50)
    assert stage.freezer.taken() == [("thaw", APP), ("freeze", APP)]
    assert stage.suspension.state(APP) is SUSPENDED
    assert stage.events()[1:] == [(GRACE, "background", "event", APP), (GRACE + 50, "suspended", "event_over", APP)]


def test_an_event_for_whom_it_cannot_be_thawed_is_not_delivered() -> None:
    stage = Stage()
    stage.manager.apply(APP, PID, GPS, 600_000)
    stage.suspend()
    stage.freezer.answers = [BROKEN]
    assert not stage.suspension.deliver(APP, GPS)
    stats = stage.suspension.stats()
    assert (stats.delivered[GPS], stats.refused[GPS], stats.undelivered[GPS]) == (0, 0, 1)


def test_back_in_the_background_before_it_could_be_thawed() -> None:
    stage = Stage(grace_ms=50, thaw_ms=1)
    stage.manager.apply(APP, PID, GPS, 600_000)
    stage.suspension.background(APP)
    assert stage.suspension.deliver(APP, GPS)  # which is not why it comes up later
    stage.go_to(50)
    stage.events()
    stage.freezer.answers = [BROKEN]
    stage.suspension.foreground(APP)
    stage.go_to(140)
    stage.suspension.background(APP)
    assert stage.suspension.state(APP) is SUSPENDED
    stage.go_to(150)  # the thaw comes through, within the grace
    assert stage.suspension.state(APP) is BACKGROUND
    stage.go_to(190)
    assert stage.events() == [
        (50, "thaw_failed", "freezer", APP),
        (150, "background", "host", APP),
        (190, "suspended", "idle", APP),
    ]


def leave_and_come_back(stage: Stage) -> int:
    stage.suspension.foreground(APP)
    stage.go(20)
    stage.suspension.background(APP)
    return 20 + 50


def hold_cpu_for_a_while(stage: Stage) -> int:
    stage.manager.apply(APP, PID, CPU, 20)
    stage.suspension.advance()
    stage.go(20)
    return 20 + 50


def have_an_event(stage: Stage) -> int:
    stage.manager.apply(APP, PID, GPS, 600_000)
    assert not stage.suspension.deliver(APP, GPS)
    return 80


@pytest.mark.parametrize("want_it_up", [leave_and_come_back, hold_cpu_for_a_while, have_an_event])
def test_whoever_could_not_be_thawed_is_looked_at_when_it_is_to_rest_again(
    want_it_up: Callable[[Stage], int],
) -> None:
    """A thaw that has failed may have let a part of it go on. Nobody waits for the next look to see that."""
    stage = Stage(grace_ms=50, thaw_ms=80)
    stage.suspension.background(APP)
    stage.go_to(50)
    assert stage.freezer.taken() == [("freeze", APP)]
    stage.freezer.answers = [BROKEN]
    rests_ms = 50 + want_it_up(stage)
    assert stage.freezer.taken() == [("thaw", APP)]
    stage.go_to(rests_ms - 1)
    assert stage.freezer.taken() == []
    stage.go_to(rests_ms)
    assert stage.freezer.taken() == [("freeze", APP)]


def test_a_failure_to_thaw_takes_no_time_from_the_next_freezing() -> None:
    stage = Stage(grace_ms=50, freeze_ms=40)
    stage.suspension.background(APP)
    stage.freezer.answers = [False, BROKEN, False]
    stage.go_to(50)
    stage.suspension.foreground(APP)  # in the middle of freezing
    stage.suspension.background(APP)
    stage.go_to(101)
    assert stage.suspension.state(APP) is SUSPENDED
    assert stage.suspension.stats().freeze_failures == 0


def test_a_look_that_fails_is_no_suspension_any_more() -> None:
    stage = Stage(look_ms=100)
    stage.suspend()
    stage.freezer.answers = [BROKEN]
    stage.go(100)
    assert stage.suspension.state(APP) is BACKGROUND
    assert stage.freezer.taken() == [("freeze", APP), ("thaw", APP)]
    assert [event[1:3] for event in stage.events()] == [("freeze_failed", "freezer"), ("background", "freezer")]


def test_one_that_fails_does_not_hold_up_others() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.suspension.background(OTHER)
    stage.freezer.answers = [BROKEN, BROKEN]
    stage.go_to(GRACE)
    assert stage.suspension.apps() == {APP: BACKGROUND, OTHER: SUSPENDED}


def test_who_is_forgotten_but_not_thawed_is_still_tried() -> None:
    stage = Stage()
    stage.suspend()
    stage.freezer.answers = [BROKEN]
    stage.suspension.forget(APP)
    assert stage.suspension.apps() == {APP: SUSPENDED}
    stage.go(100)
    assert stage.suspension.apps() == {}
    assert [event[1] for event in stage.events()] == ["thaw_failed", "background", "forgotten"]


def test_close_tries_more_than_once_and_ends_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.suspend(APP)
    stage.suspend(OTHER)
    stage.freezer.answers = [BROKEN, BROKEN, True, BROKEN, BROKEN]
    with caplog.at_level(logging.WARNING, "grantwheel"):
        stage.suspension.close()
    assert [call for call in stage.freezer.taken() if call[1] == APP] == [("thaw", APP)] * 2
    assert stage.freezer.closed == 1
    assert "app 700 could not be thawed" in caplog.text


def test_an_interrupt_in_a_freezer_is_a_failure_and_goes_on() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    stage.clock.set(GRACE)
    stage.freezer.answers = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        stage.suspension.advance()
    assert stage.suspension.state(APP) is BACKGROUND
    stage.suspension.advance()
    assert stage.freezer.taken() == [("freeze", APP), ("thaw", APP)]
    stage.go(RETRY)
    assert stage.suspension.state(APP) is SUSPENDED


def test_a_freezer_may_call_the_suspension() -> None:
    stage = Stage()
    stage.suspension.background(APP)
    errors = []

    def call() -> None:
        stage.freezer.before = lambda: None
        stage.suspension.background(OTHER)
        stage.suspension.foreground(APP)
        assert stage.suspension.state(APP) is BACKGROUND
        assert stage.suspension.why(APP).kept_by == (Keeper.FREEZER,)
        try:
            stage.suspension.deliver(APP, GPS)
        except RuntimeError as error:
            errors.append(str(error))

    stage.freezer.before = call
    stage.go_to(GRACE)
    assert stage.suspension.apps() == {OTHER: BACKGROUND}
    assert stage.freezer.taken() == [("freeze", APP), ("thaw", APP)]
    assert errors == ["deliver() was called in the middle of another call of the same thread"]
