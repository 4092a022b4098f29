"""The client of the service on an event loop: calls that are made at the same time share one write."""

import asyncio
import operator
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, Self, SupportsIndex, TypeVar

from grantwheel import BusinessError, ServiceOperationError, TransactionError
from grantwheel._callback import require_plain
from grantwheel._documented import read_request, refusal
from grantwheel._process import OfOneProcess
from grantwheel._times import to_ms
from grantwheel.service import client_answers as answers
from grantwheel.service import client_commands as commands
from grantwheel.service.client_aio_hold import AsyncHold
from grantwheel.service.client_aio_line import Line, open_line
from grantwheel.service.client_aio_tasks import AsyncTasks
from grantwheel.service.client_commands import pack
from grantwheel.service.client_events import Place
from grantwheel.service.client_link import Backoff, is_passing, make_reader, path_of
from grantwheel.service.client_streams import GRANTS, EventT, Stream
from grantwheel.types import (
    EfficiencyResourcesInfo,
    Event,
    EventKind,
    Holders,
    Infos,
    OwnerKind,
    Record,
    Stats,
)

_CLOSED, _QUERY_NOT_CONNECTED = 980000402, 1870000402
_Value = TypeVar("_Value")


class AsyncClient(OfOneProcess):
    """A connection to the service for an event loop: what `grantwheel.aio.connect` makes.

    The calls of `grantwheel.service.client.Client`, to be awaited, with the same arguments, answers and errors. Calls
    of several tasks at the same time are sent together and answered in their order. A call that is cancelled may have
    been carried out. As an asynchronous context manager it is closed.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        make_reader()  # which names the extra that is missing
        self._path = path_of(path)
        self._own = (os.geteuid(), os.getpid())
        self._line: Line | None = None
        self._connecting: asyncio.Task[Line] | None = None
        self._is_closed = False
        self._holds: list[AsyncHold] = []
        self._tasks: AsyncTasks | None = None

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._path}{', closed' if self._is_closed else ''}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _require_open(self) -> None:
        self._require_here()
        if self._is_closed:
            raise refusal(_CLOSED, "The client is closed.")

    async def _connected(self) -> Line:
        if self._connecting is None or self._connecting.cancelled():
            self._connecting = asyncio.ensure_future(open_line(self._path))
        connecting = self._connecting
        try:
            self._line = await asyncio.shield(connecting)
        finally:
            if connecting.done() and self._connecting is connecting:
                self._connecting = None
        return self._line

    async def _call(self, command: bytes, read: Callable[[Any], _Value]) -> _Value:
        self._require_open()
        line = self._line
        if line is None or line.is_lost:
            line = await self._connected()
        reply = await line.ask(command)
        if isinstance(reply, Exception):
            raise reply
        return read(reply)

    # Changes.

    async def apply(
        self,
        uid: SupportsIndex,
        pid: SupportsIndex,
        mask: SupportsIndex,
        timeout_ms: SupportsIndex | None = None,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: SupportsIndex = -1,
    ) -> int:
        """Apply for types, and return the mask in effect."""
        command = commands.apply(self._own, uid, pid, mask, timeout_ms, persist, process, reason, cpu_level)
        return await self._call(command, int)

    async def renew(
        self,
        uid: SupportsIndex,
        pid: SupportsIndex,
        mask: SupportsIndex,
        timeout_ms: SupportsIndex | None = None,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: SupportsIndex = -1,
    ) -> int:
        """Apply for those types that are held."""
        own = self._own
        command = commands.apply(own, uid, pid, mask, timeout_ms, persist, process, reason, cpu_level, only_held=True)
        return await self._call(command, int)

    async def release(
        self,
        uid: SupportsIndex,
        pid: SupportsIndex,
        mask: SupportsIndex,
        *,
        process: bool = False,
        cpu_level: SupportsIndex = -1,
    ) -> int:
        """Release types."""
        return await self._call(commands.release(self._own, uid, pid, mask, process, cpu_level), int)

    async def reset_all(self, uid: SupportsIndex, pid: SupportsIndex) -> int:
        """Release all that the bundle may hold."""
        return await self._call(pack(b"RESETALL", *commands.acting(self._own, uid, pid)), int)

    async def apply_request(self, *args: Any) -> int:
        """Carry out a documented request."""
        return await self._call(commands.request(read_request(*args)), int)

    async def reset_all_request(self) -> int:
        """Release all that this process's bundle may hold."""
        return await self._call(pack(b"RESETALL"), int)

    async def apply_many(self, uids: Any, pids: Any, masks: Any, timeouts_ms: Any, *, out: Any = None) -> Any:
        """Apply for many owners in one call."""
        command = commands.columns(
            b"APPLYMANY", uids=(uids, "I"), pids=(pids, "I"), masks=(masks, "I"), timeouts_ms=(timeouts_ms, "Q")
        )
        return await self._call(command, lambda reply: answers.numbers(reply, out))

    async def release_many(self, uids: Any, pids: Any, masks: Any, *, out: Any = None) -> Any:
        """Release of many owners in one call."""
        command = commands.columns(b"RELEASEMANY", uids=(uids, "I"), pids=(pids, "I"), masks=(masks, "I"))
        return await self._call(command, lambda reply: answers.numbers(reply, out))

    async def flush(self, timeout_ms: SupportsIndex | None = None) -> bool:
        """Wait until all that was changed so far is in the journal of the service."""
        words = () if timeout_ms is None else (commands.number(timeout_ms, "timeout_ms"),)
        return await self._call(pack(b"FLUSH", *words), answers.yes_or_no)

    # Questions.

    async def app_mask(self, uid: SupportsIndex, /) -> int:
        """Return the types that an app holds."""
        return await self._call(pack(b"MASK", commands.number(uid, "uid")), int)

    async def process_mask(self, pid: SupportsIndex, /) -> int:
        """Return the types that a process holds."""
        return await self._call(pack(b"PMASK", commands.number(pid, "pid")), int)

    async def app_masks(self, uids: Any, *, out: Any = None) -> Any:
        """Return the masks of many apps."""
        command = commands.columns(b"MASKS", uids=(uids, "I"))
        return await self._call(command, lambda got: answers.numbers(got, out))

    async def get_all(self) -> list[EfficiencyResourcesInfo]:
        """Return a row for each grant of this process's uid."""
        try:
            return await self._call(pack(b"GETALL"), answers.grants)
        except (ServiceOperationError, TransactionError) as error:
            raise refusal(_QUERY_NOT_CONNECTED, error.message.partition(". ")[2]) from error.__cause__

    async def infos(self) -> Infos:
        """Return every record without its grants."""
        return await self._call(pack(b"INFOS"), answers.infos)

    async def find_app(self, uid: SupportsIndex) -> Record | None:
        """Return the record of an app; None when it holds nothing."""
        return await self._call(commands.find(OwnerKind.APP, uid), answers.optional_record)

    async def find_process(self, pid: SupportsIndex) -> Record | None:
        """Return the record of a process; None when it holds nothing."""
        return await self._call(commands.find(OwnerKind.PROCESS, pid), answers.optional_record)

    async def records(self, after: Record | None = None, limit: SupportsIndex | None = None) -> list[Record]:
        """Return the records in their order, page by page."""
        pages = commands.Pages(after, limit)
        while (command := pages.next()) is not None:
            pages.take(await self._call(command, answers.records))
        return pages.got

    async def holders(self, resource_type: SupportsIndex) -> Holders:
        """Return who holds a type."""
        command = pack(b"HOLDERS", commands.number(resource_type, "resource_type"))
        return await self._call(command, answers.holders)

    async def count(self, resource_type: SupportsIndex) -> int:
        """Return how many hold a type."""
        return await self._call(pack(b"COUNT", commands.number(resource_type, "resource_type")), int)

    async def stats(self) -> Stats:
        """Return the numbers of the service's manager."""
        return await self._call(pack(b"STATS"), answers.stats)

    async def next_deadline(self) -> int | None:
        """Return when the next grant ends, in ms of the service's clock; None when none does."""
        return await self._call(pack(b"NEXT"), answers.optional_integer)

    async def last_sequence(self) -> int:
        """Return the number of the last event."""
        return await self._call(GRANTS.last, int)

    # Events.

    async def read(self, after: SupportsIndex, limit: SupportsIndex | None = None) -> tuple[list[Event], int, int]:
        """Return events after a number, how many were overwritten before them, and after which number to go on."""
        count = commands.PAGE if limit is None else min(int(commands.number(limit, "limit")), commands.PAGE)
        return await self._call(GRANTS.after(after, count), GRANTS.page)

    async def follow(
        self,
        after: int | None = None,
        *,
        kinds: Iterable[EventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        on_gap: Callable[[int], object] | None = None,
    ) -> AsyncIterator[Event]:
        """Iterate over the events after a number, or from the beginning of the iteration on, without an end.

        It goes on where it was when the service was started anew; ``on_gap`` is called as for the other client.
        """
        place = Place("", after) if after is not None else Place(*await self._standing(GRANTS))
        async for event in self._following(GRANTS, place, GRANTS.which(kinds, uids), on_gap=on_gap):
            yield event

    async def _following(
        self,
        stream: Stream[EventT],
        place: Place,
        wanted: list[bytes],
        *,
        on_gap: Callable[[int], object] | None = None,
        on_begin: Callable[[Any], Awaitable[object]] | None = None,
        is_patient: bool = False,
    ) -> AsyncGenerator[EventT, None]:
        """Iterate over the events of a stream.

        ``on_begin`` is awaited with what HELLO tells, at each beginning and after each gap. Whoever is patient waits at
        the first beginning, too, for a service that is not there.
        """
        backoff = Backoff()
        has_begun = is_patient
        while not self._is_closed:
            pushes: asyncio.Queue[Any] = asyncio.Queue()
            line: Line | None = None
            try:
                line = await open_line(self._path, pushes.put_nowait)
                told, is_of = await self._begin_to_follow(line, stream, place, wanted)
                if not is_of and on_gap is not None:
                    on_gap(0)
                has_begun = True
                if on_begin is not None:
                    await on_begin(told)
                backoff.reset()
                while (push := await pushes.get()) is not None:
                    events, missed, place.after = stream.page(push[1:])
                    if missed and on_gap is not None:
                        on_gap(missed)
                    if missed and on_begin is not None:
                        await on_begin(told)
                    for event in events:
                        yield event
            except BusinessError as error:
                if not has_begun or not is_passing(error):
                    raise
            finally:
                if line is not None:
                    line.close()
            await asyncio.sleep(backoff.next_s())

    async def _standing(self, stream: Stream[Any]) -> tuple[str, int]:
        """Return which instance of the service it is, and the number of its last event."""
        return stream.stands(await self._ask_both(pack(b"HELLO"), stream.last))

    async def _ask_both(self, *commands: bytes) -> list[Any]:
        """Return what is answered to some commands on one connection. Raises what one of the answers is."""
        self._require_open()
        line = self._line
        if line is None or line.is_lost:
            line = await self._connected()
        replies = await asyncio.gather(*map(line.ask, commands), return_exceptions=True)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    @staticmethod
    async def _begin_to_follow(line: Line, stream: Stream[Any], place: Place, wanted: list[bytes]) -> tuple[Any, bool]:
        """Follow from a place on; return what HELLO tells, and whether it is one of this instance of the service."""
        asked = line.ask(pack(b"HELLO", b"3")), line.ask(stream.last)
        replies = await asyncio.gather(*asked, return_exceptions=True)  # the first one says why it was refused
        instance, number = stream.stands(replies)
        is_of = not place.instance or place.is_of(instance, number)
        reply = await line.ask(stream.follow(place.after, wanted))
        if isinstance(reply, Exception):
            raise reply
        place.instance = instance
        return replies[0], is_of

    def hold(
        self,
        mask: int,
        *,
        uid: int | None = None,
        pid: int | None = None,
        reason: str = "",
        timeout_ms: int | timedelta = 30_000,
        process: bool = False,
        cpu_level: int = -1,
        on_lost: Callable[[AsyncHold], object] | None = None,
    ) -> AsyncHold:
        """Hold types for the time of an ``async with`` block; see `grantwheel.service.client.Client.hold`."""
        self._require_open()
        if on_lost is not None:
            require_plain(on_lost, "on_lost", "It may create a task that awaits")
        owner = (self._own[0] if uid is None else uid, self._own[1] if pid is None else pid, process)
        timeout = to_ms(timeout_ms, "timeout_ms")
        return AsyncHold(self, owner, operator.index(mask), timeout, reason, cpu_level, on_lost)

    # Tasks.

    @property
    def tasks(self) -> AsyncTasks:
        """The transient and continuous tasks of the service, with the calls of `grantwheel.Tasks`."""
        self._require_open()
        if self._tasks is None:
            self._tasks = AsyncTasks(self)
        return self._tasks

    # Administration.

    async def process_died(self, uid: SupportsIndex, pid: SupportsIndex) -> int:
        """Tell that a process has ended."""
        words = (commands.number(uid, "uid"), commands.number(pid, "pid"))
        return await self._call(pack(b"ADMIN", b"DIED", *words), int)

    async def app_stopped(self, uid: SupportsIndex) -> int:
        """Tell that no process of an app runs any more."""
        return await self._call(pack(b"ADMIN", b"STOPPED", commands.number(uid, "uid")), int)

    async def package_removed(self, uid: SupportsIndex) -> int:
        """Tell that an app was removed."""
        return await self._call(pack(b"ADMIN", b"REMOVED", commands.number(uid, "uid")), int)

    async def admin_list(self) -> str:
        """Return a text that lists every record with its grants."""
        return await self._call(pack(b"ADMIN", b"LIST"), answers.string)

    async def admin_reset_all(self) -> int:
        """Reset every record."""
        return await self._call(pack(b"ADMIN", b"RESETALL"), int)

    async def admin_reset_app(self, uid: SupportsIndex, mask: SupportsIndex) -> int:
        """Reset types of an app."""
        words = (commands.number(uid, "uid"), commands.number(mask, "mask"))
        return await self._call(pack(b"ADMIN", b"RESETAPP", *words), int)

    async def admin_reset_process(self, pid: SupportsIndex, mask: SupportsIndex) -> int:
        """Reset types of a process."""
        words = (commands.number(pid, "pid"), commands.number(mask, "mask"))
        return await self._call(pack(b"ADMIN", b"RESETPROCESS", *words), int)

    async def close(self) -> None:
        """Close the connection. Calls that are not answered yet raise 9800003."""
        self._is_closed = True
        if self._tasks is not None and self._is_here:
            await self._tasks._close()
        if self._line is not None and self._is_here:
            self._line.close()
            await asyncio.sleep(0)
