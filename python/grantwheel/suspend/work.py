"""The work of a suspension: the decider is told what happens, and the freezer does what it decides. Private.

One lock is held while that is done, also while the freezer is at it: whoever calls meanwhile waits. A signal handler
or a freezer that calls in the thread that holds it does not; the call below goes on with what it said.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from grantwheel import ManualClock, ServiceOperationError, TransactionError
from grantwheel._documented import refusal
from grantwheel._process import OfOneProcess, end_at_exit
from grantwheel._telling import tell
from grantwheel.linux.freezers import Freezer, PartlyThawedError
from grantwheel.run.appointment import Appointment
from grantwheel.types import ResourceType

from .app import ActionKind
from .decide import Action, Decider
from .grants import Grants, Held
from .values import SuspensionEvent, Timing, Why

if TYPE_CHECKING:
    from grantwheel.manager import Manager

_Result = TypeVar("_Result")
_NO_ROOM, _CLOSED = 980000101, 980000402
_SLICE = 16  # apps that are frozen or thawed before others have their turn
_SETTLE_S = 1.0  # so long the end waits for the thread of the manager to let go
_LAST_ATTEMPTS = 3  # to thaw an app, at the end


class _Call(NamedTuple):
    """Something that is to be told to the decider about an app."""

    uid: int
    tell: Callable[[int], object]  # with the instant
    begins: bool  # whether the app may be one that nothing was known of


class _Ear:
    """The events of the manager, as a source of its loop."""

    def __init__(self, work: "Work", descriptor: int) -> None:
        self._work = work
        self._descriptor = descriptor

    def __repr__(self) -> str:
        return "the ear of a suspension"

    def fileno(self) -> int:
        return self._descriptor

    def ready(self) -> None:
        self._work.turn()

    def failed(self, _error: BaseException) -> None:  # the loop has logged it
        self._work.close()


class Work(OfOneProcess):
    """What is done for a `Suspension`; ``emit`` is called with each event, ``at_end`` when all is over."""

    def __init__(
        self,
        manager: "Manager",
        freezer: Freezer,
        timing: Timing,
        max_apps: int,
        emit: Callable[[SuspensionEvent], object],
        at_end: Callable[[], object],
    ) -> None:
        super().__init__()
        self._manager = manager
        self._clock = manager.clock
        self._freezer = freezer
        self._max_apps = max_apps
        self._at_end = at_end
        self.decider = Decider(timing, emit)
        self.lock = threading.RLock()
        self._is_busy = False
        self._later: deque[_Call] = deque()
        self._is_closed = False
        self._grants = Grants(manager)
        self._is_by_hand = isinstance(self._clock, ManualClock)
        self._appointment = Appointment(self._clock, manager._loop, "a suspension", self.turn)
        self._ear: _Ear | None = None
        try:
            if not self._is_by_hand:
                self._ear = _Ear(self, self._grants.fileno())
                manager._loop.add(self._ear)
                self._appointment.begin()
            end_at_exit(self)
        except BaseException:
            self._let_go(0.0)
            raise

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self._is_closed

    def require_open(self) -> None:
        """Refuse what comes after the end, and in the child of a fork."""
        self._require_here()
        if self._is_closed:
            raise refusal(_CLOSED, "The suspension is closed.")

    # What is asked of it.

    def carry_out(self, uid: int, tell: Callable[[int], object], *, begins: bool = False) -> None:
        """Tell the decider something about an app, with the instant, and do what is due with that app."""
        call = _Call(uid, tell, begins)
        with self.lock:
            self.require_open()
            if self._is_busy:
                self._later.append(call)
                return
            self._at_work(lambda: self._tell(call))

    def deliver(self, uid: int, kind: ResourceType) -> bool:
        """Return whether an event may reach an app, which is thawed if it must be."""
        with self.lock:
            if self._is_busy:
                raise RuntimeError("deliver() was called in the middle of another call of the same thread")
            return self._at_work(lambda: self._deliver(uid, kind))

    def why(self, uid: int) -> Why:
        """Return why an app is as it is, by what it holds now."""
        self._require_here()
        with self.lock:
            if not self._is_busy and not self._is_closed:
                self._at_work(lambda: self._look(uid))
            return self.decider.why(uid, self._clock.now())

    def advance(self) -> int | None:
        """Do what is due, and return when there will be more."""
        with self.lock:
            if not self._is_busy:
                self._at_work(self._settle)
            return self.decider.wake_ms

    def turn(self) -> None:
        """Do what is due, on the thread of the manager: not too much at once."""
        with self.lock:
            if self._is_busy:
                return
            if not self._is_closed:
                with contextlib.suppress(ServiceOperationError):
                    self._at_work(lambda: self._settle(limit=_SLICE))
        if self._is_closed:
            self.close()

    def close(self) -> None:
        """Thaw everybody, and end. It is fine if it has ended."""
        if not self._is_here:
            return
        with self.lock:
            if self._is_busy:
                return  # whoever is below goes on
            self._end()
        self._let_go(_SETTLE_S)
        self._at_end()

    def _end_at_exit(self, _give_up: float) -> bool:
        self.close()
        return True

    # How it is done.

    def _at_work(self, work: Callable[[], _Result]) -> _Result:
        """Do something, by what the manager has told by now, and see to it that what is due next is done."""
        self.require_open()
        self._is_busy = True
        try:
            self._listen()
            result = work()
            while self._later:
                self._tell(self._later.popleft())
        except ServiceOperationError:  # the manager is closed
            self._end()
            raise
        finally:
            if len(self._grants) != len(self.decider):
                self._grants.keep(self.decider)
            if not self._is_by_hand and not self._is_closed:
                self._appointment.set(self.decider.wake_ms)
            self._is_busy = False
        return result

    def _tell(self, call: _Call) -> None:
        if call.uid in self.decider:
            call.tell(self._clock.now())
        elif call.begins:
            if len(self.decider) >= self._max_apps:
                raise refusal(_NO_ROOM, "", f"{self._max_apps} apps are known, which is max_apps")
            held = self._grants.begin(call.uid)
            call.tell(self._clock.now())
            self._hear(held)
        self._settle(call.uid)

    def _deliver(self, uid: int, kind: ResourceType) -> bool:
        granted = bool(self._manager.app_mask(uid) & kind)
        self._look(uid)
        self._settle(uid)
        if not self.decider.deliver(uid, kind, granted, self._clock.now()):
            return False
        self._settle(uid)
        return self.decider.reached(uid, kind)

    def _listen(self) -> None:
        """Hear what the events of the manager tell."""
        for held in self._grants.changes(self.decider):
            self._hear(held)

    def _hear(self, held: Held) -> None:
        self.decider.held(held.uid, held.mask, held.process_cpu, held.at_ms, self._clock.now())

    def _look(self, uid: int) -> None:
        """Hear what an app holds now: what is due has gone, whoever drives the manager."""
        if uid not in self.decider:
            return
        if not self._grants.is_told(uid):
            with contextlib.suppress(TransactionError):  # then it is not told when it ended
                self._manager.advance()
            self._listen()
        self._hear(self._grants.look(uid))

    def _settle(self, uid: int | None = None, limit: int | None = None) -> None:
        """Do what is due with an app, or with any: at most so much."""
        now = self._clock.now()
        count = 0
        while count != limit and (action := self.decider.next_action(now, uid)) is not None:
            self._do(action)
            count += 1

    def _do(self, action: Action) -> None:
        """Have the freezer do something, and tell the decider what came of it, in any case."""
        uid, kind = action
        is_freeze = kind is ActionKind.FREEZE
        is_all = True
        try:
            if is_freeze:
                is_all = bool(self._freezer.freeze(uid))
            else:
                self._freezer.thaw(uid)
        except BaseException as error:
            why = str(error) or repr(error)
            if is_freeze:
                self.decider.freeze_failed(uid, why, self._clock.now())
            else:
                is_partly = isinstance(error, PartlyThawedError)
                self.decider.thaw_failed(uid, why, self._clock.now(), is_partly=is_partly)
            tell(logging.WARNING, f"app %d could not be {'frozen' if is_freeze else 'thawed'}: %s", uid, error)
            if not isinstance(error, Exception):
                raise
            return
        if is_freeze:
            self.decider.froze(uid, is_all, self._clock.now())
        else:
            self.decider.thawed(uid, self._clock.now())

    def _end(self) -> None:
        """Thaw everybody. Who cannot be thawed stays in the notes of the freezer."""
        if self._is_closed:
            return
        self._is_closed = True
        self.decider.close(self._clock.now())
        for _ in range(_LAST_ATTEMPTS):
            for uid in self.decider.frozen():
                self._do(Action(uid, ActionKind.THAW))
        try:
            self._freezer.close()
        except Exception as error:  # noqa: BLE001 - a freezer may be somebody else's
            tell(logging.ERROR, "%s could not be closed", self._freezer, error=error)

    def _let_go(self, wait_s: float) -> None:
        """Have the loop wait for nothing of this any more."""
        self._appointment.end(wait_s=wait_s)
        if self._ear is not None:
            self._manager._loop.remove(self._ear, wait_s=wait_s)
        self._grants.close()
