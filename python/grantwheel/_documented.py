"""The documented request and the refusals of the compiled engine, for what stands in a manager's place. Private."""

from typing import Any

from . import _core
from ._core import BusinessError
from ._task_errors import made_error, message_of


def read_request(*args: Any) -> tuple[int, bool, bool, bool, int, int, str]:
    """Return mask, apply, persist, process, cpu level, timeout (ms) and reason of a documented request.

    Raises
    ------
    BusinessError
        401: it is none; names the field and the rule.
    """
    return _core.read_request(*args)


def refusal(detail: int, sentence: str = "", rule: str = "") -> BusinessError:
    """Return the error of an inner code, as a manager would raise it."""
    return _core.business_error(detail, sentence, rule)


def told_refusal(code: int, detail: int, message: str, rule: str) -> BusinessError:
    """Return the error that another process has told of, with its words."""
    return made_error(code, detail, message or message_of(code), rule)
