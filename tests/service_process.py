"""A service of its own process, as `grantwheel serve` makes it, for the tests of what speaks to one."""

import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 60


def resident(pid: int) -> int:
    """How many bytes of memory a process has."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != 0:
            return False
        probe.sendall(b"*1\r\n$4\r\nPING\r\n")
        return probe.recv(64) == b"+PONG\r\n"


@contextmanager
def started(path: Path, *options: object) -> Iterator["subprocess.Popen[str]"]:
    """A service at a path, from when it answers to the end of the block."""
    command = [sys.executable, "-m", "grantwheel", "serve", "--socket", str(path), *map(str, options)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            while not answers(path):
                try:
                    server.wait(0.02)  # until it listens: a program of its own, which cannot be waited for otherwise
                except subprocess.TimeoutExpired:
                    continue
                assert server.stderr is not None
                raise AssertionError(server.stderr.read())
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(WAIT_S)


@contextmanager
def serving(*options: object) -> Iterator[Path]:
    """A service, in memory unless the options say otherwise, on a socket with a short name."""
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        path = Path(folder) / "s"
        with started(path, *options):
            yield path
