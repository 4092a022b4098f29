"""What a reader of events can rely on when something goes wrong: no gap in a list, and nothing lost without memory."""

import os
import threading
import time
from array import array
from itertools import pairwise

import pytest

from grantwheel import Manager
from support import GPS, make_manager
from waiting import is_readable

OWNERS = 6_000
UIDS = array("q", range(OWNERS))
MASKS = array("I", [GPS]) * OWNERS
TIMEOUTS = array("q", [60_000]) * OWNERS


def blink(manager: Manager, uid: int) -> None:
    manager.apply(uid, 1, GPS, 60_000)
    manager.release(uid, 1, GPS)


def test_a_gap_comes_before_all_events_of_a_list() -> None:
    """Needs real threads: what is read in slices is overwritten between two of them, now and then."""
    manager, _ = make_manager(event_capacity=5_000)
    subscription = manager.subscribe("reader")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            manager.apply_many(UIDS, UIDS, MASKS, TIMEOUTS)
            manager.release_many(UIDS, UIDS, MASKS)

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    end = time.monotonic() + 0.7
    try:
        while time.monotonic() < end:
            missed = subscription.missed
            events = subscription.drain()
            if not events:
                continue
            numbers = [event.sequence for event in events]
            assert all(before + 1 == after for before, after in pairwise(numbers))
            # All that it has missed by then came before the first of them.
            assert numbers[0] == seen + 1 + subscription.missed - missed
            seen = numbers[-1]
    finally:
        stop.set()
        writer.join()
    assert subscription.missed > 0


@pytest.mark.long
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="under a sanitizer the module is a debug build")
def test_events_that_found_no_memory_are_still_to_be_read() -> None:
    """Not with a debug build of the module: pybind11 then takes an error that it meets for one of its own."""
    interpreter = pytest.importorskip("_testcapi", reason="this interpreter cannot be made to find no memory")
    manager, _ = make_manager()
    subscription = manager.subscribe("reader")
    descriptor = subscription.fileno()
    drain = subscription.drain
    failures = 0
    for place in range(1, 80):
        blink(manager, place)
        events = None
        interpreter.set_nomemory(place, place + 1)
        try:
            events = drain()
        except MemoryError:
            pass
        finally:
            interpreter.remove_mem_hooks()
        if events is None:
            failures += 1
            assert is_readable(descriptor)
            assert subscription.pending == 2
            assert subscription.missed == 0
            events = drain()
        assert [event.uid for event in events] == [place, place]
        assert not is_readable(descriptor)
    assert failures > 1
