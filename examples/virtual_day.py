"""A day of apps in virtual time: who held what for how long, summed up from the events.

    python examples/virtual_day.py [APPS [SEED]]

Time is an argument of the clock, so a day takes as long as its calls do, seconds for two thousand apps, and the same
seed gives the same day. All that is printed was read from the events: they are the whole history of every mask.
"""

import argparse
import heapq
import random
from collections import Counter, defaultdict

import grantwheel
from grantwheel import Cause, EventKind, ResourceType

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY = 24 * HOUR
FIRST_UID = 10_000
PID = 1  # apps alone hold something here, no processes


def act(manager: grantwheel.Manager, uid: int, choose: random.Random) -> None:
    """Let an app do one of the things that apps do."""
    choice = choose.randrange(100)
    if choice < 30:  # a message has come
        manager.apply(uid, PID, ResourceType.COMMON_EVENT, choose.randrange(5 * SECOND, 30 * SECOND))
    elif choice < 50:  # a synchronisation
        manager.apply(uid, PID, ResourceType.CPU | ResourceType.WORK_SCHEDULER, choose.randrange(MINUTE, 11 * MINUTE))
    elif choice < 70:  # on the way: the next turns extend it
        manager.apply(uid, PID, ResourceType.GPS, 20 * MINUTE)
    elif choice < 78:  # music, until it is stopped
        manager.apply(uid, PID, ResourceType.AUDIO | ResourceType.BLUETOOTH, 0, persist=True)
    elif choice < 86:
        manager.release(uid, PID, ResourceType.AUDIO | ResourceType.BLUETOOTH)
    elif choice < 92:  # an alarm, which survives the next two
        manager.apply(uid, PID, ResourceType.TIMER, choose.randrange(4 * HOUR, 8 * HOUR))
    elif choice < 97:
        manager.app_stopped(uid)
    else:
        manager.release(uid, PID, ResourceType.ALL)


class Ledger:
    """Follows the events: for each type how long it was held, how often it was granted, and how grants ended."""

    def __init__(self) -> None:
        self.since: dict[tuple[int, ResourceType], int] = {}
        self.held: Counter[ResourceType] = Counter()
        self.grants: Counter[ResourceType] = Counter()
        self.ended: dict[ResourceType, Counter[Cause]] = defaultdict(Counter)

    def read(self, manager: grantwheel.Manager) -> None:
        for event in manager.drain():
            for resource in ResourceType(event.mask):
                if event.kind is EventKind.APP_APPLY:
                    self.since[event.uid, resource] = event.time
                    self.grants[resource] += 1
                else:
                    self.held[resource] += event.time - self.since.pop((event.uid, resource))
                    self.ended[resource][event.cause] += 1

    def print(self) -> None:
        causes = (Cause.RELEASE, Cause.EXPIRED, Cause.APP_STOPPED, Cause.ADMIN)
        print(f"{'type':14} {'hours held':>12} {'grants':>8}", *(f"{cause:>11}" for cause in causes))
        for resource in ResourceType.ALL:
            counts = (f"{self.ended[resource][cause]:11}" for cause in causes)
            print(
                f"{resource.name:14} {self.held[resource] / HOUR:12.1f} {self.grants[resource]:8}",
                *counts,
            )


def main() -> None:
    """Simulate the day and print what came of it."""
    parser = argparse.ArgumentParser(description="A day of apps in virtual time: who held what for how long.")
    parser.add_argument("apps", nargs="?", type=int, default=2_000, help="1..100000 (2000)")
    parser.add_argument("seed", nargs="?", type=int, default=1, help="the same seed gives the same day (1)")
    options = parser.parse_args()
    if not 1 <= options.apps <= 100_000:
        parser.error(f"APPS must be within 1..100000, not {options.apps}")

    choose = random.Random(options.seed)
    clock = grantwheel.ManualClock(start_ms=0)
    manager = grantwheel.Manager(clock=clock)
    ledger = Ledger()
    turns = [(choose.randrange(30 * MINUTE), uid) for uid in range(FIRST_UID, FIRST_UID + options.apps)]
    heapq.heapify(turns)
    for minute in range(MINUTE, DAY + 1, MINUTE):
        while turns[0][0] < minute:
            time, uid = turns[0]
            clock.set(time)
            act(manager, uid, choose)
            heapq.heapreplace(turns, (time + MINUTE + choose.randrange(40 * MINUTE), uid))
        clock.set(minute)
        manager.advance()
        ledger.read(manager)  # once a minute: the manager keeps more events than a minute has
    manager.admin_reset_all()  # midnight: what is still held ends
    ledger.read(manager)

    print(f"a day of {options.apps} apps: {manager.last_sequence} events, {manager.missed} missed\n")
    ledger.print()
    manager.close()


if __name__ == "__main__":
    main()
