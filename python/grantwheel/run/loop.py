"""The one thread of a manager: it sleeps on all that happens at a time of its own.

The alarm of a runner, the renewals of holds and the ends of watched processes are its sources. It lives while there is
one, and refers to no manager.

Nothing here waits for a lock: a signal handler, a finaliser and another thread may come in between any two
instructions. Each change is one operation of a dict or one system call, and whoever finds a change half made by
somebody else goes on as if it was not.
"""

import contextlib
import logging
import select
import threading
import time
import weakref
from typing import Protocol

from grantwheel import _core
from grantwheel._process import OfOneProcess
from grantwheel._text import shown
from grantwheel._waiting import wait_until

_log = logging.getLogger("grantwheel")
_PAUSE_MS = 1000  # after an error that may be there the next time too


class Source(Protocol):
    """A descriptor, and what is to be done when it is readable. Its file is its own: no duplicate of another one's."""

    def fileno(self) -> int:
        """Return the descriptor: the same one until the loop has let go of it."""
        ...

    def ready(self) -> None:
        """Deal with it, on the thread of the loop; it may be called for nothing.

        What it raises is logged, but for `TryAgain`, and then the source is left alone for a second.
        """
        ...

    def failed(self, error: BaseException) -> None:
        """Hear that the loop has ended for this reason, and waits for nothing any more."""
        ...


class TryAgain(Exception):  # noqa: N818 - it says what is to be done
    """What a source raises that is to be left alone for a second, and has told why before."""


class _Place:
    """Where the thread waits. Its descriptors are closed with it."""

    def __init__(self) -> None:
        if not hasattr(select, "epoll"):
            raise RuntimeError(
                "grantwheel needs select.epoll and real threads here, which gevent's monkey patching has taken away: "
                "give Manager.fileno() to the loop, and call advance(), drain() and renew_holds()"
            )
        self.epoll = select.epoll()
        self.bell = _core.Bell()
        self.timer = _core.Timer()  # goes off when those that failed are to be tried again
        self.epoll.register(self.bell.fileno(), select.EPOLLIN)
        self.epoll.register(self.timer.fileno(), select.EPOLLIN)


def _be(loop: "weakref.ref[Loop]") -> None:
    """Be the thread of a loop, if it is still there.

    A thread that an interrupt has kept from starting stays known to the interpreter for ever: it keeps no loop.
    """
    if (own := loop()) is not None:
        own._run()


