"""Managers that are opened on a journal: what is there again, what has gone meanwhile, and what is said about it."""

import contextlib
import gc
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import grantwheel
from forking import in_child
from grantwheel import BusinessError, Cause, Follower, ManualClock, MemoryLog, NotAppended, Policy
from grantwheel.journal import DamageError, FormatError, InUseError, Journal, MemoryJournal
from grantwheel.journal.sqlite import SqliteJournal
from grantwheel.recovery import Start, durable
from journal_files import seal
from support import AUDIO, CPU, GPS, TIMER, WORK_SCHEDULER
from waiting import wait_for

WORK = WORK_SCHEDULER

BOOT = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
MINUTE = 60_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000)


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


def open_at(journal: Journal, clock: ManualClock, **more: Any) -> grantwheel.DurableManager:
    more.setdefault("start", Start(BOOT, clock.now(), clock.now(), {}))
    return grantwheel.open(journal, clock=clock, **more)


def groups_of(journal: Journal) -> list[bytes]:
    return [group for _, group in journal.read(0)]


def test_what_was_granted_is_there_again_with_the_time_that_is_left(tmp_path: Path) -> None:
    clock = ManualClock(7)
    with grantwheel.open(tmp_path / "grants.db", clock=clock) as manager:
        manager.apply(700, 71, GPS | CPU, MINUTE, reason="because")
        manager.apply(700, 72, CPU, 2 * MINUTE, process=True)
        manager.apply(701, 73, TIMER, persist=True)
        before = manager.records()
        assert manager.recovery.records == 0
    clock.advance(10_000)
    with grantwheel.open(str(tmp_path / "grants.db"), clock=clock) as manager:
        assert [record.mask for record in manager.records()] == [record.mask for record in before]
        app = manager.find_app(700)
        assert app is not None
        assert [(grant.type, grant.remaining_ms, grant.reason) for grant in app.grants] == [
            (CPU, MINUTE - 10_000, "because"),
            (GPS, MINUTE - 10_000, "because"),
        ]
        report = manager.recovery
        assert (report.records, report.expired, report.away_ms, report.is_reboot) == (3, 0, 10_000, False)
        assert report.damage == ()
        manager.validate()


def test_without_a_clock_the_time_goes_on(tmp_path: Path) -> None:
    with grantwheel.open(tmp_path / "grants.db") as manager:
        then = manager.clock.now()
        manager.apply(700, 71, GPS, MINUTE)
    with grantwheel.open(tmp_path / "grants.db") as manager:
        record = manager.find_app(700)
        assert record is not None
        left = record.grants[0].remaining_ms
        assert left is not None
        assert MINUTE - (manager.clock.now() - then) <= left <= MINUTE
        assert repr(manager.clock) == "BootClock()"


def test_after_another_boot_the_clock_has_an_offset(tmp_path: Path) -> None:
    with grantwheel.open(tmp_path / "grants.db") as manager:
        manager.apply(700, 71, GPS, MINUTE)
        then = manager.clock.now()
    now = Start.now()
    start = Start(OTHER, 5, now.wall_ms + 30_000)
    with grantwheel.open(tmp_path / "grants.db", start=start) as manager:
        record = manager.find_app(700)
        assert record is not None
        left = record.grants[0].remaining_ms
        assert left is not None
        assert 0 < left <= 30_000
        assert then + 30_000 <= manager.clock.now() <= then + 30_000 + MINUTE
        assert manager.recovery.is_reboot


def test_what_is_overdue_ends_with_events_of_its_instant(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock) as manager:
        manager.apply(700, 71, GPS | TIMER, 1000)
        manager.apply(700, 71, CPU, 500, process=True)
        manager.apply(700, 71, AUDIO, persist=True)
        last = manager.last_sequence
    clock.advance(5000)
    with open_at(journal, clock) as manager:
        events = manager.drain()
        assert [(event.kind, event.time, event.cause, event.mask) for event in events] == [
            ("process_reset", 1500, "expired", CPU),
            ("app_reset", 2000, "expired", GPS | TIMER),
        ]
        assert events == manager.read(last)[0]
        assert manager.app_mask(700) == AUDIO
        assert manager.recovery.expired == 3
    follower = grantwheel.replay(groups_of(journal))
    assert follower.read(last)[0] == events


