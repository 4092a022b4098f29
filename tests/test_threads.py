"""Many threads on one manager, with every kind of call at once: nobody waits for ever, and the numbers add up.

What the threads meet differs from run to run, and what is checked holds whatever that is. Each test is short enough
for every run; under the thread sanitizer (`tests/sanitized.py thread`) it also shows every access without a lock.
"""

import random
import sys
import threading
from array import array
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from grantwheel import BusinessError, Caller, Cause, Event, EventKind, Manager, ManualClock, MemoryLog, Policy, replay
from support import AUDIO, CPU, GPS, TIMER, Hook, make_manager, refusal
from waiting import PATIENCE, wait_for

UIDS = 40
MASKS = (GPS, AUDIO, CPU, TIMER, GPS | CPU, AUDIO | TIMER)
SEED = random.SystemRandom().randrange(2**32)  # printed by a test that fails


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, all from the same moment on; fail if one fails or does not come to its end."""
    print(f"seed {SEED}")
    start = threading.Barrier(len(works))
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            start.wait(PATIENCE)
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # s; as often as it can be, so that they meet each other in the middle of things
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(4 * PATIENCE)
    finally:
        sys.setswitchinterval(interval)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


class Crowd:
    """What the threads do to a manager, a turn each, and how many refusals they met."""

    def __init__(self, manager: Manager, clock: ManualClock, turns: int) -> None:
        self.manager = manager
        self.clock = clock
        self.turns = turns
        self.lock = threading.Lock()
        self.refused: Counter[int] = Counter()
        self.drained: list[Event] = []

    def worker(self, number: int, turn: Callable[[random.Random], object]) -> Callable[[], None]:
        """All turns of one thread."""
        random_numbers = random.Random(f"{SEED} {number}")

        def work() -> None:
            for _ in range(self.turns):
                try:
                    turn(random_numbers)
                except BusinessError as error:
                    with self.lock:
                        self.refused[error.code] += 1

        return work

    def call(self, dice: random.Random) -> None:
        uid, mask = dice.randrange(UIDS), dice.choice(MASKS)
        self.manager.apply(uid, 1, mask, 1 + dice.randrange(20), reason=f"reason {dice.randrange(5)}")
        self.manager.apply(uid, 100 + uid, CPU, 5, process=True, persist=dice.random() < 0.5)
        self.manager.find_app(uid)
        self.manager.app_mask(uid)
        self.manager.process_mask(100 + uid)
        self.manager.release(dice.randrange(UIDS), 1, dice.choice(MASKS))

    def call_many(self, dice: random.Random) -> None:
        uids = array("I", (dice.randrange(UIDS) for _ in range(200)))
        masks = array("i", (dice.choice(MASKS) for _ in uids))
        answers = list(self.manager.apply_many(uids, uids, masks, array("I", [1 + dice.randrange(20)] * len(uids))))
        self.manager.app_masks(uids)
        answers += self.manager.release_many(uids[::2], uids[::2], masks[::2])
        with self.lock:
            self.refused.update(-answer for answer in answers if answer < 0)

    def go_on(self, dice: random.Random) -> None:
        self.clock.advance(dice.randrange(3))
        self.manager.advance(dice.randrange(1, 50))
        _ = self.manager.wake_at
        self.manager.next_deadline()

    def look(self, dice: random.Random) -> None:
        self.manager.holders(GPS)
        self.manager.count(AUDIO)
        self.manager.records(limit=10)
        self.manager.stats()
        self.drained += self.manager.drain(dice.randrange(1, 500))
        self.manager.validate()

    def subscribe(self, dice: random.Random) -> None:
        with self.manager.subscribe(lambda _: None):
            reader = self.manager.subscribe(f"reader {dice.random()}", uids=[1, 2, 3], kinds=[EventKind.APP_RESET])
            reader.fileno()
            assert all(event.kind == EventKind.APP_RESET and event.uid in (1, 2, 3) for event in reader.drain())
            assert reader.pending >= 0
            reader.cancel()

    def govern(self, dice: random.Random) -> None:
        uid = dice.randrange(UIDS)
        self.manager.set_policy(Policy(quota=Hook(dice.random() < 0.9)) if dice.random() < 0.5 else Policy())
        self.manager.app_stopped(uid)
        self.manager.process_died(uid, 100 + uid)
        self.manager.package_removed(dice.randrange(UIDS))
        self.manager.admin_reset_app(dice.randrange(UIDS), GPS)
        self.manager.ready = False
        self.manager.ready = True

    def works(self) -> list[Callable[[], None]]:
        turns = (
            self.call, self.call, self.call_many, self.call_many, self.go_on, self.look, self.subscribe, self.govern
        )  # fmt: skip
        return [self.worker(number, turn) for number, turn in enumerate(turns)]


def held_after(events: list[Event]) -> tuple[dict[int, int], dict[int, int]]:
    """What apps and processes hold after these events."""
    apps: dict[int, int] = {}
    processes: dict[int, int] = {}
    for event in events:
        is_app = event.kind in (EventKind.APP_APPLY, EventKind.APP_RESET)
        records, key = (apps, event.uid) if is_app else (processes, event.pid)
        before = records.get(key, 0)
        if event.kind in (EventKind.APP_APPLY, EventKind.PROCESS_APPLY):
            assert before & event.mask == 0
            records[key] = before | event.mask
        else:
            assert before & event.mask == event.mask
            records[key] = before & ~event.mask
    return apps, processes


def check_sums(manager: Manager, events: list[Event]) -> None:
    """Check that events, counters and records tell the same story."""
    assert [event.sequence for event in events] == list(range(1, manager.last_sequence + 1))
    times = [event.time for event in events if event.cause != Cause.EXPIRED]
    assert times == sorted(times)
    apps, processes = held_after(events)
    assert {uid: mask for uid, mask in apps.items() if mask} == {
        record.uid: record.mask for record in manager.records() if record.kind == "app"
    }
    assert {pid: mask for pid, mask in processes.items() if mask} == {
        record.pid: record.mask for record in manager.records() if record.kind == "process"
    }
    ended: Counter[Cause] = Counter()
    for event in events:
        ended[event.cause] += event.mask.bit_count()
    stats = manager.stats()
    assert stats.granted == ended.pop(Cause.APPLY)
    assert {cause: count for cause, count in stats.ended.items() if count} == dict(ended)
    manager.validate()


@pytest.mark.parametrize("is_running", [False, True])
def test_every_kind_of_call_at_once(is_running: bool) -> None:
    manager, clock = make_manager(event_capacity=1 << 20)
    delivered: list[Event] = []
    manager.subscribe(delivered.append)
    crowd = Crowd(manager, clock, turns=150)
    if is_running:
        with manager.running():
            at_once(*crowd.works())
    else:
        at_once(*crowd.works())
    manager.advance()
    events = crowd.drained + manager.drain()
    assert manager.missed == 0
    check_sums(manager, events)
    if is_running:
        assert delivered == events[: len(delivered)]
    refused = {code: count for code, count in manager.stats().refused.items() if count}
    assert refused == dict(crowd.refused)


def test_two_threads_drain_what_a_third_makes() -> None:
    """Each event goes to one of them, and each of them sees its own in order."""
    manager, _ = make_manager()
    done = threading.Event()
    mine: tuple[list[Event], list[Event]] = ([], [])

    def make() -> None:
        for turn in range(2000):
            manager.apply(turn % UIDS, 1, GPS, 0, persist=True)
            manager.release(turn % UIDS, 1, GPS)
        done.set()

    def drain(events: list[Event]) -> None:
        while not done.is_set():
            events += manager.drain(7)

    at_once(make, lambda: drain(mine[0]), lambda: drain(mine[1]))
    rest = manager.drain()
    for events in mine:
        assert events == sorted(events)
    assert sorted(mine[0] + mine[1] + rest) == manager.read(0)[0]


@pytest.mark.parametrize("attempt", range(10))
def test_a_close_ends_everybody(attempt: int) -> None:
    """Each call is carried out, or refused because the manager is closed; nobody is left waiting."""
    before = threading.active_count()
    manager, clock = make_manager()
    manager.subscribe(lambda _: None)
    manager.fileno()
    crowd = Crowd(manager, clock, turns=0)

    def until_closed(turn: Callable[[random.Random], object]) -> Callable[[], None]:
        dice = random.Random(f"{SEED} {attempt} {turn.__name__}")

        def repeat() -> None:
            while True:
                turn(dice)

        def work() -> None:
            assert refusal(repeat).detail in (980000402, 1870000402)

        return work

    def close() -> None:
        wait_for(lambda: manager.last_sequence > 300)
        manager.close()

    runner = manager.running()
    runner.start()
    at_once(*map(until_closed, (crowd.call, crowd.call_many, crowd.go_on, crowd.look)), close)
    runner.stop()
    wait_for(lambda: threading.active_count() == before)


def test_managers_come_and_go_on_a_clock_that_another_thread_sets() -> None:
    clock = ManualClock()
    done = threading.Event()

    def live() -> None:
        for uid in range(100):
            manager = Manager(clock=clock)
            manager.fileno()
            with manager.running():
                manager.apply(uid, 1, GPS, 1_000_000)
            if uid % 2:
                manager.close()

    def go_on() -> None:
        while not done.is_set():
            clock.advance(1)

    def live_all() -> None:
        at_once(live, live, live)
        done.set()

    at_once(go_on, live_all)


def test_a_record_of_many_threads_leads_to_the_same_state() -> None:
    log = MemoryLog()
    manager, clock = make_manager(log=log)

    def change(number: int) -> Callable[[], None]:
        dice = random.Random(f"{SEED} {number}")

        def work() -> None:
            for _ in range(200):
                manager.apply(dice.randrange(UIDS), 1, dice.choice(MASKS), 1 + dice.randrange(20))
                manager.release(dice.randrange(UIDS), 1, dice.choice(MASKS))

        return work

    def go_on() -> None:
        for _ in range(100):
            clock.advance(1)

    at_once(*map(change, range(4)), go_on)
    follower = replay(group for _, group in log.read())
    assert follower.records(now_ms=clock.now()) == manager.records()
    manager.advance()
    for _, group in log.read(follower.position):
        follower.feed(group)
    assert follower.read(0)[0] == manager.drain()


def test_a_quota_that_comes_while_a_call_waits_for_the_lock_is_asked() -> None:
    # Who gets the lock first is chance. A grant under the new policy would be one that its quota has refused.
    numbers = array("I", range(20_000))
    new = Policy(callers={7: Caller(bundle="new", system_app=True)}, quota=Hook(answer=False))

    def apply(manager: Manager) -> None:
        with suppress(BusinessError):
            manager.apply(7, 1, CPU, 40)

    for _ in range(30):
        manager = Manager(clock=ManualClock())
        at_once(partial(manager.apply_many, *[numbers] * 4), partial(apply, manager), partial(manager.set_policy, new))
        record = manager.find_app(7)
        assert record is None or record.bundle == ""
