"""Whether the tests would notice: puts one mistake after the other into a copy of the project, and runs them on it.

    python tests/mutants.py [--only TEXT] [--folder FOLDER]

Each mutant of `mutant_list.py` is built with the tests in C++, which run beside a short differential run until one of
the two fails; beside those of `mutant_list_host.py`, in the gate and what stands around it, runs a storm of threads.
Those of `mutant_list_behind.py` belong to one or the other.
What neither notices is put to the tests in Python that go through the whole package. Each mutant of
`mutant_list_python.py`, in the bindings, and of the lists for the package, the journal, the service, tasks and
suspension is put to those tests in Python that are named with it. A hang is a failure: each of these has 60 s, or ten
times as long as it took without any mutant. It prints what caught each mutant, and fails when one survived. ``--only``
takes the mutants whose file or description contains the text. With ``--folder`` the copy and its build are kept there,
for the next time.

Needs what all tests need, pybind11 included; an editable install of the package would stand before the copy. It takes
about 10 s for each mutant on two cores.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import boost_headers
import pybind11

from mutant_list import MUTANTS, Mutant
from mutant_list_behind import BEHIND_MUTANTS, PIPELINE_MUTANTS, RECOVERY_MUTANTS
from mutant_list_host import HOST_MUTANTS
from mutant_list_journal import JOURNAL_MUTANTS
from mutant_list_package import PACKAGE_MUTANTS
from mutant_list_python import PYTHON_MUTANTS, PythonMutant
from mutant_list_service import SERVICE_MUTANTS
from mutant_list_suspend import SUSPEND_MUTANTS
from mutant_list_tasks import TASK_MUTANTS

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 60.0  # seconds for each kind of tests, at least
LIMIT_AT_FIRST = 600.0  # and while it is not known how long they take
PATIENCE = 10  # times as long as without any mutant
CORE = (*MUTANTS, *RECOVERY_MUTANTS)
HOST = (*HOST_MUTANTS, *BEHIND_MUTANTS)
AROUND = (
    *PYTHON_MUTANTS,
    *PACKAGE_MUTANTS,
    *JOURNAL_MUTANTS,
    *TASK_MUTANTS,
    *PIPELINE_MUTANTS,
    *SERVICE_MUTANTS,
    *SUSPEND_MUTANTS,
)
DIFFERENTIAL_OPS = "500000"
# Without rewriting, whose parsing nothing keeps for the next run: while the thread of a log formats a traceback, which
# is parsing too, CPython 3.11 has the slower one fail, and that is no mistake found.
PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--assert=plain")
TESTS_IN_PYTHON = (
    "test_errors",
    "test_limits",
    "test_log",
    "test_log_batch",
    "test_log_failures",
    "test_manager",
    "test_processes",
    "test_queries",
    "test_request",
    "test_subscriptions",
    "test_typed_calls",
)


class Verdict(NamedTuple):
    """What caught a mutant, or None, and after how many seconds of tests."""

    caught_by: str | None
    seconds: float


class Copy:
    """A copy of the project, in which mutants are built."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.build = folder / "build"
        for name in ("csrc", "cmake", "fuzz", "python", "tests", "shared", "CMakeLists.txt", "pyproject.toml"):
            if (ROOT / name).exists():
                self.update(ROOT / name, self.source / name)
        self.tests = self.build / "tests" / "cpp" / "grantwheel_tests"
        self.differential = self.build / "tests" / "cpp" / "grantwheel_differential"
        self.storm = self.build / "tests" / "cpp" / "grantwheel_gate_threads"

    def update(self, original: Path, copy: Path) -> None:
        """Copy what differs, so that nothing is built again without need."""
        if original.is_dir():
            for each in original.iterdir():
                if each.name != "__pycache__":
                    self.update(each, copy / each.name)
        elif not copy.exists() or copy.read_bytes() != original.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(original, copy)

    def configure(self) -> None:
        command: list[str | Path] = [
            "cmake",
            "-S",
            self.source,
            "-B",
            self.build,
            "-G",
            "Ninja",
            "-DCMAKE_BUILD_TYPE=Debug",
        ]
        command += ["-DCMAKE_CXX_FLAGS_DEBUG=-O1 -D_GLIBCXX_ASSERTIONS", "-DGRANTWHEEL_TESTS=ON"]
        command += ["-DGRANTWHEEL_PYTHON=ON", f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]
        command += [f"-DPython_EXECUTABLE={sys.executable}"]
        command += [f"-DGRANTWHEEL_BOOST_INCLUDE_DIR={boost_headers.get_include()}"]
        run_to_end(command)

    def make(self, *targets: str) -> None:
        run_to_end(["cmake", "--build", self.build, "--target", *targets])

    @contextlib.contextmanager
    def having(self, mutant: Mutant | PythonMutant) -> Iterator[None]:
        """Have the mistake in the copy, until the end of the block."""
        original, copy = path_of(mutant, ROOT), path_of(mutant, self.source)
        text = original.read_text(encoding="utf-8")
        copy.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            yield
        finally:
            copy.write_text(text, encoding="utf-8")

    def make_module(self) -> None:
        """Build the module, and put it where the copy of the package finds it."""
        self.make("grantwheel_python")
        for module in self.build.glob("csrc/_core*.so"):
            shutil.copyfile(module, self.source / "python" / "grantwheel" / module.name)

    def run_core(self, limit: float) -> Verdict:
        """The tests in C++ and the differential run, side by side."""
        return first_failure(
            {
                "tests in C++": [self.tests, "--log_level=nothing", "--report_level=no"],
                "differential run": [self.differential, "--ops", DIFFERENTIAL_OPS],
            },
            limit,
        )

    def run_host(self, limit: float) -> Verdict:
        """The tests in C++ of the gate and of notes, and the storm of threads in its two forms, side by side."""
        return first_failure(
            {
                "tests in C++": [self.tests, "--run_test=gate*,notes", "--log_level=nothing", "--report_level=no"],
                "storm": [self.storm, "--seconds", "2"],
                "storm with a thread of the gate's": [self.storm, "--seconds", "2", "--own-thread"],
            },
            limit,
        )

    def run_python(self, limit: float) -> Verdict:
        """The tests in Python that go through the whole package, on the module as it was just built."""
        files = [self.source / "tests" / f"{name}.py" for name in TESTS_IN_PYTHON]
        scenarios = (self.source / "tests").glob("scenarios/*.jsonl")
        commands: dict[str, Sequence[str | Path]] = {
            "tests in Python": [*PYTEST, *files],
            "differential run in Python": [sys.executable, "tests/differential.py", "--steps", "20000"],
            "scenarios": [sys.executable, "tests/conformance.py", *scenarios],
        }
        return first_failure(commands, limit, self.source)

    def run_named(self, tests: str, limit: float) -> Verdict:
        """Some tests in Python: a file, and maybe what pytest is to select of it."""
        file, *selection = tests.split(" ", 1)
        chosen = ["-k", *selection] if selection else []
        command: list[str | Path] = [*PYTEST, self.source / "tests" / f"{file}.py", *chosen]
        return first_failure({"tests in Python": command}, limit, self.source)


