"""What ties the rules of tasks to a manager: its clock, its thread, their callbacks and who hears of them."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from grantwheel import _core
from grantwheel._core import BusinessError
from grantwheel._process import OfOneProcess, refuse_to_pickle
from grantwheel.caller import Caller
from grantwheel.events.delivery import Delivering
from grantwheel.events.subscribers import Subscribers, require_subscriber
from grantwheel.events.subscription import Reader
from grantwheel.manager import Manager

from .alone import Alone
from .callbacks import Asked, Callbacks, call_back
from .continuous import ContinuousTasks
from .deadline import Deadline
from .notes import KINDS, NoteStore
from .queue import EventQueues
from .store import CutOffError, Gathering, Machine, MemoryStore, Store
from .transient import TransientTasks
from .values import TaskEvent, TaskEventKind, TransientFigures

_MAX_RECORDS: Final = 2**31 - 1
_BEHIND_MS: Final = 10  # so long a log of durability "batch" is behind
_LONGEST_MS: Final = 100  # so long the thread of a manager waits for one
_Answer = TypeVar("_Answer")
_Joined = TypeVar("_Joined", bound="TiedTasks")


class TaskSubscription(Reader[TaskEvent]):
    """The events of tasks: every one from its start on, once and in order, at the reader's own pace.

    Nobody waits for a reader. One that falls behind by more than ``event_capacity`` loses the oldest events, which
    `missed` counts. Thread-safe. As a context manager it is cancelled at the end of the block, if it was not before.
    """


class CallbackTaskSubscription(Delivering[TaskEvent], TaskSubscription):
    """The same with a callback, which gets them while the manager runs."""


class TogetherRefusedError(Exception):
    """What was gathered of several calls has been refused, and is on record nowhere."""


class NestedError(RuntimeError):
    """A call that is made together with others makes some together."""


class TiedTasks(OfOneProcess):
    """What `Tasks` are without their calls."""

    _may_join: bool = False  # one of the calls that are made together may come in

    def __init__(
        self,
        manager: Manager,
        figures: TransientFigures | None,
        store: Store | None,
        max_records: int,
        event_capacity: int,
    ) -> None:
        super().__init__()
        if not isinstance(manager, Manager):
            raise TypeError(f"manager must be a Manager, not {type(manager).__name__}")
        if not 1 <= max_records <= _MAX_RECORDS:
            raise ValueError(f"max_records must be within 1..2^31-1, not {max_records}")
        self._manager = manager
        self._queues = EventQueues(event_capacity)
        self._own = self._queues.make(None, None)
        self._subscribers = Subscribers(TaskSubscription, CallbackTaskSubscription)
        self._callbacks = Callbacks()
        self._noticed: dict[int, Callable[[], object]] = {}  # those to be called once it is on record that it is time
        self._expired: dict[int, Callable[[], object]] = {}  # those to be called, by id
        has_log = manager._staged is not None
        self._alone = Alone(manager, waits=has_log and not manager._is_behind)
        kept = (NoteStore(manager, KINDS) if has_log else MemoryStore()) if store is None else store
        self._store = Gathering(kept)
        self._gathers = False  # calls are made together
        self._opened: list[int] = []  # requests that were granted while it gathers,
        self._cancelled: set[int] = set()  # and cancelled ones whose end is to be heard of
        # Each with the group of the log that it is on record with, or a later one:
        self._told: deque[tuple[int, TaskEvent]] = deque()  # what the rules have told in the call that goes on,
        self._untold: deque[tuple[int, TaskEvent]] = deque()  # and what the log is behind with
        _ = manager.last_sequence
        self._alone.require()
        now = manager.clock.now()
        is_by_hand = isinstance(manager.clock, _core.ManualClock)
        self._deadline = None if is_by_hand else Deadline(self, type(self).advance, manager._loop)
        self._behind = Deadline(self, type(self)._catch_up, manager._loop) if manager._is_behind else None
        untended = manager._untended
        if untended is None:
            self._begin(now, figures, max_records)
        else:
            untended.hand_over(lambda: self._begin(now, figures, max_records))
        manager._running.add(self._subscribers)
        self._arm(now)

    def _begin(self, now: int, figures: TransientFigures | None, max_records: int) -> None:
        emit, store = _hearing(self._manager, self._told), self._store
        self._transient = TransientTasks(now, store=store, emit=emit, figures=figures, max_records=max_records)
        self._continuous = ContinuousTasks(store=store, emit=emit, max_records=max_records)
        self._manager._begin_tasks(self)

    __reduce_ex__ = refuse_to_pickle

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._manager!r}>"

    @property
    def manager(self) -> Manager:
        """The manager that they are of."""
        return self._manager

    def advance(self) -> None:
        """Have what is due happen, and call the callbacks of requests that are nearly over.

        It happens by itself but with a `ManualClock`.

        Raises
        ------
        BusinessError
            9800003: it could not be put on record, and is due still. 9800004: the manager is closed.
        """
        self._do(self._advance)
        for request_id in list(self._expired):
            call = self._expired.pop(request_id, None)
            if call is not None:
                call_back(call)

    @property
    def last_sequence(self) -> int:
        """The number of the last event; 0 before the first."""
        return self._queues.last

    def next_deadline(self) -> int | None:
        """Return when something happens next (ms of the clock), if nothing else happens before; None: never."""
        return self._do(lambda _now: self._transient.next_deadline())

    def dump(self) -> dict[str, bytes]:
        """Return the whole state, as a store has it."""
        return self._do(lambda _now: {**self._transient.dump(), **self._continuous.dump()})

    def subscribe(
        self,
        subscriber: object,
        *,
        kinds: Iterable[TaskEventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        batch: bool = False,
        on_gap: Callable[[int], object] | None = None,
        caller: Caller | None = None,
    ) -> TaskSubscription:
        """Start a subscription: every event of tasks from now on, once and in order; see `Manager.subscribe`.

        Raises
        ------
        BusinessError
            401: the subscriber is None. 201: the caller is not native. 9800005: it is subscribed already. 9800004: the
            manager is closed.
        ValueError
            A kind is none, or a uid is out of range.
        TypeError
            ``batch`` or ``on_gap`` is given for what is not callable, or the subscriber is a coroutine function.
        """
        self._require_here()
        require_subscriber(self._manager, subscriber)
        self._manager.require_native(caller=caller)
        return self._subscribers.add(
            self._manager, subscriber, lambda: self._queues.make(kinds, uids), batch=batch, on_gap=on_gap
        )

    def unsubscribe(self, subscriber: object) -> None:
        """End the subscription of a subscriber; see `Manager.unsubscribe`."""
        self._require_here()
        require_subscriber(self._manager, subscriber)
        self._subscribers.cancel(self._manager, subscriber)

    def drain(self, limit: int | None = None) -> list[TaskEvent]:
        """Return the events since the last drain, or since the tasks were made: their own subscription."""
        with contextlib.suppress(BusinessError):  # the log has failed, and these are there still
            self._alone.safely(self._tell_settled)
        return self._own.read(self._manager, limit)

    @property
    def missed(self) -> int:
        """How many events of the tasks' own subscription were lost before they were drained."""
        return self._own.missed

    # How it is done.

    def _do(self, work: Callable[[int], _Answer]) -> _Answer:
        """Do something at the instant that it is, alone; then see when something is due next.

        While calls are made together, only they come in, each once, by the tasks that they are given: what anybody else
        was told would be undone with them, and nobody would repeat it.
        """

        def work_and_tell(now: int) -> _Answer:
            if self._gathers:
                if not self._may_join:
                    raise RuntimeError("tasks were called amid calls that are made together: by a signal handler?")
                self._may_join = False
            try:
                return work(now)
            finally:
                if not self._gathers:
                    self._take_all()
                self._arm(now)

        self._require_here()
        return self._alone.do(work_and_tell)

    def _do_together(self, joined: _Joined, calls: Sequence[Callable[[_Joined], _Answer]]) -> list[_Answer | Exception]:
        """Make calls, of tasks that are these, with one write to the store. What that refuses undoes all of them."""
        machines: tuple[Machine, ...] = (self._transient, self._continuous)

        def begin(_now: int) -> None:
            for machine in machines:
                machine.mend()
            self._opened.clear()

        def end(now: int) -> None:
            try:
                self._put_on_record(machines)
            finally:
                self._arm(now)

        self._require_here()
        self._alone.require()
        with self._alone.lock:
            if self._gathers:
                raise NestedError("a call that is made together with others makes none together")
            try:
                self._do(begin)
                self._store.gathered, self._gathers = {}, True
                answers: list[_Answer | Exception] = []
                for call in calls:
                    joined._may_join = True
                    answers.append(answer_of(call, joined))
                    joined._may_join = False
                    if isinstance(answers[-1], Exception) and any(machine.is_torn for machine in machines):
                        raise answers[-1]  # a signal handler's
                self._alone.do(end)
                self._gathers = False
                return answers
            except BaseException as error:
                joined._may_join = False
                # In each call from here on another signal handler may raise: what must not be left is done before.
                gathers, gathered = self._gathers, self._store.gathered
                if gathered is not None:
                    self._transient._torn = self._continuous._torn = ({}, [])
                    self._transient._is_torn = self._continuous._is_torn = True
                self._gathers, self._store.gathered = False, None
                if gathers and (self._transient._is_torn or self._continuous._is_torn):
                    self._told.clear()
                self._undo()
                if isinstance(error, BusinessError) and not (gathers and gathered is None):  # it is nowhere
                    raise TogetherRefusedError from error
                raise
            finally:
                self._take_all()

    def _put_on_record(self, machines: Sequence[Machine]) -> None:
        """Write what was gathered, and tell its events."""
        values, events = self._store.gathered or {}, [event for _, event in self._told]
        first = next((machine for machine in machines if any(map(machine.has, values))), machines[0])
        for machine in machines:
            machine.doubt(values, events if machine is first else [])
        self._told.clear()
        self._store.gathered = None
        try:
            if values:
                self._store.write(values)
        except CutOffError as cut_off:
            raise cut_off.reason from None
        except Exception as error:
            for machine in machines:
                machine.doubt({}, [])
            raise TogetherRefusedError from error
        hear = _hearing(self._manager, self._told)
        for event in events:
            hear(event)
        self._opened.clear()
        for machine in machines:
            if machine is not first:
                machine.trust()
        first.trust()  # till then, what is told is told by it if this is interrupted

    def _undo(self) -> None:
        """Hear that what was gathered did not come to be, as far as that is known."""
        self._cancelled.clear()
        self._callbacks.undo(self._opened)
        self._opened.clear()
        if self._deadline is not None:
            self._deadline.set(0)  # what is due next is another instant

    def _take_all(self) -> None:
        while self._told:
            self._take(*self._told.popleft())

    def _drop(self, now: int, runs: Callable[[int, int], bool], *, is_reboot: bool) -> None:
        """Drop what belongs to processes that do not run any more."""
        self._transient.restarted(now, runs, is_reboot=is_reboot)
        self._continuous.restarted(now, runs)

    def _advance(self, now: int) -> None:
        self._transient.advance(now)
        self._continuous.mend()

    def _arm(self, now: int) -> None:
        """Be driven when something is due next, and at once when a callback is to be called.

        Who was interrupted while it waited for the log does not wait for it here again: the thread of the manager does.
        """
        if self._deadline is None:
            return
        is_torn = self._transient.is_torn or self._continuous.is_torn
        due = now if self._expired or is_torn else self._transient.next_deadline()
        self._deadline.set(None if due is None else due - now)

    # What the manager tells.

    def _process_died(self, uid: int, pid: int) -> None:
        self._do(lambda now: self._transient.process_died(now, uid, pid))

    def _app_stopped(self, uid: int) -> None:
        def stop(now: int) -> None:
            self._transient.app_stopped(now, uid)
            self._continuous.app_stopped(now, uid)

        self._do(stop)

    def _package_removed(self, uid: int) -> None:
        def remove(now: int) -> None:
            self._transient.package_removed(now, uid)
            self._continuous.app_stopped(now, uid)

        self._do(remove)

    def _closed(self) -> None:
        """Hear that the manager is closed: what its log has not taken is lost, or nobody knows."""
        if self._is_here:
            self._alone.safely(self._tell_last)
            for deadline in filter(None, (self._deadline, self._behind)):
                deadline.set(None)

    def _tell_last(self) -> None:
        """Tell what is on record, and nothing from then on. Nobody waits with the lock for a log that is behind."""
        with self._alone.lock if self._behind is not None else contextlib.nullcontext():
            self._queues.close()
            self._tell_on_record()
            self._untold.clear()

    def _take(self, group: int, event: TaskEvent) -> None:
        """Take an event of the rules."""
        asked = self._callbacks.of(event.id)
        if event.kind is TaskEventKind.EXPIRED_CALLBACK and asked is not None:
            self._noticed[event.id] = asked.call
        elif event.kind is TaskEventKind.TASK_END:
            self._callbacks.close(event.id)
            if event.id in self._cancelled:
                self._cancelled.discard(event.id)
                for waiting in (self._noticed, self._expired):
                    waiting.pop(event.id, None)
        if self._behind is None:
            self._tell(event)
            return
        if self._queues.is_closed:
            if _core.is_on_record(self._manager, group):
                self._tell(event)
            return
        if not self._untold:
            self._behind.set(_BEHIND_MS)
        self._untold.append((group, event))

    def _tell(self, event: TaskEvent) -> None:
        """Tell an event that is on record."""
        if event.kind is TaskEventKind.EXPIRED_CALLBACK:
            call = self._noticed.pop(event.id, None)
            if call is not None:
                self._expired[event.id] = call
        self._queues.put(event)

    def _tell_on_record(self) -> None:
        """Tell what is on record by now, in its order."""
        while self._untold:
            one = self._untold[0]
            if not _core.is_on_record(self._manager, one[0]):
                return
            if self._untold and self._untold[0] is one:  # a signal handler may have drained it meanwhile
                self._tell(self._untold.popleft()[1])

    def _tell_settled(self, timeout_ms: int = 0) -> None:
        """Tell what has happened by now, as far as it is on record within some time.

        Raises
        ------
        BusinessError
            9800003: the log has failed, and is tried again. 9800004: the manager is closed.
        """
        if not self._untold:
            return
        try:
            self._manager.flush(timeout_ms)
        finally:
            self._alone.safely(self._tell_and_call)

    def _tell_and_call(self) -> None:
        """Tell what is on record, and have the callbacks of that called."""
        with self._alone.lock:
            self._tell_on_record()
            if self._expired and self._deadline is not None:
                self._deadline.set(0)

    def _catch_up(self) -> None:
        """Tell what is on record by now, in the thread of the manager, and look again if that is not all."""
        self._tell_settled(_LONGEST_MS)
        self._alone.safely(self._look_again)

    def _look_again(self) -> None:
        """Set when to tell what is not on record yet."""
        with self._alone.lock:
            if self._behind is not None:
                self._behind.set(_BEHIND_MS if self._untold else None)

    def _open(self, request_id: int, asked: Asked) -> None:
        """Hear that a request was granted, in the call that has granted it."""
        if self._gathers:
            self._opened.append(request_id)
        self._callbacks.open(request_id, asked)


def _hearing(manager: Manager, told: deque[tuple[int, TaskEvent]]) -> Callable[[TaskEvent], object]:
    """Return what hears an event of the rules, which have just put it on record. It refers to no tasks."""
    if not manager._is_behind:
        return lambda event: told.append((0, event))
    return lambda event: told.append((_core.last_group(manager), event))


def answer_of(call: Callable[[_Joined], _Answer], tasks: _Joined) -> _Answer | Exception:
    """Make a call of tasks, and return what it answers, or what it is refused with. All else is let out."""
    try:
        return call(tasks)
    except (BusinessError, TypeError, ValueError, NestedError) as error:
        return error
