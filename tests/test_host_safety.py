"""What a host may do to itself while a manager runs: fork, exit, be interrupted, let go, copy.

Each script is a process of its own. They need real threads and a real clock; nothing in them depends on how fast.
"""

import copy
import gc
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from grantwheel import Cause, Event, Manager, aio
from support import GPS, make_manager
from waiting import PATIENCE, wait_for

START = """
import gc, os, signal, sys, threading, time
import grantwheel
from grantwheel import Manager, backgroundTaskManager

GPS = grantwheel.ResourceType.GPS

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def wait_for(condition):
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.001)

def in_child(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException as error:
            say("child failed:", repr(error))
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    say("child", os.waitstatus_to_exitcode(status))

def refused(call):
    try:
        call()
    except grantwheel.BusinessError as error:
        return type(error).__name__
    return "not refused"

def show(event):
    say(event.cause)

manager = Manager()
"""


def run(script: str, code: int = 0) -> tuple[list[str], str]:
    """Run a script that ends with a code; return the lines of its output, and its errors."""
    # Newer versions of Python warn of a fork with threads, which is what some of the scripts are about.
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "ignore:This process:DeprecationWarning",
            "-c",
            START + textwrap.dedent(script),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout.splitlines(), done.stderr


def test_the_child_of_a_fork_is_refused_and_disturbs_nobody() -> None:
    lines, errors = run("""
        subscription = manager.subscribe(show)
        reader = manager.subscribe("reader")
        descriptors = manager.fileno(), reader.fileno()
        runner = manager.running()

        def child():
            for call in (
                lambda: manager.apply(1, 1, GPS, 10), lambda: manager.release(1, 1, GPS), lambda: manager.app_mask(1),
                manager.get_all, manager.records, manager.advance, manager.drain, manager.fileno,
                lambda: manager.subscribe("another"), lambda: manager.unsubscribe("reader"), subscription.cancel,
                reader.drain, reader.fileno, lambda: reader.pending, manager.running().start, manager.validate,
            ):
                say(refused(call))
            say(refused(runner.stop))
            say(refused(manager.close))
            with reader:
                pass

        with runner:
            manager.apply(1, 1, GPS, 500)
            in_child(child)
            manager.release(1, 1, GPS)
        """)
    refusals = [line for line in lines if line.endswith("Error")]
    assert len(refusals) == 18
    assert set(refusals) == {"ServiceOperationError", "QueryServiceError"}
    assert [line for line in lines if line not in refusals] in (
        ["apply", "child 0", "release"],
        ["child 0", "apply", "release"],
    )
    assert errors == ""


def test_a_child_that_lets_go_does_not_disturb_its_parent() -> None:
    lines, errors = run("""
        manager.subscribe(show)
        manager.fileno()

        def child():
            global manager, runner
            del manager, runner
            gc.collect()
            other = Manager()
            events = []
            other.subscribe(events.append)
            with other.running():
                other.apply(1, 1, GPS, 1)
                wait_for(lambda: len(events) == 2)

        runner = manager.running()
        runner.start()
        in_child(child)
        manager.apply(1, 1, GPS, 1)
        wait_for(lambda: manager.last_sequence == 2)
        runner.stop()
        """)
    assert lines == ["child 0", "apply", "expired"]
    assert errors == ""


def test_a_child_may_leave_the_block_of_its_parent() -> None:
    lines, errors = run("""
        manager.subscribe(show)
        with manager.running():
            if os.fork() == 0:
                sys.exit(0)
            os.wait()
            manager.apply(1, 1, GPS, 1)
            wait_for(lambda: manager.last_sequence == 2)
        """)
    assert lines == ["apply", "expired"]
    assert errors == ""


def test_a_fork_while_another_thread_is_at_work() -> None:
    lines, errors = run("""
        from array import array
        uids = array("I", range(20_000))
        masks, timeouts = array("i", [32] * 20_000), array("I", [5] * 20_000)
        is_over = False

        def work():
            while not is_over:
                manager.apply_many(uids, uids, masks, timeouts)

        thread = threading.Thread(target=work)
        with manager.running():
            thread.start()
            for _ in range(20):
                in_child(lambda: say(refused(lambda: manager.app_mask(1)), refused(manager.drain)))
            is_over = True
            thread.join()
        manager.validate()
        """)
    assert lines == ["ServiceOperationError ServiceOperationError", "child 0"] * 20
    assert errors == ""


def test_the_default_manager_of_a_child_is_its_own() -> None:
    lines, errors = run("""
        request = dict(resourceTypes=32, isApply=True, timeOut=0, reason="", isPersist=True)
        backgroundTaskManager.applyEfficiencyResources(request)

        def child():
            say(len(backgroundTaskManager.getAllEfficiencyResources()))
            backgroundTaskManager.applyEfficiencyResources(request)
            say(len(backgroundTaskManager.getAllEfficiencyResources()))

        in_child(child)
        backgroundTaskManager.set_default_manager(manager)
        in_child(lambda: say(refused(lambda: backgroundTaskManager.applyEfficiencyResources(request))))
        """)
    assert lines == ["0", "1", "child 0", "ServiceOperationError", "child 0"]
    assert errors == ""


@pytest.mark.parametrize(
    ("end", "code", "errors"),
    [("", 0, ""), ("sys.exit(3)", 3, ""), ("raise KeyError('on purpose')", 1, "on purpose")],
)
@pytest.mark.parametrize("block", [True, False])
def test_an_exit_delivers_and_is_quiet(block: bool, end: str, code: int, errors: str) -> None:
    begin = "with runner:" if block else "runner.start()\nif True:"
    script = "manager.subscribe(show)\nrunner = manager.running()\n" + begin
    lines, said = run(f"{script}\n    manager.apply(1, 1, GPS, 3_600_000)\n    {end or 'pass'}\n", code)
    assert lines == ["apply"]
    assert errors in said
    assert said.count("Traceback") == (1 if errors else 0)


