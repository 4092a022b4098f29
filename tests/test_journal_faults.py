"""Reads, writes, syncs and the like that fail under a journal, one after the other: see fault_journal.py."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fault_journal import KINDS
from grantwheel.journal import _recovery
from grantwheel.journal.sqlite import SqliteJournal

TESTS = Path(__file__).resolve().parent
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)
STEPS = {"open": 23, "read": 83, "write": 311, "sync": 31, "truncate": 5, "rename": 4, "unlink": 17}  # for a brief look

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the library that stands between is for Linux"),
    pytest.mark.skipif(COMPILER is None, reason="there is no C compiler"),
    pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="somebody else stands before the calls"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands between a journal and its files."""
    made = tmp_path_factory.mktemp("faults") / "faults.so"
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    options = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared", *warnings]
    command = [str(COMPILER), *options, str(TESTS / "faults" / "faults.c"), "-o", str(made)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return made


def run(library: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", TESTS / "fault_journal.py", *arguments],
        env={**os.environ, "LD_PRELOAD": str(library)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split()[0]) > 5  # or nothing has stood between


@pytest.mark.parametrize("kind", KINDS)
def test_some_calls_fail(library: Path, kind: str) -> None:
    run(library, kind, "--step", str(STEPS[kind]))


def test_a_failed_flush_takes_away_what_it_was_to_bring(library: Path) -> None:
    run(library, "sync", "--durability", "batch", "--at-once", "--first", "6", "--step", "11")


def test_what_cannot_be_read_again_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteJournal(tmp_path / "grants.db") as journal:
        for position in range(3):
            journal.append(position, b"%d" % position)
        journal._doubt = "a sync has failed"
        with monkeypatch.context() as patch:
            patch.setattr(_recovery, "sound_groups", lambda *_: iter([(1, b"0")]))
            with pytest.raises(OSError, match="group 2 can't be read again"):
                journal.last()
        assert journal.last() == 3
        assert list(journal.read(0)) == [(1, b"0"), (2, b"1"), (3, b"2")]


@pytest.mark.long
@pytest.mark.parametrize("durability", ["commit", "batch"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_fails(library: Path, kind: str, durability: str, request: pytest.FixtureRequest) -> None:
    """Once and for good; what a failed sync was to bring is gone at once, or when the power goes."""
    step = str(request.config.getoption("--journal-fault-step"))
    if step == "0":
        pytest.skip("only with --journal-fault-step")
    for more in itertools.chain.from_iterable(itertools.combinations(("--for-good", "--at-once"), n) for n in range(3)):
        if "--at-once" in more and kind != "sync":
            continue
        error = "EIO" if kind in ("read", "sync") else "ENOSPC"
        run(library, kind, "--step", step, "--durability", durability, "--error", error, *more)
        if kind == "write":
            run(library, kind, "--step", step, "--durability", durability, "--error", "EIO", *more)
