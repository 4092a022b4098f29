"""Servers for the benchmarks, each on a Unix socket of its own, and what asks them."""

import csv
import io
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_START_S = 60.0


@contextmanager
def _serving(command: Sequence[str], path: Path) -> Iterator[Path]:
    """Run a server for the time of a block, which begins when it answers."""
    said = path.with_name("said")
    with said.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
        try:
            give_up = time.monotonic() + _START_S
            while not _answers(path):
                if server.poll() is not None or time.monotonic() > give_up:
                    server.kill()
                    raise SystemExit(f"this server does not answer: {' '.join(command)}\n{said.read_text()}")
                time.sleep(0.02)
            yield path
        finally:
            server.terminate()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != 0:
            return False
        probe.sendall(request("PING"))
        return probe.recv(64) == b"+PONG\r\n"


@contextmanager
def redis_server(folder: Path, *, always: bool = False) -> Iterator[Path]:
    """Run Redis, in memory alone or with ``appendfsync always``, and give its socket."""
    folder.mkdir()
    path = folder / "s"
    kept = ["--appendonly", "yes", "--appendfsync", "always"] if always else ["--appendonly", "no"]
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", "", *kept]
    with _serving(command, path):
        yield path


@contextmanager
def grant_server(folder: Path, durability: str | None = None) -> Iterator[Path]:
    """Run the service, in memory alone or with a journal, and give its socket."""
    folder.mkdir(mode=0o700)
    path = folder / "s"
    kept = [] if durability is None else ["--state", str(folder / "grants.db"), "--durability", durability]
    policy = folder / "policy.toml"
    policy.write_text(
        'default_caller = { bundle = "all", system_app = true }\nbundles.all.allowed = ["ALL"]\n'
    )  # so that all uids may hold what batches ask for
    options = ["--socket", str(path), "--policy", str(policy), *kept]
    with _serving([sys.executable, "-m", "grantwheel", "serve", *options], path):
        yield path


def request(*words: str | bytes | int) -> bytes:
    """Return a command as its bytes."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def redis_benchmark(path: Path, words: Sequence[str], seconds: float, pipeline: int, guess: float) -> float:
    """Return how many requests a second 50 connections of ``redis-benchmark`` get answered, over about some seconds.

    ``guess`` is what to expect, as it takes a number of requests instead of a time.
    """
    count = max(int(guess * seconds), 1000)
    options = ["-s", str(path), "-c", "50", "-n", str(count), "-P", str(pipeline), "--csv"]
    done = subprocess.run(["redis-benchmark", *options, *words], capture_output=True, text=True, check=False)
    rows = list(csv.DictReader(io.StringIO(done.stdout[done.stdout.find('"test"') :])))
    if done.returncode or len(rows) != 1:
        raise SystemExit(f"redis-benchmark failed with {words}: {done.stdout} {done.stderr}")
    return float(rows[0]["rps"])


class Wire:
    """One connection that sends what was made before, and only counts what comes back."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self._buffer = bytearray(1 << 20)

    def ask(self, data: bytes, size: int) -> bytes:
        """Send, and return an answer of so many bytes."""
        self.socket.sendall(data)
        got = 0
        view = memoryview(self._buffer)
        while got < size:
            got += self.socket.recv_into(view[got:])
        return bytes(view[:got])

    def number(self, data: bytes) -> int:
        """Send, and return an answer that is a number."""
        self.socket.sendall(data)
        return int(self.socket.recv(64).removeprefix(b":"))

    def learn(self, data: bytes) -> int:
        """Send something for the first time, and return the size of the answer that it has in short order."""
        self.socket.sendall(data)
        got = self.socket.recv(1 << 20)
        if got.startswith(b"-"):
            raise SystemExit(f"refused: {got!r}")
        if got.startswith(b"$"):
            head, _, rest = got.partition(b"\r\n")
            missing = int(head[1:]) + 2 - len(rest)
            while missing > 0:
                more = self.socket.recv(1 << 20)
                got += more
                missing -= len(more)
        return len(got)

    def close(self) -> None:
        self.socket.close()


class Latencies(NamedTuple):
    """How long answers took, in microseconds, and how many there were a second."""

    p50: float
    p99: float
    rate: float


def latencies(path: Path, data: bytes, seconds: float, connections: int, rate: float | None) -> Latencies:
    """Ask over many connections, one request at a time on each, and measure every answer.

    With a rate, requests fall due that many times a second and evenly, whether or not others have been answered, and
    an answer is measured from when its request fell due. Without one each connection asks again at once.
    """
    wires = [Wire(path) for _ in range(connections)]
    size = wires[0].learn(data)
    with selectors.EpollSelector() as selector:
        for wire in wires:
            wire.socket.setblocking(False)
            selector.register(wire.socket, selectors.EVENT_READ)
        taken = _load(selector, [wire.socket for wire in wires], data, size, seconds, rate)
    for wire in wires:
        wire.close()
    taken.sort()
    return Latencies(taken[len(taken) // 2] * 1e6, taken[len(taken) * 99 // 100] * 1e6, len(taken) / seconds)


def _load(
    selector: selectors.BaseSelector,
    idle: list[socket.socket],
    data: bytes,
    size: int,
    seconds: float,
    rate: float | None,
) -> list[float]:
    taken: list[float] = []
    due_at: dict[socket.socket, float] = {}
    clock = time.perf_counter
    now = began = clock()
    asked = 0
    while now < began + seconds or due_at:
        while idle and now < began + seconds:
            due = now if rate is None else began + asked / rate
            if due > now:
                break
            wire = idle.pop()
            wire.send(data)
            due_at[wire] = due
            asked += 1
        until = 0.0 if rate is None else max(began + asked / rate - clock(), 0.0)
        for key, _ in selector.select(until if idle else None):
            wire = key.fileobj  # type: ignore[assignment]
            wire.recv(size)
            taken.append(clock() - due_at.pop(wire))
            idle.append(wire)
        now = clock()
    return taken
