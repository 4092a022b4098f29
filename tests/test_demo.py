"""The demonstration on a clock set by hand: what it does, what it says of it, what it shows."""

import itertools

import pytest

from demo_stage import START, UIDS, Stage
from grantwheel import ResourceType
from grantwheel.demo.script import Act, Step, script
from grantwheel.demo.view import Tally, summary_lines
from grantwheel.suspend import AppState, Keeper

MAIL, CLOCK, GAME = UIDS.values()
FOREGROUND, BACKGROUND, SUSPENDED = AppState


def told(*steps: Step, wait_ms: int = 0) -> tuple[Stage, list[str]]:
    """What a stage says of steps that are done one after the other."""
    stage = Stage()
    for step in steps:
        stage.show.do(step)
        stage.go(wait_ms)
        stage.show.report()
    return stage, stage.view.take()


def test_the_whole_script_in_words() -> None:
    stage = Stage()
    assert stage.play()
    assert stage.view.take() == [
        "3.0 s  mail is granted CPU for 12 s: so long it may run in the background.",
        "3.0 s  clock is granted TIMER for 60 s. That does not keep it running; it lets a timer reach it.",
        "4.0 s  mail goes to the background; its CPU grant lets it run until 15 s.",
        "4.0 s  clock goes to the background without a CPU grant: it is frozen in 3 s.",
        "4.0 s  game goes to the background without a CPU grant: it is frozen in 3 s.",
        (
            "7.0 s  clock has been in the background for 3 s and nothing keeps it up, so it is frozen. "
            "Its counter stands still at 7,000."
        ),
        (
            "7.0 s  game has been in the background for 3 s and nothing keeps it up, so it is frozen. "
            "Its counter stands still at 7,000."
        ),
        (
            "10.0 s  clock: a timer is due, which its TIMER grant lets through, so it is thawed for 3 s. "
            "It counts on from 7,000."
        ),
        "11.5 s  game: a timer is refused and it stays frozen, as it has no TIMER grant.",
        "13.0 s  clock has had its 3 s for the event, so it is frozen again. Its counter stands still at 10,000.",
        "15.0 s  mail: its CPU grant has run out. Nothing else keeps it up: it is frozen in 3 s.",
        (
            "18.0 s  mail: its CPU grant has run out at 15 s and nothing else keeps it up, so it is frozen. "
            "Its counter stands still at 18,000."
        ),
        "21.0 s  mail is granted CPU again, for 60 s.",
        "21.0 s  mail has a CPU grant again, so it is thawed at once. It counts on from 18,000.",
        "25.0 s  game comes to the foreground, so it is thawed: there it needs no grant. It counts on from 7,000.",
        "29.0 s  clock is thawed: the suspension ends, and nobody stays frozen. It counts on from 10,000.",
    ]
    assert stage.freezer.frozen == set()
    assert stage.freezer.closed


def test_what_each_app_came_to() -> None:
    stage = Stage()
    summary = stage.show.summary(finished=stage.play())
    assert summary.tallies == [
        Tally("mail", frozen=1, frozen_ms=3_000, counted_frozen=0, counted=29_000),
        Tally("clock", frozen=2, frozen_ms=19_000, counted_frozen=0, counted=13_000),
        Tally("game", frozen=1, frozen_ms=18_000, counted_frozen=0, counted=14_000),
    ]
    assert (summary.elapsed_ms, summary.finished, summary.failures, summary.holds) == (32_000, True, 0, True)


