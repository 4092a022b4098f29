"""Limits of records and texts: what counts, what frees, and that reaching one changes nothing."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from grantwheel import Manager, Policy
from support import ALL, CPU, GPS, TIMER, Hook, brief, check_refused, make_manager


def full(manager: Manager, call: Callable[[], object]) -> None:
    check_refused(manager, call, 9800001, 980000101)


def test_app_and_process_records_count_together() -> None:
    manager, _ = make_manager(max_records=3)
    manager.apply(1, 11, GPS | CPU, 40, process=True)
    manager.apply(2, 12, CPU, 40, process=True)
    full(manager, lambda: manager.apply(3, 13, GPS, 40))
    full(manager, lambda: manager.apply(3, 13, CPU, 40, process=True))
    full(manager, lambda: manager.apply(2, 12, GPS, 40))


def test_a_full_manager_still_serves_its_owners() -> None:
    manager, _ = make_manager(max_records=2)
    manager.apply(1, 11, GPS, 40)
    manager.apply(2, 12, CPU, 40, process=True)
    assert manager.apply(1, 11, ALL, 90, reason="more") == ALL
    assert manager.apply(2, 12, CPU, 90, process=True) == CPU
    assert manager.release(2, 12, CPU, process=True) == CPU
    assert manager.apply(3, 13, GPS, 40) == GPS
    manager.validate()


def test_a_request_that_needs_two_records_gets_both_or_none() -> None:
    manager, _ = make_manager(max_records=2)
    manager.apply(1, 11, GPS, 40)
    full(manager, lambda: manager.apply(2, 12, GPS | CPU, 40, process=True))
    assert manager.apply(2, 12, GPS, 40, process=True) == GPS


def test_what_is_due_is_freed_before_a_limit_is_reported() -> None:
    manager, clock = make_manager(max_records=2, max_strings=2)
    for round_ in range(50):
        for owner in range(2):
            manager.apply(round_ * 2 + owner, 1, GPS, 10, reason=f"{round_}.{owner}")
        clock.advance(10)
    assert len(manager.drain()) == 50 * 2 * 2 - 2  # the last two have not been met
    manager.validate()


def test_what_is_not_yet_due_is_not_freed() -> None:
    manager, clock = make_manager(max_records=1)
    manager.apply(1, 11, GPS, 10)
    clock.set(9)
    full(manager, lambda: manager.apply(2, 12, GPS, 10))
    clock.set(10)
    assert manager.apply(2, 12, GPS, 10) == GPS


def test_a_reused_pid_makes_room_for_itself() -> None:
    manager, _ = make_manager(max_records=1)
    manager.apply(1, 11, CPU, 40, process=True)
    assert manager.apply(2, 11, CPU, 40, process=True) == CPU
    assert [(record.uid, record.mask) for record in manager.records()] == [(2, CPU)]


def test_a_reused_pid_is_not_dropped_when_the_rest_does_not_fit() -> None:
    manager, _ = make_manager(max_records=1)
    manager.apply(1, 11, CPU, 40, process=True)
    full(manager, lambda: manager.apply(2, 11, CPU | GPS, 40, process=True))
    assert manager.find_process(11) is not None


def test_a_refused_apply_at_the_limit_frees_nothing_that_is_held() -> None:
    manager, _ = make_manager(max_records=1)
    manager.apply(1, 11, GPS, 40)
    manager.drain()
    for uid in range(2, 20):
        full(manager, lambda: manager.apply(uid, 11, GPS, 40))  # noqa: B023
    assert manager.drain() == []


def test_texts_count_once_however_often_they_are_used() -> None:
    manager, _ = make_manager(max_strings=2)
    for uid in range(10):
        manager.apply(uid, 1, GPS | TIMER, 40, reason="one")
        manager.apply(uid, 1, CPU, 40, reason="two", process=True)
    manager.apply(3, 1, GPS, 40)  # no reason is no text
    full(manager, lambda: manager.apply(3, 1, GPS, 40, reason="three"))


def test_bundle_names_count_as_texts() -> None:
    from grantwheel import Caller

    def caller(bundle: str) -> Caller:
        return Caller(bundle=bundle, system_app=True)

    manager, _ = make_manager(max_strings=2)
    manager.apply(1, 1, GPS, 40, reason="mail", caller=caller("mail"))  # the same text, so one
    manager.apply(2, 1, GPS, 40, caller=caller("maps"))
    full(manager, lambda: manager.apply(3, 1, GPS, 40, caller=caller("tune")))
    assert manager.apply(3, 1, GPS, 40, caller=caller("")) == GPS


def test_texts_in_undelivered_events_do_not_count() -> None:
    from grantwheel import Caller

    manager, _ = make_manager(max_strings=1)
    for round_ in range(20):
        manager.apply(1, 1, GPS, 40, caller=Caller(bundle=f"bundle {round_}", system_app=True))
        manager.release(1, 1, GPS)
    assert [event.bundle for event in manager.drain()] == [f"bundle {n}" for n in range(20) for _ in range(2)]


def test_a_text_is_free_when_its_last_grant_goes() -> None:
    manager, _ = make_manager(max_strings=1)
    manager.apply(1, 1, GPS | TIMER, 40, reason="one")
    manager.release(1, 1, GPS)
    full(manager, lambda: manager.apply(1, 1, GPS, 40, reason="two"))
    manager.release(1, 1, TIMER)
    assert manager.apply(1, 1, GPS, 40, reason="two") == GPS


def test_a_text_needs_room_before_the_one_it_replaces_is_let_go() -> None:
    manager, _ = make_manager(max_strings=1)
    manager.apply(1, 1, GPS, 40, reason="one")
    full(manager, lambda: manager.apply(1, 1, GPS, 90, reason="two"))
    assert manager.apply(1, 1, GPS, 90, reason="one") == GPS
    assert manager.apply(1, 1, GPS, 90) == GPS
    assert manager.apply(1, 1, GPS, 90, reason="two") == GPS


def test_a_limit_is_reported_after_every_other_refusal() -> None:
    hook = Hook(answer=False)
    manager, _ = make_manager(max_records=1, policy=Policy(quota=hook))
    manager.apply(1, 11, GPS, 40)
    check_refused(manager, lambda: manager.apply(2, 12, CPU, 40), 201, 201)
    hook.answer = True
    full(manager, lambda: manager.apply(2, 12, CPU, 40))


def test_events_never_hold_up_anybody() -> None:
    manager, _ = make_manager(event_capacity=1, max_records=1)
    for _ in range(100):
        manager.apply(1, 11, GPS, 40)
        manager.release(1, 11, GPS)
    assert brief(manager.drain()) == [("app_reset", 1, 11, GPS)]
    assert manager.missed == 199


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_records", 0),
        ("max_records", 2**31),
        ("max_records", -1),
        ("max_records", 2**32 + 1),
        ("event_capacity", -(2**70)),
        ("max_strings", 0),
        ("max_strings", 2**31),
        ("event_capacity", 0),
        ("event_capacity", 2**31),
        ("reserve", -1),
        ("reserve", 1_000_001),
    ],
)
def test_limits_out_of_range_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        make_manager(**{name: value})


@pytest.mark.parametrize("name", ["max_records", "max_strings", "event_capacity", "reserve"])
@pytest.mark.parametrize("value", ["7", 1.5, None])
def test_limits_are_integers(name: str, value: object) -> None:
    with pytest.raises(TypeError):
        make_manager(**{name: value})


def test_memory_may_be_reserved() -> None:
    manager, _ = make_manager(max_records=1000, reserve=1000)
    for uid in range(1000):
        manager.apply(uid, 1, GPS, 40)
    assert manager.count(GPS) == 1000
    manager.validate()


CLOSED_AGAIN_AND_AGAIN = """
import ctypes
from array import array
from grantwheel import Manager, ManualClock

class Used(ctypes.Structure):  # struct mallinfo2
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Used
owners = 20_000
uids, masks, timeouts = array("I", range(owners)), array("I", [32]) * owners, array("I", [1000]) * owners
sizes = []
for _ in range(40):
    manager = Manager(clock=ManualClock())
    manager.apply_many(uids, uids, masks, timeouts)
    manager.close()
    used = mallinfo2()
    sizes.append(used.uordblks + used.hblkhd)  # not what is resident: that goes by the system's needs as well
print(sizes[39] - sizes[4])
"""


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="another allocator counts in its own way")
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc tells of its blocks from 2.33 on")
def test_managers_that_come_and_go_leave_nothing_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_AGAIN_AND_AGAIN], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20_000  # bytes, less than one for each owner of one of the 35 managers between
