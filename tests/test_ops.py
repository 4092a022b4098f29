"""The ops of a group as values, and the one that a tool adds to see the end of what is due."""

from array import array
from typing import Any

import pytest

from grantwheel import Follower, ManualClock, MemoryLog, ParcelOperationError, Policy, ResourceType, ops, replay
from grantwheel.ops import Advance, Command, CommandKind, LimitsChange, Mark, Recovery
from grantwheel.types import Cause
from journal_files import golden
from support import AUDIO, CPU, GPS, TIMER, make_manager


def groups_of(work: Any, **options: Any) -> list[bytes]:
    """What is on record of some calls of a manager whose clock shows 0."""
    log = MemoryLog()
    manager, clock = make_manager(log=log, **options)
    work(manager, clock)
    return [group for _, group in log.read()]


def command(kind: CommandKind, **fields: Any) -> Command:
    empty = Command(0, kind, 0, 0, ResourceType(0), 0, False, False, False, -1, "", "", {}, None)
    return empty._replace(**fields)


def test_what_a_start_notes() -> None:
    (none,), (mark,), _ = (ops.read(data) for data in golden("mark"))
    assert none == Mark(0, None, 0, 0)
    assert mark == Mark(1002, bytes(range(1, 17)), 123456, 1_700_000_000_123)
    (limits,) = ops.read(golden("limits")[0])
    assert limits == LimitsChange(1003, 1_000_000, 65536, 65536)
    found, other = (list(ops.read(data)) for data in golden("recovery"))
    assert found == [Recovery(1004, (1, 20010042, 4294967294), (0, 4242, 2147483647))]
    assert other == [Recovery(1005, (), (9,))]


def every_kind(manager: Any, clock: ManualClock) -> None:
    manager.apply(1, 11, GPS, 500, reason="r\u00e9ason\n")
    manager.apply(1, 11, CPU, 500, process=True)
    manager.apply(1, 11, TIMER, persist=True)
    manager.renew(1, 11, GPS, 900)
    manager.release(1, 11, TIMER)
    manager.reset_all(1, 11)
    manager.process_died(1, 11)
    manager.app_stopped(1)
    manager.package_removed(1)
    manager.admin_reset_app(1, GPS | AUDIO)
    manager.admin_reset_process(11, CPU)
    manager.admin_reset_all()


def test_every_kind_of_command() -> None:
    found = [op for group in groups_of(every_kind) for op in ops.read(group)]
    assert all(isinstance(op, Command) for op in found)
    assert {op.kind for op in found if isinstance(op, Command)} == set(CommandKind)
    one = {"uid": 1, "pid": 11}
    assert found[0] == command(CommandKind.APPLY, **one, mask=GPS, timeout_ms=500, reason="r\u00e9ason\n")
    assert found[1] == command(CommandKind.APPLY, **one, mask=CPU, timeout_ms=500, process=True)
    assert found[2] == command(CommandKind.APPLY, **one, mask=TIMER, persist=True)
    assert found[3] == command(CommandKind.APPLY, **one, mask=GPS, timeout_ms=900, only_held=True)
    assert found[4]._replace(time=0) == command(CommandKind.RELEASE, **one, mask=TIMER)
    assert isinstance(found[0], Command)
    assert isinstance(found[0].mask, ResourceType)


def test_what_the_policy_decided_is_there() -> None:
    policy = Policy(default_timeout_max_ms={ResourceType.GPS: 100})

    def work(manager: Any, clock: ManualClock) -> None:
        manager.apply(1, 11, GPS | AUDIO, 500)

    ((op,),) = map(ops.read, groups_of(work, policy=policy))
    assert isinstance(op, Command)
    assert (op.mask, op.timeout_ms, op.timeouts_ms) == (GPS | AUDIO, 500, {ResourceType.GPS: 100})


def test_a_batch_comes_row_by_row() -> None:
    def work(manager: Any, clock: ManualClock) -> None:
        clock.set(7)
        uids = array("I", [5, 6])
        manager.apply_many(uids, uids, array("I", [GPS, AUDIO]), array("I", [9, 8]))
        manager.release_many(uids, uids, array("I", [GPS, AUDIO]))

    groups = groups_of(work)
    applies, releases = (list(ops.read(group)) for group in groups)
    assert applies == [
        command(CommandKind.APPLY, time=7, uid=5, pid=5, mask=GPS, timeout_ms=9, row=0),
        command(CommandKind.APPLY, time=7, uid=6, pid=6, mask=AUDIO, timeout_ms=8, row=1),
    ]
    assert [(op.kind, op.row) for op in releases if isinstance(op, Command)] == [
        (CommandKind.RELEASE, 0),
        (CommandKind.RELEASE, 1),
    ]


def test_the_place_is_where_a_group_may_be_cut() -> None:
    groups = groups_of(every_kind)
    whole = b"".join(groups)
    found = ops.read(memoryview(whole))
    places = [found.place for _ in found]
    assert places == [sum(map(len, groups[:number])) for number in range(len(groups))]
    assert found.place == len(whole)
    assert list(found) == []
    for place in places[1:]:
        assert len([*ops.read(whole[:place]), *ops.read(whole[place:])]) == len(groups)


def test_an_advance() -> None:
    def work(manager: Any, clock: ManualClock) -> None:
        manager.apply(1, 11, GPS, 5)
        clock.set(6)
        manager.advance()

    _, op = (op for group in groups_of(work) for op in ops.read(group))
    assert isinstance(op, Advance)
    assert (op.time, op.endings >= 1) == (6, True)


def test_damage_is_refused_with_its_place() -> None:
    groups = groups_of(every_kind)
    whole = bytearray(b"".join(groups))
    whole[len(groups[0]) + 7] ^= 1
    with pytest.raises(ParcelOperationError, match=f"damaged, at byte {len(groups[0])}\\)"):
        ops.read(whole)
    for wrong in ("text", 7, None, [1]):
        with pytest.raises(TypeError, match="group must be bytes"):
            ops.read(wrong)  # type: ignore[arg-type]


def test_a_buffer_that_changes_meanwhile_does_not_matter() -> None:
    (group,) = groups_of(lambda manager, clock: manager.apply(1, 11, GPS, 5))
    mine = bytearray(group)
    found = ops.read(mine)
    mine[:] = bytes(len(mine))
    mine.append(0)
    assert list(found) == list(ops.read(group))


def test_a_look_at_the_end_of_what_is_due() -> None:
    def work(manager: Any, clock: ManualClock) -> None:
        manager.apply(1, 11, GPS, 5)
        manager.apply(2, 11, GPS, 50)

    follower = replay(groups_of(work))
    follower.feed(ops.end_at(20))
    assert follower.now_ms == 20
    assert [(event.time, event.cause, event.uid) for event in follower.read(2)[0]] == [(5, Cause.EXPIRED, 1)]
    with pytest.raises(ValueError, match="time"):
        ops.end_at(-1)
    assert Follower().feed(ops.end_at(1 << 62)) == 1