class Loop(OfOneProcess):
    """Waits for sources in a thread of its own, and lets each deal with what it waited for, one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, _Place] = {}  # the only one is under 0
        self._sources: dict[Source, int] = {}  # with their descriptors
        self._by_descriptor: dict[int, Source] = {}
        self._paused: dict[Source, int] = {}  # the same of those that failed
        # Held by the thread that is the loop, from its first instruction to its last one. Nobody waits for it.
        self._claim = threading.Lock()
        self._thread: threading.Thread | None = None
        self._busy: Source | None = None

    def add(self, source: Source) -> None:
        """Wait for a source from now on. It is fine if it has been added before.

        Raises
        ------
        BusinessError
            9800004: this is the child of a fork, and the loop its parent's.
        OSError
            The process may not open more descriptors.
        RuntimeError
            No thread can be started, or gevent has taken away what a thread waits with.
        """
        self._require_here()
        try:
            self._register(source, source.fileno())
            if not self._claim.locked():
                # A second one that was started at the same time finds the claim taken, and ends.
                threading.Thread(target=_be, args=(weakref.ref(self),), name="grantwheel", daemon=True).start()
        except BaseException:
            self.remove(source)
            raise

    def remove(self, source: Source, *, wait_s: float = 0.0) -> bool:
        """Let go of a source, whose descriptor may then be closed. Returns whether it was there.

        Waits at most so many seconds until it is not being dealt with, and, if it was the last one, until the thread
        has ended; on that thread, and in the child of a fork, not at all.
        """
        if not self._is_here:
            return False
        was_paused = self._paused.pop(source, None) is not None
        was_there = self._unregister(source) or was_paused
        self._settle(source, wait_s)
        self._unregister(source)  # it may just have been brought back after a pause
        return was_there

    def has(self, source: Source) -> bool:
        """Whether a source is waited for, or will be again after a pause."""
        return source in self._sources or source in self._paused

    def _register(self, source: Source, descriptor: int) -> None:
        place = self._places.get(0) or self._places.setdefault(0, _Place())
        self._sources[source] = descriptor  # first: by this it is found again by who has to take it back
        self._by_descriptor[descriptor] = source
        with contextlib.suppress(FileExistsError):  # it has been added before, or the thread was faster, in `_drop`
            place.epoll.register(descriptor, select.EPOLLIN)

    def _unregister(self, source: Source) -> bool:
        """Forget a source. Whoever is interrupted in it may begin again."""
        descriptor = self._sources.get(source)
        place = self._places.get(0)
        if descriptor is not None:
            if self._by_descriptor.get(descriptor) is source:
                self._by_descriptor.pop(descriptor, None)
            if place is not None:
                self._drop(place, descriptor)
        was_there = self._sources.pop(source, None) is not None
        if place is not None and not self._is_needed():
            place.bell.ring()
        return was_there

    def _settle(self, source: Source, wait_s: float) -> None:
        thread = self._thread
        if thread is threading.current_thread():
            return
        give_up = time.monotonic() + wait_s
        wait_until(lambda: self._busy is not source, give_up)
        if wait_s and thread is not None and not self._is_needed():
            thread.join(max(0.0, give_up - time.monotonic()))

    def _is_needed(self) -> bool:
        return bool(self._sources or self._paused)

    def _run(self) -> None:
        """Be the loop, if nobody else is, while there are sources: the work of the thread."""
        while self._is_needed() and self._claim.acquire(blocking=False):
            try:
                self._thread = threading.current_thread()
                while self._is_needed():
                    self._turn(self._places[0])
            except BaseException as error:  # noqa: BLE001 - told to everybody who waits
                self._fail(error)
            finally:
                self._thread = None
                self._claim.release()

    def _turn(self, place: _Place) -> None:
        for descriptor, _ in place.epoll.poll():
            if descriptor == place.bell.fileno():
                place.bell.clear()
            elif descriptor == place.timer.fileno():
                place.timer.clear()
                self._resume()
            elif (source := self._source_of(descriptor)) is not None:
                self._deal_with(place, source)
            else:
                self._drop(place, descriptor)

    def _source_of(self, descriptor: int) -> Source | None:
        source = self._by_descriptor.get(descriptor)
        return source if source in self._sources else None

    def _drop(self, place: _Place, descriptor: int) -> None:
        """Wait for a descriptor no more, unless it has been closed meanwhile, and opened again for another source."""
        with contextlib.suppress(OSError):
            place.epoll.unregister(descriptor)
        if self._source_of(descriptor) is not None:
            with contextlib.suppress(OSError):
                place.epoll.register(descriptor, select.EPOLLIN)

    def _deal_with(self, place: _Place, source: Source) -> None:
        self._busy = source
        try:
            source.ready()
        except TryAgain:
            self._pause(place, source)
        except BaseException:  # noqa: BLE001 - SystemExit too: the other sources have to be dealt with
            _log.exception("%s failed; it is tried again in a second", shown(source))
            self._pause(place, source)
        finally:
            self._busy = None

    def _pause(self, place: _Place, source: Source) -> None:
        descriptor = self._sources.get(source)
        if descriptor is not None and self._unregister(source):
            self._paused[source] = descriptor
            place.timer.set(_PAUSE_MS)

    def _resume(self) -> None:
        for source in list(self._paused):
            self._busy = source
            if (descriptor := self._paused.pop(source, None)) is not None:
                with contextlib.suppress(OSError):  # it may be being removed, and closed
                    self._register(source, descriptor)
            self._busy = None

    def _fail(self, error: BaseException) -> None:
        """Tell every source that nothing is waited for any more."""
        _log.critical("a manager is not driven any more: its thread cannot wait", exc_info=error)
        self._places.pop(0, None)  # the next source gets a new one
        for source in [*self._sources, *self._paused]:
            if self.remove(source):
                source.failed(error)
