"""Clocks: what a manager makes of them, and what it refuses."""

import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import pytest

from grantwheel import BootClock, Caller, Cause, Manager, ManualClock, MonotonicClock
from support import AUDIO, CPU, GPS, MAIL, make_manager, request, unchanged
from waiting import wait_for

LATEST = 2**62


class Scripted:
    """A clock that shows what it is told to."""

    def __init__(self, shows: Any = 0) -> None:
        self.shows = shows

    def now(self) -> Any:
        if isinstance(self.shows, Exception):
            raise self.shows
        return self.shows


def test_a_manual_clock_stands_still_until_it_is_told() -> None:
    clock = ManualClock(start_ms=5)
    assert (clock.now(), clock.now()) == (5, 5)
    clock.advance(10)
    assert clock.now() == 15
    clock.set(100)
    assert clock.now() == 100
    clock.set(3)
    assert clock.now() == 3
    assert ManualClock().now() == 0


def test_a_manual_clock_goes_on_by_a_timedelta() -> None:
    clock = ManualClock(5)
    clock.advance(timedelta(seconds=2))
    assert clock.now() == 2_005
    length: Any
    for length, error in (
        (timedelta(milliseconds=-1), ValueError),
        (timedelta(microseconds=1), ValueError),
        (1.5, TypeError),
        (True, TypeError),
        ("1", TypeError),
    ):
        with pytest.raises(error, match=r"^ms must "):
            clock.advance(length)
    assert clock.now() == 2_005


def test_clocks_show_themselves() -> None:
    assert repr(ManualClock(5)) == "ManualClock(5)"
    assert (repr(BootClock()), repr(MonotonicClock())) == ("BootClock()", "MonotonicClock()")
    assert repr(type("Mine", (ManualClock,), {})(7)) == "Mine(7)"


@pytest.mark.parametrize("value", [-1, LATEST + 1, 2**63, 2**64, -(2**70)])
def test_a_manual_clock_stays_within_its_range(value: int) -> None:
    clock = ManualClock(start_ms=7)
    with pytest.raises(ValueError, match="2\\^62"):
        clock.set(value)
    with pytest.raises(ValueError, match="2\\^62"):
        clock.advance(value)
    with pytest.raises(ValueError, match="2\\^62"):
        ManualClock(start_ms=value)
    assert clock.now() == 7


def test_a_manual_clock_does_not_go_beyond_its_range() -> None:
    clock = ManualClock(start_ms=LATEST - 5)
    with pytest.raises(ValueError, match="2\\^62"):
        clock.advance(6)
    clock.advance(5)
    assert clock.now() == LATEST


@pytest.mark.parametrize("value", [1.5, "7", None])
def test_a_manual_clock_takes_ints(value: Any) -> None:
    clock = ManualClock(start_ms=7)
    with pytest.raises(TypeError):
        clock.set(value)
    with pytest.raises(TypeError):
        clock.advance(value)
    assert clock.now() == 7


def test_the_boot_clock_counts_time_in_suspend() -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    now = BootClock().now()
    assert before <= now <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def test_the_monotonic_clock_leaves_suspend_out() -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000
    now = MonotonicClock().now()
    assert before <= now <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def test_the_boot_clock_is_the_default() -> None:
    before = BootClock().now()
    manager = Manager()
    manager.apply(700, 71, GPS, 60_000)
    record = manager.find_app(700)
    assert record is not None
    assert record.grants[0].deadline_ms is not None
    assert before + 60_000 <= record.grants[0].deadline_ms <= BootClock().now() + 60_000


@pytest.mark.parametrize("make", [BootClock, MonotonicClock])
def test_real_clocks_end_grants(make: Any) -> None:
    """Needs a real clock, as it is about one. A grant of 1 ms is over within 10 s on any machine."""
    manager = Manager(clock=make())
    manager.apply(700, 71, GPS, 1)
    give_up = time.monotonic() + 10
    while manager.app_mask(700) != 0 and time.monotonic() < give_up:
        pass
    assert manager.app_mask(700) == 0
    manager.advance()
    applied, ended = manager.drain()
    assert ended.time == applied.time + 1
    assert ended.cause == Cause.EXPIRED


