"""A stage for the demonstration: a procfs directory set by hand, a clock that stands still, a view that keeps."""

import os
from pathlib import Path
from typing import Any

import pytest

from grantwheel import Manager, ManualClock, Policy, _core
from grantwheel.demo.sampler import Sampler
from grantwheel.demo.view import Entry, Frame, Summary, entry_line
from grantwheel.demo.watch import Watch

INTERVAL = 1000
TTL = 2250

TIMERFD = "anon_inode:[timerfd]"
SOUND = "/dev/snd/pcmC0D0p"


class FakeProc:
    """A procfs directory whose processes are set by hand. What is in ``closed`` may not be read."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.closed: set[str] = set()
        self.scanned: list[int] = []  # the pids whose open files were read or refused
        (path / "meminfo").write_text("not a process\n")
        (path / "self").mkdir()
        self._scandir, self._read = os.scandir, _core.read_start
        # Refused by hand: the tests may run as root, whom no file mode keeps out.
        monkeypatch.setattr("grantwheel.linux.procfs.os.scandir", self._refusing_scandir)
        monkeypatch.setattr(_core, "read_start", self._refusing_read)

    def put(
        self, pid: int, *, uid: int = 1000, start: int = 5, ticks: int = 0, command: str = "work", state: str = "S"
    ) -> None:
        directory = self.path / str(pid)
        (directory / "fd").mkdir(parents=True, exist_ok=True)
        fields = [state, "1", "1", "1", "0", "-1", "0", "0", "0", "0", "0", str(ticks - ticks // 3), str(ticks // 3)]
        fields += ["0", "0", "20", "0", "1", "0", str(start), "0", "0"]
        (directory / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n")
        (directory / "status").write_text(f"Name:\t{command}\nUid:\t{uid}\t0\t0\t0\nGid:\t1\t1\t1\t1\n")

    def hold(self, pid: int, *files: str) -> None:
        """Let these be the open files of a process."""
        folder = self.path / str(pid) / "fd"
        for name in os.listdir(folder):  # noqa: PTH208 - iterdir may come upon the refusing scandir
            (folder / name).unlink()
        for number, file in enumerate(files):
            (folder / str(number)).symlink_to(file)

    def remove(self, pid: int) -> None:
        self.hold(pid)
        (self.path / str(pid) / "fd").rmdir()
        for name in os.listdir(self.path / str(pid)):  # noqa: PTH208 - as above
            (self.path / str(pid) / name).unlink()
        (self.path / str(pid)).rmdir()

    def _refuse(self, path: object) -> None:
        if Path(str(path)).is_relative_to(self.path):
            name = Path(str(path)).relative_to(self.path).as_posix()
            if name.endswith("/fd"):
                self.scanned.append(int(name.partition("/")[0]))
            if name in self.closed:
                raise PermissionError(13, "Permission denied", str(path))

    def _refusing_scandir(self, path: Any) -> Any:
        self._refuse(path)
        return self._scandir(path)

    def _refusing_read(self, path: str) -> bytes:
        self._refuse(path)
        return self._read(path)


class Kept:
    """A view that keeps what it is given; events as the lines that people see, without the columns."""

    def __init__(self, frame_ms: int | None = None) -> None:
        self.frame_ms = frame_ms
        self.notes: list[str] = []
        self.entries: list[Entry] = []
        self.frames: list[Frame] = []
        self.summaries: list[Summary] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def entry(self, entry: Entry) -> None:
        self.entries.append(entry)

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)

    def summary(self, summary: Summary) -> None:
        self.summaries.append(summary)

    def take(self) -> list[str]:
        entries, self.entries[:] = self.entries[:], []
        return [" ".join(entry_line(entry).split()) for entry in entries]


class Stage:
    """A watch on a fake procfs."""

    def __init__(self, proc: FakeProc, policy: Policy | None = None, frame_ms: int | None = None) -> None:
        self.clock = ManualClock(start_ms=50_000)
        self.manager = Manager(clock=self.clock, policy=policy or Policy())
        self.sampler = Sampler(proc.path)
        self.view = Kept(frame_ms)
        self.watch = Watch(self.manager, self.sampler, self.clock, timeout_ms=TTL, view=self.view)

    def look(self, after_ms: int = 0) -> list[str]:
        """Look when this time has passed, and return what the view was shown."""
        self.clock.advance(after_ms)
        self.watch.look()
        return self.view.take()

    def report(self, after_ms: int = 0) -> list[str]:
        self.clock.advance(after_ms)
        self.watch.report()
        return self.view.take()
