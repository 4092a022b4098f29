"""What a start has to know of the machine, all of it an argument."""

import operator
import time
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import UUID

from grantwheel import _core
from grantwheel.linux.running import Hidden, Running, look_at_processes, read_boot_id

_PROC = Path("/proc")
_MAX_MS = 2**62

#: How a process may be named: ``(uid, start ms)``, or with all the uids that it has.
Process = tuple[int | Iterable[int], int]


@dataclass(frozen=True, slots=True)
class Start:
    """The machine at the start of a manager: its boot, its clocks and its processes.

    `now` reads them; a test gives its own.

    Parameters
    ----------
    boot_id : UUID or str
        The boot, as ``/proc/sys/kernel/random/boot_id`` has it; None if that is not known, as in some containers.
    boot_ms : int
        The time since boot, in suspend too.
    wall_ms : int
        The calendar's time, in ms since 1970.
    processes : mapping
        What runs, by pid: ``(uid, start_ms)``, or all uids of it in place of one. The start is in ms since boot, and
        may be rounded down.
    hidden : container of int
        Pids that may run though ``processes`` does not have them. Not None: other processes may run as well, so that
        of no uid it is certain that it has none.

    Raises
    ------
    TypeError, ValueError
        A field is none of these, or out of range: names it.
    """

    boot_id: UUID | str | None = None
    boot_ms: int = 0
    wall_ms: int = 0
    processes: Mapping[int, Process] = field(default_factory=dict)
    hidden: Container[int] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.boot_id, str):
            try:
                object.__setattr__(self, "boot_id", UUID(self.boot_id))
            except ValueError:
                raise ValueError(f"boot_id must be a UUID, which {self.boot_id!r} is not") from None
        if not isinstance(self.boot_id, UUID | None):
            raise TypeError(f"boot_id must be a UUID, not {type(self.boot_id).__name__}")
        require_int(self.boot_ms, "boot_ms", 0, _MAX_MS)
        require_int(self.wall_ms, "wall_ms", -_MAX_MS, _MAX_MS)
        if not isinstance(self.processes, Mapping):
            raise TypeError(f"processes must be a mapping, not {type(self.processes).__name__}")
        object.__setattr__(self, "processes", {pid: _process(pid, one) for pid, one in self.processes.items()})
        if self.hidden is not None and not isinstance(self.hidden, Container):
            raise TypeError(f"hidden must be a container of pids, not {type(self.hidden).__name__}")

    @classmethod
    def now(cls, *, processes: bool = True) -> Self:
        """Read this machine.

        Parameters
        ----------
        processes : bool
            Whether to look at what runs. False: only boot and clocks.
        """
        hidden: Container[int] | None = None
        running: Mapping[int, Process] = {}
        if processes:
            running, hides = look_at_processes(_PROC)
            hidden = Hidden() if hides else None
        boot_ms = _core.BootClock().now()
        return cls(read_boot_id(_PROC), boot_ms, time.time_ns() // 1_000_000, running, hidden)

    @property
    def boot_bytes(self) -> bytes:
        """The boot id as the log has it: 16 bytes, all zero when it is not known."""
        return self.boot_id.bytes if isinstance(self.boot_id, UUID) else bytes(16)

    def running(self) -> Mapping[int, Running]:
        """Return what runs, by pid."""
        return self.processes  # type: ignore[return-value]  # since __post_init__


def require_int(value: object, name: str, least: int, most: int) -> int:
    """Return an int of a range; an error names it and the range."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = operator.index(value)
    if not least <= number <= most:
        raise ValueError(f"{name} must be within {least}..{most}, not {number}")
    return number


def _process(pid: object, one: object) -> Running:
    require_int(pid, "a pid of processes", 1, 2**31 - 1)
    if not isinstance(one, tuple | list) or len(one) != 2:
        raise TypeError(f"process {pid} must be (uid, start_ms), not {one!r}")
    uids, start_ms = one
    require_int(start_ms, f"start_ms of process {pid}", 0, _MAX_MS)
    if isinstance(uids, Iterable):
        return Running(tuple(require_int(uid, f"a uid of process {pid}", 0, 2**32 - 1) for uid in uids), start_ms)
    return Running((require_int(uids, f"uid of process {pid}", 0, 2**32 - 1),), start_ms)
