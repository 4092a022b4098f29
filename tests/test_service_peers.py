"""Peers as the kernel knows them, their deaths, limits, and what systemd gives."""

import asyncio
import errno
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from grantwheel import Caller, Manager, Policy, ResourceType
from grantwheel.linux.running import Look, Running
from grantwheel.service import peers, policy_file, systemd
from grantwheel.service.deaths import Deaths, EndedError
from grantwheel.service.limits import Limits, Rates
from grantwheel.service.peers import Peer, PeerRefused, Process

WAIT_S = 20
REGISTRY = policy_file.default()
HELD = ResourceType.CPU


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Said:
    """A connection of which the kernel says what a test wants it to."""

    def __init__(self, pid: int, uid: int, pidfd: OSError | None = None) -> None:
        self.credentials = struct.pack("3i", pid, uid, 0)
        self.pidfd = failure(errno.ENOPROTOOPT) if pidfd is None else pidfd

    def getsockopt(self, _level: int, option: int, _size: int) -> bytes:
        if option == socket.SO_PEERCRED:
            return self.credentials
        raise self.pidfd


def refused(connection: Any) -> str:
    with pytest.raises(PeerRefused) as refusal:
        peers.from_kernel(connection, REGISTRY)
    return str(refusal.value)


def test_a_peer_is_who_has_connected(pair: tuple[socket.socket, socket.socket]) -> None:
    own = os.geteuid()
    expected = Peer(uid=own, pid=os.getpid(), may_act_for=True, is_admin=True)
    assert peers.from_kernel(pair[0], REGISTRY) == expected
    with_older_kernel: Any = Said(os.getpid(), own)
    assert peers.from_kernel(with_older_kernel, REGISTRY) == expected


def test_no_descriptor_is_left(pair: tuple[socket.socket, socket.socket]) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as many names as there are
    for _ in range(10):
        peers.from_kernel(pair[0], REGISTRY)
        refused(Said(os.getpid(), os.geteuid() + 1))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_who_cannot_be_known_is_refused_by_name() -> None:
    own = os.geteuid()
    assert "another pid namespace" in refused(Said(0, own))
    assert "nobody" in refused(Said(os.getpid(), peers.overflow_uid()))
    assert "nobody" in refused(Said(os.getpid(), -1))
    assert "is not seen to be of uid" in refused(Said(os.getpid(), own + 1))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert "has ended" in refused(Said(ended.pid, own))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EINVAL, "has ended"),
        (errno.ESRCH, "has ended"),
        (errno.EMFILE, "cannot be watched: Too many open files"),
        (errno.ENODATA, "cannot be watched: No data available"),
    ],
)
def test_a_peer_that_the_kernel_does_not_give_is_not_looked_up_by_its_pid(number: int, said: str) -> None:
    # The pid is that of a living process of that uid: it would be taken for the peer.
    connection = Said(os.getpid(), os.geteuid(), failure(number))
    assert f"process {os.getpid()} {said}" in refused(connection)


def test_an_inherited_connection_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.detach()"
        with subprocess.Popen([sys.executable, "-c", code, path]) as child:
            connection, _ = listener.accept()
        with connection:
            assert child.returncode == 0
            assert "has ended" in refused(connection)


# Deaths. ----------------------------------------------------------------------------------------------------------


