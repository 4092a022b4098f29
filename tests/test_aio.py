"""Running a manager on an asyncio loop, and its events there.

With a clock that is set by hand: it wakes the loop.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from grantwheel import Caller, Cause, Event, EventKind, Manager, aio
from support import GPS, MAIL, check_error, make_manager, refusal
from waiting import PATIENCE


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on a loop of its own that complains about all that is wrong."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE):
            await coroutine
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main(), debug=True)


async def wait_for(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def take(stream: aio.EventStream, count: int) -> list[Event]:
    return [await anext(stream) for _ in range(count)]


def test_what_is_due_ends_by_itself() -> None:
    manager, clock = make_manager()
    before = threading.active_count()

    async def main() -> None:
        stream = aio.events(manager)
        async with aio.running(manager) as runner:
            now = manager.runner
            assert now is runner
            assert threading.active_count() == before
            manager.apply(700, 71, GPS, 40)
            assert (await anext(stream)).cause == Cause.APPLY
            clock.set(40)
            ended = await anext(stream)
            assert (ended.time, ended.cause) == (40, Cause.EXPIRED)
        assert manager.runner is None
        assert threading.active_count() == before

    run(main())


def test_a_real_clock() -> None:
    """Needs a real clock, as it is about one."""

    async def main() -> None:
        manager = Manager()
        stream = aio.events(manager, kinds=[EventKind.APP_RESET])
        async with aio.running(manager):
            for uid in range(20):
                manager.apply(uid, 1, GPS, 1 + 3 * uid)
            for uid in range(20):
                event = await anext(stream)
                assert event.uid == uid
                assert event.time <= manager.clock.now()
        assert sum(stream.lateness.counts) == 20

    run(main())


def test_other_work_goes_on_between_slices() -> None:
    manager, clock = make_manager()
    for uid in range(20_000):
        manager.apply(uid, 1, GPS, 10)

    async def main() -> None:
        turns: list[int] = []

        async def turn() -> None:
            while True:
                turns.append(manager.last_sequence)
                await asyncio.sleep(0)

        async with aio.running(manager):
            other = asyncio.create_task(turn())
            clock.set(10)
            await wait_for(lambda: manager.last_sequence == 40_000)
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
        assert len(set(turns)) > 10

    run(main())


def test_reading_gives_way_to_other_work() -> None:
    manager, _ = make_manager()

    async def main() -> None:
        one, many = aio.events(manager), aio.events(manager, batch=True)
        for uid in range(5000):
            manager.apply(uid, 1, GPS, 10)
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(turn())
        assert len(await take(one, 5000)) == 5000
        assert turns >= 5000 // 256
        turns = 0
        assert [len(await anext(many)) for _ in range(5)] == [1024, 1024, 1024, 1024, 904]
        assert turns >= 4
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)

    run(main())


def test_choosing_and_gaps() -> None:
    manager, _ = make_manager(event_capacity=8)

    async def main() -> None:
        stream = aio.events(manager, kinds="app_reset", uids=[1, 3])
        for uid in range(4):
            manager.apply(uid, 1, GPS, 10)
            manager.release(uid, 1, GPS)
        assert stream.pending == 8
        assert [event.uid for event in await take(stream, 1)] == [1]
        assert (stream.pending, stream.missed) == (1, 0)
        assert [event.uid for event in await take(stream, 1)] == [3]
        for _ in range(20):
            manager.apply(3, 1, GPS, 10)
            manager.release(3, 1, GPS)
        assert [event.sequence for event in await take(stream, 4)] == [42, 44, 46, 48]
        assert (stream.pending, stream.missed) == (0, 32)

    run(main())


def test_who_may_read() -> None:
    manager, _ = make_manager()
    check_error(refusal(lambda: aio.events(manager, caller=MAIL)), 201, 201)
    aio.events(manager, caller=Caller(native=True))
    with pytest.raises(ValueError, match="uids"):
        aio.events(manager, uids=[-1])


def test_cancelling_a_reader_loses_nothing_and_leaks_nothing() -> None:
    manager, _ = make_manager()

    async def main() -> None:
        stream = aio.events(manager)
        seen: list[int] = []

        async def read() -> None:
            async for event in stream:
                seen.append(event.sequence)  # noqa: PERF401 - what was read stays read when it is cancelled

        rounds = 200
        for number in range(rounds):
            reader = asyncio.create_task(read())
            for _ in range(number % 4):
                await asyncio.sleep(0)
            manager.apply(number, 1, GPS, 10)
            for _ in range(number % 5):
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            assert asyncio.get_running_loop()._selector.get_map().keys() <= before  # type: ignore[attr-defined]
        while stream.pending:
            seen.append((await anext(stream)).sequence)
        assert seen == list(range(1, rounds + 1))

    async def whole() -> None:
        before.update(asyncio.get_running_loop()._selector.get_map().keys())  # type: ignore[attr-defined]
        await main()

    before: set[int] = set()
    run(whole())


def test_a_timeout_while_waiting() -> None:
    manager, _ = make_manager()

    async def main() -> None:
        stream = aio.events(manager)
        for number in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await anext(stream)
            manager.apply(number, 1, GPS, 10)
            assert (await anext(stream)).uid == number

    run(main())


def test_one_task_at_a_time() -> None:
    manager, _ = make_manager()

    async def main() -> None:
        stream = aio.events(manager)
        first = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(stream)
        manager.apply(700, 71, GPS, 40)
        assert len(await first) == 1

    run(main())


def test_streams_end_with_the_manager() -> None:
    manager, _ = make_manager()

    async def main() -> None:
        stream, batches = aio.events(manager), aio.events(manager, batch=True)
        readers = [asyncio.create_task(read(stream)), asyncio.create_task(read(batches))]
        await asyncio.sleep(0)
        async with aio.running(manager):
            manager.close()
            await asyncio.gather(*readers)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    async def read(stream: aio.EventStream | aio.BatchStream) -> None:
        async for _ in stream:
            pytest.fail("nothing happened")

    run(main())


def test_one_runner_at_a_time() -> None:
    manager, _ = make_manager()

    async def main() -> None:
        async with aio.running(manager):
            with pytest.raises(RuntimeError, match="running already"):
                manager.running().start()
            with pytest.raises(RuntimeError, match="running already"):
                async with aio.running(manager):
                    pass
        with manager.running(), pytest.raises(RuntimeError, match="running already"):
            async with aio.running(manager):
                pass
        manager.close()
        with pytest.raises(Exception, match="9800004"):
            async with aio.running(manager):
                pass

    run(main())


def test_callbacks_have_their_threads_and_are_waited_for() -> None:
    manager, clock = make_manager()
    threads: set[threading.Thread] = set()
    seen: list[int] = []

    def take_slowly(event: Event) -> None:
        time.sleep(0.01)
        threads.add(threading.current_thread())
        seen.append(event.sequence)

    async def main() -> None:
        manager.subscribe(take_slowly)
        async with aio.running(manager):
            manager.apply(700, 71, GPS, 40)
            clock.set(40)
        assert seen == [1, 2]
        assert threading.current_thread() not in threads
        assert not any(thread.is_alive() for thread in threads)

    run(main())


def test_cancelled_at_every_moment() -> None:
    manager, clock = make_manager()
    manager.subscribe(lambda _: time.sleep(0.002))

    async def run_it() -> None:
        async with aio.running(manager):
            manager.apply(700, 71, GPS, 10)
            clock.advance(10)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def main() -> None:
        for moment in range(8):
            task = asyncio.create_task(run_it())
            for _ in range(moment):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert manager.runner is None
        async with aio.running(manager):
            pass

    run(main())
    manager.validate()


def test_a_stalled_loop_catches_up() -> None:
    """Needs a real clock: the loop is blocked while deadlines pass."""

    async def main() -> None:
        manager = Manager()
        stream = aio.events(manager, kinds=[EventKind.APP_RESET])
        async with aio.running(manager):
            for uid in range(3000):
                manager.apply(uid, 1, GPS, 1 + uid % 50)
            time.sleep(0.1)
            events = await take(stream, 3000)
        assert [event.time for event in events] == sorted(event.time for event in events)
        assert len({event.uid for event in events}) == 3000
        assert stream.missed == 0

    asyncio.run(main())