def test_any_object_with_now_is_a_clock() -> None:
    clock = Scripted(1000)
    manager = Manager(clock=clock)
    manager.apply(700, 71, GPS, 40)
    assert manager.next_deadline() == 1040
    clock.shows = 1040
    assert manager.app_mask(700) == 0
    assert manager.advance() == 1


def test_an_object_without_now_is_no_clock() -> None:
    clock: Any
    for clock in (7, object(), time):
        with pytest.raises(TypeError, match="clock"):
            Manager(clock=clock)


CALLS = {
    "apply": lambda m: m.apply(700, 71, AUDIO, 40),
    "release": lambda m: m.release(700, 71, GPS),
    "reset_all": lambda m: m.reset_all(700, 71),
    "apply_request": lambda m: m.apply_request(request(AUDIO), caller=MAIL),
    "reset_all_request": lambda m: m.reset_all_request(caller=MAIL),
    "get_all": lambda m: m.get_all(caller=MAIL),
    "infos": lambda m: m.infos(caller=Caller(native=True)),
    "app_mask": lambda m: m.app_mask(700),
    "process_mask": lambda m: m.process_mask(71),
    "find_app": lambda m: m.find_app(700),
    "find_process": lambda m: m.find_process(71),
    "records": lambda m: m.records(),
    "holders": lambda m: m.holders(GPS),
    "count": lambda m: m.count(GPS),
    "stats": lambda m: m.stats(),
    "process_died": lambda m: m.process_died(700, 71),
    "app_stopped": lambda m: m.app_stopped(700),
    "package_removed": lambda m: m.package_removed(700),
    "admin_list": lambda m: m.admin_list(),
    "admin_reset_all": lambda m: m.admin_reset_all(),
    "admin_reset_app": lambda m: m.admin_reset_app(700, GPS),
    "admin_reset_process": lambda m: m.admin_reset_process(71, CPU),
    "advance": lambda m: m.advance(),
    "next_deadline": lambda m: m.next_deadline(),
}


def on_scripted_clock() -> tuple[Manager, Scripted]:
    clock = Scripted(1000)
    manager = Manager(clock=clock)
    manager.apply(700, 71, GPS, 40)
    manager.apply(700, 71, CPU, 90, process=True)
    return manager, clock


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("shows", [999, 0, -1, LATEST + 1, 2**63, 2**200, -(2**200)])
def test_a_clock_that_is_wrong_is_a_value_error_and_changes_nothing(name: str, shows: int) -> None:
    manager, clock = on_scripted_clock()
    with unchanged(manager):
        clock.shows = shows
        with pytest.raises(ValueError):  # noqa: PT011 - each says what is wrong in its own words
            CALLS[name](manager)
        clock.shows = 1000
    assert [event.sequence for event in manager.drain()] == [1, 2]


@pytest.mark.parametrize("name", CALLS)
def test_a_clock_that_fails_ends_the_call(name: str) -> None:
    manager, clock = on_scripted_clock()
    shows: Any
    for shows, error in ((1000.0, TypeError), ("1000", TypeError), (None, TypeError), (OSError("gone"), OSError)):
        with unchanged(manager):
            clock.shows = shows
            with pytest.raises(error):
                CALLS[name](manager)
            clock.shows = 1000


def test_a_manual_clock_set_back_is_refused_until_it_has_caught_up() -> None:
    manager, clock = make_manager()
    clock.set(100)
    manager.apply(700, 71, GPS, 40)
    clock.set(99)
    with pytest.raises(ValueError, match="before"):
        manager.apply(700, 71, GPS, 900)
    with pytest.raises(ValueError, match="before"):
        manager.app_mask(700)
    clock.set(100)
    assert manager.app_mask(700) == GPS
    assert manager.next_deadline() == 140


def test_a_clock_that_stands_still_is_fine() -> None:
    manager, _ = make_manager()
    for _ in range(3):
        manager.apply(700, 71, GPS, 40)
        assert manager.advance() == 0
        assert manager.next_deadline() == 40


