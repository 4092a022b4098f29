"""Suspension on the thread of a manager, with real clocks: generous bounds, and nothing that is measured."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from grantwheel import Manager, MonotonicClock
from grantwheel.suspend import Suspension, SuspensionEvent
from support import CPU, GPS, check_error, refusal
from suspending import APP, BACKGROUND, OTHER, PID, SUSPENDED, RecordingFreezer, brief
from waiting import is_readable, loop_threads, own_threads, wait_for

OPEN_FILES = Path("/proc/self/fd")
LONG = 600_000


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    descriptors = len(list(OPEN_FILES.iterdir()))
    yield
    gc.collect()
    wait_for(lambda: own_threads() == [])
    if "quick" not in request.fixturenames:  # which is still there
        wait_for(lambda: len(list(OPEN_FILES.iterdir())) <= descriptors)


def test_it_goes_by_itself() -> None:
    manager, freezer = Manager(), RecordingFreezer()
    with Suspension(manager, freezer, grace_ms=20, thaw_ms=20) as suspension, manager.running():
        told: list[SuspensionEvent] = []
        suspension.subscribe(told.append)
        suspension.background(APP)
        wait_for(lambda: suspension.state(APP) is SUSPENDED)
        manager.apply(APP, PID, CPU, 50)  # noticed, and its end too
        wait_for(lambda: len(told) >= 4)
        manager.apply(APP, PID, GPS, LONG)
        assert suspension.deliver(APP, GPS)
        wait_for(lambda: len(told) >= 6)
    wait_for(lambda: len(told) == 7)
    assert [brief(event)[1:3] for event in told] == [
        ("background", "host"),
        ("suspended", "idle"),
        ("background", "cpu"),
        ("suspended", "idle"),
        ("background", "event"),
        ("suspended", "event_over"),
        ("background", "closed"),
    ]
    assert [event.sequence for event in told] == list(range(1, 8))
    assert freezer.frozen == set()
    manager.close()


def test_the_grace_is_not_cut_short() -> None:
    clock = MonotonicClock()
    manager = Manager(clock=clock)
    with Suspension(manager, RecordingFreezer(), grace_ms=40) as suspension:
        began = clock.now()
        suspension.background(APP)
        wait_for(lambda: suspension.state(APP) is SUSPENDED)
        assert suspension.why(APP).since_ms - began >= 40
    manager.close()


def test_the_end_of_the_manager_thaws_everybody() -> None:
    manager, freezer = Manager(), RecordingFreezer()
    suspension = Suspension(manager, freezer, grace_ms=0)
    told: list[SuspensionEvent] = []
    suspension.subscribe(told.append)
    suspension.background(APP)
    assert freezer.frozen == {APP}
    manager.close()
    wait_for(lambda: freezer.closed == 1 and len(told) == 3)
    assert freezer.frozen == set()
    assert told[-1].cause == "closed"
    wait_for(lambda: loop_threads() == [])


def test_many_at_once_leave_room_for_others() -> None:
    """The freezer lets each one wait for the next call of somebody else, so that nobody may do all in one go."""
    manager, freezer = Manager(), RecordingFreezer()
    calls_between = []
    done = threading.Event()
    with Suspension(manager, freezer, grace_ms=5) as suspension:
        freezer.before = lambda: done.wait(0.001)
        for uid in range(1000, 1400):
            suspension.background(uid)

        def ask() -> bool:
            calls_between.append(suspension.stats().suspended)
            return calls_between[-1] == 400

        wait_for(ask)
        done.set()
    assert len([count for count in calls_between if 0 < count < 400]) > 2
    manager.close()


def test_many_threads() -> None:
    manager, freezer = Manager(), RecordingFreezer()
    uids = range(1000, 1008)
    with Suspension(manager, freezer, grace_ms=1, thaw_ms=1, look_ms=2) as suspension, manager.running():
        told: list[SuspensionEvent] = []
        suspension.subscribe(told.append)

        def play(uid: int) -> None:
            for round_ in range(150):
                suspension.background(uid)
                manager.apply(uid, PID, CPU if round_ % 3 else GPS, 1)
                suspension.deliver(uid, GPS)
                suspension.playing(uid, round_ % 2 == 0)
                suspension.foreground(uid)
                assert suspension.state(uid) == "foreground"
                assert uid not in freezer.frozen

        threads = [threading.Thread(target=play, args=(uid,)) for uid in uids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for uid in uids:
            suspension.playing(uid, False)
            suspension.background(uid)
        wait_for(lambda: suspension.stats().suspended == len(uids))
    assert freezer.frozen == set()
    wait_for(lambda: len(told) == suspension.stats().last_sequence)
    assert [event.sequence for event in told] == list(range(1, len(told) + 1))
    # Each app has alternated between being frozen and being up.
    for uid in uids:
        states = [event.kind for event in told if event.uid == uid]
        assert all(one != other for one, other in itertools.pairwise(states))
    manager.close()


def test_a_signal_handler_may_call() -> None:
    manager, freezer = Manager(), RecordingFreezer()
    with Suspension(manager, freezer, grace_ms=0) as suspension:

        def handle(*_: object) -> None:
            suspension.foreground(APP)
            suspension.background(OTHER)

        def interrupt() -> None:
            freezer.before = lambda: None
            os.kill(os.getpid(), signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, handle)
        try:
            freezer.before = interrupt
            suspension.background(APP)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert suspension.apps() == {OTHER: SUSPENDED}
    manager.close()


def test_the_exit_of_the_interpreter_thaws_everybody() -> None:
    script = """
