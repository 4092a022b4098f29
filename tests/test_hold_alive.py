"""Holds that renew by themselves: in a thread and on an event loop, with real clocks, threads and processes.

Renewals happen while time passes, so some of these wait: a few tenths of a second, for grants of a tenth. Nothing here
says how soon: a machine that is so busy that a grant runs out is told apart by `Hold.lost`, and it is tried again.
"""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable

import pytest

from grantwheel import Manager, MonotonicClock, Policy
from grantwheel.hold import Hold
from support import AUDIO, CPU, GPS

UID, PID = 1000, 42
SECONDS = 60  # for what takes milliseconds

THREAD = "grantwheel-holds"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def hold(manager: Manager, mask: int = GPS, ttl_ms: int = 30_000) -> Hold:
    return manager.hold(mask, uid=UID, pid=PID, ttl_ms=ttl_ms)


def outlives_its_time(manager: Manager, held: Hold, ttl_ms: int, wait: Callable[[float], object]) -> bool:
    """Whether the grant is still there when it had run out without renewals; False when the machine was too busy."""
    wait(3 * ttl_ms / 1000)
    renewed = manager.stats()["renewed"]
    return not held.lost and renewed >= 3


def test_a_thread_renews() -> None:
    for ttl_ms in (90, 900, 9000):
        manager = Manager()
        with hold(manager, ttl_ms=ttl_ms) as held:
            if outlives_its_time(manager, held, ttl_ms, time.sleep):
                break
    assert not held.lost
    assert manager.app_mask(UID) == 0
    assert threads() == []


def test_one_thread_serves_all_holds_and_none_is_left() -> None:
    manager = Manager(clock=MonotonicClock())
    assert threads() == []
    with hold(manager):
        (thread,) = threads()
        with hold(manager, AUDIO), hold(manager, GPS, ttl_ms=50):
            assert threads() == [thread]
        assert threads() == [thread]
        assert thread.daemon
    assert threads() == []
    with hold(manager):
        assert len(threads()) == 1
    assert threads() == []


def test_a_shorter_hold_is_renewed_before_a_longer_one() -> None:
    for ttl_ms in (90, 900, 9000):
        manager = Manager()
        with hold(manager, ttl_ms=3_600_000), hold(manager, AUDIO, ttl_ms=ttl_ms) as held:
            if outlives_its_time(manager, held, ttl_ms, time.sleep):
                break
    assert not held.lost


def test_a_clock_written_in_python_is_slept_on_too() -> None:
    class Clock:
        def now(self) -> int:
            return time.monotonic_ns() // 1_000_000

    for ttl_ms in (90, 900, 9000):
        manager = Manager(clock=Clock())
        with hold(manager, ttl_ms=ttl_ms) as held:
            if outlives_its_time(manager, held, ttl_ms, time.sleep):
                break
    assert not held.lost


def test_a_clock_that_fails_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    class Clock:
        failing = threading.Event()

        def now(self) -> int:
            if self.failing.is_set() and threading.current_thread().name == THREAD:
                raise OSError("no clock")
            return time.monotonic_ns() // 1_000_000

    manager = Manager(clock=Clock())
    with hold(manager, ttl_ms=3) as held:
        Clock.failing.set()
        wait_until(lambda: "the clock of a manager failed" in caplog.text or held.failure is not None)
        Clock.failing.clear()
        assert threads()
    assert threads() == []


def test_a_loop_renews_without_a_thread() -> None:
    async def main(ttl_ms: int) -> bool:
        manager = Manager()
        async with hold(manager, ttl_ms=ttl_ms) as held:
            assert threads() == []
            await asyncio.sleep(3 * ttl_ms / 1000)
            renewed = not held.lost and manager.stats()["renewed"] >= 3
        assert manager.app_mask(UID) == 0
        assert len(asyncio.all_tasks()) == 1
        return renewed

    assert any(asyncio.run(main(ttl_ms)) for ttl_ms in (90, 900, 9000))


