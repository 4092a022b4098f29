"""The client of the service: the calls of a manager, answered by another process."""

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Self, SupportsIndex, TypeVar

from grantwheel import ServiceOperationError, TransactionError
from grantwheel._documented import read_request, refusal
from grantwheel._process import OfOneProcess
from grantwheel.service import client_answers as answers
from grantwheel.service import client_commands as commands
from grantwheel.service.client_commands import pack
from grantwheel.service.client_events import ClientSubscription, ClientSubscriptions, Follower, Place, standing
from grantwheel.service.client_hold import ClientHold, ClientHolds
from grantwheel.service.client_link import Link, path_of, settled
from grantwheel.service.client_pipeline import ClientPipeline
from grantwheel.service.client_streams import GRANTS
from grantwheel.service.client_tasks import ClientTasks
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


class Client(OfOneProcess):
    """A connection to the service, with the calls of `grantwheel.Manager`: what `grantwheel.connect` makes.

    Thread-safe: one socket, one call at a time; a `pipeline` sends many at once. It is connected at the first call, and
    again when the service was started anew. The names, arguments, answers and errors are those of the manager, with
    these besides:

    * 9800004: the service can't be reached.
    * 9800003: the exchange broke in the middle of a call, which may or may not have been carried out.
    * uid and pid other than those of this process are for peers that the policy of the service lists (201).

    The service knows its callers, so that there is no ``caller``. As a context manager it is closed.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, timeout_ms: int | None = 30_000) -> None:
        super().__init__()
        self._path = path_of(path)
        self._timeout_s = None if timeout_ms is None else timeout_ms / 1000
        self._link = Link(self._path, self._timeout_s)
        self._lock = threading.RLock()  # a signal handler may come in, and call: see _exchange
        self._is_busy = False
        self._is_closed = False
        self._own = (os.geteuid(), os.getpid())
        self._followers: weakref.WeakSet[Follower[Any]] = weakref.WeakSet()
        self._subscriptions = ClientSubscriptions(self, GRANTS)
        self._holds = ClientHolds(self)
        self._tasks: ClientTasks | None = None

    def __repr__(self) -> str:
        return f"<Client of {self._path}{', closed' if self._is_closed else ''}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The exchange.

    def _require_open(self) -> None:
        self._require_here()
        if self._is_closed:
            raise refusal(_CLOSED, "The client is closed.")

    def _exchange(self, command: bytes) -> Any:
        with self._lock:
            if self._is_busy:  # a signal handler, or a finaliser, in the middle of another call of this thread
                link = Link(self._path, self._timeout_s)
                try:
                    return link.exchange(command)
                finally:
                    link.close()
            try:
                self._is_busy = True
                return self._link.exchange_one(command)
            finally:
                self._is_busy = False

    def _call(self, command: bytes, read: Callable[[Any], _Value]) -> _Value:
        """Have a command carried out, and return what its answer means."""
        self._require_open()
        reply = self._exchange(command)
        if isinstance(reply, Exception):
            raise reply
        return read(reply)

    def _send_many(self, joined: bytes, count: int) -> list[Any]:
        self._require_here()
        if self._is_closed:
            return [refusal(_CLOSED, "The client is closed.") for _ in range(count)]
        with self._lock:
            link = Link(self._path, self._timeout_s) if self._is_busy else self._link
            is_outer, self._is_busy = not self._is_busy, True
            try:
                return [settled(answer) for answer in link.exchange_many(joined, count)]
            finally:
                self._is_busy = not is_outer
                if not is_outer:
                    link.close()

    # Changes.

    def apply(
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
        """Apply for types, and return the mask in effect; see `grantwheel.Manager.apply`."""
        is_plain = persist is False and process is False and reason == "" and cpu_level == -1
        if is_plain and (uid, pid) == self._own and type(mask) is int and type(timeout_ms) is int:
            return self._apply(mask, timeout_ms)  # by far the most
        command = commands.apply(self._own, uid, pid, mask, timeout_ms, persist, process, reason, cpu_level)
        return self._call(command, int)

    def _apply(self, mask: int, timeout_ms: int) -> int:
        """Apply for this process, the short way."""
        bits, time = b"%d" % mask, b"%d" % timeout_ms
        command = b"*3\r\n$5\r\nAPPLY\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(bits), bits, len(time), time)
        return self._call(command, int)

    def renew(
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
        """Apply for those types that are held; see `grantwheel.Manager.renew`."""
        own = self._own
        command = commands.apply(own, uid, pid, mask, timeout_ms, persist, process, reason, cpu_level, only_held=True)
        return self._call(command, int)

    def release(
        self,
        uid: SupportsIndex,
        pid: SupportsIndex,
        mask: SupportsIndex,
        *,
        process: bool = False,
        cpu_level: SupportsIndex = -1,
    ) -> int:
        """Release types; see `grantwheel.Manager.release`."""
        return self._call(commands.release(self._own, uid, pid, mask, process, cpu_level), int)

    def reset_all(self, uid: SupportsIndex, pid: SupportsIndex) -> int:
        """Release all that the bundle may hold; see `grantwheel.Manager.reset_all`."""
        return self._call(pack(b"RESETALL", *commands.acting(self._own, uid, pid)), int)

    def apply_request(self, *args: Any) -> int:
        """Carry out a documented request. One that is none is refused here, before the service is asked."""
        return self._call(commands.request(read_request(*args)), int)

    def reset_all_request(self) -> int:
        """Release all that this process's bundle may hold; see `grantwheel.Manager.reset_all_request`."""
        return self._call(pack(b"RESETALL"), int)

    def apply_many(self, uids: Any, pids: Any, masks: Any, timeouts_ms: Any, *, out: Any = None) -> Any:
        """Apply for many owners in one call; see `grantwheel.Manager.apply_many`."""
        command = commands.columns(
            b"APPLYMANY", uids=(uids, "I"), pids=(pids, "I"), masks=(masks, "I"), timeouts_ms=(timeouts_ms, "Q")
        )
        return self._call(command, lambda reply: answers.numbers(reply, out))

    def release_many(self, uids: Any, pids: Any, masks: Any, *, out: Any = None) -> Any:
        """Release of many owners in one call; see `grantwheel.Manager.release_many`."""
        command = commands.columns(b"RELEASEMANY", uids=(uids, "I"), pids=(pids, "I"), masks=(masks, "I"))
        return self._call(command, lambda reply: answers.numbers(reply, out))

    def pipeline(self) -> ClientPipeline:
        """Return a pipeline: calls that are gathered, and sent together; see `grantwheel.Manager.pipeline`."""
        self._require_open()
        return ClientPipeline(lambda: self._own, self._send_many)

    def flush(self, timeout_ms: SupportsIndex | None = None) -> bool:
        """Wait until all that was changed so far is in the journal of the service. For administrators."""
        words = () if timeout_ms is None else (commands.number(timeout_ms, "timeout_ms"),)
        return self._call(pack(b"FLUSH", *words), answers.yes_or_no)

    # Questions.

    def app_mask(self, uid: SupportsIndex, /) -> int:
        """Return the types that an app holds."""
        return self._call(pack(b"MASK", commands.number(uid, "uid")), int)

    def process_mask(self, pid: SupportsIndex, /) -> int:
        """Return the types that a process holds."""
        return self._call(pack(b"PMASK", commands.number(pid, "pid")), int)

    def app_masks(self, uids: Any, *, out: Any = None) -> Any:
        """Return the masks of many apps; see `grantwheel.Manager.app_masks`."""
        return self._call(commands.columns(b"MASKS", uids=(uids, "I")), lambda got: answers.numbers(got, out))

    def get_all(self) -> list[EfficiencyResourcesInfo]:
        """Return a row for each grant of this process's uid."""
        try:
            return self._call(pack(b"GETALL"), answers.grants)
        except (ServiceOperationError, TransactionError) as error:
            # Documented errors of a query: 18700004 stands for both.
            raise refusal(_QUERY_NOT_CONNECTED, error.message.partition(". ")[2]) from error.__cause__

    def infos(self) -> Infos:
        """Return every record without its grants. For native callers."""
        return self._call(pack(b"INFOS"), answers.infos)

    def find_app(self, uid: SupportsIndex) -> Record | None:
        """Return the record of an app; None when it holds nothing."""
        return self._call(commands.find(OwnerKind.APP, uid), answers.optional_record)

    def find_process(self, pid: SupportsIndex) -> Record | None:
        """Return the record of a process; None when it holds nothing."""
        return self._call(commands.find(OwnerKind.PROCESS, pid), answers.optional_record)

    def records(self, after: Record | None = None, limit: SupportsIndex | None = None) -> list[Record]:
        """Return the records in their order, page by page; see `grantwheel.Manager.records`. For native callers."""
        pages = commands.Pages(after, limit)
        while (command := pages.next()) is not None:
            pages.take(self._call(command, answers.records))
        return pages.got

    def holders(self, resource_type: SupportsIndex) -> Holders:
        """Return who holds a type. For native callers."""
        return self._call(pack(b"HOLDERS", commands.number(resource_type, "resource_type")), answers.holders)

    def count(self, resource_type: SupportsIndex) -> int:
        """Return how many hold a type."""
        return self._call(pack(b"COUNT", commands.number(resource_type, "resource_type")), int)

    def stats(self) -> Stats:
        """Return the numbers of the service's manager."""
        return self._call(pack(b"STATS"), answers.stats)

    def next_deadline(self) -> int | None:
        """Return when the next grant ends, in ms of the service's clock; None when none does."""
        return self._call(pack(b"NEXT"), answers.optional_integer)

    @property
    def last_sequence(self) -> int:
        """The number of the last event. For native callers."""
        return self._call(GRANTS.last, int)

    # Events.

    def read(self, after: SupportsIndex, limit: SupportsIndex | None = None) -> tuple[list[Event], int, int]:
        """Return events after a number, how many were overwritten before them, and after which number to go on.

        At most 1000, or ``limit`` if that is less. For native callers.
        """
        count = commands.PAGE if limit is None else min(int(commands.number(limit, "limit")), commands.PAGE)
        return self._call(GRANTS.after(after, count), GRANTS.page)

    def follow(
        self,
        after: int | None = None,
        *,
        kinds: Iterable[EventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        on_gap: Callable[[int], object] | None = None,
    ) -> Iterator[Event]:
        """Return an iterator over the events after a number, or from now on: it waits for the next one.

        It has a connection of its own, and goes on where it was when the service was started anew; ``on_gap`` is called
        with the number of events that were overwritten meanwhile, and with 0 when the service has kept nothing: nobody
        knows how many it had more, and those of the new one come from the first one on. It ends when the client is
        closed.

        Raises
        ------
        BusinessError
            201: the caller is not native. 9800004, from its beginning: the service can't be reached.
        """
        self._require_open()
        place = Place(*standing(self, GRANTS)) if after is None else Place("", after)
        return iter(Follower(self, GRANTS, place, GRANTS.which(kinds, uids), on_gap=on_gap))

    def subscribe(
        self,
        subscriber: object,
        *,
        kinds: Iterable[EventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        batch: bool = False,
        on_gap: Callable[[int], object] | None = None,
    ) -> ClientSubscription[Event]:
        """Start a subscription: every event from now on; see `grantwheel.Manager.subscribe`.

        A callable is called in a thread of its own, from now on; any other object stands for a reader that calls
        ``ClientSubscription.drain``. It goes on at its place when the service was started anew.
        """
        self._require_open()
        return self._subscriptions.add(subscriber, kinds=kinds, uids=uids, batch=batch, on_gap=on_gap)

    def unsubscribe(self, subscriber: object) -> None:
        """End the subscription of a subscriber; see `grantwheel.Manager.unsubscribe`."""
        self._require_open()
        self._subscriptions.cancel(subscriber)

    def drain(self, limit: int | None = None) -> list[Event]:
        """Return the events since the last drain; the first one begins with those from then on."""
        self._require_open()
        return self._subscriptions.drain(limit)

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were drained."""
        return self._subscriptions.missed

    # Holding.

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
        on_lost: Callable[[ClientHold], object] | None = None,
    ) -> ClientHold:
        """Hold types for the time of a block; see `grantwheel.Manager.hold`.

        When the service was started anew and has lost them, they are applied for again.
        """
        self._require_open()
        return self._holds.make(
            mask,
            uid=self._own[0] if uid is None else uid,
            pid=self._own[1] if pid is None else pid,
            reason=reason,
            timeout_ms=timeout_ms,
            process=process,
            cpu_level=cpu_level,
            on_lost=on_lost,
        )

    # Tasks.

    @property
    def tasks(self) -> ClientTasks:
        """The transient and continuous tasks of the service, with the calls of `grantwheel.Tasks`."""
        self._require_open()
        made = self._tasks
        if made is None:
            with self._lock:
                made = self._tasks = self._tasks or ClientTasks(self)
        return made

    # Administration: for peers that the policy of the service lists.

    def process_died(self, uid: SupportsIndex, pid: SupportsIndex) -> int:
        """Tell that a process has ended."""
        return self._call(pack(b"ADMIN", b"DIED", commands.number(uid, "uid"), commands.number(pid, "pid")), int)

    def app_stopped(self, uid: SupportsIndex) -> int:
        """Tell that no process of an app runs any more."""
        return self._call(pack(b"ADMIN", b"STOPPED", commands.number(uid, "uid")), int)

    def package_removed(self, uid: SupportsIndex) -> int:
        """Tell that an app was removed."""
        return self._call(pack(b"ADMIN", b"REMOVED", commands.number(uid, "uid")), int)

    def admin_list(self) -> str:
        """Return a text that lists every record with its grants."""
        return self._call(pack(b"ADMIN", b"LIST"), answers.string)

    def admin_reset_all(self) -> int:
        """Reset every record."""
        return self._call(pack(b"ADMIN", b"RESETALL"), int)

    def admin_reset_app(self, uid: SupportsIndex, mask: SupportsIndex) -> int:
        """Reset types of an app."""
        return self._call(pack(b"ADMIN", b"RESETAPP", commands.number(uid, "uid"), commands.number(mask, "mask")), int)

    def admin_reset_process(self, pid: SupportsIndex, mask: SupportsIndex) -> int:
        """Reset types of a process."""
        return self._call(
            pack(b"ADMIN", b"RESETPROCESS", commands.number(pid, "pid"), commands.number(mask, "mask")), int
        )

    def close(self) -> None:
        """Close the connection, and end holds and subscriptions. What is held goes on, but for holds."""
        if not self._is_here or self._is_closed:
            return
        self._holds.close()
        self._is_closed = True
        self._subscriptions.close()
        if self._tasks is not None:
            self._tasks._close()
        for follower in list(self._followers):
            follower.stop()
        with self._lock:
            self._link.close()
