"""The host in C++ over SQLite: it and the Python package read what the other has written, and have the same state."""

import os
import shutil
import sqlite3
import subprocess
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

import grantwheel
from grantwheel import Follower, Manager, ManualClock
from grantwheel.journal.sqlite import SqliteJournal

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")))), None)
PATIENCE = 120

pytestmark = [pytest.mark.long, pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")]

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the host on a file with lines of input; give its exit code, and the lines that it has printed."""
    assert COMPILER is not None
    found = subprocess.run(
        [COMPILER, "-E", "-x", "c++", "-"], input="#include <sqlite3.h>\n", capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        pytest.skip("there is no sqlite3.h")
    folder = tmp_path_factory.mktemp("durable_host")
    package = f"-Dgrantwheel_DIR={grantwheel.get_cmake_dir()}"
    for command in (
        ["cmake", "-S", str(EXAMPLES), "-B", str(folder), package],
        ["cmake", "--build", str(folder), "--target", "durable_host"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(file: Path, *lines: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [folder / "durable_host", file],
            input="".join(f"{line}\n" for line in lines),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout.splitlines()

    return run


def follow(journal: SqliteJournal) -> Follower:
    """An engine that has read all that is in a journal."""
    found = journal.snapshot()
    follower = Follower() if found is None else Follower(snapshot=list(found[1]), position=found[0])
    for _, group in journal.read(follower.position):
        follower.feed(group)
    return follower


def hash_line(follower: Follower) -> str:
    return f"hash {follower.state_hash():016x}"


def test_python_reads_what_cpp_has_written(host: Run, tmp_path: Path) -> None:
    file = tmp_path / "grants.db"
    code, lines = host(
        file, "apply 1000 32 0", "apply 1001 65 3600000", "apply 1002 999 5", "release 1001 1", "mask 1001", "hash"
    )
    assert code == 0
    assert lines[0] == "read 0 groups"
    assert lines[2:7] == ["ok 32", "ok 65", "request_invalid 0", "ok 1", "ok 64"]
    with SqliteJournal(file) as journal:
        assert journal.reports == ()
        assert journal.last() == 4  # one of them is the mark of the start
        follower = follow(journal)
        assert hash_line(follower) == lines[7]
        assert [follower.app_mask(uid) for uid in (1000, 1001, 1002)] == [32, 64, 0]
    for name in tmp_path.iterdir():
        assert name.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_cpp_reads_what_python_has_written(host: Run, tmp_path: Path, with_snapshot: bool) -> None:
    file = tmp_path / "grants.db"
    clock = ManualClock(start_ms=5)
    with SqliteJournal(file) as journal:
        with Manager(clock=clock, log=journal, max_strings=5000) as manager:
            for number in range(500):
                manager.apply(number % 60, 7, 32 + number % 8, 100_000_000 + number, reason=f"größer {number}")
            if with_snapshot:
                before = follow(journal)
                journal.save(before.position, before.snapshot())
            rows = [array("I", column) for column in ([1, 2, 3], [1, 1, 1], [64, 64, 64], [5000] * 3)]
            manager.apply_many(*rows)
            clock.advance(6000)
            manager.advance()
            manager.release(3, 1, 32)
        written, position = hash_line(follow(journal)), journal.last()
    code, lines = host(file, "mask 3", "apply 5555 32 0", "hash")
    assert (code, lines[:2]) == (0, [f"read {position} groups", written])
    assert lines[3] == "ok 32"
    with SqliteJournal(file) as journal:  # and back
        assert journal.reports == ()
        assert journal.last() == position + 2
        assert hash_line(follow(journal)) == lines[4]


def test_there_is_one_writer_in_both_languages(host: Run, tmp_path: Path) -> None:
    file = tmp_path / "grants.db"
    with SqliteJournal(file) as journal:
        journal.append(0, b"")
        assert host(file) == (1, [f"{file}: another one writes it"])


def test_the_host_goes_on_after_it_was_killed(host: Run, tmp_path: Path) -> None:
    file = tmp_path / "grants.db"
    assert host(file, "apply 1000 32 0")[1][2:] == ["ok 32"]
    copy = tmp_path / "copy.db"
    connection = sqlite3.connect(file)  # while somebody reads, nothing is brought into the file
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM groups").fetchone()
    lines = host(file, "apply 1001 64 0", "hash")[1]
    for ending in ("", "-wal"):  # as a crash leaves them
        shutil.copy(f"{file}{ending}", f"{copy}{ending}")
    connection.close()
    assert host(copy, "mask 1001")[1] == ["read 4 groups", lines[-1], "ok 64"]


def test_the_host_refuses_what_is_not_a_sound_journal(host: Run, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"what is this?\n" * 1000)
    code, lines = host(text)
    assert (code, lines) == (1, [f"{text}: file is not a database"])
    assert text.read_bytes() == b"what is this?\n" * 1000
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE mine(x)").connection.close()
    assert host(other) == (1, [f"{other}: it is no journal of version 1"])
    file = tmp_path / "grants.db"
    with SqliteJournal(file) as journal:
        for position in range(3):
            journal.append(position, b"group")
    for damage, what in (
        ("DELETE FROM groups WHERE sequence = 3", "its last groups are missing"),
        ("UPDATE groups SET bytes = 'other' WHERE sequence = 1", "group 1 is damaged"),
    ):
        copy = tmp_path / f"{what}.db"
        shutil.copy(file, copy)
        connection = sqlite3.connect(copy)
        connection.execute(damage)
        connection.commit()
        connection.close()
        code, lines = host(copy)
        assert (code, lines[0]) == (1, f"{copy}: {what}")


def test_what_is_damaged_in_the_log_of_another_host_is_not_brought_into_the_file(host: Run, tmp_path: Path) -> None:
    file, copy = tmp_path / "grants.db", tmp_path / "copy.db"
    with SqliteJournal(file) as journal:
        for position in range(3):
            journal.append(position, b"group")
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("UPDATE groups SET bytes = 'other' WHERE sequence = 2")
    for ending in ("", "-wal"):  # as the end of a host leaves them that has written half of it
        shutil.copy(f"{file}{ending}", f"{copy}{ending}")
    connection.close()
    before = [Path(f"{copy}{ending}").read_bytes() for ending in ("", "-wal")]
    code, lines = host(copy)
    assert (code, lines[0]) == (1, f"{copy}: group 2 is damaged")
    assert [Path(f"{copy}{ending}").read_bytes() for ending in ("", "-wal")] == before
    with SqliteJournal(copy) as journal:  # who can set it aside finds what the file has
        assert [report.kind for report in journal.reports] == ["damaged"]
        assert [bytes(group) for _, group in journal.read(0)] == [b"group"] * 3
