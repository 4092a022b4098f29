"""Transient tasks by themselves: each rule, its edges, and random runs beside the model."""

import copy
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from grantwheel import Caller
from grantwheel.tasks.agenda import Agenda
from grantwheel.tasks.transient import TransientTasks
from grantwheel.tasks.values import TaskEvent, TransientFigures
from model_tasks import TransientModel
from support import refusal
from task_stage import OnRecord, Stubborn, attempt, brief_transient

MAIL = Caller(uid=700, pid=71, bundle="org.tide.mail")
MAPS = Caller(uid=800, pid=81, bundle="org.tide.maps")
DAY = 86_400_000


class Stage:
    """Transient tasks, the store they are in, and the events since the last look."""

    def __init__(self, now: int = 0, store: Any = None, **figures: int) -> None:
        self.store: Any = Stubborn() if store is None else store
        self.events: list[TaskEvent] = []
        self.figures = TransientFigures(**figures)
        self.tasks = self.again(now)

    def again(self, now: int, **more: Any) -> TransientTasks:
        """Begin anew with what is in the store."""
        return TransientTasks(now, store=self.store, emit=self.events.append, figures=self.figures, **more)

    def told(self) -> list[tuple[Any, ...]]:
        """Return the events since the last look: kind, time, uid, and pid or id where it has one."""
        events = [brief_transient(event) for event in self.events]
        self.events.clear()
        return events

    def request(self, now: int, callback: str = "a", caller: Caller = MAIL, **more: Any) -> int:
        """Make a request that has to be granted, and return for how long."""
        return self.tasks.request(now, caller, "save", callback, **more).actualDelayTime

    def refused(self, call: Callable[[], object], detail: int, code: int) -> None:
        """Make a call that has to be refused and to change nothing."""
        before = self.tasks.dump(), len(self.events)
        error = refusal(call)
        assert (error.detail, error.code) == (detail, code)
        assert (self.tasks.dump(), len(self.events)) == before


@pytest.fixture
def stage() -> Stage:
    return Stage()


# What is granted.


def test_a_request_is_granted_three_minutes(stage: Stage) -> None:
    assert stage.tasks.request(10, MAIL, "save", "a") == (1, 180_000)
    assert stage.told() == [("task_start", 10, 700, 71), ("app_task_start", 10, 700)]


def test_ids_grow_for_all_apps_together_and_are_not_reused(stage: Stage) -> None:
    assert [stage.tasks.request(0, who, "", cb).requestId for who, cb in ((MAIL, "a"), (MAPS, "b"))] == [1, 2]
    stage.tasks.cancel(0, MAPS, 2)
    stage.refused(lambda: stage.request(0, caller=Caller(uid=1, pid=1)), 990000102, 9900001)
    assert stage.tasks.request(0, MAPS, "", "b").requestId == 3


def test_a_low_battery_means_one_minute_for_requests_from_then_on(stage: Stage) -> None:
    stage.request(0)
    stage.tasks.set_battery(0, is_low=True)
    assert stage.request(0, "b") == 60_000
    assert stage.tasks.remaining(0, MAIL, 1) == 180_000
    stage.tasks.set_battery(0, is_low=False)
    assert stage.request(0, "c") == 180_000


def test_a_request_of_an_app_that_has_less_left_gets_that(stage: Stage) -> None:
    stage = Stage(quota_ms=100_000)
    assert stage.request(0) == 100_000
    stage.tasks.set_battery(0, is_low=True)
    assert stage.request(50_000, "b") == 50_000


def test_the_least_quota_is_enough_and_less_is_not() -> None:
    stage = Stage(quota_ms=50_000)
    stage.request(0)
    assert stage.request(34_000, "b") == 16_000
    stage.refused(lambda: stage.request(34_001, "c"), 990000206, 9900002)


def test_what_was_granted_stays_as_it_was(stage: Stage) -> None:
    stage.request(0)
    stage.tasks.set_battery(0, is_low=True)
    stage.tasks.set_screen(0, is_on=False)
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    assert stage.tasks.remaining(0, MAIL, 1) == 180_000


# In which order it is refused.


