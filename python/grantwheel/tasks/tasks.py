"""The tasks of a manager, as a host sees them."""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from grantwheel._callback import require_plain
from grantwheel._core import BusinessError
from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.caller import Caller
from grantwheel.manager import Manager

from .arguments import request_id_argument, require_count, suspend_arguments
from .policy import TaskPolicy
from .store import Store
from .tied import TiedTasks, TogetherRefusedError, answer_of
from .values import ContinuousTask, DelaySuspendInfo, TransientFigures, TransientTaskInfo

_CLOSED: Final = 980000402
_Answer = TypeVar("_Answer")


class Tasks(TiedTasks):
    """The transient and continuous tasks of a manager, whose clock, policy and readiness count for them. Thread-safe.

    A manager has one of these at most. Deaths that it hears of end tasks too: `Manager.process_died`,
    `Manager.app_stopped` and `Manager.package_removed`. What becomes due happens by itself, in the thread of the
    manager; with a `ManualClock` by `advance`.

    Calls of apps take ``caller=``: who calls. Default: this process, with what the policy says of its uid; where that
    gives no bundle name, "uid." and the uid is one.

    Parameters
    ----------
    manager : Manager
        Whose.
    policy : TaskPolicy
        Which continuous tasks apps may have. The default trusts everyone.
    figures : TransientFigures
        How much time transient tasks have. Default: what the documented API says.
    store : Store
        Where the state is kept, and what it begins with. Default: the log of the manager, in its notes whose keys begin
        with ``b"tasks/"``, if it has one; else in memory. It must not call these tasks, nor may the log.
    max_records : int
        How many uids with transient tasks, and how many continuous tasks, there may be at once.
    event_capacity : int
        How many events are kept for each reader, 1..2^31-1.

    Raises
    ------
    ValueError
        The manager has tasks already; or a limit is out of range: names it.
    TypeError
        An argument is of another type.
    BusinessError
        9800002: what is in the store cannot be read; names the record. 9800003, 9800007: the log takes nothing now, as
        at the opening, and so cannot be told which processes have ended. 9800004: the manager is closed.
    """

    def __init__(
        self,
        manager: Manager,
        *,
        policy: TaskPolicy | None = None,
        figures: TransientFigures | None = None,
        store: Store | None = None,
        max_records: int = 10_000,
        event_capacity: int = 1 << 14,
    ) -> None:
        self.set_policy(TaskPolicy() if policy is None else policy)
        super().__init__(manager, figures, store, max_records, event_capacity)

    @property
    def policy(self) -> TaskPolicy:
        """Which continuous tasks apps may have; replace it with `set_policy`."""
        return self._policy

    def set_policy(self, policy: TaskPolicy) -> None:
        """Replace the policy, from the next call on. No task ends by it.

        Raises
        ------
        TypeError
            It is no `TaskPolicy`.
        """
        if not isinstance(policy, TaskPolicy):
            raise TypeError(f"policy must be a TaskPolicy, not {type(policy).__name__}")
        self._policy = policy

    # Transient tasks.

    def request_suspend_delay(
        self, *args: Any, caller: Caller | None = None, name: str | None = None
    ) -> DelaySuspendInfo:
        """Grant an app some time in the background (documented API: ``requestSuspendDelay``).

        Parameters
        ----------
        *args
            Exactly two: the reason, a string of at most 1024 bytes, and the callback, a function without arguments. It
            is called once, when the time is nearly over, by the thread of the manager or by `advance`; what it raises
            is logged.
        caller : Caller
            Who calls.
        name : str
            What stands for the callback, for a host that speaks for others: equal ones are one callback, whatever
            function is given. Default: the function is told apart by equality.

        Returns
        -------
        DelaySuspendInfo
            The id of the request, and for how many ms of running in the background it is.

        Raises
        ------
        BusinessError
            In this order: 401; 9900003, a text cannot be encoded; 9800004, not ready or closed; 9900001, uid, pid or
            bundle; 9900002, the callback is that of an open request, the app has been in the background for too long,
            has three open requests, or has too little time left today. 9800001, 9800003: see `Manager.apply`.
        """
        reason, function = suspend_arguments(args)
        try:
            require_plain(function, "callback", "It may create a task that awaits")
        except TypeError as error:
            raise task_refusal(TaskStatus.CALLBACK_INVALID, "callback must be a plain function.") from error
        who = self._caller(caller)

        def ask(now: int) -> DelaySuspendInfo:
            asked = self._callbacks.asked_with(function, name)
            granted = self._transient.request(now, who, reason, asked.name, **self._conditions(who))
            self._open(granted.requestId, asked)
            return granted

        return self._do(ask)

    def cancel_suspend_delay(self, *args: Any, caller: Caller | None = None) -> None:
        """End a request of the caller's app (documented API: ``cancelSuspendDelay``).

        Parameters
        ----------
        *args
            Exactly one: the id of the request.
        caller : Caller
            Who calls.

        Raises
        ------
        BusinessError
            In this order: 401, it is no number above 0; 9800004, not ready or closed; 9900001, uid, pid or bundle, or
            the app has no open request of this id.
        """
        request_id, who = request_id_argument(args), self._caller(caller)

        def cancel(now: int) -> None:
            self._transient.cancel(now, who, request_id, **self._conditions(who))
            self._cancelled.add(request_id)

        self._do(cancel)

    def remaining_delay_time(self, *args: Any, caller: Caller | None = None) -> int:
        """Return what is left of a request, in ms (documented API: ``getRemainingDelayTime``).

        Takes and raises what `cancel_suspend_delay` does.
        """
        request_id, who = request_id_argument(args), self._caller(caller)
        return self._do(lambda now: self._transient.remaining(now, who, request_id, **self._conditions(who)))

    def transient_task_info(self, *args: Any, caller: Caller | None = None) -> TransientTaskInfo:
        """Return what the app has left today, and of its open requests (documented API: ``getTransientTaskInfo``).

        Raises
        ------
        BusinessError
            In this order: 401, there is an argument; 9900004, not ready or closed; 9900001, uid, pid or bundle.
        """
        require_count(args, 0)
        who = self._caller(caller)
        try:
            return self._do(lambda now: self._transient.info(now, who, **self._conditions(who)))
        except BusinessError as error:
            if error.detail != _CLOSED:
                raise
            raise task_refusal(TaskStatus.INFO_NOT_CONNECTED) from error

    # Continuous tasks.

    def start_background_running(
        self, *args: Any, caller: Caller | None = None, admit: Callable[[int], object] | None = None
    ) -> int:
        """Begin a continuous task of an ability (documented API: ``startBackgroundRunning``).

        Parameters
        ----------
        *args
            Exactly three: the ability, an `Ability` or its name; what it does, a `BackgroundMode` or a list of them;
            and what is to be started when a person touches the notification, any object but None and False.
        caller : Caller
            Who calls.
        admit : callable
            For a host that limits what one uid may have: called with how many tasks the uid has, where nothing else is
            wrong. It must not call these tasks; a `BusinessError` that it raises refuses the task.

        Returns
        -------
        int
            The id of the task, which runs until `stop_background_running` or until the app is stopped.

        Raises
        ------
        BusinessError
            In this order: 401, the modes; 9800004, not ready or closed; 9800006, the ability or the last argument is
            missing; 201, the caller may not keep running; 9800005, the ability has a task; then for each mode: 202, it
            is one for system apps; 9800005, it is not supported, or not declared; what ``admit`` raises. 9800001: there
            are too many tasks. 9800007: it is not on record.
        """
        require_count(args, 3)
        who = self._caller(caller)

        def start(now: int) -> int:
            return self._continuous.start(
                now,
                who,
                *args,
                allowed=lambda ability: self._policy.allowed(who.bundle, ability),
                admit=admit,
                **self._readiness(),
            )

        return self._do(start)

    def update_background_running(self, *args: Any, caller: Caller | None = None) -> None:
        """Give the task of an ability other modes (documented API: ``updateBackgroundRunning``).

        Parameters
        ----------
        *args
            Exactly two: the ability and the modes, as of `start_background_running`.
        caller : Caller
            Who calls.

        Raises
        ------
        BusinessError
            In this order: 401, the modes; 9800004, not ready or closed; 201, the caller may not keep running; 9800005,
            the ability has no task; then, unless they are the same, for each mode as `start_background_running`.
        """
        require_count(args, 2)
        who = self._caller(caller)

        def update(now: int) -> None:
            self._continuous.update(
                now, who, *args, allowed=lambda ability: self._policy.allowed(who.bundle, ability), **self._readiness()
            )

        self._do(update)

    def stop_background_running(self, *args: Any, caller: Caller | None = None) -> None:
        """End the task of an ability (documented API: ``stopBackgroundRunning``).

        Parameters
        ----------
        *args
            Exactly one: the ability.
        caller : Caller
            Who calls.

        Raises
        ------
        BusinessError
            In this order: 9800004, not ready or closed; 401, the ability is missing; 9800005, it has no task.
        """
        require_count(args, 1)
        who = self._caller(caller)
        self._do(lambda now: self._continuous.stop(now, who, args[0], **self._readiness()))

    def continuous_tasks(self, uid: int | None = None) -> list[ContinuousTask]:
        """Return the continuous tasks that run, those of one uid or all, by ascending id."""
        return self._do(lambda _now: self._continuous.tasks(uid))

    def keeps_running(self, uid: int) -> bool:
        """Whether an app has an open transient request or a continuous task. It changes nothing."""
        return self._do(lambda now: self._transient.is_open(now, uid) or bool(self._continuous.tasks(uid)))

    def processes(self, uid: int | None = None) -> set[tuple[int, int]]:
        """Return the processes whose death would change something, of one uid or all: each by uid and pid.

        They have open requests, or are in the foreground. Continuous tasks are of the app, however it fares.
        """
        return self._do(lambda _now: {(one.uid, pid) for one in self._transient.owners(uid) for pid in one.pids})

    def apps(self, uid: int | None = None) -> set[int]:
        """Return the uids of the apps whose stop would change something, of one uid or all.

        They have open requests or continuous tasks, are in the foreground, or have left it.
        """

        def find(_now: int) -> set[int]:
            started = {one.uid for one in self._transient.owners(uid) if one.is_started}
            return started | {task.uid for task in self._continuous.tasks(uid)}

        return self._do(find)

    def together(self, calls: "Sequence[Callable[[Tasks], _Answer]]") -> list[_Answer | Exception]:
        """Make several calls of these tasks, in their order, which go on record as one entry of the log.

        That is one wait for a disk instead of as many as there are calls. Nobody else comes in between, and nobody sees
        anything of it before it is on record. Where the log refuses all of it, the calls are made again one by one, so
        that each is refused, or is not, for itself.

        Meanwhile signal handlers and finalisers cannot call these tasks, nor tell their manager of a death: that is a
        RuntimeError, as within a single call. They do it again later.

        Parameters
        ----------
        calls : sequence of callable
            Functions each of which makes one call of the tasks that it is given, and does nothing else. They are these
            tasks, as one of the calls has them: it is by them that it is known not to be a signal handler's.

        Returns
        -------
        list
            For each what it has returned, or the `BusinessError`, ValueError or TypeError that it has raised; it is not
            told whether one of these is a signal handler's.

        Raises
        ------
        RuntimeError
            There are several, and one of them makes several calls, or calls other tasks than those that it is given.
            Nothing has changed.
        Exception
            Anything else that a call, or a signal handler meanwhile, has raised: then the events tell what has come to
            be, which is nothing unless it was being put on record, or the calls were being made one by one.
        """
        if len(calls) > 1:
            with contextlib.suppress(TogetherRefusedError):
                return self._alone.safely(partial(self._do_together, _JoinedTasks(self), calls))
        return [answer_of(call, self) for call in calls]

    # What the host tells.

    def set_foreground(self, uid: int, pid: int, is_foreground: bool) -> None:
        """Hear that a process has gone to the foreground, or has left it.

        An app is in the foreground while one of its processes is. Its requests run while it is not.

        Raises
        ------
        BusinessError
            9900001: there can be no such process. 9800001: a limit is reached. 9800003: it is not on record.
        """
        self._do(lambda now: self._transient.set_foreground(now, uid, pid, is_foreground=is_foreground))

    def set_screen(self, is_on: bool) -> None:
        """Hear that the screen is on, or off: then all requests run. At first it is on."""
        self._do(lambda now: self._transient.set_screen(now, is_on=is_on))

    def set_battery(self, is_low: bool) -> None:
        """Hear that the battery is low, or no longer: requests from then on are shorter. At first it is not."""
        self._do(lambda now: self._transient.set_battery(now, is_low=is_low))

    def restarted(self, runs: Callable[[int, int], bool], *, is_reboot: bool = False) -> None:
        """Drop what belongs to processes that do not run any more, after a restart. That makes no event.

        Parameters
        ----------
        runs : callable
            Whether a process, of a uid and a pid, is the one that it was.
        is_reboot : bool
            Whether the machine was started since: no app has been in the foreground then.
        """
        self._do(lambda now: self._drop(now, runs, is_reboot=is_reboot))

    # How it is done.

    def _caller(self, caller: Caller | None) -> Caller:
        """Return who calls: this process, if nobody else is named."""
        if caller is not None:
            return caller
        uid, policy = os.getuid(), self._manager.policy
        known = policy.callers.get(uid, policy.default_caller)
        return replace(known, uid=uid, pid=os.getpid(), bundle=known.bundle or f"uid.{uid}")

    def _readiness(self) -> dict[str, bool]:
        return {"is_ready": self._manager.ready}

    def _conditions(self, who: Caller) -> dict[str, bool]:
        return {"knows_bundle": who.bundle not in self._manager.policy.unknown_bundles, **self._readiness()}


class _JoinedTasks(Tasks):
    """The tasks as they are given to calls that are made together: all that they know is theirs too."""

    __slots__ = ("_may_join",)

    def __init__(self, tasks: Tasks) -> None:
        self._may_join = False
        self.__dict__ = tasks.__dict__


def tasks_of(manager: Manager) -> Tasks | None:
    """Return the tasks of a manager, if it has any."""
    found = manager._tasks()
    return found if isinstance(found, Tasks) else None
