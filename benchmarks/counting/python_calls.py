"""Carries out workloads in Python under callgrind: ``python -m counting.python_calls MARKS OWNERS LAYER...``.

The counts are written under the names of the layer and of each call, and those of the loop around the calls under the
same with ``-loop``. MARKS is the library that tells callgrind what to count.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

from grantbench.contenders.grantwheel_contender import GrantwheelContender
from grantbench.measure import at_rest
from grantbench.plan import Plan
from grantbench.workload import MakeTrial, Trial
from grantbench.workloads import WORKLOADS, calls
from grantwheel import Manager, MemoryLog

# So many owners show the interpreter what the loops do, before anything is counted.
FEW = 500


class LoggedContender(GrantwheelContender):
    """A manager whose log takes the bytes."""

    def __init__(self, owners: int, reserve: bool = False, event_capacity: int = 1 << 16) -> None:
        super().__init__(owners, reserve, event_capacity)
        self.manager.close()
        self.manager = Manager(clock=self.clock, max_records=2 * owners, event_capacity=event_capacity, log=MemoryLog())


def _entry(workload: str, entry: str = "grantwheel") -> MakeTrial:
    return WORKLOADS[workload].entries[entry].make


def _logged(setup: Callable[[GrantwheelContender, Plan], Trial]) -> MakeTrial:
    return lambda plan: setup(LoggedContender(plan.owners), plan)


LAYERS: dict[str, dict[str, MakeTrial]] = {
    "python": {
        **{name: _entry(name) for name in ("new", "renew", "release", "query", "mixed", "expire")},
        "query-nobody": _entry("floor", "grantwheel, query of nobody"),
        "release-nothing": _entry("floor", "grantwheel, release of nothing"),
        "release-another-type": _entry("floor", "grantwheel, release of another type"),
        "empty-function": _entry("floor", "empty function"),
    },
    "python-log": {
        "new": _logged(calls.new),
        "renew": _logged(calls.renew),
        "release": _logged(calls.release),
        "query": _logged(calls.query),
        "expire": _logged(calls.expire),
    },
    "python-batch": {name: _entry(f"{name}, batch") for name in ("new", "renew", "release", "query")},
    "python-pipeline": {name: _entry(f"{name}, pipeline") for name in ("new", "renew", "release")},
    "python-documented": {
        "typed": _entry("documented call", "typed"),
        "made": _entry("documented call", "documented, made each time"),
        "kept": _entry("documented call", "documented, kept"),
        "dict-made": _entry("documented call", "documented, dict made each time"),
        "mapping-kept": _entry("documented call", "documented, mapping kept"),
        "by-module": _entry("documented call", "documented, by the module"),
    },
    "python-events": {
        "drain": _entry("drain", "drain()"),
        "drain-columns": _entry("drain", "drain_columns()"),
    },
}


def _count(marks: Any, name: str, work: Callable[[], object]) -> None:
    end = marks.end_counting
    wanted = name.encode()
    marks.begin_counting()
    work()
    end(wanted)


def count_all(marks: Any, owners: int, layers: list[str]) -> None:
    """Count every call of some layers."""
    plan = Plan(owners)
    wanted = {f"{layer}.{call}": make for layer in layers for call, make in LAYERS[layer].items()}
    for make in wanted.values():
        trial = make(Plan(FEW))
        trial.loop()
        trial.run()
        trial.close()
    marks.start_looking()
    for name, make in wanted.items():
        trial = make(plan)
        trial.loop()  # which makes what the plan has not made yet
        with at_rest():
            _count(marks, f"{name}-loop", trial.loop)
            _count(marks, name, trial.run)
        trial.check()
        trial.close()


def main() -> None:
    """Run the command."""
    library, owners, *layers = sys.argv[1:]
    # Every manager has a random key for its hashes, which decides how far its look-ups go. Here it is always the same.
    os.urandom = bytes
    count_all(ctypes.CDLL(library), int(owners), layers)


if __name__ == "__main__":
    main()
