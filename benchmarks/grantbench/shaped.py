"""Calls and batches on owners of every shape: uids dense and sparse, one type an owner and three."""

from collections.abc import Iterator

from grantbench.interleave import Report, Result, interleave
from grantbench.plan import Plan
from grantbench.settings import Settings
from grantbench.shape import SHAPES
from grantbench.workloads import WORKLOADS

# What is measured with every shape, in which all of them have their turns.
SHAPED = ("new", "renew", "release", "query", "expire", "new, batch", "renew, batch")
# Who does: the batches and calls of grantwheel, a rival that does the same work, and two caches; and with how many
# owners at most.
WHO = {
    "grantwheel": 1_000_000,
    "heapq": 1_000_000,
    "cachebox": 1_000_000,
    "cachebox, update()": 1_000_000,
    "moka-py": 100_000,
}


def over_shapes(settings: Settings, report: Report) -> Iterator[Result]:
    """Measure owners of every shape in turn, for each number of owners that has a turn."""
    for owners in settings.shaped:
        plans = [Plan(owners, shape) for shape in SHAPES]
        for name in SHAPED:
            workload = WORKLOADS[name]
            takes = workload.entries_for(owners)
            entries = {entry: make for entry, make in takes.items() if owners <= WHO.get(entry, 0)}
            yield from interleave(name, workload.base, entries, plans, settings.shaped_rounds(owners), report)
