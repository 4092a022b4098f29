"""Every allocation made to fail once, over a session that touches every call of the package: see allocation_child.py.

The same in C++ and C is in tests/cpp/manager_allocation_test.cpp, allocation_test.cpp and tests/capi/allocation_test.c.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
SOURCES = TESTS / "allocations"
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")))), None)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler"),
    pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="somebody else stands before the allocators"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands between Python and the allocators."""
    made = tmp_path_factory.mktemp("allocations") / "interposer.so"
    options = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    # Its variables of a thread are there from the start: to make them later would take memory.
    shared = ["-fPIC", "-shared", "-ftls-model=initial-exec"]
    sources = [str(SOURCES / "operators.cpp"), str(SOURCES / "interposer.cpp")]
    done = subprocess.run(
        [str(COMPILER), *options, *shared, *sources, "-o", str(made)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return made


def run_session(library: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", TESTS / "allocation_child.py", library, *arguments],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("hooks", [(), ("--quota",), ("--log",)], ids=["plain", "quota", "log"])
def test_an_allocation_of_the_engine_fails(library: Path, hooks: tuple[str, ...]) -> None:
    said = run_session(library, "engine", *hooks)
    assert int(said.split()[0]) > 250  # or nothing has stood before the allocators


def test_an_allocation_of_the_interpreter_fails(library: Path) -> None:
    said = run_session(library, "python")
    assert int(said.split()[0]) > 2_000
