"""Crashes of whoever freezes: at every step that it makes, and as a whole. Nobody stays frozen after the next start."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from crashing import run_failing, run_until
from freezing import APP, BUSY, SLEEPY, Apps, freeze, runs, state
from grantwheel.linux.freezers_signal import SignalFreezer
from grantwheel.linux.freezers_thaw import thaw_left
from waiting import wait_for

_Result = TypeVar("_Result")


@pytest.fixture
def apps() -> Iterator[Apps]:
    made = Apps()
    yield made
    made.end()


def test_a_crash_at_every_step(apps: Apps, tmp_path: Path) -> None:
    pids = [apps.start(SLEEPY) for _ in range(3)]
    stopped = apps.start(SLEEPY)
    os.kill(stopped, signal.SIGSTOP)
    wait_for(lambda: state(stopped) == "T")
    notes = tmp_path / "notes"
    late = pids[1:]

    def act() -> None:
        mine = [pids[0], stopped]
        with SignalFreezer(notes, processes=lambda _: mine) as freezer:
            freeze(freezer)
            mine.extend(late)
            freeze(freezer)
            freezer.thaw(APP)
            freeze(freezer)

    step, frozen = 1, 0
    while not run_until(step, act):
        frozen += any(state(pid) == "T" for pid in pids)
        left = thaw_left(notes)
        assert (left.failures, left.damage, left.in_use) == ((), (), 0), step
        wait_for(lambda: all(state(pid) != "T" for pid in pids))
        assert state(stopped) == "T", step
        assert not notes.exists() or list(notes.iterdir()) == [], step
        step += 1
    assert step > 25  # so many steps there were
    assert frozen > 10  # at so many somebody was frozen


@pytest.fixture
def theirs(apps: Apps) -> int:
    """Whom somebody else has stopped."""
    pid = apps.start(SLEEPY)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state(pid) == "T")
    return pid


def test_a_crash_at_every_step_of_the_next_start(apps: Apps, theirs: int, tmp_path: Path) -> None:
    """And of the one behind it: what the first has not done, the second does."""
    pids = [apps.start(SLEEPY) for _ in range(2)]
    notes = tmp_path / "notes"

    def leave() -> None:
        freezer = SignalFreezer(notes, processes=lambda uid: [pids[uid], theirs])
        for uid in range(2):
            freeze(freezer, uid)

    step, stopped, is_done = 1, 0, False
    while not is_done:
        assert run_until(1000, leave)
        assert [state(pid) for pid in pids] == ["T", "T"]
        is_done = run_until(step, lambda: SignalFreezer(notes).close())
        stopped += any(state(pid) == "T" for pid in pids)
        left = thaw_left(notes)
        assert (left.failures, left.damage, left.in_use) == ((), (), 0), step
        wait_for(lambda: all(state(pid) != "T" for pid in pids))
        assert state(theirs) == "T", step
        assert list(notes.iterdir()) == [], step
        step += 1
    assert step > 10
    assert stopped > 2


def test_a_failure_at_every_step_and_a_crash_then(apps: Apps, theirs: int, tmp_path: Path) -> None:
    """Whatever the disk or the kernel refuses once, the notes are whole when somebody is frozen the next time."""
    pids = [apps.start(SLEEPY) for _ in range(2)]
    notes = tmp_path / "notes"

    def act() -> None:
        freezer = try_again(lambda: SignalFreezer(notes, processes=lambda uid: [pids[uid], theirs]))
        for uid in range(2):
            try_again(partial(freeze, freezer, uid))
        try_again(partial(freezer.thaw, 0))
        try_again(partial(freeze, freezer, 0))

    step, has_failed = 0, True
    while has_failed:
        step += 1
        has_failed = run_failing(step, act)
        assert [state(pid) for pid in pids] == ["T", "T"], step
        left = thaw_left(notes)
        assert (left.uids, left.failures, left.damage) == ((0, 1), (), ()), step
        wait_for(lambda: all(state(pid) != "T" for pid in pids))
        assert state(theirs) == "T", step
        assert list(notes.iterdir()) == [], step
    assert step > 15


def try_again(call: Callable[[], _Result]) -> _Result:
    try:
        return call()
    except OSError:
        return call()


MANAGER = """
import os, sys, time
from grantwheel import Manager
from grantwheel.linux.freezers_signal import SignalFreezer
from grantwheel.suspend import Suspension
notes, *pids = sys.argv[1:]
freezer = SignalFreezer(notes, processes=lambda uid: [int(pids[uid])])
print("began", *freezer.recovered.uids, flush=True)
with Suspension(Manager(), freezer, grace_ms=10) as suspension:
    for uid in range(len(pids)):
        suspension.background(uid)
    while suspension.stats().suspended < len(pids):
        time.sleep(0.01)
    print("suspended", flush=True)
    sys.stdin.read()
print("ended", flush=True)
"""


def start_manager(notes: Path, pids: list[int]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", MANAGER, str(notes), *map(str, pids)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(manager: "subprocess.Popen[str]") -> str:
    assert manager.stdout is not None
    return manager.stdout.readline().strip()


def test_the_next_start_after_kill_9_thaws_everybody(apps: Apps, tmp_path: Path) -> None:
    pids = [apps.start(BUSY) for _ in range(3)]
    with start_manager(tmp_path / "notes", pids) as manager:
        assert (said(manager), said(manager)) == ("began", "suspended")
        assert [state(pid) for pid in pids] == ["T"] * 3
        manager.kill()
        manager.wait()
    assert [state(pid) for pid in pids] == ["T"] * 3
    with start_manager(tmp_path / "notes", []) as manager:
        assert (said(manager), said(manager)) == ("began 0 1 2", "suspended")
        for pid in pids:
            assert runs(pid)


def test_the_end_of_its_process_thaws_everybody(apps: Apps, tmp_path: Path) -> None:
    pids = [apps.start(BUSY) for _ in range(2)]
    with start_manager(tmp_path / "notes", pids) as manager:
        assert (said(manager), said(manager)) == ("began", "suspended")
        manager.communicate()
    for pid in pids:
        assert runs(pid)
    assert list((tmp_path / "notes").iterdir()) == []


def test_ctrl_c_thaws_everybody(apps: Apps, tmp_path: Path) -> None:
    pid = apps.start(BUSY)
    manager = subprocess.Popen(
        [sys.executable, "-c", MANAGER, str(tmp_path / "notes"), str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with manager:
        assert (said(manager), said(manager)) == ("began", "suspended")
        manager.send_signal(signal.SIGINT)
        manager.communicate()
    assert runs(pid)
