"""Whether the tests would notice: puts one mistake after the other into a copy of the core, and runs them on it.

    python tests/mutants.py [--only TEXT] [--folder FOLDER]

Each mutant of `mutant_list.py` is built with the tests in C++, which run beside a short differential run until one of
the two fails. What neither notices is put to the tests in Python that go through the whole package. Each of these has
60 s, and a hang is a failure. It prints what caught each mutant, and fails when one survived. ``--only`` takes the
mutants whose file or description contains the text. With ``--folder`` the copy and its build are kept there, for the
next time.

Needs what all tests need, pybind11 included. It takes about 10 s for each mutant on two cores.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import boost_headers
import pybind11

from mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 60.0  # seconds for each kind of tests
DIFFERENTIAL_OPS = "500000"
TESTS_IN_PYTHON = (
    "test_errors",
    "test_limits",
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
        for name in ("csrc", "cmake", "fuzz", "python", "tests", "shared"):
            if (ROOT / name).exists():
                self.update(ROOT / name, self.source / name)
        for name in ("CMakeLists.txt", "pyproject.toml"):
            self.update(ROOT / name, self.source / name)
        self.tests = self.build / "tests" / "cpp" / "grantwheel_tests"
        self.differential = self.build / "tests" / "cpp" / "grantwheel_differential"

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

    def write(self, mutant: Mutant, old: str, new: str) -> None:
        path = self.source / "csrc" / "core" / mutant.file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise SystemExit(f"{mutant.file}: {old!r} is there {text.count(old)} times, not once")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def restore(self, mutant: Mutant) -> None:
        file = Path("csrc", "core", mutant.file)
        shutil.copyfile(ROOT / file, self.source / file)

    def run_cpp(self) -> Verdict:
        """The tests in C++ and the differential run, side by side."""
        return first_failure(
            {
                "tests in C++": [self.tests, "--log_level=nothing", "--report_level=no"],
                "differential run": [self.differential, "--ops", DIFFERENTIAL_OPS],
            }
        )

    def run_python(self) -> Verdict:
        """The tests in Python, on the module as it was just built."""
        for module in self.build.glob("csrc/_core*.so"):
            shutil.copyfile(module, self.source / "python" / "grantwheel" / module.name)
        files = [self.source / "tests" / f"{name}.py" for name in TESTS_IN_PYTHON]
        return first_failure(
            {
                "tests in Python": [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files],
                "differential run in Python": [sys.executable, "tests/differential.py", "--steps", "20000"],
                "scenarios": [
                    sys.executable,
                    "tests/conformance.py",
                    *(self.source / "tests").glob("scenarios/*.jsonl"),
                ],
            },
            self.source,
        )


def run_to_end(command: Sequence[str | Path]) -> None:
    """Run what must not fail."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout)


def first_failure(commands: Mapping[str, Sequence[str | Path]], folder: Path = ROOT) -> Verdict:
    """Run tests side by side, until the first fails or all have passed."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
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
            if time.monotonic() - started > LIMIT:
                return Verdict(f"{' and the '.join(running)}, which hung", time.monotonic() - started)
            time.sleep(0.02)
        return Verdict(None, time.monotonic() - started)
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def try_all(copy: Copy, mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    """Try mutants on the tests in C++; answer those that survive."""
    for mutant in mutants:
        copy.write(mutant, mutant.old, mutant.new)
        try:
            copy.make("grantwheel_tests", "grantwheel_differential")
            verdict = copy.run_cpp()
        finally:
            copy.restore(mutant)
        if verdict.caught_by is None:
            yield mutant
        else:
            tell(mutant, verdict)


def try_python(copy: Copy, mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    """Try the survivors on the tests in Python; answer those that survive again."""
    copy.make("grantwheel_python")
    if copy.run_python().caught_by is not None:
        raise SystemExit("the tests in Python fail without any mutant")
    for mutant in mutants:
        copy.write(mutant, mutant.old, mutant.new)
        try:
            copy.make("grantwheel_python")
            verdict = copy.run_python()
        finally:
            copy.restore(mutant)
        tell(mutant, verdict)
        if verdict.caught_by is None:
            yield mutant


def tell(mutant: Mutant, verdict: Verdict) -> None:
    outcome = "SURVIVED" if verdict.caught_by is None else f"caught by the {verdict.caught_by}"
    print(f"{outcome} in {verdict.seconds:.1f} s: {mutant.file}: {mutant.breaks}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; answer the exit status."""
    parser = argparse.ArgumentParser(description="Puts mistakes into a copy of the core, and runs the tests on it.")
    parser.add_argument("--only", default="", help="a part of the file or the description of a mutant")
    parser.add_argument("--folder", type=Path, help="where the copy is kept")
    options = parser.parse_args(arguments)
    mutants = [each for each in MUTANTS if options.only in f"{each.file}: {each.breaks}"]
    for mutant in mutants:
        count = (ROOT / "csrc" / "core" / mutant.file).read_text(encoding="utf-8").count(mutant.old)
        if count != 1:
            print(f"{mutant.file}: {mutant.old!r} is there {count} times, not once")
            return 2
    if not mutants:
        print("there is no such mutant")
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        copy = Copy(options.folder or Path(temporary))
        copy.configure()
        copy.make("grantwheel_tests", "grantwheel_differential")
        if copy.run_cpp().caught_by is not None:
            print("the tests in C++ fail without any mutant")
            return 2
        survivors = list(try_all(copy, mutants))
        if survivors:
            survivors = list(try_python(copy, survivors))
    print(f"{len(mutants) - len(survivors)} caught, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
