"""The ends of processes that hold something, told at once. A look would notice them too, but later."""

import contextlib

from grantwheel import Manager, processes
from grantwheel.linux.procfs import Process


class Deaths:
    """Watches processes for a manager.

    One that cannot be watched, because it has just ended, is another one by its start time, or the kernel has no means,
    is left to the next look. So is whether an app has stopped: not every process of an app is watched.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._watches: dict[int, processes.Watch] = {}

    def expect(self, process: Process) -> None:
        """Watch a process, if it is not watched already."""
        if process.pid in self._watches:
            return
        with contextlib.suppress(OSError):
            self._watches[process.pid] = processes.watch(
                self._manager, process.pid, start_ticks=process.start_ticks, stops_app=False
            )

    def forget(self, pid: int) -> None:
        """Do not watch a process any more: it is gone."""
        watch = self._watches.pop(pid, None)
        if watch is not None:
            watch.cancel()

    def close(self) -> None:
        """Watch nobody any more."""
        for pid in list(self._watches):
            self.forget(pid)
