"""The one thread of a manager: what shares it, what breaks it, and interrupts at every line of beginning and ending."""

import asyncio
import contextlib
import gc
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grantwheel import Manager, ManualClock, _core, aio, processes
from interrupting import at_each_instruction, interrupt
from intruding import Scene, at_every_line
from support import GPS, make_manager
from waiting import own_threads, wait_for

OPEN_FILES = Path("/proc/self/fd")


class Interrupt(BaseException):
    """What a signal handler may raise."""


def open_files() -> int:
    return len(list(OPEN_FILES.iterdir()))


def test_a_runner_a_hold_and_a_watch_share_a_thread() -> None:
    manager = Manager()
    for name in ("a", "b", "c"):
        manager.subscribe(lambda event, name=name: None)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with manager.running(), manager.hold(GPS):
        watch = processes.watch(manager, child.pid)
        assert len(own_threads()) == 4
        watch.cancel()
    child.communicate()
    wait_for(lambda: own_threads() == [])


def test_a_failure_of_the_thread_is_shown_and_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manager, clock = make_manager()

    def fail(place: Any) -> None:
        place.epoll.close()
        raise OSError("no more waiting")

    monkeypatch.setattr(manager._loop, "_turn", fail)
    runner = manager.running()
    with caplog.at_level(logging.CRITICAL, logger="grantwheel"):
        runner.start()
        wait_for(lambda: runner.failure is not None)
    assert "not driven any more" in caplog.text
    assert [manager.runner] == [runner]
    assert "no more waiting" in repr(runner)
    with pytest.raises(RuntimeError, match="not driven any more") as caught:
        runner.stop()
    assert isinstance(caught.value.__cause__, OSError)
    assert manager.runner is None
    monkeypatch.undo()
    with manager.running():
        manager.apply(1, 1, GPS, 5)
        clock.advance(5)
        wait_for(lambda: manager.last_sequence == 2)


def test_a_thread_that_cannot_be_started_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    manager.subscribe("reader")
    with manager.running():
        pass
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gc.collect()
    before = open_files()

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="new thread"):
            manager.running().start()
        with pytest.raises(RuntimeError, match="new thread"):
            processes.watch(manager, child.pid)
        gc.collect()
        assert open_files() == before
        assert manager.runner is None
    monkeypatch.undo()
    child.communicate()
    with manager.running():
        pass