def path_of(mutant: Mutant | PythonMutant, root: Path) -> Path:
    """Return where the file of a mutant is in a tree."""
    if isinstance(mutant, PythonMutant):
        return root / mutant.file
    return root / "csrc" / (mutant.file if "/" in mutant.file else f"core/{mutant.file}")


def run_to_end(command: Sequence[str | Path]) -> None:
    """Run what must not fail."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout)


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment in which Python meets the package of a tree."""
    return {**os.environ, "PYTHONPATH": str(folder / "python"), "PYTHONDONTWRITEBYTECODE": "1"}


def first_failure(commands: Mapping[str, Sequence[str | Path]], limit: float, folder: Path = ROOT) -> Verdict:
    """Run tests side by side, until the first fails, all have passed, or the time is up."""
    environment = environment_of(folder)
    started = time.monotonic()
    running = {
        name: subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for name, command in commands.items()
    }
    try:
        while running:
            for name, process in list(running.items()):
                if process.poll() is None:
                    continue
                if process.returncode != 0:
                    return Verdict(name, time.monotonic() - started)
                del running[name]
            if time.monotonic() - started > limit:
                return Verdict(f"{' and the '.join(running)}, which hung", time.monotonic() - started)
            time.sleep(0.02)
        return Verdict(None, time.monotonic() - started)
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def limit_of(run: Callable[[float], Verdict], what: str) -> float:
    """Run tests without any mutant, which must pass; return how long they may take with one."""
    verdict = run(LIMIT_AT_FIRST)
    if verdict.caught_by is not None:
        raise SystemExit(f"{what}: these tests fail without any mutant")
    return max(LIMIT, PATIENCE * verdict.seconds)


