"""Builds what is counted, runs it under callgrind, and reads what that has written."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from counting.trees import ROOT, Tree
from grantbench.cmake import BuildError, build

# The caches are simulated, and small: a miss in them is a line that was not touched shortly before, on any machine.
# So is what foretells branches: a table of what each did last, and so no better than that of a machine.
SIMULATED = ("--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=262144,8,64", "--branch-sim=yes")
CPP_OWNERS = 10_000
PYTHON_OWNERS = 3_000
PYTHON_LAYERS = ("python", "python-log", "python-batch", "python-pipeline", "python-documented", "python-events")
RIVALS = ("std-heap", "boost-heap", "boost-wheel", "boost-wheel-prefetched")


class CountingError(Exception):
    """Nothing was counted; the text says why."""


class Counts(NamedTuple):
    """What one call costs: instructions, data in neither simulated cache (first, last), branches foretold wrong."""

    instructions: float
    d1_misses: float
    ll_misses: float
    mispredictions: float

    def each(self, calls: int) -> "Counts":
        """Return the share of one of so many calls."""
        return Counts(*(count / calls for count in self))

    def without(self, loop: "Counts") -> "Counts":
        """Return the counts without the instructions of a loop; what it misses, the calls in it would miss too."""
        return self._replace(instructions=self.instructions - loop.instructions)


class Built(NamedTuple):
    """A tree that was built: where its programs are, its package, and the benchmarks that drive it."""

    tree: Tree
    folder: Path
    package: Path
    drivers: Path

    @property
    def program(self) -> Path:
        """The calls in C++."""
        return self.folder / "grantwheel_counted"

    def layers(self) -> list[str]:
        """Name what can be counted."""
        named = subprocess.run([self.program], capture_output=True, text=True, check=True).stdout.split()
        return [*named, *PYTHON_LAYERS]


def build_tree(tree: Tree, only: Sequence[str] = (), *, with_lines: bool = False) -> Built:
    """Build what layers, or all, need of a tree, with the drivers of this one; where they do not fit, with its own.

    Raises
    ------
    CountingError
        It does not build.
    """
    import pybind11

    folder = tree.folder / ("lines" if with_lines else "build")
    options = [
        f"-DGRANTWHEEL_SOURCE={tree.source}",
        "-DGRANTWHEEL_COUNTED=ON",
        "-DGRANTWHEEL_PYTHON=ON",
        "-DGRANTWHEEL_CCACHE=ON",
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DCMAKE_CXX_FLAGS={'-g' if with_lines else ''}",
    ]
    needs_python = not only or not set(only).isdisjoint(PYTHON_LAYERS)
    targets = ["grantwheel_counted", *["grantwheel_marks", "grantwheel_python"] * needs_python]
    said = ""
    for drivers in (ROOT / "benchmarks", tree.source / "benchmarks"):
        if not (drivers / "cpp" / "counted.cpp").is_file():
            continue
        try:
            build(drivers / "cpp", folder, options, targets)
        except BuildError as error:
            said += f"with {drivers}: {error}\n"
            shutil.rmtree(folder, ignore_errors=True)  # it is that of one project
            continue
        return Built(tree, folder, _package(tree, folder), drivers)
    raise CountingError(f"{tree.name} {said}")


def _package(tree: Tree, folder: Path) -> Path:
    package = tree.folder / "package"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(tree.source / "python", package)
    for module in (folder / "grantwheel" / "csrc").glob("_core*.so"):
        shutil.copy2(module, package / "grantwheel")
    return package


def _fixed_addresses() -> list[str]:
    """Return what gives a program the same addresses each time; nothing where that is not allowed."""
    setarch = shutil.which("setarch")
    fixed = [setarch, "-R"] if setarch else []
    return fixed if fixed and subprocess.run([*fixed, "true"], capture_output=True, check=False).returncode == 0 else []


def _run(built: Built, command: Sequence[str | Path], out: Path, options: Sequence[str]) -> None:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CountingError("there is no valgrind")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    # All that a program finds in its environment is the same each time, and as long for each tree.
    environment = {
        "PATH": os.defpath,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{built.package}:{built.drivers}",
    }
    if "LD_LIBRARY_PATH" in os.environ:  # an interpreter may need it
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    callgrind = [valgrind, "--quiet", "--vgdb=no", "--tool=callgrind", *SIMULATED, "--collect-atstart=no", *options]
    whole = [*_fixed_addresses(), *callgrind, f"--callgrind-out-file={out / 'counts'}", *command]
    done = subprocess.run(whole, env=environment, cwd=built.tree.folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CountingError(f"{built.tree.name}: {command}\n{done.stdout}{done.stderr}")


def _read(text: str) -> tuple[str, Counts] | None:
    """Return the name and the counts of a part of what callgrind has written; None for the end of the program."""
    name = re.search(r"^desc: Trigger: Client Request: (\S+)$", text, re.MULTILINE)
    events = re.search(r"^events: (.*)$", text, re.MULTILINE)
    totals = re.search(r"^totals: (.*)$", text, re.MULTILINE)
    if name is None or events is None or totals is None:
        return None
    count = dict.fromkeys(events[1].split(), 0)
    count.update(zip(count, map(int, totals[1].split()), strict=False))  # zeros at the end are left out
    d1_misses, ll_misses = count["D1mr"] + count["D1mw"], count["DLmr"] + count["DLmw"]
    return name[1], Counts(count["Ir"], d1_misses, ll_misses, count["Bcm"] + count["Bim"])


def parts(out: Path) -> Iterator[tuple[Path, str, Counts]]:
    """Yield the file, the name and the counts of each part that a run has written."""
    for file in sorted(out.glob("counts.*"), key=lambda path: int(path.suffix[1:])):
        found = _read(file.read_text(encoding="utf-8", errors="replace"))
        if found is not None:
            yield file, *found


def _without_loops(counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """Take the loops around calls away from these."""
    return {
        name: own.without(counts[f"{name}-loop"]) if f"{name}-loop" in counts else own
        for name, own in counts.items()
        if not name.endswith("-loop")
    }


def runs_of(layers: Sequence[str]) -> list[tuple[str, ...]]:
    """Divide layers into those that one run counts: all of Python together, as it takes long to begin."""
    in_python = tuple(layer for layer in layers if layer in PYTHON_LAYERS)
    return [in_python] * bool(in_python) + [(layer,) for layer in layers if layer not in PYTHON_LAYERS]


def count(built: Built, layers: Sequence[str], options: Sequence[str] = ()) -> tuple[Path, dict[str, Counts]]:
    """Count layers in one run; return the folder with what callgrind has written, and what each call costs.

    Raises
    ------
    CountingError
        Valgrind is missing, or the run has failed.
    """
    out = built.tree.folder / "counts" / layers[0]
    is_python = layers[0] in PYTHON_LAYERS
    owners = PYTHON_OWNERS if is_python else CPP_OWNERS
    command: list[str | Path] = [built.program, layers[0], str(owners)]
    if is_python:
        marks = built.folder / "libgrantwheel_marks.so"
        # Without `site`: what else is installed plays no part.
        command = [sys.executable, "-S", "-m", "counting.python_calls", marks, str(owners), *layers]
        options = (*options, "--instr-atstart=no")
    _run(built, command, out, options)
    counts = {name: counts.each(owners) for _, name, counts in parts(out)}
    if not counts:
        raise CountingError(f"{built.tree.name}: nothing was counted of {', '.join(layers)}")
    return out, _without_loops(counts)
