"""Running a manager in a thread.

Most tests use a clock that is set by hand: it wakes the runner, and the end of a block delivers all that has happened.
The few with a real clock are about it, and their bounds are generous.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grantwheel import BootClock, Cause, Event, EventKind, Manager, ManualClock, MonotonicClock, _core
from support import AUDIO, GPS, brief, check_error, make_manager, refusal
from waiting import PATIENCE, is_readable, own_threads, wait_for


def test_what_is_due_ends_by_itself() -> None:
    manager, clock = make_manager()
    with manager.running() as runner:
        running = manager.runner
        assert running is runner
        assert runner.manager is manager
        manager.apply(700, 71, GPS, 40)
        clock.set(39)
        clock.set(40)
        wait_for(lambda: manager.last_sequence == 2)
    assert manager.runner is None
    assert [(event.time, event.cause) for event in manager.drain()] == [(0, Cause.APPLY), (40, Cause.EXPIRED)]


def test_an_earlier_deadline_wakes_the_runner() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 1_000_000)
    with manager.running():
        manager.apply(800, 81, GPS, 500)
        manager.apply(900, 91, GPS, 10)
        clock.set(10)
        wait_for(lambda: manager.last_sequence == 4)
        assert manager.drain()[-1].uid == 900


def test_a_renewal_puts_the_end_off() -> None:
    manager, clock = make_manager()
    with manager.running():
        manager.apply(700, 71, GPS, 10)
        manager.apply(700, 71, GPS, 30)
        clock.set(10)
        manager.apply(800, 81, GPS, 1)
        clock.set(11)
        wait_for(lambda: manager.last_sequence == 3)
        clock.set(30)
        wait_for(lambda: manager.last_sequence == 4)
    assert [(event.uid, event.time) for event in manager.drain()[2:]] == [(800, 11), (700, 30)]


def test_more_is_due_than_one_slice_takes() -> None:
    manager, clock = make_manager()
    for uid in range(5000):
        manager.apply(uid, 1, GPS, 10 + uid % 3)
    with manager.running():
        clock.set(1000)
        wait_for(lambda: manager.last_sequence == 10_000)
    events = manager.drain()[5000:]
    times = [event.time for event in events]
    assert times == sorted(times)
    assert sorted((event.time, event.uid) for event in events) == sorted((10 + uid % 3, uid) for uid in range(5000))
    manager.validate()


@pytest.mark.parametrize("make", [BootClock, MonotonicClock])
def test_a_real_clock_ends_grants_on_time_and_never_early(make: Callable[[], Any]) -> None:
    """Needs a real clock, as it is about one."""
    clock = make()
    early: list[Event] = []
    ended = threading.Event()
    manager = Manager(clock=clock)

    def take(event: Event) -> None:
        if clock.now() < event.time:
            early.append(event)
        if event.uid == 29:
            ended.set()

    manager.subscribe(take, kinds=[EventKind.APP_RESET])
    with manager.running():
        for uid in range(30):
            manager.apply(uid, 1, GPS, 1 + 3 * uid)
        assert ended.wait(PATIENCE)
    assert early == []
    times = [event.time for event in manager.drain() if event.cause == Cause.EXPIRED]
    assert times == sorted(times)
    assert len(times) == 30


@pytest.mark.parametrize(
    ("make", "kernel_clock"), [(BootClock, time.CLOCK_BOOTTIME), (MonotonicClock, time.CLOCK_MONOTONIC)]
)
def test_the_alarm_is_on_the_clock_of_the_manager(make: Callable[[], Any], kernel_clock: int) -> None:
    """Time in suspend counts with one clock and not with the other; with neither does a step of the time of day."""
    manager = Manager(clock=make())
    info = Path(f"/proc/self/fdinfo/{_core.alarm_fileno(manager)}")
    assert f"clockid: {kernel_clock}\n" in info.read_text(encoding="ascii")
    assert kernel_clock != time.CLOCK_REALTIME


def test_one_runner_at_a_time() -> None:
    manager, _ = make_manager()
    with manager.running() as runner:
        with pytest.raises(RuntimeError, match="running already"):
            manager.running().start()
        with pytest.raises(RuntimeError, match="running already"), manager.running():
            pass
        with pytest.raises(RuntimeError, match="running already"):
            runner.start()
        assert manager.runner is runner
    with manager.running():
        pass


def test_a_run_ends_with_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    manager, clock = make_manager()
    seen: list[int] = []
    manager.subscribe(lambda event: seen.append(event.sequence))
    runner = manager.running()
    monkeypatch.setattr(runner, "_hold_on", lambda: None)  # as if the thread came too late
    with runner:
        manager.apply(700, 71, GPS, 5)
        clock.advance(5)
    assert seen == [1, 2]


def test_a_runner_that_is_stopped_while_it_starts_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    manager, _ = make_manager()
    before = set(threading.enumerate())
    runner = manager.running()
    hold_on = runner._hold_on

    def late() -> None:
        """What comes in between, as a signal handler may, is the stop."""
        monkeypatch.undo()
        runner.stop()
        hold_on()

    monkeypatch.setattr(runner, "_hold_on", late)
    runner.start()
    assert manager.runner is None
    wait_for(lambda: set(threading.enumerate()) <= before)


def test_a_runner_may_start_again() -> None:
    manager, clock = make_manager()
    runner = manager.running()
    runner.stop()
    for number in range(3):
        runner.start()
        manager.apply(700, 71, GPS, 10)
        clock.advance(10)
        runner.stop()
        runner.stop()
        assert manager.last_sequence == 2 * (number + 1)


def test_no_thread_is_left() -> None:
    before = len(own_threads())
    manager, _ = make_manager()
    manager.subscribe(list)
    with manager.running():
        assert len(own_threads()) == before + 2
    assert len(own_threads()) == before


def test_no_descriptor_is_left() -> None:
    def run() -> int:
        manager = Manager()
        manager.subscribe(list)
        manager.fileno()
        with manager.running():
            manager.apply(700, 71, GPS, 1)
        manager.close()
        del manager
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the shortest way to count

    import gc

    run()
    gc.collect()
    first = run()
    gc.collect()
    for _ in range(20):
        run()
        gc.collect()
    assert run() == first


def test_a_clock_in_python_cannot_be_slept_on() -> None:
    class Scripted:
        def now(self) -> int:
            return 0

    manager = Manager(clock=Scripted())
    for call in (manager.running().start, manager.fileno):
        with pytest.raises(ValueError, match="Scripted"):
            call()
    assert manager.runner is None
    reader = manager.subscribe("reader")
    assert not is_readable(reader.fileno())
    manager.apply(700, 71, GPS, 40)
    assert is_readable(reader.fileno())


def test_a_closed_manager_cannot_run() -> None:
    manager, _ = make_manager()
    manager.close()
    check_error(refusal(manager.running().start), 9800004, 980000402)
    check_error(refusal(manager.fileno), 9800004, 980000402)


def test_closing_ends_the_threads() -> None:
    before = len(own_threads())
    manager, _ = make_manager()
    manager.subscribe(list)
    runner = manager.running()
    runner.start()
    manager.close()
    wait_for(lambda: len(own_threads()) <= before)
    runner.stop()


def test_idle_threads_do_not_wake() -> None:
    """Needs real threads: counts how often the kernel has put them to sleep."""

    def switches() -> dict[str, int]:
        found = {}
        for task in os.listdir("/proc/self/task"):  # noqa: PTH208
            try:
                with open(f"/proc/self/task/{task}/status", encoding="ascii") as file:  # noqa: PTH123
                    found[task] = int(file.read().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
            except FileNotFoundError:
                pass  # it has ended meanwhile
        return found

    before = switches().keys()
    manager = Manager()
    manager.subscribe(list)
    manager.apply(700, 71, GPS, 3_600_000)
    with manager.running():
        time.sleep(0.2)
        start = {task: count for task, count in switches().items() if task not in before}
        time.sleep(0.3)
        assert len(start) == 2
        assert {task: count for task, count in switches().items() if task in start} == start


def test_a_descriptor_for_other_loops() -> None:
    manager, clock = make_manager()
    descriptor = manager.fileno()
    assert manager.fileno() == descriptor
    assert not is_readable(descriptor)
    manager.apply(700, 71, GPS, 40)
    assert is_readable(descriptor)
    assert len(manager.drain()) == 1
    assert not is_readable(descriptor)
    clock.set(39)
    assert not is_readable(descriptor)
    clock.set(40)
    assert is_readable(descriptor)
    assert manager.advance() == 1
    assert is_readable(descriptor)
    manager.drain()
    assert not is_readable(descriptor)
    manager.close()
    assert is_readable(descriptor)


def test_a_descriptor_made_late_knows_what_waits() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 40)
    assert is_readable(manager.fileno())
    manager.drain()
    assert not is_readable(manager.fileno())
    clock.set(100)
    other, clock = make_manager()
    other.apply(700, 71, GPS, 40)
    other.drain()
    clock.set(100)
    assert is_readable(other.fileno())
    other.advance(0)
    assert is_readable(other.fileno())
    other.advance()
    assert len(other.drain(limit=1)) == 1
    assert not is_readable(other.fileno())


def test_the_descriptor_of_the_clock_goes_back_with_it() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 40)
    manager.drain()
    clock.set(40)
    assert is_readable(manager.fileno())
    clock.set(10)
    assert not is_readable(manager.fileno())


def test_several_managers_share_a_clock() -> None:
    clock = ManualClock()
    managers = [Manager(clock=clock) for _ in range(3)]
    for number, manager in enumerate(managers):
        manager.apply(700, 71, GPS, 10 + number)
        manager.drain()
        assert not is_readable(manager.fileno())
    clock.set(11)
    assert [is_readable(manager.fileno()) for manager in managers] == [True, True, False]
    del managers[0], manager
    clock.set(12)
    assert [is_readable(manager.fileno()) for manager in managers] == [True, True]


def test_a_real_descriptor_is_readable_at_the_deadline() -> None:
    """Needs a real clock."""
    manager = Manager()
    manager.apply(700, 71, GPS, 3_600_000)
    manager.apply(700, 71, AUDIO, 30)
    manager.drain()
    for _ in range(100):  # it may wake for nothing
        assert is_readable(manager.fileno(), PATIENCE * 1000)
        if manager.advance():
            break
    (event,) = manager.drain()
    assert event.mask == AUDIO
    assert event.time <= BootClock().now()


def test_a_clock_that_is_set_back_is_logged_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 40)
    clock.set(100)
    assert manager.app_mask(700) == 0
    clock.set(50)
    with manager.running():
        wait_for(lambda: caplog.records)
        assert "the alarm of a manager failed" in caplog.text
        clock.set(100)
        wait_for(lambda: manager.last_sequence == 2)
    assert brief(manager.drain())[-1] == (EventKind.APP_RESET, 700, 71, GPS)
