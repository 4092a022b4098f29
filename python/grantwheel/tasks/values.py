"""The words of tasks: what calls return, what happens, and the figures. All times are milliseconds."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import NamedTuple

from grantwheel.types import BackgroundMode

_MAX_FIGURE = 2**53


class TaskEventKind(StrEnum):
    """What happened to a task, or to the tasks of an app."""

    TASK_START = "task_start"  #: a transient request was granted
    APP_TASK_START = "app_task_start"  #: it is the only one of its app
    EXPIRED_CALLBACK = "expired_callback"  #: its callback is called: it is about to be ended
    TASK_END = "task_end"  #: it was cancelled, was ended, or its process has died
    APP_TASK_END = "app_task_end"  #: it was the last one of its app
    CONTINUOUS_START = "continuous_start"
    CONTINUOUS_UPDATE = "continuous_update"  #: it has other modes
    CONTINUOUS_STOP = "continuous_stop"
    CONTINUOUS_APP_STOP = "continuous_app_stop"  #: it was the last one of its uid


class TaskEvent(NamedTuple):
    """Something that happened to a task.

    ``time`` is the instant at which it was due, else that of the call (ms). ``id`` is that of the request or the
    continuous task, 0 for what happened to an app. ``uid``, ``pid`` and ``bundle`` are those of who asked for it; the
    pid is 0 for what happened to an app. ``modes`` are those of a continuous task, ascending.
    """

    sequence: int
    time: int
    kind: TaskEventKind
    uid: int
    pid: int
    bundle: str
    id: int
    modes: tuple[BackgroundMode, ...]


class DelaySuspendInfo(NamedTuple):
    """A transient request (documented API: ``DelaySuspendInfo``).

    ``actualDelayTime`` is how long it was granted; in a `TransientTaskInfo`, how much of that is left.
    """

    requestId: int  # noqa: N815 - the documented names
    actualDelayTime: int  # noqa: N815


class TransientTaskInfo(NamedTuple):
    """The transient requests of an app (documented API: ``TransientTaskInfo``), and what is left of its day's time."""

    remainingQuota: int  # noqa: N815 - the documented names
    transientTasks: list[DelaySuspendInfo]  # noqa: N815


class Ability(NamedTuple):
    """An ability of an app, which a continuous task belongs to: its name, and its number where there are several."""

    name: str
    id: int = 0


class ContinuousTask(NamedTuple):
    """A continuous task that runs: until it is stopped, or its app is."""

    id: int
    uid: int
    pid: int
    bundle: str
    ability: Ability
    modes: tuple[BackgroundMode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransientFigures:
    """How much time transient tasks have. The default is what the documented API says.

    Parameters
    ----------
    request_ms : int
        The longest a request is granted.
    low_battery_ms : int
        The same while the battery is low.
    quota_ms : int
        The time that an app has for all its requests of a day.
    max_requests : int
        How many requests of an app may be open at once.
    least_quota_ms : int
        With less left than this nothing is granted.
    notice_ms : int
        So long before its end the callback of a request is called.
    forced_ms : int
        So long after that it is ended, if it was not cancelled.
    day_ms : int
        Once more than this has passed since the last time, a request or a query gives every app its quota anew.
    window_ms : int
        How long an app may still ask after it has gone to the background.

    Raises
    ------
    TypeError, ValueError
        A figure is no int, or not within 1..2^53; or one of the first two or ``least_quota_ms`` is not more than
        ``notice_ms``.
    """

    request_ms: int = 180_000
    low_battery_ms: int = 60_000
    quota_ms: int = 600_000
    max_requests: int = 3
    least_quota_ms: int = 16_000
    notice_ms: int = 6_000
    forced_ms: int = 6_000
    day_ms: int = 24 * 60 * 60 * 1000
    window_ms: int = 5_000

    def __post_init__(self) -> None:
        """Check every figure."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be an int, not {type(value).__name__}")
            if not 1 <= value <= _MAX_FIGURE:
                raise ValueError(f"{field.name} must be within 1..2^53, not {value}")
        for name in ("request_ms", "low_battery_ms", "least_quota_ms"):
            if getattr(self, name) <= self.notice_ms:
                raise ValueError(f"{name} must be more than notice_ms, {self.notice_ms} ms")
