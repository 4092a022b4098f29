"""The documented calls for transient tasks: some time in the background, to finish what was begun."""

from typing import Any

from grantwheel._core import BusinessError
from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.tasks.values import DelaySuspendInfo, TransientTaskInfo

from ._default import NOT_READY, default_tasks


def requestSuspendDelay(*args: Any) -> DelaySuspendInfo:  # noqa: N802 - the documented name
    """Ask for some time in the background (documented API: ``backgroundTaskManager.requestSuspendDelay``).

    Takes exactly two arguments: the reason, a string, and a function that is called when the time is nearly over.

    Returns
    -------
    DelaySuspendInfo
        The ``requestId``, and ``actualDelayTime``, how much time it is (ms of running in the background).

    Raises
    ------
    BusinessError
        With code 401, 9800001, 9800003, 9800004, 9900001, 9900002 or 9900003; nothing is granted then.
    """
    return default_tasks().request_suspend_delay(*args)


def cancelSuspendDelay(*args: Any) -> None:  # noqa: N802 - the documented name
    """Give back what is left of a request (documented API: ``backgroundTaskManager.cancelSuspendDelay``).

    Takes exactly one argument, the id of the request.

    Raises
    ------
    BusinessError
        With code 401, 9800003, 9800004 or 9900001.
    """
    default_tasks().cancel_suspend_delay(*args)


def getRemainingDelayTime(*args: Any) -> int:  # noqa: N802 - the documented name
    """Return what is left of a request, in ms (documented API: ``backgroundTaskManager.getRemainingDelayTime``).

    Takes exactly one argument, the id of the request.

    Raises
    ------
    BusinessError
        With code 401, 9800003, 9800004 or 9900001.
    """
    return default_tasks().remaining_delay_time(*args)


def getTransientTaskInfo(*args: Any) -> TransientTaskInfo:  # noqa: N802 - the documented name
    """Return what this application has left today (documented API: ``backgroundTaskManager.getTransientTaskInfo``).

    Takes no argument.

    Returns
    -------
    TransientTaskInfo
        The ``remainingQuota`` (ms), and of each open request in ``transientTasks`` what is left of it.

    Raises
    ------
    BusinessError
        With code 401, 9900001 or 9900004.
    """
    try:
        tasks = default_tasks()
    except BusinessError as error:
        if error.code != NOT_READY:
            raise
        raise task_refusal(TaskStatus.INFO_NOT_CONNECTED, "", str(error)) from error.__cause__
    return tasks.transient_task_info(*args)
