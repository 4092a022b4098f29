"""The documented calls for continuous tasks: an ability that goes on in the background until it is stopped."""

from typing import Any

from ._default import default_tasks


def startBackgroundRunning(*args: Any) -> int:  # noqa: N802 - the documented name
    """Begin a continuous task (documented API: ``backgroundTaskManager.startBackgroundRunning``).

    Takes exactly three arguments: the ability, a `grantwheel.Ability` or its name; what it does, a
    `grantwheel.BackgroundMode` or a list of them; and the want agent, what is to be started when a person touches the
    notification: any object but None.

    Returns
    -------
    int
        The id of the task.

    Raises
    ------
    BusinessError
        With code 201, 202, 401, 9800001, 9800002, 9800003, 9800004, 9800005, 9800006 or 9800007;
        nothing has begun then, but perhaps with 9800003.
    """
    return default_tasks().start_background_running(*args)


def updateBackgroundRunning(*args: Any) -> None:  # noqa: N802 - the documented name
    """Give a continuous task other modes (documented API: ``backgroundTaskManager.updateBackgroundRunning``).

    Takes exactly two arguments: the ability, and a `grantwheel.BackgroundMode` or a list of them.

    Raises
    ------
    BusinessError
        With code 201, 202, 401, 9800002, 9800003, 9800004, 9800005 or 9800007;
        nothing has changed then, but perhaps with 9800003.
    """
    default_tasks().update_background_running(*args)


def stopBackgroundRunning(*args: Any) -> None:  # noqa: N802 - the documented name
    """End a continuous task (documented API: ``backgroundTaskManager.stopBackgroundRunning``).

    Takes exactly one argument, the ability.

    Raises
    ------
    BusinessError
        With code 401, 9800002, 9800003, 9800004, 9800005 or 9800007.
    """
    default_tasks().stop_background_running(*args)
