"""Watching processes: whose end is told to a manager at once, without looking for it.

The kernel tells the end of a process through a descriptor of it, a pidfd, which stands for this process whoever has its
pid later. One thread for each manager sleeps on all of them while anything is watched.
"""

import atexit
import contextlib
import errno
import logging
import os
import resource
import select
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from . import _core
from .procfs import Identity, read_identity
from .subscription import refuse_to_pickle

if TYPE_CHECKING:
    from .manager import Manager

__all__ = ["Watch", "watch"]

_logger = logging.getLogger("grantwheel")

_PROC = Path("/proc")
_MAX_PID = 2**31 - 1
_T = TypeVar("_T")

# How long a death that the manager did not take waits for the next attempt, in s.
_RETRY_SECONDS = 1.0
# How long the last `cancel` waits for the thread to end, in s. It ends at once, unless a hook of the manager is slow.
_JOIN_SECONDS = 1.0


def watch(manager: "Manager", pid: int, *, start_ticks: int | None = None, stops_app: bool = True) -> "Watch":
    """Tell a manager when a process ends.

    That is a call of `grantwheel.Manager.process_died`, and with the last watched process of a uid one of
    `grantwheel.Manager.app_stopped`. It comes about as soon as the process has ended, whether or not the process is a
    child of this one and whether or not anybody waits for it. A process may be watched more than once.

    Parameters
    ----------
    manager : Manager
        Who is told.
    pid : int
        The process. Its uid is the real one that it has now.
    start_ticks : int
        When the process started, as ``/proc/PID/stat`` has it (field 22), for who has known it for longer: then a
        process that has got its pid since is not taken for it. Default: whoever has the pid now.
    stops_app : bool
        Whether this death stops the app when it is that of the last watched process of the uid. False for who watches
        some processes of an app only, and knows better when it has stopped.

    Returns
    -------
    Watch
        Its ``cancel()`` ends it.

    Raises
    ------
    ProcessLookupError
        There is no such process, or it has ended, or it has another start time.
    ValueError
        The pid is not within 1..2^31-1, or is that of a thread.
    PermissionError
        ``/proc`` does not tell the uid of the process.
    OSError
        The kernel is older than Linux 5.3 (``ENOSYS``). Or the limit of open files, ``RLIMIT_NOFILE``, is used up
        though its soft limit has been raised to the hard one (``EMFILE``).
    BusinessError
        9800004: the manager is closed.
    """
    if not 0 < pid <= _MAX_PID:
        raise ValueError("pid must be within 1..2^31-1")
    manager.last_sequence()  # refused when it is closed
    while True:
        watch = _watcher_of(manager).add(pid, start_ticks, stops_app)
        if watch is not None:
            return watch


class Watch:
    """A process that is watched for a manager; see `watch`."""

    def __init__(self, watcher: "_Watcher", pid: int, identity: Identity, descriptor: int, *, stops_app: bool) -> None:
        self._watcher = watcher
        self._descriptor = descriptor
        self._stops_app = stops_app
        self._state = "watching"
        self._pid = pid
        self._identity = identity

    def __repr__(self) -> str:
        return f"<Watch of pid {self._pid} uid {self.uid} started at {self.start_ticks}, {self._state}>"

    __reduce_ex__ = refuse_to_pickle

    @property
    def pid(self) -> int:
        """The process."""
        return self._pid

    @property
    def uid(self) -> int:
        """The real uid that the process had when the watch began."""
        return self._identity.uid

    @property
    def start_ticks(self) -> int:
        """When the process started, in clock ticks of the kernel since boot. With the pid it names the process."""
        return self._identity.start_ticks

    @property
    def state(self) -> str:
        """What has become of it. It is "watching", "died" (the manager has been told), or "cancelled"."""
        return self._state

    def cancel(self) -> None:
        """End the watch: the manager will not be told. Does nothing when it has ended already."""
        self._watcher.cancel(self)


