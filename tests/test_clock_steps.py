"""Managers that are opened again where the calendar was set by years, or after a boot, which may not be told."""

import itertools
import random
from dataclasses import dataclass, field
from uuid import UUID

import pytest

import grantwheel
from grantwheel import Cause
from grantwheel.journal import MemoryJournal
from grantwheel.recovery import Start
from support import CPU, GPS, TIMER

SECOND, HOUR = 1000, 3_600_000
DAY = 24 * HOUR
YEAR = 365 * DAY


@dataclass
class Machine:
    """What a machine says of itself: its boot, which a container may hide, the time since, and the calendar."""

    boots: int = 1
    boot_ms: int = HOUR
    wall_ms: int = 55 * YEAR
    says_boot: bool = True
    processes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def start(self) -> Start:
        boot_id = UUID(int=self.boots) if self.says_boot else None
        return Start(boot_id, self.boot_ms, self.wall_ms, dict(self.processes))

    def run(self, ms: int) -> None:
        self.boot_ms += ms
        self.wall_ms += ms

    def boot(self, off_ms: int, up_ms: int = 20 * SECOND) -> None:
        """Have it off for some time, and then up again for some."""
        self.boots += 1
        self.boot_ms = up_ms
        self.wall_ms += off_ms + up_ms


def open_on(machine: Machine, journal: MemoryJournal, **more: object) -> grantwheel.DurableManager:
    return grantwheel.open(journal, start=machine.start(), **more)  # type: ignore[arg-type]


def left_of(manager: grantwheel.DurableManager, uid: int) -> int | None:
    """The time that the first grant of an app has left; None: it is gone."""
    record = manager.find_app(uid)
    return None if record is None else record.grants[0].remaining_ms


def is_about(ms: int | None, expected_ms: int) -> bool:
    """Whether it is that, but for what the test itself has taken."""
    return ms is not None and abs(ms - expected_ms) <= 30 * SECOND


def with_a_day_left(machine: Machine) -> MemoryJournal:
    """A journal with a grant of two days, of which one is over."""
    journal = MemoryJournal()
    with open_on(machine, journal) as manager:
        manager.apply(700, 71, GPS, 2 * DAY)
        manager.apply(701, 71, GPS, persist=True)
    machine.run(DAY)
    with open_on(machine, journal) as manager:
        assert is_about(left_of(manager, 700), DAY)
    return journal


@pytest.mark.parametrize("says_boot", [True, False], ids=["boot known", "boot hidden"])
@pytest.mark.parametrize("step_ms", [30 * YEAR, YEAR, -YEAR, -60 * YEAR])
def test_the_calendar_means_nothing_while_the_machine_is_up(says_boot: bool, step_ms: int) -> None:
    machine = Machine(says_boot=says_boot)
    journal = with_a_day_left(machine)
    machine.wall_ms += step_ms
    machine.run(HOUR)
    with open_on(machine, journal) as manager:
        assert not manager.recovery.is_reboot
        assert is_about(left_of(manager, 700), DAY - HOUR)
    machine.wall_ms -= step_ms
    machine.run(HOUR)
    with open_on(machine, journal) as manager:
        assert is_about(left_of(manager, 700), DAY - 2 * HOUR)


@pytest.mark.parametrize("says_boot", [True, False], ids=["boot known", "boot hidden"])
def test_years_forward_while_it_was_off_end_what_is_timed(says_boot: bool) -> None:
    machine = Machine(says_boot=says_boot)
    journal = with_a_day_left(machine)
    machine.wall_ms += 30 * YEAR
    machine.boot(HOUR)
    with open_on(machine, journal) as manager:
        assert manager.recovery.is_reboot
        assert manager.recovery.away_ms >= 30 * YEAR
        assert manager.recovery.expired == 1
        assert [event.cause for event in manager.drain()] == [Cause.EXPIRED]
        assert (manager.app_mask(700), manager.app_mask(701)) == (0, GPS)
        then = manager.clock.now()
        manager.apply(702, 71, GPS, DAY)
    # The calendar is put right at the next boot: time does not go back, and what has ended does not come back.
    machine.wall_ms -= 30 * YEAR
    machine.boot(HOUR, up_ms=SECOND)
    with open_on(machine, journal) as manager:
        assert manager.recovery.is_reboot
        assert then <= manager.recovery.now_ms <= then + 30 * SECOND
        assert (manager.app_mask(700), manager.app_mask(701)) == (0, GPS)
        assert is_about(left_of(manager, 702), DAY)
    machine.run(HOUR)
    with open_on(machine, journal) as manager:
        assert is_about(left_of(manager, 702), DAY - HOUR)


@pytest.mark.parametrize("step_ms", [-YEAR, -60 * YEAR])
def test_years_back_while_it_was_off_give_no_more_than_was_left(step_ms: int) -> None:
    machine = Machine()
    journal = with_a_day_left(machine)
    machine.wall_ms += step_ms
    machine.boot(HOUR)
    for _ in range(3):
        with open_on(machine, journal) as manager:
            assert manager.recovery.is_reboot
            assert manager.recovery.away_ms < 30 * SECOND
            assert is_about(left_of(manager, 700), DAY)
        machine.boot(-20 * SECOND)  # a calendar that begins anew with each boot: nothing seems to pass
    machine.run(HOUR)
    machine.boot(HOUR)
    with open_on(machine, journal) as manager:
        assert is_about(left_of(manager, 700), DAY - 2 * HOUR - 20 * SECOND)


