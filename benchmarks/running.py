"""What it costs to let a manager run: lateness, delivery, calls, and what it does while nothing happens.

    python benchmarks/running.py [--seconds 10]

Prints one line per figure. Lateness is that of each expiry, from its deadline to the first line of the callback or of
the ``async for`` that has it, with 100,000 grants live and 10,000 ending each second; whoever has them applies for them
again. The deadlines are whole milliseconds, the measurement is finer.
"""

import argparse
import asyncio
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import grantwheel
from grantwheel import EventKind, Manager, ResourceType, aio

LIVE = 100_000
PER_SECOND = 10_000
EVENTS = 400_000
CALLS = 200_000
GPS = int(ResourceType.GPS)
RESETS = (EventKind.APP_RESET, EventKind.PROCESS_RESET)


def now_ms() -> float:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


class Renewer:
    """Notes how late each expiry comes, and applies again for its owner, for as long as all others last."""

    def __init__(self, manager: Manager, timeout_ms: int) -> None:
        self.manager = manager
        self.timeout_ms = timeout_ms
        self.late: list[float] = []

    def take(self, events: list[grantwheel.Event]) -> None:
        now = now_ms()
        self.late += [now - event.time for event in events]
        uids = array("I", [event.uid for event in events])
        self.manager.apply_many(uids, uids, array("i", [GPS]) * len(uids), array("I", [self.timeout_ms]) * len(uids))

    def report(self, name: str) -> None:
        late = sorted(self.late)
        p50, p99, p999 = (late[int(len(late) * part)] for part in (0.5, 0.99, 0.999))
        print(
            f"lateness, {name}: {len(late)} expiries, earliest {late[0]:.3f} ms, median {p50:.2f} ms, "
            f"p99 {p99:.2f} ms, p99.9 {p999:.2f} ms, latest {late[-1]:.2f} ms"
        )


def prepared() -> tuple[Manager, Renewer]:
    """A manager whose grants end evenly over the next ten seconds."""
    span = LIVE // PER_SECOND * 1000
    manager = Manager(reserve=LIVE)
    uids = array("I", range(LIVE))
    timeouts = array("I", [500 + uid * span // LIVE for uid in range(LIVE)])
    manager.apply_many(uids, uids, array("i", [GPS]) * LIVE, timeouts)
    return manager, Renewer(manager, span)


def lateness_in_thread(seconds: float) -> None:
    manager, renewer = prepared()
    manager.subscribe(renewer.take, kinds=RESETS, batch=True)
    with manager.running():
        time.sleep(seconds)
    renewer.report("thread")
    assert manager.missed == 0


def lateness_on_loop(seconds: float) -> None:
    manager, renewer = prepared()

    async def read() -> None:
        async for events in aio.events(manager, kinds=RESETS, batch=True):
            renewer.take(events)

    async def main() -> None:
        async with aio.running(manager):
            reading = asyncio.create_task(read())
            await asyncio.sleep(seconds)
            reading.cancel()

    asyncio.run(main())
    renewer.report("asyncio")


def make_events(manager: Manager) -> None:
    uids = array("I", range(EVENTS // 2))
    masks = array("i", [GPS]) * len(uids)
    manager.apply_many(uids, uids, masks, array("I", [3_600_000]) * len(uids))
    manager.release_many(uids, uids, masks)


def delivery(name: str, batch: bool) -> None:
    """How many events a second reach a callback that counts them."""
    manager = Manager(event_capacity=EVENTS)
    done = threading.Event()
    count = 0

    def take_batch(events: list[grantwheel.Event]) -> None:
        nonlocal count
        count += len(events)
        if count == EVENTS:
            done.set()

    def take_one(_: grantwheel.Event) -> None:
        nonlocal count
        count += 1
        if count == EVENTS:
            done.set()

    callback: Callable[..., None] = take_batch if batch else take_one
    manager.subscribe(callback, batch=batch)
    make_events(manager)
    start = time.perf_counter()
    with manager.running():
        done.wait()
        taken = time.perf_counter() - start
    print(f"delivery, callback, {name}: {EVENTS / taken:,.0f} events/s")


def delivery_on_loop(name: str, batch: bool) -> None:
    manager = Manager(event_capacity=EVENTS)

    async def main() -> float:
        count = 0
        stream = aio.events(manager, batch=True) if batch else aio.events(manager)
        make_events(manager)
        start = time.perf_counter()
        async for events in stream:
            count += len(events) if isinstance(events, list) else 1
            if count == EVENTS:
                break
        return time.perf_counter() - start

    print(f"delivery, async for, {name}: {EVENTS / asyncio.run(main()):,.0f} events/s")


def calls(name: str, manager: Manager) -> None:
    """What a renewal, and a grant with its release, cost: the least of seven runs."""
    apply, release = manager.apply, manager.release
    for what, body in (
        ("renewal", lambda: [apply(uid, 1, GPS, 3_600_000) for uid in range(1000)]),
        ("apply and release", lambda: [(apply(uid, 1, 1, 3_600_000), release(uid, 1, 1)) for uid in range(1000)]),
    ):
        body()
        best = float("inf")
        for _ in range(7):
            start = time.perf_counter()
            for _ in range(CALLS // 7000):
                body()
            best = min(best, (time.perf_counter() - start) / (CALLS // 7000 * 1000))
        print(f"{what}, {name}: {best * 1e9:.0f} ns")


def threads() -> set[int]:
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def switches(thread: int) -> int:
    status = Path(f"/proc/self/task/{thread}/status").read_text(encoding="ascii")
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def idle(seconds: float) -> None:
    """How often the threads of a runner wake while its next deadline is an hour away."""
    manager = Manager()
    manager.subscribe(list, batch=True)
    manager.apply(1, 1, GPS, 3_600_000)
    before = threads()
    with manager.running():
        time.sleep(0.5)
        new = threads() - before
        start = sum(map(switches, new))
        time.sleep(seconds)
        print(f"idle: {sum(map(switches, new)) - start} wake-ups of {len(new)} threads in {seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each measurement of lateness lasts")
    seconds = parser.parse_args().seconds
    lateness_in_thread(seconds)
    lateness_on_loop(seconds)
    for name, batch in (("in batches", True), ("one by one", False)):
        delivery(name, batch)
        delivery_on_loop(name, batch)
    calls("nobody waits", Manager())
    manager = Manager()
    with manager.running():
        calls("running", manager)
    manager = Manager()
    manager.subscribe(len, batch=True, on_gap=abs)
    with manager.running():
        calls("running, a subscriber in batches", manager)
    idle(2.0)


if __name__ == "__main__":
    main()
