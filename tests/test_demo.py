"""The demonstration, on procfs directories of its own and a clock that stands still."""

import subprocess
import sys
from pathlib import Path

import pytest

from demo_stage import INTERVAL, SOUND, TIMERFD, TTL, FakeProc, Stage
from grantwheel import Policy, ResourceType
from grantwheel.demo import default_interval, drive
from grantwheel.demo.sampler import Sample
from grantwheel.demo.view import Counts


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    return FakeProc(tmp_path, monkeypatch)


def counts(stage: Stage) -> Counts:
    found = stage.watch.frame().counts
    assert found.held == found.grants - found.expiries - found.deaths
    return found


def test_a_busy_process_is_granted_renewed_and_runs_out(proc: FakeProc) -> None:
    proc.put(42, uid=1000, command="encode")
    stage = Stage(proc)
    proc.put(42, uid=1000, ticks=9, command="encode")
    assert stage.look(INTERVAL) == ["1.00 s granted CPU uid 1000 pid 42 encode"]
    record = stage.manager.find_process(42)
    assert record is not None
    assert (record.uid, record.mask, record.grants[0].reason) == (1000, ResourceType.CPU, "encode")
    assert record.grants[0].remaining_ms == TTL

    proc.put(42, uid=1000, ticks=10, command="encode")
    assert stage.look(INTERVAL) == []

    stage.clock.advance(TTL - 1)
    assert stage.watch.report() is not None
    assert stage.view.take() == []
    stage.clock.advance(1)
    assert stage.watch.report() is None
    assert stage.view.take() == ["4.25 s expired CPU uid 1000 pid 42 encode"]
    assert counts(stage) == Counts(grants=1, renewals=1, expiries=1, deaths=0, refusals=0, held=0)


def test_open_files_give_types_to_the_app_while_they_are_open(proc: FakeProc) -> None:
    proc.put(42, command="player")
    proc.put(43, command="clock")
    proc.put(44, uid=2000, command="other")
    proc.hold(42, SOUND)
    proc.hold(43, TIMERFD)
    proc.hold(44, TIMERFD)
    stage = Stage(proc)
    assert stage.look() == [
        "0.00 s granted AUDIO uid 1000 app player",
        "0.00 s granted TIMER uid 1000 app clock",
        "0.00 s granted TIMER uid 2000 app other",
    ]
    assert stage.manager.app_mask(1000) == ResourceType.AUDIO | ResourceType.TIMER
    assert stage.manager.process_mask(42) == 0

    proc.hold(42)
    assert stage.look(INTERVAL) == []
    assert stage.report(TTL - INTERVAL) == ["2.25 s expired AUDIO uid 1000 app player"]
    proc.hold(43)
    proc.hold(44)
    stage.look(0)
    # Two that end at one instant are told each by itself; the same record would tell both in one event.
    assert stage.report(TTL) == [
        "3.25 s expired TIMER uid 1000 app clock",
        "3.25 s expired TIMER uid 2000 app other",
    ]
    assert counts(stage) == Counts(grants=3, renewals=2, expiries=3, deaths=0, refusals=0, held=0)


def test_grants_of_an_app_that_end_together_are_one_event_and_two_expiries(proc: FakeProc) -> None:
    proc.put(42, command="player")
    proc.put(43, command="clock")
    proc.hold(42, SOUND)
    proc.hold(43, TIMERFD)
    stage = Stage(proc)
    stage.look()
    assert stage.report(TTL) == ["2.25 s expired TIMER, AUDIO uid 1000 app clock, player"]
    assert counts(stage) == Counts(grants=2, renewals=0, expiries=2, deaths=0, refusals=0, held=0)


def test_many_processes_of_an_app_are_one_grant(proc: FakeProc) -> None:
    for pid in (42, 43, 44):
        proc.put(pid, command=f"clock{pid}")
        proc.hold(pid, TIMERFD)
    stage = Stage(proc)
    assert stage.look() == ["0.00 s granted TIMER uid 1000 app clock42"]
    proc.remove(42)
    assert stage.look() == []
    record = stage.manager.find_app(1000)
    assert record is not None
    assert record.grants[0].reason == "clock43"
    assert counts(stage).renewals == 1


def test_a_grant_that_was_due_is_granted_anew(proc: FakeProc) -> None:
    proc.put(42)
    stage = Stage(proc)
    for ticks in (1, 2):
        proc.put(42, ticks=ticks)
        lines = stage.look(TTL)
    assert lines == ["4.50 s expired CPU uid 1000 pid 42 work", "4.50 s granted CPU uid 1000 pid 42 work"]
    assert counts(stage) == Counts(grants=2, renewals=0, expiries=1, deaths=0, refusals=0, held=1)
    # Its reason is still known.
    assert stage.report(TTL) == ["6.75 s expired CPU uid 1000 pid 42 work"]


