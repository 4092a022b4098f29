"""Reads, writes, syncs and the like that fail under a journal, one after the other: see fault_journal.py."""

import itertools
from pathlib import Path

import pytest

from faulty_files import KINDS, NEEDS, compile_library, run_under
from grantwheel.journal import _recovery
from grantwheel.journal.sqlite import SqliteJournal

STEPS = {"open": 23, "read": 83, "write": 311, "sync": 31, "truncate": 5, "rename": 4, "unlink": 17}  # for a brief look

pytestmark = NEEDS


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands between a journal and its files."""
    return compile_library(tmp_path_factory.mktemp("faults"))


def run(library: Path, *arguments: str) -> None:
    run_under(library, "fault_journal.py", *arguments)


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
