"""Work that grows with the owners keeps nobody waiting: other threads run, and call the manager, in the middle of it.

What is counted is what others get done while such a call is on its way, not how long it takes. Where the call held the
GIL or the lock for all of its time, that would be nothing.
"""

import sysconfig
import threading
from array import array
from collections.abc import Callable
from typing import Any

import pytest

import grantwheel
from grantwheel import Caller, Event, Manager, ManualClock, OwnerKind, Policy
from support import CPU, GPS, TIMER, Hook, make_manager

MANY = 60_000
UIDS = array("I", range(MANY))
ATTEMPTS = 40  # the system may stop a thread at any time, and for any time
ENOUGH = 5  # calls that others get done meanwhile
HAS_NO_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def filled(timeout_ms: int = 1, **arguments: Any) -> tuple[Manager, ManualClock]:
    """Make a manager of many apps that all hold GPS for a time."""
    manager, clock = make_manager(event_capacity=1000, **arguments)
    manager.apply_many(UIDS, UIDS, array("I", [GPS]) * MANY, array("I", [timeout_ms]) * MANY)
    return manager, clock


def with_processes() -> tuple[Manager, ManualClock]:
    """Make a manager of one app with many processes that hold CPU."""
    manager, clock = make_manager(event_capacity=1000)
    for pid in range(MANY // 3):
        manager.apply(1, pid, CPU, 1000, process=True)
    return manager, clock


def others_meanwhile(work: Callable[[], object], other: Callable[[], object]) -> int:
    """Make a call in a thread, and count how often this thread calls another one until it is back."""
    begins, is_done = threading.Event(), False
    before = done = 0
    errors: list[BaseException] = []

    def in_thread() -> None:
        nonlocal before, is_done
        try:
            begins.set()
            while HAS_NO_GIL and not done:
                pass  # it could be over before the other one has been woken
            before = done
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            is_done = True

    thread = threading.Thread(target=in_thread, daemon=True)
    thread.start()
    begins.wait()
    while not is_done:
        other()
        done += 1
    thread.join()
    assert not errors
    return done - before


def due() -> tuple[Manager, ManualClock]:
    manager, clock = filled()
    clock.set(10)
    return manager, clock


READERS: dict[str, tuple[Callable[[], tuple[Manager, ManualClock]], Callable[[Manager], Any]]] = {
    "count": (due, lambda manager: manager.count(GPS)),
    "stats": (due, lambda manager: manager.stats()),
    "advance": (due, lambda manager: manager.advance()),
    "advance with a budget": (due, lambda manager: manager.advance(budget=MANY - 1)),
    "next_deadline": (due, lambda manager: manager.next_deadline()),
    "records": (lambda: filled(1000), lambda manager: manager.records()),
    "records when all are due": (due, lambda manager: manager.records()),
    "holders": (lambda: filled(1000), lambda manager: manager.holders(GPS)),
    "records_columns": (lambda: filled(1000), lambda manager: manager.records_columns()),
    "infos": (lambda: filled(1000), lambda manager: manager.infos(caller=Caller(native=True))),
    "app_masks": (lambda: filled(1000), lambda manager: [manager.app_masks(UIDS) for _ in range(3)]),
}


@pytest.mark.parametrize("name", READERS)
def test_others_call_the_manager_in_the_middle_of_it(name: str) -> None:
    make, call = READERS[name]
    found = 0
    for _ in range(ATTEMPTS):
        manager, _ = make()
        found = others_meanwhile(lambda: call(manager), lambda: manager.app_mask(1))  # noqa: B023
        if found > ENOUGH:
            break
    assert found > ENOUGH


def wait_for_the_lock(manager: Manager) -> None:
    """Call for single things while a thread has batches carried out."""
    thread = threading.Thread(target=lambda: manager.apply_many(UIDS, UIDS, UIDS, UIDS))
    thread.start()
    while thread.is_alive():
        manager.app_mask(1)
        manager.apply(1, 1, GPS, 10)
        _ = manager.last_sequence


# These are one step: nothing can come in between. But nobody waits for the GIL.
STEPS: dict[str, tuple[Callable[[], tuple[Manager, ManualClock]], Callable[[Manager], Any]]] = {
    "apply_many": (lambda: filled(1000), lambda manager: manager.apply_many(UIDS, UIDS, UIDS, UIDS)),
    "release_many": (lambda: filled(1000), lambda manager: manager.release_many(UIDS, UIDS, UIDS)),
    "admin_reset_all": (lambda: filled(1000), lambda manager: manager.admin_reset_all()),
    "release": (with_processes, lambda manager: manager.release(1, 1, CPU)),
    "reset_all": (with_processes, lambda manager: manager.reset_all(1, 1)),
    "app_stopped": (with_processes, lambda manager: manager.app_stopped(1)),
    "package_removed": (with_processes, lambda manager: manager.package_removed(1)),
    "get_all": (with_processes, lambda manager: manager.get_all(caller=Caller(uid=1, pid=1, system_app=True))),
    "next_deadline": (lambda: filled(1000), lambda manager: manager.next_deadline()),
    "validate": (lambda: filled(1000), lambda manager: manager.validate()),
    "waiting for the lock": (lambda: filled(1000), wait_for_the_lock),
    "making one": (lambda: filled(1000), lambda _: Manager(max_records=2_000_000, reserve=2_000_000)),
}


@pytest.mark.parametrize("name", STEPS)
def test_other_threads_run_in_the_middle_of_it(name: str) -> None:
    make, call = STEPS[name]
    found = 0
    for _ in range(ATTEMPTS):
        manager, _ = make()
        found = others_meanwhile(lambda: call(manager), lambda: None)  # noqa: B023
        if found > ENOUGH:
            break
    assert found > ENOUGH


# What slices give is what one go gave.


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 2048, 5000])
def test_lists_of_any_length_are_complete_and_in_order(size: int) -> None:
    manager, clock = make_manager()
    for uid in reversed(range(size)):
        manager.apply(uid, uid % 7, GPS | TIMER, 1000)
        if uid % 3 == 0:
            manager.apply(uid, 100_000 + uid, CPU, 1000, process=True)
    manager.apply(size, 1, GPS, 5)
    clock.set(5)
    apps = list(range(size))
    processes = [100_000 + uid for uid in range(0, size, 3)]
    records = manager.records()
    assert [record.uid for record in records if record.kind is OwnerKind.APP] == apps
    assert [record.pid for record in records if record.kind is OwnerKind.PROCESS] == processes
    assert records == sorted(records, key=lambda record: (record.kind is OwnerKind.PROCESS, record.uid))
    assert manager.holders(GPS) == (apps, [])
    assert manager.holders(CPU) == ([], processes)
    assert manager.count(GPS) == size
    infos = manager.infos(caller=Caller(native=True))
    assert [info.uid for info in infos.apps] == apps
    assert [info.pid for info in infos.processes] == processes
    for limit in (0, 1, 1000, 1024, 1025, size, size + 1):
        assert manager.records(limit=limit) == records[:limit]
    for start in (0, 1, size // 2, len(records) - 1):
        if 0 <= start < len(records):
            assert manager.records(after=records[start], limit=1500) == records[start + 1 : start + 1501]


def test_what_ends_on_the_way_is_told_once_and_by_deadline() -> None:
    manager, clock = make_manager(event_capacity=100_000)
    reader = manager.subscribe("reader")
    size = 10_000
    uids = array("I", range(size))
    deadlines = array("I", [1 + uid % 50 for uid in uids])
    manager.apply_many(uids, uids, array("I", [GPS]) * size, deadlines)
    reader.drain()
    clock.set(50)
    assert manager.count(GPS) == 0
    events: list[Event] = reader.drain()
    assert [event.time for event in events] == sorted(deadlines)
    assert sorted((event.time, event.uid) for event in events) == sorted((deadlines[uid], uid) for uid in uids)


def test_what_ends_on_the_way_is_settled_once() -> None:
    hook = Hook()
    manager, clock = make_manager(policy=Policy(quota=hook))
    size = 5000
    uids = array("I", range(size))
    manager.apply_many(uids, uids, array("I", [CPU]) * size, array("I", [1]) * size)
    hook.calls.clear()
    clock.set(1)
    assert manager.stats().app_records == 0
    assert sorted(hook.calls) == [("settle", uid) for uid in range(size)]


def test_what_has_ended_is_settled_though_the_manager_is_closed_in_the_middle() -> None:
    found = 0
    for _ in range(ATTEMPTS):
        hook = Hook()
        manager, clock = make_manager(policy=Policy(quota=hook))
        manager.apply_many(UIDS, UIDS, array("I", [CPU]) * MANY, array("I", [1]) * MANY)
        reader = manager.subscribe("reader")
        hook.calls.clear()
        clock.set(1)
        is_back = threading.Event()

        def count() -> None:
            try:
                manager.count(GPS)  # noqa: B023
            except grantwheel.BusinessError:
                is_back.set()  # noqa: B023

        thread = threading.Thread(target=count)
        thread.start()
        while manager.last_sequence == MANY:
            pass
        ended = manager.last_sequence - MANY
        manager.close()
        thread.join()
        del reader
        if is_back.is_set():
            found = len(hook.calls)
            assert found >= ended > 0
            break
    assert found > 0
