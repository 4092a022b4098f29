"""The tests in C++ and C: built as a preset says, warnings being errors, run once, and reported case by case.

The preset is ``dev``; with ``--cpp-preset=asan`` the one with sanitizers.

The libraries are also installed, and projects of their own use them: with CMake, with pkg-config, and as a part of
themselves.
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
CAPI = ROOT / "tests" / "capi"
CONSUMER = ROOT / "tests" / "consumer"
FUZZ = ROOT / "fuzz"
# The tools that were installed with the tests come first.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not any(shutil.which(name) for name in filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++"))),
        reason="there is no C++ compiler",
    ),
]


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
CASES_IN_C = [
    name
    for path in sorted(CAPI.glob("*_test.c"))
    for name in re.findall(r"^TEST\((\w+)\)", path.read_text(encoding="utf-8"), re.MULTILINE)
]


class Report(NamedTuple):
    """What one run of the binary gave: its exit code, what it wrote, and the results of each case."""

    code: int
    output: str
    results: dict[str, set[str]]

    def told(self, case: str) -> str:
        """The lines about a case, or all when there are none."""
        return "\n".join(line for line in self.output.splitlines() if f'in "{case}' in line) or self.output


@pytest.fixture(scope="module")
def attempt(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> tuple[Path, str]:
    """The directory of the build, and what the build said if it failed."""
    folder = tmp_path_factory.mktemp("cpp")
    preset = pytestconfig.getoption("--cpp-preset")
    try:
        run("cmake", "--preset", preset, "-B", folder, f"-DGRANTWHEEL_BOOST_INCLUDE_DIR={boost_headers.get_include()}")
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


@pytest.fixture(scope="module")
def report_in_c(build: Path) -> Report:
    done = subprocess.run(
        [build / "tests" / "capi" / "grantwheel_capi_tests"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    results = dict(re.findall(r"^(\w+): (passed|failed)$", done.stdout, re.MULTILINE))
    return Report(done.returncode, done.stdout, {name: {result} for name, result in results.items()})


@pytest.mark.parametrize("case", CASES_IN_C)
def test_case_in_c(report_in_c: Report, case: str) -> None:
    assert report_in_c.results.get(case) == {"passed"}, report_in_c.output


def test_all_cases_in_c_were_found_and_none_failed(report_in_c: Report) -> None:
    assert sorted(report_in_c.results) == sorted(CASES_IN_C)
    assert report_in_c.code == 0, report_in_c.output


TARGETS = sorted(path.stem for path in FUZZ.glob("*_fuzz.cpp"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_fuzz_target_takes_its_corpus(build: Path, target: str) -> None:
    files = sorted((FUZZ / "corpus" / target).iterdir())
    assert len(files) > 10
    assert run(build / "fuzz" / target, *files).splitlines() == [
        *(path.name for path in files),
        f"{len(files)} replayed",
    ]


def test_every_source_is_built() -> None:
    listed = (FUZZ / "CMakeLists.txt").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^grantwheel_add_fuzz_target\((\w+)\)", listed, re.MULTILINE)) == TARGETS
    for folder, pattern in ((CPP, "*.cpp"), (CAPI, "*.c")):
        listed = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
        assert [path.name for path in sorted(folder.glob(pattern)) if path.name not in listed] == []
    core = (ROOT / "csrc" / "CMakeLists.txt").read_text(encoding="utf-8")
    rooms = [ROOT / "csrc" / name for name in ("core", "host", "capi", "bindings")]
    sources = [path.relative_to(ROOT / "csrc").as_posix() for room in rooms for path in sorted(room.glob("*.cpp"))]
    assert [name for name in sources if name not in core] == []


PROGRAMS = ("consumer", "consumer_capi_c", "consumer_capi_cpp")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the libraries are installed, built without Python; moved there after they were installed elsewhere."""
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "-S", ROOT, "-B", folder / "build", "-G", "Ninja", "-DGRANTWHEEL_WERROR=ON")
    run("cmake", "--build", folder / "build")
    run("cmake", "--install", folder / "build", "--prefix", folder / "before")
    return (folder / "before").rename(folder / "after")


def check_programs(folder: Path) -> None:
    for name in PROGRAMS:
        assert run(folder / name).endswith(": granted and expired\n")


def test_an_installed_library_serves_another_project(prefix: Path, tmp_path: Path) -> None:
    run("cmake", "-S", CONSUMER, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path)
    check_programs(tmp_path)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="there is no pkg-config")
def test_pkg_config_leads_to_the_installed_library(prefix: Path, tmp_path: Path) -> None:
    (file,) = prefix.rglob("grantwheel.pc")
    flags = run("env", f"PKG_CONFIG_PATH={file.parent}", "pkg-config", "--cflags", "--libs", "grantwheel").split()
    assert run("env", f"PKG_CONFIG_PATH={file.parent}", "pkg-config", "--modversion", "grantwheel").strip() in (
        ROOT / "csrc" / "include" / "grantwheel" / "version.h"
    ).read_text(encoding="utf-8")
    compiler = os.environ.get("CC") or "cc"
    flags.append(f"-Wl,-rpath,{file.parent.parent}")
    run(compiler, "-std=c11", CONSUMER / "capi.c", "-o", tmp_path / "program", *flags)
    assert run(tmp_path / "program").endswith(": granted and expired\n")


def test_as_a_subdirectory_it_serves_and_leaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        f"""
cmake_minimum_required(VERSION 3.21...4.0)
project(host LANGUAGES C CXX)
set(BUILD_SHARED_LIBS ON)
add_subdirectory("{ROOT}" grantwheel)
if(CMAKE_BUILD_TYPE OR CMAKE_INTERPROCEDURAL_OPTIMIZATION OR CMAKE_CXX_STANDARD OR BUILD_TESTING)
    message(FATAL_ERROR "a setting of the host has changed")
endif()
get_directory_property(options COMPILE_OPTIONS)
get_directory_property(link_options LINK_OPTIONS)
get_target_property(core grantwheel_core INTERFACE_COMPILE_OPTIONS)
get_target_property(capi grantwheel_capi INTERFACE_COMPILE_OPTIONS)
get_target_property(linked grantwheel_capi INTERFACE_LINK_OPTIONS)
if(options OR link_options OR core OR capi OR linked)
    message(FATAL_ERROR "an option leaks: ${{options}} ${{link_options}} ${{core}} ${{capi}} ${{linked}}")
endif()
if(TARGET grantwheel_tests OR TARGET grantwheel_python)
    message(FATAL_ERROR "not the right targets")
endif()
get_target_property(core_type grantwheel::core TYPE)
get_target_property(capi_type grantwheel::grantwheel TYPE)
if(NOT core_type STREQUAL STATIC_LIBRARY OR NOT capi_type STREQUAL SHARED_LIBRARY)
    message(FATAL_ERROR "not the right libraries: ${{core_type}} ${{capi_type}}")
endif()
add_subdirectory("{CONSUMER}" consumer)
""",
        encoding="utf-8",
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja")
    run("cmake", "--build", tmp_path / "build")
    check_programs(tmp_path / "build" / "consumer")
    # Nothing of grantwheel's is installed with the host.
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "prefix")
    assert not [path for path in tmp_path.rglob("prefix/**/*") if path.is_file()]
