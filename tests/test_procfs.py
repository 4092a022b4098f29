"""Reading processes from procfs directories: those of the tests, and once the real one."""

import os
from pathlib import Path

import pytest

from demo_stage import SOUND, TIMERFD, FakeProc
from grantwheel.linux.procfs import Process, ProcfsError, read_open_files, read_processes, read_uid


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    return FakeProc(tmp_path, monkeypatch)


def test_reads_processes_whatever_their_commands(proc: FakeProc) -> None:
    proc.put(7, uid=12, start=99, ticks=10, command="a (b) c) S 1")
    proc.put(8, state="Z")
    assert read_processes(proc.path) == ({7: Process(7, 99, 10, "a (b) c) S 1")}, 0)
    assert read_uid(proc.path, 7) == 12


def test_leaves_out_what_cannot_be_read(proc: FakeProc) -> None:
    (proc.path / "9").mkdir()
    (proc.path / "10").mkdir()
    (proc.path / "10" / "stat").write_text("")
    (proc.path / "10" / "status").write_text("Name:\tx\n")
    assert read_processes(proc.path) == ({}, 0)
    assert read_uid(proc.path, 9) is None
    assert read_uid(proc.path, 10) is None
    assert read_open_files(proc.path, 9, 10) == []


def test_counts_what_it_may_not_read(proc: FakeProc) -> None:
    proc.put(7)
    proc.put(8)
    proc.closed = {"8/stat", "8/status", "8/fd"}
    processes, refused = read_processes(proc.path)
    assert list(processes) == [7]
    assert refused == 1
    assert read_uid(proc.path, 8) is None
    with pytest.raises(PermissionError):
        read_open_files(proc.path, 8, 10)


def test_says_when_there_is_no_procfs(tmp_path: Path) -> None:
    with pytest.raises(ProcfsError, match=r"No such file or directory: .*missing"):
        read_processes(tmp_path / "missing")


def test_reads_a_command_that_is_not_text(proc: FakeProc) -> None:
    proc.put(7)
    stat = proc.path / "7" / "stat"
    stat.write_bytes(stat.read_bytes().replace(b"work", b"\xff\xfe"))
    assert read_processes(proc.path).processes[7].command == "\ufffd\ufffd"


def test_reads_as_many_open_files_as_wanted(proc: FakeProc) -> None:
    proc.put(7)
    proc.hold(7, TIMERFD, SOUND, "socket:[1]")
    assert sorted(read_open_files(proc.path, 7, 10)) == sorted([TIMERFD, SOUND, "socket:[1]"])
    assert len(read_open_files(proc.path, 7, 2)) == 2


def test_reads_this_process(tmp_path: Path) -> None:
    process = read_processes(Path("/proc")).processes[os.getpid()]
    assert process.start_ticks > 0
    assert read_uid(Path("/proc"), os.getpid()) == os.getuid()
    opened = tmp_path / "opened"
    with opened.open("w"):
        assert str(opened) in read_open_files(Path("/proc"), os.getpid(), 10_000)
