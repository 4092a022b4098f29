"""Ten thousand connections at once, and a service that has files for fewer."""

import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from service_process import WAIT_S, resident, started

pytest.importorskip("hiredis", reason="the service needs it")

from grantwheel.service.client_commands import pack

MANY = 10_000
OTHERS = 200  # files of whoever has so many connections
BURST_S = 20  # generous: all of them ask at once, on a machine that does other things too
ONE_S = 1.0
MOST_BYTES = 32_768  # of memory for a connection; docs/service.md has what was measured


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw") as folder:  # names of sockets are short
        yield Path(folder) / "s"


@pytest.fixture
def files() -> Iterator[None]:
    """As many files as these tests need, or none of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY + OTHERS:
        pytest.skip(f"RLIMIT_NOFILE lets a process have {hard} files, and this needs {MANY + OTHERS}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + OTHERS, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))  # without a timeout: with one it would not wait while many others wait
    made.settimeout(WAIT_S)
    return made


def ask(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    return connection.recv(1 << 16)


@pytest.mark.long
@pytest.mark.usefixtures("files")
def test_ten_thousand_connections(path: Path) -> None:
    ping, apply, info = pack(b"PING"), pack(b"APPLY", b"32", b"60000"), pack(b"INFO")
    options = ("--connections", MANY + 10, "--connections-per-uid", MANY + 10)
    with started(path, *options) as service, ExitStack() as opened:
        one = opened.enter_context(connected(path))
        assert ask(one, ping) == b"+PONG\r\n"
        before = resident(service.pid)
        all_ = [opened.enter_context(connected(path)) for _ in range(MANY)]
        for connection in all_:
            assert ask(connection, ping) == b"+PONG\r\n"
        each = (resident(service.pid) - before) / MANY
        assert b"connected_clients:%d\r\n" % (MANY + 1) in ask(one, info)

        alone = []  # how long one waits while the others are silent
        for _ in range(200):
            start = time.perf_counter()
            assert ask(one, apply) == b":32\r\n"
            alone.append(time.perf_counter() - start)

        start = time.perf_counter()
        for connection in all_:
            connection.sendall(apply)
        sent = time.perf_counter()
        assert ask(one, apply) == b":32\r\n"
        amid = time.perf_counter() - sent
        for connection in all_:
            assert connection.recv(64) == b":32\r\n"
        burst = time.perf_counter() - start
        median_us, most_ms = sorted(alone)[100] * 1e6, max(alone) * 1e3
        print(
            f"{each:.0f} bytes a connection; the others silent, one waits {median_us:.0f} us, at most {most_ms:.1f} ms"
        )
        print(f"when all ask, it waits {amid * 1e3:.0f} ms of {burst * 1e3:.0f}")
        assert each < MOST_BYTES
        assert max(alone) < ONE_S
        assert amid < burst < BURST_S
        opened.close()
        with connected(path) as last:
            until = time.monotonic() + WAIT_S
            while b"connected_clients:1\r\n" not in ask(last, info):  # it takes their ends one after the other
                assert time.monotonic() < until


# Files. -----------------------------------------------------------------------------------------------------------

_WITH_FILES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
os.execv(sys.executable, [sys.executable, "-m", "grantwheel", "serve", *sys.argv[3:]])
"""
# Processes of which each has a connection, until the input ends: writes what each was answered.
_PROCESSES = """
import contextlib, os, socket, sys
for _ in range(int(sys.argv[2])):
    got, tell = os.pipe()
    if not os.fork():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(sys.argv[1])
            with contextlib.suppress(BrokenPipeError):  # it has been told already
                connection.sendall(b"*1\\r\\n$4\\r\\nPING\\r\\n")
            os.write(tell, connection.recv(4096))
            os.read(0, 1)
            os._exit(0)
    os.close(tell)
    sys.stdout.write(os.read(got, 4096).decode())
    os.close(got)
print("all", flush=True)
"""


def with_files(soft: int, hard: int, path: Path, *options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _WITH_FILES, str(soft), str(hard), "--socket", str(path), *map(str, options)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@contextmanager
def ending(service: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        service.kill()


def test_a_service_with_too_few_files_does_not_start(path: Path) -> None:
    with with_files(200, 1000, path) as service:
        said = service.communicate(timeout=WAIT_S)[1]
    assert service.returncode == 1
    assert "RLIMIT_NOFILE lets this process have 1000 files: too few for 10000 connections and 64 of its own" in said
    assert "--connections to at most 936" in said
    assert not path.exists()


def test_the_files_of_processes_are_not_taken_from_those_who_come_later(path: Path) -> None:
    with with_files(40, 164, path, "--connections", 100) as service, ending(service):
        assert service.stderr is not None
        assert any("serving at" in line for line in service.stderr)
        command = [sys.executable, "-c", _PROCESSES, str(path), "100"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as processes:
            assert processes.stdout is not None
            answers = list(iter(processes.stdout.readline, "all\n"))
            processes.communicate(timeout=WAIT_S)
        served, told = answers.count("+PONG\n"), [one for one in answers if one != "+PONG\n"]
        assert served + len(told) == 100
        assert served >= 40
        assert told
        assert all(one.startswith("-CONNECTIONS 9800001 ") and "RLIMIT_NOFILE" in one for one in told)
        service.terminate()
        assert "accept" not in service.communicate(timeout=WAIT_S)[1]
        assert service.returncode == 0
