"""Continuous tasks: an app keeps an ability running in the background, in modes that the ability declares."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.caller import Caller
from grantwheel.types import BackgroundMode

from .arguments import ability_of, modes_argument
from .callers import is_encodable, is_identity, is_short
from .reading import number, text
from .store import Draft, Machine, Store
from .values import Ability, ContinuousTask, TaskEvent, TaskEventKind

_PERMISSION_DENIED: Final = 201
_NOT_SYSTEM_APP: Final = 202
_PARCEL_FAILED: Final = 980000201
_NOT_READY: Final = 980000401
_EXISTS: Final = 980000501
_UNKNOWN: Final = 980000502
_MAX_ABILITY: Final = 2**31 - 1
_NO_ABILITY: Final = "the name of an ability must be at most 1024 bytes of UTF-8, its number within 0..2^31-1"

Key = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Counter:
    """The number of the next task."""

    next_id: int


@dataclass(frozen=True, slots=True)
class Task:
    """A task that runs."""

    id: int
    uid: int
    pid: int
    bundle: str
    ability: str
    ability_id: int
    modes: tuple[int, ...]  # ascending

    @classmethod
    def read(cls, fields: Any) -> Self:
        """Return what a value stands for."""
        return cls(
            number(fields["id"]),
            number(fields["uid"]),
            number(fields["pid"]),
            text(fields["bundle"]),
            text(fields["ability"]),
            number(fields["ability_id"]),
            tuple(int(BackgroundMode(number(mode))) for mode in fields["modes"]),
        )

    @property
    def key(self) -> Key:
        """What there is one task of."""
        return self.uid, self.ability, self.ability_id

    @property
    def value(self) -> ContinuousTask:
        """The task as a value for others."""
        modes = tuple(BackgroundMode(mode) for mode in self.modes)
        return ContinuousTask(self.id, self.uid, self.pid, self.bundle, Ability(self.ability, self.ability_id), modes)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the policy says to a call.

    Parameters
    ----------
    declared : collection of int or None
        The modes that the ability declares. None: all.
    keeps_tasks : bool
        Whether the device supports TASK_KEEPING.
    """

    declared: Collection[int] | None = None
    keeps_tasks: bool = True


