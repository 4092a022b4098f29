"""The deaths of processes, told to a manager: those of peers, of whom they act for, and of the holders of a restart."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grantwheel.linux import pidfd
from grantwheel.linux.running import Look, look_at_processes
from grantwheel.types import OwnerKind

from .peers import PeerRefused, Process

if TYPE_CHECKING:
    from grantwheel.manager import Manager

_log = logging.getLogger("grantwheel")
_PROC: Final = Path("/proc")
_PAUSE_S: Final = 1.0  # after a manager that takes no changes now
_PAGE: Final = 1024


class NotWatchedError(PeerRefused, ValueError):
    """A process that cannot be watched: refused as a peer, and wrong as somebody to act for."""


class EndedError(NotWatchedError):
    """A process that is not there, or not any more."""


class Deaths:
    """Watches processes on the running loop, each once, and tells a manager when they end.

    When the last watched process of a uid ends while others of it run, one of them is watched in its place: the app has
    stopped when none runs any more, whether or not it has ever connected.

    Parameters
    ----------
    manager : Manager
        Who is told.
    gone : callable
        Called with the pid of a process that has ended, before the manager is told.
    look : callable
        Looks at the processes that run.
    """

    def __init__(
        self,
        manager: "Manager",
        gone: Callable[[int], object],
        *,
        look: Callable[[], Look] = lambda: look_at_processes(_PROC),
    ) -> None:
        self._manager = manager
        self._gone = gone
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._processes: dict[int, Process] = {}
        self._uids: dict[int, set[int]] = {}  # under which uids a pid is known
        self._pids: dict[int, set[int]] = {}  # the same by uid
        self._ended: deque[tuple[int, int]] = deque()
        self._emptied: set[int] = set()
        self._is_scheduled = False
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._processes)

    def __contains__(self, pid: object) -> bool:
        return pid in self._processes

    def close(self) -> None:
        """Watch no more."""
        self._is_closed = True
        for process in self._processes.values():
            self._loop.remove_reader(process.descriptor)
            process.close()
        self._processes.clear()
        self._uids.clear()
        self._pids.clear()

    def take(self, process: Process) -> None:
        """Watch a process by a descriptor that is there already, and from now on is this object's."""
        known = self._processes.get(process.pid)
        if known is not None and not pidfd.has_ended(known.descriptor):
            process.close()
        else:
            if known is not None:  # its pid has become another's before the loop has seen its end
                self._end(known)
            self._add(process)
        self._name(process.uid, process.pid)

    def watch(self, uid: int, pid: int) -> None:
        """Watch the process that has a pid now.

        Raises
        ------
        EndedError
            There is no such process.
        NotWatchedError
            It cannot be watched.
        """
        known = self._processes.get(pid)
        if known is None:
            self._add(Process(uid, pid, _open(pid)))
        elif pidfd.has_ended(known.descriptor):
            raise EndedError(f"there is no process {pid} any more")
        self._name(uid, pid)

    def watch_holders(self) -> None:
        """Watch those who hold something already, after a restart; whoever has ended meanwhile counts as ended now."""
        after = None
        while page := self._manager.records(after, _PAGE):
            after = page[-1]
            for record in page:
                if record.kind is OwnerKind.APP:
                    if record.uid not in self._pids:
                        self._emptied.add(record.uid)
                    continue
                try:
                    self.watch(record.uid, record.pid)
                except EndedError:
                    self._ended.append((record.uid, record.pid))
                except NotWatchedError as problem:
                    _log.warning("the end of a holder will not be noticed: %s", problem)
        self._schedule()

    def _add(self, process: Process) -> None:
        self._processes[process.pid] = process
        self._loop.add_reader(process.descriptor, self._end, process)

    def _name(self, uid: int, pid: int) -> None:
        self._uids.setdefault(pid, set()).add(uid)
        self._pids.setdefault(uid, set()).add(pid)
        self._emptied.discard(uid)

    def _end(self, process: Process) -> None:
        """Hear that a process has ended."""
        pid = process.pid
        self._loop.remove_reader(process.descriptor)
        process.close()
        del self._processes[pid]
        for uid in self._uids.pop(pid):
            self._ended.append((uid, pid))
            pids = self._pids[uid]
            pids.discard(pid)
            if not pids:
                del self._pids[uid]
                self._emptied.add(uid)
        self._gone(pid)
        self._schedule()

    def _schedule(self, delay_s: float = 0.0) -> None:
        if not self._is_scheduled and not self._is_closed and (self._ended or self._emptied):
            self._is_scheduled = True
            self._loop.call_later(delay_s, self._tell)

    def _tell(self) -> None:
        """Tell the manager what has ended, one at a time; when it takes no changes, again after a pause."""
        self._is_scheduled = False
        if self._is_closed:
            return
        try:
            if self._ended:  # one at a time, as each may take a commit, and others wait for the loop
                uid, pid = self._ended[0]
                if self._is_news(uid, pid):
                    self._manager.process_died(uid, pid)
                self._ended.popleft()
            if not self._ended:
                self._stop()
        except Exception:  # noqa: BLE001 - whatever it is, the deaths are told again
            _log.exception("deaths could not be told; they are told again in a second")
            self._schedule(_PAUSE_S)
            return
        self._schedule()

    def _is_news(self, uid: int, pid: int) -> bool:
        """Whether the record is still that of the one who has ended, and not of one who has got its pid since."""
        return uid not in self._uids.get(pid, ())

    def _stop(self) -> None:
        """Stop the apps of which nothing runs any more; of the others, watch who does."""
        if not self._emptied:
            return
        look = self._look()
        oldest: dict[int, tuple[int, int]] = {}
        for pid, running in look.processes.items():
            for uid in running.uids:
                if uid in self._emptied:
                    oldest[uid] = min(oldest.get(uid, (running.start_ms, pid)), (running.start_ms, pid))
        for uid in list(self._emptied):
            if uid in oldest:
                try:
                    self.watch(uid, oldest[uid][1])
                except EndedError:
                    continue  # it has ended since: the next look tells
                except NotWatchedError as problem:
                    _log.warning("the end of the app of uid %d will not be noticed: %s", uid, problem)
            elif look.hides:
                _log.warning(
                    "the app of uid %d may have stopped: /proc hides processes, so it keeps what it holds", uid
                )
            else:
                self._manager.app_stopped(uid)
            self._emptied.discard(uid)


def _open(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (ProcessLookupError, OverflowError):
        raise EndedError(f"there is no process {pid}") from None
    except OSError as error:
        raise NotWatchedError(f"process {pid} cannot be watched: {error.strerror}") from None
