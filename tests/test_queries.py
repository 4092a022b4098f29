"""Queries and administration: what a manager shows, to whom, in which order, and what its keeper may take away."""

from collections.abc import Callable
from typing import Any

import pytest

from grantwheel import (
    Caller,
    CpuLevel,
    EfficiencyResourcesInfo,
    Grant,
    Holders,
    Infos,
    Manager,
    OwnerKind,
    Record,
    RecordInfo,
    ResourceType,
)
from support import (
    ALL,
    AUDIO,
    CPU,
    GPS,
    MAIL,
    MAPS,
    SENSOR,
    TIMER,
    brief,
    filled,
    make_manager,
    unchanged,
)

NATIVE = Caller(native=True)


# Queries.


def test_a_record_shows_everything() -> None:
    manager, _ = filled()
    mail = {"uid": 700, "bundle": "org.tide.mail"}
    assert manager.find_app(700) == Record(
        kind=OwnerKind.APP,
        pid=71,
        mask=TIMER | CPU,
        cpu_level=CpuLevel.DEFAULT,
        grants=(
            Grant(ResourceType.CPU, True, 0, None, None, "beat"),
            Grant(ResourceType.TIMER, True, 0, None, None, "beat"),
        ),
        **mail,  # type: ignore[arg-type]
    )
    assert manager.find_process(72) == Record(
        kind=OwnerKind.PROCESS,
        pid=72,
        mask=CPU,
        cpu_level=1,
        grants=(Grant(ResourceType.CPU, False, 300, 300, 200, "calc"),),
        **mail,  # type: ignore[arg-type]
    )


def test_views_have_the_types_of_the_package() -> None:
    manager, _ = filled()
    record = manager.find_app(800)
    assert type(record) is Record
    assert type(record.kind) is OwnerKind
    assert type(record.grants[0]) is Grant
    assert type(record.grants[0].type) is ResourceType
    assert type(record.grants[0].persist) is bool
    infos = manager.infos()
    assert type(infos) is Infos
    assert type(infos.apps[0]) is RecordInfo
    row = manager.get_all(caller=MAIL)[0]
    assert type(row) is EfficiencyResourcesInfo
    assert type(row.resourceTypes) is ResourceType


def test_nobody_is_none() -> None:
    manager, clock = filled()
    assert manager.find_app(1) is None
    assert manager.find_process(71) is None
    assert (manager.app_mask(1), manager.process_mask(1)) == (0, 0)
    clock.set(300)
    assert manager.find_app(800) is None
    assert manager.find_process(72) is None


def test_get_all_shows_the_callers_own() -> None:
    manager, _ = filled()
    row = EfficiencyResourcesInfo
    assert manager.get_all(caller=MAIL) == [
        row(CPU, 0, None, True, False, "beat", 700, 71, None),
        row(TIMER, 0, None, True, False, "beat", 700, 71, None),
        row(CPU, 300, 200, False, True, "calc", 700, 72, 1),
    ]
    assert [(r.resourceTypes, r.isForProcess) for r in manager.get_all(caller=MAPS)] == [(GPS, False), (CPU, True)]


def test_infos_show_everyone() -> None:
    manager, _ = filled()
    assert manager.infos(caller=NATIVE) == Infos(
        apps=[
            RecordInfo(700, 71, TIMER | CPU, "org.tide.mail", -1),
            RecordInfo(800, 81, GPS, "org.tide.maps", -1),
            RecordInfo(900, 91, GPS, "", -1),
        ],
        processes=[RecordInfo(700, 72, CPU, "org.tide.mail", 1), RecordInfo(800, 81, CPU, "org.tide.maps", -1)],
    )
    assert manager.infos() == manager.infos(caller=NATIVE)