def test_the_end_of_time() -> None:
    manager, clock = make_manager()
    clock.set(LATEST)
    assert manager.apply(700, 71, GPS, 2**32 - 1) == GPS
    assert manager.apply(700, 71, AUDIO, 1) == AUDIO
    record = manager.find_app(700)
    assert record is not None
    assert [(grant.deadline_ms, grant.remaining_ms) for grant in record.grants] == [
        (LATEST + 2**32 - 1, 2**32 - 1),
        (LATEST + 1, 1),
    ]
    assert manager.next_deadline() == LATEST + 1
    assert manager.advance() == 0
    manager.validate()


def test_great_leaps() -> None:
    manager, clock = make_manager()
    for exponent in range(10, 62, 4):
        clock.set(2**exponent)
        manager.apply(exponent, 1, GPS, 2**31)
        manager.apply(exponent, 1, AUDIO, 1)
        manager.validate()
    clock.set(LATEST)
    manager.advance()
    assert manager.records() == []
    times = [event.time for event in manager.drain() if event.cause == Cause.EXPIRED]
    assert times == sorted(times)
    assert len(times) == 2 * 13
    manager.validate()


def test_what_was_missed_in_a_leap_ends_at_its_deadline() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 40)
    manager.apply(800, 81, AUDIO, 20)
    clock.set(1_000_000)
    assert manager.advance() == 2
    ended = manager.drain()[2:]
    assert [(event.uid, event.time, event.cause) for event in ended] == [(800, 20, "expired"), (700, 40, "expired")]


@pytest.mark.parametrize("budget", [1, 2, 7, 63, 64, 65, 1000, None])
def test_advance_by_slices_ends_everything_in_order(budget: int | None) -> None:
    manager, clock = make_manager()
    for uid in range(200):
        manager.apply(uid, 500 - uid, GPS | CPU, 1 + uid * 37 % 100, process=True)
        manager.apply(uid, 500 - uid, GPS, 1 + uid * 37 % 100 + uid % 3)
    manager.drain()
    clock.set(102)
    ended: list[tuple[int, int]] = []
    for _ in range(10_000):
        count = manager.advance(budget)
        manager.validate()
        events = manager.drain()
        assert sum(event.mask.bit_count() for event in events) == count
        order = [(e.time, e.kind != "process_reset", e.pid if e.kind == "process_reset" else e.uid) for e in events]
        assert order == sorted(order)
        ended += [(event.time, event.uid) for event in events]
        if manager.wake_at is None:
            break
    assert [time for time, _ in ended] == sorted(time for time, _ in ended)
    deadlines = [1 + uid * 37 % 100 for uid in range(200)]
    renewed = [deadline + uid % 3 for uid, deadline in enumerate(deadlines)]
    assert sorted(ended) == sorted([*zip(deadlines, range(200), strict=True), *zip(renewed, range(200), strict=True)])


def test_wake_at_is_never_late() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 100_000)
    manager.apply(800, 81, GPS, 70)
    manager.apply(800, 81, GPS, 50_000)
    manager.apply(900, 91, GPS, 0, persist=True)
    for naps, wake in enumerate(iter(lambda: manager.wake_at, None)):
        exact = manager.next_deadline()
        assert exact is not None
        assert wake <= exact
        clock.set(max(clock.now(), wake))
        manager.advance()
        assert naps < 100
    assert clock.now() == 100_000
    assert [record.uid for record in manager.records()] == [900]


@pytest.mark.parametrize("budget", [-1, -(2**70)])
def test_a_budget_is_not_negative(budget: int) -> None:
    manager, _ = make_manager()
    with pytest.raises(ValueError, match="budget"):
        manager.advance(budget)


def test_a_budget_of_0_ends_nothing() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 10)
    clock.set(10)
    assert manager.advance(0) == 0
    assert manager.app_mask(700) == 0
    assert manager.advance(1) == 1


