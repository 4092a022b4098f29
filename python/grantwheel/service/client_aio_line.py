"""One connection of a client on an event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from grantwheel.service.client_link import broken, make_reader, unreachable
from grantwheel.service.client_streams import PUSHES


class Line(asyncio.Protocol):
    """One connection: what was asked, in order, and who waits for the answers."""

    def __init__(self, on_push: "Callable[[Any], None] | None" = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = make_reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._on_push = on_push
        self._refusal: Exception | None = None  # what was said to nobody who waits: the connection is refused
        self.is_lost = False
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's

    def ask(self, command: bytes) -> "asyncio.Future[Any]":
        """Send a command with all others of this iteration of the loop. The future has the answer.

        That of a line which has ended, or was refused, is the error that says so.
        """
        future = self._loop.create_future()
        if self._refusal is not None or self.is_lost:
            future.set_exception(self._refusal or broken())
            return future
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(command)
        self._waiting.append(future)
        return future

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and not self.is_lost:
            self._transport.writelines(unsent)

    def data_received(self, data: bytes) -> None:
        """Give answers to those who wait for them, and pushes to whoever takes them."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if self._on_push is not None and isinstance(reply, list) and reply and reply[0] in PUSHES:
                self._on_push(reply)
                continue
            if not self._waiting:
                if isinstance(reply, Exception):
                    self._refusal = reply
                continue
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell all who wait, and with None whoever takes pushes."""
        self.is_lost = True
        if not self.ended.done():
            self.ended.set_result(None)
        for future in self._waiting:
            if not future.done():
                future.set_exception(broken(error))
        self._waiting.clear()
        if self._on_push is not None:
            self._on_push(None)

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.close()


async def open_line(path: str, on_push: "Callable[[Any], None] | None" = None) -> Line:
    """Connect. Raises BusinessError 9800004: the service can't be reached."""
    loop = asyncio.get_running_loop()
    try:
        _, line = await loop.create_unix_connection(lambda: Line(on_push), path)
    except OSError as error:
        raise unreachable(path, error) from error
    return line
