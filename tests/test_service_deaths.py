"""The deaths that the service notices: whom it watches, for how long, how many, and what it tells."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self

import pytest

from grantwheel import BusinessError, Manager, ManualClock, ResourceType
from grantwheel.linux.running import Look, Running
from grantwheel.service.deaths import Deaths, EndedError
from grantwheel.service.limits import Limits
from grantwheel.service.peers import Process

WAIT_S = 20
HELD = ResourceType.CPU


def on_loop(what: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(what(), WAIT_S)

    asyncio.run(bounded())


class Watched:
    """Deaths with a look that a test makes, and with what they have told."""

    def __init__(self, **limits: int) -> None:
        self.clock = ManualClock()
        self.manager = Manager(clock=self.clock)
        self.gone: asyncio.Queue[int] = asyncio.Queue()
        self.running: dict[int, Running] = {}
        self.hides = False
        self.looked = asyncio.Event()
        self.looks = 0
        self.deaths = Deaths(self.manager, self.gone.put_nowait, limits=Limits(**limits), look=self._look)

    def connect(self, uid: int, pid: int) -> None:
        """Have a living process connect."""
        self.deaths.take(Process(uid, pid, os.pidfd_open(pid)))

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await asyncio.sleep(0)

    def _look(self) -> Look:
        self.looks += 1
        self.looked.set()
        return Look(dict(self.running), self.hides)

    async def look(self) -> None:
        await self.looked.wait()
        self.looked.clear()
        await asyncio.sleep(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.deaths.close()
        self.manager.close()


_SLEEPERS: "list[subprocess.Popen[bytes]]" = []


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    yield
    while _SLEEPERS:
        end(_SLEEPERS.pop())


def sleeper() -> "subprocess.Popen[bytes]":
    _SLEEPERS.append(subprocess.Popen(["sleep", "3600"]))
    return _SLEEPERS[-1]


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def test_a_death_ends_what_the_process_holds_and_the_app_with_its_last() -> None:
    async def run() -> None:
        first, second = sleeper(), sleeper()
        with Watched() as it:
            for one in (first, second):
                it.connect(7, one.pid)
                it.connect(7, one.pid)
                it.manager.apply(7, one.pid, HELD, 60_000, process=True)
            it.manager.apply(7, first.pid, HELD, 60_000)
            assert len(it.deaths) == 2
            end(first)
            assert await it.gone.get() == first.pid
            while it.manager.process_mask(first.pid):
                await asyncio.sleep(0)
            assert it.manager.process_mask(second.pid) == it.manager.app_mask(7) == HELD
            assert not it.looked.is_set()
            end(second)
            await it.look()
            assert it.manager.app_mask(7) == it.manager.process_mask(second.pid) == 0
            assert len(it.deaths) == 0

    on_loop(run)


def test_the_app_goes_on_while_any_of_its_processes_runs() -> None:
    async def run() -> None:
        connected, other = sleeper(), sleeper()
        with Watched() as it:
            it.running = {other.pid: Running((7,), 5), os.getpid(): Running((8,), 1)}
            it.connect(7, connected.pid)
            it.manager.apply(7, connected.pid, HELD, 60_000)
            end(connected)
            await it.look()
            assert it.manager.app_mask(7) == HELD
            assert other.pid in it.deaths
            it.running = {}
            end(other)
            await it.look()
            assert it.manager.app_mask(7) == 0

    on_loop(run)


def test_what_proc_hides_does_not_stop_an_app() -> None:
    async def run() -> None:
        process = sleeper()
        with Watched() as it:
            it.hides = True
            it.connect(7, process.pid)
            it.manager.apply(7, process.pid, HELD, 60_000)
            end(process)
            await it.look()
            assert it.manager.app_mask(7) == HELD

    on_loop(run)


def test_holders_of_a_restart_are_watched() -> None:
    async def run() -> None:
        alive, ended = sleeper(), sleeper()
        end(ended)
        with Watched() as it:
            it.running = {alive.pid: Running((7,), 5)}
            it.manager.apply(7, alive.pid, HELD, 60_000)
            it.manager.apply(9, alive.pid, HELD, 60_000)
            it.manager.apply(9, ended.pid, HELD, 60_000, process=True)
            it.deaths.watch_holders()
            await it.look()
            assert it.manager.process_mask(ended.pid) == it.manager.app_mask(9) == 0
            assert it.manager.app_mask(7) == HELD
            assert alive.pid in it.deaths
            end(alive)
            it.running = {}
            await it.look()
            assert it.manager.app_mask(7) == 0

    on_loop(run)


def test_looks_that_take_long_are_rare_and_delay_no_deaths(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        processes = [sleeper() for _ in range(3)]
        loop = asyncio.get_running_loop()
        late_s = [0.0]
        clock = loop.time
        monkeypatch.setattr(loop, "time", lambda: clock() + late_s[0])
        with Watched() as it:

            def look() -> Look:
                it.looks += 1
                late_s[0] += 1.0  # so long it takes
                return Look({}, hides=False)

            it.deaths._look = look
            for uid, one in enumerate(processes):
                it.connect(uid, one.pid)
                it.manager.apply(uid, one.pid, HELD, 60_000)
                it.manager.apply(uid, one.pid, HELD, 60_000, process=True)
            end(processes[0])
            await it.until(lambda: not it.manager.app_mask(0))
            end(processes[1])
            await it.until(lambda: not it.manager.process_mask(processes[1].pid))
            for _ in range(5):
                await asyncio.sleep(0)
            assert it.manager.app_mask(1) == HELD
            end(processes[2])
            await it.until(lambda: not it.manager.process_mask(processes[2].pid))
            assert it.looks == 1
            late_s[0] += 9.0
            await it.until(lambda: not it.manager.app_mask(1) and not it.manager.app_mask(2))
            assert it.looks == 2

    on_loop(run)


def test_room_can_be_made_by_letting_go_of_the_one_that_connects() -> None:
    async def run() -> None:
        first, second = sleeper(), sleeper()
        with Watched(watched=2, watched_per_uid=1) as it:
            it.connect(7, first.pid)
            it.connect(8, second.pid)
            it.connect(9, second.pid)
            it.manager.apply(7, first.pid, HELD, 60_000, process=True)
            it.manager.apply(8, second.pid, HELD, 60_000, process=True)
            it.deaths.leave(7, first.pid)
            it.deaths.leave(8, second.pid)
            it.manager.admin_reset_all()
            it.connect(8, first.pid)
            assert first.pid in it.deaths
            end(first)
            assert await it.gone.get() == first.pid

    on_loop(run)


def test_deaths_that_cannot_be_told_are_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantwheel.service.deaths._PAUSE_S", 0.0)

    class Stubborn:
        def __init__(self) -> None:
            self.told: list[tuple[int, int]] = []
            self.failures = 2

        def process_mask(self, pid: int) -> int:
            return 1

        def app_mask(self, uid: int) -> int:
            return 1

        def process_died(self, uid: int, pid: int) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError("not now")
            self.told.append((uid, pid))

        def app_stopped(self, uid: int) -> None:
            self.told.append((uid, 0))

    async def run() -> None:
        manager: Any = Stubborn()
        process = sleeper()
        deaths = Deaths(manager, lambda pid: pid, look=lambda: Look({}, hides=False))
        deaths.watch(7, process.pid)
        end(process)
        while len(manager.told) < 2:
            await asyncio.sleep(0)
        assert manager.told == [(7, process.pid), (7, 0)]
        deaths.close()

    on_loop(run)


def test_who_is_not_there_cannot_be_acted_for() -> None:
    async def run() -> None:
        process = sleeper()
        end(process)
        with Watched() as it:
            for pid in (process.pid, 2**31 - 1, 2**40):
                with pytest.raises(EndedError, match="there is no process"):
                    it.deaths.watch(7, pid)
            assert len(it.deaths) == 0

    on_loop(run)


def test_nobody_is_watched_for_a_uid_that_there_cannot_be() -> None:
    async def run() -> None:
        nobody, holder = sleeper(), sleeper()
        with Watched() as it:
            for uid in (-1, 2**32 - 1, 2**63 - 1):
                it.deaths.watch(uid, nobody.pid)
            assert nobody.pid not in it.deaths
            it.connect(7, holder.pid)
            it.manager.apply(7, holder.pid, HELD, 1000)
            end(nobody)
            end(holder)
            await it.until(lambda: not it.manager.app_mask(7))

    on_loop(run)


def test_descriptors_that_are_taken_are_closed() -> None:
    async def run() -> None:
        with Watched() as it:
            first, second = (Process(7, os.getpid(), os.pidfd_open(os.getpid())) for _ in range(2))
            kept = first.descriptor
            it.deaths.take(first)
            it.deaths.take(second)
            assert second.descriptor == -1
            assert first.descriptor == kept
        assert first.descriptor == -1

    on_loop(run)


def test_who_holds_nothing_is_watched_until_its_last_connection_ends() -> None:
    async def run() -> None:
        process = sleeper()
        with Watched() as it:
            it.connect(7, process.pid)
            it.connect(7, process.pid)
            it.manager.apply(7, process.pid, HELD, 1_000, process=True)
            it.deaths.leave(7, process.pid)
            it.clock.advance(1_000)
            assert process.pid in it.deaths
            it.deaths.leave(7, process.pid)
            assert process.pid not in it.deaths
            it.deaths.leave(7, process.pid)
            it.connect(7, process.pid)
            end(process)
            assert await it.gone.get() == process.pid
            for _ in range(5):
                await asyncio.sleep(0)
            assert it.looks == 0  # there is nothing that its end could change

    on_loop(run)


def test_who_holds_something_is_watched_without_a_connection() -> None:
    async def run() -> None:
        process, other = sleeper(), sleeper()
        with Watched() as it:
            for one in (process, other):
                it.connect(7, one.pid)
                it.manager.apply(7, one.pid, HELD, 60_000, process=True)
                it.deaths.leave(7, one.pid)
            end(process)
            await it.until(lambda: not it.manager.process_mask(process.pid))
            assert it.manager.drain()[-1].cause == "process_died"
            assert it.gone.empty()  # it had no connection that could be ended
            it.manager.release(7, other.pid, HELD, process=True)
            it.deaths.tidy()
            assert len(it.deaths) == 0
            end(other)

    on_loop(run)


def test_of_those_whose_app_holds_something_one_is_watched_without_a_connection() -> None:
    async def run() -> None:
        processes = [sleeper() for _ in range(3)]
        with Watched() as it:
            for one in processes:
                it.connect(7, one.pid)
            it.manager.apply(7, processes[0].pid, HELD, 60_000)
            for one in processes:
                it.deaths.leave(7, one.pid)
            first, second, last = processes
            assert len(it.deaths) == 1
            assert last.pid in it.deaths
            it.running = {first.pid: Running((7,), 5), second.pid: Running((7,), 6)}
            end(last)
            await it.until(lambda: first.pid in it.deaths)
            end(second)
            it.running = {}
            end(first)
            await it.until(lambda: not it.manager.app_mask(7))
            assert it.manager.drain()[-1].cause == "app_stopped"
            assert len(it.deaths) == 0

    on_loop(run)


def test_whoever_is_acted_for_is_watched_if_it_holds_something_after_the_turn() -> None:
    async def run() -> None:
        holder, other = sleeper(), sleeper()
        with Watched() as it:
            it.deaths.watch(7, holder.pid)
            it.deaths.watch(8, holder.pid)
            it.deaths.watch(7, other.pid)
            it.deaths.tidy()
            assert len(it.deaths) == 2  # what the turn does is still to come
            it.manager.apply(7, holder.pid, HELD, 60_000, process=True)
            await it.until(lambda: other.pid not in it.deaths)
            assert holder.pid in it.deaths
            assert it.deaths.forgotten == 2  # (8, holder) and (7, other)
            end(holder)
            await it.until(lambda: not it.manager.process_mask(holder.pid))
            assert it.deaths.forgotten == 3
            end(other)

    on_loop(run)


def too_many(call: Callable[[], object]) -> str:
    with pytest.raises(BusinessError) as refusal:
        call()
    assert refusal.value.code == 9800001
    return str(refusal.value)


def test_what_is_watched_for_a_uid_is_limited() -> None:
    async def run() -> None:
        processes = [sleeper() for _ in range(3)]
        first, second, third = (one.pid for one in processes)
        said = "uid 7 may have at most 2 processes that are connected or hold something"
        with Watched(watched_per_uid=2) as it:
            it.connect(7, first)
            it.connect(7, second)
            before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as many names as there are
            assert said in too_many(lambda: it.connect(7, third))
            assert said in too_many(lambda: it.deaths.watch(7, third))
            assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
            it.connect(7, first)
            it.connect(8, third)  # of another uid
            assert said in too_many(lambda: it.connect(7, third))  # and not of this one besides
            it.deaths.leave(8, third)
            it.manager.apply(7, first, HELD, 1_000, process=True)
            it.deaths.leave(7, first)
            it.deaths.leave(7, first)
            assert said in too_many(lambda: it.connect(7, third))
            it.clock.advance(1_000)
            it.manager.advance()
            it.connect(7, third)
            assert first not in it.deaths

    on_loop(run)


def test_what_is_watched_for_all_is_limited() -> None:
    async def run() -> None:
        processes = [sleeper() for _ in range(3)]
        first, second, third = (one.pid for one in processes)
        with Watched(watched=2) as it:
            it.connect(7, first)
            it.connect(8, second)
            assert "there may be at most 2 processes" in too_many(lambda: it.connect(9, third))
            it.manager.apply(8, second, HELD, 1_000, process=True)
            it.deaths.leave(8, second)
            assert "there may be at most 2 processes" in too_many(lambda: it.deaths.watch(9, third))
            it.manager.release(8, second, HELD, process=True)
            assert "there may be at most 2 processes" in too_many(lambda: it.deaths.watch(9, third))
            await it.until(lambda: len(it.deaths) < 2)  # there is room after the turn
            it.deaths.watch(9, third)
            assert third in it.deaths

    on_loop(run)


def test_who_gets_a_pid_gets_nothing_of_the_one_who_had_it() -> None:
    async def run() -> None:
        pid = 2**31 - 1  # pipes stand for the processes: they can be read when the other end is closed
        (first, first_lives), (second, second_lives) = os.pipe(), os.pipe()
        with Watched() as it:
            it.deaths.take(Process(7, pid, first))
            it.manager.apply(7, pid, HELD, 60_000, process=True)
            os.close(first_lives)
            it.deaths.take(Process(7, pid, second))
            assert it.manager.process_mask(pid) == 0
            it.manager.apply(7, pid, HELD, 60_000, process=True)
            it.deaths.leave(7, pid)
            for _ in range(5):
                await asyncio.sleep(0)
            assert it.manager.process_mask(pid) == HELD
            os.close(second_lives)
            await it.until(lambda: not it.manager.process_mask(pid))

    on_loop(run)
