"""What a million owners cost in memory: the growth of a process of its own, contender by contender."""

import json
import os
import subprocess
import sys
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import grantwheel
from grantbench.contenders import CONTENDERS
from grantbench.contenders.grantwheel_contender import ROOM
from grantbench.interleave import Report
from grantbench.plan import LONGEST_MS, Plan
from grantbench.shape import COMMON

REASON = "navigation"
BATCH = 100_000
RENEWALS_PER_OWNER = 10
RESERVED = "grantwheel, reserved"


class Footprint(NamedTuple):
    """Growth of the resident memory of a process, in bytes: in all, when each step was done.

    ``empty`` is before the first owner, ``filled`` with all of them, ``renewed`` after ten renewals of each in batches
    (None for those without batches).
    """

    entry: str
    owners: int
    empty: int
    filled: int
    renewed: int | None

    @property
    def per_owner(self) -> float:
        """The growth of the process per owner, the empty container included."""
        return self.filled / self.owners


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _grantwheel(owners: int, uids: Sequence[int], growth: Callable[[], int], reserve: int) -> tuple[int, int, int]:
    clock = grantwheel.ManualClock(0)
    manager = grantwheel.Manager(clock=clock, max_records=owners + ROOM, reserve=reserve)
    empty = growth()
    for uid in uids:
        manager.apply(uid, uid, COMMON, LONGEST_MS, reason=REASON)
    filled = growth()
    batches = [array("I", uids[first : first + BATCH]) for first in range(0, owners, BATCH)]
    masks = array("I", [COMMON]) * min(BATCH, owners)
    timeouts = array("I", [LONGEST_MS]) * len(masks)
    out = array("i", [0]) * len(masks)
    before = growth()
    for _ in range(RENEWALS_PER_OWNER):
        clock.advance(1_000)
        for batch in batches:
            count = len(batch)
            manager.apply_many(batch, batch, masks[:count], timeouts[:count], out=memoryview(out)[:count])
    return empty, filled, filled + growth() - before


def footprint(entry: str, owners: int) -> Footprint:
    """Fill an entry in this process, which should be a fresh one, and return how much it has grown."""
    plan = Plan(owners)
    uids, timeouts = array("I", plan.uids), array("I", plan.timeouts)
    del plan
    start = resident_bytes()

    def growth() -> int:
        return resident_bytes() - start

    if entry in ("grantwheel", RESERVED):
        reserve = owners if entry == RESERVED else 0
        return Footprint(entry, owners, *_grantwheel(owners, uids, growth, reserve))
    contender = CONTENDERS[entry](owners)
    empty = growth()
    for uid, timeout in zip(uids, timeouts, strict=True):
        contender.apply(uid, COMMON, timeout)
    filled = growth()
    contender.close()
    return Footprint(entry, owners, empty, filled, None)


def entries() -> list[str]:
    """Return everything that can be looked at."""
    return ["grantwheel", RESERVED, *(name for name in CONTENDERS if name != "grantwheel")]


def run_memory(owners: int, report: Report) -> list[Footprint]:
    """Return the footprint of every entry, each in a process of its own."""
    program = Path(__file__).resolve().parent.parent / "memory.py"
    found = []
    for entry in entries():
        command = [sys.executable, str(program), "--entry", entry, "--owners", str(owners)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        footprint_found = Footprint(**json.loads(done.stdout))
        report(f"memory: {entry}, {owners:,} owners: {footprint_found.per_owner:.0f} bytes per owner")
        found.append(footprint_found)
    return found
