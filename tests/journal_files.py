"""Journals with grants for the tests of the tools, and what can be done to their files."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grantwheel import Manager, ManualClock, MemoryLog, _core, replay
from grantwheel.journal.sqlite import SqliteJournal
from support import AUDIO, CPU, GPS, TIMER

GOLDEN = Path(__file__).parent / "golden" / "ops-1.txt"
STEERING = "\x1b[31m\u202e'\\"


def write_journal(path: Path, *, saved_at: int | None = None, killed: Path | None = None) -> None:
    """Keep a little of everything in a journal, with a snapshot in the middle if that is wanted.

    A folder gets a copy as the end of the process would leave it: what is not in the file yet is in SQLite's log.
    """
    clock = ManualClock(1000)
    with SqliteJournal(path) as journal:
        with Manager(clock=clock, log=journal) as manager:
            manager.apply(1, 11, GPS | AUDIO, 5000, reason=STEERING)
            manager.apply(2, 22, CPU, 700, process=True)
            clock.advance(100)
            manager.release(1, 11, AUDIO)
            clock.advance(900)
            manager.advance()
            if saved_at is not None:
                groups = [group for _, group in journal.read(0)][:saved_at]
                follower = replay(groups)
                journal.save(saved_at, follower.snapshot())
            manager.apply(2, 22, TIMER, persist=True)
            clock.advance(10)
            manager.process_died(1, 11)
            manager.app_stopped(1)
        if killed is not None:
            copy_folder(path.parent, killed)


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a journal."""
    target.mkdir()
    for file in source.iterdir():
        if file.is_file():
            shutil.copyfile(file, target / file.name)


def golden(kind: str) -> list[bytes]:
    """The ops of a kind that are kept to be read by every later version."""
    text = GOLDEN.read_text(encoding="utf-8")
    found = re.findall(rf"^\d+ {kind}\b.*\n((?:  [0-9a-f]+\n)+)", text, re.MULTILINE)
    return [bytes.fromhex(re.sub(r"\s", "", data)) for data in found]


def write_restart(path: Path) -> None:
    """Keep a restart in a journal: a mark, limits, what is dropped as nobody of it was there any more, and notes."""
    clock, log = ManualClock(10), MemoryLog()
    with Manager(clock=clock, log=log) as manager:
        manager.apply(1, 11, GPS | TIMER, 5000)
        manager.apply(20010042, 4242, CPU, 200, process=True)
        manager.apply(2, 22, AUDIO, 5000)
    groups = [*(group for _, group in log.read()), golden("mark")[1], golden("limits")[0] + golden("recovery")[0]]
    groups.append(_core.encode_notes({b"task/1": b"\0\xff", b"task/2": None}, 1004))
    with SqliteJournal(path) as journal:
        for position, group in enumerate(groups):
            journal.append(position, group)


WRITER = """
import sys
from grantwheel import Manager, ManualClock
from grantwheel.journal.sqlite import SqliteJournal

path, is_busy = sys.argv[1], sys.argv[2] == "busy"
clock = ManualClock(5)
with SqliteJournal(path) as journal, Manager(clock=clock, log=journal) as manager:
    for number in range(50):
        manager.apply(number, 1, 32, 10_000)
    print("ready", flush=True)
    if is_busy:
        for _ in range(700):  # beyond what makes SQLite's log begin anew
            clock.advance(3)
            manager.apply(1 + clock.now() % 99, 1, 32, 10_000, reason="x" * 900)
    sys.stdin.readline()
"""


@contextmanager
def writing(path: Path, *, is_busy: bool = False) -> Iterator[int]:
    """Have another process write a journal meanwhile; gives its pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "busy" if is_busy else "idle"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        assert process.poll() is None
        process.stdin.write("end\n")
        process.stdin.close()
        assert process.wait(60) == 0


def seal(body: bytes) -> bytes:
    """Frame a body as an op is, for which the start of XXH64 is enough that short ones need."""
    head = len(body).to_bytes(4, "little") + body
    return head + (xxh64(head) & 0xFFFFFFFF).to_bytes(4, "little")


def xxh64(data: bytes) -> int:
    """Return the XXH64 of less than 32 bytes, with seed 0."""
    one, two, three = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
    four, five, most = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5, (1 << 64) - 1

    def rolled(value: int, bits: int) -> int:
        return (value << bits | value >> 64 - bits) & most

    hashed = five + len(data)
    while len(data) >= 8:
        word = rolled(int.from_bytes(data[:8], "little") * two & most, 31) * one & most
        hashed, data = (rolled(hashed ^ word, 27) * one + four) & most, data[8:]
    if len(data) >= 4:
        word = int.from_bytes(data[:4], "little") * one & most
        hashed, data = (rolled(hashed ^ word, 23) * two + three) & most, data[4:]
    for byte in data:
        hashed = rolled(hashed ^ byte * five & most, 11) * one & most
    hashed = (hashed ^ hashed >> 33) * two & most
    hashed = (hashed ^ hashed >> 29) * three & most
    return hashed ^ hashed >> 32


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def snapshot_of(path: Path) -> Path:
    return path.with_name(path.name + "-snapshot")


def flip(path: Path, at: int) -> None:
    """Damage a byte."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def contents(folder: Path) -> dict[str, str]:
    """What is in the files of a folder, and which there are."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("-shm")]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}