def test_the_order_of_refusals() -> None:
    """Everything is wrong at first; one fault after the other goes, and the next one is reported."""
    stage = Stage()
    for callback in "abc":
        stage.request(0, callback)
    stage.tasks.set_foreground(0, 700, 71, is_foreground=False)
    now = 5_001

    def ask(callback: str = "a", reason: str = "", **more: Any) -> None:
        faults: dict[str, Any] = {"uid": -1, "pid": -1, "bundle": ""}
        ready, knows = more.pop("is_ready", False), more.pop("knows_bundle", False)
        who = Caller(**{**faults, **more})
        stage.refused(
            lambda: stage.tasks.request(now, who, reason, callback, is_ready=ready, knows_bundle=knows), *expected
        )

    expected = 990000301, 9900003
    ask(reason="\ud800")
    ask(bundle="\ud800")
    expected = 980000401, 9800004
    ask()
    expected = 990000101, 9900001
    ask(is_ready=True)
    ask(is_ready=True, uid=700)
    ask(is_ready=True, uid=700, pid=2**31)
    ask(is_ready=True, uid=2**32 - 1, pid=71)
    expected = 990000102, 9900001
    ask(is_ready=True, uid=700, pid=71)
    ask(is_ready=True, uid=700, pid=71, knows_bundle=True)
    ask(is_ready=True, uid=700, pid=71, bundle=MAIL.bundle)
    ask(is_ready=True, uid=700, pid=71, bundle="x" * 1025, knows_bundle=True)
    expected = 990000202, 9900002
    right: dict[str, Any] = {"is_ready": True, "knows_bundle": True, "uid": 700, "pid": 71, "bundle": MAIL.bundle}
    ask(**right)
    expected = 990000204, 9900002
    ask("d", **right)
    stage.tasks.set_foreground(now, 700, 71, is_foreground=True)
    expected = 990000205, 9900002
    ask("d", **right)


def test_too_many_comes_before_too_little() -> None:
    stage = Stage(quota_ms=30_000, request_ms=20_000, max_requests=1)
    stage.request(0)
    stage.tasks.advance(15_000)
    stage.refused(lambda: stage.request(15_000, "b"), 990000205, 9900002)
    stage.tasks.cancel(15_000, MAIL, 1)
    stage.refused(lambda: stage.request(15_000, "b"), 990000206, 9900002)


def test_a_new_day_comes_after_the_callback_and_before_all_else() -> None:
    stage = Stage(max_requests=1)
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.request(0)
    now = DAY + 1
    stage.refused(lambda: stage.request(now), 990000202, 9900002)  # no day has begun
    error = refusal(lambda: stage.request(now, "b"))
    assert error.detail == 990000205
    assert stage.again(now).dump()["transient"] == stage.tasks.dump()["transient"]
    assert b'"reset_at":86400001' in stage.tasks.dump()["transient"]


@pytest.mark.parametrize("uid_pid", [(0, 0), (2**32 - 2, 2**31 - 1)])
def test_the_edges_of_uids_and_pids_are_fine(stage: Stage, uid_pid: tuple[int, int]) -> None:
    uid, pid = uid_pid
    assert stage.request(0, caller=Caller(uid=uid, pid=pid, bundle="b")) == 180_000


def test_a_callback_is_free_again_when_its_request_has_ended(stage: Stage) -> None:
    stage.request(0)
    stage.refused(lambda: stage.request(0), 990000202, 9900002)
    stage.refused(lambda: stage.request(0, caller=MAPS), 990000202, 9900002)
    stage.tasks.advance(179_999)
    stage.refused(lambda: stage.request(179_999), 990000202, 9900002)  # it has been called, and not ended yet
    assert stage.request(180_000) == 180_000
    stage.tasks.cancel(180_000, MAIL, 2)
    assert stage.request(180_000) == 180_000


@pytest.mark.parametrize(("taken", "by"), [("a", MAPS), ("b", MAIL)])
def test_one_callback_goes_from_app_to_app_in_one_step(stage: Stage, taken: str, by: Caller) -> None:
    """Two apps end, and the callback of one is taken by the other, all in one call."""
    stage.request(0, "a", MAIL)
    stage.request(0, "b", MAPS)
    stage.request(180_000, taken, by)
    for caller in (MAIL, MAPS):
        stage.refused(partial(stage.request, 180_000, taken, caller), 990000202, 9900002)


# The background.


