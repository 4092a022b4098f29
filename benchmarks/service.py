"""What a call over the service costs, beside Redis in the same run: who else keeps things until a time, for others.

    pip install '.[bench-service]'
    python benchmarks/service.py [--folder DIR] [--rounds N] [--seconds S] [--quick] [--only PART ...]

Needs ``redis-server`` and ``redis-benchmark`` (Debian: redis-server, redis-tools). Every server is a process of its
own on a Unix socket. In each round all contenders of a part have a turn, in random order; each line has the median of
the rounds, and the median of its ratios to the first line of its group in the same round. ``--quick`` shows only that
everything works.
"""

import argparse
import os
import random
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import grantwheel
from grantwheel import ResourceType
from served import Wire, grant_server, latencies, redis_benchmark, redis_server, request

GPS = int(ResourceType.GPS)
TTL_MS = 3_600_000
SET = ["SET", "key", "value", "PX", str(TTL_MS)]
APPLY = ["APPLY", str(GPS), str(TTL_MS)]
ROWS = 1000
CONNECTIONS = 50
STORM = 999_000  # the service keeps a million records unless told otherwise
_FIRST_UID = 100_000


class Plan(NamedTuple):
    """How much is measured."""

    folder: Path
    rounds: int
    seconds: float
    storm: int
    random: random.Random


class Contender(NamedTuple):
    """One line: what gives a number, such as a rate, for a length of time."""

    name: str
    measure: Callable[[float], float]


def compare(title: str, unit: str, group: list[Contender], plan: Plan) -> None:
    """Measure a group of contenders in turns, and print a line for each."""
    taken: dict[str, list[float]] = {one.name: [] for one in group}
    for one in group:
        one.measure(plan.seconds / 4)
    for _ in range(plan.rounds):
        for one in plan.random.sample(group, len(group)):
            taken[one.name].append(one.measure(plan.seconds))
    print(f"\n{title}")
    first = taken[group[0].name]
    for name, values in taken.items():
        ratio = statistics.median(own / base for own, base in zip(values, first, strict=True))
        spread = (
            f"{min(values):,.1f}..{max(values):,.1f}" if unit != "/s" else f"{min(values):,.0f}..{max(values):,.0f}"
        )
        middle = statistics.median(values)
        shown = f"{middle:,.0f}" if unit == "/s" else f"{middle:,.1f}"
        print(f"  {name:<40} {shown:>12} {unit:<3} {ratio:>6.2f} x   ({spread})", flush=True)


class Benchmark:
    """What `redis-benchmark` finds of one command, which remembers how many requests fill a length of time."""

    def __init__(self, path: Path, words: list[str], pipeline: int) -> None:
        self._arguments = (path, words)
        self._pipeline = pipeline
        wire = Wire(path)
        wire.learn(request(*words))  # which ends it all where it is refused: errors are answered fast
        wire.close()
        self._rate = 20_000.0

    def __call__(self, seconds: float) -> float:
        self._rate = redis_benchmark(*self._arguments, seconds, self._pipeline, self._rate)
        return self._rate


def show_calls(title: str, servers: dict[str, tuple[Path, list[str]]], plan: Plan) -> None:
    """Compare servers, one by one and in pipelines."""
    for pipeline in (1, 16):
        group = [Contender(name, Benchmark(*server, pipeline)) for name, server in servers.items()]
        compare(f"{title}, {CONNECTIONS} connections, {how(pipeline)}", "/s", group, plan)


def how(pipeline: int) -> str:
    return "one by one" if pipeline == 1 else f"in pipelines of {pipeline}"


def undurable(plan: Plan) -> None:
    """In memory alone."""
    with redis_server(plan.folder / "r") as redis, grant_server(plan.folder / "g") as grants:
        servers = {"Redis, SET key value PX": (redis, SET), "grantwheel, APPLY": (grants, APPLY)}
        show_calls("in memory", servers, plan)
        for pipeline in (1, 16):
            group = [
                Contender("grantwheel, APPLY", Benchmark(grants, APPLY, pipeline)),
                Contender("grantwheel, MASK", Benchmark(grants, ["MASK"], pipeline)),
            ]
            compare(f"reading, {CONNECTIONS} connections, {how(pipeline)}", "/s", group, plan)


