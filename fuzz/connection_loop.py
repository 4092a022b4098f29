"""An event loop and transports that do nothing by themselves: a connection of the service without a socket."""

import asyncio
import contextvars
import heapq
import select
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

MOST_STEPS: Final = 100_000


class StuckError(Exception):
    """The loop has always something more to do."""


class Loop(asyncio.AbstractEventLoop):
    """A loop that steps when it is told to, with a time that goes on when it is told so.

    What is raised in it is kept in `errors`, as asyncio logs it and goes on.
    """

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.now_ms = 0
        self._handles: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        self._readers: dict[int, asyncio.Handle] = {}

    def step(self) -> bool:
        """Do what there is to do now, and not what that leaves to be done; False: there was nothing."""
        while self._timers and self._timers[0][0] <= self.time():
            self._handles.append(heapq.heappop(self._timers)[2])
        if self._readers:
            poll = select.poll()
            for descriptor in self._readers:
                poll.register(descriptor, select.POLLIN)
            self._handles.extend(self._readers[descriptor] for descriptor, _ in poll.poll(0))
        count = len(self._handles)
        for _ in range(count):
            handle = self._handles.popleft()
            if not handle.cancelled():
                handle._run()
        return count > 0

    def settle(self) -> None:
        """Step until there is nothing to do."""
        for _ in range(MOST_STEPS):
            if not self.step():
                return
        raise StuckError("the loop does not come to an end")

    def time(self) -> float:
        return self.now_ms / 1000

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._handles.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time has come."""

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **_: Any) -> "asyncio.Task[Any]":  # type: ignore[override]
        return asyncio.Task(coro, loop=self)

    def run_in_executor(self, _: Any, work: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Do it here, and tell of it two steps later, as a thread would."""
        done = self.create_future()

        def tell() -> None:
            if not done.done():
                try:
                    done.set_result(work(*args))
                except Exception as error:
                    done.set_exception(error)

        self.call_soon(self.call_soon, tell)
        return done

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        self._readers[fd] = asyncio.Handle(callback, args, self)

    def remove_reader(self, fd: Any) -> bool:
        return self._readers.pop(fd, None) is not None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context.get("exception") or RuntimeError(context["message"]))


class Transport(asyncio.Transport):
    """A connection: what the peer has sent waits until it is read, and what the peer does not read waits here.

    As strict as uvloop's: what may not be done with a transport that is closed or paused raises.

    Parameters
    ----------
    loop : Loop
        Who calls the protocol.
    taken : int
        How many bytes the kernel takes for a peer that reads nothing.
    """

    def __init__(self, loop: Loop, taken: int = 4096) -> None:
        super().__init__()
        self.received = b""  # by the peer
        self.peer_reads = True  # the peer
        self.is_over = False
        self.was_aborted = False
        self._protocol: Any = None
        self._loop = loop
        self._taken = taken
        self._sent = bytearray()
        self._has_ended = False
        self._is_paused = self._is_slow = self._is_closing = self._is_lost = False
        self._unread = bytearray()

    def connect(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    # The peer. -------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self._sent += data
        self.pump()

    def end(self) -> None:
        """Send no more."""
        self._has_ended = True
        self.pump()

    def lose(self) -> None:
        """Go away, with whatever is on the way."""
        self.was_aborted = True
        self.abort()

    def read(self) -> None:
        """Read what waits, and go on so."""
        self.peer_reads = True
        self._take()

    def pump(self) -> bool:
        """Give the protocol what has come, while it reads; False: there is nothing."""
        did = False
        while not self._is_paused and not self._is_closing and self._sent:
            room = self._protocol.get_buffer(-1)
            count = min(len(room), len(self._sent))
            room[:count] = self._sent[:count]
            del self._sent[:count]
            self._protocol.buffer_updated(count)
            did = True
        if self._has_ended and not self._sent and not self._is_paused and not self._is_closing:
            self._has_ended = False
            did = True
            if not self._protocol.eof_received():
                self.close()
        return did

    def unsent(self) -> int:
        """Take back what the protocol has not read yet; return how much."""
        count = len(self._sent)
        self._sent.clear()
        return count

    def _take(self) -> None:
        """Read, as far as the peer does."""
        if self.peer_reads:
            self.received += bytes(self._unread)
            self._unread.clear()
        if not self._unread and not self._is_lost:
            if self._is_slow:
                self._is_slow = False
                self._protocol.resume_writing()
            if self._is_closing and not self._unread:
                self._lose_soon()

    # The protocol. ---------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if self._is_lost:
            return
        if self._is_closing:
            raise RuntimeError("written to a transport that is closing")
        if self.peer_reads:
            self.received += bytes(data)
            return
        self.received += bytes(data[: self._taken])
        self._unread += data[self._taken :]
        self._taken = max(0, self._taken - len(data))
        if not self._unread:
            return
        if not self._is_slow:
            self._is_slow = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._unread)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Both are 0 here."""
        assert high == 0
        assert low is None

    def pause_reading(self) -> None:
        if self._is_closing or self._is_paused:
            raise RuntimeError("paused while it is paused or closing")
        self._is_paused = True

    def resume_reading(self) -> None:
        if self._is_closing or not self._is_paused:
            raise RuntimeError("resumed while it is not paused, or closing")
        self._is_paused = False

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self._unread:
                self._lose_soon()

    def abort(self) -> None:
        self._is_closing = self._is_lost = True
        self.was_aborted = self.was_aborted or bool(self._unread)
        self._unread.clear()
        self._lose_soon()

    def _lose_soon(self) -> None:
        self._loop.call_soon(self._lose)

    def _lose(self) -> None:
        if not self.is_over:
            self.is_over = True
            cast("asyncio.BaseProtocol", self._protocol).connection_lost(None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else default
