"""Objects of the module that several threads use at once: each call is one step, with the GIL and without.

In a free-threaded CPython nothing but the module's own locks makes it so; `docs/how-it-works.md` says which. The tests
say for each kind of object what must come out whatever meets: everything once, and nothing twice.
"""

import select
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from grantwheel import Caller, EfficiencyResourcesRequest, Follower, ManualClock, MemoryLog, Policy, _core, ops
from support import AUDIO, CPU, GPS, Hook, make_manager
from waiting import PATIENCE

THREADS = 4
TURNS = 300
# Of what is so quick that threads meet in it only now and then; with the GIL they never do.
MANY = 50_000 if sysconfig.get_config_var("Py_GIL_DISABLED") else TURNS
_Made = TypeVar("_Made")


def at_once(work: Callable[[int], _Made], threads: int = THREADS) -> list[_Made]:
    """Do the same in some threads, all from one moment on, and return what each has come to; fail if one fails."""
    start = threading.Barrier(threads)
    found: list[_Made] = []
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(PATIENCE)
            found.append(work(number))
        except BaseException as error:
            failures.append(error)

    everybody = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(threads)]
    for thread in everybody:
        thread.start()
    for thread in everybody:
        thread.join(4 * PATIENCE)
    assert not any(thread.is_alive() for thread in everybody)
    if failures:
        raise failures[0]
    return found


def in_turns(iterator: Iterator[_Made]) -> list[_Made]:
    """What some threads get out of one iterator, together."""
    return [one for part in at_once(lambda _: list(iterator)) for one in part]


def test_a_clock_goes_on_by_every_advance() -> None:
    clock = ManualClock()

    def work(_: int) -> None:
        for _ in range(MANY):
            clock.advance(1)

    at_once(work)
    assert clock.now() == THREADS * MANY


def test_a_log_gives_each_group_once() -> None:
    log = MemoryLog()
    for position in range(TURNS):
        log.append(position, b"group %d" % position)
    assert sorted(in_turns(log.read())) == [(position + 1, b"group %d" % position) for position in range(TURNS)]


def logged(owners: int) -> list[bytes]:
    """The groups of a log in which so many have something, and some of that in a batch."""
    log = MemoryLog()
    manager, _ = make_manager(log=log)
    uids = list(range(owners))
    for uid in uids:
        manager.apply(uid, 1, GPS, 10_000, reason=f"reason {uid}")
    return [group for _, group in log.read()]


def test_ops_of_a_group_come_once() -> None:
    group = b"".join(logged(TURNS))
    found = in_turns(ops.read(group))
    assert Counter(op.uid for op in found if isinstance(op, ops.Command)) == Counter(range(TURNS))


def test_sections_of_a_snapshot_come_once() -> None:
    follower = Follower()
    follower.feed_many(logged(3000))
    whole = list(follower.snapshot())
    assert len(whole) > 2
    assert sorted(in_turns(follower.snapshot())) == sorted(whole)


def test_a_pipeline_carries_out_what_is_queued_once() -> None:
    manager, _ = make_manager()
    pipeline = _core.Pipeline(manager)

    def work(number: int) -> int:
        answers = 0
        for turn in range(MANY):
            pipeline.apply(turn % 50, 1, GPS, 1000)
            if turn % 7 == number:
                answers += len(pipeline.execute())
        return answers

    answers = sum(at_once(work)) + len(pipeline.execute())
    assert answers == THREADS * MANY
    assert manager.count(GPS) == 50


