"""The tasks of the service for event loops: as those of the other client, with callbacks on the loop."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

import grantwheel.aio
from client_stage import OWN, REFUSAL, Careless, Stage, stage
from grantwheel import BusinessError, Caller, Manager, ManualClock, Tasks
from grantwheel.service.client_aio_tasks import AsyncTasks
from grantwheel.service.client_tasks import ClientTasks
from task_stage import attempt
from test_service_client_tasks import CALLS, OTHER, Called, callback, pass_ms

__all__ = ["stage"]  # a fixture

UID, PID = OWN
WAIT_S = 30


def run(work: Awaitable[None]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(work, WAIT_S)

    asyncio.run(limited())


async def until(condition: Callable[[], object]) -> None:
    """Wait until the loop has made it true: run bounds it."""
    while not condition():
        await asyncio.sleep(0.001)


async def refused(call: Awaitable[Any]) -> BusinessError:
    with pytest.raises(BusinessError) as refusal:
        await call
    return refusal.value


def test_the_calls_answer_and_refuse_as_those_of_a_manager(stage: Stage) -> None:
    clock = ManualClock()
    own = Tasks(Manager(clock=clock))
    own.drain()

    async def work() -> None:
        async with grantwheel.aio.connect(stage.path) as client:
            events = client.tasks.follow()
            first = asyncio.ensure_future(anext(events))
            for number, call in enumerate(CALLS):
                for one in (clock, stage.clock):
                    one.advance(1000)
                expected = attempt(lambda call=call: call(own))  # type: ignore[misc]
                try:
                    answer = call(client.tasks)
                    if inspect.ismethod(answer):  # what is a property of the others
                        answer = answer()
                    answer = await answer
                except BusinessError as error:
                    answer = error.detail
                assert answer == expected, number
            wanted = own.drain()
            got = [await first]
            got += [await anext(events) for _ in wanted[1:]]
            await events.aclose()  # type: ignore[attr-defined]
            assert got == wanted

    run(work())


def test_both_clients_have_the_same_calls() -> None:
    names = {name for name in vars(ClientTasks) if not name.startswith("_")}
    others = {name for name in vars(AsyncTasks) if not name.startswith("_")}
    assert names - others == {"drain", "missed", "subscribe", "unsubscribe"}
    assert others - names == {"follow"}
    for name in names & others - {"last_sequence"}:
        assert inspect.signature(getattr(ClientTasks, name)) == inspect.signature(getattr(AsyncTasks, name))


def test_a_callback_is_called_once_on_the_loop(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        called, seen = Called(stage), []

        def raising() -> None:
            seen.append(asyncio.get_running_loop())
            raise ValueError("from the callback")

        async with grantwheel.aio.connect(stage.path) as client:
            assert (await client.tasks.request_suspend_delay("save", raising)).requestId == 1
            assert (await client.tasks.request_suspend_delay("save", called)).requestId == 2
            assert (await refused(client.tasks.request_suspend_delay("save", called))).detail == 990000202
            pass_ms(stage, 174_000)
            await until(lambda: called.times)
            assert seen == [asyncio.get_running_loop()]
            assert "from the callback" in caplog.text
            pass_ms(stage, 6000)
            assert (await client.tasks.request_suspend_delay("save", called)).requestId == 3
            await client.tasks.cancel_suspend_delay(3)
            assert (await client.tasks.request_suspend_delay("save", called)).requestId == 4
            pass_ms(stage, 174_000)
            await until(lambda: len(called.times) == 2)

    run(work())


def test_what_becomes_of_requests_when_the_service_is_started_anew(stage: Stage) -> None:
    async def work() -> None:
        kept, over, lost, new = (Called(stage) for _ in range(4))
        async with grantwheel.aio.connect(stage.path) as client:
            await client.tasks.request_suspend_delay("kept", kept)
            await client.tasks.request_suspend_delay("over", over)
            await asyncio.to_thread(stage.stop)
            stage.tasks.cancel_suspend_delay(2, caller=Caller(uid=UID, pid=PID, bundle=f"uid.{UID}"))
            stage.resume()
            await until(lambda: over.times)
            assert kept.times == []
            pass_ms(stage, 174_000)
            await until(lambda: kept.times)
            pass_ms(stage, 6000)
            await client.tasks.request_suspend_delay("lost", lost)
            await asyncio.to_thread(stage.stop)
            assert (await refused(client.tasks.request_suspend_delay("now", new))).code in (9800003, 9800004)
            assert (await refused(client.tasks.transient_task_info())).code == 9900004
            stage.start()
            assert (await client.tasks.request_suspend_delay("new", new)).requestId == 1
            await until(lambda: lost.times)
            pass_ms(stage, 174_000)
            await until(lambda: new.times)
        assert [len(one.times) for one in (kept, over, lost, new)] == [1, 1, 1, 1]

    run(work())


def test_whoever_hears_of_events_goes_on_when_a_limit_refused_it_meanwhile(stage: Stage) -> None:
    async def work() -> None:
        called = Called(stage)
        async with grantwheel.aio.connect(stage.path) as client:
            await client.tasks.request_suspend_delay("save", called)
            await client.apply(UID, PID, 1, 500_000)
            events = client.follow(0)
            assert (await anext(events)).sequence == 1
            told = asyncio.ensure_future(anext(events))
            await asyncio.to_thread(stage.stop)
            busy = Careless(stage.path, REFUSAL)
            await until(lambda: busy.met >= 5)
            await asyncio.to_thread(busy.close)
            stage.path.unlink()
            stage.resume()
            (listener,) = client.tasks._listeners.values()
            await until(lambda: listener._place.restarts and not listener._is_in_doubt)
            pass_ms(stage, 174_000)
            await until(lambda: called.times)
            stage.manager.release(UID, PID, 1)
            assert (await told).sequence == 2
            await events.aclose()  # type: ignore[attr-defined]

    run(work())


def test_whoever_hears_in_the_place_of_one_that_has_died_asks_what_became_of_requests(stage: Stage) -> None:
    async def work() -> None:
        called, other = Called(stage), Called(stage)
        async with grantwheel.aio.connect(stage.path) as client:
            await client.tasks.request_suspend_delay("save", called, uid=7, pid=8)
            (listener,) = client.tasks._listeners.values()
            await asyncio.to_thread(stage.stop)
            stage.peer, listed = OTHER, stage.peer
            stage.resume()
            await listener.task
            await asyncio.to_thread(stage.stop)
            stage.peer = listed
            stage.manager.process_died(7, 8)
            stage.resume()
            await client.tasks.request_suspend_delay("again", other, uid=7, pid=8)
            await until(lambda: called.times)
            assert other.times == []

    run(work())


def test_a_client_that_speaks_for_others_hears_of_each_uid_once_and_while_it_has_requests(stage: Stage) -> None:
    async def work() -> None:
        async with grantwheel.aio.connect(stage.path) as client:
            tasks, before = client.tasks, len(asyncio.all_tasks())
            for uid in (7, 8):
                for pid in (10, 11, 12):
                    name = f"{uid} {pid}"
                    await tasks.request_suspend_delay("save", callback, name=name, uid=uid, pid=uid * 100 + pid)
            assert len(asyncio.all_tasks()) == before + 2
            for number in range(1, 4):
                await tasks.cancel_suspend_delay(number, uid=7, pid=710)
            await until(lambda: len(asyncio.all_tasks()) == before + 1)
            pass_ms(stage, 180_000)
            await until(lambda: len(asyncio.all_tasks()) == before)
            assert tasks._listeners == {}
            assert len(tasks._open) == 0
            assert (await refused(tasks.request_suspend_delay("save", callback, uid=9, pid=-1))).code == 9900001
            await until(lambda: len(asyncio.all_tasks()) == before)

    run(work())


def test_whoever_is_not_listed_speaks_for_itself(stage: Stage) -> None:
    stage.peer = OTHER

    async def work() -> None:
        called = Called(stage)
        async with grantwheel.aio.connect(stage.path) as client:
            client._own = (OTHER.uid, OTHER.pid)
            tasks = client.tasks
            for call in (
                tasks.request_suspend_delay("save", called, uid=7, pid=8),
                tasks.start_background_running("Sync", 1, "page", uid=7, pid=8),
                tasks.continuous_tasks(),
                tasks.keeps_running(7),
                tasks.set_screen(False),
                anext(tasks.follow()),
            ):
                assert (await refused(call)).code == 201
            await tasks.request_suspend_delay("save", called)
            pass_ms(stage, 174_000)
            await until(lambda: called.times)

    run(work())


def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    async def work() -> None:
        async with grantwheel.aio.connect(tmp_path / "none") as client:
            assert (await refused(client.tasks.request_suspend_delay("save", print))).detail == 980000402
            assert (await refused(client.tasks.transient_task_info())).detail == 990000402
            tasks = client.tasks
        assert (await refused(tasks.keeps_running(1))).detail == 980000402

    run(work())
