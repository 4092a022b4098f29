"""The interpreter goes down while daemon threads are in the middle of calls: quietly, and at once.

Each script is a process of its own, whose main thread comes to its end when a thread is where the test wants it. What
counts is the end of the interpreter, which comes after a few more switches between threads: so each is run a few times.
"""

import subprocess
import sys
import textwrap

import pytest

from waiting import PATIENCE

START = """
import array, os, sys, threading, time
import grantwheel
from grantwheel import Caller, Manager, ManualClock, Policy

CPU, GPS = 1, 32
NUMBERS = array.array("I", range(20_000))
ROWS = [NUMBERS, NUMBERS, array.array("I", [GPS]) * len(NUMBERS), NUMBERS]
inside = threading.Event()

def start(work):
    threading.Thread(target=work, daemon=True).start()

def again(call):
    # Many threads, each in the call nearly all the time: at the end some of them want the GIL.
    def work():
        while True:
            call()
            inside.set()
    for _ in range(4):
        start(work)

def filled(**arguments):
    clock = ManualClock()
    manager = Manager(clock=clock, **arguments)
    manager.apply_many(*ROWS)
    return manager, clock

def stay(*_):
    inside.set()
    while True:
        time.sleep(0.001)
"""

CALLS = {
    "records": "manager.records()",
    "records of a page": "manager.records(limit=100)",
    "holders": "manager.holders(GPS)",
    "count": "manager.count(GPS)",
    "stats": "manager.stats()",
    "next_deadline": "manager.next_deadline()",
    "advance": "(clock.advance(1), manager.advance())",
    "apply_many": "manager.apply_many(*ROWS)",
    "release_many": "manager.release_many(*ROWS[:3])",
    "app_masks": "manager.app_masks(NUMBERS)",
    "infos": "manager.infos(caller=Caller(native=True))",
    "admin_reset_all": "manager.admin_reset_all()",
    "validate": "manager.validate()",
    "apply, waiting for the lock": "(manager.apply(1, 1, GPS, 5), manager.apply_many(*ROWS))",
    "close": "filled()[0].close()",
}

# Where a thread is in Python's code that a call of the manager runs.
PYTHON = {
    "check": """
        class Quota:
            check = settle = staticmethod(stay)
        manager = Manager(policy=Policy(quota=Quota()))
        start(lambda: manager.apply(1, 1, CPU, 5))
        """,
    "check of a batch": """
        class Quota:
            check = settle = staticmethod(stay)
        manager = Manager(policy=Policy(quota=Quota()))
        one = array.array("I", [1])
        start(lambda: manager.apply_many(one, one, one, one))
        """,
    "settle": """
        class Quota:
            settle = staticmethod(stay)
            def check(self, *_):
                return True
        manager = Manager(policy=Policy(quota=Quota()))
        manager.apply(1, 1, CPU, 5)
        start(lambda: manager.release(1, 1, CPU))
        """,
    "now": """
        class Clock:
            now = staticmethod(stay)
        manager = Manager(clock=Clock())
        start(lambda: manager.app_mask(1))
        """,
    "__index__": """
        class Number:
            __index__ = staticmethod(stay)
        manager = Manager()
        start(lambda: manager.app_mask(Number()))
        """,
    "a mapping": """
        from collections.abc import Mapping
        class Request(Mapping):
            __getitem__ = __iter__ = __len__ = stay
        manager = Manager()
        start(lambda: manager.apply_request(Request()))
        """,
}


def run(script: str, times: int) -> None:
    """Run a script that ends by coming to its last line: with 0 and without a word."""
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-c", START + textwrap.dedent(script) + "\nassert inside.wait(60)\n"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", CALLS)
def test_the_end_comes_in_the_middle_of_a_call(name: str) -> None:
    run(f"manager, clock = filled()\nagain(lambda: {CALLS[name]})", times=3)


@pytest.mark.parametrize("name", PYTHON)
def test_the_end_comes_in_the_middle_of_python_that_a_call_runs(name: str) -> None:
    run(PYTHON[name], times=2)