def test_holders_and_counts_by_type() -> None:
    manager, clock = filled()
    assert manager.holders(ResourceType.CPU) == ([700], [72, 81])
    assert manager.holders(GPS) == ([800, 900], [])
    assert manager.holders(SENSOR) == ([], [])
    assert [manager.count(1 << index) for index in range(9)] == [3, 0, 1, 0, 0, 2, 0, 0, 0]
    clock.set(200)
    assert manager.holders(CPU) == ([700], [72])
    assert manager.count(GPS) == 1


@pytest.mark.parametrize("wrong", [0, -1, 3, ALL, 512, 2**40])
def test_holders_are_asked_for_by_one_type(wrong: int) -> None:
    manager, _ = filled()
    with unchanged(manager):
        with pytest.raises(ValueError, match="type"):
            manager.holders(wrong)
        with pytest.raises(ValueError, match="type"):
            manager.count(wrong)
    not_a_type: Any = "GPS"
    with pytest.raises(TypeError, match="type"):
        manager.count(not_a_type)


def test_records_come_by_pages() -> None:
    manager, _ = filled()
    everything = manager.records()
    assert [(record.kind, record.uid, record.pid) for record in everything] == [
        ("app", 700, 71),
        ("app", 800, 81),
        ("app", 900, 91),
        ("process", 700, 72),
        ("process", 800, 81),
    ]
    for limit in range(1, 7):
        pages: list[Record] = []
        last: Record | None = None
        while page := manager.records(after=last, limit=limit):
            assert len(page) == min(limit, 5 - len(pages))
            pages += page
            last = page[-1]
        assert pages == everything
    assert manager.records(limit=0) == []
    assert manager.records(after=everything[-1]) == []
    assert manager.records(everything[1], 2) == everything[2:4]


def test_a_page_goes_on_after_a_record_that_has_gone() -> None:
    manager, _ = filled()
    first, second = manager.records(limit=2)
    manager.package_removed(second.uid)
    assert [(record.kind, record.uid) for record in manager.records(after=second)] == [("app", 900), ("process", 700)]
    manager.package_removed(first.uid)
    assert [(record.kind, record.uid) for record in manager.records(after=first)] == [("app", 900)]


def test_pages_have_limits() -> None:
    manager, _ = filled()
    wrong: Any
    with pytest.raises(ValueError, match="limit"):
        manager.records(limit=-1)
    for wrong in ("2", 1.5):
        with pytest.raises(TypeError, match="limit"):
            manager.records(limit=wrong)
    for wrong in (700, "app", (OwnerKind.APP, 700)):
        with pytest.raises(TypeError, match="after"):
            manager.records(after=wrong)


def test_a_thousand_records_in_order() -> None:
    manager, _ = make_manager()
    for number in range(1000):
        uid = number * 7919 % 1000
        manager.apply(uid, 5000 - uid, GPS | CPU, 40, process=True)
    records = manager.records()
    assert [record.uid for record in records[:1000]] == list(range(1000))
    assert [record.pid for record in records[1000:]] == list(range(4001, 5001))
    last, pages = None, []
    while page := manager.records(after=last, limit=37):
        pages += page
        last = page[-1]
    assert pages == records


def test_stats_are_plain_numbers() -> None:
    manager, clock = filled()
    manager.apply(900, 91, GPS | AUDIO, 500)
    manager.release(800, 81, GPS)
    clock.set(300)
    stats = manager.stats()
    assert (stats.app_records, stats.process_records) == (2, 0)
    assert list(stats.app_grants) == list(ResourceType.ALL)
    assert {resource: count for resource, count in stats.app_grants.items() if count} == {
        ResourceType.CPU: 1,
        ResourceType.TIMER: 1,
        ResourceType.GPS: 1,
        ResourceType.AUDIO: 1,
    }
    assert not any(stats.process_grants.values())
    assert (stats.granted, stats.renewed) == (7, 1)
    assert {cause: count for cause, count in stats.ended.items() if count} == {"release": 1, "expired": 2}
    assert stats.last_sequence == manager.drain()[-1].sequence
    assert stats.strings == 2  # beat and org.tide.mail