def test_a_callback_that_gets_no_thread_is_not_subscribed(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    with manager.running():
        gc.collect()
        before = open_files()

        def fail(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            manager.subscribe(print)
        monkeypatch.undo()
        gc.collect()
        assert open_files() == before
        manager.subscribe(print).cancel()


def test_without_epoll_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after gevent's patch_all."""
    monkeypatch.delattr(select, "epoll")
    manager = Manager()
    with pytest.raises(RuntimeError, match=r"gevent.*Manager.fileno\(\)"):
        manager.running().start()
    with pytest.raises(RuntimeError, match="gevent"):
        processes.watch(manager, os.getpid())
    assert manager.runner is None


def test_an_interrupt_at_every_line_of_running() -> None:
    def make() -> Scene:
        manager = Manager(clock=ManualClock())
        heard: list[int] = []
        manager.subscribe(lambda event: heard.append(event.sequence))

        def play() -> None:
            with contextlib.suppress(Interrupt), manager.running():
                manager.apply(1, 1, GPS, 5)

        def interrupt() -> None:
            raise Interrupt

        def check() -> None:
            assert manager.runner is None
            wait_for(lambda: own_threads() == [])
            assert heard == list(range(1, manager.last_sequence + 1))
            with manager.running():
                manager.apply(2, 2, GPS, 5)
            assert heard[-1] == manager.last_sequence

        return Scene(play, interrupt, check)

    counts = []
    for _ in range(2):
        assert len(list(at_every_line(make))) > 50
        gc.collect()
        counts.append(open_files())
    assert counts[1] <= counts[0]


def test_an_interrupt_at_every_line_of_watching() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def make() -> Scene:
        manager = Manager(clock=ManualClock())

        def play() -> None:
            with contextlib.suppress(Interrupt):
                processes.watch(manager, child.pid).cancel()

        def interrupt() -> None:
            raise Interrupt

        def check() -> None:
            manager.close()
            wait_for(lambda: own_threads() == [])

        return Scene(play, interrupt, check)

    assert len(list(at_every_line(make))) > 50
    child.communicate()


@pytest.mark.long
def test_an_interrupt_at_any_instruction_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the manager is closed, that is: a watch that has begun goes on, whoever was told of it."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # Python ignores what comes in finalisers

    def watch(manager: Manager) -> None:
        processes.watch(manager, os.getpid()).cancel()

    def run(manager: Manager) -> None:
        with manager.subscribe(print), manager.running():
            pass

    def whole(work: Callable[[Manager], None]) -> None:
        manager = Manager()
        try:
            work(manager)
        finally:
            for _ in range(2):  # there is one interrupt
                with contextlib.suppress(KeyboardInterrupt):
                    manager.close()

    gc.freeze()  # what is there already need not be looked through each time
    for work in (watch, run):
        before = len(list(OPEN_FILES.iterdir()))
        for where in at_each_instruction(interrupt, lambda: whole(work)):  # noqa: B023
            wait_for(lambda: own_threads() == [])
            gc.collect()
            assert len(list(OPEN_FILES.iterdir())) == before, where
    gc.unfreeze()


def test_a_runner_may_be_asked_for_again_at_every_line() -> None:
    """A signal handler that finds the manager running, or not, wherever it comes in."""

    def make() -> Scene:
        manager = Manager(clock=ManualClock())

        def run() -> None:
            with contextlib.suppress(RuntimeError), manager.running():  # it may be running already
                manager.apply(1, 1, GPS, 5)

        def check() -> None:
            assert manager.runner is None
            wait_for(lambda: own_threads() == [])

        return Scene(run, run, check)

    assert len(list(at_every_line(make))) > 50


def test_a_loop_that_is_closed_inside_the_block_frees_the_manager() -> None:
    manager = Manager()

    async def main() -> None:
        async with aio.running(manager):
            asyncio.get_running_loop().stop()
            await asyncio.sleep(3600)

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match="stopped"):
        loop.run_until_complete(task)
    loop.close()
    with manager.running():
        assert [manager.runner] != [None]
    assert manager.runner is None
    setattr(task, "_log_destroy_pending", False)  # noqa: B010 - it is left as it is, on purpose


def test_a_with_block_on_a_loop_is_refused() -> None:
    manager = Manager()
    runner = aio.running(manager)
    with pytest.raises(TypeError, match="async with"), runner:
        pass
    assert manager.runner is None


@pytest.mark.parametrize("form", ["a runner", "a watch"])
def test_a_manager_that_is_dropped_is_not_kept(form: str) -> None:
    manager = Manager()
    kept: list[object] = []
    if form == "a runner":
        manager.running().start()
    else:
        kept.append(processes.watch(manager, os.getpid()))
    del manager
    gc.collect()
    wait_for(lambda: own_threads() == [])


def in_namespace(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def namespaces() -> Callable[[str], subprocess.CompletedProcess[str]]:
    if in_namespace("").returncode != 0:
        pytest.skip("a pid namespace takes a privilege that is not to be had here")
    return in_namespace


def test_proc_of_another_pid_namespace_is_seen_through(
    namespaces: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    """Pid 2 is the child there; in the outer /proc, which is still mounted, it is somebody else."""
    done = namespaces("""
import os, subprocess, time, grantwheel
from grantwheel import processes
child = subprocess.Popen(["sleep", "100"], user=1234 if os.getuid() == 0 else None)
manager = grantwheel.Manager()
watch = processes.watch(manager, child.pid)
manager.apply(watch.uid, child.pid, grantwheel.ResourceType.CPU, 100_000, process=True)
print(watch.uid == (1234 if os.getuid() == 0 else os.getuid()), child.pid < 100)
child.kill()
child.wait()
while watch.state == "watching":
    time.sleep(0.001)
print(manager.process_mask(child.pid))
""")
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("--", "ninja", "Running"))]
    assert lines == ["True True", "0"], done.stderr


def test_a_forbidden_system_call_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(pid: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(_core, "open_process", forbid)
    with pytest.raises(PermissionError, match=r"pidfd_open.*seccomp.*Manager\.process_died"):
        processes.watch(Manager(), os.getpid())


@pytest.mark.parametrize("pid", ["1", 1.0, None, True])
def test_a_pid_that_is_no_int_is_named(pid: object) -> None:
    with pytest.raises(TypeError, match="pid must be an int"):
        processes.watch(Manager(), pid)  # type: ignore[arg-type]


_BEGINS_THREADS = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"


def is_kept_from_starting(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something that starts a thread, and have Ctrl-C come when the interpreter has noted it, and not begun it."""

    def begin(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading, _BEGINS_THREADS, begin)
        with pytest.raises(KeyboardInterrupt):
            act()


@pytest.mark.parametrize("what", ["runner", "subscription"])
def test_a_thread_that_an_interrupt_has_kept_from_starting_keeps_no_descriptor(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = set(threading._limbo)  # type: ignore[attr-defined]
    before = open_files()
    manager = Manager()
    if what == "runner":
        is_kept_from_starting(monkeypatch, manager.running().__enter__)
    else:
        with manager.running():
            is_kept_from_starting(monkeypatch, partial(manager.subscribe, print))
    manager.close()
    del manager
    gc.collect()
    assert set(threading._limbo) - noted  # type: ignore[attr-defined]
    assert open_files() == before
    for one in set(threading._limbo) - noted:  # type: ignore[attr-defined]
        del threading._limbo[one]  # type: ignore[attr-defined]
