"""What an ordinary user can do to a service of its own process by its processes and its descriptors."""

import array
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_stage import WAIT_S, Line, Service, child_of_tests, serving, short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


_AS_MANY = """
import os, sys, serve_stage
path, count, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
pipe, ends = os.pipe()
for _ in range(count):
    if not os.fork():
        os.close(ends)
        try:
            with serve_stage.Line(path) as line:
                try:
                    line.send(*words)
                except BrokenPipeError:
                    pass  # it has been refused already, and told so
                told = line.read()
        except OSError as error:
            told = error
        os.write(1, f"{told}\\n".encode())  # at once, as others write there too
        os.read(pipe, 1)  # until the one that has made it ends
        os._exit(0)
sys.stdin.read()
"""


@contextmanager
def processes(path: Path, count: int, *words: object) -> "Iterator[tuple[subprocess.Popen[str], list[str]]]":
    """So many processes that have connected, asked for something, and live on without a connection."""
    with child_of_tests(_AS_MANY, path, count, *words) as parent:
        assert parent.stdout is not None
        yield parent, sorted(parent.stdout.readline().rstrip() for _ in range(count))
        if parent.returncode is None:
            parent.communicate(timeout=WAIT_S)


def open_files(service: Service) -> int:
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))  # noqa: PTH208 - as many names as there are


def settled(service: Service, line: Line, most: int) -> bool:
    """Whether the service comes to have no more files open than that."""
    return any(open_files(service) <= most for _ in range(2000) if line.ask("PING") == "+PONG")


def test_processes_that_have_gone_from_the_service_take_no_descriptors(folder: Path) -> None:
    path = folder / "s"
    with serving(path) as service, Line(path) as line:
        assert line.ask("PING") == "+PONG"
        before = open_files(service)
        with processes(path, 20, "PING") as (_, answers):
            assert answers == ["+PONG"] * 20
            assert settled(service, line, before)


def test_whoever_is_refused_takes_no_descriptors(folder: Path) -> None:
    path = folder / "s"
    with serving(path, "--connections-per-uid", 1) as service, Line(path) as line:
        assert line.ask("PING") == "+PONG"
        before = open_files(service)
        with processes(path, 20, "PING") as (_, answers):
            assert all("may have at most 1 connections" in one for one in answers)
            assert settled(service, line, before)


def test_holders_are_limited_by_uid_and_their_ends_are_noticed(folder: Path) -> None:
    path = folder / "s"
    with serving(path, "--watched-per-uid", 11) as service, Line(path) as line:
        assert line.ask("PING") == "+PONG"
        before = open_files(service)
        with processes(path, 20, "APPLY", "CPU", 600_000, "PROCESS") as (parent, answers):
            assert answers[10:] == ["1"] * 10
            assert all("at most 11 processes that are connected or hold something" in one for one in answers[:10])
            assert line.ask("COUNT", "CPU") == 10
            assert settled(service, line, before + 10)
            parent.communicate(timeout=WAIT_S)
            assert parent.returncode == 0
        while line.ask("COUNT", "CPU"):  # their ends are told as soon as the kernel tells them
            assert line.ask("PING") == "+PONG"
        assert settled(service, line, before)


def test_descriptors_that_a_peer_sends_are_not_taken(folder: Path) -> None:
    path = folder / "s"
    request = b"*1\r\n$4\r\nPING\r\n"
    with serving(path) as service, socket.socket(socket.AF_UNIX) as peer, Line(path) as line:
        assert line.ask("PING") == "+PONG"
        peer.settimeout(WAIT_S)
        peer.connect(str(path))
        for _ in range(20):
            descriptors = array.array("i", [peer.fileno()] * 100)
            peer.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            assert peer.recv(64) == b"+PONG\r\n"
        assert open_files(service) < 100