def test_five_seconds_in_the_background_are_not_too_long(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.tasks.set_foreground(100, 700, 71, is_foreground=False)
    assert stage.request(5_100) == 180_000
    stage.refused(lambda: stage.request(5_101, "b"), 990000204, 9900002)
    stage.tasks.set_foreground(9_000, 700, 72, is_foreground=True)
    assert stage.request(9_000, "b") == 180_000
    assert stage.request(99_000, "c") == 180_000


def test_an_app_that_was_never_in_the_foreground_has_not_left_it(stage: Stage) -> None:
    assert stage.request(50_000_000) == 180_000


def test_an_app_that_leaves_what_nobody_has_seen_it_in_has_left(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 71, is_foreground=False)
    stage.tasks.set_foreground(4_000, 700, 71, is_foreground=False)  # it is there already
    stage.refused(lambda: stage.request(5_001), 990000204, 9900002)


def test_an_app_is_in_the_foreground_while_one_of_its_processes_is(stage: Stage) -> None:
    for pid in (71, 72):
        stage.tasks.set_foreground(0, 700, pid, is_foreground=True)
    stage.request(0)
    stage.tasks.set_foreground(1_000, 700, 71, is_foreground=False)
    stage.tasks.set_foreground(2_000, 700, 73, is_foreground=False)
    assert stage.tasks.remaining(60_000, MAIL, 1) == 180_000
    assert stage.tasks.next_deadline() is None
    stage.tasks.set_foreground(60_000, 700, 72, is_foreground=False)
    assert stage.tasks.remaining(61_000, MAIL, 1) == 179_000
    assert stage.tasks.next_deadline() == 234_000


def test_other_uids_do_not_count(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 800, 81, is_foreground=True)
    stage.request(0)
    assert stage.tasks.remaining(1_000, MAIL, 1) == 179_000


def test_a_dark_screen_lets_everything_run_and_shortens_no_window(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.request(0)
    stage.tasks.set_screen(10_000, is_on=False)
    assert stage.tasks.remaining(20_000, MAIL, 1) == 170_000
    assert stage.request(60_000, "b") == 180_000  # it is in the foreground still
    stage.tasks.set_screen(70_000, is_on=True)
    assert [stage.tasks.remaining(99_000, MAIL, number) for number in (1, 2)] == [120_000, 170_000]
    stage.tasks.set_screen(99_000, is_on=False)
    stage.tasks.set_foreground(100_000, 700, 71, is_foreground=False)
    stage.tasks.set_screen(101_000, is_on=True)
    assert stage.tasks.remaining(102_000, MAIL, 1) == 117_000


def test_a_request_while_the_screen_is_dark_runs_at_once(stage: Stage) -> None:
    stage.tasks.set_screen(0, is_on=False)
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.request(0)
    assert stage.tasks.remaining(1_000, MAIL, 1) == 179_000


# Callbacks and ends.


def test_the_callback_comes_six_seconds_before_the_end_and_the_end_six_after_it(stage: Stage) -> None:
    stage.request(0)
    stage.told()
    stage.tasks.advance(173_999)
    assert stage.told() == []
    assert stage.tasks.next_deadline() == 174_000
    stage.tasks.advance(174_000)
    assert stage.told() == [("expired_callback", 174_000, 700, 1)]
    assert stage.tasks.next_deadline() == 180_000
    assert stage.tasks.remaining(179_999, MAIL, 1) == 1
    assert stage.told() == []
    stage.tasks.advance(180_000)
    assert stage.told() == [("task_end", 180_000, 700, 71), ("app_task_end", 180_000, 700)]
    assert stage.tasks.next_deadline() is None
    stage.refused(lambda: stage.tasks.remaining(180_000, MAIL, 1), 990000103, 9900001)


def test_what_is_due_is_gone_however_late_it_is_driven(stage: Stage) -> None:
    stage.request(0)
    stage.told()
    stage.store.writes.clear()
    assert refusal(lambda: stage.tasks.cancel(500_000, MAIL, 1)).detail == 990000103
    assert stage.told() == [
        ("expired_callback", 174_000, 700, 1),
        ("task_end", 180_000, 700, 71),
        ("app_task_end", 180_000, 700),
    ]
    assert stage.tasks.info(500_000, MAIL) == (420_000, [])
    assert len(stage.store.writes) == 1


def test_the_callback_comes_once_and_the_end_though_the_app_is_in_the_foreground(stage: Stage) -> None:
    stage.request(0)
    stage.tasks.set_foreground(174_000, 700, 71, is_foreground=True)
    stage.told()
    stage.tasks.set_foreground(175_000, 700, 71, is_foreground=False)
    stage.tasks.set_foreground(177_000, 700, 71, is_foreground=True)
    assert stage.tasks.remaining(179_999, MAIL, 1) == 4_000
    assert stage.told() == []
    stage.tasks.advance(180_000)
    assert stage.told() == [("task_end", 180_000, 700, 71), ("app_task_end", 180_000, 700)]
    assert stage.tasks.info(180_000, MAIL) == (600_000 - 176_000, [])


@pytest.mark.parametrize("at", [1, 173_999, 174_000, 179_999])
def test_a_cancel_before_the_end_is_in_time(stage: Stage, at: int) -> None:
    stage.request(0)
    stage.tasks.cancel(at, MAIL, 1)
    assert stage.told()[-2:] == [("task_end", at, 700, 71), ("app_task_end", at, 700)]
    assert stage.tasks.next_deadline() is None
    assert stage.tasks.info(at, MAIL) == (600_000 - at, [])


def test_each_request_has_its_own_time_and_the_app_is_charged_once(stage: Stage) -> None:
    stage.request(0)
    stage.request(60_000, "b")
    assert stage.tasks.info(100_000, MAIL) == (500_000, [(1, 80_000), (2, 140_000)])
    stage.tasks.advance(180_000)
    assert stage.tasks.info(200_000, MAIL) == (400_000, [(2, 40_000)])
    stage.tasks.cancel(210_000, MAIL, 2)
    assert stage.tasks.info(500_000, MAIL) == (390_000, [])


def test_what_happens_at_one_instant_comes_by_id(stage: Stage) -> None:
    stage.request(0, "c", MAPS)
    stage.request(0, "a")
    stage.request(0, "b", MAPS)
    stage.told()
    stage.tasks.advance(180_000)
    assert [event[0] + str(event[-1]) for event in stage.told()] == [
        *("expired_callback1", "expired_callback2", "expired_callback3"),
        *("task_end81", "task_end71", "app_task_end700", "task_end81", "app_task_end800"),
    ]


def test_other_processes_of_an_app_may_ask_and_cancel_and_other_apps_may_not(stage: Stage) -> None:
    stage.request(0)
    other = Caller(uid=700, pid=72, bundle=MAIL.bundle)
    assert stage.tasks.remaining(0, other, 1) == 180_000
    for stranger in (MAPS, Caller(uid=700, pid=71, bundle="org.tide.other"), Caller(uid=1, pid=71, bundle=MAIL.bundle)):
        stage.refused(lambda: stage.tasks.remaining(0, stranger, 1), 990000103, 9900001)  # noqa: B023
        stage.refused(lambda: stage.tasks.cancel(0, stranger, 1), 990000103, 9900001)  # noqa: B023
    stage.refused(lambda: stage.tasks.cancel(0, MAIL, 2), 990000103, 9900001)
    stage.tasks.cancel(0, other, 1)
    assert stage.told()[-2] == ("task_end", 0, 700, 71)
    stage.refused(lambda: stage.tasks.cancel(0, MAIL, 1), 990000103, 9900001)


def test_refusals_of_the_other_calls_come_in_order(stage: Stage) -> None:
    stage.request(0)
    tasks = stage.tasks
    calls: list[tuple[Callable[..., object], int]] = [
        (lambda who, **more: tasks.cancel(0, who, 9, **more), 980000401),
        (lambda who, **more: tasks.remaining(0, who, 9, **more), 980000401),
        (lambda who, **more: tasks.info(0, who, **more), 990000401),
    ]
    for call, not_ready in calls:
        nobody = Caller(uid=-1, pid=71)
        stage.refused(lambda: call(nobody, is_ready=False), not_ready, not_ready // 100)  # noqa: B023
        stage.refused(lambda: call(nobody), 990000101, 9900001)  # noqa: B023
        stage.refused(lambda: call(Caller(uid=700, pid=71)), 990000102, 9900001)  # noqa: B023
        stage.refused(lambda: call(MAIL, knows_bundle=False), 990000102, 9900001)  # noqa: B023


def test_the_quota_is_that_of_a_bundle_and_a_uid(stage: Stage) -> None:
    stage.request(0)
    other = Caller(uid=700, pid=71, bundle="org.tide.other")
    stage.request(0, "b", other)
    assert [event[0] for event in stage.told()] == ["task_start", "app_task_start"] * 2
    stage.tasks.cancel(30_000, MAIL, 1)
    assert stage.tasks.info(50_000, MAIL) == (570_000, [])
    assert stage.tasks.info(50_000, other) == (550_000, [(2, 130_000)])
    assert stage.tasks.info(50_000, Caller(uid=701, pid=1, bundle=MAIL.bundle)) == (600_000, [])


# Days.


def test_a_day_is_over_after_more_than_24_hours(stage: Stage) -> None:
    stage.request(0)
    stage.tasks.cancel(100_000, MAIL, 1)
    assert stage.tasks.info(DAY, MAIL) == (500_000, [])
    assert stage.tasks.info(DAY + 1, MAIL) == (600_000, [])
    assert set(stage.tasks.dump()) == {"transient"}  # the app is forgotten


def test_the_first_day_begins_with_the_start() -> None:
    stage = Stage(now=1_000)
    stage.request(50_000_000)
    stage.tasks.cancel(50_100_000, MAIL, 1)
    assert stage.tasks.info(DAY + 1_000, MAIL).remainingQuota == 500_000
    assert stage.tasks.info(DAY + 1_001, MAIL).remainingQuota == 600_000


def test_a_request_begins_a_day_and_so_does_asking_for_what_is_left(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.request(0)
    assert stage.tasks.remaining(DAY + 5, MAIL, 1) == 180_000
    stage.tasks.set_foreground(DAY + 5, 700, 71, is_foreground=False)
    stage.tasks.cancel(DAY + 50_005, MAIL, 1)
    assert stage.tasks.info(2 * DAY + 5, MAIL).remainingQuota == 550_000  # that day began when it was asked
    assert stage.request(2 * DAY + 6, "b", MAPS) == 180_000
    assert stage.tasks.info(2 * DAY + 6, MAIL).remainingQuota == 600_000


def test_an_active_app_is_refilled_and_its_requests_go_on(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.request(0)
    stage.tasks.set_foreground(DAY - 50_000, 700, 71, is_foreground=False)
    assert stage.tasks.info(DAY, MAIL) == (550_000, [(1, 130_000)])
    assert stage.tasks.info(DAY + 1, MAIL) == (600_000, [(1, 129_999)])
    assert stage.tasks.info(DAY + 10_001, MAIL) == (590_000, [(1, 119_999)])
    assert stage.tasks.next_deadline() == DAY + 124_000


def test_time_alone_and_what_the_host_tells_begin_no_day(stage: Stage) -> None:
    stage.request(0)
    stage.tasks.cancel(100_000, MAIL, 1)
    stage.tasks.advance(DAY + 1)
    stage.tasks.set_screen(DAY + 2, is_on=False)
    stage.tasks.set_foreground(DAY + 3, 700, 71, is_foreground=True)
    assert b'"reset_at":0' in stage.tasks.dump()["transient"]


# Deaths.


def test_the_requests_of_a_process_end_with_it(stage: Stage) -> None:
    other = Caller(uid=700, pid=72, bundle=MAIL.bundle)
    stage.request(0, "a")
    stage.request(0, "b", other)
    stage.request(0, "c")
    stage.told()
    stage.tasks.process_died(5, 701, 71)  # another uid
    assert stage.told() == []
    stage.tasks.process_died(5, 700, 71)
    assert stage.told() == [("task_end", 5, 700, 71)] * 2
    stage.tasks.process_died(6, 700, 72)
    assert stage.told() == [("task_end", 6, 700, 72), ("app_task_end", 6, 700)]
    assert stage.request(7) == 180_000  # its callback is free


def test_a_process_that_dies_leaves_the_foreground(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 72, is_foreground=True)
    stage.request(0)
    stage.tasks.process_died(10_000, 700, 71 + 1)
    assert stage.tasks.remaining(11_000, MAIL, 1) == 179_000
    stage.refused(lambda: stage.request(15_001, "b"), 990000204, 9900002)


def test_a_process_that_was_not_in_the_foreground_leaves_nothing_by_dying(stage: Stage) -> None:
    stage.tasks.process_died(0, 700, 71)
    assert stage.request(9_000) == 180_000


def test_an_app_that_stops_loses_its_requests_and_keeps_what_it_has_used(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 71, is_foreground=False)
    stage.request(0)
    stage.request(0, "m", MAPS)
    stage.told()
    stage.tasks.app_stopped(30_000, 700)
    assert stage.told() == [("task_end", 30_000, 700, 71), ("app_task_end", 30_000, 700)]
    assert stage.tasks.info(30_000, MAIL) == (570_000, [])
    assert stage.request(40_000) == 180_000  # it has not been in the foreground since it stopped
    stage.tasks.package_removed(50_000, 700)
    assert stage.told()[-2:] == [("task_end", 50_000, 700, 71), ("app_task_end", 50_000, 700)]
    assert stage.tasks.info(50_000, MAIL) == (600_000, [])
    assert set(stage.tasks.dump()) == {"transient", "transient/800"}


def test_whether_a_uid_has_requests(stage: Stage) -> None:
    assert not stage.tasks.is_open(0, 700)
    stage.request(0)
    assert stage.tasks.is_open(179_999, 700)
    assert not stage.tasks.is_open(180_000, 700)  # nobody has driven it, and it is due
    assert not stage.tasks.is_open(0, 800)
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    assert stage.tasks.is_open(10_000_000, 700)


# What is on record.


def test_everything_is_in_the_store_and_read_again(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 72, is_foreground=True)
    stage.request(0)
    stage.request(0, "b", MAPS)
    stage.tasks.set_battery(10, is_low=True)
    stage.tasks.advance(175_000)
    again = stage.again(175_000)
    assert again.dump() == stage.tasks.dump() == dict(stage.store.items())
    assert again.next_deadline() == stage.tasks.next_deadline() == 180_000
    assert again.remaining(175_000, MAIL, 1) == 180_000
    assert again.request(175_000, MAIL, "", "c") == (3, 60_000)
    assert refusal(lambda: again.request(175_000, MAIL, "", "a")).detail == 990000202


def test_the_bytes_of_a_record_are_these(stage: Stage) -> None:
    stage.request(7)
    assert stage.tasks.dump() == {
        "transient": b'{"is_battery_low":false,"is_screen_on":true,"next_id":2,"reset_at":0}',
        "transient/700": (
            b'{"apps":[{"bundle":"org.tide.mail","charged_ms":0,"quota_ms":600000,"requests":[{"began_ms":0,'
            b'"callback":"a","called_at":null,"delay_ms":180000,"id":1,"pid":71,"reason":"save"}]}],'
            b'"foreground":[],"left_at":null,"ran_ms":0,"runs_since":7,"uid":700}'
        ),
    }


def test_a_change_is_written_at_once_and_only_what_has_changed(stage: Stage) -> None:
    stage.request(0)
    stage.request(0, "b", MAPS)
    stage.store.writes.clear()
    stage.tasks.advance(100)
    stage.tasks.remaining(100, MAIL, 1)
    stage.tasks.set_screen(100, is_on=True)
    assert stage.store.writes == []
    stage.tasks.cancel(100, MAIL, 1)
    assert [sorted(changes) for changes in stage.store.writes] == [["transient/700"]]
    stage.tasks.package_removed(100, 800)
    assert stage.store.writes[-1] == {"transient/800": None}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"is_battery_low":0,"is_screen_on":true,"next_id":2,"reset_at":0}',
        b'{"is_battery_low":false,"is_screen_on":true,"next_id":true,"reset_at":0}',
        b'{"is_battery_low":false,"is_screen_on":true,"next_id":-1,"reset_at":0}',
        b'{"is_battery_low":false, "is_screen_on":true,"next_id":2,"reset_at":0}',
        b'{"is_battery_low":false,"is_screen_on":true,"more":1,"next_id":2,"reset_at":0}',
        b"\xff",
    ],
)
def test_what_is_no_record_is_refused(value: bytes) -> None:
    stage = Stage()
    stage.store.write({"transient": value})
    error = refusal(lambda: stage.again(0))
    assert error.code == 9800002
    assert "'transient'" in str(error)


def test_a_record_of_another_uid_is_refused(stage: Stage) -> None:
    stage.request(0)
    value = stage.tasks.dump()["transient/700"]
    stage.store.write({"transient/701": value})
    assert "'transient/701'" in str(refusal(lambda: stage.again(0)))


def test_records_of_others_are_left_alone(stage: Stage) -> None:
    stage.store.write({"continuous": b"?", "transients": b"?"})
    stage.request(0)
    assert set(stage.again(0).dump()) == {"transient", "transient/700"}


def test_a_store_that_refuses_leaves_everything_as_it_was(stage: Stage) -> None:
    stage.request(0)
    stage.tasks.set_foreground(0, 800, 81, is_foreground=True)
    stage.told()
    stage.store.refuses = True
    calls: list[Callable[[], object]] = [
        lambda: stage.request(10, "b"),
        lambda: stage.tasks.cancel(10, MAIL, 1),
        lambda: stage.tasks.set_foreground(10, 700, 71, is_foreground=True),
        lambda: stage.tasks.set_battery(10, is_low=True),
        lambda: stage.tasks.set_screen(10, is_on=False),
        lambda: stage.tasks.process_died(10, 700, 71),
        lambda: stage.tasks.app_stopped(10, 700),
        lambda: stage.tasks.package_removed(10, 700),
        lambda: stage.tasks.restarted(10, lambda _uid, _pid: False),
        lambda: stage.tasks.advance(174_000),
    ]
    for call in calls:
        stage.refused(call, 980000301, 9800003)
    assert stage.told() == []
    assert stage.tasks.next_deadline() == 174_000


def test_reads_and_refusals_go_on_without_the_store(stage: Stage) -> None:
    stage.request(0)
    stage.told()
    stage.store.refuses = True
    assert stage.tasks.info(175_000, MAIL) == (425_000, [(1, 5_000)])
    stage.refused(lambda: stage.tasks.remaining(180_000, MAIL, 1), 990000103, 9900001)
    stage.refused(lambda: stage.tasks.cancel(180_000, MAIL, 1), 990000103, 9900001)
    assert stage.tasks.info(DAY + 1, MAIL) == (600_000, [])
    assert stage.told() == []
    stage.store.refuses = False
    stage.tasks.advance(DAY + 1)
    assert [event[:2] for event in stage.told()] == [
        *(("expired_callback", 174_000), ("task_end", 180_000), ("app_task_end", 180_000)),
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_leaves_what_the_store_has(stage: Stage, when: str) -> None:
    stage.request(0)
    stage.store.interrupts = when
    stage.told()
    with pytest.raises(KeyboardInterrupt):
        stage.request(10, "b")
    assert stage.tasks.next_deadline() == 174_000
    assert stage.told() == ([] if when == "before" else [("task_start", 10, 700, 71)])
    number = 2 if when == "before" else 3
    assert stage.tasks.request(20, MAIL, "", "c").requestId == number
    assert stage.tasks.dump() == dict(stage.store.items()) == stage.again(20).dump()
    assert len(stage.tasks.info(20, MAIL).transientTasks) == number
    assert stage.tasks.next_deadline() == 174_000


def test_an_instant_before_the_last_one_is_no_instant(stage: Stage) -> None:
    stage.request(10)
    with pytest.raises(ValueError, match="10 ms"):
        stage.tasks.advance(9)


# After a restart.


def test_requests_of_processes_that_run_go_on_and_others_go_without_a_word(stage: Stage) -> None:
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.request(0)
    stage.request(0, "b", Caller(uid=700, pid=72, bundle=MAIL.bundle))
    stage.request(0, "m", MAPS)
    stage.told()
    again = stage.again(20_000)
    again.restarted(20_000, lambda uid, pid: (uid, pid) == (700, 72))
    assert stage.told() == []
    assert again.info(21_000, MAIL) == (599_000, [(2, 179_000)])  # nobody of it is in the foreground any more
    assert again.info(21_000, MAPS) == (580_000, [])
    assert again.request(21_000, MAPS, "", "m").requestId == 4
    assert stage.again(21_000).dump() == again.dump()


def test_after_a_boot_no_app_has_left_the_foreground(stage: Stage) -> None:
    stage.request(0)
    stage.tasks.set_foreground(0, 700, 71, is_foreground=True)
    stage.tasks.set_foreground(0, 800, 81, is_foreground=False)
    stage.told()
    again = stage.again(20_000)
    again.restarted(20_000, lambda _uid, _pid: False)
    for caller in (MAIL, MAPS):  # others of its processes may run
        assert refusal(partial(again.request, 30_000, caller, "", "a")).detail == 990000204
    again.restarted(40_000, lambda _uid, _pid: False, is_reboot=True)
    assert [again.request(50_000, caller, "", f"of {caller.uid}").requestId for caller in (MAIL, MAPS)] == [2, 3]
    assert [kind for kind, *_ in stage.told()] == ["task_start", "app_task_start"] * 2


def test_what_had_to_end_while_nobody_was_there_is_charged_for_no_longer(stage: Stage) -> None:
    stage.request(0)
    stage.request(0, "m", MAPS)
    stage.told()
    again = stage.again(400_000)
    again.restarted(400_000, lambda uid, _pid: uid == 800)
    assert again.info(400_000, MAIL) == (420_000, [])
    assert stage.told() == [
        ("expired_callback", 174_000, 800, 2),
        ("task_end", 180_000, 800, 81),
        ("app_task_end", 180_000, 800),
    ]


# Limits.


def test_a_limit_is_one(stage: Stage) -> None:
    tasks = stage.again(0, max_records=2)
    tasks.request(0, MAIL, "", "a")
    tasks.set_foreground(0, 800, 81, is_foreground=True)
    error = refusal(lambda: tasks.request(0, Caller(uid=900, pid=91, bundle="b"), "", "b"))
    assert (error.code, error.detail) == (9800001, 980000101)
    assert "max_records" in str(error)
    assert refusal(lambda: tasks.set_foreground(0, 900, 91, is_foreground=True)).code == 9800001
    assert tasks.request(0, MAPS, "", "b").requestId == 2
    tasks.package_removed(0, 700)
    assert tasks.request(0, Caller(uid=900, pid=91, bundle="b"), "", "c").requestId == 3


def test_what_one_uid_may_have_is_limited(stage: Stage) -> None:
    for pid in range(1024):
        stage.tasks.set_foreground(0, 700, pid, is_foreground=True)
    stage.tasks.set_foreground(0, 700, 1023, is_foreground=True)
    stage.refused(lambda: stage.tasks.set_foreground(0, 700, 1024, is_foreground=True), 980000101, 9800001)
    for number in range(64):
        stage.request(0, f"{number}", Caller(uid=800, pid=81, bundle=f"b{number}"))
    stage.refused(lambda: stage.request(0, "x", MAPS), 980000101, 9800001)
    assert stage.request(0, "x", Caller(uid=800, pid=81, bundle="b0")) == 180_000


@pytest.mark.parametrize(("uid", "pid"), [(-1, 1), (2**32 - 1, 1), (1, -1), (1, 2**31)])
def test_there_is_no_such_process(stage: Stage, uid: int, pid: int) -> None:
    stage.refused(lambda: stage.tasks.set_foreground(0, uid, pid, is_foreground=True), 990000101, 9900001)


@pytest.mark.parametrize(
    ("figures", "error"),
    [
        ({"request_ms": 6_000}, ValueError),
        ({"low_battery_ms": 6_000}, ValueError),
        ({"least_quota_ms": 6_000}, ValueError),
        ({"max_requests": 0}, ValueError),
        ({"day_ms": 2**53 + 1}, ValueError),
        ({"window_ms": 5.0}, TypeError),
        ({"window_ms": True}, TypeError),
    ],
)
def test_figures_that_cannot_be(figures: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(figures))):
        TransientFigures(**figures)


def test_figures_can_be_others() -> None:
    stage = Stage(request_ms=100, low_battery_ms=50, quota_ms=200, least_quota_ms=20, notice_ms=10, forced_ms=30)
    assert stage.request(0) == 100
    stage.told()
    stage.tasks.advance(119)
    assert stage.told() == [("expired_callback", 90, 700, 1)]
    assert stage.tasks.info(119, MAIL) == (81, [(1, 0)])
    stage.tasks.advance(120)
    assert [event[1] for event in stage.told()] == [120, 120]


# What is due next.


def test_the_agenda_has_the_earliest_and_forgets_what_was_replaced() -> None:
    numbers = random.Random(7)
    agenda: Agenda[int] = Agenda()
    instants: dict[int, int] = {}
    for _ in range(5_000):
        key, instant = numbers.randrange(20), numbers.choice((None, *range(50)))
        agenda.set(key, instant)
        instants.pop(key, None)
        if instant is not None:
            instants[key] = instant
        assert agenda.next() == min(instants.values(), default=None)
        now = numbers.randrange(50)
        assert sorted(agenda.due_by(now)) == sorted(one for one, at in instants.items() if at <= now)
        assert len(agenda._heap) <= 2 * len(instants) + 65


# Beside the model.

SMALL: dict[str, int] = {
    "request_ms": 90,
    "low_battery_ms": 40,
    "quota_ms": 300,
    "least_quota_ms": 16,
    "notice_ms": 6,
    "forced_ms": 6,
    "day_ms": 1_500,
    "window_ms": 5,
}


class Pair:
    """The rules and the model, given the same calls."""

    UIDS, PIDS, BUNDLES, CALLBACKS = (1, 2, 3), (11, 12), ("a", "b", ""), "pqrstuvw"

    def __init__(self, seed: int, store: Any = None) -> None:
        self.numbers = random.Random(seed)
        self.stage = Stage(store=store, **SMALL)
        self.model = TransientModel(figures=dict(SMALL))
        self.now = 0

    def step(self) -> None:
        numbers, model = self.numbers, self.model
        self.now += numbers.choice((0, 0, 1, 1, 2, 5, 6, 9, 30, 84, 90, 400))
        if numbers.random() < 0.02:
            self.stage.tasks = self.stage.again(self.now)  # it goes on from what is on record
        tasks, now = self.stage.tasks, self.now
        uid, pid = numbers.choice(self.UIDS), numbers.choice(self.PIDS)
        bundle = numbers.choices(self.BUNDLES, (8, 3, 1))[0]
        who = Caller(uid=uid, pid=pid, bundle=bundle)
        ready = numbers.random() < 0.97
        number = numbers.randint(max(1, model.next_id - 8), model.next_id)
        yes = numbers.random() < 0.5
        callback = numbers.choice(self.CALLBACKS)
        kinds: list[tuple[int, Callable[[], Any], Callable[[TransientModel], Any], bool]] = [
            (
                30,
                lambda: tasks.request(now, who, "", callback, is_ready=ready),
                lambda m: m.request(uid, pid, bundle, callback, ready),
                False,
            ),
            (
                12,
                lambda: tasks.cancel(now, who, number, is_ready=ready),
                lambda m: m.cancel(uid, pid, bundle, number, ready),
                False,
            ),
            (
                8,
                lambda: tasks.remaining(now, who, number, is_ready=ready),
                lambda m: m.remaining(uid, pid, bundle, number, ready),
                True,
            ),
            (8, lambda: tasks.info(now, who, is_ready=ready), lambda m: m.info(uid, pid, bundle, ready), True),
            (
                20,
                lambda: tasks.set_foreground(now, uid, pid, is_foreground=yes),
                lambda m: m.foreground(uid, pid, yes),
                False,
            ),
            (4, lambda: tasks.set_screen(now, is_on=yes), lambda m: setattr(m, "screen_on", yes), False),
            (3, lambda: tasks.set_battery(now, is_low=yes), lambda m: setattr(m, "battery_low", yes), False),
            (4, lambda: tasks.process_died(now, uid, pid), lambda m: m.died(uid, pid), False),
            (2, lambda: tasks.app_stopped(now, uid), lambda m: m.stopped(uid), False),
            (1, lambda: tasks.package_removed(now, uid), lambda m: m.removed(uid), False),
            (10, lambda: tasks.advance(now), lambda _m: None, False),
        ]
        _, on_rules, on_model, is_read = numbers.choices(kinds, [kind[0] for kind in kinds])[0]
        if numbers.random() < 0.1:
            self.without_the_store(on_rules, on_model, is_read=is_read)
            return
        model.go(now)
        assert attempt(on_rules) == attempt(lambda: on_model(model))
        told, model.told = model.told, []
        assert self.stage.told() == told
        self.compare()

    def without_the_store(
        self, on_rules: Callable[[], Any], on_model: Callable[[TransientModel], Any], *, is_read: bool
    ) -> None:
        """Make a call that the store refuses, unless it has nothing to write: the model does not take part in it."""
        before, told = self.stage.tasks.dump(), list(self.stage.events)
        self.stage.store.refuses = True
        answer = attempt(on_rules)
        self.stage.store.refuses = False
        imagined = copy.deepcopy(self.model)
        imagined.go(self.now)
        expected = attempt(lambda: on_model(imagined))
        assert answer == expected or (not is_read and answer == 980000301)
        assert (self.stage.tasks.dump(), self.stage.events) == (before, told)

    def compare(self) -> None:
        tasks, model, now = self.stage.tasks, self.model, self.now
        assert tasks.next_deadline() == model.next()
        assert tasks.dump() == dict(self.stage.store.items()) | {"transient": tasks.dump()["transient"]}
        for uid in self.UIDS:
            assert tasks.is_open(now, uid) == any(ask.uid == uid for ask in model.asks)
        assert len(tasks.dump()) <= 1 + len(self.UIDS)


def run_beside_the_model(seed: int, steps: int, store: Any = None) -> None:
    print(f"seed {seed}")
    pair = Pair(seed, store)
    for _ in range(steps):
        pair.step()
    assert pair.model.next_id > steps // 20


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_beside_the_model(seed: int) -> None:
    run_beside_the_model(seed, 700)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 106))
def test_many_random_calls_beside_the_model(seed: int) -> None:
    run_beside_the_model(seed, 5_000)


def test_random_calls_on_record_beside_the_model() -> None:
    store = OnRecord(4)
    run_beside_the_model(4, 700, store)
    store.check()
