"""The words of grantwheel: enumerations and the plain tuples that calls return.

All times are milliseconds. A field that does not apply is ``None``.
"""

from enum import IntEnum, IntFlag, StrEnum
from typing import NamedTuple, Protocol


class ResourceType(IntFlag):
    """The types of resources, one bit each (documented API: ``ResourceType``)."""

    CPU = 1
    COMMON_EVENT = 2
    TIMER = 4
    WORK_SCHEDULER = 8
    BLUETOOTH = 16
    GPS = 32
    AUDIO = 64
    RUNNING_LOCK = 128
    SENSOR = 256
    ALL = 511


class BackgroundMode(IntEnum):
    """The modes of continuous tasks (documented API: ``BackgroundMode``)."""

    DATA_TRANSFER = 1
    AUDIO_PLAYBACK = 2
    AUDIO_RECORDING = 3
    LOCATION = 4
    BLUETOOTH_INTERACTION = 5
    MULTI_DEVICE_CONNECTION = 6
    WIFI_INTERACTION = 7
    VOIP = 8
    TASK_KEEPING = 9


class EfficiencyResourcesCpuLevel(IntEnum):
    """How much CPU a grant stands for (documented API: ``EfficiencyResourcesCpuLevel``).

    ``DEFAULT`` is what a record without a level shows; a documented request leaves ``cpuLevel`` out instead.
    """

    DEFAULT = -1
    SMALL_CPU = 0
    MEDIUM_CPU = 1
    LARGE_CPU = 2


CpuLevel = EfficiencyResourcesCpuLevel


class OwnerKind(StrEnum):
    """What a record belongs to: an app (key: uid) or a process (key: pid)."""

    APP = "app"
    PROCESS = "process"


class EventKind(StrEnum):
    """What happened to the mask of a record."""

    APP_APPLY = "app_apply"
    APP_RESET = "app_reset"
    PROCESS_APPLY = "process_apply"
    PROCESS_RESET = "process_reset"


class Cause(StrEnum):
    """Why an event happened."""

    APPLY = "apply"
    RELEASE = "release"
    RESET_ALL = "reset_all"
    EXPIRED = "expired"
    PROCESS_DIED = "process_died"
    APP_STOPPED = "app_stopped"
    PACKAGE_REMOVED = "package_removed"
    PID_REUSED = "pid_reused"
    ADMIN = "admin"
    RECOVERED = "recovered"


class Clock(Protocol):
    """What a manager takes its time from."""

    def now(self) -> int:
        """Return the instant in milliseconds, 0..2^62; never an earlier one than before."""
        ...


class Log(Protocol):
    """Where the changes of a manager are on record: groups of bytes, one after the other, each as a whole.

    Any object with these two methods will do. Both are called by one thread of the manager's own, one call at a time,
    and by nobody else: no Ctrl-C and no signal handler lands in them. They must not call the manager, nor wait for
    anybody who does. What happens in other threads meanwhile is in the next group.
    """

    def last(self) -> int:
        """Return how many groups there are. Asked after an `append` that raised, until it answers."""
        ...

    def append(self, after: int, group: bytes, /) -> int | None:
        """Put a group behind ``after`` others. When this returns, it is there for good.

        Parameters
        ----------
        after : int
            How many groups there are.
        group : bytes
            The changes that are committed at once. What a `Follower` is fed with.

        Returns
        -------
        int or None
            The position of the group, which is ``after + 1``; None says the same.

        Raises
        ------
        NotAppended
            The group is certainly not there and never will be. Its calls are refused with 9800003, and the next group
            is tried.
        Conflict
            There is something else in its place: another one writes. The manager takes no changes any more.
        Exception
            Anything else: nobody knows. `last` is asked, again and again, and until it answers all changes are refused
            with 9800003. One more group means that it is there, as many as before that it is not, anything else is a
            conflict.
        """
        ...