class ContinuousTasks(Machine):
    """The continuous tasks of a device. A call that refuses has changed nothing.

    Parameters
    ----------
    store : Store
        Where the state is kept.
    emit : callable
        Called with each event, in order.
    max_records : int
        How many tasks may run at once: more are refused with 9800001.

    Raises
    ------
    BusinessError
        9800002: what is in the store cannot be read.
    """

    _NAME = "continuous"
    _NOT_STORED = _NO_ROOM = TaskStatus.TASK_NOT_STORED

    def __init__(self, *, store: Store, emit: Callable[[TaskEvent], object], max_records: int = 10_000) -> None:
        super().__init__(store, emit, max_records + 1)
        self._load()

    def start(
        self,
        now: int,
        caller: Caller,
        ability: object,
        modes: object,
        want_agent: object,
        *,
        allowed: Callable[[Ability], Allowed],
        admit: Callable[[int], object] | None = None,
        is_ready: bool = True,
    ) -> int:
        """Begin a task of an ability, which is held until it is stopped.

        Parameters
        ----------
        now : int
            The instant.
        caller : Caller
            Who asks.
        ability : Ability or str
            The ability, or its name.
        modes : BackgroundMode or list of BackgroundMode
            What it does.
        want_agent : object
            What is started when a person touches the notification. It has to be there; nothing else is asked of it.
        allowed : callable
            What the policy says of an ability of the caller.
        admit : callable
            Called with how many tasks the uid has, where nothing else is wrong. What it raises refuses this one.
        is_ready : bool
            Whether the service is.

        Returns
        -------
        int
            The id of the task.

        Raises
        ------
        BusinessError
            In this order: 401, the modes; 9800002, the name of the ability or the bundle cannot be encoded; 9800004,
            not ready; 9800005, uid, pid or bundle; 9800006, the ability or the want agent is missing; 201, the
            permission is; 9800005, there is a task already; then for each mode: 202, it is one for system apps;
            9800005, the device does not support it, or the ability does not declare it; what ``admit`` raises. 9800001:
            there are too many tasks. 9800007: the store refused.
        """

        def begin(draft: Draft) -> int:
            wanted, named = modes_argument(modes), ability_of(ability)
            self._require_caller(caller, named, is_ready=is_ready)
            if named is None or want_agent is None or want_agent is False:
                raise task_refusal(TaskStatus.TASK_INCOMPLETE)
            if not is_short(named.name) or not 0 <= named.id <= _MAX_ABILITY:
                raise task_refusal(TaskStatus.TASK_INCOMPLETE, "", _NO_ABILITY)
            self._require_permission(caller)
            if (caller.uid, *named) in self._ids:
                raise task_refusal(_EXISTS, "", "the ability has a continuous task already")
            self._require_modes(caller, wanted, allowed(named))
            if admit is not None:
                admit(len(self._of_uid.get(caller.uid, ())))
            counter: Counter = draft.get(self._NAME)
            task = Task(counter.next_id, caller.uid, caller.pid, caller.bundle, *named, _ascending(wanted))
            draft.put(self._NAME, Counter(task.id + 1))
            draft.put(self._key(task.id), task)
            self._tell(draft, now, TaskEventKind.CONTINUOUS_START, task)
            return task.id

        return self._operate(now, begin)

    def update(
        self,
        now: int,
        caller: Caller,
        ability: object,
        modes: object,
        *,
        allowed: Callable[[Ability], Allowed],
        is_ready: bool = True,
    ) -> None:
        """Give the task of an ability other modes; the same ones, in any order, are fine, and no event.

        Parameters are as of `start`.

        Raises
        ------
        BusinessError
            In this order: 401, the modes; 9800002, as `start`; 9800004, not ready; 9800005, uid, pid or bundle; 201,
            the permission is missing; 9800005, there is none; then for each mode as `start`. 9800007: the store
            refused.
        """

        def change(draft: Draft) -> None:
            wanted, named = modes_argument(modes), ability_of(ability)
            self._require_caller(caller, named, is_ready=is_ready)
            self._require_permission(caller)
            task = self._find(caller, named)
            if task.modes == _ascending(wanted):
                return
            self._require_modes(caller, wanted, allowed(Ability(task.ability, task.ability_id)))
            task = replace(task, modes=_ascending(wanted))
            draft.put(self._key(task.id), task)
            self._tell(draft, now, TaskEventKind.CONTINUOUS_UPDATE, task)

        self._operate(now, change)

    def stop(self, now: int, caller: Caller, ability: object, *, is_ready: bool = True) -> None:
        """End the task of an ability.

        Raises
        ------
        BusinessError
            In this order: 9800002, as `start`; 9800004, not ready; 9800005, uid, pid or bundle; 401, the name of the
            ability is missing; 9800005, there is none. 9800007: the store refused.
        """

        def end(draft: Draft) -> None:
            named = ability_of(ability)
            self._require_caller(caller, named, is_ready=is_ready)
            if named is None:
                raise task_refusal(TaskStatus.ABILITY_INVALID, "ability must be an Ability, or its name.")
            self._end(draft, now, [self._find(caller, named)])

        self._operate(now, end)

    def app_stopped(self, now: int, uid: int) -> None:
        """Hear that an app has stopped: all its tasks end. Raises 9800007 when the store refuses."""
        self._operate(now, lambda draft: self._end(draft, now, self._all(uid)))

    def restarted(self, now: int, runs: Callable[[int, int], bool]) -> None:
        """Drop the tasks of processes that do not run any more, after a restart. That makes no event.

        Parameters
        ----------
        now : int
            The instant.
        runs : callable
            Whether a process, of a uid and a pid, is the one that it was.

        Raises
        ------
        BusinessError
            9800007: the store refused.
        """

        def drop(draft: Draft) -> None:
            for task in self._all():
                if not runs(task.uid, task.pid):
                    draft.put(self._key(task.id), None)

        self._operate(now, drop)

    def tasks(self, uid: int | None = None) -> list[ContinuousTask]:
        """Return the tasks that run, those of one uid or all, by ascending id."""
        self.mend()
        return [task.value for task in self._all(uid)]

    # How it is done.

    def _all(self, uid: int | None = None) -> list[Task]:
        ids = self._ids.values() if uid is None else self._of_uid.get(uid, ())
        return [self._records[self._key(one)] for one in sorted(ids)]

    def _require_caller(self, caller: Caller, ability: Ability | None, *, is_ready: bool) -> None:
        if not is_encodable(caller.bundle) or not is_encodable("" if ability is None else ability.name):
            raise task_refusal(_PARCEL_FAILED)
        if not is_ready:
            raise task_refusal(_NOT_READY)
        if not is_identity(caller.uid, caller.pid) or not is_short(caller.bundle):
            raise task_refusal(TaskStatus.TASK_CALLER_INVALID)

    def _require_permission(self, caller: Caller) -> None:
        if not caller.keep_background_running:
            raise task_refusal(_PERMISSION_DENIED, "", "the caller may not keep running in the background")

    def _require_modes(self, caller: Caller, modes: Collection[BackgroundMode], allowed: Allowed) -> None:
        for mode in modes:
            if mode is BackgroundMode.WIFI_INTERACTION and not caller.system_app:
                raise task_refusal(_NOT_SYSTEM_APP, "", f"{mode.name} is for system apps")
            if mode is BackgroundMode.TASK_KEEPING and not allowed.keeps_tasks:
                raise task_refusal(TaskStatus.KEEPING_UNSUPPORTED)
            if allowed.declared is not None and mode not in allowed.declared:
                raise task_refusal(TaskStatus.MODE_UNDECLARED, "", f"the ability does not declare {mode.name}")

    def _find(self, caller: Caller, ability: Ability | None) -> Task:
        task_id = None if ability is None else self._ids.get((caller.uid, *ability))
        if task_id is None:
            raise task_refusal(_UNKNOWN, "", "the ability has no continuous task")
        task: Task = self._records[self._key(task_id)]
        return task

    def _end(self, draft: Draft, now: int, tasks: Sequence[Task]) -> None:
        """End some tasks of one uid."""
        for task in tasks:
            draft.put(self._key(task.id), None)
            self._tell(draft, now, TaskEventKind.CONTINUOUS_STOP, task)
        if tasks and len(tasks) == len(self._of_uid[tasks[0].uid]):
            last = tasks[-1]
            event = TaskEvent(0, now, TaskEventKind.CONTINUOUS_APP_STOP, last.uid, 0, last.bundle, 0, ())
            draft.events.append(event)

    def _tell(self, draft: Draft, now: int, kind: TaskEventKind, task: Task) -> None:
        value = task.value
        draft.events.append(TaskEvent(0, now, kind, task.uid, task.pid, task.bundle, task.id, value.modes))

    def _clear(self) -> None:
        super()._clear()
        self._ids: dict[Key, int] = {}
        self._of_uid: dict[int, set[int]] = {}
        self._records[self._NAME] = Counter(1)

    def _key(self, task_id: int) -> str:
        return f"{self._NAME}/{task_id}"

    def _decode(self, key: str, fields: Any) -> Counter | Task:
        if key == self._NAME:
            return Counter(number(fields["next_id"]))
        task = Task.read(fields)
        if key != self._key(task.id):
            raise ValueError(f"it is of task {task.id}")
        return task

    def _replace(self, key: str, record: Any) -> None:
        before = self._records.get(key)
        super()._replace(key, record)
        if key == self._NAME:
            return
        if before is not None:
            self._ids.pop(before.key, None)
            of_uid = self._of_uid[before.uid]
            of_uid.discard(before.id)
            if not of_uid:
                del self._of_uid[before.uid]
        if record is not None:
            self._ids[record.key] = record.id
            self._of_uid.setdefault(record.uid, set()).add(record.id)


def _ascending(modes: Collection[BackgroundMode]) -> tuple[int, ...]:
    return tuple(sorted(int(mode) for mode in modes))
