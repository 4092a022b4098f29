"""Cgroups of version 2: which there are, where a process is, and freezing one. Private."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Self

from grantwheel.linux.freezers import FreezeError, FreezeRefusedError, HierarchyError
from grantwheel.linux.freezers_notes import Group

_OTHERWISE = "or freeze by signals (SignalFreezer)"
_BOOT = "boot with systemd.unified_cgroup_hierarchy=1"
_DELETED = " (deleted)"


class Hierarchy(NamedTuple):
    """Where cgroups of version 2 are mounted, and which one of them is seen there."""

    mount: Path
    root: PurePosixPath

    def path_of(self, name: str) -> Path | None:
        """Return where a cgroup is that ``/proc/PID/cgroup`` calls by this name; None if it is not mounted."""
        path = PurePosixPath(name)
        if ".." in path.parts or not path.is_relative_to(self.root):
            return None
        return self.mount / path.relative_to(self.root)

    def has_gone(self, name: str) -> bool:
        """Whether ``/proc`` says of a cgroup that it is no more; one that is there may have such a name itself."""
        path = self.path_of(name)
        return name.endswith(_DELETED) and not (path is not None and path.exists())


class _Mount(NamedTuple):
    point: Path
    root: PurePosixPath
    type: str


def find_hierarchy(proc: Path, root: Path | None) -> Hierarchy:
    """Return where cgroups of version 2 are mounted: the only place there is, or the one of which a folder is a part.

    Raises
    ------
    HierarchyError
        There is none, or ``root`` is no part of one, or it is one beside version 1, which is to be named: says what to
        do.
    """
    mounts = [mount for mount in _mounts(proc) if mount.type in ("cgroup", "cgroup2")]
    second = [mount for mount in mounts if mount.type == "cgroup2"]
    if root is not None:
        for mount in sorted(second, key=lambda mount: len(mount.point.parts), reverse=True):
            if root.is_relative_to(mount.point) and ".." not in root.parts:
                return _seen_from_here(mount)
        raise HierarchyError(errno.ENODEV, f"{root} is no part of a file system of type cgroup2")
    if not mounts:
        raise HierarchyError(errno.ENODEV, f"no cgroups are mounted here: mount cgroup2, {_OTHERWISE}")
    if not second:
        why = f"there are cgroups of version 1 only, which freeze otherwise: {_BOOT}, {_OTHERWISE}"
        raise HierarchyError(errno.ENODEV, why)
    if len(second) < len(mounts):
        why = f"cgroups are mounted in both versions (hybrid), and apps may be in version 1 only: {_BOOT}, {_OTHERWISE}"
        named = f"or, if your apps are in version 2, name it: root={str(second[0].point)!r}"
        raise HierarchyError(errno.ENODEV, f"{why}, {named}")
    return _seen_from_here(second[0])


def _seen_from_here(mount: _Mount) -> Hierarchy:
    if ".." in mount.root.parts:
        why = f"{mount.point} has cgroups of another cgroup namespace, so who is in which cannot be told from here"
        raise HierarchyError(errno.ENODEV, f"{why}: mount cgroup2 anew, {_OTHERWISE}")
    return Hierarchy(mount.point, mount.root)


def name_of(proc: Path, pid: int) -> str | None:
    """Return what ``/proc`` calls the cgroup (version 2) of a process; None when it has gone or has none."""
    try:
        lines = _lines_of(proc / str(pid) / "cgroup")
    except OSError:
        return None
    for line in lines:
        if line.startswith("0::"):
            return line.removeprefix("0::")
    return None


def processes_in(path: Path) -> Iterator[int]:
    """Return the processes of a cgroup and of all below it, and the threads of those that have only threads.

    One that this pid namespace has no number for is 0.
    """
    for folder, _, _ in os.walk(path):
        try:
            yield from _numbers_in(Path(folder))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):  # it has gone
                raise


def _numbers_in(folder: Path) -> list[int]:
    try:
        text = (folder / "cgroup.procs").read_text(encoding="ascii")
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        text = (folder / "cgroup.threads").read_text(encoding="ascii")
    return [int(number) for number in text.split()]


class OpenGroup:
    """A cgroup that is the same one as long as it is open, whatever becomes of its path. A context manager.

    Raises
    ------
    FreezeRefusedError
        The path leads out of the file system of cgroups: by a symbolic link, or to what is mounted there.
    OSError
        There is none.
    """

    def __init__(self, path: Path, mount: Path) -> None:
        self._path = path
        self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if path.resolve() != path or os.fstat(self._folder).st_dev != mount.stat().st_dev:
            os.close(self._folder)
            raise FreezeRefusedError(errno.EPERM, f"{path} is no cgroup: it leads out of {mount}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)

    @property
    def group(self) -> Group:
        """What names it for good."""
        return Group(str(self._path), os.fstat(self._folder).st_ino)

    def is_told_to_freeze(self) -> bool:
        """Return what its ``cgroup.freeze`` says."""
        return self._read("cgroup.freeze").strip() == "1"

    def is_frozen(self) -> bool:
        """Return whether all of it is frozen now."""
        return "frozen 1" in self._read("cgroup.events").splitlines()

    def freeze(self, on: bool) -> None:
        """Write its ``cgroup.freeze``."""
        file = self._open("cgroup.freeze", os.O_WRONLY)
        try:
            os.write(file, b"1" if on else b"0")
        finally:
            os.close(file)

    def _read(self, name: str) -> str:
        file = self._open(name, os.O_RDONLY)
        try:
            return os.read(file, 4096).decode("ascii")
        finally:
            os.close(file)

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._folder)


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Say of what the system refuses about a cgroup what it is about, and what to do.

    Raises
    ------
    FreezeError
        In place of an OSError of the block.
    """
    try:
        yield
    except FreezeError:
        raise
    except OSError as error:
        why = error.strerror
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = f"{why}: that takes root, or a cgroup that was delegated to this user (systemd: Delegate=yes)"
        elif error.errno in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR):
            why = f"there is no such cgroup (any more), or Linux is older than 5.2 ({why})"
        raise FreezeError(error.errno, f"{what}: {why}") from error


def thaw_group(proc: Path, group: Group) -> bool:
    """Let a cgroup go on. Returns False when it is not there any more.

    Raises
    ------
    FreezeError
        It cannot be done.
    """
    path = Path(group.path)
    mount = find_hierarchy(proc, path).mount
    with told(f"{path} could not be thawed"):
        try:
            with OpenGroup(path, mount) as there:
                if there.group != group:
                    return False
                if there.is_told_to_freeze():  # else nobody needs the right to write there
                    there.freeze(False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if error.errno == errno.ENODEV:  # it went in between
                return False
            raise
    return True


def _mounts(proc: Path) -> Iterator[_Mount]:
    for line in _lines_of(proc / "self" / "mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) >= 5 and kind[0]:
            yield _Mount(Path(_plain(fields[4])), PurePosixPath(_plain(fields[3])), kind[0])


def _lines_of(path: Path) -> list[str]:
    """Return the lines of a file of ``/proc``. A newline ends them, and nothing else that names have in them."""
    return os.fsdecode(path.read_bytes()).split("\n")


def _plain(text: str) -> str:
    """Return a path of ``mountinfo``, in which blanks and backslashes are octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
