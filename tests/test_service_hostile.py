"""A hostile peer beside fifty good ones: these get right answers in time, and the service does not grow."""

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from service_process import resident, started

pytest.importorskip("hiredis", reason="the service needs it")

from grantwheel.service.client_commands import pack

GOOD = 50
ROUNDS = 10
MOST_S = 120.0  # that an answer takes: generous, as the machine may do other things too
MOST_WORK_S = 1.0  # that the service works meanwhile, for others: that does not depend on the machine's other work
MOST_BYTES = 200 << 20  # that the service grows
# Some of the defaults are for a whole machine: here one peer is to meet them.
LIMITS = {
    "connections-per-uid": 300,
    "request-bytes-per-uid": 32 << 20,
    "output-bytes-per-uid": 8 << 20,
    "stall-ms": 1000,
}


def worked(pid: int) -> float:
    """How long a process has had a processor, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


class Good:
    """A client that asks, waits for the answer, and asks again."""

    def __init__(self, number: int, service: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number = number
        self._service = service  # its pid
        self._reader, self._writer = reader, writer
        self.times: list[float] = []  # that answers took, in seconds
        self.work_s: list[float] = []  # that the service worked meanwhile

    async def ask(self, request: bytes, answer: bytes) -> None:
        start, before = time.perf_counter(), worked(self._service)
        self._writer.write(request)
        async with asyncio.timeout(MOST_S):
            assert await self._reader.readexactly(len(answer)) == answer
        self.times.append(time.perf_counter() - start)
        self.work_s.append(worked(self._service) - before)

    async def work(self, rounds: int) -> None:
        for number in range(rounds):
            text = b"%d of %d" % (number, self._number)
            await self.ask(pack(b"ECHO", text), b"$%d\r\n%b\r\n" % (len(text), text))
            await self.ask(pack(b"APPLY", b"4", b"600000"), b":4\r\n")  # what the hostile one does not release
            await self.ask(
                pack(b"APPLY", b"0", b"1000"),
                b"-CALLER 18700001 Caller information verification failed for "
                b"an energy resource request. (1870000101: mask must be within 1..511)\r\n",
            )

    async def info(self) -> dict[str, int]:
        self._writer.write(pack(b"INFO"))
        head = await self._reader.readline()
        text = (await self._reader.readexactly(int(head[1:]) + 2)).decode()
        lines = [line.partition(":") for line in text.splitlines()]
        return {name: int(value) for name, _, value in lines if value.isdecimal()}

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def told_of(name: str, good: list[Good]) -> float:
    """Say how long answers took, and return for how long the service worked for others during one, at most."""
    times = sorted(second for one in good for second in one.times)
    work = sorted(second for one in good for second in one.work_s)
    middle = len(times) // 2
    print(f"{name}: {len(times)} answers, each after {times[middle]:.3f} s, at most {times[-1]:.3f} s", end="; ")
    print(f"the service worked meanwhile for {work[middle]:.3f} s, at most {work[-1]:.3f} s")
    for one in good:
        one.times.clear()
        one.work_s.clear()
    return work[-1]


def test_a_hostile_peer_harms_nobody() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        path = Path(folder) / "s"
        options = [word for name, limit in LIMITS.items() for word in (f"--{name}", limit)]
        with started(path, *options) as service:
            asyncio.run(beside(path, seed, service.pid))


async def beside(path: Path, seed: int, pid: int) -> None:
    good = [Good(number, pid, *await asyncio.open_unix_connection(path)) for number in range(GOOD)]
    await asyncio.gather(*(one.work(ROUNDS) for one in good))
    told_of("alone", good)
    before = most = resident(pid)
    hostile = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("hostile_peer.py")),
        str(path),
        str(seed),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert hostile.stdout is not None
    try:
        is_worst = asyncio.create_task(hostile.stdout.readline())
        rounds, left = 0, ROUNDS
        while left:
            left = left - 1 if is_worst.done() else ROUNDS
            await asyncio.gather(*(one.work(1) for one in good))
            most = max(most, resident(pid))
            rounds += 1
        assert await is_worst == b"all\n"
        hostile.kill()
        await hostile.wait()
        await asyncio.gather(*(one.work(ROUNDS) for one in good))
        told = await good[0].info()
        while told["connected_clients"] > GOOD:  # it takes their ends one after the other
            told = await good[0].info()
    finally:
        if hostile.returncode is None:
            hostile.kill()
            await hostile.wait()
    longest = told_of("beside", good)
    print(f"{rounds} rounds; it had {before >> 20} MiB, {most >> 20} at most, and {resident(pid) >> 20} in the end")
    met = {name.removesuffix("_met"): count for name, count in told.items() if name.endswith("_met")}
    print(met)
    assert longest < MOST_WORK_S
    assert most - before < MOST_BYTES
    for name in ("connections_per_uid", "request_bytes", "request_bytes_per_uid", "stall_ms"):
        assert met[name], name
    for one in good:
        await one.close()
