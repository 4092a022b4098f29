"""Builds the C++ workloads and runs them."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from grantbench.cmake import BuildError, build
from grantbench.interleave import Report, Result, summarize
from grantbench.measure import Sample
from grantbench.settings import NativeRun

SOURCE = Path(__file__).resolve().parent.parent / "cpp"
BASE = "grantwheel engine"
PREFETCHED = "grantwheel engine, prefetched"
RIVAL = "flat_map, timing wheel"
RIVAL_PREFETCHED = "flat_map, timing wheel, prefetched"
TYPED_RIVAL = "flat_map, timing wheel, by type"
FASTEST = {PREFETCHED, RIVAL_PREFETCHED}


class Native(NamedTuple):
    """The results of the C++ workloads, and what a dependent memory miss cost in the same run.

    ``prefetched`` are those of the map and the wheel for batches, with their ratios to the engine as batches use it.
    ``miss_ns`` is the miss alone, ``miss_small_pages_ns`` the miss with the look-up of an ordinary page.
    """

    results: list[Result]
    prefetched: list[Result]
    miss_ns: float
    miss_small_pages_ns: float


def _samples(rows: Any) -> dict[tuple[str, int, str], dict[str, list[Sample]]]:
    """Return the samples of every entry, by workload, number of owners and shape."""
    groups: dict[tuple[str, int, str], dict[str, list[Sample]]] = {}
    for row in rows:
        group = groups.setdefault((row["workload"], row["owners"], row["shape"]), {})
        group[row["entry"]] = [Sample(ns, 0.0) for ns in row["ns"]]
    return groups


def read(runs: Sequence[Any]) -> Native:
    """Make results of what several runs of the program have written."""
    results: list[Result] = []
    by_hand: list[Result] = []
    for run in runs:
        for (name, owners, shape), samples in _samples(run["results"]).items():
            results += summarize(name, owners, BASE, samples, shape)
            if samples.keys() >= FASTEST:
                few = {entry: samples[entry] for entry in (PREFETCHED, RIVAL_PREFETCHED)}
                by_hand += summarize(name, owners, PREFETCHED, few, shape)
    return Native(
        results,
        [result for result in by_hand if result.entry != PREFETCHED],
        median(ns for run in runs for ns in run["miss_ns"]),
        median(ns for run in runs for ns in run["miss_small_pages_ns"]),
    )


def _run(program: Path, run: NativeRun) -> Any:
    shapes = [word for shape in run.shapes for word in ("--shape", shape.name)]
    command = [str(program), "--owners", str(run.owners), "--rounds", str(run.rounds), *shapes]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def run_native(folder: Path, runs: Sequence[NativeRun], report: Report) -> Native | None:
    """Build the C++ workloads in a folder and run them; None where they cannot be built."""
    try:
        build(SOURCE, folder)
    except BuildError as error:
        report(f"C++: left out: {error}")
        return None
    found = []
    for run in runs:
        report(f"C++: {run.owners:,} owners")
        found.append(_run(folder / "grantwheel_benchmark", run))
    report("C++: done")
    return read(found)