def test_a_budget_is_that_of_all_slices_together() -> None:
    manager, clock = make_manager()
    for uid in range(5000):
        manager.apply(uid, 1, GPS, 10)
    clock.set(10)
    ended = []
    while manager.wake_at is not None:
        ended.append(manager.advance(2000))
    assert sum(ended) == 5000
    assert max(ended) <= 2000


def test_a_clock_that_others_have_overtaken_is_asked_until_it_has_caught_up() -> None:
    class Overtaken:
        """Shows the next of these instants; while it is asked for the first, another call comes with a later one."""

        def __init__(self) -> None:
            self.shows = [5, 10, 7, 9, 12]
            self.asked = 0

        def now(self) -> int:
            self.asked += 1
            instant = self.shows.pop(0)
            if instant == 5:
                manager.apply(800, 81, GPS, 40)  # at 10
            return instant

    clock = Overtaken()
    manager = Manager(clock=clock)
    assert manager.apply(700, 71, GPS, 40) == GPS
    assert clock.asked == 5
    assert [event.time for event in manager.read(0)[0]] == [10, 12]


def test_a_clock_that_stands_still_behind_others_has_run_backwards() -> None:
    class Stuck:
        def __init__(self) -> None:
            self.shows = [5, 10, 7, 7, 12]

        def now(self) -> int:
            instant = self.shows.pop(0)
            if instant == 5:
                manager.apply(800, 81, GPS, 40)
            return instant

    clock = Stuck()
    manager = Manager(clock=clock)
    with pytest.raises(ValueError, match="before"):
        manager.apply(700, 71, GPS, 40)
    assert clock.shows == [12]


FORKED = """
import os, select, sys
from grantwheel import Manager, ManualClock
from grantwheel._core import alarm_fileno

clock = ManualClock()
before = Manager(clock=clock)
before.apply(1, 1, 32, 10)
theirs = alarm_fileno(before)
gone = Manager(clock=clock)
gone.apply(1, 1, 32, 5)
alarm_fileno(gone)

def is_readable(descriptor):
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

pid = os.fork()
if pid == 0:
    own = Manager(clock=clock)
    own.apply(1, 1, 32, 20)
    descriptor = alarm_fileno(own)
    seen = [is_readable(descriptor)]
    clock.set(19)
    seen.append(is_readable(descriptor))
    clock.set(20)
    seen.append(is_readable(descriptor))
    seen.append(is_readable(theirs))  # the parent's, whom it does not wake
    del before, gone, own
    os._exit(0 if seen == [False, False, True, False] else 1)
_, status = os.waitpid(pid, 0)
assert status == 0
assert not is_readable(theirs)
clock.set(10)
assert is_readable(theirs)
"""


def test_a_clock_made_before_a_fork_wakes_managers_of_the_child() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_boot_clock_with_an_offset_goes_on_from_an_earlier_boot() -> None:
    plain = BootClock()
    for offset in (10**9, -5):
        clock = BootClock(offset)
        before = plain.now()
        assert before + offset <= clock.now() <= plain.now() + offset
        assert clock.offset_ms == offset
        assert repr(clock) == f"BootClock(offset_ms={offset})"
    assert plain.offset_ms == 0
    assert BootClock(offset_ms=-(2**62)).now() == 0


@pytest.mark.parametrize("offset", [2**62 + 1, -(2**62) - 1, 2**64])
def test_an_offset_out_of_range_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match=r"offset_ms must be within -2\^62\.\.2\^62"):
        BootClock(offset)
    with pytest.raises(TypeError, match="offset_ms must be an int"):
        BootClock(offset_ms=True)


@pytest.mark.parametrize("offset", [10**9, -1000])
def test_a_manager_is_woken_by_a_clock_with_an_offset(offset: int) -> None:
    with Manager(clock=BootClock(offset)) as manager, manager.running():
        manager.apply(1, 1, 32, 20)
        wait_for(lambda: len(manager.read(0)[0]) == 2)
        event = manager.read(0)[0][1]
        assert event.cause == "expired"
        assert manager.clock.now() - event.time < 30_000