def test_a_runner_goes_on_for_the_threads_that_outlive_the_main_thread() -> None:
    lines, errors = run("""
        manager.subscribe(show)
        manager.running().start()

        def work():
            threading.main_thread().join()
            manager.apply(1, 1, GPS, 1)
            wait_for(lambda: manager.last_sequence == 2)

        threading.Thread(target=work).start()
        """)
    assert lines == ["apply", "expired"]
    assert errors == ""


def test_an_exit_does_not_wait_for_ever() -> None:
    lines, errors = run("""
        import grantwheel._process
        grantwheel._process._EXIT_S = 0.1

        def stuck(event):
            show(event)
            threading.Event().wait()

        manager.subscribe(stuck)
        manager.running().start()
        manager.apply(1, 1, GPS, 1)
        """)
    assert lines == ["apply"]
    assert re.fullmatch(r"<ThreadRunner .*> has not ended within 0\.1 s; the interpreter exits all the same\n", errors)


def test_an_exit_from_a_loop() -> None:
    lines, errors = run(
        """
        import asyncio
        from grantwheel import aio

        async def main():
            manager.subscribe(show)
            async with aio.running(manager):
                async for event in aio.events(manager):
                    sys.exit(4)

        async def start():
            task = asyncio.create_task(main())
            await asyncio.sleep(0)
            manager.apply(1, 1, GPS, 3_600_000)
            await task

        asyncio.run(start())
        """,
        4,
    )
    assert lines == ["apply"]
    assert errors == ""


def test_ctrl_c_reaches_the_main_thread() -> None:
    lines, errors = run("""
        manager.subscribe(show)
        try:
            with manager.running():
                manager.apply(1, 1, GPS, 3_600_000)
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
                time.sleep(30)
        except KeyboardInterrupt:
            say("interrupted")
        """)
    assert lines == ["apply", "interrupted"]
    assert errors == ""


def test_signals_disturb_nothing() -> None:
    manager = Manager()
    events: list[Event] = []
    manager.subscribe(events.append)
    caught: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: caught.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        with manager.running():
            for uid in range(300):
                manager.apply(uid, 1, GPS, 1 + uid % 100)
            wait_for(lambda: manager.wake_at is None and len(caught) > 10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [event.sequence for event in events] == list(range(1, 601))


def test_a_manager_that_is_let_go_takes_its_threads_along() -> None:
    before = set(threading.enumerate())
    manager: Manager | None = Manager()
    assert manager is not None
    manager.subscribe(lambda _: None)
    manager.apply(700, 71, GPS, 3_600_000)
    manager.running().start()
    assert len(set(threading.enumerate()) - before) == 2
    gone = weakref.ref(manager)
    del manager
    wait_for(lambda: gc.collect() is not None and gone() is None)
    wait_for(lambda: set(threading.enumerate()) <= before)


def test_many_threads_on_one_manager() -> None:
    manager = Manager()
    events: list[Event] = []
    manager.subscribe(events.append)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(200):
                manager.apply(number, 1, GPS, 1 + turn % 5)
                manager.apply(100 + number, number, 1, 5, process=True)
                with manager.subscribe(lambda _: None):
                    manager.release(number, 1, GPS)
                manager.drain()
                manager.records()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    with manager.running():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        time.sleep(0.01)
    assert failures == []
    manager.validate()
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert len([event for event in events if event.cause == Cause.APPLY]) >= 1600


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda how: how.__name__)
@pytest.mark.parametrize(
    "make",
    [
        lambda manager: manager,
        lambda manager: manager.subscribe("reader"),
        lambda manager: manager.subscribe(print),
        lambda manager: manager.running(),
        lambda manager: manager.clock,
        aio.running,
        aio.events,
        lambda manager: aio.events(manager, batch=True),
    ],
)
def test_nothing_alive_is_copied(make: Callable[[Manager], Any], how: Callable[[Any], Any]) -> None:
    manager, _ = make_manager()
    with pytest.raises(TypeError, match="cannot pickle"):
        how(make(manager))


def test_the_lock_is_free_while_python_runs() -> None:
    """Hooks and callbacks see other threads at work on the manager."""
    done: list[int] = []

    def use() -> None:
        thread = threading.Thread(target=lambda: done.append(manager.app_mask(700)))
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive()

    class Hook:
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            use()
            return True

        def settle(self, uid: int, /) -> None:
            use()

    from grantwheel import Policy

    manager, clock = make_manager(policy=Policy(quota=Hook()))
    manager.subscribe(lambda _: use())
    with manager.running():
        manager.apply(700, 71, 1, 10)
        clock.set(10)
        wait_for(lambda: manager.last_sequence == 2)
    assert len(done) == 4


def test_a_subinterpreter_is_refused() -> None:
    lines, _ = run("""
        import textwrap
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        code = f'''
        import os, sys
        sys.path[:] = {sys.path!r}
        try:
            import grantwheel
        except ImportError as error:
            os.write(1, (str(error) + chr(10)).encode())
        '''
        interpreter = interpreters.create()
        problem = interpreters.run_string(interpreter, textwrap.dedent(code))
        assert problem is None, problem
        interpreters.destroy(interpreter)
        manager.apply(1, 1, GPS, 10)
        say(len(manager.drain()))
        """)
    assert len(lines) == 2
    assert "subinterpreter" in lines[0]
    assert lines[1] == "1"
