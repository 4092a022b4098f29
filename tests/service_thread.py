"""A server of the service in a thread, for tests that are clients."""

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grantwheel.manager import Manager
from grantwheel.service.peers import Peer
from grantwheel.service.server import Server

PATIENCE_S = 20


class ServiceThread:
    """Serves a manager at a path, from when it is made until `stop`."""

    def __init__(
        self, manager: Manager, path: Path, *, identify: Callable[[socket.socket], Peer], **others: Any
    ) -> None:
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(100)
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._others = others
        self._thread = threading.Thread(target=self._run, args=(manager, identify), daemon=True)
        self._thread.start()

    def _run(self, manager: Manager, identify: Callable[[socket.socket], Peer]) -> None:
        async def serve() -> None:
            server = Server(manager, identify=identify, **self._others)
            await server.start(self._listener)
            await self._end.wait()
            await server.stop()

        try:
            self._loop.run_until_complete(serve())
        finally:
            self._loop.close()

    def stop(self) -> None:
        """End the server: what has come is answered, and the connections end."""
        self._path.unlink()
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