def test_owners_that_are_processes(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock) as manager:
        for uid in (700, 701, 702):
            manager.apply(uid, 70, CPU | TIMER | WORK, persist=True)
        for pid in (71, 72, 73):
            manager.apply(700, pid, CPU, MINUTE, process=True)
        last = manager.last_sequence
    clock.advance(10)
    running = {71: (700, 1000), 72: (700, 1001), 80: (702, 5)}
    start = Start(BOOT, clock.now(), clock.now(), running)
    with open_at(journal, clock, owners="processes", start=start) as manager:
        assert [manager.app_mask(uid) for uid in (700, 701, 702)] == [13, TIMER | WORK, 13]
        assert [manager.process_mask(pid) for pid in (71, 72, 73)] == [CPU, 0, 0]
        report = manager.recovery
        assert (report.lost_apps, report.lost_processes, report.lost_grants) == ((701,), (72, 73), 3)
        assert manager.stats().ended[Cause.RECOVERED] == 3
        assert manager.drain() == []
        assert manager.last_sequence == last
        assert report.kept_apps == report.kept_processes == ()
    with open_at(journal, clock, owners="processes", start=Start(OTHER, 5, clock.now(), running)) as manager:
        assert manager.recovery.is_reboot
        assert [manager.app_mask(uid) for uid in (700, 701, 702)] == [TIMER | WORK] * 3
        assert manager.process_mask(71) == 0
        assert manager.recovery.lost_apps == (700, 702)
        assert manager.drain() == []
        manager.validate()


def test_what_is_hidden_is_kept_and_told(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock) as manager:
        manager.apply(700, 71, CPU, persist=True)
        manager.apply(701, 72, CPU, persist=True, process=True)
        manager.apply(701, 73, CPU, persist=True, process=True)
    start = Start(BOOT, clock.now(), 0, {}, hidden={72})
    with open_at(journal, clock, owners="processes", start=start) as manager:
        assert manager.app_mask(700) == CPU
        assert manager.process_mask(72) == CPU
        assert manager.process_mask(73) == 0
        assert (manager.recovery.kept_apps, manager.recovery.kept_processes) == ((700,), (72,))


def test_a_library_keeps_everything(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock) as manager:
        manager.apply(700, 71, CPU, persist=True, process=True)
    with open_at(journal, clock, start=Start(OTHER, 0, 0)) as manager:
        assert manager.process_mask(71) == CPU
        assert manager.recovery.is_reboot


# Limits.


def test_limits_belong_to_the_log(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock, max_records=3, max_strings=2, event_capacity=5) as manager:
        for uid in (1, 2, 3):
            manager.apply(uid, 1, GPS, MINUTE)
        with pytest.raises(BusinessError, match=r"max_records \(3\) is reached"):
            manager.apply(4, 1, GPS, MINUTE)
    refused = pytest.raises(BusinessError, match=r"max_records \(3\) is reached")
    with open_at(journal, clock) as manager, refused:  # as they were
        manager.apply(4, 1, GPS, MINUTE)
    with open_at(journal, clock, max_records=4) as manager:
        manager.apply(4, 1, GPS, MINUTE)
    follower = grantwheel.replay(groups_of(journal))
    assert len(follower.records()) == 4


