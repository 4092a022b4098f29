"""Running a manager: somebody sleeps until the next deadline, ends what is due, and lets subscribers have the events.

`Runner` is what both forms have in common; `ThreadRunner` is the form with a thread, `grantwheel.aio` has the other.
"""

import contextlib
import logging
import weakref
from typing import Any

from grantwheel import _core
from grantwheel._process import OfOneProcess, end_at_exit
from grantwheel.events.delivery import is_delivering
from grantwheel.events.subscribers import Subscribers
from grantwheel.run.loop import Loop, TryAgain

_log = logging.getLogger("grantwheel")
_NOT_COMMITTED = 980000301
_SLICE = 1024  # records that one advance ends or moves: well below a millisecond, and others get their turn
_FLUSH_MS = 1000  # so long the end of a runner waits for a log that is behind, whose events are not shown before
_SETTLE_S = 1.0  # so long the end of a runner waits for the thread to let go: a hook of a renewal may keep it


def drive(manager: _core.Manager) -> bool:
    """End one slice of what is due. Returns False when nothing will come any more: it is closed, or its log is lost."""
    try:
        manager.advance(_SLICE)
    except _core.ServiceOperationError:
        return False
    except _core.TransactionError:
        if not _core.has_lost_log(manager):
            raise
        return False
    return True


def lost_log(manager: _core.Manager) -> Exception | None:
    """Return why a manager is not driven any more though it is open: its log takes no changes."""
    if not _core.has_lost_log(manager):
        return None
    return _core.business_error(_NOT_COMMITTED, "The log of the manager takes no changes any more.")


def _settle(manager: _core.Manager) -> None:
    """End all that is due by now, in slices, and let its events be shown."""
    try:
        now = manager.clock.now()
        while (wake := manager.wake_at) is not None and wake <= now and drive(manager):
            pass
        if _core.is_behind(manager):
            _core.settle(manager, _FLUSH_MS)
    except _core.ServiceOperationError:
        pass  # closed: nothing is due any more
    except Exception:  # noqa: BLE001 - logged, and the rest of the end has to come
        _log.exception("a manager could not be driven to its end")


class Running:
    """By whom a manager is run: by one runner at a time, with which its subscribers have their events."""

    def __init__(self, subscribers: Subscribers[Any]) -> None:
        self._followers = [weakref.ref(subscribers)]
        # Each with the call that brought it. The first one runs the manager; a second one is about to be refused.
        self._runners: dict[Runner, object] = {}
        subscribers.runners = self._runners  # one record of it: two would differ when somebody comes in between

    @property
    def runner(self) -> "Runner | None":
        """Who runs the manager now."""
        return next(iter(list(self._runners)), None)

    def begin(self, runner: "Runner") -> None:
        """Make the manager a runner's, and let callbacks have their events."""
        before = self.runner
        if before is not None and before._is_stranded():
            before._leave()
        call = object()
        if self._runners.setdefault(runner, call) is call:
            if self.runner in (runner, None):  # None: it has been ended already
                self._follow()
                return
            self.end(runner)
        raise RuntimeError("the manager is running already: one runner at a time")

    def end(self, runner: "Runner") -> None:
        """Take the manager from its runner; what has happened by now is still delivered."""
        self._runners.pop(runner, None)
        self._follow()

    def join(self, give_up: float | None = None) -> bool:
        """Wait until it is delivered, or until an instant of ``time.monotonic()``. Returns whether it is."""
        return all(subscribers.join_delivery(give_up) for subscribers in self._all())

    def add(self, subscribers: Subscribers[Any]) -> None:
        """Let other callbacks have their events at the same times, as long as somebody has them."""
        subscribers.runners = self._runners
        self._followers.append(weakref.ref(subscribers))
        for gone in [one for one in list(self._followers) if one() is None]:
            with contextlib.suppress(ValueError):  # another thread has been faster
                self._followers.remove(gone)
        subscribers.follow()

    def _all(self) -> list[Subscribers[Any]]:
        return [subscribers for one in list(self._followers) if (subscribers := one()) is not None]

    def _follow(self) -> None:
        for subscribers in self._all():
            subscribers.follow()


