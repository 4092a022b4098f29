"""What a user holds at the service, kept in a manager of this process."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from grantwheel import BusinessError, Manager, PermissionDeniedError, QueryServiceError, ResourceType

if TYPE_CHECKING:
    from grantwheel.service.client import Client

_CPU = ResourceType.CPU
_NATIVE_S: Final = 5.0  # between two questions, for whoever is told of changes
_OTHERS_S: Final = 1.0
_SOME_PROCESS: Final = 1


class Mirror:
    """Has a manager hold what the service says that a user holds, in a thread of its own.

    Parameters
    ----------
    grants : Client
        The service. Its user is the one of this process.
    manager : Manager
        Who is to hold the same: without an end, as the service knows when it ends.
    uid : int
        The user.
    on_absence : callable
        Called with whether the service is away, when that changes.
    """

    def __init__(self, grants: "Client", manager: Manager, uid: int, on_absence: Callable[[bool], object]) -> None:
        self._grants = grants
        self._manager = manager
        self._uid = uid
        self._on_absence = on_absence
        self._is_away = False
        self._news = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def __enter__(self) -> Self:
        self._copy()  # whoever may not ask, or does not reach it, is told so
        try:
            self._grants.subscribe(self._hear, uids=[self._uid], on_gap=self._hear)
        except PermissionDeniedError:
            self._pause_s = _OTHERS_S
        else:
            self._pause_s = _NATIVE_S
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._news.set()
        self._thread.join()

    def _hear(self, _news: object) -> None:
        self._news.set()

    def _run(self) -> None:
        while not self._is_over:
            self._news.wait(self._pause_s)
            self._news.clear()
            try:
                self._copy()
            except QueryServiceError:
                self._tell(True)
            except BusinessError:  # it may not be asked any more: it is as if nothing was held
                self._hold(0, False)
            else:
                self._tell(False)

    def _tell(self, is_away: bool) -> None:
        if is_away != self._is_away:
            self._is_away = is_away
            self._on_absence(is_away)

    def _copy(self) -> None:
        rows = self._grants.get_all()
        types = sum({int(row.resourceTypes) for row in rows if not row.isForProcess})
        self._hold(types, any(row.isForProcess and row.resourceTypes & _CPU for row in rows))

    def _hold(self, types: int, process_cpu: bool) -> None:
        """Hold these types, and CPU of a process; nothing else."""
        uid, manager = self._uid, self._manager
        held = manager.app_mask(uid)
        if held & ~types:
            manager.admin_reset_app(uid, held & ~types)
        if types & ~held:
            manager.apply(uid, _SOME_PROCESS, types & ~held, persist=True)
        if process_cpu:
            manager.apply(uid, _SOME_PROCESS, _CPU, persist=True, process=True)
        elif manager.process_mask(_SOME_PROCESS):
            manager.admin_reset_process(_SOME_PROCESS, _CPU)
