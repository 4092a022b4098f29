"""Followers: they carry out what is on record, answer as the manager did, and begin with snapshots."""

import random
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

import grantwheel
from grantwheel import Cause, Follower, Manager, ManualClock, MemoryLog, ParcelOperationError, Policy, replay
from model import Model
from support import AUDIO, CPU, GPS, TIMER, make_manager


def lived(steps: int = 400, seed: int = 1, **limits: int) -> tuple[Manager, ManualClock, list[bytes]]:
    """Make a manager with a log that much has happened to."""
    dice = random.Random(seed)
    log = MemoryLog()
    manager, clock = make_manager(log=log, **limits)
    for _ in range(steps):
        clock.advance(dice.randrange(5))
        uid, pid, mask = dice.randrange(9), dice.randrange(5), 1 + dice.randrange(511)
        what = dice.randrange(6)
        if what < 3:
            manager.apply(uid, pid, mask, 1 + dice.randrange(60), process=what == 1, reason=f"{mask % 7}")
        elif what == 3:
            manager.release(uid, pid, mask)
        elif what == 4:
            manager.process_died(uid, pid)
        else:
            manager.advance(dice.randrange(1, 4))
    return manager, clock, [group for _, group in log.read()]


def test_it_answers_as_the_manager_does() -> None:
    manager, clock, groups = lived()
    follower = replay(groups)
    now = clock.now()
    assert follower.position == len(groups)
    assert follower.now_ms <= now
    assert follower.records(now_ms=now) == manager.records()
    for index in range(9):
        assert follower.holders(1 << index, now_ms=now) == manager.holders(1 << index)
    for uid in range(9):
        assert follower.app_mask(uid, now_ms=now) == manager.app_mask(uid)
        assert follower.find_app(uid, now_ms=now) == manager.find_app(uid)
    for pid in range(5):
        assert follower.process_mask(pid, now_ms=now) == manager.process_mask(pid)
        assert follower.find_process(pid, now_ms=now) == manager.find_process(pid)
    assert follower.read(0) == manager.read(0)
    assert follower.read(3, 2) == manager.read(3, 2)
    assert follower.read_columns(3, 2) == manager.read_columns(3, 2)
    assert follower.last_sequence == manager.last_sequence
    follower.validate()


def test_many_groups_at_once_are_as_many_by_themselves() -> None:
    _, _, groups = lived()
    one, many = Follower(), Follower()
    for size in (1, 15, 16, 17, 0, 40, 400):
        some, groups = groups[:size], groups[size:]
        for group in some:
            one.feed(group)
        assert many.feed_many(some) == one.position
        assert many.state_hash() == one.state_hash()
    assert groups == []
    assert many.feed_many(tuple([b""] * 20)) == one.position + 20
    many.validate()


def test_those_before_a_damaged_group_have_been_carried_out() -> None:
    _, _, groups = lived()
    for place in (0, 5, 16, 47):
        follower = Follower()
        damaged = [*groups[:place], groups[place] + b"x", *groups[place + 1 :]]
        with pytest.raises(ParcelOperationError, match="the group is damaged, at byte") as caught:
            follower.feed_many(damaged)
        assert not caught.value.is_newer
        assert follower.position == place
        assert follower.feed_many(groups[place:]) == len(groups)
        assert follower.state_hash() == replay(groups).state_hash()


def test_many_groups_are_bytes() -> None:
    follower = Follower()
    with pytest.raises(TypeError, match="groups must be bytes, not bytearray"):
        follower.feed_many([b"", bytearray()])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        follower.feed_many(7)  # type: ignore[arg-type]
    assert follower.position == 0


def test_its_numbers_are_the_managers() -> None:
    manager, _, groups = lived()
    manager.apply(1, 1, GPS, 5)
    follower = replay(groups)
    mine, managers = follower.stats(), replay(groups).stats()
    assert mine == managers
    assert sum(mine.refused.values()) == 0
    assert mine.last_sequence == follower.last_sequence


