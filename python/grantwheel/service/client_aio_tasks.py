"""The tasks of the service for its clients on event loops."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from grantwheel import BusinessError, ServiceOperationError, TransactionError
from grantwheel._callback import refuse_coroutine
from grantwheel.service import client_answers as answers
from grantwheel.service import client_commands as commands
from grantwheel.service import client_requests as requests
from grantwheel.service.client_commands import pack
from grantwheel.service.client_events import Place
from grantwheel.service.client_link import is_passing
from grantwheel.service.client_requests import OpenRequests, Words
from grantwheel.service.client_streams import TASKS, EventT, Stream
from grantwheel.tasks.arguments import require_count
from grantwheel.tasks.values import ContinuousTask, DelaySuspendInfo, TaskEvent, TaskEventKind, TransientTaskInfo

_log = logging.getLogger("grantwheel")
_Value = TypeVar("_Value")


class Asking(Protocol):
    """What tasks use of their client."""

    _own: tuple[int, int]

    async def _call(self, command: bytes, read: Callable[[Any], _Value]) -> _Value: ...

    async def _ask_both(self, *commands: bytes) -> list[Any]: ...

    async def _standing(self, stream: Stream[Any]) -> tuple[str, int]: ...

    def _following(
        self,
        stream: Stream[EventT],
        place: Place,
        wanted: list[bytes],
        *,
        on_gap: Callable[[int], object] | None = None,
        on_begin: Callable[[Any], Awaitable[object]] | None = None,
        is_patient: bool = False,
    ) -> AsyncGenerator[EventT, None]: ...


class AsyncTasks:
    """The transient and continuous tasks of the service, for an event loop: what ``AsyncClient.tasks`` is.

    The calls of `grantwheel.service.client_tasks.ClientTasks`, to be awaited. Callbacks are plain functions, which the
    loop calls. A request whose call is cancelled may have been granted, and its callback is not called then. For each
    uid that has open requests there is one connection.
    """

    def __init__(self, client: Asking) -> None:
        self._client = client
        self._lock = asyncio.Lock()  # from when a request is sent until its callback is known
        self._open = OpenRequests()
        self._listeners: dict[int, _Listener] = {}  # by uid: those that have open requests

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client!r}>"

    def _acting(self, uid: int | None, pid: int | None) -> Words:
        return requests.acting(self._client._own, uid, pid)

    # Transient tasks.

    async def request_suspend_delay(
        self, *args: Any, name: str | None = None, uid: int | None = None, pid: int | None = None
    ) -> DelaySuspendInfo:
        """Ask for some time in the background. The callback is called on the loop, once."""
        reason, function = requests.suspend_delay(args, "It may create a task that awaits")
        acting = self._acting(uid, pid)
        uid = requests.uid_of(acting, self._client._own)
        async with self._lock:
            await self._listen(uid)
            try:
                asked = self._open.asked_with(function, name, acting, uid)
                told, reply = await self._client._ask_both(
                    pack(b"HELLO"), pack(b"SUSPENDDELAY", reason, asked.name, *acting)
                )
                granted = answers.delay(reply)
                self._open.opened(answers.hello(told, b"instance"), granted.requestId, asked)
            finally:
                self._let_go(uid)
        return granted

    async def _listen(self, uid: int) -> None:
        """Have somebody hear of the requests of a uid from now on, before the first of them is made."""
        if uid not in self._listeners:
            place = Place(*await self._client._standing(TASKS))
            self._listeners[uid] = _Listener(self._client, place, uid, self._lock, self._open, self._listeners)

    def _let_go(self, uid: int) -> None:
        """Have nobody hear of the requests of a uid any more, if none is open. The lock is held."""
        if (listener := self._listeners.get(uid)) is not None:
            listener.leave_if_idle()

    async def cancel_suspend_delay(self, *args: Any, uid: int | None = None, pid: int | None = None) -> None:
        """End a request."""
        command = requests.of_request(b"CANCELDELAY", args, self._acting(uid, pid))
        with self._open.giving_back(int(args[0])) as asked:
            await self._client._call(command, answers.string)
        async with self._lock:
            self._open.drop(asked)
            if asked is not None:
                self._let_go(asked.uid)

    async def remaining_delay_time(self, *args: Any, uid: int | None = None, pid: int | None = None) -> int:
        """Return what is left of a request, in ms."""
        return await self._client._call(requests.of_request(b"REMAININGDELAY", args, self._acting(uid, pid)), int)

    async def transient_task_info(
        self, *args: Any, uid: int | None = None, pid: int | None = None
    ) -> TransientTaskInfo:
        """Return what the app has left, of its day and of its requests."""
        require_count(args, 0)
        try:
            return await self._client._call(pack(b"TRANSIENTINFO", *self._acting(uid, pid)), answers.transient_info)
        except (ServiceOperationError, TransactionError) as error:
            raise requests.not_connected(error) from error.__cause__

    # Continuous tasks.

    async def start_background_running(self, *args: Any, uid: int | None = None, pid: int | None = None) -> int:
        """Begin a continuous task of an ability."""
        return await self._client._call(requests.start_running(args, self._acting(uid, pid)), int)

    async def update_background_running(self, *args: Any, uid: int | None = None, pid: int | None = None) -> None:
        """Give the task of an ability other modes."""
        await self._client._call(requests.update_running(args, self._acting(uid, pid)), answers.string)

    async def stop_background_running(self, *args: Any, uid: int | None = None, pid: int | None = None) -> None:
        """End the task of an ability."""
        await self._client._call(requests.stop_running(args, self._acting(uid, pid)), answers.string)

    async def continuous_tasks(self, uid: int | None = None) -> list[ContinuousTask]:
        """Return the continuous tasks that run, of one uid or all, by ascending id."""
        got: list[ContinuousTask] = []
        while True:
            page = await self._client._call(requests.running(uid, got[-1].id if got else 0), answers.continuous_tasks)
            got += page
            if len(page) < requests.PAGE:
                return got

    async def keeps_running(self, uid: int) -> bool:
        """Whether an app has an open transient request or a continuous task."""
        return await self._client._call(pack(b"KEEPSRUNNING", commands.number(uid, "uid")), answers.yes_or_no)

    # What the host tells.

    async def set_foreground(self, uid: int, pid: int, is_foreground: bool) -> None:
        """Tell that a process has gone to the foreground, or has left it."""
        words = commands.number(uid, "uid"), commands.number(pid, "pid")
        await self._client._call(requests.state(b"FOREGROUND", is_foreground, *words), answers.string)

    async def set_screen(self, is_on: bool) -> None:
        """Tell that the screen is on, or off."""
        await self._client._call(requests.state(b"SCREEN", is_on), answers.string)

    async def set_battery(self, is_low: bool) -> None:
        """Tell that the battery is low, or no longer."""
        await self._client._call(requests.state(b"BATTERY", is_low), answers.string)

    # Events.

    async def last_sequence(self) -> int:
        """Return the number of the last event of tasks."""
        return await self._client._call(TASKS.last, int)

    async def follow(
        self,
        *,
        kinds: Iterable[TaskEventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        on_gap: Callable[[int], object] | None = None,
    ) -> AsyncIterator[TaskEvent]:
        """Iterate over the events of tasks from the beginning of the iteration on; see ``AsyncClient.follow``.

        Callers that are not native have those of their own uid, which they name: ``uids=[os.getuid()]``.
        """
        place = Place(*await self._client._standing(TASKS))
        async for event in self._client._following(TASKS, place, TASKS.which(kinds, uids), on_gap=on_gap):
            yield event

    async def _close(self) -> None:
        """Hear that the client is closed."""
        tasks = [listener.task for listener in self._listeners.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Listener:
    """Hears of the open requests of a uid, and calls their callbacks, in a task of its own, while there are some."""

    def __init__(
        self,
        client: Asking,
        place: Place,
        uid: int,
        lock: asyncio.Lock,
        open_requests: OpenRequests,
        listeners: "dict[int, _Listener]",
    ) -> None:
        self._client = client
        self._place = place
        self._uid = uid
        self._lock = lock
        self._open = open_requests
        self._listeners = listeners
        self._instance = ""
        # Nobody has heard what became of requests that are open still when one has ended before.
        self._is_in_doubt = open_requests.has_of(uid)
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        events = self._client._following(
            TASKS,
            self._place,
            TASKS.which(requests.HEARD, [self._uid]),
            on_gap=self._doubt,
            on_begin=self._begin,
            is_patient=True,
        )
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    async with self._lock:
                        function = self._open.heard(self._instance, event)
                    self._call(function)
                    async with self._lock:
                        self.leave_if_idle()
        except Exception:  # noqa: BLE001 - there is nobody to raise it to
            _log.exception("callbacks of transient tasks are not called any more")
        finally:
            self._leave()

    def _leave(self) -> bool:
        if self._listeners.get(self._uid) is not self:
            return False
        del self._listeners[self._uid]
        return True

    def leave_if_idle(self) -> None:
        """End if no request of its uid is open. The lock is held."""
        if not self._open.has_of(self._uid) and self._leave():
            self.task.cancel()

    def _doubt(self, _missed: int) -> None:
        self._is_in_doubt = True

    async def _begin(self, told: Any) -> None:
        self._instance = answers.hello(told, b"instance")
        if self._is_in_doubt:
            await self._settle()

    async def _settle(self) -> None:
        """After events have been lost, ask which requests there still are: those that have gone are over."""
        async with self._lock:
            doubtful = self._open.in_doubt(self._instance, self._uid)
        for asked, command in doubtful:
            reply: object = None
            if command is not None:
                try:
                    reply = await self._client._call(command, int)
                except BusinessError as error:
                    if is_passing(error):
                        raise  # it is tried again
                    reply = error
            self._call(self._open.settle(asked, reply))
        self._is_in_doubt = False
        async with self._lock:
            self.leave_if_idle()

    def _call(self, function: Callable[[], object] | None) -> None:
        if function is None:
            return
        try:
            refuse_coroutine(function(), "the callback")
        except Exception:  # noqa: BLE001 - the others have to be called
            _log.exception("%r, the callback of a transient task, raised", function)