def test_a_process_that_ends_loses_its_grant(proc: FakeProc) -> None:
    proc.put(1)
    proc.put(42)
    proc.put(43)
    stage = Stage(proc)
    proc.put(42, ticks=1)
    stage.look()
    proc.remove(42)
    proc.remove(43)
    assert stage.look() == ["0.00 s died CPU uid 1000 pid 42 work"]
    assert counts(stage) == Counts(grants=1, renewals=0, expiries=0, deaths=1, refusals=0, held=0)


def test_a_reused_pid_is_another_process(proc: FakeProc) -> None:
    proc.put(42, uid=1000, command="old")
    stage = Stage(proc)
    proc.put(42, uid=1000, ticks=1, command="old")
    stage.look()
    proc.put(42, uid=2000, start=77, ticks=1, command="new")
    assert stage.look() == ["0.00 s died CPU uid 1000 pid 42 old", "0.00 s granted CPU uid 2000 pid 42 new"]
    assert counts(stage) == Counts(grants=2, renewals=0, expiries=0, deaths=1, refusals=0, held=1)


def test_a_process_that_changes_its_uid_takes_its_grant_along(proc: FakeProc) -> None:
    proc.put(42, uid=0, command="login")
    stage = Stage(proc)
    for uid, ticks in ((0, 1), (1000, 2)):
        proc.put(42, uid=uid, ticks=ticks, command="login")
        lines = stage.look()
    assert lines == ["0.00 s reused CPU uid 0 pid 42 login", "0.00 s granted CPU uid 1000 pid 42 login"]
    assert counts(stage) == Counts(grants=2, renewals=0, expiries=0, deaths=1, refusals=0, held=1)
    proc.remove(42)
    assert stage.look() == ["0.00 s died CPU uid 1000 pid 42 login"]


def test_an_app_stops_with_its_last_process_and_keeps_its_timer(proc: FakeProc) -> None:
    proc.put(1, uid=0)
    proc.put(42, command="player")
    proc.put(43, command="helper")
    proc.hold(42, SOUND, TIMERFD)
    stage = Stage(proc)
    stage.look()
    stage.view.take()
    proc.remove(42)
    assert stage.look() == []  # another process of the app lives, though it has never held anything
    assert stage.manager.app_mask(1000) == ResourceType.AUDIO | ResourceType.TIMER
    proc.remove(43)
    assert stage.look() == ["0.00 s stopped AUDIO uid 1000 app player"]
    assert stage.manager.app_mask(1000) == ResourceType.TIMER
    assert stage.report(TTL) == ["2.25 s expired TIMER uid 1000 app player"]
    assert counts(stage) == Counts(grants=2, renewals=0, expiries=1, deaths=1, refusals=0, held=0)


def test_an_app_whose_only_process_has_gone_over_to_another_uid_stops(proc: FakeProc) -> None:
    proc.put(42, uid=1000)
    proc.hold(42, SOUND)
    stage = Stage(proc)
    assert stage.look() == ["0.00 s granted AUDIO uid 1000 app work"]
    proc.hold(42)
    proc.put(42, uid=2000, ticks=1)
    assert stage.look() == ["0.00 s granted CPU uid 2000 pid 42 work"]
    assert stage.look() == ["0.00 s stopped AUDIO uid 1000 app work"]