@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
def test_one_that_begins_with_a_snapshot_is_the_same(size: int) -> None:
    _, _, groups = lived()
    half = len(groups) // 2
    first = replay(groups[:half])
    data = b"".join(first.snapshot())
    assert b"".join(replay(groups[:half]).snapshot()) == data
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    second = Follower(snapshot=chunks, position=half)
    assert second.state_hash() == first.state_hash()
    assert second.now_ms == first.now_ms
    assert second.records() == first.records()  # at that instant, before anything is fed
    for group in groups[half:]:
        assert first.feed(group) == second.feed(memoryview(group))
    assert second.position == len(groups)
    assert second.state_hash() == first.state_hash()
    assert second.records() == first.records()
    assert b"".join(second.snapshot()) == b"".join(first.snapshot())
    second.validate()


def test_limits_are_those_of_the_snapshot_unless_they_are_given() -> None:
    first = Follower(max_records=3)
    manager, clock, _ = lived(0)
    log = MemoryLog()
    manager = Manager(clock=clock, log=log, max_records=3)
    for uid in range(3):
        manager.apply(uid, 1, GPS, 5)
    with pytest.raises(grantwheel.MemoryOperationError):
        manager.apply(7, 1, GPS, 5)
    groups = [group for _, group in log.read()]
    for group in groups[:3]:
        first.feed(group)
    chunks = list(first.snapshot())
    for follower in (first, Follower(snapshot=chunks, position=3)):
        follower.feed(groups[3])
        assert len(follower.records()) == 3
    with pytest.raises(grantwheel.MemoryOperationError):
        Follower(snapshot=chunks, max_records=2)
    with pytest.raises(ValueError, match="max_records"):
        Follower(max_records=0)


def test_what_is_damaged_changes_nothing() -> None:
    _, _, groups = lived(40)
    follower = replay(groups[:20])
    before = follower.state_hash()
    good = b"".join(groups[20:23])
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1
        with pytest.raises(ParcelOperationError):
            follower.feed(bad)
    for end in range(1, len(groups[20])):
        with pytest.raises(ParcelOperationError):
            follower.feed(groups[20][:end])
    assert follower.position == 20
    assert follower.state_hash() == before
    assert follower.feed(groups[20]) == 21


def test_what_comes_before_its_time_ends_the_following() -> None:
    _, _, groups = lived(40)
    follower = replay(groups)
    for group in (groups[0], groups[-1], groups[0]):
        with pytest.raises(ParcelOperationError):
            follower.feed(group)
    assert follower.position == len(groups)


def snapshot_of(groups: Iterable[bytes]) -> bytes:
    return b"".join(replay(groups).snapshot())


def test_a_snapshot_that_is_damaged_or_cut_short_is_refused() -> None:
    _, _, groups = lived(30)
    data = snapshot_of(groups)
    for bad in (b"", data[:-1], data[:40], data + b"x", bytes(100)):
        with pytest.raises(ParcelOperationError):
            Follower(snapshot=[bad])
    for at in range(0, len(data), 11):
        damaged = bytearray(data)
        damaged[at] ^= 64
        with pytest.raises((ParcelOperationError, grantwheel.MemoryOperationError)):
            Follower(snapshot=[damaged])


def test_a_snapshot_ends_when_the_follower_goes_on() -> None:
    _, _, groups = lived(30)
    follower = replay(groups[:10])
    sections = follower.snapshot()
    for group in groups[10:]:
        follower.feed(group)
    with pytest.raises(RuntimeError, match="gone on"):
        next(sections)


