"""``grantwheel serve`` as a process, and who speaks to it: connections, users, children."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

WAIT_S = 30
OTHER_UID = 54321


class Line:
    """A connection, spoken to in requests and whole answers of RESP2."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(WAIT_S)
        self._socket.connect(str(path))
        self._file: IO[bytes] = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, *words: object) -> None:
        encoded = [str(word).encode() for word in words]
        self._socket.sendall(
            b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        )

    def read(self) -> object:
        line = self._file.readline().rstrip(b"\r\n")
        if not line:
            raise ConnectionResetError("the service has ended the connection")
        kind, rest = line[:1], line[1:].decode()
        if kind == b":":
            return int(rest)
        if kind in b"+-":
            return line.decode()
        if kind == b"$":
            return None if rest == "-1" else self._file.read(int(rest) + 2)[:-2].decode()
        return None if rest == "-1" else [self.read() for _ in range(int(rest))]

    def ask(self, *words: object) -> object:
        self.send(*words)
        return self.read()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="gw") as name:
        Path(name).chmod(0o755)
        yield Path(name)


class Service:
    """A service of its own process, and what it has logged."""

    def __init__(self, path: Path, *options: object, start: Sequence[str] = (), **others: object) -> None:
        self.path = path
        command = [*start, sys.executable, "-m", "grantwheel", "serve", "--socket", str(path), *map(str, options)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **others)  # type: ignore[call-overload]
        self.log: list[str] = []

    def until(self, said: str) -> str:
        """Return the line of the log that says it."""
        for line in self.process.stderr:
            self.log.append(line)
            if said in line:
                return str(line)
        raise AssertionError(f"it has ended with {self.process.wait(WAIT_S)}: {''.join(self.log)}")

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.stderr.closed:
            return int(self.process.returncode)
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.log += self.process.communicate(timeout=WAIT_S)[1].splitlines(keepends=True)
        return int(self.process.returncode)


@contextmanager
def serving(path: Path, *options: object) -> Iterator[Service]:
    service = Service(path, *options)
    try:
        service.until("serving at")
        yield service
    finally:
        service.end(signal.SIGKILL)


def refused(path: Path, *options: object) -> str:
    service = Service(path, *options)
    code = service.end(0)
    assert code == 1, service.log
    return "".join(service.log)


_AS_USER = """
import json, os, sys
import serve_stage
uid = int(sys.argv[2])
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
for request in json.loads(sys.argv[3]):
    with serve_stage.Line(sys.argv[1]) as line:
        print(json.dumps(line.ask(*request)), flush=True)
sys.stdin.read()
"""


@contextmanager
def user(path: Path, *requests: Sequence[object], uid: int = OTHER_UID) -> Iterator[tuple[int, list[object]]]:
    """A process of another user that has asked for something, and lives to the end of the block."""
    command = [sys.executable, "-c", _AS_USER, str(path), str(uid), json.dumps(requests)]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    ) as process:
        assert process.stdout is not None
        yield process.pid, [json.loads(process.stdout.readline()) for _ in requests]
        process.communicate(timeout=WAIT_S)


def child_of_tests(code: str, path: Path, *arguments: object) -> "subprocess.Popen[str]":
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
