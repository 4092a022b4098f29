"""Who may call: numbers and names within their ranges."""

from typing import Final

from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.caller import Caller

MAX_UID: Final = 2**32 - 2
MAX_PID: Final = 2**31 - 1
MAX_TEXT_BYTES: Final = 1024


def is_identity(uid: int, pid: int) -> bool:
    """Whether there can be such a process."""
    return 0 <= uid <= MAX_UID and 0 <= pid <= MAX_PID


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_short(text: str) -> bool:
    """Whether a text that can be written as UTF-8 takes no more bytes than a reason or a name may."""
    return len(text.encode()) <= MAX_TEXT_BYTES


def check_transient_caller(
    caller: Caller, reason: str, *, is_ready: bool, knows_bundle: bool, not_ready: int = 980000401
) -> None:
    """Refuse who cannot ask for a transient task, in this order.

    Raises
    ------
    BusinessError
        9900003 for a text that cannot be encoded; ``not_ready``; 9900001 for the uid or the pid, then for the bundle.
    """
    if not is_encodable(reason) or not is_encodable(caller.bundle):
        raise task_refusal(TaskStatus.TRANSIENT_PARCEL_FAILED)
    if not is_ready:
        raise task_refusal(not_ready)
    if not is_identity(caller.uid, caller.pid):
        raise task_refusal(TaskStatus.TRANSIENT_CALLER_INVALID)
    if not knows_bundle or not caller.bundle or not is_short(caller.bundle):
        raise task_refusal(TaskStatus.BUNDLE_UNKNOWN)
