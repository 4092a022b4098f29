"""The calls into the compiled module, one after the other, for when the memory of the interpreter itself fails.

They are made without any code in Python around them: an interpreter that has no memory for its own steps is not what is
looked at. Each one is prepared first, and takes no arguments then. What pybind11 itself dispatches is called by
position: for a call by name it interns the names, does not look whether it could, and the process ends.
"""

from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

from allocation_session import (
    ALL,
    CPU,
    GPS,
    MAIL,
    MASKS,
    NOTES,
    PERSISTENT,
    PIDS,
    REASON,
    RELEASE,
    REQUEST,
    SENSOR,
    STEPS,
    TIMEOUTS,
    UIDS,
    World,
)  # fmt: skip
from grantwheel import BootClock, EfficiencyResourcesRequest, ManualClock, MonotonicClock, _core

Prepare = Callable[[World], Callable[[], object]]


def _of(name: str, *arguments: Any, **keywords: Any) -> Prepare:
    """Call a method of the compiled manager."""
    return lambda world: partial(getattr(world.open, name), *arguments, **keywords)


def _cursor(world: World) -> _core.Cursor:
    reader = world.reader
    assert reader is not None
    return reader._cursor


def _read(name: str, limit: int | None) -> Prepare:
    return lambda world: partial(getattr(_cursor(world), name), world.open, limit)


def _queued(world: World) -> _core.Pipeline:
    """Queue calls for records that there are, one that is new and one that is refused."""
    pipe = _core.Pipeline(world.open)
    for uid in (1_000, 1_003):
        pipe.apply(uid, 300, ALL, 30_000, reason=REASON)
        pipe.renew(uid, 300, GPS, 60_000)
    pipe.apply(70_000, 7_100, 512, 50)
    pipe.release(1_003, 300, ALL)
    return pipe


def _after_opening(world: World) -> Callable[[], object]:
    """Begin as the session does, with nothing that fails."""
    for name, step in STEPS[:4]:
        if not name.startswith("fileno"):
            step(world)
    return lambda: None


CALLS: list[tuple[str, Prepare]] = [
    ("opening", _after_opening),
    ("fileno", lambda w: partial(_cursor(w).fileno, w.open)),
    ("joint_fileno", lambda w: partial(_core.joint_fileno, w.open, _cursor(w))),
    ("alarm_fileno", lambda w: partial(_core.alarm_fileno, w.open)),
    ("apply", _of("apply", 1_000, 300, ALL, 30_000, reason=REASON)),
    ("apply, another mask", _of("apply", 1_001, 301, ALL - 1, 30_000)),
    ("apply by caller", _of("apply", 70_000, 7_100, CPU | SENSOR, 9_000, cpu_level=2, caller=MAIL)),
    ("apply for a process", _of("apply", 80_000, 8_100, ALL, 50, process=True, reason="größer")),
    ("apply, refused", _of("apply", 70_000, 7_100, 512, 50)),
    ("renew", _of("renew", 1_000, 300, GPS | SENSOR, 60_000)),
    ("apply_many", _of("apply_many", UIDS, PIDS, MASKS, TIMEOUTS)),
    ("apply_many, out", lambda w: partial(w.open.apply_many, UIDS, PIDS, MASKS, TIMEOUTS, out=w.out)),
    ("queueing", lambda w: partial(_queued(w).apply, 1_002, 302, ALL, 30_000, reason=REASON, caller=MAIL)),
    ("app_masks", _of("app_masks", UIDS)),
    ("app_masks, out", lambda w: partial(w.open.app_masks, UIDS, out=w.out)),
    ("read", _read("read", 3)),
    ("read_columns", _read("read_columns", 3)),
    ("read all", _read("read", None)),
    ("pending", lambda w: partial(_cursor(w).pending, w.open)),
    ("app_mask", _of("app_mask", 1_000)),
    ("process_mask", _of("process_mask", 8_100)),
    ("holders", _of("holders", SENSOR)),
    ("holders_columns", _of("holders_columns", SENSOR)),
    ("count", _of("count", SENSOR)),
    ("write_notes", _of("write_notes", NOTES)),
    ("notes", _of("notes")),
    ("find_app", _of("find_app", 1_000)),
    ("find_process", _of("find_process", 8_100)),
    ("records", _of("records")),
    ("records, a page", lambda w: partial(w.open.records, after=w.open.find_app(1_000), limit=3)),
    ("records_columns", _of("records_columns")),
    ("infos", _of("infos", caller=MAIL)),
    ("infos_columns", _of("infos_columns", caller=MAIL)),
    ("next_deadline", _of("next_deadline")),
    ("wake_at", lambda w: partial(getattr, w.open, "wake_at")),
    ("a request", lambda w: partial(EfficiencyResourcesRequest, resourceTypes=GPS, isApply=True, reason="why")),
    ("repr of a request", lambda w: partial(repr, REQUEST)),
    ("apply_request", _of("apply_request", REQUEST, caller=MAIL)),
    ("apply_request, mapping", _of("apply_request", PERSISTENT, caller=MAIL)),
    ("apply_request, refused", _of("apply_request", {"resourceTypes": True}, caller=MAIL)),
    ("get_all", _of("get_all", caller=MAIL)),
    ("apply_request, release", _of("apply_request", RELEASE, caller=MAIL)),
    ("release", _of("release", 1_000, 300, ALL)),
    ("release_many", _of("release_many", array("q", UIDS[:9]), array("q", PIDS[:9]), array("i", MASKS[:9]))),
    ("reset_all", _of("reset_all", 60_010, 6_010)),
    ("reset_all_request", _of("reset_all_request", caller=MAIL)),
    ("process_died", _of("process_died", 80_000, 8_100)),
    ("app_stopped", _of("app_stopped", 60_012)),
    ("package_removed", _of("package_removed", 60_014)),
    ("admin_reset_app", _of("admin_reset_app", 60_016, ALL)),
    ("admin_reset_process", _of("admin_reset_process", 6_018, CPU)),
    ("read again", _read("read_columns", None)),
    ("read of any reader", _of("read", 20, 30)),
    ("read_columns of any reader", _of("read_columns", 20, 30)),
    ("stats", _of("stats")),
    ("validate", _of("validate")),
    ("ManualClock", lambda w: partial(ManualClock, 5)),
    ("BootClock", lambda w: partial(BootClock)),
    ("MonotonicClock", lambda w: partial(MonotonicClock)),
    ("Cursor", lambda w: partial(_core.Cursor, w.open, 3, [1, 2, 3])),
    ("compiled Manager", lambda w: partial(_core.Manager, w.clock, 1_000, 200, 64, 0, None, bytes(16))),
    ("set_policy", lambda w: partial(_core.Manager.set_policy, w.open, w.policy)),
    ("admin_reset_all", _of("admin_reset_all")),
    ("close", _of("close")),
    ("apply when closed, refused", _of("apply", 1_000, 300, ALL, 30_000, reason=REASON)),
]  # fmt: skip
