"""Cgroups to be frozen: a tree of plain files that looks like some, and real ones, which root can make."""

import os
from pathlib import Path
from typing import Self

from freezing import Apps, kill_quietly
from waiting import wait_for

SECOND = "30 1 0:26 / {} rw,relatime - cgroup2 cgroup2 rw\n"
FIRST = "31 1 0:27 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"


class Tree:
    """A ``/proc`` and a hierarchy of cgroups, made of files. ``answer`` stands for the kernel's."""

    def __init__(self, folder: Path, mounts: str = SECOND, root: str = "/") -> None:
        self.mount = folder / "cgroup mount"
        self.proc = folder / "proc"
        own = self.proc / str(os.getpid())
        own.mkdir(parents=True)
        (self.proc / "self").symlink_to(str(os.getpid()))
        text = mounts.format(str(self.mount).replace(" ", "\\040")).replace(" / ", f" {root} ", 1)
        (own / "mountinfo").write_text(text, encoding="ascii")
        self.mount.mkdir()
        self.process(os.getpid(), os.getuid(), "/own", parent=0)

    def group(self, name: str, *pids: int, told: int = 0, frozen: int = 0) -> Path:
        path = self.mount / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "cgroup.freeze").write_text(f"{told}\n", encoding="ascii")
        (path / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids), encoding="ascii")
        self.answer(path, frozen)
        return path

    def answer(self, path: Path, frozen: int) -> None:
        (path / "cgroup.events").write_text(f"populated 1\nfrozen {frozen}\n", encoding="ascii")

    def told(self, path: Path) -> str:
        return (path / "cgroup.freeze").read_text(encoding="ascii").strip()[:1]

    def process(self, pid: int, uid: int, group: str, parent: int = 1) -> None:
        folder = self.proc / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "cgroup").write_text(f"4:memory:/elsewhere\n0::{group}\n", encoding="ascii")
        (folder / "status").write_text(f"Name:\tit\nUid:\t{uid}\t0\t0\t0\n", encoding="ascii")
        numbers = " ".join(["0"] * 30)
        (folder / "stat").write_text(f"{pid} (it) S {parent} {numbers}\n", encoding="ascii")


def is_domain(path: Path) -> bool:
    return (path / "cgroup.type").read_text(encoding="ascii").startswith("domain")


class Real:
    """Real cgroups of version 2, and apps in them. As a context manager it leaves none of either."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.apps = Apps()
        self._paths: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def group(self, name: str) -> Path:
        path = self.root / name
        path.mkdir()
        self._paths.append(path)
        return path

    def start(self, path: Path, script: str, *arguments: str, user: int | None = None) -> int:
        pid = self.apps.start(script, *arguments, user=user)
        (path / "cgroup.procs").write_text(str(pid), encoding="ascii")
        return pid

    def remove(self, path: Path) -> None:
        (path / "cgroup.freeze").write_text("0", encoding="ascii")
        wait_for(lambda: "populated 0" in (path / "cgroup.events").read_text(encoding="ascii"))
        path.rmdir()
        self._paths.remove(path)

    def end(self) -> None:
        for path in self._paths:
            (path / "cgroup.freeze").write_text("0", encoding="ascii")
        self.apps.end()
        for path in self._paths:  # whoever has got in there otherwise, when a test has failed
            for pid in (path / "cgroup.procs").read_text(encoding="ascii").split() if is_domain(path) else ():
                kill_quietly(int(pid))
        for path in reversed(self._paths.copy()):
            self.remove(path)
        self.root.rmdir()
