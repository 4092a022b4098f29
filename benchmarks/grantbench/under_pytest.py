"""The workloads under pytest-benchmark: fresh state for each round, the loop measured beside it."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any, Protocol

import pytest

from grantbench.measure import Sample, at_rest, loop_ns, sample_of, time_ns
from grantbench.plan import Plan
from grantbench.report.numbers import owners_in_words
from grantbench.settings import FULL
from grantbench.workload import Trial, Workload
from grantbench.workloads import WORKLOADS

_plans: dict[int, Plan] = {}


class Benchmark(Protocol):
    """The fixture ``benchmark``, as far as it is used."""

    group: str
    extra_info: dict[str, Any]

    def pedantic(self, target: Callable[[], None], *, setup: Callable[[], None], rounds: int) -> None:
        """Time ``target`` once in each round, after ``setup``."""


def _plan(owners: int) -> Plan:
    """Return a plan; only the last one is kept, as the large ones are large."""
    if owners not in _plans:
        _plans.clear()
        _plans[owners] = Plan(owners)
    return _plans[owners]


def _name(workload: Workload, entry: str, owners: int) -> str:
    words = f"{workload.name} {entry}".replace(",", "").replace(" ", "_")
    return f"{words}-{owners_in_words(owners)}"


def cases(workloads: Iterable[Workload]) -> list[Any]:
    """Return (workload, entry, owners) of everything to be measured, the numbers of owners in ascending order."""
    found = list(workloads)
    return [
        pytest.param(workload.name, entry, owners, id=_name(workload, entry, owners))
        for owners in FULL.owners
        for workload in found
        for entry in workload.entries_for(owners)
    ]


def run(benchmark: Benchmark, workload_name: str, entry: str, owners: int) -> None:
    """Measure one entry.

    pytest-benchmark's own figures are of the whole run, all owners and the loop included; ``extra_info`` has the
    nanoseconds per operation without the loop, and the loop's.
    """
    workload = WORKLOADS[workload_name]
    make = workload.entries[entry].make
    plan = _plan(owners)
    trial: Trial | None = None
    loop = 0
    samples: list[Sample] = []

    def finish() -> None:
        nonlocal trial
        if trial is not None:
            done, trial = trial, None
            try:
                done.check()
            finally:
                done.close()

    def setup() -> None:
        nonlocal trial, loop
        finish()
        trial = make(plan)
        loop = loop_ns(trial)

    def target() -> None:
        assert trial is not None
        samples.append(sample_of(trial, time_ns(trial.run), loop))

    benchmark.group = f"{workload.name}, {owners_in_words(owners)} owners"
    with at_rest():
        benchmark.pedantic(target, setup=setup, rounds=FULL.rounds(owners))
    finish()
    benchmark.extra_info["unit"] = workload.unit
    benchmark.extra_info["ns"] = median(sample.ns for sample in samples)
    benchmark.extra_info["loop_ns"] = median(sample.loop_ns for sample in samples)
