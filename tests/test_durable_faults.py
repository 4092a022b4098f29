"""Calls that fail under an opened manager, one after the other: see fault_manager.py and fault_opening.py."""

from pathlib import Path

import pytest

from fault_opening import PLACES
from faulty_files import KINDS, NEEDS, compile_library, run_under

pytestmark = NEEDS

# For a brief look: which call fails first, and which ones after that.
SOME = [
    ("open", 11, 31, "commit", "once"),
    ("read", 13, 41, "commit", "refused"),
    ("write", 50, 150, "batch", "refused"),
    ("sync", 40, 63, "commit", "closed"),
    ("sync", 10, 23, "batch", "once"),
    ("truncate", 5, 9, "batch", "closed"),
    ("rename", 4, 4, "commit", "refused"),
    ("unlink", 7, 19, "batch", "closed"),
]
SOME_OPENING = [("log", "write", 7, 29), ("end", "sync", 4, 9), ("snapshot", "read", 31, 30)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands between a manager and its files."""
    return compile_library(tmp_path_factory.mktemp("faults"))


def errors_of(kind: str) -> tuple[str, ...]:
    return {"read": ("EIO",), "sync": ("EIO",), "write": ("ENOSPC", "EIO")}.get(kind, ("ENOSPC",))


@pytest.mark.parametrize(("kind", "first", "step", "durability", "lasts"), SOME)
def test_some_calls_fail(library: Path, kind: str, first: int, step: int, durability: str, lasts: str) -> None:
    """Once, until it was refused some times, or until the manager is closed."""
    span = ["--first", str(first), "--step", str(step)]
    more = ["--at-once"] if kind == "sync" else []
    run_under(library, "fault_manager.py", kind, *span, "--durability", durability, "--lasts", lasts, *more)


@pytest.mark.parametrize(("where", "kind", "first", "step"), SOME_OPENING)
def test_some_calls_fail_while_a_damaged_journal_is_opened(
    library: Path, where: str, kind: str, first: int, step: int
) -> None:
    run_under(library, "fault_opening.py", where, kind, "--first", str(first), "--step", str(step), "--lasts")


@pytest.fixture
def step(request: pytest.FixtureRequest) -> str:
    chosen = str(request.config.getoption("--durable-fault-step"))
    if chosen == "0":
        pytest.skip("only with --durable-fault-step")
    return chosen


@pytest.mark.long
@pytest.mark.parametrize("lasts", ["once", "refused", "closed"])
@pytest.mark.parametrize("durability", ["commit", "batch"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_fails(library: Path, step: str, kind: str, durability: str, lasts: str) -> None:
    """Without snapshots in the background, so that it is the same each time, and with them."""
    for error in errors_of(kind):
        options = [kind, "--step", step, "--durability", durability, "--error", error, "--lasts", lasts]
        run_under(library, "fault_manager.py", *options)
        run_under(library, "fault_manager.py", *options, "--background")
        if kind == "sync":
            run_under(library, "fault_manager.py", *options, "--at-once")


@pytest.mark.long
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "lasts"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", PLACES)
def test_each_call_fails_while_a_damaged_journal_is_opened(
    library: Path, step: str, where: str, kind: str, lasts: bool
) -> None:
    more = [*(["--lasts"] if lasts else []), *(["--at-once"] if kind == "sync" else [])]
    for error in errors_of(kind):
        run_under(library, "fault_opening.py", where, kind, "--step", step, "--error", error, *more)
