"""The C++ tests: built as the dev preset says, warnings being errors, run once, and reported case by case.

The library is also installed, and a project of its own uses it.
"""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import boost_headers
import pytest

ROOT = Path(__file__).resolve().parent.parent
CPP = ROOT / "tests" / "cpp"
# The tools that were installed with the tests come first.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++"))),
    reason="there is no C++ compiler",
)


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def cases() -> list[str]:
    """Every case that the sources declare, as suite/case."""
    found = []
    for path in sorted(CPP.glob("*_test.cpp")):
        suites: list[str] = []
        for kind, name in re.findall(
            r"^BOOST_(AUTO_TEST_SUITE|FIXTURE_TEST_SUITE|AUTO_TEST_SUITE_END|AUTO_TEST_CASE|FIXTURE_TEST_CASE"
            r"|DATA_TEST_CASE|AUTO_TEST_CASE_TEMPLATE)\(\s*(\w*)",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        ):
            if kind.endswith("SUITE"):
                suites.append(name)
            elif kind.endswith("END"):
                suites.pop()
            else:
                found.append("/".join([*suites, name]))
    return found


CASES = cases()


class Report(NamedTuple):
    """What one run of the binary gave: its exit code, what it wrote, and the results of each case."""

    code: int
    output: str
    results: dict[str, set[str]]

    def told(self, case: str) -> str:
        """The lines about a case, or all when there are none."""
        return "\n".join(line for line in self.output.splitlines() if f'in "{case}' in line) or self.output


@pytest.fixture(scope="module")
def attempt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory of the build, and what the build said if it failed."""
    folder = tmp_path_factory.mktemp("cpp")
    try:
        run("cmake", "--preset", "dev", "-B", folder, f"-DGRANTWHEEL_BOOST_INCLUDE_DIR={boost_headers.get_include()}")
        run("cmake", "--build", folder)
    except AssertionError as error:
        return folder, str(error)
    return folder, ""


def test_they_build_without_a_warning(attempt: tuple[Path, str]) -> None:
    _, problem = attempt
    assert not problem, problem


@pytest.fixture(scope="module")
def build(attempt: tuple[Path, str]) -> Path:
    folder, problem = attempt
    if problem:
        pytest.skip("they did not build; another test says why")
    return folder


@pytest.fixture(scope="module")
def report(build: Path) -> Report:
    # A report, not a log in a form to be parsed: such a log allocates, and there are tests that count allocations.
    file = build / "report.xml"
    done = subprocess.run(
        [
            build / "tests" / "cpp" / "grantwheel_tests",
            "--color_output=no",
            "--report_format=XML",
            "--report_level=detailed",
            f"--report_sink={file}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    try:
        module = ET.parse(file).getroot()[0]
    except (OSError, ET.ParseError):
        pytest.fail(f"the tests ended with {done.returncode} and left no report:\n{done.stdout}")
    results: dict[str, set[str]] = {}
    collect(module, "", results)
    return Report(done.returncode, done.stdout, results)


def collect(suite: ET.Element, path: str, results: dict[str, set[str]]) -> None:
    """Put the result of every case below a suite under its name: suite/case."""
    for unit in suite:
        name = f"{path}{unit.get('name')}"
        if unit.tag == "TestSuite":
            collect(unit, f"{name}/", results)
        else:
            # The cases of a data test are suite/case/_number, those of a template suite/case<type>.
            results.setdefault(re.sub(r"<.*|/_\d+$", "", name), set()).add(unit.get("result", ""))


@pytest.mark.parametrize("case", CASES)
def test_case(report: Report, case: str) -> None:
    assert report.results.get(case) == {"passed"}, report.told(case)


def test_all_cases_were_found_and_none_failed(report: Report) -> None:
    assert sorted(report.results) == sorted(CASES)
    assert report.code == 0, report.output


def test_every_source_is_built() -> None:
    listed = (CPP / "CMakeLists.txt").read_text(encoding="utf-8")
    assert [path.name for path in sorted(CPP.glob("*.cpp")) if path.name not in listed] == []
    core = (ROOT / "csrc" / "CMakeLists.txt").read_text(encoding="utf-8")
    rooms = (ROOT / "csrc" / "core", ROOT / "csrc" / "bindings")
    sources = [path.relative_to(ROOT / "csrc").as_posix() for room in rooms for path in sorted(room.glob("*.cpp"))]
    assert [name for name in sources if name not in core] == []


def test_an_installed_library_serves_another_project(build: Path, tmp_path: Path) -> None:
    run("cmake", "--install", build, "--prefix", tmp_path / "prefix")
    consumer = tmp_path / "consumer"
    prefix = f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}"
    run("cmake", "-S", ROOT / "tests" / "consumer", "-B", consumer, "-G", "Ninja", prefix)
    run("cmake", "--build", consumer)
    assert run(consumer / "consumer").endswith(": granted and expired\n")


def test_as_a_subdirectory_it_leaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        f"""
cmake_minimum_required(VERSION 3.21...4.0)
project(host LANGUAGES CXX)
add_subdirectory("{ROOT}" grantwheel)
if(CMAKE_BUILD_TYPE OR CMAKE_INTERPROCEDURAL_OPTIMIZATION OR CMAKE_CXX_STANDARD OR BUILD_TESTING)
    message(FATAL_ERROR "a setting of the host has changed")
endif()
get_directory_property(options COMPILE_OPTIONS)
get_target_property(carried grantwheel_core INTERFACE_COMPILE_OPTIONS)
if(options OR carried)
    message(FATAL_ERROR "an option leaks: ${{options}} ${{carried}}")
endif()
if(NOT TARGET grantwheel::core OR TARGET grantwheel_tests OR TARGET grantwheel_python)
    message(FATAL_ERROR "not the right targets")
endif()
""",
        encoding="utf-8",
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja")
    # Nothing of grantwheel's is installed with the host.
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "prefix")
    assert not [path for path in tmp_path.rglob("prefix/**/*") if path.is_file()]
