"""Lists of owners and records as columns."""

from array import array
from typing import Any

import pytest

from grantwheel import (
    Caller,
    GrantColumns,
    HolderColumns,
    InfoColumns,
    Manager,
    OwnerKind,
    PermissionDeniedError,
    QueryServiceError,
    RecordColumns,
    ServiceOperationError,
)
from support import ALL, CPU, GPS, MAIL, SENSOR, TIMER, make_manager

NATIVE = Caller(native=True)
NEVER = 2**64 - 1
LONGEST_UID, LONGEST_PID = 2**32 - 2, 2**31 - 1

FORMATS: dict[type, dict[str, str]] = {
    HolderColumns: {"apps": "I", "processes": "I"},
    InfoColumns: {"kind": "B", "uid": "I", "pid": "I", "mask": "H", "cpu_level": "b", "bundle": "I"},
    GrantColumns: {"record": "I", "type": "H", "timeout_ms": "I", "deadline_ms": "Q", "reason": "I"},
}
FORMATS[RecordColumns] = FORMATS[InfoColumns]


def filled(owners: int = 3) -> Manager:
    """Return a manager with apps and processes, whose uids and pids come in no order."""
    manager, clock = make_manager()
    for i in range(owners):
        uid = i * 2_654_435_761 % LONGEST_UID
        pid = i * 1_640_531_527 % LONGEST_PID
        caller = Caller(bundle=f"bundle {i % 7}", system_app=True)
        manager.apply(uid, pid, GPS | TIMER, 1000 + i, reason=f"reason {i % 5}", caller=caller)
        manager.apply(uid, pid, CPU, persist=True, process=True, caller=caller)
    manager.apply(LONGEST_UID, LONGEST_PID, GPS, 2**32 - 1)
    clock.set(10)
    return manager


def check_formats(columns: Any) -> None:
    """Check what is promised of the buffers."""
    for name, wanted in FORMATS[type(columns)].items():
        column = getattr(columns, name)
        assert (column.format, column.ndim, column.contiguous, column.readonly) == (wanted, 1, True, True)
        assert array(wanted, column).tolist() == column.tolist()


def as_records(columns: RecordColumns) -> list[tuple[Any, ...]]:
    """Return what the columns say, as it stands in records but for what remains."""
    kinds = list(OwnerKind)
    grants: list[list[tuple[Any, ...]]] = [[] for _ in columns.uid]
    for record, type_, timeout, deadline, reason in zip(*columns.grants, strict=True):
        persist = deadline == NEVER
        grants[record].append((type_, persist, timeout, None if persist else deadline, columns.texts[reason]))
    rows = zip(columns.kind, *columns[1:5], columns.bundle, grants, strict=True)
    return [
        (kinds[kind], uid, pid, mask, columns.texts[bundle], level, tuple(held))
        for kind, uid, pid, mask, level, bundle, held in rows
    ]


@pytest.mark.parametrize("owners", [0, 3, 600, 1500])
def test_columns_say_what_lists_say(owners: int) -> None:
    manager = filled(owners)
    for mask in (GPS, CPU, SENSOR):
        holders = manager.holders_columns(mask)
        assert type(holders) is HolderColumns
        check_formats(holders)
        assert (holders.apps.tolist(), holders.processes.tolist()) == manager.holders(mask)
    records = manager.records_columns()
    assert (type(records), type(records.grants)) == (RecordColumns, GrantColumns)
    check_formats(records)
    check_formats(records.grants)
    assert as_records(records) == [
        (*record[:6], tuple((*grant[:4], grant.reason) for grant in record.grants)) for record in manager.records()
    ]
    infos = manager.infos_columns(caller=NATIVE)
    assert type(infos) is InfoColumns
    check_formats(infos)
    assert infos[:5] == records[:5]
    assert [infos.texts[place] for place in infos.bundle] == [records.texts[place] for place in records.bundle]
    assert len(set(infos.texts)) == len(infos.texts) <= 8


def test_long_lists_of_holders_are_in_order() -> None:
    manager = filled(1500)
    apps, processes = manager.holders(GPS).apps, manager.holders(CPU).processes
    assert (apps, processes) == (sorted(apps), sorted(processes))
    assert (len(set(apps)), len(set(processes))) == (1501, 1500)
    assert apps[-1] == LONGEST_UID


def test_columns_have_nothing_that_is_due() -> None:
    manager = filled()
    clock: Any = manager.clock
    clock.set(1002)
    assert manager.holders_columns(GPS).apps.tolist() == [LONGEST_UID]
    assert manager.records_columns().mask.tolist() == [GPS, CPU, CPU, CPU]
    assert manager.infos_columns().mask.tolist() == [GPS, CPU, CPU, CPU]


def test_columns_stay_as_they_are() -> None:
    manager = filled()
    columns = manager.records_columns()
    before = as_records(columns)
    manager.admin_reset_all()
    manager.close()
    assert as_records(columns) == before


def test_columns_are_refused_as_lists_are() -> None:
    manager = filled()
    for wrong in (0, 3, ALL, 512):
        with pytest.raises(ValueError, match="resource_type"):
            manager.holders_columns(wrong)
    with pytest.raises(PermissionDeniedError):
        manager.infos_columns(caller=MAIL)
    assert manager.stats().refused[201] == 1
    manager.close()
    with pytest.raises(ServiceOperationError):
        manager.holders_columns(GPS)
    with pytest.raises(ServiceOperationError):
        manager.records_columns()
    with pytest.raises(QueryServiceError):
        manager.infos_columns(caller=NATIVE)


def test_numpy_takes_columns_without_a_copy() -> None:
    numpy = pytest.importorskip("numpy")
    manager = filled()
    for columns in (manager.holders_columns(GPS), manager.infos_columns(), manager.records_columns().grants):
        for name, wanted in FORMATS[type(columns)].items():
            column = getattr(columns, name)
            taken = numpy.asarray(column)
            assert taken.dtype == numpy.dtype(wanted)
            assert taken.tolist() == column.tolist()
            assert not len(column) or numpy.shares_memory(taken, numpy.frombuffer(column, dtype=wanted))
