"""The service as a way into the engine: ``--face service``. A server in a thread, and a client for each caller.

Who calls is what the server is told by its argument ``identify``: the caller of the step. Nothing that a client sends
could say so.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import grantwheel
from conformance_durable import RestartingFace
from conformance_face import Answer, Json, Row, caller_of
from conformance_tasks import TaskFace
from grantwheel.service.client import Client
from grantwheel.service.peers import Peer
from service_thread import ServiceThread

ADMIN: Final = {"uid": 0, "pid": 1, "native": True}
DRIVEN: Final = ("advance", "next_deadline")  # as the manager is, by the clock of the scenario


class ServiceTaskFace(TaskFace):
    """The tasks of the server, through its clients."""

    def __init__(self, face: "ServiceFace", policy: Row) -> None:
        super().__init__(policy)
        self._face = face
        self.is_served = False

    @property
    def own(self) -> grantwheel.Tasks:
        """Those that the server has."""
        return super().tasks

    @property
    def tasks(self) -> Any:
        """The calls of tasks, each by the client of its caller."""
        return TasksOfClients(self._face, self.own)

    def fetch(self) -> None:
        if self.is_served:
            super().fetch()


class TasksOfClients:
    """Has the calls of tasks: those without a caller are the administrator's."""

    def __init__(self, face: "ServiceFace", own: grantwheel.Tasks) -> None:
        self._face = face
        self._own = own

    def __getattr__(self, name: str) -> Any:
        if name in DRIVEN:
            return getattr(self._own, name)

        def call(*args: Any, caller: grantwheel.Caller | None = None, **others: Any) -> Any:
            return getattr(self._face.client_for_tasks(caller).tasks, name)(*args, **others)

        return call


