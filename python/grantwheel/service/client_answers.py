"""What a client hears: answers as the values that a manager returns, and refusals as its errors. Pure."""

import json
import re
from array import array
from typing import Any

from grantwheel._documented import refusal, told_refusal
from grantwheel.tasks.values import (
    Ability,
    ContinuousTask,
    DelaySuspendInfo,
    TaskEvent,
    TaskEventKind,
    TransientTaskInfo,
)
from grantwheel.types import (
    AppendTimes,
    BackgroundMode,
    Cause,
    EfficiencyResourcesInfo,
    Event,
    EventKind,
    Grant,
    Holders,
    Infos,
    LatenessCounts,
    LogStats,
    OwnerKind,
    Record,
    RecordInfo,
    ResourceType,
    SnapshotStats,
    Stats,
)

_MALFORMED = 980000201
_REFUSAL = re.compile(r"\S+ (\d+) (.*?)(?: \((\d+)(?:: (.*))?\))?", re.DOTALL)
_KINDS = {kind.encode(): kind for kind in EventKind}
_TASK_KINDS = {kind.encode(): kind for kind in TaskEventKind}
_CAUSES = {cause.encode(): cause for cause in Cause}


def error_of(line: str) -> Exception:
    """Return what an error of the service means: ``WORD code message (detail: rule)``."""
    found = _REFUSAL.fullmatch(line)
    if found is None:
        return refusal(_MALFORMED, f"The service says: {line}")
    code = int(found[1])
    return told_refusal(code, int(found[3] or code), found[2], found[4] or "")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _optional(value: Any) -> int | None:
    return None if value is None else int(value)


def optional_integer(reply: Any) -> int | None:
    """Return an integer, or None."""
    return _optional(reply)


def yes_or_no(reply: Any) -> bool:
    """Return a flag."""
    return bool(int(reply))


def string(reply: Any) -> str:
    """Return a text."""
    return _text(reply)


def record(reply: Any) -> Record:
    """Return a record with its grants."""
    kind, uid, pid, held, bundle, level, grants = reply
    return Record(
        OwnerKind(_text(kind)),
        uid,
        pid,
        ResourceType(held),
        _text(bundle),
        level,
        tuple(
            Grant(ResourceType(one), bool(persist), timeout, _optional(deadline), _optional(left), _text(reason))
            for one, persist, timeout, deadline, left, reason in grants
        ),
    )


def optional_record(reply: Any) -> Record | None:
    """Return a record, or None."""
    return None if reply is None else record(reply)


def records(reply: Any) -> list[Record]:
    """Return records."""
    return [record(row) for row in reply]


def infos(reply: Any) -> Infos:
    """Return records without their grants."""
    apps, processes = (
        [RecordInfo(uid, pid, ResourceType(held), _text(bundle), level) for uid, pid, held, bundle, level in rows]
        for rows in reply
    )
    return Infos(apps, processes)


def grants(reply: Any) -> list[EfficiencyResourcesInfo]:
    """Return grants as the documented API reports them."""
    return [
        EfficiencyResourcesInfo(
            ResourceType(one),
            timeout,
            _optional(left),
            bool(persist),
            bool(process),
            _text(reason),
            uid,
            pid,
            _optional(level),
        )
        for one, timeout, left, persist, process, reason, uid, pid, level in reply
    ]


def holders(reply: Any) -> Holders:
    """Return who holds a type."""
    apps, processes = reply
    return Holders(list(apps), list(processes))


def event(reply: Any) -> Event:
    """Return an event."""
    sequence, time, kind, cause, uid, pid, bits, bundle, level = reply
    return Event(sequence, time, _KINDS[kind], _CAUSES[cause], uid, pid, ResourceType(bits), _text(bundle), level)


def task_event(reply: Any) -> TaskEvent:
    """Return an event of tasks."""
    sequence, time, kind, uid, pid, bundle, number, modes = reply
    return TaskEvent(
        sequence, time, _TASK_KINDS[kind], uid, pid, _text(bundle), number, tuple(BackgroundMode(one) for one in modes)
    )


def hello(reply: Any, field: bytes) -> str:
    """Return a field of what HELLO tells."""
    fields = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    return _text(fields[field])


def delay(reply: Any) -> DelaySuspendInfo:
    """Return a transient request that was granted."""
    return DelaySuspendInfo(*reply)


def transient_info(reply: Any) -> TransientTaskInfo:
    """Return what an app has left of its day, and of its requests."""
    quota, rows = reply
    return TransientTaskInfo(quota, [DelaySuspendInfo(*row) for row in rows])


def continuous_tasks(reply: Any) -> list[ContinuousTask]:
    """Return continuous tasks."""
    return [
        ContinuousTask(
            number, uid, pid, _text(bundle), Ability(_text(name), ability), tuple(BackgroundMode(one) for one in modes)
        )
        for number, uid, pid, bundle, name, ability, modes in reply
    ]


def numbers(reply: Any, out: Any) -> Any:
    """Return a column of signed 32-bit numbers, in ``out`` if it is given."""
    got = array("i")
    got.frombytes(reply)
    if out is None:
        return got
    view = memoryview(out)
    if view.ndim != 1 or len(view) != len(got) or view.itemsize != got.itemsize:
        raise ValueError(f"out must have {len(got)} numbers of 32 bits")
    for index, value in enumerate(got):
        view[index] = value
    return out


def _lateness(value: Any) -> LatenessCounts:
    return LatenessCounts(tuple(value["counts"]), value["sum_ms"], value["max_ms"])


def _log(value: Any) -> LogStats | None:
    if value is None:
        return None
    times = value["append_times"]
    made = AppendTimes(tuple(times["counts"]), times["sum_us"], times["max_us"])
    return LogStats(**{**value, "append_times": made})


def stats(reply: Any) -> Stats:
    """Return the numbers of a manager."""
    told = json.loads(reply)
    return Stats(
        **{
            **told,
            "app_grants": {ResourceType(int(one)): count for one, count in told["app_grants"].items()},
            "process_grants": {ResourceType(int(one)): count for one, count in told["process_grants"].items()},
            "ended": {Cause(cause): count for cause, count in told["ended"].items()},
            "refused": {int(code): count for code, count in told["refused"].items()},
            "advance_lateness": _lateness(told["advance_lateness"]),
            "delivery_lateness": _lateness(told["delivery_lateness"]),
            "log": _log(told["log"]),
            "snapshots": None if told["snapshots"] is None else SnapshotStats(**told["snapshots"]),
        }
    )
