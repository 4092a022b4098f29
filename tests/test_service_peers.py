"""Peers as the kernel knows them, limits, and what systemd gives."""

import errno
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grantwheel import Caller, Policy, ResourceType, TaskPolicy
from grantwheel.service import peers, policy_file, systemd
from grantwheel.service.limits import Limits, Rates
from grantwheel.service.peers import Peer, PeerRefused

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
    assert len(rates) < 5000


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
    registry = policy_file.Registry(
        policy=policy, administrators=frozenset({5}), act_for=frozenset(), tasks=TaskPolicy()
    )
    assert registry.peer(5, 1) == Peer(uid=5, pid=1, is_admin=True)
    assert registry.peer(6, 1) == Peer(uid=6, pid=1)
