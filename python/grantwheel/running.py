"""Running a manager: somebody sleeps until the next deadline, ends what is due, and lets subscribers have the events.

`Runner` is what both forms have in common; `ThreadRunner` is the form with a thread, `grantwheel.aio` has the other.
"""

import atexit
import heapq
import itertools
import logging
import os
import select
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from . import _core
from .delivery import is_delivering
from .subscription import refuse_to_pickle

if TYPE_CHECKING:
    from .manager import Manager
    from .subscription import Subscription

_log = logging.getLogger("grantwheel")
SLICE = 1024  # records that one advance ends or moves: well below a millisecond, and others get their turn
PAUSE_S = 1.0  # after an error that will be there the next time too
EXIT_S = 5.0  # so long an exiting interpreter waits for callbacks


class Cancellable(Protocol):
    """What `grantwheel.Runner.call_later` returns."""

    def cancel(self) -> None:
        """Let it not be called, if it has not been."""
        ...


class Runner(ABC):
    """What runs a manager: made by `Manager.running` and `grantwheel.aio.running`.

    `add_reader`, `remove_reader` and `call_later` are for what else has to be done while the manager runs. Their
    callbacks are called one at a time, by the runner's thread or on its loop; they must be quick, as deadlines wait
    meanwhile. One that raises is logged. They may be called from any thread.
    """

    def __init__(self, manager: "Manager") -> None:
        self._manager = manager
        self._pid = os.getpid()
        self._is_on = False

    __reduce_ex__ = refuse_to_pickle

    @property
    def manager(self) -> "Manager":
        """The manager that it runs."""
        return self._manager

    @abstractmethod
    def add_reader(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call back whenever a descriptor is readable, until `remove_reader`."""

    @abstractmethod
    def remove_reader(self, descriptor: int) -> None:
        """Do not watch a descriptor any more. It is fine if it was not watched. To be called before it is closed."""

    @abstractmethod
    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Cancellable:
        """Call back once, after so many seconds."""

    def _begin(self) -> int:
        """Make the manager this runner's, and return the descriptor of its alarm."""
        alarm = _core.alarm_fileno(self._manager)
        self._manager.begin_running(self)
        self._is_on = True
        _live.add(self)
        return alarm

    def _end(self) -> "list[Subscription]":
        """Drive the manager once more, and leave it. Returns whose delivery has still to end."""
        _live.discard(self)
        self._is_on = False
        try:
            settle(self._manager)
        finally:
            subscriptions = self._manager.end_running(self)
        return subscriptions

    def _stop_at_exit(self) -> None:
        """Stop, at the exit of the interpreter, without waiting long."""
        give_up = time.monotonic() + EXIT_S
        for subscription in self._end():
            subscription.join_delivery(max(0.0, give_up - time.monotonic()))


def settle(manager: "Manager") -> None:
    """End all that is due by now, in slices."""
    try:
        now = manager.clock.now()
        while (wake := manager.wake_at()) is not None and wake <= now:
            manager.advance(SLICE)
    except _core.ServiceOperationError:
        pass  # closed: nothing is due any more
    except Exception:  # noqa: BLE001 - logged, and the rest of the end has to come
        _log.exception("a manager could not be driven to its end")


def join(subscriptions: "list[Subscription]") -> None:
    """Wait until they have delivered what there was when the runner ended."""
    for subscription in subscriptions:
        subscription.join_delivery()


def drive(manager: "Manager") -> str:
    """End one slice of what is due.

    Returns "go on"; "pause" after an error; "closed" when nothing will come any more.
    """
    try:
        manager.advance(SLICE)
    except _core.ServiceOperationError:
        return "closed"
    except Exception:  # noqa: BLE001 - logged, and the runner goes on
        _log.exception("a manager could not be driven")
        return "pause"
    return "go on"


def call(callback: Callable[[], object]) -> None:
    """Call, and log what is raised."""
    try:
        callback()
    except BaseException:  # noqa: BLE001 - SystemExit too: the runner has to go on
        _log.exception("%r, a callback of a runner, raised", callback)


class _Later:
    """One call that is to be made."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class _Loop:
    """The loop of the thread: an alarm, descriptors, and calls to be made later. Refers to no manager."""

    def __init__(self, alarm: int) -> None:
        self._lock = threading.Lock()
        self._readers: dict[int, Callable[[], object]] = {}
        self._later: list[tuple[float, int, _Later]] = []
        self._order = itertools.count()
        self._is_open = True
        self.is_stopped = False
        self._poll = select.epoll()
        # A duplicate: it stays valid, and becomes readable, when the manager goes.
        self.alarm = os.dup(alarm)
        try:
            self._nudge = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError:
            os.close(self.alarm)
            raise
        self._poll.register(self._nudge, select.EPOLLIN)
        self._poll.register(self.alarm, select.EPOLLIN)

    def close(self) -> None:
        with self._lock:
            self._is_open = False
            self._readers.clear()
            self._later.clear()
            self._poll.close()
            os.close(self.alarm)
            os.close(self._nudge)

    def nudge(self) -> None:
        with self._lock:
            if self._is_open:
                os.eventfd_write(self._nudge, 1)

    def stop(self) -> None:
        self.is_stopped = True
        self.nudge()

    def add_reader(self, descriptor: int, callback: Callable[[], object]) -> None:
        with self._lock:
            if not self._is_open:
                raise RuntimeError("the runner has stopped")
            if descriptor not in self._readers:
                self._poll.register(descriptor, select.EPOLLIN)
            self._readers[descriptor] = callback

    def remove_reader(self, descriptor: int) -> None:
        with self._lock:
            if self._readers.pop(descriptor, None) is not None:
                self._poll.unregister(descriptor)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> _Later:
        later = _Later(callback)
        with self._lock:
            if not self._is_open:
                raise RuntimeError("the runner has stopped")
            heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._order), later))
            is_first = self._later[0][2] is later
        if is_first:
            self.nudge()
        return later

    def wait(self) -> bool:
        """Wait, and make the calls that have come up. Returns whether the alarm has gone off."""
        ready = self._poll.poll(self._timeout())
        is_due = False
        for descriptor, _ in ready:
            if descriptor == self.alarm:
                is_due = True
            elif descriptor == self._nudge:
                os.eventfd_read(self._nudge)
            elif (reader := self._readers.get(descriptor)) is not None:
                call(reader)
        self._call_due()
        return is_due

    def _timeout(self) -> float | None:
        """How long to wait at most. Calls that were cancelled are forgotten here."""
        with self._lock:
            while self._later and self._later[0][2].callback is None:
                heapq.heappop(self._later)
            return max(0.0, self._later[0][0] - time.monotonic()) if self._later else None

    def _call_due(self) -> None:
        now = time.monotonic()
        while True:
            with self._lock:
                if not self._later or self._later[0][0] > now:
                    return
                later = heapq.heappop(self._later)[2]
            if (callback := later.callback) is not None:
                call(callback)

    def pause(self) -> None:
        """Leave the alarm alone for a while; all else goes on."""
        self._poll.unregister(self.alarm)
        self.call_later(PAUSE_S, lambda: self._poll.register(self.alarm, select.EPOLLIN))


def _run(reference: "weakref.ref[Manager]", loop: _Loop) -> None:
    """Run until the end: the work of the thread. While it waits it does not keep the manager alive."""
    try:
        while not loop.is_stopped:
            if not loop.wait() or loop.is_stopped:
                continue
            manager = reference()
            outcome = "closed" if manager is None else drive(manager)
            del manager
            if outcome == "closed":
                return
            if outcome == "pause":
                loop.pause()
    finally:
        loop.close()


class ThreadRunner(Runner):
    """Runs a manager in a thread of its own, from `start` to `stop` or for the time of a ``with`` block."""

    def __init__(self, manager: "Manager") -> None:
        super().__init__(manager)
        self._loop: _Loop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start.

        Raises
        ------
        RuntimeError
            The manager is running already.
        ValueError
            The clock of the manager is a Python object: nobody can be woken by it.
        BusinessError
            9800004: the manager is closed, or was made before a fork.
        OSError
            The process may not open more descriptors.
        """
        alarm = self._begin()
        try:
            loop = _Loop(alarm)
            # A daemon, so that it goes on for the threads that are none; `_stop_all` joins it at the exit.
            thread = threading.Thread(
                target=_run, args=(weakref.ref(self._manager), loop), name="grantwheel runner", daemon=True
            )
            thread.start()
        except BaseException:
            self._end()
            raise
        self._loop, self._thread = loop, thread

    def stop(self) -> None:
        """Stop, after delivering what has happened by now. It is fine if it has not been started or has stopped.

        Waits for the callbacks of subscriptions to return, but not when it is called by one of them. In the child of a
        fork it does nothing.
        """
        if self._is_on and self._pid == os.getpid():
            self._stop_thread()
            join(self._end())

    def _stop_thread(self) -> None:
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.stop()
        if thread is not threading.current_thread() and not is_delivering():
            thread.join()

    def _stop_at_exit(self) -> None:
        self._stop_thread()
        super()._stop_at_exit()

    def _running_loop(self) -> _Loop:
        if self._loop is None or not self._is_on:
            raise RuntimeError("the runner has not been started, or has stopped")
        return self._loop

    def add_reader(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call back in the runner's thread whenever a descriptor is readable, until `remove_reader`."""
        self._running_loop().add_reader(descriptor, callback)

    def remove_reader(self, descriptor: int) -> None:
        """Do not watch a descriptor any more. It is fine if it was not watched. To be called before it is closed."""
        if self._loop is not None:
            self._loop.remove_reader(descriptor)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Cancellable:
        """Call back once in the runner's thread, after so many seconds."""
        return self._running_loop().call_later(delay_s, callback)


_live: "weakref.WeakSet[Runner]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop what still runs, while threads can still end. By now all threads that are no daemons have."""
    for runner in list(_live):
        if runner._pid == os.getpid():
            runner._stop_at_exit()
