"""Freezing apps by the freezer of their cgroups (version 2)."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from grantwheel.linux.freezers import FreezeError, FreezeRefusedError
from grantwheel.linux.freezers_group import OpenGroup, find_hierarchy, name_of, processes_in, told
from grantwheel.linux.freezers_notes import Group
from grantwheel.linux.freezers_noting import NotingFreezer
from grantwheel.linux.freezers_process import processes_of, protected
from grantwheel.linux.pidfd import PROC
from grantwheel.linux.procfs import read_uid


class CgroupFreezer(NotingFreezer):
    """Freezes the cgroups of apps, of version 2: whatever is in one, or comes into it, rests until it is thawed.

    No process notices it, and none can get out. An app is frozen when the kernel says so. What others have frozen stays
    frozen at the thaw. What is about to be frozen is noted and synced first; what a crash has left frozen is thawed
    when the next freezer with these notes is made.

    Parameters
    ----------
    notes : str or os.PathLike
        A folder for the notes, this user's alone; made if it is not there. Freezers may share it. ``/run`` is a good
        place, as no note outlives a reboot.
    cgroup : str or callable
        Which cgroup an app is: a path with ``{uid}`` in it, such as ``user.slice/user-{uid}.slice``, or a function that
        returns one, by the uid. It is below where cgroups are mounted. Default: the one that has all processes of this
        uid, and none of another.
    root : str or os.PathLike
        Where cgroups of version 2 are mounted, or a folder in there. Needed only where there are both versions.
    proc : Path
        Where procfs is mounted.

    Raises
    ------
    HierarchyError
        There are no cgroups of version 2, or those beside version 1 that ``root`` does not name: says what to do.
    FreezeError
        The folder of the notes is somebody else's, or open to others.
    OSError
        It cannot be written.
    """

    def __init__(
        self,
        notes: str | os.PathLike[str],
        *,
        cgroup: str | Callable[[int], str | os.PathLike[str]] | None = None,
        root: str | os.PathLike[str] | None = None,
        proc: Path = PROC,
    ) -> None:
        self._hierarchy = find_hierarchy(proc, None if root is None else Path(root))
        self._cgroup = cgroup
        super().__init__(notes, proc)

    def freeze(self, uid: int) -> bool:
        """Freeze the cgroup of an app; see `Freezer.freeze`.

        Raises
        ------
        FreezeRefusedError
            This process is in it, or a parent of it, the leader of its session or pid 1. Or it cannot be found from
            the processes: they are everywhere, or with those of others, or hidden.
        FreezeError
            There is no such cgroup, or it may not be frozen by this user.
        OSError
            It could not be noted.
        """
        path = self._find(uid) if self._cgroup is None else self._named(uid)
        if path is None:
            return True  # there is no process that could run
        with told(f"{path} could not be frozen"), OpenGroup(path, self._hierarchy.mount) as there:
            self._require_harmless(path)
            before = self._notes.of(uid)
            if before and there.group not in before:
                where = ", ".join(one.path for one in before if isinstance(one, Group))
                raise FreezeError(errno.ESTALE, f"app {uid} is in {path} now, and was frozen in {where}")
            if not there.is_told_to_freeze():
                self._notes.add(uid, [there.group])
                there.freeze(True)
            return there.is_frozen()

    def _named(self, uid: int) -> Path:
        """Return the cgroup that the host has named."""
        assert self._cgroup is not None
        given = self._cgroup.format(uid=uid) if isinstance(self._cgroup, str) else self._cgroup(uid)
        path = self._hierarchy.mount / given
        if ".." in path.parts or path == self._hierarchy.mount or not path.is_relative_to(self._hierarchy.mount):
            rule = f"it must be below {self._hierarchy.mount}"
            raise FreezeRefusedError(errno.EPERM, f"{os.fspath(given)!r} is no cgroup to be frozen: {rule}")
        return path

    def _find(self, uid: int) -> Path | None:
        """Return the cgroup that has all processes of a uid, and no other ones; None when it has no processes."""
        said = {name for pid in processes_of(self._proc, uid) if (name := name_of(self._proc, pid)) is not None}
        names = {name for name in said if not self._hierarchy.has_gone(name)}  # nothing runs in those
        if not names:
            return None
        common = os.path.commonpath(names)
        path = self._hierarchy.path_of(common)
        if path is None:
            raise FreezeRefusedError(errno.EPERM, f"uid {uid} is in {common}, which is not mounted here")
        if path == self._hierarchy.mount:
            where = "it has no cgroup of its own, as its processes have none below the root in common"
            raise FreezeRefusedError(errno.EPERM, f"uid {uid} cannot be frozen: {where}")
        with told(f"{path} could not be frozen"):
            for pid in processes_in(path):
                other = read_uid(self._proc, pid) if pid > 0 else "an outer pid namespace"
                if other not in (None, uid):
                    whose = f"process {pid} of uid {other}" if pid > 0 else f"a process of {other}"
                    why = f"it is in {path} together with {whose}"
                    raise FreezeRefusedError(errno.EPERM, f"uid {uid} cannot be frozen: {why}")
        return path

    def _require_harmless(self, path: Path) -> None:
        """Refuse a cgroup that has in it what is never frozen."""
        for pid, what in protected(self._proc).items():
            name = name_of(self._proc, pid)
            place = None if name is None else self._hierarchy.path_of(name)
            if place is not None and place.is_relative_to(path):
                raise FreezeRefusedError(errno.EPERM, f"{path} is not frozen: process {pid} is in it, {what}")