def test_readers_change_nothing() -> None:
    manager, _ = filled()
    with unchanged(manager):
        manager.get_all(caller=MAIL)
        manager.infos()
        manager.holders(GPS)
        manager.admin_list()
        manager.next_deadline()
        manager.advance()
        manager.validate()


# Administration.


def test_the_listing() -> None:
    manager, clock = filled()
    text = manager.admin_list()
    for part in ("700", "800", "900", "71", "72", "org.tide.mail", "CPU", "TIMER", "GPS", "beat", "calc", "200", "400"):
        assert part in text
    assert text == manager.admin_list()
    assert text.index("700") < text.index("800") < text.index("900")
    manager.admin_reset_all()
    assert manager.admin_list() == "No running efficiency resources"
    manager.apply(700, 71, GPS, 40)
    clock.advance(40)
    assert manager.admin_list() == "No running efficiency resources"


def test_administration_resets_apps_then_processes() -> None:
    manager, _ = filled()
    manager.drain()
    assert manager.admin_reset_all() == TIMER | CPU | GPS
    assert brief(manager.drain()) == [
        ("app_reset", 700, 71, TIMER | CPU),
        ("app_reset", 800, 81, GPS),
        ("app_reset", 900, 91, GPS),
        ("process_reset", 700, 72, CPU),
        ("process_reset", 800, 81, CPU),
    ]


def test_administration_reports_first_what_was_due() -> None:
    manager, clock = filled()
    manager.drain()
    clock.set(200)
    assert manager.admin_reset_all() == TIMER | CPU | GPS
    events = manager.drain()
    assert sorted((event.cause, event.kind, event.uid) for event in events if event.cause == "expired") == [
        ("expired", "app_reset", 800),
        ("expired", "process_reset", 800),
    ]
    assert brief([event for event in events if event.cause == "admin"]) == [
        ("app_reset", 700, 71, TIMER | CPU),
        ("app_reset", 900, 91, GPS),
        ("process_reset", 700, 72, CPU),
    ]


def test_administration_takes_types_by_mask() -> None:
    manager, _ = filled()
    assert manager.admin_reset_app(700, CPU | GPS) == CPU
    assert manager.process_mask(72) == CPU
    assert manager.admin_reset_app(700, ResourceType.TIMER) == TIMER
    assert manager.find_app(700) is None
    assert manager.admin_reset_process(72, ALL) == CPU
    assert manager.admin_reset_process(72, ALL) == 0


def test_masks_that_people_look_at_are_resource_types() -> None:
    manager, _ = filled()
    (info, *_), processes = manager.infos()
    record = manager.find_app(700)
    assert record is not None
    rows = manager.get_all(caller=MAIL)
    masks = [record.mask, info.mask, processes[0].mask, manager.drain()[0].mask, *(row.resourceTypes for row in rows)]
    assert {type(mask) for mask in masks} == {ResourceType}
    assert record.mask is ResourceType.CPU | ResourceType.TIMER
    # Those of the fast calls are plain, as `&` of plain ones is many times as fast.
    assert type(manager.app_mask(700)) is type(manager.apply(700, 71, GPS, 5, caller=MAIL)) is int


def test_holders_have_names() -> None:
    manager, _ = filled()
    holders = manager.holders(ResourceType.CPU)
    assert holders == Holders(apps=[700], processes=[72, 81])
    assert (holders.apps, holders.processes) == tuple(holders)


@pytest.mark.parametrize("ask", [lambda manager: manager.records(), lambda manager: manager.holders(GPS)])
def test_a_list_ends_what_is_due_before_it(ask: Callable[[Manager], object]) -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 10)
    clock.set(10)
    before = manager.wake_at
    ask(manager)
    assert (before, manager.wake_at) == (10, None)
    assert [(event.time, event.cause) for event in manager.read(0)[0]] == [(0, "apply"), (10, "expired")]