def durable(plan: Plan) -> None:
    """With a journal, and Redis with a file that is synced once per turn of its loop."""
    folder = plan.folder
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(folder / "ra", always=True))
        commit = stack.enter_context(grant_server(folder / "gc", "commit"))
        batch = stack.enter_context(grant_server(folder / "gb", "batch"))
        off = stack.enter_context(grant_server(folder / "go"))
        servers = {
            "Redis, appendfsync always": (redis, SET),
            "grantwheel, commit": (commit, APPLY),
        }
        show_calls("on the disk when answered", servers, plan)
        servers = {"grantwheel, in memory": (off, APPLY), "grantwheel, batch": (batch, APPLY)}
        show_calls("on the disk soon after", servers, plan)


def own_pids() -> bytes:
    """Return a column of this process, as the service watches those that it is told of, and refuses what is none."""
    return struct.pack("<I", os.getpid()) * ROWS


def many(plan: Plan) -> None:
    """A thousand rows a call, one after the other on one connection."""
    uids = struct.pack(f"<{ROWS}I", *range(_FIRST_UID, _FIRST_UID + ROWS))
    masks, timeouts = struct.pack("<I", GPS) * ROWS, struct.pack("<Q", TTL_MS) * ROWS
    data = request("APPLYMANY", uids, own_pids(), masks, timeouts)

    def measure(path: Path, data: bytes, rows: int) -> Callable[[float], float]:
        def rate(seconds: float) -> float:
            wire = Wire(path)
            size = wire.learn(data)
            if wire.number(request("COUNT", "GPS")) != rows:
                raise SystemExit("the rows of APPLYMANY were refused")
            count, began = 0, time.perf_counter()
            while time.perf_counter() < began + seconds:
                wire.ask(data, size)
                count += rows
            taken = time.perf_counter() - began
            wire.close()
            return count / taken

        return rate

    piped = b"".join(request("SET", f"{uid}", "value", "PX", TTL_MS) for uid in range(ROWS))
    with (
        redis_server(plan.folder / "rm") as redis,
        grant_server(plan.folder / "gm") as grants,
        grant_server(plan.folder / "gmc", "commit") as commit,
    ):
        group = [
            Contender("Redis, a pipeline of 1,000 SET", piped_rate(redis, piped, ROWS)),
            Contender("grantwheel, APPLYMANY", measure(grants, data, ROWS)),
            Contender("grantwheel, APPLYMANY, commit", measure(commit, data, ROWS)),
        ]
        compare(f"{ROWS:,} grants a call, one connection", "/s", group, plan)


def piped_rate(path: Path, data: bytes, rows: int) -> Callable[[float], float]:
    """Return what measures a pipeline whose answers are +OK, as many as there are rows."""

    def rate(seconds: float) -> float:
        wire = Wire(path)
        count, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            wire.ask(data, rows * len(b"+OK\r\n"))
            count += rows
        taken = time.perf_counter() - began
        wire.close()
        return count / taken

    return rate


def clients(plan: Plan) -> None:
    """Clients in Python, each to its own server: microseconds a call."""
    import redis

    uid, pid = os.getuid(), os.getpid()
    with redis_server(plan.folder / "rp") as redis_path, grant_server(plan.folder / "gp") as grants_path:
        rival = redis.Redis(unix_socket_path=str(redis_path))
        with grantwheel.connect(str(grants_path)) as grants:
            group = [
                Contender("redis-py, set(px=)", each(lambda: rival.set("key", "value", px=TTL_MS))),
                Contender("grantwheel.connect, apply()", each(lambda: grants.apply(uid, pid, GPS, TTL_MS))),
                Contender("grantwheel.connect, app_mask()", each(lambda: grants.app_mask(uid))),
            ]
            compare("a call of a client in Python, one connection", "us", group, plan)
        rival.close()


def each(call: Callable[[], object]) -> Callable[[float], float]:
    """Return what measures a call, in microseconds."""

    def measure(seconds: float) -> float:
        count, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            for _ in range(10):
                call()
            count += 10
        return (time.perf_counter() - began) / count * 1e6

    return measure


