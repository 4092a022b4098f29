"""A session that touches every call of the package, step by step, and what can be seen of a manager in between.

Used by `allocation_child.py`, in which allocations fail. A step is one call on the world that the session lives in, and
answers what that call has answered, as something that can be compared.
"""

import gc
from array import array
from collections.abc import Callable
from typing import Any

import grantwheel
from grantwheel import BusinessError, Caller, Manager, ManualClock, MemoryLog, Policy, Subscription, _core
from grantwheel import backgroundTaskManager as documented  # noqa: N813 - the documented name

CPU, COMMON_EVENT, TIMER, WORK_SCHEDULER, BLUETOOTH, GPS, AUDIO, RUNNING_LOCK, SENSOR = (1 << i for i in range(9))
ALL = 511
# Longer than what std::string keeps without an allocation.
MAIL = Caller(uid=70_000, pid=7_100, bundle="org.tide.mail.with.a.long.name", system_app=True, native=True)
MAPS = Caller(uid=80_000, pid=8_100, bundle="org.tide.maps.with.a.long.name", system_app=True)
REASON = "a reason that is longer than what a string has room for"
UIDS = array("q", range(60_000, 60_040))
PIDS = array("q", range(6_000, 6_040))
MASKS = array("i", [ALL, GPS | SENSOR] * 20)
TIMEOUTS = array("I", range(1_000, 1_040))


class Hook:
    """A quota hook that allows everything and remembers whose CPU has ended."""

    def __init__(self) -> None:
        self.settled: list[int] = []

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        return True

    def settle(self, uid: int, /) -> None:
        self.settled.append(uid)


class World:
    """What a session acts on: a clock, one manager, and those who listen to it."""

    def __init__(self, quota: bool = False, log: bool = False) -> None:
        self.clock = ManualClock(start_ms=1_000)
        self.manager: Manager | None = None
        self.reader: Subscription | None = None
        self.picky: Subscription | None = None
        self.listener: Subscription | None = None
        self.heard: list[object] = []
        self.hook = Hook()
        self.log = MemoryLog() if log else None
        self.policy = Policy(
            allowed={MAIL.bundle: [0], MAPS.bundle: [1, 6]},
            unknown_bundles=["org.tide.nobody.knows.this.bundle"],
            cpu_level_max={MAIL.bundle: 2},
            callers={70_000: MAIL, 80_000: MAPS},
            quota=self.hook if quota else None,
        )
        self.out = array("i", bytes(4 * len(UIDS)))

    @property
    def open(self) -> Manager:
        manager = self.manager
        assert manager is not None
        return manager

    def look(self) -> tuple[Any, ...]:
        """Return all that can be seen: grants, deadlines, events, counters, and where each reader is."""
        manager = self.manager
        if manager is None:
            return ()
        try:
            manager.validate()
        except grantwheel.ServiceOperationError:
            return ("closed",)
        records = manager.records()
        stats = without_failures(manager.stats())
        readers = [
            (one.missed, one.pending, one.lateness)
            for one in (self.reader, self.picky, self.listener)
            if one is not None
        ]
        own = (manager._own.missed, manager._own.pending(manager), manager._own.lateness(manager))
        events, notes = manager.read(0), manager.notes()
        settled = tuple(self.hook.settled)
        policy = "new" if manager.policy is self.policy else "old"
        subscribers = len(manager._subscribers._by_subscriber)
        out = self.out.tobytes()
        return (
            records, notes, stats, readers, own, events, settled, policy, subscribers, out, manager.ready,
            manager.next_deadline(), len(self.heard),
        )  # fmt: skip

    def forget(self) -> None:
        """Let go of everything, so that what is still allocated afterwards is lost."""
        documented.set_default_manager(None)
        self.manager = self.reader = self.picky = self.listener = None
        gc.collect()


Step = Callable[[World], object]
NOTES: dict[bytes, bytes | None] = {b"note %d" % number: bytes(100 * number) for number in range(5)}


def _later(step: int) -> Step:
    """Let time pass, and events be made of what is due: a refused call has then none of its own to tell."""

    def wait(world: World) -> object:
        world.clock.advance(step)
        return None

    return wait


def _open(world: World) -> None:
    world.manager = Manager(clock=world.clock, max_records=1_000, max_strings=200, event_capacity=64, log=world.log)


def _subscribe(world: World) -> None:
    world.reader = world.open.subscribe("a reader")


def _subscribe_picky(world: World) -> None:
    world.picky = world.open.subscribe(
        ["a reader that cannot be hashed"], kinds=["app_apply"], uids=range(60_000, 70_001)
    )


def _subscribe_listener(world: World) -> None:
    world.listener = world.open.subscribe(world.heard.append, batch=True, on_gap=world.heard.append)


def _documented(call: Callable[[], object]) -> Step:
    """Make a call of the documented module, with the manager of the world as its own."""

    def step(world: World) -> object:
        documented.set_default_manager(world.manager)
        return call()

    return step


def _cancel(world: World) -> None:
    assert world.picky is not None
    world.picky.cancel()