class Event(NamedTuple):
    """A change of the mask of one record.

    ``time`` is the deadline for an expiry, else the instant of the call (ms). ``mask`` holds the bits that were gained
    (apply) or lost (reset). ``pid`` and ``bundle`` are the caller's for an apply and the record's for a reset.
    ``cpu_level`` is the record's; for a reset, the one before it was cleared.
    """

    sequence: int
    time: int
    kind: EventKind
    cause: Cause
    uid: int
    pid: int
    mask: ResourceType
    bundle: str
    cpu_level: int


class EventColumns(NamedTuple):
    """Many events without an object each: a buffer for each field, all of the same length.

    ``kind`` and ``cause`` are places in ``list(EventKind)`` and ``list(Cause)``. Formats (``struct``): Q for sequence
    and time, B for kind and cause, I for uid and pid, H for mask, b for cpu_level. ``numpy.asarray`` takes them without
    a copy.
    """

    sequence: memoryview
    time: memoryview
    kind: memoryview
    cause: memoryview
    uid: memoryview
    pid: memoryview
    mask: memoryview
    cpu_level: memoryview


class Grant(NamedTuple):
    """One type held by one owner. ``deadline_ms`` and ``remaining_ms`` are ``None`` for a persistent grant."""

    type: ResourceType
    persist: bool
    timeout_ms: int
    deadline_ms: int | None
    remaining_ms: int | None
    reason: str


class Record(NamedTuple):
    """All grants of one owner, by ascending type. ``pid`` is the process that created the record."""

    kind: OwnerKind
    uid: int
    pid: int
    mask: ResourceType
    bundle: str
    cpu_level: int
    grants: tuple[Grant, ...]


class RecordInfo(NamedTuple):
    """One row of ``infos``: a record without its grants."""

    uid: int
    pid: int
    mask: ResourceType
    bundle: str
    cpu_level: int


class Infos(NamedTuple):
    """Every record of everyone: app records by ascending uid, process records by ascending pid."""

    apps: list[RecordInfo]
    processes: list[RecordInfo]


class Holders(NamedTuple):
    """Who holds a type: the uids of apps and the pids of processes, ascending."""

    apps: list[int]
    processes: list[int]


class HolderColumns(NamedTuple):
    """Who holds a type, without an object each: the uids of apps and the pids of processes, each ascending.

    Both are buffers of shape (n,) and format I (``struct``), which ``numpy.asarray`` takes without a copy.
    """

    apps: memoryview
    processes: memoryview


class InfoColumns(NamedTuple):
    """Many records without an object each: a buffer for each field, all of the same length, and the texts.

    ``kind`` is a place in ``list(OwnerKind)``, ``bundle`` one in ``texts``. Formats (``struct``): B for kind, I for
    uid, pid and bundle, H for mask, b for cpu_level. ``numpy.asarray`` takes them without a copy.
    """

    kind: memoryview
    uid: memoryview
    pid: memoryview
    mask: memoryview
    cpu_level: memoryview
    bundle: memoryview
    texts: tuple[str, ...]


class GrantColumns(NamedTuple):
    """The grants of many records: a buffer for each field, all of the same length.

    They are in the order of their records, and in each by ascending type. ``record`` is a place in the columns of the
    records, ``reason`` one in their ``texts``, ``type`` the bit. ``timeout_ms`` is in ms, ``deadline_ms`` an instant of
    the manager's clock in ms, and 2^64-1 for a persistent grant. Formats (``struct``): I for record, timeout_ms and
    reason, H for type, Q for deadline_ms.
    """

    record: memoryview
    type: memoryview
    timeout_ms: memoryview
    deadline_ms: memoryview
    reason: memoryview


class RecordColumns(NamedTuple):
    """All records with their grants, without an object each. The columns of records are those of `InfoColumns`."""

    kind: memoryview
    uid: memoryview
    pid: memoryview
    mask: memoryview
    cpu_level: memoryview
    bundle: memoryview
    grants: GrantColumns
    texts: tuple[str, ...]


