"""Checking what the documented calls are given, before any question of who calls: all of it is refused with 401."""

import operator
from collections.abc import Sequence
from typing import Any, Final

from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.types import BackgroundMode

from .callers import MAX_TEXT_BYTES, is_encodable, is_short
from .values import Ability

_ARGUMENT_COUNT: Final = 9800401
_REASON: Final = 9800402
_COUNTS: Final = ("no argument", "exactly one argument", "exactly two arguments", "exactly three arguments")


def require_count(args: Sequence[object], count: int) -> None:
    """Refuse another number of arguments."""
    if len(args) != count:
        sentence = f"The call takes {_COUNTS[count]}."
        raise task_refusal(_ARGUMENT_COUNT, sentence, f"the call takes {_COUNTS[count]}, not {len(args)}")


def suspend_arguments(args: Sequence[object]) -> tuple[str, Any]:
    """Return the reason and the callback of a request for some time.

    Raises
    ------
    BusinessError
        401: there are not two arguments, the first is no string of at most 1024 bytes, or the second cannot be called.
    """
    require_count(args, 2)
    reason, callback = args
    if not isinstance(reason, str) or (is_encodable(reason) and not is_short(reason)):
        raise task_refusal(_REASON, f"reason must be a string of at most {MAX_TEXT_BYTES} bytes.")
    if not callable(callback):
        raise task_refusal(TaskStatus.CALLBACK_INVALID, "callback must be a function.")
    return reason, callback


def request_id_argument(args: Sequence[object]) -> int:
    """Return the request id that a call was given alone.

    Raises
    ------
    BusinessError
        401: there is not one argument, or it is no whole number above 0. A bool is no number.
    """
    require_count(args, 1)
    number = whole(args[0])
    if number is None:
        raise task_refusal(TaskStatus.REQUEST_ID_INVALID, "requestId must be a whole number.")
    if number <= 0:
        raise task_refusal(TaskStatus.REQUEST_ID_RANGE, "requestId must be more than 0.")
    return number


def modes_argument(value: object) -> tuple[BackgroundMode, ...]:
    """Return the modes that are named, each once, in the order in which they are first.

    Parameters
    ----------
    value : BackgroundMode or int, or list or tuple of these
        The modes.

    Raises
    ------
    BusinessError
        401: it is none of these, empty, or a number in it is not within 1..9. A bool is no mode.
    """
    named = value if isinstance(value, list | tuple) else (value,)
    if not named:
        raise task_refusal(TaskStatus.MODES_INVALID, "bgModes must have at least one mode.")
    modes: dict[BackgroundMode, None] = {}
    for one in named:
        number = whole(one)
        if number is None:
            raise task_refusal(TaskStatus.MODES_INVALID, "bgModes must be a BackgroundMode, or a list of them.")
        if not 1 <= number <= len(BackgroundMode):
            raise task_refusal(TaskStatus.MODE_RANGE, f"bgModes must be within 1..{len(BackgroundMode)}.")
        modes[BackgroundMode(number)] = None
    return tuple(modes)


def ability_of(value: object) -> Ability | None:
    """Return the ability that a value names, by an `Ability` or by its name alone; None if it names none."""
    if isinstance(value, str):
        value = Ability(value)
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    name, number = value
    if not isinstance(name, str) or not name or not isinstance(number, int) or isinstance(number, bool):
        return None
    return Ability(name, number)


def whole(value: object) -> int | None:
    """Return the whole number that a value is, or None. 1.0 is one, True is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