def _set_ready(world: World) -> None:
    world.open.ready = True


def _request(**fields: Any) -> grantwheel.EfficiencyResourcesRequest:
    return grantwheel.EfficiencyResourcesRequest(**fields)


REQUEST = _request(
    resourceTypes=CPU | GPS, isApply=True, timeOut=90_000, reason=REASON, isPersist=False, isProcess=True, cpuLevel=1
)
PERSISTENT = {"resourceTypes": AUDIO, "isApply": True, "timeOut": 0, "reason": REASON + "!", "isPersist": True}
RELEASE = {"resourceTypes": AUDIO | SENSOR, "isApply": False, "timeOut": 0, "reason": ""}


STEPS: list[tuple[str, Step]] = [
    ("Manager", _open),
    ("subscribe", _subscribe),
    ("subscribe, filtered", _subscribe_picky),
    ("set_policy", lambda w: w.open.set_policy(w.policy)),
    ("fileno of a reader", lambda w: w.reader is not None and w.reader.fileno() > 0),
    ("fileno of a filtered reader", lambda w: w.picky is not None and w.picky.fileno() > 0),
    ("fileno", lambda w: w.open.fileno() > 0),
    ("apply", lambda w: w.open.apply(1_000, 300, ALL, 30_000, reason=REASON)),
    ("apply by caller", lambda w: w.open.apply(70_000, 7_100, CPU | SENSOR, 9_000, cpu_level=2, caller=MAIL)),
    ("apply for a process", lambda w: w.open.apply(80_000, 8_100, ALL, 50, process=True, reason=REASON + "?")),
    ("apply, persistent", lambda w: w.open.apply(90_000, 9_100, TIMER | SENSOR, 0, persist=True, reason="beat " * 50)),
    ("apply, refused", lambda w: w.open.apply(70_000, 7_100, 512, 50)),
    ("apply, level refused", lambda w: w.open.apply(80_000, 8_100, CPU, 50, cpu_level=1)),
    ("drain", lambda w: w.open.drain(2)),
    ("drain all", lambda w: w.open.drain()),
    ("drain a filtered reader", lambda w: w.picky is not None and w.picky.drain()),
    # One by one first: a batch refuses the row that needs memory and goes on, which is looked at elsewhere.
    *(
        ("apply of many", lambda w, i=i: w.open.apply(UIDS[i], PIDS[i], MASKS[i] & ~CPU, TIMEOUTS[i]))
        for i in range(len(UIDS))
    ),
    ("apply_many", lambda w: w.open.apply_many(UIDS, PIDS, MASKS, TIMEOUTS)),
    ("apply_many, out", lambda w: w.open.apply_many(UIDS, PIDS, MASKS, TIMEOUTS, out=w.out)),
    ("app_masks", lambda w: w.open.app_masks(UIDS)),
    ("app_masks, out", lambda w: w.open.app_masks(UIDS, out=w.out)),
    ("drain_columns of a reader", lambda w: w.reader is not None and w.reader.drain_columns(5)),
    ("drain_columns of a filtered reader", lambda w: w.picky is not None and w.picky.drain_columns()),
    ("time goes by", _later(60)),
    ("advance, a slice", lambda w: w.open.advance(1)),
    ("advance", lambda w: w.open.advance()),
    ("renew", lambda w: w.open.renew(1_000, 300, GPS | SENSOR, 60_000, reason=REASON)),
    ("renew for a process", lambda w: w.open.renew(80_000, 8_100, CPU, 60_000, process=True)),
    ("app_mask", lambda w: w.open.app_mask(1_000)),
    ("process_mask", lambda w: w.open.process_mask(8_100)),
    ("holders", lambda w: w.open.holders(SENSOR)),
    ("holders_columns", lambda w: w.open.holders_columns(SENSOR)),
    ("count", lambda w: w.open.count(SENSOR)),
    ("write_notes", lambda w: w.open.write_notes(NOTES)),
    ("write_notes, other ones", lambda w: w.open.write_notes({b"note 1": None, b"another": bytes(5_000)})),
    ("notes", lambda w: w.open.notes()),
    ("find_app", lambda w: w.open.find_app(1_000)),
    ("find_process", lambda w: w.open.find_process(8_100)),
    ("records", lambda w: w.open.records()),
    ("records, a page", lambda w: w.open.records(after=w.open.find_app(1_000), limit=3)),
    ("records_columns", lambda w: w.open.records_columns()),
    ("infos", lambda w: w.open.infos(caller=MAIL)),
    ("infos_columns", lambda w: w.open.infos_columns(caller=MAIL)),
    ("admin_list", lambda w: w.open.admin_list()),
    ("next_deadline", lambda w: w.open.next_deadline()),
    ("wake_at", lambda w: w.open.wake_at),
    ("EfficiencyResourcesRequest", lambda w: _request(resourceTypes=GPS, isApply=True, timeOut=9_000, reason="why")),
    ("repr of a request", lambda w: repr(REQUEST)),
    ("apply_request", lambda w: w.open.apply_request(REQUEST, caller=MAIL)),
    ("apply_request, mapping", lambda w: w.open.apply_request(PERSISTENT, caller=MAIL)),
    ("apply_request, refused", lambda w: w.open.apply_request({"resourceTypes": True}, caller=MAIL)),
    ("get_all", lambda w: w.open.get_all(caller=MAIL)),
    ("apply_request, release", lambda w: w.open.apply_request(RELEASE, caller=MAIL)),
    ("applyEfficiencyResources", _documented(lambda: documented.applyEfficiencyResources(REQUEST))),
    ("getAllEfficiencyResources", _documented(documented.getAllEfficiencyResources)),
    ("resetAllEfficiencyResources", _documented(documented.resetAllEfficiencyResources)),
    ("subscribe, callable", _subscribe_listener),
    ("release", lambda w: w.open.release(1_000, 300, CPU | SENSOR)),
    ("release of a process", lambda w: w.open.release(80_000, 8_100, CPU, process=True)),
    ("release_many", lambda w: w.open.release_many(UIDS[:9], PIDS[:9], MASKS[:9])),
    ("release_many, out", lambda w: w.open.release_many(UIDS, PIDS, MASKS, out=w.out)),
    ("reset_all_request", lambda w: w.open.reset_all_request(caller=MAIL)),
    ("drain what was overwritten", lambda w: w.reader is not None and w.reader.drain()),
    ("drain what came after it", lambda w: w.reader is not None and w.reader.drain()),
    ("drain_columns", lambda w: w.open.drain_columns()),
    ("apply_many again", lambda w: w.open.apply_many(UIDS, PIDS, MASKS, TIMEOUTS)),
    ("reset_all", lambda w: w.open.reset_all(60_000, 6_000)),
    ("process_died", lambda w: w.open.process_died(80_000, 8_100)),
    ("app_stopped", lambda w: w.open.app_stopped(60_002)),
    ("package_removed", lambda w: w.open.package_removed(60_004)),
    ("admin_reset_app", lambda w: w.open.admin_reset_app(60_006, ALL)),
    ("apply for a process again", lambda w: w.open.apply(60_008, 6_008, CPU, 500, process=True)),
    ("apply with a pid that is reused", lambda w: w.open.apply(60_010, 6_008, CPU, 500, process=True)),
    ("admin_reset_process", lambda w: w.open.admin_reset_process(6_008, CPU)),
    ("time goes by once more", _later(1_020)),
    ("count, which advances", lambda w: w.open.count(CPU)),
    ("last events", lambda w: w.open.read(20, 30)),
    ("last events as columns", lambda w: w.open.read_columns(20, 30)),
    ("stats", lambda w: w.open.stats()),
    ("validate", lambda w: w.open.validate()),
    ("ready", lambda w: w.open.ready),
    ("set ready", _set_ready),
    ("clock", lambda w: w.open.clock is w.clock and w.clock.now()),
    ("set the clock", lambda w: w.clock.set(5_000)),
    ("ManualClock", lambda w: grantwheel.ManualClock(start_ms=123_456).now()),
    ("BootClock", lambda w: grantwheel.BootClock().now() > 0),
    ("MonotonicClock", lambda w: grantwheel.MonotonicClock().now() > 0),
    ("policy", lambda w: w.open.policy is w.policy),
    ("pending and lateness", lambda w: w.picky is not None and (w.picky.pending, w.picky.lateness, w.picky.missed)),
    ("hold", lambda w: w.open.hold(GPS, uid=1, pid=2) is not None),
    ("cancel", _cancel),
    ("cancel again, refused", _cancel),
    ("unsubscribe, refused", lambda w: w.open.unsubscribe("nobody")),
    ("unsubscribe", lambda w: w.open.unsubscribe("a reader")),
    ("admin_reset_all", lambda w: w.open.admin_reset_all()),
    ("close", lambda w: w.open.close()),
    ("apply when closed, refused", lambda w: w.open.apply(1_000, 300, ALL, 30_000, reason=REASON)),
]  # fmt: skip


def without_failures(stats: grantwheel.Stats) -> grantwheel.Stats:
    """Leave out what may differ: a refusal that could not be told was one nevertheless, as was a failed append."""
    log = None if stats.log is None else stats.log._replace(failures=0)
    return stats._replace(refused={}, log=log)


def plain(answer: object) -> object:
    """Turn what a step has answered into something that stays and can be compared."""
    if isinstance(answer, array):
        return answer.tolist()
    if isinstance(answer, grantwheel.EventColumns):
        return [column.tolist() for column in answer]
    if isinstance(
        answer, ManualClock | grantwheel.BootClock | grantwheel.MonotonicClock | _core.Manager | _core.Cursor
    ):
        return type(answer)
    if isinstance(answer, grantwheel.Stats):
        return without_failures(answer)
    if isinstance(answer, BusinessError | ValueError | TypeError):
        return type(answer).__name__, str(answer)
    return answer