class ServiceFace(RestartingFace):
    """The engine through a socket. A restart is one of the server; clients and their subscribers stay."""

    def __init__(self, policy: Row) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="grantwheel-")
        self._path = Path(self._folder.name) / "s"
        self._peer = Peer(uid=0, pid=1)
        self._clients: dict[str, Client] = {}
        super().__init__(policy)
        self._serve()

    def _make_tasks(self, policy: Row) -> TaskFace:
        self._task_face = ServiceTaskFace(self, policy)
        self._task_face.begin(self._manager)
        return self._task_face

    def _serve(self) -> None:
        self._server = ServiceThread(
            self._manager,
            self._path,
            identify=lambda _socket: self._peer,
            instance=self._manager.recovery.instance,
            tasks=self._task_face.own,
        )
        self._task_face.is_served = True
        self._task_face.fetch()  # from here on

    def _as(self, caller: Row) -> Client:
        """Return the client of a caller, and let it be the one that connects, if anybody does."""
        who = caller_of(caller)
        self._peer = Peer(uid=who.uid, pid=who.pid, caller=who, may_act_for=caller is ADMIN, is_admin=caller is ADMIN)
        client = self._clients.get(repr(who))
        if client is None:
            client = self._clients[repr(who)] = grantwheel.connect(self._path)
            client._own = (who.uid, who.pid)
        return client

    def client_for_tasks(self, who: grantwheel.Caller | None) -> Client:
        """Return the client of a caller for its tasks.

        All of these are of one process, so that a name stands for the same callback, whoever the caller is. No
        callback is called: the events say whose turn it is.
        """
        if who is None:
            return self._admin
        self._peer = Peer(uid=ADMIN["uid"], pid=ADMIN["pid"], caller=who)
        key = f"tasks of {who!r}"
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = grantwheel.connect(self._path)
            client._own = (who.uid, who.pid)
            client.tasks._listen = lambda uid: None  # type: ignore[method-assign]
        return client

    @property
    def _admin(self) -> Client:
        return self._as(ADMIN)

    def apply(self, caller: Row, args: Sequence[Json]) -> Answer:
        return self._answer(lambda: self._as(caller).apply_request(*args))

    def apply_typed(self, caller: Row, request: Row) -> Answer:
        who, client = caller_of(caller), self._as(caller)
        mask, process, level = request["mask"], request["is_process"], request["cpu_level"]
        if not request["is_apply"]:
            return self._answer(lambda: client.release(who.uid, who.pid, mask, process=process, cpu_level=level))
        return self._answer(
            lambda: client.apply(
                who.uid,
                who.pid,
                mask,
                request["timeout_ms"],
                persist=request["is_persist"],
                process=process,
                reason=request["reason"],
                cpu_level=level,
            )
        )

    def reset_all(self, caller: Row) -> Answer:
        return self._answer(lambda: self._as(caller).reset_all_request())

    def query(self, caller: Row) -> Answer:
        return self._answer(lambda: [row._asdict() for row in self._as(caller).get_all()])

    def infos(self, caller: Row) -> Answer:
        def call() -> dict[str, list[Row]]:
            infos = self._as(caller).infos()
            return {
                "apps": [row._asdict() for row in infos.apps],
                "processes": [row._asdict() for row in infos.processes],
            }

        return self._answer(call)

    def _administrate(self, call: Callable[[Client], Any]) -> Answer:
        return self._answer(lambda: call(self._admin))

    def process_died(self, uid: int, pid: int) -> Answer:
        return self._administrate(lambda admin: admin.process_died(uid, pid))

    def app_stopped(self, uid: int) -> Answer:
        return self._administrate(lambda admin: admin.app_stopped(uid))

    def package_removed(self, uid: int) -> Answer:
        return self._administrate(lambda admin: admin.package_removed(uid))

    def admin_list(self) -> Answer:
        return self._administrate(Client.admin_list)

    def admin_reset_all(self) -> Answer:
        return self._administrate(Client.admin_reset_all)

    def admin_reset_app(self, uid: int, mask: int) -> Answer:
        return self._administrate(lambda admin: admin.admin_reset_app(uid, mask))

    def admin_reset_process(self, pid: int, mask: int) -> Answer:
        return self._administrate(lambda admin: admin.admin_reset_process(pid, mask))

    def subscribe(self, subscriber: str | None, caller: Row | None) -> Answer:
        """Subscribe through the one client that knows of all subscribers, if the caller may."""
        if subscriber is not None and caller is not None:
            may = self._answer(lambda: self._as(caller).last_sequence)
            if may.code != 0:
                return may
        answer = self._administrate(lambda admin: admin.subscribe(subscriber))
        if subscriber is not None and answer.code == 0:
            self._subscriptions[subscriber] = answer.value
        return answer

    def unsubscribe(self, subscriber: str | None) -> Answer:
        if subscriber in self._subscriptions:
            self._fetch(subscriber)
            del self._subscriptions[subscriber]
        return self._administrate(lambda admin: admin.unsubscribe(subscriber))

    def _fetch(self, subscriber: str) -> None:
        _ = self._admin  # it may have to connect again
        super()._fetch(subscriber)

    def next_deadline(self) -> int | None:
        deadlines = self._admin.next_deadline(), self._task_face.own.next_deadline()
        return min((at for at in deadlines if at is not None), default=None)

    def record(self, kind: str, key: int) -> Row | None:
        found: Row | None = self._through_the_socket(lambda: super(ServiceFace, self).record(kind, key))
        return found

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self._through_the_socket(super().counts)
        return counts

    def _through_the_socket(self, call: Callable[[], Any]) -> Any:
        """Let what reads of a manager read of a client."""
        manager, self._manager = self._manager, self._admin
        try:
            return call()
        finally:
            self._manager = manager

    def restart(self, *, running: Sequence[Sequence[int]], down_ms: int, rebooted: bool, corrupt: bool) -> None:
        """Stop the server, and start another one where it was. Subscribers fetch what they have first."""
        for subscriber in self._subscriptions:
            self._fetch(subscriber)
        self._task_face.fetch()
        self._task_face.is_served = False
        self._server.stop()
        subscriptions, self._subscriptions = self._subscriptions, {}
        super().restart(running=running, down_ms=down_ms, rebooted=rebooted, corrupt=corrupt)
        self._subscriptions = subscriptions
        self._serve()
        for subscriber in subscriptions:
            self._fetch(subscriber)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._server.stop()
        super().close()
        self._folder.cleanup()
