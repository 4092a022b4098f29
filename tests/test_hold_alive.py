"""Holds that renew by themselves: in a thread and on an event loop, with real clocks, threads and processes.

Renewals happen while time passes, so some of these wait: a few tenths of a second, for grants of a tenth. Nothing here
says how soon: a machine that is so busy that a grant runs out is told apart by `Hold.lost`, and it is tried again.
"""

import asyncio
import gc
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grantwheel import Manager, MonotonicClock, Policy
from grantwheel.hold import Hold
from support import AUDIO, CPU, GPS
from waiting import loop_threads, wait_for

UID, PID = 1000, 42
SECONDS = 60  # for what takes milliseconds

THREAD = "grantwheel"


def hold(manager: Manager, mask: int = GPS, timeout_ms: int = 30_000) -> Hold:
    return manager.hold(mask, uid=UID, pid=PID, timeout_ms=timeout_ms)


def outlives_its_time(manager: Manager, held: Hold, timeout_ms: int, wait: Callable[[float], object]) -> bool:
    """Whether the grant is still there when it had run out without renewals; False when the machine was too busy."""
    wait(3 * timeout_ms / 1000)
    renewed = manager.stats().renewed
    return not held.lost and renewed >= 3


def test_a_thread_renews() -> None:
    for timeout_ms in (90, 900, 9000):
        manager = Manager()
        with hold(manager, timeout_ms=timeout_ms) as held:
            if outlives_its_time(manager, held, timeout_ms, time.sleep):
                break
    assert not held.lost
    assert manager.app_mask(UID) == 0
    assert loop_threads() == []


def test_one_thread_serves_all_holds_and_none_is_left() -> None:
    manager = Manager(clock=MonotonicClock())
    assert loop_threads() == []
    with hold(manager):
        (thread,) = loop_threads()
        with hold(manager, AUDIO), hold(manager, GPS, timeout_ms=50):
            assert loop_threads() == [thread]
        assert loop_threads() == [thread]
        assert thread.daemon
    assert loop_threads() == []
    with hold(manager):
        assert len(loop_threads()) == 1
    assert loop_threads() == []


def test_a_shorter_hold_is_renewed_before_a_longer_one() -> None:
    for timeout_ms in (90, 900, 9000):
        manager = Manager()
        with hold(manager, timeout_ms=3_600_000), hold(manager, AUDIO, timeout_ms=timeout_ms) as held:
            if outlives_its_time(manager, held, timeout_ms, time.sleep):
                break
    assert not held.lost


def test_a_clock_written_in_python_is_slept_on_too() -> None:
    class Clock:
        def now(self) -> int:
            return time.monotonic_ns() // 1_000_000

    for timeout_ms in (90, 900, 9000):
        manager = Manager(clock=Clock())
        with hold(manager, timeout_ms=timeout_ms) as held:
            if outlives_its_time(manager, held, timeout_ms, time.sleep):
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
    with hold(manager, timeout_ms=6000) as held, hold(manager, timeout_ms=3):
        Clock.failing.set()
        wait_for(lambda: "no clock" in caplog.text)
        Clock.failing.clear()
        assert loop_threads()
        renewed = manager.stats().renewed
        wait_for(lambda: manager.stats().renewed > renewed)
        assert not held.lost
    wait_for(lambda: loop_threads() == [])


def test_a_loop_renews_without_a_thread() -> None:
    async def main(timeout_ms: int) -> bool:
        manager = Manager()
        async with hold(manager, timeout_ms=timeout_ms) as held:
            assert loop_threads() == []
            await asyncio.sleep(3 * timeout_ms / 1000)
            renewed = not held.lost and manager.stats().renewed >= 3
        assert manager.app_mask(UID) == 0
        assert len(asyncio.all_tasks()) == 1
        return renewed

    assert any(asyncio.run(main(timeout_ms)) for timeout_ms in (90, 900, 9000))


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
        async with hold(manager, timeout_ms=50) as held:
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
            with hold(manager, mask, timeout_ms=choices.choice([600_000, 900_000])) as held:
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
    assert loop_threads() == []
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
    with hold(manager, CPU, timeout_ms=600):
        assert asked.wait(SECONDS)
    assert manager.app_mask(UID) == 0
    go_on.set()
    wait_for(lambda: loop_threads() == [])
    assert manager.app_mask(UID) == 0
    assert manager.stats().granted == 1


def jumping_clock() -> Any:
    """Make a clock that goes on at once when it is told to, without any timer hearing of it, as in suspend."""

    class Clock:
        jumped_ms = 0

        def now(self) -> int:
            return time.monotonic_ns() // 1_000_000 + self.jumped_ms

    return Clock()


def test_a_clock_that_jumps_is_noticed_within_a_second() -> None:
    clock = jumping_clock()
    manager = Manager(clock=clock)
    with hold(manager, timeout_ms=60_000) as held:
        wait_for(lambda: manager._holds.plain._wakes_at < 2**62)  # type: ignore[attr-defined]  # the thread sleeps
        clock.jumped_ms = 55_000
        wait_for(lambda: manager.stats().renewed == 1)
        assert not held.lost


def test_a_clock_that_jumps_is_noticed_by_a_loop_too() -> None:
    async def main() -> None:
        clock = jumping_clock()
        manager = Manager(clock=clock)
        async with hold(manager, timeout_ms=60_000) as held:
            clock.jumped_ms = 55_000
            end = time.monotonic() + SECONDS
            while manager.stats().renewed < 1 and time.monotonic() < end:
                await asyncio.sleep(0.01)
            assert not held.lost

    asyncio.run(main())


def test_a_loop_does_not_wait_for_holds_that_have_ended() -> None:
    async def main() -> None:
        manager, loop = Manager(), asyncio.get_running_loop()
        async with hold(manager):
            descriptor = manager._holds.on_loop(loop).fileno()  # type: ignore[attr-defined]
        assert not loop.remove_reader(descriptor)

    asyncio.run(main())


def test_no_descriptor_and_no_thread_is_left_of_holds() -> None:
    async def main() -> None:
        manager = Manager()
        for _ in range(10):
            async with hold(manager):
                pass
            with hold(manager):
                pass

    def descriptors() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    asyncio.run(main())
    before = descriptors()
    for _ in range(3):
        asyncio.run(main())
    assert descriptors() == before
    assert loop_threads() == []


def test_holds_begin_and_end_in_threads_and_on_loops_at_once() -> None:
    # The thread of the renewals comes and goes all the while: none may be left without it, and none of it be left.
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    manager = Manager()
    lost: list[Hold] = []

    def plain(number: int) -> None:
        choices = random.Random(seed + number)
        for _ in range(100):
            with hold(manager, choices.choice([GPS, AUDIO, GPS | AUDIO])) as held:
                if held.lost:
                    lost.append(held)

    async def on_a_loop(number: int) -> None:
        choices = random.Random(seed + number)
        for _ in range(100):
            async with hold(manager, choices.choice([GPS, AUDIO, GPS | AUDIO])) as held:
                await asyncio.sleep(0)
                if held.lost:
                    lost.append(held)

    workers = [threading.Thread(target=plain, args=(number,)) for number in range(3)]
    workers += [threading.Thread(target=lambda: asyncio.run(on_a_loop(3)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert lost == []
    assert manager.records() == []
    wait_for(lambda: loop_threads() == [])
    with hold(manager, timeout_ms=90):
        wait_for(lambda: manager.stats().renewed > 0)