def on_loop(what: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(what(), WAIT_S)

    asyncio.run(bounded())


class Watched:
    """Deaths with a look that a test makes, and with what they have told."""

    def __init__(self) -> None:
        self.manager = Manager()
        self.gone: asyncio.Queue[int] = asyncio.Queue()
        self.running: dict[int, Running] = {}
        self.hides = False
        self.looked = asyncio.Event()
        self.deaths = Deaths(self.manager, self.gone.put_nowait, look=self._look)

    def _look(self) -> Look:
        self.looked.set()
        return Look(dict(self.running), self.hides)

    async def look(self) -> None:
        await self.looked.wait()
        self.looked.clear()
        await asyncio.sleep(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.deaths.close()
        self.manager.close()


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()


def test_a_death_ends_what_the_process_holds_and_the_app_with_its_last() -> None:
    async def run() -> None:
        first, second = sleeper(), sleeper()
        with Watched() as it:
            for one in (first, second):
                it.deaths.watch(7, one.pid)
                it.deaths.watch(7, one.pid)
                it.manager.apply(7, one.pid, HELD, 60_000, process=True)
            it.manager.apply(7, first.pid, HELD, 60_000)
            assert len(it.deaths) == 2
            end(first)
            assert await it.gone.get() == first.pid
            while it.manager.process_mask(first.pid):
                await asyncio.sleep(0)
            assert it.manager.process_mask(second.pid) == it.manager.app_mask(7) == HELD
            assert not it.looked.is_set()
            end(second)
            await it.look()
            assert it.manager.app_mask(7) == it.manager.process_mask(second.pid) == 0
            assert len(it.deaths) == 0

    on_loop(run)


def test_the_app_goes_on_while_any_of_its_processes_runs() -> None:
    async def run() -> None:
        connected, other = sleeper(), sleeper()
        with Watched() as it:
            it.running = {other.pid: Running((7,), 5), os.getpid(): Running((8,), 1)}
            it.deaths.watch(7, connected.pid)
            it.manager.apply(7, connected.pid, HELD, 60_000)
            end(connected)
            await it.look()
            assert it.manager.app_mask(7) == HELD
            assert other.pid in it.deaths
            it.running = {}
            end(other)
            await it.look()
            assert it.manager.app_mask(7) == 0

    on_loop(run)


def test_what_proc_hides_does_not_stop_an_app() -> None:
    async def run() -> None:
        process = sleeper()
        with Watched() as it:
            it.hides = True
            it.deaths.watch(7, process.pid)
            it.manager.apply(7, process.pid, HELD, 60_000)
            end(process)
            await it.look()
            assert it.manager.app_mask(7) == HELD

    on_loop(run)


def test_holders_of_a_restart_are_watched() -> None:
    async def run() -> None:
        alive, ended = sleeper(), sleeper()
        end(ended)
        with Watched() as it:
            it.running = {alive.pid: Running((7,), 5)}
            it.manager.apply(7, alive.pid, HELD, 60_000)
            it.manager.apply(9, alive.pid, HELD, 60_000)
            it.manager.apply(9, ended.pid, HELD, 60_000, process=True)
            it.deaths.watch_holders()
            await it.look()
            assert it.manager.process_mask(ended.pid) == it.manager.app_mask(9) == 0
            assert it.manager.app_mask(7) == HELD
            assert alive.pid in it.deaths
            end(alive)
            it.running = {}
            await it.look()
            assert it.manager.app_mask(7) == 0

    on_loop(run)


def test_deaths_that_cannot_be_told_are_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantwheel.service.deaths._PAUSE_S", 0.0)

    class Stubborn:
        def __init__(self) -> None:
            self.told: list[tuple[int, int]] = []
            self.failures = 2

        def process_died(self, uid: int, pid: int) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError("not now")
            self.told.append((uid, pid))

        def app_stopped(self, uid: int) -> None:
            self.told.append((uid, 0))

    async def run() -> None:
        manager: Any = Stubborn()
        process = sleeper()
        deaths = Deaths(manager, lambda pid: pid, look=lambda: Look({}, hides=False))
        deaths.watch(7, process.pid)
        end(process)
        while len(manager.told) < 2:
            await asyncio.sleep(0)
        assert manager.told == [(7, process.pid), (7, 0)]
        deaths.close()

    on_loop(run)


def test_who_is_not_there_cannot_be_acted_for() -> None:
    async def run() -> None:
        process = sleeper()
        end(process)
        with Watched() as it:
            for pid in (process.pid, 2**31 - 1, 2**40):
                with pytest.raises(EndedError, match="there is no process"):
                    it.deaths.watch(7, pid)
            assert len(it.deaths) == 0

    on_loop(run)


def test_descriptors_that_are_taken_are_closed() -> None:
    async def run() -> None:
        with Watched() as it:
            first, second = (Process(7, os.getpid(), os.pidfd_open(os.getpid())) for _ in range(2))
            kept = first.descriptor
            it.deaths.take(first)
            it.deaths.take(second)
            assert second.descriptor == -1
            assert first.descriptor == kept
        assert first.descriptor == -1

    on_loop(run)


# Limits. ----------------------------------------------------------------------------------------------------------


def test_limits_name_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"^connections must be within 1\.\.1000000, not 0$"):
        Limits(connections=0)
    with pytest.raises(TypeError, match=r"^request_bytes must be an int, not str$"):
        Limits(request_bytes="many")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^calls_per_second must be an int, not bool$"):
        Limits(calls_per_second=True)


def test_calls_a_second() -> None:
    rates = Rates(4)
    assert [rates.take(1, 100.0) for _ in range(5)] == [True] * 4 + [False]
    assert rates.take(2, 100.0)
    assert not rates.take(1, 100.2)
    assert rates.take(1, 100.25)
    assert not rates.take(1, 100.25)
    assert [rates.take(1, 200.0) for _ in range(5)] == [True] * 4 + [False]


def test_rates_forget_who_asks_no_more() -> None:
    rates = Rates(1000)
    for uid in range(10_000):
        assert rates.take(uid, float(uid))
    assert len(rates._full_at) < 5000


# systemd. ---------------------------------------------------------------------------------------------------------


def test_sockets_of_systemd_are_for_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert systemd.listeners({}) == []
    assert systemd.listeners({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    with pytest.raises(ValueError, match="LISTEN_FDS must be a number of descriptors"):
        systemd.listeners({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "-1"})
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind("")  # a name of the kernel's choice
        listener.listen()
        monkeypatch.setattr(systemd, "_FIRST", listener.fileno())
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "s"}
        (given,) = systemd.listeners(environment)
        assert given.fileno() == listener.fileno()
        assert environment == {}
        given.detach()
        monkeypatch.setattr(systemd, "_FIRST", other.fileno())
        with pytest.raises(ValueError, match="is no Unix stream socket that listens"):
            systemd.listeners({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})


def test_states_are_told_to_systemd(tmp_path: Path) -> None:
    assert not systemd.notify("READY=1", {})
    assert not systemd.notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "none")})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("")
        name = receiver.getsockname()
        assert systemd.notify("READY=1", {"NOTIFY_SOCKET": "@" + name[1:].decode()})
        assert receiver.recv(64) == b"READY=1"


def test_the_policy_of_a_registry_is_that_of_its_uids() -> None:
    policy = Policy(callers={5: Caller(bundle="a", system_app=True)}, default_caller=Caller())
    registry = policy_file.Registry(policy=policy, administrators=frozenset({5}), act_for=frozenset())
    assert registry.peer(5, 1) == Peer(uid=5, pid=1, is_admin=True)
    assert registry.peer(6, 1) == Peer(uid=6, pid=1)
