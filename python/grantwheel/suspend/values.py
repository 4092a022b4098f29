"""The words of suspension: states, what keeps an app up, events, and the plain tuples that calls return.

All times are milliseconds of the manager's clock.
"""

from enum import StrEnum
from typing import NamedTuple

from grantwheel.types import ResourceType

#: The kinds of events that an app may receive while it is suspended, if it holds the type of that name.
DELIVERABLE = ResourceType.COMMON_EVENT | ResourceType.TIMER | ResourceType.BLUETOOTH | ResourceType.GPS


class AppState(StrEnum):
    """How an app stands. An app that nobody has told of is in the foreground."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    SUSPENDED = "suspended"  #: all of it is frozen: its freezer has said so


class TaskKind(StrEnum):
    """The kinds of tasks that keep an app up while they run."""

    TRANSIENT = "transient"
    CONTINUOUS = "continuous"


class Keeper(StrEnum):
    """What keeps an app up, or from being frozen yet."""

    FOREGROUND = "foreground"
    CPU = "cpu"  #: the app holds CPU
    PROCESS_CPU = "process_cpu"  #: one of its processes holds CPU
    AUDIO = "audio"  #: the app holds AUDIO, and plays
    TRANSIENT_TASK = "transient_task"
    CONTINUOUS_TASK = "continuous_task"
    EVENT = "event"  #: it has the time that an event takes
    GRACE = "grace"  #: nothing, but not for long enough yet
    FREEZER = "freezer"  #: nothing, but it is not frozen yet: that takes its time, or has failed


class SuspensionKind(StrEnum):
    """What happened to an app: its new state, or what the freezer could not do."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    SUSPENDED = "suspended"
    FORGOTTEN = "forgotten"  #: the host has said that it is no more
    FREEZE_FAILED = "freeze_failed"
    THAW_FAILED = "thaw_failed"


class SuspensionCause(StrEnum):
    """Why it happened."""

    HOST = "host"  #: the host has said so
    IDLE = "idle"  #: the grace is over, and nothing keeps it up
    EVENT_OVER = "event_over"  #: the time for an event is over
    CPU = "cpu"  #: this and those that follow have come, and keep it up
    PROCESS_CPU = "process_cpu"
    AUDIO = "audio"
    TRANSIENT_TASK = "transient_task"
    CONTINUOUS_TASK = "continuous_task"
    EVENT = "event"  #: an event is delivered
    ESCAPED = "escaped"  #: something of it runs though it was frozen
    FREEZER = "freezer"  #: the freezer has failed
    CLOSED = "closed"  #: the suspension ends, and nobody stays frozen


class SuspensionEvent(NamedTuple):
    """Something that happened to an app. ``detail`` says why a freezer has failed; else it is empty."""

    sequence: int
    time: int
    kind: SuspensionKind
    cause: SuspensionCause
    uid: int
    detail: str


class Why(NamedTuple):
    """Why an app is as it is.

    ``state`` since ``since_ms``, because of ``cause``. ``kept_by`` is what keeps it from being suspended, empty when it
    is. ``until_ms`` is when it may be suspended if nothing else comes, where that is known: the end of the grace or of
    the time for an event. ``failure`` is why the freezer has failed the last time; empty when it has not.
    """

    state: AppState
    since_ms: int
    cause: SuspensionCause
    kept_by: tuple[Keeper, ...]
    until_ms: int | None
    failure: str


class SuspensionStats(NamedTuple):
    """The numbers of a suspension.

    Live: the apps that are known, ``foreground`` (for what else is known of them), ``background`` and ``suspended``.
    Counted since it was made: how often an app was ``suspended_by`` cause and ``resumed_by`` cause; events that were
    ``delivered``, ``refused`` as their kind is not held, and ``undelivered`` as the app could not be thawed, by kind;
    how often freezing and thawing failed; ``last_sequence`` is the number of the last event.
    """

    foreground: int
    background: int
    suspended: int
    suspended_by: dict[SuspensionCause, int]
    resumed_by: dict[SuspensionCause, int]
    delivered: dict[ResourceType, int]
    refused: dict[ResourceType, int]
    undelivered: dict[ResourceType, int]
    freeze_failures: int
    thaw_failures: int
    last_sequence: int


class Timing(NamedTuple):
    """How long things take (ms).

    ``grace_ms``: in the background with nothing that keeps it up, before an app is suspended. ``thaw_ms``: what an
    event gets. ``freeze_ms``: within which all of an app must be frozen. ``retry_ms``: after a first failure of the
    freezer; it doubles with each. ``look_ms``: how often a suspended app is looked at, whether it still is.
    """

    grace_ms: int = 5_000
    thaw_ms: int = 10_000
    freeze_ms: int = 2_000
    retry_ms: int = 1_000
    look_ms: int = 30_000
