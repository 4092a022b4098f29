"""The refusals of tasks: the public codes and the inner ones that the compiled list does not have. Private.

What both have in common (parameters, readiness, privilege, limits) is refused with the codes of the compiled list.
"""

from enum import IntEnum
from typing import Final, Self

from . import _core
from ._core import BusinessError


class TaskNotificationError(BusinessError):
    """9800006: Notification verification failed for a continuous task."""

    __module__ = "grantwheel"


class TaskStorageError(BusinessError):
    """9800007: Continuous task storage failed."""

    __module__ = "grantwheel"


class TransientCallerError(BusinessError):
    """9900001: Caller information verification failed for a transient task."""

    __module__ = "grantwheel"


class TransientTaskError(BusinessError):
    """9900002: Transient task verification failed."""

    __module__ = "grantwheel"


class TransientParcelError(BusinessError):
    """9900003: Parcel operation failed."""

    __module__ = "grantwheel"


class TransientServiceError(BusinessError):
    """9900004: System service operation failed."""

    __module__ = "grantwheel"


#: The classes by public code; the docstring of each is its code and its message.
CLASSES: Final[dict[int, type[BusinessError]]] = {
    9800006: TaskNotificationError,
    9800007: TaskStorageError,
    9900001: TransientCallerError,
    9900002: TransientTaskError,
    9900003: TransientParcelError,
    9900004: TransientServiceError,
}

#: As `_core.PUBLIC_CODES`: public code, class, message.
PUBLIC_CODES: Final = tuple((code, one.__name__, (one.__doc__ or "")[9:]) for code, one in CLASSES.items())
_MESSAGES: Final = {code: message for code, _, message in (*_core.PUBLIC_CODES, *PUBLIC_CODES)}
_OF_CORE: Final = {code: getattr(_core, name) for code, name, _ in _core.PUBLIC_CODES}
_PARAMETER: Final = 401


class TaskStatus(IntEnum):
    """The inner codes, each with its rule in words."""

    rule: str

    def __new__(cls, detail: int, rule: str) -> Self:
        """Make a member of an inner code and its rule."""
        made = int.__new__(cls, detail)
        made._value_ = detail
        made.rule = rule
        return made

    CALLBACK_INVALID = 9800403, "callback"
    REQUEST_ID_INVALID = 9800404, "requestId"
    REQUEST_ID_RANGE = 9800405, "requestId"
    ABILITY_INVALID = 9800406, "ability"
    MODES_INVALID = 9800407, "bgModes"
    MODE_RANGE = 9800411, "bgModes"
    KEEPING_UNSUPPORTED = 980000503, "the device does not support TASK_KEEPING"
    MODE_UNDECLARED = 980000504, "the ability does not declare the mode"
    TASK_CALLER_INVALID = (
        980000505,
        "uid must be within 0..2^32-2, pid within 0..2^31-1, the bundle name at most 1024 bytes",
    )
    TASK_INCOMPLETE = 980000603, "the name of the ability or the want agent is missing"
    TASK_NOT_STORED = 980000701, "the task could not be put on record"
    TRANSIENT_CALLER_INVALID = 990000101, "uid must be within 0..2^32-2, pid within 0..2^31-1"
    BUNDLE_UNKNOWN = 990000102, "the bundle name is missing, longer than 1024 bytes, or unknown to the policy"
    REQUEST_UNKNOWN = 990000103, "the app has no open request of this id"
    CALLBACK_REGISTERED = 990000202, "the callback is that of an open request"
    TOO_LATE = 990000204, "the app has been in the background for too long"
    TOO_MANY = 990000205, "the app has as many open requests as it may"
    QUOTA_USED_UP = 990000206, "too little is left of the app's time of today"
    TRANSIENT_PARCEL_FAILED = 990000301, "a text is not valid UTF-8"
    INFO_NOT_READY = 990000401, "the manager is not ready"
    INFO_NOT_CONNECTED = 990000402, "the manager is closed, or the service cannot be reached"

    @property
    def public(self) -> int:
        """The public code."""
        return self // 100 if self >= 100_000_000 else _PARAMETER


#: As `_core.STATUSES`: name, inner code, public code, the rule.
STATUSES: Final = tuple((one.name.lower(), int(one), one.public, one.rule) for one in TaskStatus)


def message_of(code: int) -> str:
    """Return the documented message of a public code."""
    return _MESSAGES.get(code, "Unknown error.")


def made_error(code: int, detail: int, message: str, rule: str) -> BusinessError:
    """Return an error of these words, of the class of its public code."""
    kind = CLASSES.get(code) or _OF_CORE.get(code, BusinessError)
    error: BusinessError = kind(f"[{code}] {message} ({detail}: {rule})" if rule else f"[{code}] {message} ({detail})")
    error.code, error.detail, error.message = code, detail, message
    return error


def task_refusal(detail: int, sentence: str = "", rule: str = "") -> BusinessError:
    """Return the error of an inner code of either list; see `_core.business_error`."""
    if not isinstance(detail, TaskStatus):
        return _core.business_error(detail, sentence, rule)
    message = message_of(detail.public)
    return made_error(detail.public, int(detail), f"{message} {sentence}" if sentence else message, rule or detail.rule)