class _Watcher:
    """All watches of one manager, from the first to the last one; then its thread ends, and the next gets a new one.

    The thread alone waits on the epoll, and closes it when it ends. Everything else happens under the lock, whoever
    does it.
    """

    def __init__(self, manager: "Manager") -> None:
        self.process = os.getpid()
        # Weak: when nobody else has the manager, nobody can see what would be told to it.
        self._manager = weakref.ref(manager, self._ring)
        # Held while the manager is told, so that no process of a uid is added while its app is stopped. Reentrant: a
        # hook of the manager may come back here.
        self._lock = threading.RLock()
        self._watches: dict[int, Watch] = {}  # by descriptor: those that live
        self._dead: deque[Watch] = deque()  # those that the manager has not been told of
        self._of_uid: Counter[int] = Counter()  # the number of both
        self._ended = False
        self._bell = _Bell()
        self._epoll = _with_descriptors(select.epoll)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="grantwheel-processes", daemon=True)
        self._thread.start()

    def add(self, pid: int, start_ticks: int | None, stops_app: bool) -> Watch | None:
        """Begin a watch. None when this watcher has ended meanwhile."""
        with self._lock:
            if self._ended:
                return None
            try:
                # Should the pid have been that of another process, its death is told before.
                self._note(self._epoll.poll(0))
                descriptor = _open(pid)
                try:
                    identity = _identify(pid, descriptor, start_ticks)
                    watch = Watch(self, pid, identity, descriptor, stops_app=stops_app)
                    self._epoll.register(descriptor, select.EPOLLIN)
                except BaseException:
                    os.close(descriptor)
                    raise
                self._watches[descriptor] = watch
                self._of_uid[watch.uid] += 1
            finally:
                self._end_if_idle()
            return watch

    def cancel(self, watch: Watch) -> None:
        """End a watch."""
        if os.getpid() != self.process:
            return  # in the child of a fork the watch is the parent's
        with self._lock:
            if watch.state != "watching":
                return
            if self._watches.get(watch._descriptor) is watch:
                self._close(watch)
            else:
                self._dead.remove(watch)
            self._drop(watch, "cancelled")
            self._end_if_idle()
            has_ended = self._ended
        if has_ended and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)

    def end(self) -> None:
        """Cancel every watch."""
        if os.getpid() == self.process:
            with self._lock:
                watches = [*self._watches.values(), *self._dead]
            for watch in watches:
                self.cancel(watch)

    def _ring(self, _manager: object = None) -> None:
        if os.getpid() == self.process:
            self._bell.ring()

    def _run(self) -> None:
        try:
            while not self._ended:
                ready = self._epoll.poll(_RETRY_SECONDS if self._dead else None)
                with self._lock:
                    self._bell.clear()
                    self._note(ready)
                    self._end_if_idle()
        finally:
            with self._lock:
                self._ended = True
                self._epoll.close()
                self._bell.close()

    def _note(self, ready: list[tuple[int, int]]) -> None:
        """Take note of the processes whose descriptors are ready, and tell the manager."""
        for descriptor, _ in ready:
            watch = self._watches.get(descriptor)
            # The number may have become that of another one since it was ready.
            if watch is not None and _has_ended(descriptor):
                self._close(watch)
                self._dead.append(watch)
        manager = self._manager()
        if manager is None:
            self._cancel_all()
            return
        while self._dead:
            watch = self._dead[0]
            try:
                manager.process_died(watch.uid, watch.pid)
                if watch._stops_app and self._of_uid[watch.uid] == 1:
                    manager.app_stopped(watch.uid)
            except _core.ServiceOperationError:  # it is closed: deaths are honoured in all other states
                self._cancel_all()
                return
            except Exception:
                _logger.exception("the death of pid %d could not be told; it is tried again", watch.pid)
                return
            self._dead.popleft()
            self._drop(watch, "died")

    def _cancel_all(self) -> None:
        for watch in [*self._watches.values(), *self._dead]:
            if watch._descriptor in self._watches:
                self._close(watch)
            self._drop(watch, "cancelled")
        self._dead.clear()

    def _close(self, watch: Watch) -> None:
        del self._watches[watch._descriptor]
        self._epoll.unregister(watch._descriptor)
        os.close(watch._descriptor)

    def _drop(self, watch: Watch, state: str) -> None:
        watch._state = state
        self._of_uid[watch.uid] -= 1
        if self._of_uid[watch.uid] == 0:
            del self._of_uid[watch.uid]

    def _end_if_idle(self) -> None:
        if not self._watches and not self._dead and not self._ended:
            self._ended = True
            self._bell.ring()


class _Bell:
    """Wakes a thread that polls it."""

    def __init__(self) -> None:
        self._descriptor = _with_descriptors(lambda: os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        # A weakref callback may ring it at any time, while it is being closed too.
        self._lock = threading.RLock()

    def fileno(self) -> int:
        return self._descriptor

    def ring(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _open(pid: int) -> int:
    """Return a descriptor of the process that has the pid now."""
    try:
        return _with_descriptors(lambda: os.pidfd_open(pid))
    except (AttributeError, OSError) as error:
        reason = getattr(error, "errno", None) or errno.ENOSYS
        if reason == errno.ENOSYS:
            raise OSError(errno.ENOSYS, "processes can be watched with pidfd_open, from Linux 5.3 on") from error
        if reason == errno.ESRCH:
            raise ProcessLookupError(errno.ESRCH, f"there is no process {pid}") from None
        if reason in (errno.EINVAL, errno.ENOENT):
            raise ValueError(f"pid must be that of a process; {pid} is that of a thread") from error
        raise


def _identify(pid: int, descriptor: int, start_ticks: int | None) -> Identity:
    """Return who the process of the descriptor is.

    The pid cannot become another's before its process has ended. So what ``/proc`` says of the pid is said of this
    process, if this has not ended by then.
    """
    identity = None
    with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
        identity = _with_descriptors(lambda: read_identity(_PROC, pid))
    if _has_ended(descriptor):
        raise ProcessLookupError(errno.ESRCH, f"process {pid} has ended")
    if identity is None:
        raise PermissionError(errno.EACCES, f"/proc does not tell the uid of process {pid}")
    if start_ticks is not None and identity.start_ticks != start_ticks:
        raise ProcessLookupError(
            errno.ESRCH,
            f"process {pid} started at {identity.start_ticks}, and is not the one of {start_ticks}",
        )
    return identity


def _has_ended(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _with_descriptors(call: Callable[[], _T]) -> _T:
    """Make a call that needs a descriptor; when there is none left, raise the limit of open files and call again."""
    try:
        return call()
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        return call()
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        message = f"watching takes a file for each process, and RLIMIT_NOFILE is used up (soft {soft}, hard {hard})"
        raise OSError(errno.EMFILE, message) from None


_watchers: weakref.WeakKeyDictionary["Manager", _Watcher] = weakref.WeakKeyDictionary()
_looking_up = threading.RLock()


def _watcher_of(manager: "Manager") -> _Watcher:
    with _looking_up:
        watcher = _watchers.get(manager)
        if watcher is None or watcher._ended:
            watcher = _watchers[manager] = _Watcher(manager)
        return watcher


def _forget_all() -> None:
    """In the child of a fork: the watches are the parent's, and the lock may have been held by another thread."""
    global _looking_up
    _looking_up = threading.RLock()
    _watchers.clear()


os.register_at_fork(after_in_child=_forget_all)


@atexit.register
def _end_all() -> None:
    for watcher in list(_watchers.values()):
        watcher.end()