def test_the_frames_say_who_holds_what_and_who_counts() -> None:
    stage = Stage()
    stage.play()
    assert [frame.elapsed_ms for frame in stage.view.frames] == [0, *range(500, 32_000, 1_000), 32_000]
    assert {frame.end_ms for frame in stage.view.frames} == {32_000}

    first = stage.rows(0)["mail"]
    assert (first.state, first.kept_by, first.grants, first.per_second) == (
        FOREGROUND,
        (Keeper.FOREGROUND,),
        {},
        None,
    )
    at = stage.rows(5_500)
    assert at["mail"].grants == {"CPU": 9_500}
    assert (at["mail"].state, at["mail"].kept_by, at["mail"].left_ms) == (BACKGROUND, (Keeper.CPU,), None)
    assert at["clock"].grants == {"TIMER": 57_500}
    assert (at["game"].state, at["game"].kept_by, at["game"].left_ms) == (BACKGROUND, (Keeper.GRACE,), 1_500)
    at = stage.rows(7_500)  # the speed is that since they were frozen
    assert (at["game"].state, at["game"].frozen_ms, at["game"].kept_by) == (SUSPENDED, 500, ())
    assert [row.per_second for row in at.values()] == [1_000, 0, 0]
    at = stage.rows(10_500)
    assert (at["clock"].state, at["clock"].kept_by, at["clock"].left_ms) == (BACKGROUND, (Keeper.EVENT,), 2_500)
    assert [row.per_second for row in at.values()] == [1_000, 1_000, 0]
    at = stage.rows(18_500)
    assert [(row.state, row.counted, row.per_second) for row in at.values()] == [
        (SUSPENDED, 18_000, 0),
        (SUSPENDED, 10_000, 0),
        (SUSPENDED, 7_000, 0),
    ]
    at = stage.rows(25_500)
    assert (at["game"].state, at["game"].frozen_ms, at["game"].per_second) == (FOREGROUND, None, 1_000)
    at = stage.rows(31_500)  # the suspension has ended
    assert [(row.state, row.per_second) for row in at.values()] == [
        (BACKGROUND, 1_000),
        (BACKGROUND, 1_000),
        (FOREGROUND, 1_000),
    ]
    assert at["clock"].kept_by == ()


def test_counting_while_frozen_is_found_out() -> None:
    # A freezer that says that all is frozen, though it is not.
    stage = Stage()
    stage.never_still = {CLOCK}
    summary = stage.show.summary(finished=stage.play())
    # From 7.5 s on to 9.5, and from 13.5 to 28.5: between the looks of a spell.
    assert [tally.counted_frozen for tally in summary.tallies] == [0, 17_000, 0]
    assert not summary.holds
    assert summary_lines(summary)[-1] == "An app was not frozen, or counted while it was: this shows nothing."


def test_what_is_read_while_an_app_comes_up_is_not_counted_as_frozen() -> None:
    stage, _ = told(Step(0, Act.BACKGROUND, "game"), wait_ms=3_000)
    stage.show.look()

    def thaw(uid: int) -> None:
        if uid == GAME and stage.freezer.frozen:
            stage.suspension.foreground(GAME)
            stage.counts[GAME] += 1

    stage.before_reading = thaw
    stage.show.look()
    row = stage.view.frames[-1].rows[2]
    assert (row.state, row.counted) == (FOREGROUND, 3_001)
    assert stage.show.summary(finished=False).tallies[2].counted_frozen == 0


def test_what_is_read_before_an_app_is_frozen_is_no_count_of_a_frozen_one() -> None:
    stage, _ = told(Step(0, Act.BACKGROUND, "game"), wait_ms=2_999)

    def freeze(uid: int) -> None:
        if uid == GAME and not stage.freezer.frozen:
            stage.go(1)

    stage.after_reading = freeze
    stage.show.look()
    assert stage.view.frames[-1].rows[2].counted == 2_999
    stage.go(500)
    for _ in range(2):
        stage.show.look()
        assert (stage.view.frames[-1].rows[2].state, stage.view.frames[-1].rows[2].counted) == (SUSPENDED, 3_000)
    assert stage.show.summary(finished=False).tallies[2].counted_frozen == 0


@pytest.mark.parametrize(
    ("until_ms", "frozen_ms"),
    [
        (1, [0, 0, 0]),
        (9_500, [0, 2_500, 2_500]),
        (20_500, [2_500, 10_500, 13_500]),
        (31_500, [3_000, 19_000, 18_000]),
    ],
)
def test_stopped_before_its_end_it_says_what_there_was(until_ms: int, frozen_ms: list[int]) -> None:
    stage = Stage()
    assert not stage.play(until_ms=until_ms)
    assert stage.view.frames[-1].elapsed_ms == stage.show.elapsed_ms
    summary = stage.show.summary(finished=False)
    assert not summary.holds
    assert [tally.frozen_ms for tally in summary.tallies] == frozen_ms


@pytest.mark.parametrize("interval_ms", [50, 999, 1_001, 7_777, 32_000])
def test_the_looks_change_nothing(interval_ms: int) -> None:
    stage, other = Stage(), Stage()
    stage.play()
    other.play(interval_ms)
    assert other.view.take() == stage.view.take()
    assert other.show.summary(finished=True) == stage.show.summary(finished=True)
    times = [frame.elapsed_ms for frame in other.view.frames]
    assert times[0] == 0
    assert times[-1] == 32_000
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= max(interval_ms, 500)


