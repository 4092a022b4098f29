"""The client for event loops: the calls of the other one, awaited, and many of them in one write."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

import grantwheel.aio
from client_stage import OWN, REFUSAL, Careless, Stage, stage
from grantwheel import BusinessError, Event, Manager
from grantwheel.service.client import Client
from grantwheel.service.client_aio import AsyncClient
from grantwheel.service.client_aio_line import open_line
from grantwheel.service.client_commands import pack
from support import request

__all__ = ["stage"]  # a fixture

UID, PID = OWN

CALLS: list[Callable[[Any], Any]] = [
    lambda one: one.apply(UID, PID, 33, 50, reason="why", process=True),
    lambda one: one.apply(7, 8, 64, persist=True),
    lambda one: one.apply(UID, PID, 0, 4),
    lambda one: one.renew(UID, PID, 511, 90),
    lambda one: one.apply_request(request(6)),
    lambda one: one.apply_request(),
    lambda one: one.app_mask(UID),
    lambda one: one.process_mask(PID),
    lambda one: one.find_app(7),
    lambda one: one.find_process(PID),
    lambda one: one.records(),
    lambda one: one.records(limit=1),
    lambda one: one.infos(),
    lambda one: one.get_all(),
    lambda one: one.holders(1),
    lambda one: one.count(64),
    lambda one: one.next_deadline(),
    lambda one: one.read(0),
    lambda one: one.flush(),
    lambda one: one.admin_list(),
    lambda one: one.apply_many(array("I", [1]), array("i", [1]), array("I", [1]), array("Q", [5])),
    lambda one: one.app_masks(array("I", [1, 2])),
    lambda one: one.release_many(array("I", [1]), array("i", [1]), array("I", [1])),
    lambda one: one.release(UID, PID, 32),
    lambda one: one.admin_reset_app(7, 64),
    lambda one: one.admin_reset_process(1, 1),
    lambda one: one.process_died(UID, PID),
    lambda one: one.app_stopped(7),
    lambda one: one.package_removed(7),
    lambda one: one.reset_all(UID, PID),
    lambda one: one.reset_all_request(),
    lambda one: one.admin_reset_all(),
]


def run(work: Awaitable[Any]) -> Any:
    async def limited() -> Any:
        return await asyncio.wait_for(work, 30)

    return asyncio.run(limited())


def test_a_service_that_has_begun_anew_is_told_from_the_one_before(stage: Stage) -> None:
    def change(count: int) -> None:
        for uid in range(1, count + 1):
            stage.manager.apply(uid, 1, 1, 50)

    async def work() -> None:
        gaps: list[int] = []
        async with grantwheel.aio.connect(stage.path) as client:
            change(2)
            events = client.follow(0, on_gap=gaps.append)
            assert [(await anext(events)).sequence for _ in range(2)] == [1, 2]
            stage.stop()
            stage.start()
            change(5)
            assert [(await anext(events)).sequence for _ in range(5)] == [1, 2, 3, 4, 5]
            assert gaps == [0]
            await events.aclose()  # type: ignore[attr-defined]

    run(work())


def told(error: BusinessError) -> tuple[Any, ...]:
    return type(error), error.code, error.detail, error.message


def test_every_call_is_answered_as_by_a_manager(stage: Stage) -> None:
    manager = Manager(clock=stage.clock)

    async def work() -> None:
        async with grantwheel.aio.connect(stage.path) as client:
            for number, call in enumerate(CALLS):
                try:
                    expected = call(manager)
                except BusinessError as error:
                    expected = told(error)
                try:
                    answer = await call(client)
                except BusinessError as error:
                    answer = told(error)
                assert answer == expected, number
            assert (await client.stats()).granted == manager.stats().granted
            assert await client.last_sequence() == manager.last_sequence

    run(work())


def test_both_clients_have_the_same_calls() -> None:
    names = {name for name in vars(Client) if not name.startswith("_")}
    others = {name for name in vars(AsyncClient) if not name.startswith("_")}
    # What needs a thread, or is another word for `follow` and for gathering calls.
    assert names - others == {"drain", "missed", "pipeline", "subscribe", "unsubscribe"}
    assert others - names == set()


def test_calls_of_many_tasks_are_answered_each(stage: Stage) -> None:
    async def work() -> None:
        async with grantwheel.aio.connect(stage.path) as client:
            masks = await asyncio.gather(*(client.apply(uid, 1, 1 + uid % 511, 50) for uid in range(3000)))
            assert masks == [1 + uid % 511 for uid in range(3000)]

    run(work())


def test_a_call_that_is_cancelled_confuses_no_other(stage: Stage) -> None:
    async def work() -> None:
        async with grantwheel.aio.connect(stage.path) as client:
            first = asyncio.ensure_future(client.apply(1, 1, 1, 50))
            second = asyncio.ensure_future(client.apply(2, 1, 2, 50))
            await asyncio.sleep(0)
            first.cancel()
            assert await second == 2
            assert await client.apply(3, 1, 4, 50) == 4

    run(work())


def test_nobody_there_and_a_broken_exchange(tmp_path: Path) -> None:
    async def work() -> list[int]:
        client = grantwheel.aio.connect(tmp_path / "s")
        codes = []
        careless = None
        for _ in range(2):
            for call in (client.apply(UID, PID, 1, 5), client.get_all()):
                with pytest.raises(BusinessError) as caught:
                    await call
                codes.append(caught.value.code)
            careless = careless or Careless(tmp_path / "s")
        await client.close()
        assert careless is not None
        careless.close()
        with pytest.raises(BusinessError, match="closed"):
            await client.app_mask(UID)
        return codes

    assert run(work()) == [9800004, 18700004, 9800003, 18700004]


def test_it_connects_again_and_follows_at_its_place(stage: Stage) -> None:
    async def work() -> None:
        async with grantwheel.aio.connect(stage.path) as client:
            got: list[Event] = []

            async def follow() -> None:
                async for event in client.follow(0):
                    got.append(event)  # noqa: PERF401 - others look at it meanwhile

            following = asyncio.ensure_future(follow())
            await client.apply(1, 1, 1, 50)
            while len(got) < 1:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(stage.stop)
            stage.manager.apply(2, 1, 1, 50)
            stage.resume()
            assert await client.apply(3, 1, 1, 50) == 1
            while len(got) < 3:
                await asyncio.sleep(0.001)
            assert [event.uid for event in got] == [1, 2, 3]
            following.cancel()
            await asyncio.wait([following])

    run(work())


def test_a_follower_counts_its_gap(stage: Stage) -> None:
    stage.stop()
    stage.start(event_capacity=4)
    for uid in range(10):
        stage.manager.apply(uid, 1, 1, 50)

    async def work() -> None:
        gaps: list[int] = []
        async with grantwheel.aio.connect(stage.path) as client:
            events = client.follow(0, on_gap=gaps.append)
            assert (await anext(events)).sequence == 7
            assert gaps == [6]
            await events.aclose()  # type: ignore[attr-defined]

    run(work())


def test_a_hold_lasts_as_long_as_its_block_and_comes_back_with_the_service(stage: Stage) -> None:
    async def until(condition: Callable[[], object]) -> None:
        while not condition():
            await asyncio.sleep(0.001)

    async def work() -> None:
        told: list[Any] = []
        async with grantwheel.aio.connect(stage.path) as client:
            async with client.hold(33, timeout_ms=30, on_lost=lambda held: told.append(int(held.lost))) as held:
                assert held.types == 33
                async with client.hold(32 | 64):
                    assert stage.manager.app_mask(UID) == 97
                assert stage.manager.app_mask(UID) == 33
                await until(lambda: stage.manager.stats().renewed >= 4)
                stage.manager.release(UID, PID, 1)
                await until(lambda: told)
                assert told == [1]
            assert stage.manager.app_mask(UID) == 0
            async with client.hold(33, timeout_ms=600_000) as held:
                await asyncio.to_thread(stage.stop)
                await until(lambda: held.failure)
                stage.start()
                await until(lambda: stage.manager.app_mask(UID) == 33 and held.failure is None)
                assert held.lost == 0
            assert stage.manager.app_mask(UID) == 0
            with pytest.raises(BusinessError, match="mask must be within"):
                await client.hold(0).__aenter__()

    run(work())


def test_a_line_that_was_refused_before_anything_was_asked_answers_with_the_refusal(tmp_path: Path) -> None:
    careless = Careless(tmp_path / "s", REFUSAL, takes_calls=False)

    async def work() -> None:
        line = await open_line(str(tmp_path / "s"))
        await line.ended
        for _ in range(2):
            with pytest.raises(BusinessError) as caught:
                await line.ask(pack(b"MASK", b"1"))
            assert caught.value.code == 9800001
        async with grantwheel.aio.connect(tmp_path / "s") as client:
            calls = lambda: client.app_mask(1), lambda: anext(client.follow(0)), lambda: anext(client.follow())
            for call in calls:
                with pytest.raises(BusinessError) as caught:
                    await call()
                assert caught.value.code == 9800001

    run(work())
    careless.close()


def test_a_line_that_ended_before_anything_was_asked_says_so(tmp_path: Path) -> None:
    careless = Careless(tmp_path / "s", takes_calls=False)

    async def work() -> None:
        line = await open_line(str(tmp_path / "s"))
        await line.ended
        with pytest.raises(BusinessError, match="may or may not") as caught:
            await line.ask(pack(b"MASK", b"1"))
        assert caught.value.code == 9800003

    run(work())
    careless.close()
