"""Notes: what layers above grants keep in the log, the snapshots and the journal of a manager."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

import grantwheel
from grantwheel import BusinessError, Follower, Manager, ManualClock, MemoryLog, ParcelOperationError, _core, replay
from grantwheel.journal import MemoryJournal
from grantwheel.ops import NotesChange, read
from journals import (
    ScriptedLog,
    Stall,
    appends,
    check_record,
    doing,
    in_thread,
    logged,
    raises_after,
    raises_before,
    refuses,
)
from support import CPU, GPS, check_error, check_refused, make_manager, refusal
from waiting import PATIENCE

MAX_NOTES, MAX_BYTES, MAX_VALUE = 2**16, 2**24, 2**16


@pytest.fixture(params=["no log", "memory", "commit", "batch"])
def manager(request: pytest.FixtureRequest) -> Manager:
    """A manager with each kind of log, and without."""
    kinds: dict[str, dict[str, Any]] = {
        "no log": {},
        "memory": {"log": MemoryLog()},
        "commit": {"log": ScriptedLog()},
        "batch": {"log": ScriptedLog(), "durability": "batch"},
    }
    return make_manager(**kinds[request.param])[0]


def test_a_write_is_all_that_it_says(manager: Manager) -> None:
    assert manager.notes() == {}
    manager.write_notes({b"b": b"1", b"a": b"", b"\xff": b"\0", b"gone": None})
    assert list(manager.notes().items()) == [(b"a", b""), (b"b", b"1"), (b"\xff", b"\0")]
    manager.write_notes({b"a": b"x" * MAX_VALUE, b"b": None, b"k" * 255: b"last"})
    assert manager.notes() == {b"a": b"x" * MAX_VALUE, b"\xff": b"\0", b"k" * 255: b"last"}
    manager.write_notes({})
    manager.write_notes(MappingProxyType({b"a": None, b"\xff": None, b"k" * 255: None}))
    assert manager.notes() == {}
    assert manager.read(0)[0] == []
    manager.validate()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (5, TypeError, "changes must be a Mapping, not int"),
        ([(b"a", b"b")], TypeError, "changes must be a Mapping, not list"),
        ({"a": b""}, TypeError, "a key of changes must be bytes, not str"),
        ({b"a": "b"}, TypeError, "a value of changes must be bytes or None, not str"),
        ({b"a": bytearray(b"b")}, TypeError, "a value of changes must be bytes or None, not bytearray"),
        ({b"": b""}, ValueError, r"a key of changes must have 1\.\.255 bytes, and has 0"),
        ({b"k" * 256: None}, ValueError, r"a key of changes must have 1\.\.255 bytes, and has 256"),
        ({b"k": bytes(MAX_VALUE + 1)}, ValueError, "a value of changes must have at most 65536 bytes, and has 65537"),
        ({b"%d" % i: None for i in range(MAX_NOTES + 1)}, ValueError, "at most 65536 notes, and are of 65537"),
    ],
)
def test_changes_that_cannot_be(manager: Manager, changes: Any, error: type[Exception], words: str) -> None:
    manager.write_notes({b"a": b"here"})
    with pytest.raises(error, match=words):
        manager.write_notes(changes)
    assert manager.notes() == {b"a": b"here"}


class Odd(Mapping[bytes, bytes | None]):
    """A mapping whose items are something else."""

    def __init__(self, items: Callable[[], Any]) -> None:
        self._items = items

    def items(self) -> Any:
        return self._items()

    def __getitem__(self, key: bytes) -> bytes:
        raise KeyError(key)

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("items", "error"),
    [
        (lambda: [(b"a", b"1"), (b"a", b"2")], ValueError),
        (lambda: [(b"a",)], TypeError),
        (lambda: [5], TypeError),
        (lambda: 1 // 0, ZeroDivisionError),
    ],
)
def test_a_mapping_that_raises_or_repeats_itself_changes_nothing(
    manager: Manager, items: Callable[[], Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        manager.write_notes(Odd(items))
    assert manager.notes() == {}


def test_more_than_there_may_be_is_refused_and_changes_nothing(manager: Manager) -> None:
    manager.write_notes({b"%05d" % i: b"" for i in range(MAX_NOTES)})
    before = manager.notes()
    assert len(before) == MAX_NOTES
    error = check_refused(manager, lambda: manager.write_notes({b"one more": b"", b"00000": b"1"}), 9800001, 980000101)
    assert "65536" in str(error)
    assert manager.notes() == before
    manager.write_notes({b"one more": b"", b"00000": None})  # as many as before
    assert len(manager.notes()) == MAX_NOTES
    manager.write_notes(dict.fromkeys(manager.notes()))
    assert manager.notes() == {}


def test_more_bytes_than_there_may_be_are_refused() -> None:
    log = MemoryLog()
    manager, _ = make_manager(log=log)
    manager.write_notes({b"%08d" % i: bytes(MAX_VALUE - 8) for i in range(MAX_BYTES // MAX_VALUE)})
    for changes in ({b"x": b""}, {b"00000000": bytes(MAX_VALUE - 7)}):
        check_refused(manager, lambda changes=changes: manager.write_notes(changes), 9800001, 980000101)  # type: ignore[misc]
    manager.write_notes({b"x": b"", b"00000000": bytes(MAX_VALUE - 9)})
    follower = replay(group for _, group in log.read())  # in which what was refused is refused again
    assert follower.notes() == manager.notes()
    follower.validate()


def test_notes_are_on_record_with_all_else() -> None:
    manager, clock, log = logged()
    manager.write_notes({b"a": b"1"})
    clock.set(3)
    manager.apply(1, 2, GPS, 500)
    manager.write_notes({b"b": b"2", b"a": None})
    assert [op for group in log.groups for op in read(group) if isinstance(op, NotesChange)] == [
        NotesChange(0, {b"a": b"1"}),
        NotesChange(3, {b"a": None, b"b": b"2"}),
    ]
    assert log.groups[0] == _core.encode_notes({b"a": b"1"}, 0)
    follower = check_record(manager, log, 3)
    assert follower.notes() == manager.notes() == {b"b": b"2"}
    assert (follower.now_ms, follower.last_sequence) == (3, 1)


@pytest.mark.parametrize("step", [refuses, raises_before, raises_after])
def test_what_is_not_on_record_has_changed_nothing(step: Any) -> None:
    manager, _, log = logged(appends, step)
    manager.write_notes({b"a": b"1"})
    if step is raises_after:
        manager.write_notes({b"a": b"2"})
        assert manager.notes() == {b"a": b"2"}
    else:
        check_error(refusal(lambda: manager.write_notes({b"a": b"2"})), 9800003, 980000301)
        assert manager.notes() == {b"a": b"1"}
    check_record(manager, log, 0)
    manager.close()
    for call in (manager.notes, lambda: manager.write_notes({b"a": b""}), lambda: manager.write_notes({})):
        check_error(refusal(call), 9800004, 980000402)


def test_a_reader_waits_for_what_is_staged() -> None:
    stall = Stall()
    manager, _, _ = logged(stall)
    with in_thread(lambda: manager.write_notes({b"a": b"1"})) as written:
        stall.wait()
        with in_thread(manager.notes) as found:
            stall.go_on()
    assert (written, found) == ([None], [{b"a": b"1"}])


def test_what_is_refused_with_the_close_is_given_back() -> None:
    stall = Stall()
    manager, _, log = logged(stall)
    with in_thread(lambda: manager.write_notes({b"a": b"1"})), in_thread(lambda: manager.write_notes({b"b": b"2"})):
        stall.wait()
        closing = threading.Thread(target=manager.close)
        closing.start()
        stall.go_on()
        closing.join(PATIENCE)
    assert replay(log.groups).notes()[b"a"] == b"1"


def noted(seed: int = 1, writes: int = 60) -> list[bytes]:
    """Return groups of grants and notes of all sizes."""
    dice, log = Random(seed), MemoryLog()
    manager, clock = make_manager(log=log)
    for number in range(writes):
        clock.advance(1)
        size = dice.choice([0, 1, 127, 128, 16_383, 16_384, MAX_VALUE])
        keys = [b"%d" % dice.randrange(40) for _ in range(dice.randint(1, 3))]
        manager.write_notes({key: dice.choice([None, bytes(size), b"x"]) for key in keys})
        manager.apply(number, 1, GPS, 900)
    follower = replay(group for _, group in log.read())
    assert follower.notes() == manager.notes()
    return [group for _, group in log.read()]


def test_a_snapshot_has_them_in_slices() -> None:
    groups = noted()
    follower = replay(groups)
    follower.validate()
    chunks = list(follower.snapshot())
    assert max(map(len, chunks)) <= 32 << 10
    again = Follower(snapshot=chunks, position=follower.position)
    again.validate()
    assert again.notes() == follower.notes()
    assert again.state_hash() == follower.state_hash()
    assert list(again.snapshot()) == chunks
    cut = b"".join(chunks)
    bytewise = Follower(snapshot=(cut[at : at + 1000] for at in range(0, len(cut), 1000)))
    assert bytewise.notes() == follower.notes()


def test_a_write_ends_a_snapshot_and_is_in_the_hash() -> None:
    follower = replay([_core.encode_notes({b"a": b"1"}, 0)])
    before, sections = follower.state_hash(), follower.snapshot()
    assert before != Follower().state_hash()
    follower.feed(_core.encode_notes({b"a": b"2"}, 0))
    assert follower.state_hash() != before
    with pytest.raises(RuntimeError, match="gone on"):
        next(sections)
    follower.feed(_core.encode_notes({b"a": None}, 0))
    assert follower.state_hash() == Follower().state_hash()
    assert list(follower.snapshot()) == list(Follower().snapshot())


def test_damage_of_every_byte_is_refused() -> None:
    group = _core.encode_notes({b"a": b"1", b"bc": None, b"d": bytes(200)}, 300)
    follower = Follower()
    for at in range(len(group)):
        for bit in range(8):
            bad = bytearray(group)
            bad[at] ^= 1 << bit
            with pytest.raises(ParcelOperationError):
                follower.feed(bad)
    for end in range(1, len(group)):
        with pytest.raises(ParcelOperationError):
            follower.feed(group[:end])
    assert (follower.notes(), follower.position) == ({}, 0)
    snapshot = b"".join(replay(noted(writes=12)).snapshot())
    for at in [*range(200), *range(200, len(snapshot), 997)]:
        damaged = bytearray(snapshot)
        damaged[at] ^= 1 << at % 8
        with pytest.raises((ParcelOperationError, grantwheel.MemoryOperationError)):
            Follower(snapshot=[damaged])


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_a_manager_that_is_opened_again_has_its_notes(tmp_path: Path, durability: Any) -> None:
    path = tmp_path / "grants.db"
    with grantwheel.open(path, durability=durability) as manager:
        manager.write_notes({b"a": b"1", b"b": b"2"})
        manager.write_notes({b"a": None, b"c": bytes(MAX_VALUE)})
    with grantwheel.open(path) as again:
        assert again.notes() == {b"b": b"2", b"c": bytes(MAX_VALUE)}
        again.write_notes({b"b": b"3"})
    with grantwheel.open(path) as last:
        assert last.notes()[b"b"] == b"3"


def test_a_journal_with_a_snapshot_has_them() -> None:
    journal, clock = MemoryJournal(), ManualClock(1000)
    with grantwheel.open(journal, clock=clock) as manager:
        for number in range(9):
            manager.write_notes({b"n": b"%d" % number, b"%d" % number: b""})
        assert manager.snapshot() == journal.last()
    with grantwheel.open(journal, clock=clock) as again:
        assert again.recovery.snapshot == 10
        assert again.notes() == {b"n": b"8"} | {b"%d" % number: b"" for number in range(9)}


def test_a_write_in_the_log_does_not_wait() -> None:
    log = ScriptedLog(doing(lambda: own.write_notes({b"of the log": b"1"})))
    own, _ = make_manager(log=log)
    own.write_notes({b"a": b"1"})
    assert own.notes() == {b"a": b"1", b"of the log": b"1"}
    check_record(own, log, 0)


def test_encode_refuses_what_is_no_write() -> None:
    for changes, now_ms in (({}, 0), ({b"": b""}, 0), ({b"a": b""}, -1)):
        with pytest.raises(ValueError, match=r"must|within"):
            _core.encode_notes(changes, now_ms)
    with pytest.raises(BusinessError):
        _core.encode_notes({b"%d" % i: bytes(MAX_VALUE) for i in range(2**14 + 1)}, 0)


class SlowLog:
    """A log whose second group waits until it may come."""

    def __init__(self) -> None:
        self.groups = 0
        self.is_asked, self.may_come = threading.Event(), threading.Event()

    def last(self) -> int:
        return self.groups

    def append(self, after: int, _: object, /) -> int:
        if after == 1:
            self.is_asked.set()
            self.may_come.wait(PATIENCE)
        self.groups = after + 1
        return self.groups


class Settling:
    """A quota that notes which threads ask it to settle."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def check(self, _uid: int, _bundle: str, _mask: int, _is_apply: bool) -> bool:
        return True

    def settle(self, _uid: int) -> None:
        self.threads.append(threading.current_thread().name)


@pytest.mark.parametrize("round_", range(20))
def test_a_write_settles_nothing_that_others_have_ended(round_: int) -> None:
    del round_
    log, quota = SlowLog(), Settling()
    manager = Manager(log=log, policy=grantwheel.Policy(quota=quota), clock=ManualClock())
    manager.apply(7, 7, CPU, 60_000)
    first = threading.Thread(target=manager.apply, args=(8, 8, GPS, 60_000))
    first.start()
    assert log.is_asked.wait(PATIENCE)
    rest = [
        threading.Thread(target=manager.release, args=(7, 7, CPU), name="release"),
        threading.Thread(target=manager.write_notes, args=({b"a": b"1"},), name="write"),
    ]
    for thread in rest:
        thread.start()
    log.may_come.set()  # mostly when both have come, and then they are one group
    for thread in (first, *rest):
        thread.join(PATIENCE)
    assert len(quota.threads) == 1
    assert quota.threads != ["write"]  # whoever waited for the same group as a change of grants may do it
    assert manager.notes() == {b"a": b"1"}
    manager.close()
