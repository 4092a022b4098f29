"""The deaths of processes, told to a manager: those of peers, of whom they act for, and of the holders of a restart."""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grantwheel import BusinessError
from grantwheel.linux import pidfd
from grantwheel.linux.running import Look, look_at_processes
from grantwheel.tasks.callers import MAX_UID
from grantwheel.types import OwnerKind

from .limits import Limits
from .peers import PeerRefused, Process, open_peer
from .words import limited

if TYPE_CHECKING:
    from grantwheel.manager import Manager
    from grantwheel.tasks.tasks import Tasks

_log = logging.getLogger("grantwheel")
_PROC: Final = Path("/proc")
_PAUSE_S: Final = 1.0  # after a manager that takes no changes now
_TIDY_S: Final = 60.0
_LOOK_SHARE: Final = 9  # so many times as long as a look has taken there is none: whoever makes processes makes it long
_PAGE: Final = 1024


class NotWatchedError(PeerRefused, ValueError):
    """A process that cannot be watched: refused as a peer, and wrong as somebody to act for."""


class EndedError(NotWatchedError):
    """A process that is not there, or not any more."""


class Deaths:
    """Watches processes on the running loop, each once, and tells a manager when they end.

    A process is watched while it has a connection, while its record holds something, and, if no other one of its uid
    is, while the app of its uid does. When that one ends while others of the uid run, one of them is watched in its
    place: the app has stopped when none runs any more, whether or not it has ever connected. Whoever is of no use any
    more is let go when its last connection ends, else when room is needed, and once a minute.

    Parameters
    ----------
    manager : Manager
        Who is told.
    tasks : Tasks
        Its tasks, which make holders too. None: it has none.
    gone : callable
        Called with the pid of a process that has ended and was connected, before the manager is told.
    limits : Limits
        How many processes are watched at once.
    look : callable
        Looks at the processes that run.
    """

    def __init__(
        self,
        manager: "Manager",
        gone: Callable[[int], object],
        *,
        limits: Limits | None = None,
        tasks: "Tasks | None" = None,
        look: Callable[[], Look] = lambda: look_at_processes(_PROC),
    ) -> None:
        self.forgotten = 0  # how often somebody who was acted for has ended, or is watched no more
        self._manager = manager
        self._gone = gone
        self._tasks = tasks
        self._limits = Limits() if limits is None else limits
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._processes: dict[int, Process] = {}
        self._uids: dict[int, set[int]] = {}  # under which uids a pid is known
        self._pids: dict[int, set[int]] = {}  # the same by uid
        self._connections: Counter[tuple[int, int]] = Counter()  # by uid and pid
        self._acted_for: set[tuple[int, int]] = set()
        self._new: set[tuple[int, int]] = set()  # of these: of whom the turn that is on may be about to make holders
        self._ended: dict[int, set[int]] = {}  # the pids of the deaths that are to be told, each with its uids
        self._emptied: set[int] = set()
        self._crowded: set[int] = set()  # uids for which there was no room
        self._tidied: dict[int | None, tuple[int, int]] = {}  # after which events room was made
        self._telling: asyncio.TimerHandle | None = None
        self._tell_at = self._look_at = 0.0  # not before these instants of the loop
        self._is_closed = False
        self._tidying = self._loop.call_later(_TIDY_S, self._tidy)

    def __len__(self) -> int:
        return len(self._processes)

    def __contains__(self, pid: object) -> bool:
        return pid in self._processes

    def close(self) -> None:
        """Watch no more."""
        self._is_closed = True
        self._tidying.cancel()
        for process in self._processes.values():
            self._loop.remove_reader(process.descriptor)
            process.close()
        for known in (self._processes, self._uids, self._pids, self._connections):
            known.clear()

    def enter(self, connection: socket.socket) -> None:
        """Watch the process that has connected, until `leave` has been called as often for it.

        Raises
        ------
        PeerRefused
            It cannot be known, or has ended.
        BusinessError
            9800001: there are too many, of its uid or of all. 9800003, 9800004: the end of the last one with its pid
            cannot be told to the manager.
        """
        self.take(open_peer(connection))

    def take(self, process: Process) -> None:
        """Do the same for a process by a descriptor that is there already, and from now on is this object's."""
        uid, pid = process.uid, process.pid
        try:
            known = self._processes.get(pid)
            if known is not None and pidfd.has_ended(known.descriptor):
                self._end(known)  # its pid has become another's before the loop has seen its end
            self._tell_of(pid)
            if self._has_no_room(uid, pid):
                self._make_room(uid)
            if refusal := self._has_no_room(uid, pid):
                raise refusal
        except BaseException:
            process.close()
            raise
        if pid in self._processes:
            process.close()
        else:
            self._add(process)
        self._name(uid, pid)
        self._connections[uid, pid] += 1

    def leave(self, uid: int, pid: int) -> None:
        """Hear that a connection of a process has ended."""
        name = (uid, pid)
        if name not in self._connections:  # it has ended itself
            return
        self._connections[name] -= 1
        if not self._connections[name]:
            del self._connections[name]
            self._let_go(uid, pid)

    def watch(self, uid: int, pid: int) -> None:
        """Watch the process that has a pid now, for which somebody acts; after the turn, if it holds something.

        Raises
        ------
        EndedError
            There is no such process.
        NotWatchedError
            It cannot be watched.
        BusinessError
            As of `enter`.
        """
        if not 0 <= uid <= MAX_UID:
            return  # nobody is of it: the call that this is for is refused
        self._tell_of(pid)
        if not self._new and not self._crowded:
            self._loop.call_soon(self._settle)
        if refusal := self._has_no_room(uid, pid):
            self._crowded.add(uid)  # after this turn there may be room: who is about to be a holder does not show yet
            raise refusal
        self._new.add((uid, pid))
        self._open(uid, pid)
        self._acted_for.add((uid, pid))

    def watch_holders(self) -> None:
        """Watch those who hold something already, after a restart; whoever has ended meanwhile counts as ended now."""
        for uid, pid in self._holders():
            if pid is None:
                if uid not in self._pids:
                    self._emptied.add(uid)
                continue
            try:
                self._open(uid, pid)
            except EndedError:
                self._ended.setdefault(pid, set()).add(uid)
            except NotWatchedError as problem:
                _log.warning("the end of a holder will not be noticed: %s", problem)
        self._schedule()

    def _holders(self) -> Iterator[tuple[int, int | None]]:
        """Iterate over the processes that hold something, and the uids of apps that do."""
        after = None
        while page := self._manager.records(after, _PAGE):
            after = page[-1]
            for record in page:
                yield record.uid, None if record.kind is OwnerKind.APP else record.pid
        if self._tasks is not None:
            yield from self._tasks.processes()
            for uid in self._tasks.apps():
                yield uid, None

    def tidy(self, uid: int | None = None) -> None:
        """Let go of those of a uid, or of all, who are of no use any more."""
        for one in list(self._pids) if uid is None else [uid]:
            for pid in list(self._pids.get(one, ())):
                self._let_go(one, pid)

    def _tidy(self) -> None:
        self._tidying = self._loop.call_later(_TIDY_S, self._tidy)
        self.tidy()

    def _settle(self) -> None:
        """Let go of those whom a turn has not made holders."""
        new, self._new = self._new, set()
        crowded, self._crowded = self._crowded, set()
        for uid, pid in new:
            self._let_go(uid, pid)
            if uid not in self._pids:  # it has ended itself, and what the turn has done may be its app's
                self._emptied.add(uid)
        self._schedule()
        for uid in crowded:
            self._make_room(uid)

    def _make_room(self, uid: int) -> None:
        """Let go of whom there is to let go, if anything has ended since that was done: there is an event of it."""
        last = self._manager.last_sequence, 0 if self._tasks is None else self._tasks.last_sequence
        for crowded in (uid, None):
            if crowded is None and len(self._processes) < self._limits.watched:
                return
            if self._tidied.get(crowded) != last:
                self._tidied[crowded] = last
                self.tidy(crowded)

    def _has_no_room(self, uid: int, pid: int) -> BusinessError | None:
        """Return the error of one process too many."""
        limits, of_uid = self._limits, self._pids.get(uid, ())
        if pid not in of_uid and len(of_uid) >= limits.watched_per_uid:
            rule = f"uid {uid} may have at most {limits.watched_per_uid} processes that are connected or hold something"
            return limited("watched_per_uid", rule)
        if pid not in self._processes and len(self._processes) >= limits.watched:
            rule = f"there may be at most {limits.watched} processes that are connected or hold something"
            return limited("watched", rule)
        return None

    def _open(self, uid: int, pid: int) -> None:
        known = self._processes.get(pid)
        if known is None:
            self._add(Process(uid, pid, _open(pid)))
        elif pidfd.has_ended(known.descriptor):
            raise EndedError(f"there is no process {pid} any more")
        self._name(uid, pid)

    def _add(self, process: Process) -> None:
        self._processes[process.pid] = process
        self._loop.add_reader(process.descriptor, self._end, process)

    def _name(self, uid: int, pid: int) -> None:
        self._uids.setdefault(pid, set()).add(uid)
        self._pids.setdefault(uid, set()).add(pid)
        self._emptied.discard(uid)

    def _let_go(self, uid: int, pid: int) -> None:
        """Watch a process no more under a uid, if it is of no use there."""
        name = (uid, pid)
        of_uid = self._pids.get(uid, ())
        if pid not in of_uid or name in self._connections or name in self._new:
            return
        if self._holds(uid, pid) or (len(of_uid) == 1 and self._app_holds(uid)):
            return
        self._unname(uid, pid)
        self._uids[pid].discard(uid)
        if not self._uids[pid]:
            self._remove(self._processes[pid])

    def _app_holds(self, uid: int) -> bool:
        return bool(self._manager.app_mask(uid)) or (self._tasks is not None and bool(self._tasks.apps(uid)))

    def _has_tasks(self, uid: int, pid: int) -> bool:
        return self._tasks is not None and (uid, pid) in self._tasks.processes(uid)

    def _holds(self, uid: int, pid: int) -> bool:
        if self._has_tasks(uid, pid):
            return True
        if not self._manager.process_mask(pid):
            return False
        record = None if len(self._uids[pid]) == 1 else self._manager.find_process(pid)
        return record is None or record.uid == uid

    def _unname(self, uid: int, pid: int) -> None:
        """Forget a process as one of a uid."""
        self._connections.pop((uid, pid), None)
        if (uid, pid) in self._acted_for:
            self._acted_for.discard((uid, pid))
            self.forgotten += 1
        self._pids[uid].discard(pid)
        if not self._pids[uid]:
            del self._pids[uid]
            self._tidied.pop(uid, None)

    def _remove(self, process: Process) -> None:
        self._loop.remove_reader(process.descriptor)
        process.close()
        del self._processes[process.pid]
        del self._uids[process.pid]

    def _end(self, process: Process) -> None:
        """Hear that a process has ended."""
        pid, uids = process.pid, self._uids[process.pid]
        was_connected = any((uid, pid) in self._connections for uid in uids)
        self._remove(process)
        self._ended.setdefault(pid, set()).update(uids)
        for uid in uids:
            self._unname(uid, pid)
            if uid not in self._pids:
                self._emptied.add(uid)
        if was_connected:
            self._gone(pid)
        self._schedule()

    def _schedule(self) -> None:
        if self._is_closed or not (self._ended or self._emptied):
            return
        at = self._tell_at if self._ended else max(self._tell_at, self._look_at)
        if self._telling is not None:
            if self._telling.when() <= at:
                return
            self._telling.cancel()
        self._telling = self._loop.call_at(at, self._tell)

    def _tell(self) -> None:
        """Tell the manager what has ended, one at a time; when it takes no changes, again after a pause."""
        self._telling = None
        if self._is_closed:
            return
        try:
            if self._ended:  # one at a time, as each may take a commit, and others wait for the loop
                self._tell_of(next(iter(self._ended)))
            if not self._ended and self._loop.time() >= self._look_at:
                self._stop()
        except Exception:  # noqa: BLE001 - whatever it is, the deaths are told again
            _log.exception("deaths could not be told; they are told again in a second")
            self._tell_at = self._loop.time() + _PAUSE_S
        self._schedule()

    def _tell_of(self, pid: int) -> None:
        """Tell the manager of the process that had a pid, before anybody else who has it now holds something."""
        if pid not in self._ended:
            return
        for uid in self._ended[pid]:
            if self._manager.process_mask(pid) or self._has_tasks(uid, pid):
                self._manager.process_died(uid, pid)
        del self._ended[pid]

    def _stop(self) -> None:
        """Stop the apps of which nothing runs any more; of the others, watch who does."""
        self._emptied = {uid for uid in self._emptied if self._app_holds(uid)}
        if not self._emptied:
            return
        began = self._loop.time()
        look = self._look()
        looked = self._loop.time()
        self._look_at = looked + _LOOK_SHARE * (looked - began)
        oldest: dict[int, tuple[int, int]] = {}
        for pid, running in look.processes.items():
            for uid in running.uids:
                if uid in self._emptied:
                    oldest[uid] = min(oldest.get(uid, (running.start_ms, pid)), (running.start_ms, pid))
        for uid in list(self._emptied):
            if uid in oldest:
                try:
                    self._open(uid, oldest[uid][1])
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