def test_a_freezer_that_fails_is_told_and_shows_nothing() -> None:
    stage = Stage()
    stage.freezer.answers = [OSError("not here")]
    summary = stage.show.summary(finished=stage.play())
    assert "7.0 s  clock could not be frozen: not here" in stage.view.take()
    assert summary.failures == 1
    assert not summary.holds
    assert summary_lines(summary)[-1] == "Freezing or thawing an app has failed once: this shows nothing."
    assert summary_lines(summary._replace(failures=2))[-1].startswith("Freezing or thawing an app has failed 2 times")


def test_an_app_that_was_not_frozen_shows_nothing() -> None:
    stage = Stage()
    stage.manager.apply(GAME, 1, ResourceType.CPU, 60_000)
    summary = stage.show.summary(finished=stage.play())
    assert [tally.frozen for tally in summary.tallies] == [1, 2, 0]
    assert not summary.holds


def test_a_thaw_that_fails_is_told() -> None:
    stage, _ = told(Step(0, Act.BACKGROUND, "game"), wait_ms=3_000)
    stage.freezer.answers = [OSError("not now")]
    stage.show.do(Step(0, Act.FOREGROUND, "game"))
    stage.go(100)
    stage.show.report()
    assert stage.view.take() == [
        "3.0 s  game could not be thawed: not now",
        "3.1 s  game comes to the foreground, so it is thawed: there it needs no grant. It counts on from 3,000.",
    ]


def test_somebody_who_continues_an_app_is_told() -> None:
    stage, _ = told(Step(0, Act.BACKGROUND, "game"), wait_ms=3_000)
    stage.freezer.answers = [False]
    stage.go(30_001)
    stage.show.report()
    assert stage.view.take() == [
        "33.0 s  game runs though it was frozen: somebody has continued it. It counts on from 3,000.",
        (
            "33.0 s  game has been in the background for 3 s and nothing keeps it up, so it is frozen. "
            "Its counter stands still at 3,000."
        ),
    ]


def test_an_event_for_an_app_that_runs_is_told() -> None:
    timer = ResourceType.TIMER
    _, lines = told(
        Step(0, Act.DELIVER, "clock", timer),
        Step(0, Act.GRANT, "clock", timer, 500),
        Step(0, Act.BACKGROUND, "clock"),
        Step(0, Act.DELIVER, "clock", timer),
        wait_ms=1_000,
    )
    assert lines == [
        "0.0 s  clock runs, so a timer reaches it at once.",
        "1.0 s  clock is granted TIMER for 0.5 s. That does not keep it running; it lets a timer reach it.",
        "1.5 s  clock: its TIMER grant has run out.",
        "2.0 s  clock goes to the background without a CPU grant: it is frozen in 3 s.",
        "3.0 s  clock runs, so a timer reaches it at once.",
    ]


def test_apps_that_come_and_go_unfrozen_are_told() -> None:
    _, lines = told(
        Step(0, Act.GRANT, "mail", ResourceType.CPU, 500),
        Step(0, Act.BACKGROUND, "mail"),
        Step(0, Act.FOREGROUND, "mail"),
        wait_ms=1_000,
    )
    assert lines == [
        "0.0 s  mail is granted CPU for 0.5 s: so long it may run in the background.",
        "0.5 s  mail: its CPU grant has run out.",
        "1.0 s  mail goes to the background without a CPU grant: it is frozen in 3 s.",
        "2.0 s  mail is in the foreground.",
    ]


def test_entries_have_what_programs_need() -> None:
    stage = Stage()
    stage.play()
    found = [(entry.app, entry.uid, entry.kind, entry.cause) for entry in stage.view.entries]
    assert found[0] == ("mail", MAIL, "app_apply", "apply")
    assert ("clock", CLOCK, "suspended", "event_over") in found
    assert ("game", GAME, "refused", "TIMER") in found
    assert ("mail", MAIL, "app_reset", "expired") in found
    assert found[-1] == ("clock", CLOCK, "background", "closed")
    assert stage.manager.clock.now() == START + 32_000


@pytest.mark.parametrize("seconds", [1.0, 8.0, 32.0, 3600.0])
def test_the_script_is_the_same_at_every_speed(seconds: float) -> None:
    played = script(seconds)
    assert played.end_ms == seconds * 1000
    times = [step.at_ms for step in played.steps]
    assert times == sorted(times)
    stage = Stage(played)
    stage.play(max(played.end_ms // 32, 1))
    kinds = [(entry.app, entry.kind, entry.cause) for entry in stage.view.entries]
    whole = Stage()
    whole.play()
    assert kinds == [(entry.app, entry.kind, entry.cause) for entry in whole.view.entries]