def try_all(copy: Copy, mutants: Sequence[Mutant], run: Callable[[float], Verdict], *targets: str) -> Iterator[Mutant]:
    """Try mutants of the core or the host on tests in C++; answer those that survive."""
    if not mutants:
        return
    copy.make(*targets)
    limit = limit_of(run, "C++")
    for mutant in mutants:
        with copy.having(mutant):
            copy.make(*targets)
            verdict = run(limit)
        if verdict.caught_by is None:
            yield mutant
        else:
            tell(mutant, verdict)


def try_python(copy: Copy, mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    """Try the survivors on the tests in Python; answer those that survive again."""
    if not mutants:
        return
    copy.make_module()
    limit = limit_of(copy.run_python, "Python")
    for mutant in mutants:
        with copy.having(mutant):
            copy.make_module()
            verdict = copy.run_python(limit)
        tell(mutant, verdict)
        if verdict.caught_by is None:
            yield mutant


def try_named(copy: Copy, mutants: Sequence[PythonMutant]) -> Iterator[PythonMutant]:
    """Try mutants of the bindings and the package on the tests that are named with them; answer those that survive."""
    if not mutants:
        return
    copy.make_module()
    names = sorted({mutant.tests for mutant in mutants})
    limits = {tests: limit_of(partial(copy.run_named, tests), tests) for tests in names}
    for mutant in mutants:
        with copy.having(mutant):
            if not mutant.file.endswith(".py"):
                copy.make_module()
            verdict = copy.run_named(mutant.tests, limits[mutant.tests])
        if not mutant.file.endswith(".py"):
            copy.make_module()
        tell(mutant, verdict)
        if verdict.caught_by is None:
            yield mutant


def require_copy(copy: Copy) -> None:
    """Check that tests in Python will meet the package of the copy, and no other."""
    find = "import importlib.util as u; print(*u.find_spec('grantwheel').submodule_search_locations)"
    done = subprocess.run(
        [sys.executable, "-c", find], env=environment_of(copy.source), capture_output=True, text=True, check=False
    )
    if Path(done.stdout.strip()) != copy.source / "python" / "grantwheel":
        raise SystemExit(f"an installed grantwheel stands before the copy: {done.stdout.strip() or done.stderr}")


def tell(mutant: Mutant | PythonMutant, verdict: Verdict) -> None:
    outcome = "SURVIVED" if verdict.caught_by is None else f"caught by the {verdict.caught_by}"
    print(f"{outcome} in {verdict.seconds:.1f} s: {mutant.file}: {mutant.breaks}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; answer the exit status."""
    parser = argparse.ArgumentParser(description="Puts mistakes into a copy of the project, and runs the tests on it.")
    parser.add_argument("--only", default="", help="a part of the file or the description of a mutant")
    parser.add_argument("--folder", type=Path, help="where the copy is kept")
    options = parser.parse_args(arguments)
    core = [each for each in CORE if options.only in f"{each.file}: {each.breaks}"]
    host = [each for each in HOST if options.only in f"{each.file}: {each.breaks}"]
    around = [each for each in AROUND if options.only in f"{each.file}: {each.breaks}"]
    mutants: list[Mutant | PythonMutant] = [*core, *host, *around]
    for mutant in mutants:
        count = path_of(mutant, ROOT).read_text(encoding="utf-8").count(mutant.old)
        if count != 1:
            print(f"{mutant.file}: {mutant.old!r} is there {count} times, not once")
            return 2
    if not mutants:
        print("there is no such mutant")
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        copy = Copy(options.folder or Path(temporary))
        require_copy(copy)
        copy.configure()
        in_cpp = [
            *try_all(copy, core, copy.run_core, "grantwheel_tests", "grantwheel_differential"),
            *try_all(copy, host, copy.run_host, "grantwheel_tests", "grantwheel_gate_threads"),
        ]
        survivors = [*try_python(copy, in_cpp), *try_named(copy, around)]
    print(f"{len(mutants) - len(survivors)} caught, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
