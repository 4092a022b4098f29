"""A service as a process: its manager, its socket, its signals, and the states that it tells systemd."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from grantwheel import recovery
from grantwheel.manager import Manager
from grantwheel.tasks.tasks import Tasks

from . import places, policy_file, systemd
from .deaths import Deaths
from .limits import Limits
from .peers import Peer, from_kernel
from .policy_file import Registry
from .server import BACKLOG, Server
from .sockets import listening
from .words import limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger("grantwheel")
_OTHER_FILES: Final = 64  # of the journal, the loop and the interpreter
_MOST_FILES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a service is started with.

    Parameters
    ----------
    path : Path
        Where its socket is to be, unless systemd has given it one.
    state : Path or None
        The journal. None: in memory alone.
    durability : str
        When a change is answered: ``"commit"``, when it is on record, or ``"batch"``.
    policy : Path or None
        The policy file. None: root and its own uid may hold everything, others nothing.
    mode : int
        The permissions of the socket.
    group : int or None
        The gid that the socket belongs to.
    limits : Limits
        What one connection, one uid and all together may ask for.
    """

    path: Path
    state: Path | None = None
    durability: Literal["commit", "batch"] = "commit"
    policy: Path | None = None
    mode: int = 0o666
    group: int | None = None
    limits: Limits = field(default_factory=Limits)


def serve(setting: Setting, *, on_progress: "Callable[[int, int], object] | None" = None) -> None:
    """Serve until a signal or an administrator ends it: SIGTERM, SIGINT or SHUTDOWN; SIGHUP reads the policy again.

    Parameters
    ----------
    setting : Setting
        What it is started with.
    on_progress : callable
        Told how far the opening of the journal has got, as of `grantwheel.open`.

    Raises
    ------
    SocketRefusedError, places.PlaceRefusedError
        It, its state or its policy cannot be where they should.
    policy_file.PolicyFileError
        The policy file is not right.
    OSError, ValueError, BusinessError
        What it needs cannot be had: as of `grantwheel.open`.
    """
    files = _raise_file_limit(setting.limits)
    registry = policy_file.default() if setting.policy is None else _read_policy(setting.policy)
    with (
        _listeners(setting) as listeners,
        contextlib.closing(_manager(setting, registry, on_progress)) as manager,
        asyncio.Runner(loop_factory=_fast_loop()) as runner,
    ):
        tasks = Tasks(manager, policy=registry.tasks)
        runner.run(_Service(setting, manager, tasks, registry, files).run(listeners))


def _fast_loop() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """Return what makes a loop of uvloop, where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _read_policy(path: Path) -> Registry:
    places.check(path, "the policy file")  # whoever may write to it may do anything
    return policy_file.read(path)


def _manager(setting: Setting, registry: Registry, on_progress: "Callable[[int, int], object] | None") -> Manager:
    if setting.state is None:
        return Manager(policy=registry.policy)
    places.check(setting.state.parent, "the folder of the state")
    return recovery.open(
        setting.state,
        durability=setting.durability,
        owners="processes",
        policy=registry.policy,
        on_progress=on_progress,
    )


@contextlib.contextmanager
def _listeners(setting: Setting) -> "Iterator[list[socket.socket]]":
    given = systemd.listeners()
    if given:
        try:
            yield given
        finally:
            for one in given:
                one.close()
    else:
        with listening(setting.path, mode=setting.mode, group=setting.group) as listener:
            yield [listener]


class _Service:
    """One service, while it runs."""

    def __init__(self, setting: Setting, manager: Manager, tasks: Tasks, registry: Registry, files: int) -> None:
        self._setting = setting
        self._manager = manager
        self._tasks = tasks
        self._registry = registry
        self._files = files

    async def run(self, listeners: list[socket.socket]) -> None:
        """Serve until it is to end."""
        loop = asyncio.get_running_loop()
        self._deaths = Deaths(self._manager, self._gone, limits=self._setting.limits, tasks=self._tasks)
        server = self._server = Server(
            self._manager,
            identify=self._identify,
            limits=self._setting.limits,
            watcher=self._deaths,
            reload=self._reload,
            tasks=self._tasks,
            instance=self._manager.recovery.instance if isinstance(self._manager, recovery.DurableManager) else None,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        try:
            self._deaths.watch_holders()
            for listener in listeners:
                await server.start(listener)
            _log.info("serving at %s", ", ".join(str(one.getsockname()) for one in listeners))
            systemd.notify("READY=1")
            await server.ended.wait()
            systemd.notify("STOPPING=1")
            await server.stop()
        finally:
            self._deaths.close()

    def _identify(self, connection: socket.socket) -> Peer:
        if connection.fileno() >= self._files - _OTHER_FILES // 2:  # the lowest number that is free: so many are in use
            self._server.met["connections"] += 1
            raise limited("connections", f"RLIMIT_NOFILE lets the service have {self._files} files, which are in use")
        return from_kernel(connection, self._registry)

    def _gone(self, pid: int) -> None:
        self._server.peer_gone(pid)

    def _end(self, number: int) -> None:
        _log.info("ending by %s", signal.Signals(number).name)
        self._server.ask_to_end()

    def _hang_up(self) -> None:
        try:
            self._reload()
        except (OSError, ValueError) as error:
            _log.error("the policy stays as it was: %s", error)

    def _reload(self) -> None:
        """Read the policy file again, and let it count for all; one that is not right changes nothing."""
        if self._setting.policy is None:
            raise ValueError("there is no policy file")
        registry = _read_policy(self._setting.policy)
        self._manager.set_policy(registry.policy)
        self._tasks.set_policy(registry.tasks)
        self._registry = registry
        for connection in self._server.connections:
            connection.peer = registry.peer(connection.peer.uid, connection.peer.pid)
        _log.info("the policy has been read again")


def _raise_file_limit(limits: Limits) -> int:
    """Have as many files as may be, and return how many these are.

    Each connection takes one, and each process that is watched: of those there may be fewer, which is logged.

    Raises
    ------
    ValueError
        They are too few for the connections alone.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = _MOST_FILES
    connections = limits.connections
    if hard < connections + _OTHER_FILES:
        raise ValueError(
            f"RLIMIT_NOFILE lets this process have {hard} files: too few for {connections} connections and "
            f"{_OTHER_FILES} of its own. Give it more (LimitNOFILE= of systemd, ulimit -n), or set --connections to at "
            f"most {max(hard - _OTHER_FILES, 0)}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = connections + limits.watched + BACKLOG + _OTHER_FILES
    if hard < needed:
        _log.warning(
            "RLIMIT_NOFILE is %d: too few for %d connections and %d processes that are watched, which need %d",
            *(hard, connections, limits.watched, needed),
        )
    return hard
