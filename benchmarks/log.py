"""What a log costs: single calls and batches with one that only takes bytes, and many threads over one that is slow.

    python benchmarks/log.py [--rows N] [--seconds S] [--threads N] [--delay-ms MS]

Calls with and without a log are made in turns, so that a busy machine troubles both alike; the medians are compared.
"""

import argparse
import statistics
import threading
import time
from array import array

from grantwheel import Manager, ManualClock, MemoryLog

GPS = 32
TTL = 30_000
CALLS = 50_000
UIDS = 1024


class SlowLog:
    """Takes groups, each after some time, as a disk that is synced does."""

    def __init__(self, delay_s: float) -> None:
        self.groups = 0
        self._delay_s = delay_s

    def last(self) -> int:
        """Return how many there are."""
        return self.groups

    def append(self, after: int, _group: bytes, /) -> int:
        """Take one more."""
        time.sleep(self._delay_s)
        self.groups = after + 1
        return self.groups


def renew_many_times(manager: Manager) -> float:
    """Return the nanoseconds of one apply of what is held."""
    apply = manager.apply
    began = time.perf_counter_ns()
    for call in range(CALLS):
        apply(call % UIDS, 1, GPS, TTL)
    return (time.perf_counter_ns() - began) / CALLS


def single_calls(turns: int = 9) -> tuple[float, float]:
    """Return the nanoseconds of a call without a log and with one."""
    clock = ManualClock()
    taken: tuple[list[float], list[float]] = ([], [])
    plain = Manager(clock=clock)
    for _ in range(turns):
        taken[0].append(renew_many_times(plain))
        with Manager(clock=clock, log=MemoryLog()) as logged:
            renew_many_times(logged)
            taken[1].append(renew_many_times(logged))
    return statistics.median(taken[0]), statistics.median(taken[1])


def batch(rows: int) -> float:
    """Return the grants a second of a batch for owners that are new, with a log."""
    uids, masks, timeouts = array("I", range(rows)), array("I", [GPS]) * rows, array("I", [TTL]) * rows
    out = array("i", [0]) * rows
    rates = []
    for _ in range(3):
        with Manager(clock=ManualClock(), log=MemoryLog(), max_records=2 * rows, reserve=rows) as manager:
            began = time.perf_counter()
            manager.apply_many(uids, uids, masks, timeouts, out=out)
            rates.append(rows / (time.perf_counter() - began))
    return statistics.median(rates)


def many_threads(threads: int, seconds: float, delay_s: float) -> tuple[float, float]:
    """Return the calls and the groups a second of many threads over a slow log."""
    log = SlowLog(delay_s)
    manager = Manager(log=log)
    counts = [0] * threads
    give_up = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < give_up:
            manager.apply(number, 1, GPS, TTL)
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = time.perf_counter() - began
    manager.close()
    return sum(counts) / taken, log.groups / taken


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--delay-ms", type=float, default=2.0)
    options = parser.parse_args()
    plain, logged = single_calls()
    print(f"a call: {plain:.0f} ns without a log, {logged:.0f} ns with one ({logged / plain:.2f} times)")
    print(f"a batch of {options.rows} rows with a log: {batch(options.rows) / 1e6:.2f} M grants/s")
    calls, groups = many_threads(options.threads, options.seconds, options.delay_ms / 1000)
    print(f"{options.threads} threads, a log of {options.delay_ms:g} ms: {calls:.0f} calls/s in {groups:.0f} groups/s")


if __name__ == "__main__":
    main()
