"""Files whose calls fail when a test says so: the library of tests/faults, for those who start a process under it."""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grantwheel.journal import sqlite
from grantwheel.journal._database import PAGE_SIZE
from grantwheel.journal._wal import FRAME_HEADER_SIZE, HEADER_SIZE

KINDS = ("open", "read", "write", "sync", "truncate", "rename", "unlink")
TESTS = Path(__file__).resolve().parent
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)

#: What the tests need that start such a process.
NEEDS = [
    pytest.mark.skipif(sys.platform != "linux", reason="the library that stands between is for Linux"),
    pytest.mark.skipif(COMPILER is None, reason="there is no C compiler"),
    pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="somebody else stands before the calls"),
]

library = ctypes.CDLL(None)  # has its functions in a process that runs under it


def compile_library(folder: Path) -> Path:
    """Make the library that stands between a process and its files."""
    made = folder / "faults.so"
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    options = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared", *warnings]
    command = [str(COMPILER), *options, str(TESTS / "faults" / "faults.c"), "-o", str(made)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return made


def run_under(made: Path, program: str, *arguments: str) -> None:
    """Run a program of the tests under the library; it says up to which call it has come."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", TESTS / program, *arguments],
        env={**os.environ, "LD_PRELOAD": str(made)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=7200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 5  # or nothing has stood between


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """Have a folder where a sync takes no time, if there is one: what it brings is for the library to say."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


def keep_logs_short() -> None:
    """Have SQLite's log come to its end, and begin anew, in a short run."""
    pages = 20
    sqlite._WAL_PAGES = pages
    sqlite._WAL_BYTES = HEADER_SIZE + pages * 5 // 4 * (FRAME_HEADER_SIZE + PAGE_SIZE)


def each_in_turn(first: int, step: int, run_once: Callable[[int], bool]) -> int:
    """Have one call after the other fail, until a run does not come to it any more; return that number."""
    for number in itertools.count(first, step):
        try:
            is_met = run_once(number)
        except BaseException:
            print(f"call {number} of {sys.argv[1:]}", flush=True)
            raise
        if not is_met:
            return number
    raise AssertionError


def copy_disk(folder: Path, disk: Path, *, power_fails: bool = True, seed: int = 0) -> None:
    """Copy what is there when it ends now: of each file what is on the disk, and of SQLite's index nothing.

    Without that failure of the power it is the files as they are, as after a kill. A seed that is not 0 tells by chance
    which of the pages that wait for a sync are there as well.
    """
    library.faults_pause(1)
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir()
    for file in sorted(folder.rglob("*")):
        target = disk / file.relative_to(folder)
        if file.is_dir():
            target.mkdir()
        elif not file.name.endswith("-shm") and not (
            power_fails and library.faults_disk(bytes(file), bytes(target), seed)
        ):
            shutil.copyfile(file, target)
    library.faults_pause(0)