class LatenessCounts(NamedTuple):
    """How late things were, in ms of the manager's clock.

    ``counts`` has 18 places: below 1 ms, below 2, below 4 and so on, doubling up to 65,536; the last one is for all
    others. ``sum_ms`` is the sum of all of them, ``max_ms`` the longest.
    """

    counts: tuple[int, ...]
    sum_ms: int
    max_ms: int


class AppendTimes(NamedTuple):
    """How long a log took to append groups, in microseconds.

    ``counts`` has 16 places: below 64 us, below 128, below 256 and so on, doubling up to 1,048,576; the last one is for
    all others. ``sum_us`` is the sum of all of them, ``max_us`` the longest. Of a `MemoryLog` nothing is measured.
    """

    counts: tuple[int, ...]
    sum_us: int
    max_us: int


class LogStats(NamedTuple):
    """The numbers of a manager's log. All but ``state``, ``position`` and the waiting ones count since it was made.

    ``state`` is ``"open"``; ``"behind"``, when an append has failed and is tried again (durability ``"batch"``);
    ``"uncertain"``, when the log does not say where it stands; or ``"broken"``: it takes nothing any more. ``position``
    is that of the last group; ``groups``, ``ops`` and ``bytes`` were appended, in ``largest_bytes`` at most at once;
    ``failures`` are appends that came to nothing. ``waiting_ops`` and ``waiting_bytes`` are not in the log yet.
    """

    state: str
    position: int
    groups: int
    ops: int
    bytes: int
    largest_bytes: int
    failures: int
    waiting_ops: int
    waiting_bytes: int
    append_times: AppendTimes


class SnapshotStats(NamedTuple):
    """The numbers of a manager's snapshots. ``made`` and ``failures`` count since it was opened.

    ``position`` and ``bytes`` are of the last snapshot, which may have been there when it was opened: the group up to
    which it goes, 0 for none, and its size. ``seconds`` is how long that one took to make, 0.0 if none was made since.
    ``failure`` says why the last one that failed did, None if none has. What was given up as the manager was closed is
    no failure, and where nothing was new none is made.
    """

    made: int
    position: int
    bytes: int
    seconds: float
    failures: int
    failure: str | None


class Stats(NamedTuple):
    """The numbers of a manager. All but the live ones count since it was made.

    Live: ``app_records`` and ``process_records``; ``app_grants`` and ``process_grants`` by type; ``strings``, the texts
    in use. Counted: ``granted`` and ``renewed`` grants; those that ``ended``, by cause; ``released`` are the ones that
    ended by `Manager.release` or `Manager.reset_all`; ``refused`` calls, by public code; ``last_sequence``, the number
    of the last event; ``missed``, events that were overwritten before a reader had them, of all readers together; and
    how late what was due was ended (``advance_lateness``) and events came to their readers (``delivery_lateness``).
    ``log`` is how its log fares; None without one. ``snapshots`` is how those of its journal do; None unless
    `grantwheel.open` has made it.
    """

    app_records: int
    process_records: int
    app_grants: dict[ResourceType, int]
    process_grants: dict[ResourceType, int]
    granted: int
    renewed: int
    released: int
    ended: dict[Cause, int]
    refused: dict[int, int]
    strings: int
    last_sequence: int
    missed: int
    advance_lateness: LatenessCounts
    delivery_lateness: LatenessCounts
    log: LogStats | None = None
    snapshots: SnapshotStats | None = None


class EfficiencyResourcesInfo(NamedTuple):
    """One grant as the documented API reports it (documented API: ``EfficiencyResourcesInfo``).

    ``timeout`` is as requested, ``remaining`` what is left of it (ms; ``None`` when persistent); ``uid`` and ``pid``
    are the record's; ``cpuLevel`` stands on the CPU row only, and is ``None`` when the level is the default.
    """

    resourceTypes: ResourceType  # noqa: N815 - the documented names
    timeout: int
    remaining: int | None
    isPersistent: bool  # noqa: N815
    isForProcess: bool  # noqa: N815
    reason: str
    uid: int
    pid: int
    cpuLevel: int | None  # noqa: N815
