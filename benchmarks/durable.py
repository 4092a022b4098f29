"""What durability costs, beside what others ask for the same: changes that survive a crash.

    pip install '.[bench-durable]'
    python benchmarks/durable.py [--folder DIR] [--rounds N] [--seconds S]

All files are in one folder, so on one disk, whose sync is measured too. Contenders take turns; each line has the median
of the rounds, and the ratio to the first line of its group in the same round. Redis takes part where there is a
``redis-server``. Every contender renews one of 1,024 grants a call, and has it on the disk when the call returns,
unless its line says otherwise.
"""

import argparse
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grantwheel
from grantwheel import ResourceType

GPS = int(ResourceType.GPS)
UIDS = 1024
TTL_MS = 3_600_000
BATCH = 10_000
RECORD = b"x" * 200


class Contender(NamedTuple):
    """One line: what is called again and again, from how many threads, and how many grants a call is."""

    name: str
    work: Callable[[int], object]
    threads: int = 1
    grants: int = 1


def rate(contender: Contender, seconds: float) -> float:
    """Return the grants a second over some time."""
    counts = [0] * contender.threads
    give_up = time.perf_counter() + seconds

    def work(number: int) -> None:
        call = number
        while time.perf_counter() < give_up:
            for _ in range(1 if contender.grants > 1 else 4):
                contender.work(call % UIDS)
                call += contender.threads
                counts[number] += 1

    began = time.perf_counter()
    if contender.threads == 1:
        work(0)
    else:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(contender.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(counts) * contender.grants / (time.perf_counter() - began)


@contextmanager
def synced_file(folder: Path) -> Iterator[Callable[[int], object]]:
    """A bare file that grows by a record and is synced each time."""
    with (folder / "bare").open("ab", buffering=0) as file:

        def append(_: int) -> None:
            file.write(RECORD)
            os.fdatasync(file.fileno())

        yield append


@contextmanager
def overwritten_file(folder: Path) -> Iterator[Callable[[int], object]]:
    """A file of a fixed size, of which a record is written anew and synced each time."""
    path = folder / "laid-out"
    path.write_bytes(bytes(1 << 20))
    with path.open("r+b", buffering=0) as file:
        os.fsync(file.fileno())

        def put(uid: int) -> None:
            os.pwrite(file.fileno(), RECORD, uid * len(RECORD))
            os.fdatasync(file.fileno())

        yield put


@contextmanager
def sqlite_rows(folder: Path) -> Iterator[Callable[[int], object]]:
    """A table of grants, and one UPDATE a call."""
    connection = sqlite3.connect(folder / "rows.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE grants(uid INTEGER PRIMARY KEY, mask INTEGER, deadline INTEGER)")
    connection.executemany("INSERT INTO grants VALUES (?, 0, 0)", ((uid,) for uid in range(UIDS)))

    def renew(uid: int) -> None:
        deadline = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 + TTL_MS
        connection.execute("UPDATE grants SET mask = mask | ?, deadline = ? WHERE uid = ?", (GPS, deadline, uid))

    yield renew
    connection.close()


@contextmanager
def disk_cache(folder: Path) -> Iterator[Callable[[int], object]]:
    """`diskcache`, with the sync of each commit turned on."""
    import diskcache

    with diskcache.Cache(folder / "diskcache", sqlite_synchronous=2) as cache:
        yield lambda uid: cache.set((uid, GPS), b"reason", expire=TTL_MS / 1000)


@contextmanager
def lightning(folder: Path) -> Iterator[Callable[[int], object]]:
    """LMDB, one transaction a call."""
    import lmdb

    with lmdb.open(str(folder / "lmdb"), map_size=1 << 28) as environment:

        def renew(uid: int) -> None:
            deadline = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 + TTL_MS
            with environment.begin(write=True) as transaction:
                transaction.put(uid.to_bytes(4, "big"), deadline.to_bytes(8, "big"))

        yield renew


@contextmanager
def redis_always(folder: Path) -> Iterator[Callable[[int], object]]:
    """Redis with ``appendfsync always``, over a Unix socket."""
    import redis

    path = folder / "redis.sock"
    options = f"--port 0 --unixsocket {path} --appendonly yes --appendfsync always --dir {folder} --save ''".split(" ")
    options[-1] = ""
    with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(200):
                with socket.socket(socket.AF_UNIX) as probe:
                    if probe.connect_ex(str(path)) == 0:
                        break
                time.sleep(0.05)
            client = redis.Redis(unix_socket_path=str(path))
            yield lambda uid: client.set(f"{uid}:{GPS}", b"reason", px=TTL_MS)
            client.close()
        finally:
            server.terminate()


def batches(manager: grantwheel.Manager) -> Callable[[int], object]:
    """Return what renews 10,000 grants in one call."""
    uids = array("I", range(BATCH))
    masks, timeouts, out = array("I", [GPS]) * BATCH, array("I", [TTL_MS]) * BATCH, array("i", [0]) * BATCH
    return lambda _: manager.apply_many(uids, uids, masks, timeouts, out=out)


def calls(manager: grantwheel.Manager) -> Callable[[int], object]:
    """Return what renews one grant."""
    return lambda uid: manager.apply(uid, 1, GPS, TTL_MS)


def show(title: str, group: list[Contender], rounds: int, seconds: float) -> None:
    """Measure a group of contenders in turns, and print a line for each."""
    rates: list[list[float]] = [[] for _ in group]
    for contender in group:
        rate(contender, seconds / 4)
    for _ in range(rounds):
        for taken, contender in zip(rates, group, strict=True):
            taken.append(rate(contender, seconds))
    print(f"\n{title}")
    for taken, contender in zip(rates, group, strict=True):
        middle = statistics.median(taken)
        ratio = statistics.median(own / first for own, first in zip(taken, rates[0], strict=True))
        print(f"  {contender.name:<44} {middle:>12,.0f} grants/s {1e6 / middle:>10.2f} us {ratio:>8.2f} x")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: that of temporary files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each line in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        measure(Path(name), options.rounds, options.seconds)


def measure(folder: Path, rounds: int, seconds: float) -> None:
    """Measure all groups in a folder."""
    with (
        grantwheel.Manager() as off,
        grantwheel.open(folder / "commit.db") as commit,
        grantwheel.open(folder / "batch.db", durability="batch") as batch,
        synced_file(folder) as bare,
        overwritten_file(folder) as laid_out,
        sqlite_rows(folder) as rows,
        disk_cache(folder) as cache,
        lightning(folder) as lmdb,
    ):
        group = [
            Contender("a file that grows, fdatasync", bare),
            Contender("a file of a fixed size, fdatasync", laid_out),
            Contender("grantwheel, commit", calls(commit)),
            Contender("SQLite, one UPDATE a call", rows),
            Contender("diskcache", cache),
            Contender("LMDB", lmdb),
        ]
        if shutil.which("redis-server") is None:
            print("there is no redis-server", file=sys.stderr)
            show("one thread", group, rounds, seconds)
        else:
            with redis_always(folder) as redis:
                show("one thread", [*group, Contender("Redis, appendfsync always", redis)], rounds, seconds)
        show(
            "commit, many threads",
            [
                Contender("1 thread", calls(commit)),
                Contender("16 threads", calls(commit), threads=16),
                Contender("64 threads", calls(commit), threads=64),
            ],
            rounds,
            seconds,
        )
        show(
            "single calls",
            [Contender("no journal", calls(off)), Contender("batch (on the disk soon after)", calls(batch))],
            rounds,
            seconds,
        )
        show(
            f"{BATCH:,} grants a call",
            [
                Contender("no journal", batches(off), grants=BATCH),
                Contender("batch (on the disk soon after)", batches(batch), grants=BATCH),
                Contender("commit", batches(commit), grants=BATCH),
            ],
            rounds,
            seconds,
        )


if __name__ == "__main__":
    main()
