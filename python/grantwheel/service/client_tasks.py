"""The tasks of the service for its clients: the calls of `grantwheel.Tasks`, answered by another process."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from grantwheel import ServiceOperationError, TransactionError
from grantwheel._callback import refuse_coroutine
from grantwheel.service import client_answers as answers
from grantwheel.service import client_commands as commands
from grantwheel.service import client_requests as requests
from grantwheel.service.client_commands import pack
from grantwheel.service.client_events import (
    ClientSubscription,
    ClientSubscriptions,
    Follower,
    Place,
    Reading,
    standing,
)
from grantwheel.service.client_link import Link, is_passing
from grantwheel.service.client_requests import OpenRequests, Words
from grantwheel.service.client_streams import TASKS
from grantwheel.tasks.arguments import require_count
from grantwheel.tasks.values import ContinuousTask, DelaySuspendInfo, TaskEvent, TaskEventKind, TransientTaskInfo

_log = logging.getLogger("grantwheel")
_JOIN_S: Final = 1.0
_PATIENCE_S: Final = 30.0


class Asking(Reading, Protocol):
    """What tasks use of their client."""

    _own: tuple[int, int]

    def _require_open(self) -> None: ...


class ClientTasks:
    """The transient and continuous tasks of the service: what ``Client.tasks`` is. Thread-safe.

    The calls, answers and errors are those of `grantwheel.Tasks`, and 9800004 and 9800003 as of the client. The caller
    is this process; peers that the policy of the service lists can name another uid and pid (else 201). For each uid
    that has open requests there are one thread and one connection, which end with the last of these.
    """

    def __init__(self, client: Asking) -> None:
        self._client = client
        self._subscriptions = ClientSubscriptions(client, TASKS)
        self._lock = threading.RLock()  # from when a request is sent until its callback is known
        self._open = OpenRequests()
        self._listeners: dict[int, _Listener] = {}  # by uid: those that have open requests

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client!r}>"

    def _acting(self, uid: int | None, pid: int | None) -> Words:
        return requests.acting(self._client._own, uid, pid)

    # Transient tasks.

    def request_suspend_delay(
        self, *args: Any, name: str | None = None, uid: int | None = None, pid: int | None = None
    ) -> DelaySuspendInfo:
        """Ask for some time in the background; see `grantwheel.Tasks.request_suspend_delay`.

        The callback is called in this process, once, by a thread that all callbacks of a uid have together. When the
        service was started anew and has kept the request, that happens in its time; when it has not, the request is
        over, and the callback is called as soon as that is known.
        """
        reason, function = requests.suspend_delay(args, "See grantwheel.aio.connect")
        acting = self._acting(uid, pid)
        uid = requests.uid_of(acting, self._client._own)
        with self._lock:
            self._client._require_open()
            self._listen(uid)
            try:
                asked = self._open.asked_with(function, name, acting, uid)
                command = pack(b"SUSPENDDELAY", reason, asked.name, *acting)
                told, reply = self._client._send_many(pack(b"HELLO") + command, 2)
                for one in (told, reply):
                    if isinstance(one, Exception):
                        raise one
                granted = answers.delay(reply)
                self._open.opened(answers.hello(told, b"instance"), granted.requestId, asked)
            finally:
                self._let_go(uid)
        return granted

    def _listen(self, uid: int) -> None:
        """Have somebody hear of the requests of a uid from now on, before the first of them is made."""
        if uid not in self._listeners:
            place = Place(*standing(self._client, TASKS))
            listener = _Listener(self._client, place, uid, self._lock, self._open, self._listeners)
            listener.thread.start()
            self._listeners[uid] = listener

    def _let_go(self, uid: int) -> None:
        """Have nobody hear of the requests of a uid any more, if none is open. The lock is held."""
        if (listener := self._listeners.get(uid)) is not None:
            listener.leave_if_idle()

    def cancel_suspend_delay(self, *args: Any, uid: int | None = None, pid: int | None = None) -> None:
        """End a request; see `grantwheel.Tasks.cancel_suspend_delay`."""
        command = requests.of_request(b"CANCELDELAY", args, self._acting(uid, pid))
        with self._open.giving_back(int(args[0])) as asked:
            self._client._call(command, answers.string)
        with self._lock:
            self._open.drop(asked)
            if asked is not None:
                self._let_go(asked.uid)

    def remaining_delay_time(self, *args: Any, uid: int | None = None, pid: int | None = None) -> int:
        """Return what is left of a request, in ms; see `grantwheel.Tasks.remaining_delay_time`."""
        return self._client._call(requests.of_request(b"REMAININGDELAY", args, self._acting(uid, pid)), int)

    def transient_task_info(self, *args: Any, uid: int | None = None, pid: int | None = None) -> TransientTaskInfo:
        """Return what the app has left; see `grantwheel.Tasks.transient_task_info`.

        9900004 stands for a service that cannot be reached, and for an exchange that broke off, too.
        """
        require_count(args, 0)
        try:
            return self._client._call(pack(b"TRANSIENTINFO", *self._acting(uid, pid)), answers.transient_info)
        except (ServiceOperationError, TransactionError) as error:
            raise requests.not_connected(error) from error.__cause__

    # Continuous tasks.

    def start_background_running(self, *args: Any, uid: int | None = None, pid: int | None = None) -> int:
        """Begin a continuous task of an ability; see `grantwheel.Tasks.start_background_running`."""
        return self._client._call(requests.start_running(args, self._acting(uid, pid)), int)

    def update_background_running(self, *args: Any, uid: int | None = None, pid: int | None = None) -> None:
        """Give the task of an ability other modes; see `grantwheel.Tasks.update_background_running`."""
        self._client._call(requests.update_running(args, self._acting(uid, pid)), answers.string)

    def stop_background_running(self, *args: Any, uid: int | None = None, pid: int | None = None) -> None:
        """End the task of an ability; see `grantwheel.Tasks.stop_background_running`."""
        self._client._call(requests.stop_running(args, self._acting(uid, pid)), answers.string)

    def continuous_tasks(self, uid: int | None = None) -> list[ContinuousTask]:
        """Return the continuous tasks that run, of one uid or all, by ascending id. Of others for native callers."""
        got: list[ContinuousTask] = []
        while True:
            page = self._client._call(requests.running(uid, got[-1].id if got else 0), answers.continuous_tasks)
            got += page
            if len(page) < requests.PAGE:
                return got

    def keeps_running(self, uid: int) -> bool:
        """Whether an app has an open transient request or a continuous task. Of others for native callers."""
        return self._client._call(pack(b"KEEPSRUNNING", commands.number(uid, "uid")), answers.yes_or_no)

    # What the host tells: for peers that the policy of the service lists as administrators.

    def set_foreground(self, uid: int, pid: int, is_foreground: bool) -> None:
        """Tell that a process has gone to the foreground, or has left it."""
        words = commands.number(uid, "uid"), commands.number(pid, "pid")
        self._client._call(requests.state(b"FOREGROUND", is_foreground, *words), answers.string)

    def set_screen(self, is_on: bool) -> None:
        """Tell that the screen is on, or off."""
        self._client._call(requests.state(b"SCREEN", is_on), answers.string)

    def set_battery(self, is_low: bool) -> None:
        """Tell that the battery is low, or no longer."""
        self._client._call(requests.state(b"BATTERY", is_low), answers.string)

    # Events.

    @property
    def last_sequence(self) -> int:
        """The number of the last event of tasks."""
        return self._client._call(TASKS.last, int)

    def subscribe(
        self,
        subscriber: object,
        *,
        kinds: Iterable[TaskEventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        batch: bool = False,
        on_gap: Callable[[int], object] | None = None,
    ) -> ClientSubscription[TaskEvent]:
        """Start a subscription: every event of tasks from now on; see ``Client.subscribe``.

        Callers that are not native have those of their own uid, which they name: ``uids=[os.getuid()]``.
        """
        self._client._require_open()
        return self._subscriptions.add(subscriber, kinds=kinds, uids=uids, batch=batch, on_gap=on_gap)

    def unsubscribe(self, subscriber: object) -> None:
        """End the subscription of a subscriber; see ``Client.unsubscribe``."""
        self._client._require_open()
        self._subscriptions.cancel(subscriber)

    def drain(self, limit: int | None = None) -> list[TaskEvent]:
        """Return the events since the last drain; the first one begins with those from then on. For native callers."""
        self._client._require_open()
        return self._subscriptions.drain(limit)

    @property
    def missed(self) -> int:
        """How many events were overwritten before they were drained."""
        return self._subscriptions.missed

    def _close(self) -> None:
        """Hear that the client is closed: its requests go on, and their callbacks are not called any more."""
        self._subscriptions.close()
        with self._lock:
            listeners = list(self._listeners.values())
            self._open.close()
        for listener in listeners:
            listener.end()


class _Listener(Follower[TaskEvent]):
    """Hears of the open requests of a uid, and calls their callbacks, in a thread of its own, while there are some."""

    def __init__(
        self,
        client: Asking,
        place: Place,
        uid: int,
        lock: threading.RLock,
        open_requests: OpenRequests,
        listeners: "dict[int, _Listener]",
    ) -> None:
        wanted = TASKS.which(requests.HEARD, [uid])
        super().__init__(client, TASKS, place, wanted, on_gap=self._doubt, is_patient=True)
        self._uid = uid
        self._lock = lock
        self._open = open_requests
        self._listeners = listeners
        # Nobody has heard what became of requests that are open still when one has ended before.
        self._is_in_doubt = open_requests.has_of(uid)
        self.thread = threading.Thread(target=self._run, name="grantwheel callbacks of tasks", daemon=True)

    def end(self) -> None:
        """Call nobody any more."""
        self.stop()
        if threading.current_thread() is not self.thread:
            self.thread.join(_JOIN_S)

    def leave_if_idle(self) -> None:
        """End if no request of its uid is open. The lock is held."""
        if not self._open.has_of(self._uid):
            self._leave()
            self.stop()

    def _leave(self) -> None:
        if self._listeners.get(self._uid) is self:
            del self._listeners[self._uid]

    def _run(self) -> None:
        try:
            for events in self.batches():
                for event in events:
                    with self._lock:
                        function = self._open.heard(self._instance, event)
                    self._call(function)
                with self._lock:
                    self.leave_if_idle()
        except Exception:  # noqa: BLE001 - there is nobody to raise it to
            _log.exception("callbacks of transient tasks are not called any more")
        finally:
            with self._lock:
                self._leave()

    def _begin(self) -> None:
        super()._begin()
        self._instance = answers.hello(self.told, b"instance")
        self._settle()

    def _next(self) -> list[TaskEvent]:
        events = super()._next()
        self._settle()
        return events

    def _doubt(self, _missed: int) -> None:
        self._is_in_doubt = True

    def _settle(self) -> None:
        """After events have been lost, ask which requests there still are: those that have gone are over."""
        if not self._is_in_doubt:
            return
        with self._lock:
            doubtful = self._open.in_doubt(self._instance, self._uid)
        with contextlib.closing(Link(self._link.path, _PATIENCE_S)) as link:  # on this one there are pushes between
            for asked, command in doubtful:
                reply = None if command is None else link.exchange(command)
                if isinstance(reply, Exception) and is_passing(reply):
                    raise reply  # it is tried again
                with self._lock:
                    function = self._open.settle(asked, reply)
                self._call(function)
        self._is_in_doubt = False
        with self._lock:
            self.leave_if_idle()

    def _call(self, function: Callable[[], object] | None) -> None:
        if function is None or self._open.is_closed:
            return
        try:
            refuse_coroutine(function(), "the callback")
        except BaseException:  # noqa: BLE001 - SystemExit too: it would end the thread and nothing else
            _log.exception("%r, the callback of a transient task, raised", function)