def test_it_looks_ahead_and_not_back() -> None:
    log = MemoryLog()
    manager, clock = make_manager(log=log)
    clock.set(100)
    manager.apply(700, 71, GPS, 40)
    manager.apply(700, 71, CPU, 90, process=True)
    follower = replay(group for _, group in log.read())
    assert follower.now_ms == 100
    assert (follower.app_mask(700), follower.app_mask(700, now_ms=139), follower.app_mask(700, now_ms=140)) == (
        GPS,
        GPS,
        0,
    )
    assert follower.process_mask(71, now_ms=189) == CPU
    assert follower.find_process(71, now_ms=190) is None
    assert follower.holders(GPS, now_ms=500) == ([], [])
    assert follower.app_mask(700) == GPS  # nothing has ended by that
    calls: list[Callable[[int], object]] = [
        lambda now: follower.app_mask(700, now_ms=now),
        lambda now: follower.process_mask(71, now_ms=now),
        lambda now: follower.find_app(700, now_ms=now),
        lambda now: follower.find_process(71, now_ms=now),
        lambda now: follower.find_app(701, now_ms=now),
        lambda now: follower.records(now_ms=now),
        lambda now: follower.holders(GPS, now_ms=now),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="before"):
            call(99)
        with pytest.raises(ValueError, match="within"):
            call(2**62 + 1)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda follower: follower.feed("text"), TypeError),
        (lambda follower: follower.feed(None), TypeError),
        (lambda follower: follower.app_mask(-1), grantwheel.CallerVerificationError),
        (lambda follower: follower.process_mask(2**31), grantwheel.CallerVerificationError),
        (lambda follower: follower.holders(3), ValueError),
        (lambda follower: follower.read(0, -1), ValueError),
        (lambda _: Follower(snapshot=["text"]), TypeError),  # type: ignore[list-item]
    ],
)
def test_arguments_that_cannot_be(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(Follower())


def test_a_follower_without_a_log_has_nothing() -> None:
    follower = Follower()
    assert (follower.position, follower.now_ms, follower.last_sequence) == (0, 0, 0)
    assert follower.records() == []
    assert follower.feed(b"") == 1
    assert repr(follower) == "<Follower at 1, 0 events>"
    assert Follower().state_hash() == Follower(max_records=5).state_hash()


def test_a_hold_and_a_batch_are_followed() -> None:
    log = MemoryLog()
    manager, clock = make_manager(log=log)
    with manager.hold(GPS | AUDIO, uid=700, pid=71, timeout_ms=30):
        clock.advance(10)
        manager.renew_holds()
        manager.apply_many(
            *[memoryview(b"\x01\0\0\0\x02\0\0\0").cast("i")] * 2, *[memoryview(b"\x04\0\0\0" * 2).cast("i")] * 2
        )
        follower = replay(group for _, group in log.read())
        assert follower.records() == manager.records()
        assert follower.holders(TIMER).apps == [1, 2]
    for _, group in log.read(follower.position):
        follower.feed(group)
    assert follower.records() == manager.records()
    assert follower.read(0) == manager.read(0)


def golden_op(beginning: str) -> bytes:
    """Return the bytes of the op of the golden file whose words begin so."""
    lines = iter((Path(__file__).parent / "golden" / "ops-1.txt").read_text(encoding="utf-8").splitlines())
    next(line for line in lines if line.startswith(beginning))
    return bytes.fromhex("".join(takewhile(lambda line: line.startswith(" "), lines)))


def test_it_drops_what_a_start_has_dropped_and_tells_no_event() -> None:
    clock, log, model = ManualClock(start_ms=1000), MemoryLog(), Model(Policy())
    manager = Manager(clock=clock, log=log)
    for pid in (8, 9):
        manager.apply(5, pid, CPU, 60_000, process=True)
        model.apply(1000, 5, pid, CPU, 60_000, process=True)
    follower = replay(group for _, group in log.read())
    assert follower.feed(golden_op("1005 recovery")) == 3
    assert model.recover([], [9]) == 1
    assert follower.now_ms == 1005
    for pid, held in ((8, CPU), (9, 0)):
        assert follower.process_mask(pid) == model.process_mask(1005, pid) == held
    stats = follower.stats()
    assert (stats.process_records, stats.granted, stats.ended[Cause.RECOVERED]) == (1, 2, 1)
    assert [event.kind for event in follower.read(0)[0]] == ["process_apply", "process_apply"]
    follower.validate()


def test_it_takes_marks_and_goes_on_with_other_limits() -> None:
    log = MemoryLog()
    manager = Manager(clock=ManualClock(start_ms=1000), log=log, max_records=2)
    for uid in (1, 2):
        manager.apply(uid, 1, GPS, 60_000)
    follower = replay((group for _, group in log.read()), max_records=2)
    before = follower.state_hash()
    for op in ("1002 mark", "1003 limits"):
        follower.feed(golden_op(op))
    assert follower.state_hash() == before
    others = MemoryLog()
    Manager(clock=ManualClock(start_ms=1004), log=others).apply(3, 1, GPS, 60_000)
    for _, group in others.read():
        follower.feed(group)
    assert len(follower.records()) == 3
