"""The service on an event loop: connections, and turns, in which what has come on all is carried out and committed."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from grantwheel import BusinessError, Pipeline, aio
from grantwheel.manager import Manager
from grantwheel.tasks.tasks import Tasks, tasks_of

from .connection import Connection, answers_of
from .context import Calls, Session, Stream, Watcher
from .limits import Limits, Rates
from .peers import Peer
from .pushing import Pushes
from .streams import GrantEvents, TaskEvents
from .unread import Unread
from .wire import error
from .words import LimitError, limited, told

_log = logging.getLogger("grantwheel")
BACKLOG = 1024  # who may wait to be accepted
_ACCEPTED = 16  # at once, before others have their turn
# From 3.13 on asyncio takes the path of a socket away with its server: that is up to who has made the socket.
_KEEPS_PATH: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
_TURN_CALLS = 32_768  # of all connections that have something to ask; as many again fit into a pipeline
_TURN_BYTES = 1 << 20  # of answers to reads, about
_OWN_CALLS = 1024  # of one of them, at most
_TO_CONNECT = 4  # iterations of the loop, after which whoever has been accepted is connected
_READ_BYTES = 1 << 16  # that are taken from one of them at once


class Server:
    """Serves a manager on a Unix socket, on the running loop. For one loop.

    Parameters
    ----------
    manager : Manager
        Whose grants. It is run by the server, unless ``drives`` is False.
    identify : callable
        Given the socket of a connection, it says who the peer is: `peers.Peer`, or raises `peers.PeerRefused`. Nothing
        that a peer sends can change that.
    limits : Limits
        What one connection, one uid and all together may ask for.
    watcher : Watcher
        What notices the deaths of peers, and of those that a peer acts for. None: nothing does.
    reload : callable
        Reads the policy file again: raises OSError or ValueError when it stays as it was.
    drives : bool
        Whether what is due becomes events by itself.
    instance : str
        What tells its events from those of any other that was here before. Default: a new one, for a manager that has
        kept nothing.
    tasks : Tasks
        Those of the manager. Default: those that it has, else some that trust everyone whom its policy knows.
    clock : callable
        Seconds, for the limits that are of time.
    """

    def __init__(
        self,
        manager: Manager,
        *,
        identify: Callable[[socket.socket], Peer],
        limits: Limits | None = None,
        watcher: Watcher | None = None,
        reload: Callable[[], object] | None = None,
        drives: bool = True,
        instance: str | None = None,
        tasks: Tasks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manager = manager
        self.instance = os.urandom(16).hex() if instance is None else instance
        self.identify = identify
        self.limits = Limits() if limits is None else limits
        self.connections: set[Session] = set()
        self.accepted = self.answered = self.refused = self.turns = 0
        self.began = time.monotonic()
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.ended = asyncio.Event()
        self._watcher = watcher
        self._reload = reload
        self._runner = aio.running(manager) if drives else None
        self._clock = clock
        self.met: Counter[str] = Counter()  # how often each limit was met
        self._told = Rates(1)  # of these, how often one uid is logged
        self._rates = Rates(self.limits.calls_per_second) if self.limits.calls_per_second else None
        self._unread: Unread[Session] = Unread(self.limits.output_bytes_per_uid, self.limits.stall_ms / 1000)
        self._looking: asyncio.TimerHandle | None = None
        self._begun: Counter[int] = Counter()  # bytes of requests that are not whole yet, by uid
        self._by_uid: Counter[int] = Counter()
        self._ready: dict[Session, None] = {}
        self._is_scheduled = False
        self._pipe = manager.pipeline()
        self.tasks = (tasks_of(manager) or Tasks(manager)) if tasks is None else tasks
        self.task_instance = os.urandom(16).hex()
        self._task_stream = TaskEvents(self.tasks, self.task_instance)
        of_grants: Stream = GrantEvents(manager, self.instance)
        self.streams: dict[str, Stream] = {of_grants.name: of_grants, self._task_stream.name: self._task_stream}
        self._pushes = {name: Pushes(stream) for name, stream in self.streams.items()}
        self._servers: list[asyncio.Server] = []

    async def start(self, listener: socket.socket) -> None:
        """Serve those who connect to a socket that listens, or will.

        Raises
        ------
        RuntimeError
            The manager is running already.
        """
        loop = asyncio.get_running_loop()
        if self._runner is not None and not self._servers:
            await self._runner.__aenter__()
        # What asyncio calls the backlog is how many it accepts at once, too.
        server = await loop.create_unix_server(self._connection, sock=listener, backlog=_ACCEPTED, **_KEEPS_PATH)
        self._servers.append(server)
        listener.listen(BACKLOG)

    async def stop(self, patience_s: float = 5.0) -> None:
        """Take no more connections, answer what has come, wait until it is on record, and end all connections."""
        until = time.monotonic() + patience_s
        # A server of asyncio that is closed forgets, and does not close, whom it has accepted in this very moment.
        for listener in [one for server in self._servers for one in server.sockets]:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(_TO_CONNECT):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        while self.connections and time.monotonic() < until:
            for connection in list(self.connections):
                connection.end()
            await asyncio.sleep(0.005)
        for connection in list(self.connections):
            connection.abort()
        for pushes in self._pushes.values():
            pushes.close()
        self._task_stream.close()
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.sleep(0)
        if self._runner is not None and self._servers:
            await self._runner.__aexit__(None, None, None)
        self._servers.clear()

    def ask_to_end(self) -> None:
        """Let whoever waits for `ended` stop it."""
        self.ended.set()

    def reload(self) -> None:
        """Read the policy file again.

        Raises
        ------
        ValueError
            There is none, or it is not right.
        OSError
            It can't be read.
        """
        if self._reload is None:
            raise ValueError("there is no policy file")
        self._reload()

    def peer_gone(self, pid: int) -> None:
        """End the connections of a process that has ended: whoever has their descriptors is another one."""
        for connection in [one for one in self.connections if one.peer.pid == pid]:
            self.forget(connection)
            connection.abort()

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return len(self.connections)

    # For connections. ------------------------------------------------------------------------------------------------

    def _connection(self) -> Connection:
        self.accepted += 1
        return Connection(self, self.accepted)

    def accept(self, connection: Session, on: socket.socket) -> None:
        """Count a connection in, on a socket, and have its process watched from then on.

        Raises
        ------
        BusinessError
            9800001: there are too many, of its uid or of all.
        PeerRefused
            Its process has ended, or cannot be watched.
        """
        uid, limits = connection.peer.uid, self.limits
        if len(self.connections) >= limits.connections:
            raise self.over("connections", connection, f"there may be at most {limits.connections} connections")
        if self._by_uid[uid] >= limits.connections_per_uid:
            rule = f"uid {uid} may have at most {limits.connections_per_uid} connections"
            raise self.over("connections_per_uid", connection, rule)
        if self._watcher is not None:
            with self._counted():
                self._watcher.enter(on)
        self._by_uid[uid] += 1
        self.connections.add(connection)

    def forget(self, connection: Session) -> None:
        """Count a connection out."""
        if connection in self.connections:
            self.connections.discard(connection)
            uid = connection.peer.uid
            self._by_uid[uid] -= 1
            if not self._by_uid[uid]:
                del self._by_uid[uid]
            if self._watcher is not None:
                self._watcher.leave(uid, connection.peer.pid)
        self._unread.forget(connection)
        self._ready.pop(connection, None)
        for pushes in self._pushes.values():
            pushes.discard(connection)

    def watch(self, uid: int, pid: int) -> None:
        """Let the death of a process be noticed for which somebody acts."""
        if self._watcher is not None:
            with self._counted():
                self._watcher.watch(uid, pid)

    @property
    def forgotten(self) -> int:
        """How often one of these has ended, or is watched no more."""
        return 0 if self._watcher is None else self._watcher.forgotten

    # Limits. ---------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a limit that somebody else has found met."""
        try:
            yield
        except LimitError as problem:
            self.met[problem.limit] += 1
            raise

    def over(self, limit: str, connection: Session, rule: str) -> LimitError:
        """Count that a limit is met, and return its error."""
        met = limited(limit, rule)
        self._count(met, connection)
        return met

    def _count(self, met: LimitError, connection: Session) -> None:
        """Count that a limit is met. It is logged, not more than once a second for each uid."""
        self.met[met.limit] += 1
        uid = connection.peer.uid
        if self._told.take((met.limit, uid), self._clock()):
            _log.warning("uid %d, process %d: %s", uid, connection.peer.pid, met.rule)

    def check_rate(self, connection: Session) -> LimitError | None:
        """Count a call; the error of one too many."""
        limits = self.limits
        if connection.bucket is not None and not connection.bucket.take(self._clock()):
            rule = f"a connection may make at most {limits.connection_calls_per_second} calls a second"
            return self.over("connection_calls_per_second", connection, rule)
        uid = connection.peer.uid
        if self._rates is not None and not self._rates.take(uid, self._clock()):
            rule = f"uid {uid} may make at most {limits.calls_per_second} calls a second"
            return self.over("calls_per_second", connection, rule)
        return None

    def hold(self, connection: Session, size: int) -> LimitError | None:
        """Count bytes of a request that is not whole yet, or is now; the error of too many."""
        uid, most = connection.peer.uid, self.limits.request_bytes_per_uid
        self._begun[uid] += size
        if not self._begun[uid]:
            del self._begun[uid]
        if size <= 0 or self._begun[uid] <= most:
            return None
        rule = f"uid {uid} may have at most {most} bytes of requests that are not whole yet"
        return self.over("request_bytes_per_uid", connection, rule)

    def check_output(self, connection: Session, size: int) -> LimitError | None:
        """Look whether so much may wait to be read; the error of too much."""
        uid, most = connection.peer.uid, self.limits.output_bytes_per_uid
        if self._unread.has_room(uid, size):
            return None
        return self.over("output_bytes_per_uid", connection, f"uid {uid} may leave at most {most} bytes unread")

    def slow(self, connection: Session) -> None:
        """Hear that something waits to be read, or that nothing does any more."""
        if not connection.unread_bytes:
            self._unread.forget(connection)
            return
        self._unread.note(connection, connection.peer.uid, self._clock())
        if self._looking is None:
            self._look_later()

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(min(1.0, self.limits.stall_ms / 4000), self._look_again)

    def _look_again(self) -> None:
        self._looking = None
        self.end_stalled()
        if len(self._unread):
            self._look_later()

    def end_stalled(self) -> None:
        """End the connections that have read nothing for too long: there is no room to tell them why."""
        for connection, size in self._unread.stalled(self._clock()):
            rule = f"a connection has read nothing of {size} bytes for {self.limits.stall_ms} ms, and is closed"
            self.over("stall_ms", connection, rule)
            connection.abort()

    def follow(self, connection: Session, name: str) -> None:
        """Push the events of a stream to a connection."""
        self._pushes[name].add(connection)

    def wake(self, connection: Session) -> None:
        """Hear that it reads again what is pushed."""
        for pushes in self._pushes.values():
            pushes.wake(connection)

    def ready(self, connection: Session) -> None:
        """Let a connection have its part of the next turn."""
        self._ready[connection] = None
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Carry out what has come on all connections, commit it once, and answer.

        Each has its share of a turn, and one call at least, however much others ask for.
        """
        self._is_scheduled = False
        ready, self._ready = self._ready, {}
        if not ready:
            return
        self.turns += 1
        pipe = self._pipe
        tasks: Calls = []
        most = max(1, min(_OWN_CALLS, _TURN_CALLS // len(ready)))
        most_bytes = _TURN_BYTES // len(ready)
        gathered = []
        for connection in ready:
            queued, queued_tasks = len(pipe), len(tasks)
            if queued > _TURN_CALLS:
                self.ready(connection)
            elif connection.is_waiting:
                try:
                    parts = connection.gather(pipe, tasks, most, most_bytes)
                except Exception:  # noqa: BLE001 - a mistake of this program: the answers of others may not suffer from it
                    _log.exception("connection %d is closed", connection.number)
                    connection.abort()
                    parts = [None] * (len(pipe) - queued + len(tasks) - queued_tasks)
                if None in parts:
                    gathered.append((connection, parts, len(tasks) > queued_tasks))
                else:  # answers that are long may not wait for those of others
                    self._answer(connection, answers_of(parts, []))
        results = _executed(pipe) if len(pipe) else []
        done = self._done_together(tasks)
        at = at_tasks = 0
        for connection, parts, is_tasks in gathered:
            queued = parts.count(None)
            if is_tasks:
                rest = iter(done[at_tasks : at_tasks + queued])
                answers = [self._answer_to(connection, next(rest)) if part is None else part for part in parts]
                self._answer(connection, b"".join(answers))
                at_tasks += queued
            else:
                self._answer(connection, answers_of(parts, results[at : at + queued]))
                at += queued

    def _done_together(self, calls: Calls) -> list[Any]:
        """Make the changes of tasks of a turn; what comes in between is everybody's answer."""
        try:
            return self.tasks.together([partial(_answer_of, call) for call in calls])
        except Exception as problem:  # noqa: BLE001 - the log of the service says what it was
            return [problem] * len(calls)

    def _answer_to(self, connection: Session, result: Any) -> bytes:
        """Return the answer of a change of tasks; the others have theirs, whatever becomes of it."""
        try:
            if isinstance(result, LimitError):
                self._count(result, connection)
            return connection.answer_to(result)
        except Exception as problem:  # noqa: BLE001 - the log of the service says what it was
            return error(told(problem))

    def _answer(self, connection: Session, answers: bytes) -> None:
        connection.write(answers)
        if connection.is_waiting:
            self.ready(connection)


def _answer_of(call: Callable[[Tasks], Any], tasks: Tasks) -> Any:
    """Make a change of tasks: a mistake in one is no other's answer."""
    try:
        return call(tasks)
    except Exception as problem:  # noqa: BLE001 - the log of the service says what it was
        return problem


def _executed(pipe: Pipeline) -> list[int | Exception]:
    """Carry out what is queued; without memory for that, or for its answers, each is told so."""
    count = len(pipe)
    try:
        return pipe.execute()
    except (BusinessError, MemoryError) as problem:
        return [problem] * count