class Runner(OfOneProcess):
    """What runs a manager: made by `Manager.running` and `grantwheel.aio.running`."""

    def __init__(self, manager: _core.Manager, running: Running) -> None:
        super().__init__()
        self._manager = manager
        self._running = running
        self._failure: BaseException | None = None

    def __repr__(self) -> str:
        state = "running" if self._is_on else "not running"
        if self._failure is not None:
            state = f"failed: {self._failure!r}"
        return f"<{type(self).__name__} of {self._manager!r}, {state}>"

    @property
    def manager(self) -> _core.Manager:
        """The manager that it runs."""
        self._require_here()
        return self._manager

    @property
    def failure(self) -> BaseException | None:
        """Why it does not drive the manager any more though it was not stopped; None while all is well."""
        self._require_here()
        return self._failure

    @property
    def _is_on(self) -> bool:
        return self._running.runner is self

    def _is_stranded(self) -> bool:
        """Whether it can neither run nor be stopped any more."""
        return False

    def _take(self) -> None:
        """Take the manager. If anything comes out of it, `_leave` is to be called."""
        self._require_here()
        self._failure = None
        self._running.begin(self)
        end_at_exit(self)

    def _hold_on(self) -> None:
        """Be called when something is due. It is fine if it is already."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """Stop being called when something is due. It is fine if it is not."""
        raise NotImplementedError

    def _follow(self) -> None:
        """Be called when something is due just while it runs, also if that changes meanwhile."""
        while True:
            is_on = self._is_on
            if is_on:
                self._hold_on()
            else:
                self._let_go()
            if is_on == self._is_on:
                return

    def _leave(self) -> bool:
        """Drive the manager once more, and leave it. Returns whether it was this runner's.

        It may be called again after it was interrupted anywhere, and then goes on.
        """
        if not self._is_here:
            return False
        was_on = self._is_on
        if was_on:
            self._let_go()
            _settle(self._manager)
        self._running.end(self)
        self._follow()  # it may have been begun again in between
        return was_on

    def _end_at_exit(self, give_up: float) -> bool:
        self._leave()
        return self._running.join(give_up)


class _Alarm:
    """When something is due, as a source of the loop. While it waits it does not keep the manager alive."""

    def __init__(self, runner: "ThreadRunner", loop: Loop) -> None:
        self._descriptor = _core.alarm_fileno(runner._manager)
        self._runner = weakref.ref(runner)
        self._loop = loop
        self._manager = weakref.ref(runner._manager, self._forget)
        self._is_told = False  # that the log takes no changes now

    def __repr__(self) -> str:
        return "the alarm of a manager"

    def fileno(self) -> int:
        return self._descriptor

    def ready(self) -> None:
        manager = self._manager()
        if manager is None:
            self._loop.remove(self)
            return
        try:
            goes_on = drive(manager)
        except _core.TransactionError:
            if not self._is_told:  # once for a row of failures
                self._is_told = True
                raise
            raise TryAgain from None
        self._is_told = False
        if not goes_on:
            if (error := lost_log(manager)) is not None:
                self.failed(error)
            self._loop.remove(self)

    def failed(self, error: BaseException) -> None:
        runner = self._runner()
        if runner is not None:
            runner._failure = error

    def _forget(self, _manager: object) -> None:
        self._loop.remove(self)


class ThreadRunner(Runner, _core.Block):
    """Runs a manager in a thread of its own, from `start` to `stop` or for the time of a ``with`` block."""

    def __init__(self, manager: _core.Manager, running: Running, loop: Loop) -> None:
        super().__init__(manager, running)
        self._loop = loop
        self._alarms: dict[int, _Alarm] = {}  # the only one is under 0

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
        self.__enter__()

    def stop(self) -> None:
        """Stop, after delivering what has happened by now. It is fine if it has not been started or has stopped.

        Waits for the callbacks of subscriptions to return, but not when it is called by one of them. In the child of a
        fork it is refused.

        Raises
        ------
        BusinessError
            9800004: this is the child of a fork.
        RuntimeError
            The manager has not been driven for some time: the thread could not wait for deadlines any more, or the log
            takes no changes; `Runner.failure` says which.
        """
        self._require_here()
        self.__exit__(None, None, None)

    def _begin(self) -> None:
        alarm = _Alarm(self, self._loop)  # refused before anything has changed
        self._alarms.setdefault(0, alarm)
        self._take()
        self._follow()

    def _hold_on(self) -> None:
        self._loop.add(self._alarms[0])

    def _let_go(self) -> None:
        alarm = self._alarms.get(0)
        if alarm is not None:
            self._loop.remove(alarm, wait_s=0.0 if is_delivering() else _SETTLE_S)

    def _end(self) -> None:
        was_on = self._leave()
        self._running.join()
        if was_on and self._failure is not None:
            raise RuntimeError("the manager was not driven any more") from self._failure
