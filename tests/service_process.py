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


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != 0:
            return False
        probe.sendall(b"*1\r\n$4\r\nPING\r\n")
        return probe.recv(64) == b"+PONG\r\n"


@contextmanager
def serving() -> Iterator[Path]:
    """A service, in memory, on a socket with a short name."""
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        path = Path(folder) / "s"
        with subprocess.Popen(
            [sys.executable, "-m", "grantwheel", "serve", "--socket", str(path)], stderr=subprocess.PIPE, text=True
        ) as server:
            try:
                while not answers(path):
                    try:
                        server.wait(
                            0.02
                        )  # until it listens: a program of its own, which cannot be waited for otherwise
                    except subprocess.TimeoutExpired:
                        continue
                    assert server.stderr is not None
                    raise AssertionError(server.stderr.read())
                yield path
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(WAIT_S)