def test_groups_have_what_was_added_and_not_taken_out() -> None:
    groups = _core.Groups()

    def work(number: int) -> list[object]:
        kept = []
        for turn in range(MANY // 5):
            one = object()
            groups.add(turn % 500, one)
            if turn % 2 == number % 2:
                groups.discard(turn % 500, one)
            else:
                kept.append(one)
            groups.of(turn % 500)
        return kept

    kept = [one for part in at_once(work) for one in part]
    assert set(map(id, groups.all())) == set(map(id, kept))


class Due:
    """Something that is due."""


def test_a_schedule_forgets_what_goes_and_gives_the_rest_once() -> None:
    schedule = _core.Schedule()

    def work(number: int) -> list[Due]:
        kept = []
        for turn in range(MANY // 5):
            one = Due()
            schedule.add(one, number, 1000)
            schedule.timer()
            schedule.next()
            if turn % 2:
                kept.append(one)
            elif turn % 4:
                schedule.discard(one)
            del one
        return kept

    kept = [one for part in at_once(work) for one in part]
    assert set(map(id, schedule.all())) == set(map(id, kept))

    def take(_: int) -> list[object]:
        found = []
        while (one := schedule.take(500)) is not None:
            found.append(one)
        return found

    taken = [one for part in at_once(take) for one in part]
    assert len(taken) == len(kept)
    assert set(map(id, taken)) == set(map(id, kept))


def test_a_schedule_may_go_before_what_was_in_it() -> None:
    def work(_: int) -> None:
        for _ in range(TURNS // 10):
            schedule = _core.Schedule()
            due = [Due() for _ in range(3)]
            for one in due:
                schedule.add(one, 1, 1)
            goes = threading.Thread(target=due.clear)
            goes.start()
            del one, schedule
            goes.join(PATIENCE)

    at_once(work, 2)


def test_a_bell_says_what_was_said_last() -> None:
    bell = _core.Bell()

    def work(number: int) -> None:
        for turn in range(TURNS):
            if (turn + number) % 2:
                bell.ring()
            else:
                bell.clear()

    at_once(work)
    poll = _polled(bell)
    bell.clear()
    assert not poll()
    bell.ring()
    assert poll()


def _polled(bell: _core.Bell) -> Callable[[], object]:
    poll = select.poll()
    poll.register(bell.fileno(), select.POLLIN)
    return lambda: poll.poll(0)


@pytest.mark.parametrize("attempt", range(20))
def test_a_lease_begins_once_and_ends_once(attempt: int) -> None:
    manager, _ = make_manager()
    manager.apply(1, 1, AUDIO, 10_000)
    lease = _core.Lease(manager, 1, 1, GPS, 1000 + attempt, False, "", -1, None)

    def begin(_: int) -> bool:
        try:
            lease.begin()
        except RuntimeError:
            return False
        return True

    assert sorted(at_once(begin)) == [False] * (THREADS - 1) + [True]

    def end(_: int) -> None:
        lease.renew()
        lease.lost()
        lease.end()

    at_once(end)
    assert lease.state == "ended"
    assert manager.app_mask(1) == AUDIO


def test_holds_in_common_leave_nothing() -> None:
    manager, _ = make_manager(log=MemoryLog())

    def work(_: int) -> None:
        for _ in range(TURNS // 10):
            with manager.hold(GPS, uid=1, pid=1) as held:
                assert not held.lost

    at_once(work)
    assert manager.app_mask(1) == 0


def test_an_instance_is_made_once() -> None:
    for _ in range(TURNS // 10):
        clock = ManualClock.__new__(ManualClock)

        def make(number: int, clock: ManualClock = clock) -> bool:
            try:
                clock.__init__(number)  # type: ignore[misc]
            except TypeError:
                return False
            return True

        assert sum(at_once(make)) == 1


def test_a_request_and_a_mapping_are_read_while_they_change() -> None:
    manager, _ = make_manager()
    request = EfficiencyResourcesRequest(resourceTypes=int(GPS), isApply=True, timeOut=1000, reason="why")
    mapping = {"resourceTypes": int(GPS), "isApply": True, "timeOut": 1000, "reason": "why"}
    caller = Caller(uid=1, pid=1, system_app=True, native=True)

    def work(number: int) -> None:
        for turn in range(TURNS):
            if number % 2:
                request.reason = mapping["reason"] = f"reason {turn} {number}"
                request.__init__(reason=f"again {turn}")  # type: ignore[misc]
            else:
                assert manager.apply_request(request, caller=caller) == GPS
                assert manager.apply_request(mapping, caller=caller) == GPS

    at_once(work)


def test_a_quota_is_asked_while_it_is_replaced() -> None:
    manager, _ = make_manager()

    def work(number: int) -> None:
        for turn in range(TURNS):
            if number == 0:
                manager.set_policy(Policy(quota=Hook(True)) if turn % 2 else Policy())
            else:
                assert manager.apply(number, 1, CPU | GPS, 1000) == CPU | GPS
                manager.release(number, 1, CPU)

    at_once(work)
