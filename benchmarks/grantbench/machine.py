"""The machine that a run is made on: what it is, and keeping the run on one of its cores."""

import os
import platform
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple


class Others(NamedTuple):
    """How much of a run others had, each from 0 to 1: of the core that it is kept on, and of the other cores."""

    here: float
    elsewhere: float | None


class Machine(NamedTuple):
    """What the report says about the machine. ``others`` is None where that cannot be told."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    python: str
    compiler: str
    pinned: bool
    load: float
    others: Others | None = None


class Core(NamedTuple):
    """What a core has done, in seconds since the system has started."""

    busy: float
    idle: float


def read_cores(text: str, ticks: int) -> dict[int, Core]:
    """Read the lines of ``/proc/stat``, in so many ticks a second. What a hypervisor has taken counts as busy."""
    cores = {}
    for line in text.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            spent = [int(field) / ticks for field in fields[:8]]  # those of guests are in the first two
            idle = spent[3] + spent[4]
            cores[int(name.removeprefix("cpu"))] = Core(sum(spent) - idle, idle)
    return cores


def _cores() -> dict[int, Core]:
    try:
        return read_cores(Path("/proc/stat").read_text(encoding="ascii"), os.sysconf("SC_CLK_TCK"))
    except OSError:
        return {}


def _own_time() -> float:
    """Return the processor time of this process and of those that it has waited for, in seconds."""
    return sum(os.times()[:4])


def _share(busy: float, total: float) -> float:
    return min(1.0, max(0.0, busy / total)) if total > 0 else 0.0


def others(before: dict[int, Core], after: dict[int, Core], own: float, here: AbstractSet[int]) -> Others | None:
    """Return what others had between two looks, of which this process had `own` seconds on the one core of `here`."""
    if len(here) != 1 or not here <= before.keys() or not before.keys() <= after.keys():
        return None
    spent = {core: (after[core].busy - was.busy, after[core].idle - was.idle) for core, was in before.items()}
    (mine,) = here
    busy, idle = spent.pop(mine)
    total_busy = sum(of_core for of_core, _ in spent.values())
    total = total_busy + sum(of_core for _, of_core in spent.values())
    return Others(_share(busy - own, busy + idle), _share(total_busy, total) if spent else None)


class Watch:
    """Sees what others do on the machine, from when it is made."""

    def __init__(self) -> None:
        self._cores = _cores()
        self._own = _own_time()

    def others(self) -> Others | None:
        """Return what they had so far; None where this process is not kept on one core, or nothing tells."""
        here = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
        return others(self._cores, _cores(), _own_time() - self._own, here)


def pin() -> bool:
    """Keep this process, and those that it starts, on the last core it may use. False where that cannot be done."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    except OSError:
        return False
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def describe(pinned: bool) -> Machine:
    """Describe the machine as it is now."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=_memory_gib(),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        compiler=platform.python_compiler(),
        pinned=pinned,
        load=round(os.getloadavg()[0], 2),
    )
