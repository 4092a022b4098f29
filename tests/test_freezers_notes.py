"""The notes of freezers: what they say, who reads them, and what becomes of those that a crash has left."""

import fcntl
import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freezing import PROC, SLEEPY, Apps, state
from grantwheel.linux import freezers_notes
from grantwheel.linux.freezers_notes import ENDING, Group, Notes, boot_of
from grantwheel.linux.freezers_process import Process, see
from grantwheel.linux.freezers_thaw import Thawed, thaw_left
from grantwheel.suspend import FreezeError
from waiting import wait_for

NOTHING = Thawed((), 0, (), 0, ())
ONE, TWO = Process(2**22 + 1, 10), Group("/sys/fs/cgroup/a \\ b\n", 7)  # of nobody


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def stopped() -> Iterator[Process]:
    """A process that somebody has stopped."""
    apps = Apps()
    pid = apps.start(SLEEPY)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state(pid) == "T")
    seen = see(PROC, pid)
    assert seen is not None
    yield seen.process
    apps.end()


def lines(folder: Path) -> list[object]:
    (file,) = folder.glob(f"*{ENDING}")
    head, *rest = file.read_text(encoding="ascii").splitlines()
    assert head == f"grantwheel-frozen 1 {boot_of(PROC)}"
    return [json.loads(line) for line in rest]


def left(folder: Path, *said: object, head: str | None = None, end: str = "\n") -> Path:
    """A file as a crash leaves it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"{len(list(folder.iterdir()))}{ENDING}"
    text = [f"grantwheel-frozen 1 {boot_of(PROC)}" if head is None else head]
    text += [line if isinstance(line, str) else json.dumps(line) for line in said]
    file.write_text("\n".join(text) + end, encoding="ascii")
    return file


def test_what_they_say(folder: Path) -> None:
    notes = Notes(folder, PROC)
    notes.add(7, [ONE, TWO])
    notes.add(7, [ONE])  # it is known
    notes.add(8, [ONE])
    assert (notes.uids(), notes.of(7), notes.of(8), notes.of(9)) == ([7, 8], [ONE, TWO], [ONE], [])
    assert lines(folder) == [
        ["process", 7, ONE.pid, ONE.start_ticks],
        ["cgroup", 7, TWO.inode, TWO.path],
        ["process", 8, ONE.pid, ONE.start_ticks],
    ]
    notes.drop(7)
    assert lines(folder)[-1] == ["done", 7]
    notes.drop(8)
    notes.drop(8)
    assert lines(folder) == []
    notes.close()
    notes.close()
    assert list(folder.iterdir()) == []


def test_notes_are_on_the_disk_before_add_returns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            calls.append(name)
            return real(*args)

        return call

    for name in ("write", "fsync"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    notes = Notes(folder, PROC)
    assert calls == ["write", "fsync", "fsync"]  # the file, and the folder that has it
    notes.add(7, [ONE, TWO])
    assert calls[3:] == ["write", "fsync"]
    notes.close()


def test_a_folder_is_this_users_alone(tmp_path: Path) -> None:
    open_to_others = tmp_path / "open"
    open_to_others.mkdir()
    open_to_others.chmod(0o777)
    for call in (lambda: Notes(open_to_others, PROC), lambda: thaw_left(open_to_others)):
        with pytest.raises(FreezeError, match="writable by its owner alone"):
            call()
    made = tmp_path / "a" / "b"
    Notes(made, PROC).close()
    assert made.stat().st_mode & 0o777 == 0o700


def test_a_long_file_is_written_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezers_notes, "_REWRITE_LINES", 10)
    notes = Notes(folder, PROC)
    notes.add(1, [ONE, TWO])
    for _ in range(100):
        notes.add(2, [ONE])
        notes.drop(2)
        assert len(lines(folder)) <= 12
        assert len(list(folder.iterdir())) == 1
    assert lines(folder)[:2] == [["process", 1, *ONE], ["cgroup", 1, TWO.inode, TWO.path]]
    assert notes.of(1) == [ONE, TWO]
    assert thaw_left(folder) == NOTHING._replace(in_use=1)  # it is still known as this process's own
    notes.close()


def test_a_full_disk_is_no_error_when_something_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(folder, PROC)
    notes.add(1, [ONE])
    notes.add(2, [ONE])

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        notes.drop(1)
        with pytest.raises(OSError, match="No space"):
            notes.add(3, [ONE])
    assert lines(folder) == [["process", 1, *ONE], ["process", 2, *ONE]]  # a thaw too much does no harm
    notes.add(3, [ONE])
    notes.close()
    assert len(list(folder.iterdir())) == 1  # something is noted still


def test_half_a_write_is_taken_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(folder, PROC)
    real = os.write
    count = []

    def write(descriptor: int, data: bytes) -> int:
        count.append(data)
        if len(count) == 2:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:5])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OSError, match="No space"):
            notes.add(1, [ONE])
    assert lines(folder) == []
    assert notes.of(1) == []
    notes.close()


def test_what_was_left_is_continued_and_the_file_goes(folder: Path, stopped: Process) -> None:
    left(folder, ["process", 7, *stopped], ["process", 8, *ONE])
    assert thaw_left(folder) == NOTHING._replace(uids=(7,), gone=1)
    wait_for(lambda: state(stopped.pid) != "T")
    assert list(folder.iterdir()) == []
    assert thaw_left(folder) == NOTHING


def test_what_could_not_be_thawed_stays_in_the_notes(folder: Path, stopped: Process) -> None:
    file = left(folder, ["cgroup", 7, 1, "/no/such"], ["process", 8, *stopped])
    for _ in range(2):
        thawed = thaw_left(folder)
        assert (thawed.uids, len(thawed.failures), list(folder.iterdir())) == ((8,), 1, [file])


def lock_what_is_gone(descriptor: int, _command: int) -> None:
    """Have somebody else been quicker, who had the lock before, and has removed the file."""
    Path(f"/proc/self/fd/{descriptor}").readlink().unlink()


def test_a_file_that_was_removed_while_it_was_made_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "lockf", lock_what_is_gone)
    with pytest.raises(FreezeError, match="was removed while it was made"):
        Notes(folder, PROC)
    assert list(folder.iterdir()) == []


def test_a_file_that_another_has_dealt_with_is_none(
    folder: Path, stopped: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom it names may have been stopped by somebody else since."""
    left(folder, ["process", 7, *stopped])
    monkeypatch.setattr(fcntl, "lockf", lock_what_is_gone)
    assert thaw_left(folder) == NOTHING
    assert state(stopped.pid) == "T"


