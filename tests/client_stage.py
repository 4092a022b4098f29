"""A service that tests may stop and start again, on a clock by hand, and clients of it."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grantwheel import Manager, ManualClock, Tasks
from grantwheel.service.client import Client
from grantwheel.service.peers import Peer
from service_thread import ServiceThread

OWN = (os.geteuid(), os.getpid())


class Stage:
    """One path, where a service stands or does not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.peer = Peer(uid=OWN[0], pid=OWN[1], may_act_for=True, is_admin=True)
        self.clients: list[Client] = []
        self.manager: Manager
        self.tasks: Tasks
        self._server: ServiceThread | None = None
        self.start()

    def start(self, **limits: Any) -> None:
        """Start one anew, which remembers nothing."""
        self.manager = Manager(clock=self.clock, **limits)
        self.tasks = Tasks(self.manager)
        self._instance = os.urandom(16).hex()
        self.resume()

    def resume(self) -> None:
        """Start one anew, with the manager and the tasks that were there."""
        self._server = ServiceThread(
            self.manager, self.path, identify=lambda _: self.peer, instance=self._instance, tasks=self.tasks
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def client(self) -> Client:
        made = Client(self.path)
        self.clients.append(made)
        return made


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "s")
    yield made
    for client in made.clients:
        client.close()
    made.stop()


REFUSAL = b"-CONNECTIONS 9800001 Memory operation failed. (980000101: too many)\r\n"


class Careless:
    """A service that takes a call, or refuses to, says something, and leaves."""

    def __init__(self, path: Path, says: bytes = b"", *, takes_calls: bool = True) -> None:
        self._takes_calls = takes_calls
        self.met = 0  # how many have come
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, args=(says,), daemon=True)
        self._thread.start()

    def _serve(self, says: bytes) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.met += 1
            with peer, contextlib.suppress(OSError):
                if self._takes_calls:
                    peer.recv(1 << 16)
                peer.sendall(says)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