def test_a_process_that_goes_before_its_uid_is_read_gets_nothing(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.put(42)
    stage = Stage(proc)
    proc.put(42, ticks=1)
    proc.hold(42, TIMERFD)
    proc.closed = {"42/status"}
    assert stage.look() == []
    assert counts(stage) == Counts(0, 0, 0, 0, 0, 0)


def test_refusals_are_counted_and_told(proc: FakeProc) -> None:
    proc.put(42)
    stage = Stage(proc, Policy(default_allowed=()))
    proc.put(42, ticks=1)
    assert stage.look() == []
    (note,) = stage.view.notes
    assert note.startswith("refused uid 1000 pid 42: [201] Permission denied.")
    assert counts(stage) == Counts(grants=0, renewals=0, expiries=0, deaths=0, refusals=1, held=0)


def test_the_summary_has_everything(proc: FakeProc) -> None:
    proc.put(42)
    proc.put(43)
    proc.closed = {"42/fd"}
    stage = Stage(proc)
    for ticks in (1, 2):
        proc.put(42, ticks=ticks)
        stage.look()
    stage.clock.advance(1500)
    calls = stage.watch.engine.calls
    summary = stage.watch.summary(finished=True, children=3)
    assert summary.counts == Counts(grants=1, renewals=1, expiries=0, deaths=0, refusals=0, held=1)
    assert summary.calls == calls + 1  # a drain
    assert (summary.elapsed_ms, summary.finished, summary.children) == (1500, True, 3)
    assert (summary.processes, summary.looks) == (2, 3)
    assert (summary.processes_refused, summary.files_refused) == (0, 1)
    assert summary.engine_ns > 0
    assert summary.procfs_ns > 0
    assert summary.calls_per_second == summary.calls * 1e9 / summary.engine_ns


def test_an_expiry_that_the_end_meets_is_in_the_summary(proc: FakeProc) -> None:
    proc.put(42)
    stage = Stage(proc)
    proc.put(42, ticks=1)
    stage.look()
    stage.clock.advance(TTL)
    assert stage.watch.summary(finished=True, children=0).counts == Counts(1, 0, 1, 0, 0, 0)
    assert stage.view.take()[-1] == "2.25 s expired CPU uid 1000 pid 42 work"


def test_nothing_is_kept_of_what_has_ended(proc: FakeProc) -> None:
    stage = Stage(proc)
    for pid in range(100, 200):
        proc.put(pid, uid=pid, ticks=1)
        proc.hold(pid, TIMERFD)
        stage.look()
        proc.remove(pid)
        stage.look(TTL)
    stage.look(TTL)
    watch = stage.watch
    assert (watch._uid_of, watch._pids_of, watch._emptied, watch._reasons) == ({}, {}, set(), {})
    assert stage.sampler._shown == {}


class Driven:
    """A stage that is driven to its end; ``wait`` lets the time pass."""

    def __init__(self, proc: FakeProc, frame_ms: int | None = None) -> None:
        self.stage = Stage(proc, frame_ms=frame_ms)
        self.start = self.stage.clock.now()
        self.waits: list[float] = []
        self.looks: list[int] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.stage.clock.advance(round(seconds * 1000))
        return False

    def drive(self, milliseconds: int) -> bool:
        return drive(
            self.stage.watch,
            self.stage.clock,
            self.stage.view,
            start_ms=self.start,
            end_ms=self.start + milliseconds,
            interval_ms=INTERVAL,
            wait=self.wait,
            after_look=self.after_look,
        )

    def after_look(self, sample: Sample) -> None:
        self.looks.append(self.stage.clock.now() - self.start)


def test_drive_looks_at_every_interval_and_wakes_for_expiries(proc: FakeProc) -> None:
    proc.put(42)
    driven = Driven(proc)
    proc.put(42, ticks=1)
    assert driven.drive(5000)
    assert driven.stage.clock.now() == driven.start + 5000
    assert driven.looks == [1000, 2000, 3000, 4000, 5000]
    # Reported at the deadline itself, not at the look after it.
    assert driven.stage.view.take() == [
        "1.00 s granted CPU uid 1000 pid 42 work",
        "3.25 s expired CPU uid 1000 pid 42 work",
    ]
    assert driven.stage.view.frames == []
    wakes = [sum(round(seconds * 1000) for seconds in driven.waits[:count]) for count in range(len(driven.waits) + 1)]
    assert 3250 in wakes
    assert len(wakes) < 10


def test_drive_shows_frames_as_often_as_wanted(proc: FakeProc) -> None:
    proc.put(42)
    driven = Driven(proc, frame_ms=400)
    proc.put(42, ticks=1)
    assert driven.drive(1800)
    frames = driven.stage.view.frames
    assert [frame.elapsed_ms for frame in frames] == [0, 400, 800, 1200, 1600]
    assert [frame.counts.held for frame in frames] == [0, 0, 0, 1, 1]
    assert frames[-1].records[0].grants[0].remaining_ms == TTL - 600
    assert (frames[-1].processes, frames[-1].busy) == (1, 1)


def test_drive_skips_looks_that_it_has_missed(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    driven = Driven(proc)

    def wait(seconds: float) -> bool:
        driven.stage.clock.advance(round(seconds * 1000) if driven.looks else 3500)
        return False

    monkeypatch.setattr(driven, "wait", wait)
    assert driven.drive(5000)
    assert driven.looks == [3500, 4000, 5000]


def test_drive_stops_when_it_is_told_to(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    driven = Driven(proc)
    monkeypatch.setattr(driven, "wait", lambda seconds: True)
    assert not driven.drive(5000)
    assert driven.looks == []


@pytest.mark.parametrize(
    ("seconds", "look", "interval"),
    [(10.0, 0.001, 1.0), (1e6, 0.0, 1.0), (2.0, 0.001, 0.5), (10.0, 0.3, 3.0), (10.0, 2.0, 5.0)],
)
def test_the_interval_suits_the_run_and_the_machine(seconds: float, look: float, interval: float) -> None:
    assert default_interval(seconds, look) == pytest.approx(interval)


def test_needs_no_more_than_the_package() -> None:
    command = [sys.executable, "-c", "import grantwheel.command, sys; print('rich' in sys.modules)"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
