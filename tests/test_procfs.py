"""Reading who a process is from procfs directories: those of the tests, and once the real one."""

import os
from pathlib import Path

import pytest

from grantwheel import _core
from grantwheel.linux.procfs import Identity, read_identity, read_uid


def put(proc: Path, pid: int, *, command: str = "work") -> None:
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", *map(str, range(4, 22)), "99", "0", "0"]
    (folder / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n")
    (folder / "status").write_text(f"Name:\t{command}\nUid:\t12\t0\t0\t0\nGid:\t1\t1\t1\t1\n")


@pytest.mark.parametrize("command", ["work", "a (b) c) S 1", "\xff"])
def test_reads_who_a_process_is_whatever_its_command(tmp_path: Path, command: str) -> None:
    put(tmp_path, 7, command=command)
    assert read_identity(tmp_path, 7) == Identity(uid=12, start_ticks=99)
    assert read_uid(tmp_path, 7) == 12


def test_a_process_that_has_gone_has_no_uid(tmp_path: Path) -> None:
    (tmp_path / "9").mkdir()
    assert read_uid(tmp_path, 9) is None
    with pytest.raises(FileNotFoundError):
        read_identity(tmp_path, 9)


@pytest.mark.parametrize(
    ("stat", "status"), [("", "Uid:\t12\t0\n"), ("7 (work) S 1 2\n", "Uid:\t12\t0\n"), (None, "Name:\tx\n")]
)
def test_what_is_cut_short_is_no_process(tmp_path: Path, stat: str | None, status: str) -> None:
    put(tmp_path, 7)
    if stat is not None:
        (tmp_path / "7" / "stat").write_text(stat)
    (tmp_path / "7" / "status").write_text(status)
    with pytest.raises(ProcessLookupError, match="there is no process 7 in "):
        read_identity(tmp_path, 7)


def test_what_may_not_be_read_has_no_uid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Refused by hand: the tests may run as root, whom no file mode keeps out.
    def refuse(path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    put(tmp_path, 7)
    monkeypatch.setattr(_core, "read_start", refuse)
    assert read_uid(tmp_path, 7) is None
    with pytest.raises(PermissionError):
        read_identity(tmp_path, 7)


def test_reads_this_process() -> None:
    proc = Path("/proc")
    assert read_uid(proc, os.getpid()) == os.getuid()
    assert read_identity(proc, os.getpid()).start_ticks > 0
