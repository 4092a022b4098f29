"""Watches: processes whose end is told to a manager at once, by its loop.

The kernel tells the end of a process through a descriptor of it, a pidfd, which stands for this process whoever has its
pid later.
"""

import errno
import threading
import time
import weakref
from collections.abc import Callable
from enum import StrEnum

from grantwheel import _core
from grantwheel._process import OfOneProcess, end_at_exit
from grantwheel._waiting import wait_until
from grantwheel.linux.pidfd import has_ended, identify, open_process
from grantwheel.linux.procfs import Identity
from grantwheel.run.loop import Loop

_WAIT_S = 1.0  # for another thread that is just telling a death; it is quick, unless a hook of the manager is not


def _nobody() -> None:
    """Stand for a manager that has gone."""


class WatchState(StrEnum):
    """What has become of a watch."""

    WATCHING = "watching"
    DIED = "died"  #: the process has ended, and the manager was told
    CANCELLED = "cancelled"  #: nobody watches any more


class _End:
    """The end of a process, as a source of the loop: its pidfd, and the watch that it is for.

    The pidfd is closed with it: so not while any thread is in a call about it.
    """

    def __init__(self, pid: int) -> None:
        self.watch: Watch | None = None
        self._pidfd = open_process(pid)

    def __repr__(self) -> str:
        return repr(self.watch)

    def fileno(self) -> int:
        return self._pidfd.fileno()

    def ready(self) -> None:
        if self.watch is not None:
            self.watch._look()

    def failed(self, _error: BaseException) -> None:
        if self.watch is not None:
            self.watch._finish(WatchState.CANCELLED)


class Watch(OfOneProcess):
    """A process that is watched for a manager; see `grantwheel.processes.watch`."""

    def __init__(self, watches: "Watches", pid: int, end: _End, identity: Identity, *, stops_app: bool) -> None:
        super().__init__()
        self._watches = watches
        self._pid = pid
        self._end: _End | None = end  # None once it is over
        self._identity = identity
        self._stops_app = stops_app
        self._state = WatchState.WATCHING
        self._claim = threading.Lock()  # held by who tells its end; nobody waits for it
        self._teller = 0  # the thread that does

    def __repr__(self) -> str:
        who = f"pid {self._pid} uid {self._identity.uid} started at {self._identity.start_ticks}"
        return f"<Watch of {who}, {self._state}>"

    @property
    def pid(self) -> int:
        """The process."""
        self._require_here()
        return self._pid

    @property
    def uid(self) -> int:
        """The real uid that the process had when the watch began."""
        self._require_here()
        return self._identity.uid

    @property
    def start_ticks(self) -> int:
        """When the process started, in clock ticks of the kernel since boot. With the pid it names the process."""
        self._require_here()
        return self._identity.start_ticks

    @property
    def state(self) -> WatchState:
        """What has become of it, one of "watching", "died" (the manager has been told) and "cancelled"."""
        self._require_here()
        return self._state

    def cancel(self) -> None:
        """End the watch: afterwards the manager is not told any more. Does nothing when it has ended already.

        Raises
        ------
        BusinessError
            9800004: this is the child of a fork.
        """
        self._require_here()
        if (end := self._end) is not None:
            self._watches._loop.remove(end, wait_s=_WAIT_S)
        self._finish(WatchState.CANCELLED)

    def _look(self) -> None:
        """Tell the end, if it has come."""
        end = self._end
        if self._state is not WatchState.WATCHING:
            self._finish(self._state)  # somebody was interrupted in that
        elif end is not None and has_ended(end.fileno()):
            self._tell()

    def _tell(self) -> None:
        """Tell the manager that the process has ended. If that fails the watch goes on, to try it again."""
        if not self._claim.acquire(blocking=False):
            if self._teller != threading.get_ident():
                wait_until(lambda: not self._claim.locked(), time.monotonic() + _WAIT_S)
            return
        try:
            self._teller = threading.get_ident()
            if self._state is WatchState.WATCHING:
                told = self._watches._tell(self)
                self._finish(WatchState.DIED if told else WatchState.CANCELLED)
        finally:
            self._teller = 0
            self._claim.release()

    def _finish(self, state: WatchState) -> None:
        if self._state is WatchState.WATCHING:
            self._state = state
        end = self._end
        if end is not None:
            self._watches._loop.remove(end)
            end.watch = None  # no circle is left, which would keep the descriptors open for a while
        self._end = None
        self._watches._leave(self)  # last: until then it is found by whoever has to go on with this


class Watches(OfOneProcess):
    """All watches of one manager. While it waits it does not keep the manager alive."""

    def __init__(self, manager: _core.Manager, loop: Loop) -> None:
        super().__init__()
        self._loop = loop
        self._of_uid = _core.Groups()
        self._of_pid = _core.Groups()
        self._has_begun = False  # whether there ever was one
        self._stopping: dict[int, int] = {}  # uids whose app may be being stopped, with the thread that does it
        self._manager: Callable[[], _core.Manager | None] = weakref.ref(manager, self._forget_manager)

    def begin(self, pid: int, start_ticks: int | None, *, stops_app: bool) -> Watch:
        """Begin a watch, as `grantwheel.processes.watch` says."""
        self._require_here()
        for before in self._of_pid.of(pid):  # should the pid have been that of another process, its end is told first
            before._look()
        end = _End(pid)
        identity = identify(pid, end.fileno())
        if start_ticks is not None and identity.start_ticks != start_ticks:
            raise ProcessLookupError(
                errno.ESRCH,
                f"process {pid} started at {identity.start_ticks}, and is not the one of {start_ticks}",
            )
        watch = Watch(self, pid, end, identity, stops_app=stops_app)
        self._has_begun = True
        try:
            end.watch = watch
            self._of_uid.add(identity.uid, watch)
            self._of_pid.add(pid, watch)
            self._loop.add(end)
            end_at_exit(self)
        except BaseException:
            watch._finish(WatchState.CANCELLED)
            raise
        # What the caller applies for now must not be lost to the stop of an app whose last process has just ended.
        me = threading.get_ident()
        wait_until(lambda: self._stopping.get(identity.uid, me) == me, time.monotonic() + _WAIT_S)
        return watch

    def cancel_all(self) -> None:
        """End every watch. Without one it needs no memory: the end of a manager cannot fail half done."""
        if self._has_begun and self._is_here:
            for watch in self._of_pid.all():
                watch.cancel()

    def _tell(self, watch: Watch) -> bool:
        """Tell the manager. Returns whether there was one to be told."""
        manager = self._manager()
        if manager is None:
            return False
        uid = watch._identity.uid
        try:
            manager.process_died(uid, watch._pid)
            if watch._stops_app:
                self._stopping[uid] = threading.get_ident()
                if self._of_uid.of(uid) == [watch]:
                    manager.app_stopped(uid)
        except _core.ServiceOperationError:  # it is closed: deaths are honoured in all other states
            return False
        finally:
            self._stopping.pop(uid, None)
        return True

    def _leave(self, watch: Watch) -> None:
        self._of_uid.discard(watch._identity.uid, watch)
        self._of_pid.discard(watch._pid, watch)

    def _forget_manager(self, _manager: object) -> None:
        self._manager = _nobody  # the reference leads back here, and would keep the loop until the next collection
        if self._is_here:
            for watch in self._of_pid.all():
                watch._finish(WatchState.CANCELLED)

    def _end_at_exit(self, _give_up: float) -> bool:
        self.cancel_all()
        return True
