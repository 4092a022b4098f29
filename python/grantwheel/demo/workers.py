"""The workers of the demonstration: processes that count, and the freezer that suits them."""

import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from grantwheel.linux.freezers_group import find_hierarchy, name_of
from grantwheel.linux.pidfd import PROC
from grantwheel.suspend import CgroupFreezer, Freezer, HierarchyError, SignalFreezer

_HAND = Path(__file__).with_name("hand.py")
# Where version 2 is mounted beside version 1. The workers are in version 2, as the demonstration puts them there.
_BESIDE = Path("/sys/fs/cgroup/unified")
_UID = 1001  # of the first app. It is a number for the manager: all processes are those of this user


class WorkersError(Exception):
    """The workers cannot be started; says why."""


class Worker(NamedTuple):
    """An app of one process. ``counted`` reads what that has counted so far."""

    name: str
    uid: int
    pid: int
    counted: Callable[[], int]


def place_for_groups() -> Path | str:
    """Return where cgroups can be made: below this process's own of version 2. Or say why not."""
    why = ""
    for root in (None, _BESIDE):
        try:
            hierarchy = find_hierarchy(PROC, root)
        except HierarchyError as error:
            why = why or str(error.strerror)
            continue
        name = name_of(PROC, os.getpid())
        place = None if name is None else hierarchy.path_of(name)
        return "the cgroup of this process is not mounted here" if place is None else place
    return why


class Workers:
    """The workers, while they run: a context manager. They end with it, and with this process, whatever ends that.

    Parameters
    ----------
    names : sequence of str
        The names of the apps, a worker for each.
    place : Path or str
        Where cgroups can be made, or why there are none: then it is signals that freeze.

    Raises
    ------
    WorkersError
        They cannot be started.
    """

    def __init__(self, names: Sequence[str], place: Path | str) -> None:
        descriptor = os.memfd_create(_HAND.stem)
        try:
            os.ftruncate(descriptor, 8 * len(names))
            counters = memoryview(mmap.mmap(descriptor, 8 * len(names))).cast("Q")
            folder = str(place) if isinstance(place, Path) else ""
            # In a session of its own, so that Ctrl-C is for this process alone, and no shell sees anybody stop.
            self._hand = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_HAND), str(descriptor), folder, *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(descriptor,),
                start_new_session=True,
            )
        except OSError as error:
            raise WorkersError(str(error)) from error
        finally:
            os.close(descriptor)
        assert self._hand.stdout is not None
        line = self._hand.stdout.readline()
        if not line:
            raise WorkersError(self._end())
        said = json.loads(line)
        self._notes, self._groups = said["notes"], said["groups"]
        self._why = place if isinstance(place, str) else said["why"]
        self.all = [
            Worker(name, _UID + at, pid, partial(counters.__getitem__, at))
            for at, (name, pid) in enumerate(zip(names, said["pids"], strict=True))
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def hand(self) -> int:
        """The pid of their parent, which ends them."""
        return self._hand.pid

    def freezer(self) -> tuple[Freezer, str]:
        """Return a freezer for them, and what to say of it."""
        if self._groups:
            folder = Path(self._groups)
            names = {worker.uid: worker.name for worker in self.all}
            return (
                CgroupFreezer(self._notes, cgroup=lambda uid: folder / names[uid], root=folder),
                f"Each is frozen by a cgroup of its own, in {folder}.",
            )
        pids = {worker.uid: worker.pid for worker in self.all}
        return (
            SignalFreezer(self._notes, processes=lambda uid: [pids[uid]]),
            f"They are frozen by signals (SIGSTOP), as no cgroup can be made for that: {self._why}.",
        )

    def _end(self) -> str:
        """End them, wait until nothing of them is left, and return what went wrong."""
        _, errors = self._hand.communicate()
        lines = errors.decode(errors="replace").splitlines()
        return lines[-1] if lines else f"they ended with {self._hand.returncode}"