def test_a_cancelled_task_releases() -> None:
    async def main() -> None:
        manager = Manager()
        inside = asyncio.Event()

        async def holding() -> None:
            async with hold(manager):
                inside.set()
                await asyncio.sleep(SECONDS)

        task = asyncio.create_task(holding())
        await inside.wait()
        assert manager.app_mask(UID) == GPS
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert manager.app_mask(UID) == 0

        # Cancelled before it has begun, and when it is done.
        task = asyncio.create_task(holding())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert manager.app_mask(UID) == 0

    asyncio.run(main())


def test_tasks_and_threads_share_a_grant() -> None:
    async def main() -> None:
        manager = Manager()
        with hold(manager):
            async with hold(manager):
                pass
            assert manager.app_mask(UID) == GPS
        async with hold(manager):
            await asyncio.to_thread(lambda: hold(manager).__enter__().__exit__())
            assert manager.app_mask(UID) == GPS
        assert manager.app_mask(UID) == 0

    asyncio.run(main())


def test_a_loop_that_stalls_loses_the_hold_and_says_so() -> None:
    async def main() -> None:
        manager = Manager()
        async with hold(manager, ttl_ms=50) as held:
            time.sleep(0.2)
            assert held.lost == GPS
            await asyncio.sleep(0.05)
            assert manager.app_mask(UID) == 0

    asyncio.run(main())


def test_many_threads_hold_at_once() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    manager = Manager()
    wrong: list[str] = []
    masks = [GPS, AUDIO, CPU, GPS | AUDIO, CPU | GPS]

    def work(number: int) -> None:
        choices = random.Random(seed + number)
        for _ in range(300):
            mask = choices.choice(masks)
            with hold(manager, mask, ttl_ms=choices.choice([600_000, 900_000])) as held:
                if manager.app_mask(UID) & mask != mask or held.lost:
                    wrong.append(f"{mask} lost {held.lost!r}")
                manager.renew_holds()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
    assert manager.records() == []
    assert threads() == []
    manager.validate()


def test_a_slow_hook_does_not_hold_up_the_end_for_long() -> None:
    # The renewal is in the hook when the block ends. Its thread is left to end by itself then.
    asked, go_on = threading.Event(), threading.Event()

    class Slow:
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            if threading.current_thread().name == THREAD:
                asked.set()
                go_on.wait(SECONDS)
            return True

        def settle(self, uid: int, /) -> None:
            pass

    manager = Manager(policy=Policy(quota=Slow()))
    with hold(manager, CPU, ttl_ms=600):
        assert asked.wait(SECONDS)
    assert manager.app_mask(UID) == 0
    go_on.set()
    wait_until(lambda: threads() == [])
    assert manager.app_mask(UID) == 0
    assert manager.stats()["granted"] == 1


def test_the_exit_of_the_interpreter_ends_holds() -> None:
    script = """
import threading, grantwheel
manager = grantwheel.Manager(recorder=lambda command: print(command.kind, command.mask, flush=True))

def hold():
    with manager.hold(32, ttl_ms=90):
        inside.set()
        threading.Event().wait()

inside = threading.Event()
threading.Thread(target=hold, daemon=True).start()
inside.wait()
kept = manager.hold(64)
kept.__enter__()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sorted(lines[-2:]) == ["release 32", "release 64"]
    assert {"apply 32", "apply 64"} == set(lines[:-2])


def test_the_child_of_a_fork_has_no_holds() -> None:
    manager = Manager()
    with hold(manager) as held:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, from Python 3.12 on
            pid = os.fork()
        if pid == 0:  # pragma: no cover - another process
            code = 1
            try:
                gone = held.lost == GPS and threads() == []
                held.__exit__()
                code = 0 if gone else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert not held.lost
        assert manager.app_mask(UID) == GPS
    assert manager.app_mask(UID) == 0