def test_a_boot_that_is_hidden_is_seen_by_the_time_since() -> None:
    machine = Machine(says_boot=False, boot_ms=DAY)
    journal = with_a_day_left(machine)
    machine.boot(HOUR)
    with open_on(machine, journal) as manager:
        assert manager.recovery.is_reboot
        assert is_about(left_of(manager, 700), DAY - HOUR)


@pytest.mark.parametrize("before", [True, False])
def test_a_boot_id_that_comes_and_goes(before: bool) -> None:
    """As where the program moves into a container, or out of it, while the machine is up."""
    machine = Machine(says_boot=before)
    journal = with_a_day_left(machine)
    for hours in (1, 2, 3):
        machine.says_boot = not machine.says_boot
        machine.run(HOUR)
        with open_on(machine, journal) as manager:
            assert not manager.recovery.is_reboot
            assert is_about(left_of(manager, 700), DAY - hours * HOUR)


def test_a_reboot_in_the_middle_of_a_start() -> None:
    """However far a start has come, the next one ends the same, on that boot or on another one."""
    machine = Machine(processes={71: (700, 0)})
    journal = MemoryJournal()
    with open_on(machine, journal, owners="processes") as manager:
        manager.apply(700, 71, CPU | TIMER, persist=True)
        manager.apply(701, 72, TIMER, HOUR)
        manager.apply(700, 71, CPU, DAY, process=True)
        manager.apply(702, 72, TIMER, DAY)
    machine.boot(2 * HOUR)
    before = journal.last()
    with open_on(machine, journal, owners="processes") as manager:
        grants = [(record.uid, record.mask) for record in manager.records()]
        ends = [event._replace(sequence=0) for event in manager.read(0)[0]]
        report = manager.recovery
        assert (report.lost_apps, report.lost_processes, report.expired) == ((700,), (71,), 1)
        assert grants == [(700, TIMER), (702, TIMER)]
        assert is_about(left_of(manager, 702), DAY - 2 * HOUR - 20 * SECOND)
    groups = [group for _, group in journal.read(0)]
    assert len(groups) > before + 1
    for count, boots in itertools.product(range(before, len(groups) + 1), (False, True)):
        cut = MemoryJournal()
        for position, group in enumerate(groups[:count]):
            cut.append(position, group)
        later = Machine(machine.boots, machine.boot_ms, machine.wall_ms)
        if boots:
            later.boot(0)
        else:
            later.run(SECOND)
        with open_on(later, cut, owners="processes") as manager:
            assert [(record.uid, record.mask) for record in manager.records()] == grants
            assert [event._replace(sequence=0) for event in manager.read(0)[0]] == ends
            assert manager.recovery.is_reboot == (boots or count == before)
            assert is_about(left_of(manager, 702), DAY - 2 * HOUR - 20 * SECOND)
            manager.validate()


def test_a_machine_to_which_everything_happens() -> None:
    """Time never goes back, is exact on a boot, and follows the calendar over one. What has ended stays so."""
    seed = 20_260_101
    chance = random.Random(seed)
    machine, journal = Machine(), MemoryJournal()
    deadlines: dict[int, int] = {}
    ended: set[int] = set()
    last_ms = most = 0
    marked = machine.start()
    for number in range(150):
        start = machine.start()
        knows = start.boot_id is not None and marked.boot_id is not None
        is_reboot = (knows and start.boot_id != marked.boot_id) or start.boot_ms < marked.boot_ms
        passed_ms = start.wall_ms - marked.wall_ms if is_reboot else start.boot_ms - marked.boot_ms
        with open_on(machine, journal) as manager:
            report, what = manager.recovery, f"seed {seed}, start {number}"
            assert report.is_reboot == is_reboot, what
            assert last_ms <= report.now_ms, what
            if number:
                assert is_about(report.now_ms - last_ms, max(passed_ms, 0)), what
            ended |= {uid for uid, deadline_ms in deadlines.items() if deadline_ms <= report.now_ms}
            there = {record.uid: record.grants[0].deadline_ms for record in manager.records()}
            assert there == {uid: deadline_ms for uid, deadline_ms in deadlines.items() if uid not in ended}, what
            most = max(most, len(there))
            for event in manager.drain():
                assert event.time == deadlines[event.uid], what
            manager.apply(number, 1, GPS, chance.choice((HOUR, DAY, 45 * DAY)) + 60 * SECOND * number)
            record = manager.find_app(number)
            assert record is not None
            assert record.grants[0].deadline_ms is not None
            deadlines[number] = record.grants[0].deadline_ms
            last_ms = manager.clock.now()
        marked = start
        machine.says_boot = chance.random() < 0.7
        machine.wall_ms += chance.choice((0,) * 16 + (9 * YEAR, -9 * YEAR, 20 * DAY, -20 * DAY))
        machine.run(chance.choice((60 * SECOND, HOUR, 10 * HOUR, DAY)))
        if chance.random() < 0.4:
            machine.boot(chance.choice((0, HOUR, 3 * DAY)), chance.randrange(SECOND, 5 * HOUR))
    assert len(ended) > 20
    assert most > 5
