"""Builds the C++ workloads and runs them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

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


def _tool(name: str) -> str | None:
    """Find a program, first beside the interpreter."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _boost() -> list[str]:
    if find_spec("boost_headers") is None:
        return []
    import boost_headers

    return [f"-DGRANTWHEEL_BOOST_INCLUDE_DIR={boost_headers.get_include()}"]


def _build(folder: Path, report: Report) -> Path | None:
    cmake = _tool("cmake")
    if cmake is None:
        report("C++: there is no CMake; left out")
        return None
    ninja = _tool("ninja")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    for command in (
        [cmake, "-S", str(SOURCE), "-B", str(folder), *generator, *_boost()],
        [cmake, "--build", str(folder)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            report(f"C++: it does not build; left out\n{done.stdout}{done.stderr}")
            return None
    return folder / "grantwheel_benchmark"


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
    program = _build(folder, report)
    if program is None:
        return None
    report("C++: running")
    sizes = [word for size in owners for word in ("--owners", str(size))]
    done = subprocess.run([program, *sizes, "--rounds", str(rounds)], capture_output=True, text=True, check=True)
    return _read(json.loads(done.stdout))
