"""What a group of a log says, as values: commands, the rows of batches, advances, notes, and what a start notes.

A manager with a log and its followers never need this: they carry the bytes out. It is for whoever wants to see what
was done, such as ``grantwheel journal show``.
"""

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from . import _core
from .types import ResourceType

Bytes: TypeAlias = bytes | bytearray | memoryview


class CommandKind(StrEnum):
    """What a command does."""

    APPLY = "apply"
    RELEASE = "release"
    RESET_ALL = "reset_all"
    PROCESS_DIED = "process_died"
    APP_STOPPED = "app_stopped"
    PACKAGE_REMOVED = "package_removed"
    ADMIN_RESET_ALL = "admin_reset_all"
    ADMIN_RESET_APP = "admin_reset_app"
    ADMIN_RESET_PROCESS = "admin_reset_process"


class Command(NamedTuple):
    """A change that was asked for and admitted. Whether a limit refused it when it was carried out, a replay tells.

    ``time`` is its instant (ms). All fields are there whatever the kind; which of them mean something is as in the
    calls of a manager. ``timeouts_ms`` has those types that the policy gave another timeout than ``timeout_ms``.
    With ``only_held`` it renews, and grants nothing new. ``row`` is the place in its batch, from 0; None when it came
    alone.
    """

    time: int
    kind: CommandKind
    uid: int
    pid: int
    mask: ResourceType
    timeout_ms: int
    persist: bool
    process: bool
    only_held: bool
    cpu_level: int
    bundle: str
    reason: str
    timeouts_ms: dict[ResourceType, int]
    row: int | None


class Advance(NamedTuple):
    """The end of what was due at an instant: of so many records at most, the first by deadline."""

    time: int
    endings: int


class Mark(NamedTuple):
    """When an instant of the log was: in ms since a boot, and by the wall clock, in ms since 1970.

    ``boot_id`` are the 16 bytes that the kernel gives a boot; None where they are not known.
    """

    time: int
    boot_id: bytes | None
    boot_ms: int
    wall_ms: int


class LimitsChange(NamedTuple):
    """Other limits from an instant on. They are refused when they are carried out if the state does not fit them."""

    time: int
    max_records: int
    max_strings: int
    event_capacity: int


class Recovery(NamedTuple):
    """What a start has dropped, as nobody of it was there any more: no event tells it.

    The app records of the uids ``apps`` kept only the types that are retained, the records of the pids ``processes``
    went. Both ascend.
    """

    time: int
    apps: tuple[int, ...]
    processes: tuple[int, ...]


class NotesChange(NamedTuple):
    """A write of notes: those with a value got it, those with None went. It is refused if it reaches a limit."""

    time: int
    changes: dict[bytes, bytes | None]


#: What a log is made of.
Op: TypeAlias = Command | Advance | Mark | LimitsChange | Recovery | NotesChange


def read(group: Bytes) -> _core.Ops:
    """Return an iterator over the ops of a group, in the order in which they are carried out.

    Its attribute ``place`` is the byte of the group at which the op begins that it gave last, where the group may be
    cut in two. The rows of a batch come one by one, and begin where the batch does.

    Parameters
    ----------
    group : buffer
        Its bytes, as they were appended to the log.

    Raises
    ------
    BusinessError
        9800002: the group is damaged or of a newer format; the message has the byte.
    TypeError
        It is no buffer of bytes.

    Examples
    --------
    >>> from grantwheel import Manager, ManualClock, MemoryLog, ops
    >>> log = MemoryLog()
    >>> manager = Manager(clock=ManualClock(7), log=log)
    >>> manager.apply(1000, 42, 32, 500)
    32
    >>> [(op.time, str(op.kind), op.uid, op.mask) for _, group in log.read() for op in ops.read(group)]
    [(7, 'apply', 1000, <ResourceType.GPS: 32>)]
    """
    return _core.Ops(group)


def end_at(time: int) -> bytes:
    """Return a group that ends all that is due at an instant: a follower that is fed with it has its time.

    Such a follower is ahead of the log, which may end things otherwise. So it is for a last look.
    """
    return _core.advance_as_bytes(time)