def half_load(plan: Plan) -> None:
    """Latencies at half of the rate that the same program gets at most."""
    with redis_server(plan.folder / "rl") as redis, grant_server(plan.folder / "gl") as grants:
        found: dict[str, list[tuple[float, float, float]]] = {}
        servers = {"Redis, SET key value PX": (redis, SET), "grantwheel, APPLY": (grants, APPLY)}
        for _ in range(plan.rounds):
            for name in plan.random.sample(list(servers), len(servers)):
                path, words = servers[name]
                most = latencies(path, request(*words), plan.seconds / 2, CONNECTIONS, None).rate
                half = latencies(path, request(*words), plan.seconds, CONNECTIONS, most / 2)
                found.setdefault(name, []).append((half.p50, half.p99, half.rate))
    print(f"\nhalf of the load that this program can make, {CONNECTIONS} connections")
    for name in servers:
        p50, p99, rate = (statistics.median(column) for column in zip(*found[name], strict=True))
        ratio = statistics.median(one[1] / one[0] for one in found[name])
        print(f"  {name:<40} p50 {p50:>8,.0f} us   p99 {p99:>8,.0f} us   {ratio:>6.2f} x   at {rate:,.0f} /s")


def storm(plan: Plan) -> None:
    """A great many that end at one instant: the longest that another connection waits for an answer meanwhile."""
    print(
        f"\n{plan.storm:,} that end at one instant: the longest answer to PING and to a change, on another connection"
    )
    with redis_server(plan.folder / "rs") as redis, grant_server(plan.folder / "gs") as grants:
        for name, path, fill, words, counted in (
            ("Redis", redis, fill_redis, SET, ["DBSIZE"]),
            ("grantwheel", grants, fill_grants, APPLY, ["COUNT", "GPS"]),
        ):
            end = time.clock_gettime(time.CLOCK_BOOTTIME) + max(plan.storm / 50_000, 1.0)
            fill(path, plan.storm, end)
            wire = Wire(path)
            held = wire.number(request(*counted))
            if held < plan.storm or end - time.clock_gettime(time.CLOCK_BOOTTIME) < 0.5:
                raise SystemExit(f"{name} held only {held} of {plan.storm} in time")
            before, after = watch(wire, words, end - 0.2), watch(wire, words, end + 2.0)
            left = wire.number(request(*counted))
            print(
                f"  {name:<40} {before * 1000:>8.2f} ms before   {after * 1000:>8.2f} ms in the storm   {left:,} left"
            )
            wire.close()


def watch(wire: Wire, words: list[str], until: float) -> float:
    """Ask again and again until an instant, and return how long the longest answer took."""
    asked = [request("PING"), request(*words)]
    sizes = [wire.learn(data) for data in asked]
    longest = 0.0
    while time.clock_gettime(time.CLOCK_BOOTTIME) < until:
        for data, size in zip(asked, sizes, strict=True):
            began = time.perf_counter()
            wire.ask(data, size)
            longest = max(longest, time.perf_counter() - began)
    return longest


def fill_redis(path: Path, count: int, end: float) -> None:
    """Let so many keys end at an instant."""
    wire = Wire(path)
    at = int((time.time() + end - time.clock_gettime(time.CLOCK_BOOTTIME)) * 1000)
    for first in range(0, count, ROWS):
        data = b"".join(request("SET", number, "value", "PXAT", at) for number in range(first, first + ROWS))
        wire.ask(data, ROWS * len(b"+OK\r\n"))
    wire.close()


def fill_grants(path: Path, count: int, end: float) -> None:
    """Let so many grants end at an instant, give or take a millisecond."""
    wire = Wire(path)
    masks = struct.pack("<I", GPS) * ROWS
    for first in range(_FIRST_UID, _FIRST_UID + count, ROWS):
        uids = struct.pack(f"<{ROWS}I", *range(first, first + ROWS))
        left = int((end - time.clock_gettime(time.CLOCK_BOOTTIME)) * 1000)
        wire.learn(request("APPLYMANY", uids, own_pids(), masks, struct.pack("<Q", max(left, 1)) * ROWS))
    wire.close()


PARTS = {one.__name__: one for one in (undurable, durable, many, clients, half_load, storm)}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: that of temporary files")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each line in a round")
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these parts")
    parser.add_argument("--seed", type=int, default=18, help="of the order of turns")
    options = parser.parse_args()
    rounds, seconds, count = (1, 0.05, 10_000) if options.quick else (options.rounds, options.seconds, STORM)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="gw") as name:
        print(f"{rounds} rounds of {seconds:g} s, load {os.getloadavg()[0]:.2f} at the start")
        for part in options.only:
            PARTS[part](Plan(Path(name), rounds, seconds, count, random.Random(options.seed)))


if __name__ == "__main__":
    main()