from grantwheel import Manager
from grantwheel.suspend import Suspension
class Freezer:
    def freeze(self, uid):
        print("freeze", uid, flush=True)
        return True
    def thaw(self, uid):
        print("thaw", uid, flush=True)
    def close(self):
        print("close", flush=True)
suspension = Suspension(Manager(), Freezer(), grace_ms=0)
suspension.background(700)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("freeze 700\nthaw 700\nclose\n", "")


def test_the_child_of_a_fork_thaws_nobody_and_is_refused() -> None:
    script = """
import os
from grantwheel import Manager, ServiceOperationError
from grantwheel.suspend import Suspension
class Freezer:
    def freeze(self, uid): return True
    def thaw(self, uid): print("thaw by the", "parent" if os.getpid() == parent else "child", flush=True)
    def close(self): pass
parent = os.getpid()
suspension = Suspension(Manager(), Freezer(), grace_ms=0)
suspension.background(700)
if (child := os.fork()) == 0:
    try:
        suspension.foreground(700)
    except ServiceOperationError:
        print("refused", flush=True)
    suspension.close()
else:
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\nthaw by the parent\n"


# Listening.


@pytest.fixture
def quick() -> Iterator[Suspension]:
    manager = Manager()
    with Suspension(manager, RecordingFreezer(), grace_ms=0, event_capacity=4) as suspension:
        yield suspension
    manager.close()


def test_a_reader_has_each_event_once_and_a_count_of_those_that_are_gone(quick: Suspension) -> None:
    with quick.subscribe("a reader") as reader:
        assert not is_readable(reader.fileno())
        quick.background(APP)
        assert is_readable(reader.fileno())
        assert [event.kind for event in reader.drain()] == ["background", "suspended"]
        assert not is_readable(reader.fileno())
        assert (reader.drain(), reader.missed) == ([], 0)
        for _ in range(3):
            quick.foreground(APP)
            quick.background(APP)
        assert [event.sequence for event in reader.drain()] == [8, 9, 10, 11]
        assert reader.missed == 5
        assert "missed 5" in repr(reader)
    quick.foreground(APP)
    assert reader.drain() == []
    assert is_readable(reader.fileno())


def test_a_reader_may_want_some_events_only(quick: Suspension) -> None:
    kinds = quick.subscribe("kinds", kinds=["suspended"])
    apps = quick.subscribe("apps", uids=[OTHER])
    quick.background(APP)
    quick.background(OTHER)
    assert [brief(event)[1:] for event in kinds.drain()] == [("suspended", "idle", APP), ("suspended", "idle", OTHER)]
    assert [brief(event)[1:] for event in apps.drain()] == [
        ("background", "host", OTHER),
        ("suspended", "idle", OTHER),
    ]
    with pytest.raises(ValueError, match="thawed"):
        quick.subscribe("wrong", kinds=["thawed"])


def test_a_callback_may_call_raise_and_end_itself(quick: Suspension, caplog: pytest.LogCaptureFixture) -> None:
    told: list[SuspensionEvent] = []

    def tell(event: SuspensionEvent) -> None:
        told.append(event)
        if event.kind == "background" and event.cause == "host":
            quick.foreground(APP)
            raise RuntimeError("not my day")
        if event.kind == "foreground":
            quick.unsubscribe(tell)

    quick.subscribe(tell)
    quick.background(APP)
    wait_for(lambda: any(event.kind == "foreground" for event in told))
    wait_for(lambda: own_threads() == loop_threads())
    quick.background(APP)
    assert "not my day" in caplog.text
    assert [event.kind for event in told] == ["background", "suspended", "foreground"]


def test_a_callback_is_told_of_what_it_missed(quick: Suspension) -> None:
    goes_on = threading.Event()
    gaps: list[int] = []
    told: list[SuspensionEvent] = []

    def tell(event: SuspensionEvent) -> None:
        told.append(event)
        assert goes_on.wait(60)

    quick.subscribe(tell, on_gap=gaps.append)
    quick.background(APP)
    wait_for(lambda: told)
    for _ in range(10):
        quick.foreground(APP)
        quick.background(APP)
    goes_on.set()
    wait_for(lambda: told[-1].sequence == quick.stats().last_sequence)
    assert sum(gaps) + len(told) == told[-1].sequence
    assert gaps


def test_who_is_cancelled_is_not_called_any_more(quick: Suspension) -> None:
    called, ends = threading.Event(), threading.Event()
    told = []

    def tell(event: SuspensionEvent) -> None:
        told.append(event)
        called.set()
        assert ends.wait(60)

    subscription = quick.subscribe(tell)
    quick.background(APP)
    assert called.wait(60)
    canceller = threading.Thread(target=subscription.cancel)
    canceller.start()
    quick.foreground(APP)
    assert canceller.is_alive()  # it waits for the call
    ends.set()
    canceller.join()
    assert len(told) == 1


def test_two_callbacks_may_end_each_other(quick: Suspension) -> None:
    both = threading.Barrier(2)

    def one(_: SuspensionEvent) -> None:
        both.wait(60)
        quick.unsubscribe(other)

    def other(_: SuspensionEvent) -> None:
        both.wait(60)
        quick.unsubscribe(one)

    for callback in (one, other):
        quick.subscribe(callback, kinds=["suspended"])  # so that each is called once
    quick.background(APP)
    wait_for(lambda: own_threads() == loop_threads())


def test_subscribers_are_refused_as_elsewhere(quick: Suspension) -> None:
    check_error(refusal(lambda: quick.subscribe(None)), 401, 401)
    quick.subscribe("one")
    check_error(refusal(lambda: quick.subscribe("one")), 9800005, 980000501)
    quick.unsubscribe("one")
    check_error(refusal(lambda: quick.unsubscribe("one")), 9800005, 980000502)
    with pytest.raises(TypeError, match="on_gap"):
        quick.subscribe("one", on_gap=print)

    async def late(_: object) -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        quick.subscribe(late)


def test_states_are_read_without_waiting_for_a_freezer(quick: Suspension) -> None:
    quick.background(APP)
    inside, goes_on = threading.Event(), threading.Event()
    freezer = quick._work._freezer
    assert isinstance(freezer, RecordingFreezer)

    def wait() -> None:
        inside.set()
        assert goes_on.wait(60)

    freezer.before = wait
    thread = threading.Thread(target=quick.foreground, args=(APP,))
    thread.start()
    assert inside.wait(60)
    assert quick.state(APP) is SUSPENDED
    goes_on.set()
    thread.join()
    assert quick.state(APP) != BACKGROUND