def test_limits_that_what_is_held_does_not_fit(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock) as manager:
        for uid in (1, 2, 3):
            manager.apply(uid, 1, GPS, MINUTE, reason=f"reason {uid}")
    before = groups_of(journal)
    for limit, count in (("max_records", 3), ("max_strings", 3)):
        with pytest.raises(BusinessError, match=rf"{limit} \(2\) is below the 3 that the journal has") as caught:
            open_at(journal, clock, **{limit: 2})
        assert caught.value.code == 9800001
        assert count == 3
    assert groups_of(journal) == before
    clock.advance(MINUTE)  # what is overdue makes room
    with open_at(journal, clock, max_records=2) as manager:
        assert manager.records() == []
        assert [event.uid for event in manager.read(0)[0][-3:]] == [1, 2, 3]


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"durability": "never"}, "durability must be 'commit' or 'batch', not 'never'"),
        ({"owners": "nobody"}, "owners must be 'any' or 'processes', not 'nobody'"),
        ({"policy": 5}, "policy must be a Policy, not int"),
        ({"clock": 5}, r"clock must have a method now\(\)"),
        ({"start": 5}, "start must be a Start, not int"),
        ({"max_records": 0}, "max_records must be within 1"),
        ({"max_strings": 2**31}, "max_strings must be within 1"),
        ({"event_capacity": True}, "event_capacity must be an int, not bool"),
    ],
)
def test_arguments_are_looked_at_first(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        grantwheel.open(tmp_path / "grants.db", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_what_is_neither_path_nor_journal() -> None:
    with pytest.raises(TypeError, match=r"where must be a path or a Journal; a MemoryLog has no method"):
        grantwheel.open(type("MemoryLog", (), {"last": None})())
    with pytest.raises(TypeError, match=r"where must be a path or a Journal; a int has no method last\(\)"):
        grantwheel.open(5)  # type: ignore[arg-type]


def test_a_clock_before_the_log_is_refused(journal: MemoryJournal, clock: ManualClock) -> None:
    open_at(journal, clock).close()
    before = groups_of(journal)
    with pytest.raises(ValueError, match="clock must not be before the last instant of the log, 1000 ms, as 999 ms is"):
        open_at(journal, ManualClock(999))
    assert groups_of(journal) == before


def test_one_at_a_time(tmp_path: Path) -> None:
    with grantwheel.open(tmp_path / "grants.db"):
        with pytest.raises(InUseError) as caught:
            grantwheel.open(tmp_path / "grants.db")
        assert caught.value.pid == os.getpid()
    grantwheel.open(tmp_path / "grants.db").close()


def test_a_journal_that_takes_nothing_is_not_opened(clock: ManualClock) -> None:
    class Full(MemoryJournal):
        def append(self, after: int, group: Any, /) -> int:
            raise NotAppended("no room")

    with pytest.raises(NotAppended, match="no room"):
        open_at(Full(), clock)


def test_a_journal_of_two_methods_more_will_do(clock: ManualClock) -> None:
    class Plain:
        def __init__(self) -> None:
            self.groups: list[bytes] = []

        def last(self) -> int:
            return len(self.groups)

        def append(self, after: int, group: Any, /) -> int:
            self.groups.append(bytes(group))
            return after + 1

        def read(self, after: int = 0, /) -> Iterator[tuple[int, bytes]]:
            return iter(list(enumerate(self.groups, 1))[after:])

    plain: Any = Plain()
    with open_at(plain, clock) as manager:
        manager.apply(700, 71, GPS, MINUTE)
        with pytest.raises(TypeError, match=r"a Plain keeps no snapshots: it lacks save\(\) or snapshot\(\)"):
            manager.snapshot()
    with open_at(plain, clock) as manager:
        assert manager.app_mask(700) == GPS
    plain.groups[1] = b"?"
    with pytest.raises(DamageError, match="group 2: "):
        open_at(plain, clock)


# Damage.


def fill(journal: Journal, clock: ManualClock) -> list[bytes]:
    with open_at(journal, clock) as manager:
        for uid in range(1, 6):
            manager.apply(uid, 1, GPS, MINUTE)
    return groups_of(journal)


def test_damage_is_set_aside_and_reported(journal: MemoryJournal, clock: ManualClock) -> None:
    groups = fill(journal, clock)
    bad = bytearray(groups[3])
    bad[5] ^= 1
    journal._groups[3] = bytes(bad)
    with open_at(journal, clock) as manager:
        assert [record.uid for record in manager.records()] == [1, 2]
        (report,) = manager.recovery.damage
        assert (report.kind, report.last) == ("damaged", 3)
        assert "group 4: " in report.what
    assert journal._asides == [(0, [*groups[:3], bytes(bad), *groups[4:]], None)]
    with open_at(journal, clock) as manager:
        assert [record.uid for record in manager.records()] == [1, 2]


def test_a_group_that_does_not_follow_is_damage(journal: MemoryJournal, clock: ManualClock) -> None:
    groups = fill(journal, clock)
    other = MemoryJournal()
    fill(other, ManualClock(5))
    journal._groups[4] = groups_of(other)[4]  # of an earlier instant
    with open_at(journal, clock) as manager:
        assert [record.uid for record in manager.records()] == [1, 2, 3]
        assert manager.recovery.damage[0].last == 4
    assert journal._asides[0][1][:4] == groups[:4]


@pytest.mark.parametrize("damage", ["group", "snapshot", "snapshot, and its groups are gone"])
def test_damage_in_a_file(tmp_path: Path, clock: ManualClock, damage: str) -> None:
    from grantwheel.journal.sqlite import SqliteJournal

    path = tmp_path / "grants.db"
    with SqliteJournal(path) as journal:
        groups = fill(journal, clock)
    with SqliteJournal(tmp_path / "other.db") as other:
        for position, group in enumerate(groups):
            if damage == "group" and position == 4:
                group = group[:-1] + b"?"  # noqa: PLW2901 - as something else than a disk would spoil it
            other.append(position, group)
        if damage != "group":
            other.save(other.last() - 1, [b"not a snapshot"])
        if damage.endswith("gone"):
            for _ in range(3):
                other.append(other.last(), groups[-1])
    with grantwheel.open(tmp_path / "other.db", clock=clock) as manager:
        (report,) = manager.recovery.damage
        assert report.aside is not None
        assert (report.aside / "other.db").exists()
        expected = {"group": [1, 2, 3], "snapshot": [1, 2, 3, 4, 5]}.get(damage, [])
        assert [record.uid for record in manager.records()] == expected
    with grantwheel.open(tmp_path / "other.db", clock=clock) as manager:
        assert manager.recovery.damage == ()
        assert [record.uid for record in manager.records()] == expected


def test_what_is_newer_is_refused_and_left_alone(journal: MemoryJournal, clock: ManualClock) -> None:
    fill(journal, clock)
    newer = seal(b"\x02\x00later")
    journal._groups[3] = newer
    groups = groups_of(journal)
    with pytest.raises(FormatError, match="group 4 is of a newer format"):
        open_at(journal, clock)
    assert groups_of(journal) == groups


# The end.


def test_closing_leaves_a_journal_that_was_given_open(journal: MemoryJournal, clock: ManualClock) -> None:
    manager = open_at(journal, clock)
    manager.close()
    manager.close()
    assert journal.last() > 0
    for call in (manager.snapshot, manager.maintain, lambda: manager.apply(1, 1, GPS, 1)):
        with pytest.raises(BusinessError) as caught:
            call()
        assert caught.value.code == 9800004


def test_a_mark_says_when_it_was_closed(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock):
        clock.advance(1234)
    follower = grantwheel.replay(groups_of(journal))
    mark = grantwheel._core.mark_of(follower)
    assert mark is not None
    assert (mark[0], mark[2], mark[3]) == (2234, 2234, 2234)
    assert mark[1] == bytes.fromhex(BOOT.replace("-", ""))


def test_it_can_be_dropped(tmp_path: Path) -> None:
    manager = grantwheel.open(tmp_path / "grants.db")
    manager.apply(700, 71, GPS, persist=True)
    del manager
    gc.collect()
    opened: list[grantwheel.DurableManager] = []

    def can_be_opened() -> bool:  # once its thread has noticed
        with contextlib.suppress(InUseError):
            opened.append(grantwheel.open(tmp_path / "grants.db"))
        return bool(opened)

    wait_for(can_be_opened)
    with opened[0] as manager:
        assert manager.app_mask(700) == GPS


def test_it_is_one_of_a_kind(journal: MemoryJournal, clock: ManualClock) -> None:
    with open_at(journal, clock) as manager, pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(manager)


def test_the_child_of_a_fork_does_not_have_it(tmp_path: Path) -> None:
    with grantwheel.open(tmp_path / "grants.db") as manager:
        manager.apply(700, 71, GPS, persist=True)

        def refused(say: Callable[[str], object]) -> None:
            calls: list[Callable[[], object]] = [
                manager.close, manager.snapshot, manager.maintain, lambda: manager.app_mask(700),
            ]  # fmt: skip
            for call in calls:
                try:
                    call()
                except BusinessError as error:
                    say(str(error.code))

        assert in_child(refused) == ["9800004"] * 4
        manager.apply(701, 71, GPS, persist=True)
    with grantwheel.open(tmp_path / "grants.db") as manager:
        assert [record.uid for record in manager.records()] == [700, 701]


def run(code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_an_exit_without_close_loses_nothing(tmp_path: Path, durability: str) -> None:
    code = """
        import sys, grantwheel
        manager = grantwheel.open(sys.argv[1], durability=sys.argv[2])
        for uid in range(100):
            manager.apply(uid, 1, 32, persist=True)
    """
    run(code, str(tmp_path / "grants.db"), durability)
    with grantwheel.open(tmp_path / "grants.db") as manager:
        assert len(manager.records()) == 100


def test_the_documented_module_on_a_journal(tmp_path: Path) -> None:
    code = """
        import grantwheel
        from grantwheel import backgroundTaskManager as module
        print([row.reason for row in module.getAllEfficiencyResources()])
        for kind, name in ((1, "cpu"), (4, "timer")):
            request = {"resourceTypes": kind, "isApply": True, "timeOut": 0, "reason": name, "isPersist": True}
            module.applyEfficiencyResources(request)
        try:
            grantwheel.backgroundTaskManager.set_default_manager(None)
            module.getAllEfficiencyResources()
        except grantwheel.BusinessError as error:
            print(error.code, type(error.__cause__).__name__)
    """
    path = str(tmp_path / "grants.db")
    assert run(code, GRANTWHEEL_STATE=path).splitlines()[0] == "[]"
    # Another process of this uid runs, this one: so all stays.
    assert run(code, GRANTWHEEL_STATE=path).splitlines()[0] == "['cpu', 'timer']"


def test_a_state_that_another_one_has_is_not_ready(tmp_path: Path) -> None:
    code = """
        import grantwheel
        module = grantwheel.backgroundTaskManager
        for call in (module.getAllEfficiencyResources, module.resetAllEfficiencyResources):
            try:
                call()
            except grantwheel.BusinessError as error:
                print(error.code, type(error.__cause__).__name__)
    """
    with grantwheel.open(tmp_path / "grants.db"):
        assert run(code, GRANTWHEEL_STATE=str(tmp_path / "grants.db")) == "18700004 InUseError\n9800004 InUseError\n"


def test_a_follower_that_has_become_a_manager() -> None:
    follower = Follower()
    grantwheel._core.Manager(ManualClock(), None, None, None, None, MemoryLog(), b"", "commit", follower)
    with pytest.raises(BusinessError, match="The follower has become a manager"):
        follower.records()


def test_a_policy_is_not_in_the_journal(journal: MemoryJournal, clock: ManualClock) -> None:
    policy = Policy(allowed={"a": [6]}, callers={700: grantwheel.Caller(bundle="a", system_app=True)})
    with open_at(journal, clock, policy=policy) as manager:
        assert manager.apply(700, 71, GPS | CPU, MINUTE) == GPS
    with open_at(journal, clock) as manager:
        assert manager.apply(700, 71, GPS | CPU, MINUTE) == GPS | CPU


def test_a_journal_that_took_nothing_at_the_end_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grants.db"
    manager = grantwheel.open(path, durability="batch")
    manager.apply(1, 1, CPU, persist=True)
    manager.flush()
    with monkeypatch.context() as patch:
        patch.setattr(durable, "_SETTLE_MS", 100)
        patch.setattr(SqliteJournal, "append", refuse)
        with contextlib.suppress(BusinessError):
            manager.apply(2, 1, CPU, persist=True)
        with pytest.raises(BusinessError, match="9800003"):
            manager.close()
    with grantwheel.open(path) as manager:
        assert manager.app_mask(1) == CPU


@pytest.mark.parametrize("durability", ["commit", "batch"])
@pytest.mark.parametrize("error", [NotAppended("no room"), OSError("no answer")], ids=["refused", "uncertain"])
def test_a_last_mark_that_is_not_taken_keeps_no_journal_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Literal["commit", "batch"], error: Exception
) -> None:
    path = tmp_path / "grants.db"
    manager = grantwheel.open(path, durability=durability)
    manager.apply(1, 1, CPU, persist=True)
    manager.flush()

    def fails(*_: object) -> int:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(durable, "_SETTLE_MS", 100)
        patch.setattr(SqliteJournal, "append", fails)
        patch.setattr(SqliteJournal, "last", fails)
        manager.close()
    with grantwheel.open(path) as manager:
        assert manager.app_mask(1) == CPU


def test_what_a_close_has_told_is_lost_is_not_waited_for_at_the_exit(tmp_path: Path) -> None:
    code = """
        import sys, grantwheel
        from grantwheel.journal.sqlite import SqliteJournal
        from grantwheel.recovery import durable
        durable._SETTLE_MS = 100
        manager = grantwheel.open(sys.argv[1], durability="batch")
        def refuse(*_):
            raise grantwheel.NotAppended("no room")
        SqliteJournal.append = refuse
        manager.apply(1, 1, 32, persist=True)
        try:
            manager.close()
        except grantwheel.TransactionError as error:
            print(error.code)
    """
    assert run(code, str(tmp_path / "grants.db")) == "9800003\n"


def refuse(*_: object) -> int:
    raise NotAppended("no room")