def test_it_is_logged(folder: Path, stopped: Process, caplog: pytest.LogCaptureFixture) -> None:
    left(folder, ["process", 7, *stopped])
    with caplog.at_level(logging.WARNING, "grantwheel"):
        thaw_left(folder)
    assert caplog.messages == ["app 7 was left frozen, and has been thawed"]


@pytest.mark.parametrize("name", ["done", "another boot", "another process", "torn"])
def test_what_is_not_meant_stays_stopped(folder: Path, stopped: Process, name: str) -> None:
    said = ["process", 7, *stopped]
    if name == "done":
        left(folder, said, ["done", 7])
    elif name == "another boot":
        left(folder, said, head="grantwheel-frozen 1 6e6c9a0e-39dc-4b09-8e83-6a2bd9b0a3a1")
    elif name == "another process":
        left(folder, ["process", 7, stopped.pid, stopped.start_ticks + 1])
    else:
        left(folder, said, end="")
    assert thaw_left(folder).uids == ()
    assert state(stopped.pid) == "T"
    assert list(folder.iterdir()) == []


def test_damage_is_told_kept_and_keeps_nobody_frozen(folder: Path, stopped: Process) -> None:
    file = left(folder, "nonsense", ["process", 7, *stopped], ["process", 7, -1, 0], '["process", 7]', "{}")
    text = file.read_bytes()
    thawed = thaw_left(folder)
    assert thawed.uids == (7,)
    (told,) = thawed.damage
    assert "line 2, 4, 5, 6" in told
    wait_for(lambda: state(stopped.pid) != "T")
    (kept,) = folder.iterdir()
    assert (kept.name, kept.read_bytes()) == ("0.damaged", text)
    assert thaw_left(folder) == NOTHING


@pytest.mark.parametrize("head", ["", "grantwheel", "another-thing 1 x", "grantwheel-frozen one x"])
def test_a_file_that_is_none_is_kept(folder: Path, head: str) -> None:
    left(folder, head=head)
    assert len(thaw_left(folder).damage) == 1
    assert [path.name for path in folder.iterdir()] == ["0.damaged"]


def test_a_file_that_was_not_begun_goes(folder: Path) -> None:
    left(folder, head="grantwheel-fro", end="")
    left(folder, head="", end="")
    assert thaw_left(folder) == NOTHING
    assert list(folder.iterdir()) == []


def test_a_newer_format_is_refused_by_name(folder: Path) -> None:
    file = left(folder, head="grantwheel-frozen 2 x y z"[:21])
    (failure,) = thaw_left(folder).failures
    assert failure == f"{file} was written by a newer version, which is to thaw what it says"
    assert file.exists()


def test_what_is_no_file_is_left_alone(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(mode=0o700)
    target = tmp_path / "target"
    target.write_text("mine", encoding="ascii")
    (folder / f"link{ENDING}").symlink_to(target)
    (folder / f"folder{ENDING}").mkdir()
    assert thaw_left(folder).uids == ()
    assert target.read_text(encoding="ascii") == "mine"


def test_a_file_of_a_process_that_lives_is_left_alone(folder: Path, stopped: Process) -> None:
    ready, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            notes = Notes(folder, PROC)
            notes.add(7, [stopped])
            os.write(write, b"!")
            signal.pause()
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"!"
    assert thaw_left(folder) == NOTHING._replace(in_use=1)
    assert state(stopped.pid) == "T"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert thaw_left(folder) == NOTHING._replace(uids=(7,))
    os.close(ready)
    os.close(write)


def test_the_child_of_a_fork_keeps_no_file_locked(folder: Path, stopped: Process) -> None:
    """A freezer's process is killed while a child that it has forked lives on."""
    ready, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            notes = Notes(folder, PROC)
            notes.add(7, [stopped])
            grandchild = os.fork()
            if grandchild == 0:
                os.write(write, b"%8d" % os.getpid())
            signal.pause()
        finally:
            os._exit(1)
    grandchild = int(os.read(ready, 8))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert thaw_left(folder) == NOTHING._replace(uids=(7,))
    os.kill(grandchild, signal.SIGKILL)
    os.close(ready)
    os.close(write)
