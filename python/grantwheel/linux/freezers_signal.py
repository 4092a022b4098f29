"""Freezing apps by signals: SIGSTOP to all processes of an app, and SIGCONT to let them go on."""

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from grantwheel.linux.freezers_noting import NotingFreezer
from grantwheel.linux.freezers_process import (
    Process,
    Seen,
    is_at_rest,
    processes_of,
    protected,
    require_all_seen,
    require_harmless,
    see,
    send,
)
from grantwheel.linux.pidfd import PROC

_PASSES = 4  # of one call: mostly the second one finds nobody new, and all stopped


class SignalFreezer(NotingFreezer):
    """Stops the processes of apps: for machines without cgroups of version 2.

    An app is frozen when all its processes have stopped, those too that were born meanwhile: it looks again until it
    finds nobody new. Each is signalled through a descriptor of its own, so that no other process that has got its pid
    is hit. What others had stopped before stays stopped at the thaw. What is about to be stopped is noted and synced
    first; what a crash has left stopped is continued when the next freezer with these notes is made.

    A parent sees that its child has stopped, and a shell says so; whoever may signal a process can continue it.

    Parameters
    ----------
    notes : str or os.PathLike
        A folder for the notes, this user's alone; made if it is not there. Freezers may share it. ``/run`` is a good
        place, as no note outlives a reboot.
    processes : callable
        Returns the pids of the processes of an app, by its uid. Default: all whose real uid it is.
    proc : Path
        Where procfs is mounted.

    Raises
    ------
    FreezeError
        The folder of the notes is somebody else's, or open to others.
    OSError
        It cannot be written.
    """

    def __init__(
        self,
        notes: str | os.PathLike[str],
        *,
        processes: Callable[[int], Iterable[int]] | None = None,
        proc: Path = PROC,
    ) -> None:
        super().__init__(notes, proc)
        self._processes = processes

    def freeze(self, uid: int) -> bool:
        """Stop all processes of an app; see `Freezer.freeze`.

        Raises
        ------
        FreezeRefusedError
            One of them is this process, a parent of it, the leader of its session, pid 1 or the kernel's; or uid 0 is
            meant, or ``/proc`` hides processes. None of those that were found with it has been stopped.
        FreezeError
            One of them may not be signalled.
        OSError
            It could not be noted.
        """
        return any(self._pass(uid) for _ in range(_PASSES))

    def _pass(self, uid: int) -> bool:
        """Look once at all processes, and stop who does not rest. Returns whether all rested before this looked."""
        noted = {one for one in self._notes.of(uid) if isinstance(one, Process)}
        moving = [one for one in noted if not is_at_rest(self._proc, one)]
        new = [seen.process for seen in self._find(uid) if seen.process not in noted and not self._rests(seen)]
        if not new and not moving:
            return True
        self._notes.add(uid, new)
        for process in (*new, *moving):
            send(self._proc, process, signal.SIGSTOP)
        return False

    def _find(self, uid: int) -> list[Seen]:
        """Return the processes of an app that have not ended.

        Raises
        ------
        FreezeRefusedError
            There is one among them that must not be frozen.
        """
        if self._processes is None:
            pids: Iterable[int] = processes_of(self._proc, uid)
        else:
            require_all_seen(self._proc)
            pids = self._processes(uid)
        forbidden = protected(self._proc)
        found = [seen for pid in pids if (seen := see(self._proc, pid)) is not None and not seen.has_ended]
        for seen in found:
            require_harmless(seen, forbidden)
        return found

    def _rests(self, seen: Seen) -> bool:
        """Whether others have stopped it, so that it is theirs to continue it."""
        return seen.state == b"T" and is_at_rest(self._proc, seen.process)
