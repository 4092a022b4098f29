"""Holds at the exit of an interpreter and in the child of a fork: nothing hangs, and what is the parent's stays so."""

import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable

import pytest

from grantwheel import BusinessError, Manager, Policy
from grantwheel.hold import Hold
from journals import ScriptedLog, appends, doing
from support import CPU, GPS
from waiting import loop_threads

UID, PID = 1000, 42
SECONDS = 60  # for what takes milliseconds


def hold(manager: Manager, mask: int = GPS) -> Hold:
    return manager.hold(mask, uid=UID, pid=PID, timeout_ms=600_000)


# A log that says what is on record, event by event.
PRINTING = """
import grantwheel

class Printing:
    def __init__(self, words):
        self.follower = grantwheel.Follower()
        self.words = words

    def last(self):
        return self.follower.position

    def append(self, after, group):
        before = self.follower.last_sequence
        self.follower.feed(group)
        for event in self.follower.read(before)[0]:
            print(self.words(event), flush=True)
"""


def test_the_exit_of_the_interpreter_ends_holds() -> None:
    script = (
        PRINTING
        + """
import threading, grantwheel
manager = grantwheel.Manager(log=Printing(lambda event: f"{event.cause.value} {int(event.mask)}"))

def hold():
    with manager.hold(32, timeout_ms=90):
        inside.set()
        threading.Event().wait()

inside = threading.Event()
threading.Thread(target=hold, daemon=True).start()
inside.wait()
kept = manager.hold(64)
kept.__enter__()
"""
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sorted(lines[-2:]) == ["release 32", "release 64"]
    assert {"apply 32", "apply 64"} == set(lines[:-2])


EXITING = (
    PRINTING
    + """
import sys, threading, grantwheel

grantwheel._process._EXIT_S = 0.5
inside = threading.Event()

class Hook:
    def check(self, uid, bundle, mask, is_apply):
        if uid == 2000 and is_apply == (sys.argv[1] == "begin"):
            inside.set()
            threading.Event().wait()
        return True

    def settle(self, uid):
        pass

manager = grantwheel.Manager(
    policy=grantwheel.Policy(quota=Hook()), log=Printing(lambda event: f"{event.cause.value} {event.uid}")
)
kept = manager.hold(64, uid=1000).__enter__()
stuck = manager.hold(1, uid=2000)
if sys.argv[1] == "begin":
    threading.Thread(target=stuck.__enter__, daemon=True).start()
    inside.wait()
else:
    stuck.__enter__()
"""
)


@pytest.mark.parametrize("when", ["begin", "end"])
def test_a_hook_that_does_not_return_does_not_keep_the_interpreter_from_its_exit(when: str) -> None:
    # One in a daemon thread that begins a hold; one that the exit itself asks about the end of a hold.
    done = subprocess.run(
        [sys.executable, "-c", EXITING, when], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    if when == "begin":
        assert (lines, done.stderr) == (["apply 1000", "release 1000"], "")
    else:
        assert lines == ["apply 1000", "apply 2000", "release 1000"]
        assert "1 left> has not ended within" in done.stderr


def in_child(work: Callable[[], object]) -> int:
    """Do something in the child of a fork, and return what it exits with: 0 when all went well there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, from Python 3.12 on
        pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        code = 1
        try:
            signal.alarm(SECONDS)  # hanging is a failure
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def is_refused(manager: Manager, held: Hold) -> None:
    """Check that in the child all of a parent's hold is refused, but for leaving it and what Python itself does."""
    for ask in (
        lambda: held.lost,
        lambda: held.types,
        lambda: held.failure,
        held.__enter__,
        manager.renew_holds,
        lambda: hold(manager),
    ):
        with pytest.raises(BusinessError) as refused:
            ask()
        assert (refused.value.code, refused.value.detail) == (9800004, 980000402)
    assert "held" in repr(held)
    held.__exit__()
    assert loop_threads() == []


def test_in_the_child_of_a_fork_holds_are_refused_and_left_alone() -> None:
    manager = Manager()
    with hold(manager) as held:
        assert in_child(lambda: is_refused(manager, held)) == 0
        assert not held.lost
        assert manager.app_mask(UID) == GPS
    assert manager.app_mask(UID) == 0


@pytest.mark.parametrize("also", [0, 1])
def test_a_child_that_is_made_while_the_hook_or_the_log_runs_does_not_hang(also: int) -> None:
    # A lock that was held at the fork is never let go of in the child.
    inside, go_on = threading.Event(), threading.Event()

    def wait(*_: object) -> bool:
        if threading.current_thread().name == "waiting" or len(log.groups) == 1:
            inside.set()
            assert go_on.wait(SECONDS)
        return True

    class Waiting:
        check = staticmethod(wait)

        def settle(self, uid: int, /) -> None:
            pass

    log = ScriptedLog(otherwise=appends if also == 0 else doing(wait))
    manager = Manager(policy=Policy(quota=Waiting())) if also == 0 else Manager(log=log)
    with hold(manager) as held:
        thread = threading.Thread(target=lambda: hold(manager, CPU).__enter__().__exit__(), name="waiting")
        thread.start()
        assert inside.wait(SECONDS)

        def child() -> None:
            is_refused(manager, held)
            gc.collect()

        assert in_child(child) == 0
        go_on.set()
        thread.join()
    assert manager.records() == []
