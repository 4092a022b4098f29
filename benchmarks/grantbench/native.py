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

SOURCE = Path(__file__).resolve().parent.parent / "cpp"
BASE = "grantwheel engine"


class Native(NamedTuple):
    """The results of the C++ workloads, and what a dependent memory miss cost in the same run.

    ``miss_ns`` is the miss alone, ``miss_small_pages_ns`` the miss with the look-up of an ordinary page.
    """

    results: list[Result]
    miss_ns: float
    miss_small_pages_ns: float


def _read(found: Any) -> Native:
    groups: dict[tuple[str, int], dict[str, list[Sample]]] = {}
    for row in found["results"]:
        group = groups.setdefault((row["workload"], row["owners"]), {})
        group[row["entry"]] = [Sample(ns, 0.0) for ns in row["ns"]]
    results = [
        result for (name, owners), samples in groups.items() for result in summarize(name, owners, BASE, samples)
    ]
    return Native(results, median(found["miss_ns"]), median(found["miss_small_pages_ns"]))


def run_native(folder: Path, owners: Sequence[int], rounds: int, report: Report) -> Native | None:
    """Build the C++ workloads in a folder and run them; None where they cannot be built."""
    try:
        build(SOURCE, folder)
    except BuildError as error:
        report(f"C++: left out: {error}")
        return None
    report("C++: running")
    sizes = [word for size in owners for word in ("--owners", str(size))]
    done = subprocess.run(
        [folder / "grantwheel_benchmark", *sizes, "--rounds", str(rounds)], capture_output=True, text=True, check=True
    )
    return _read(json.loads(done.stdout))
