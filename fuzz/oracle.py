"""What a documented request asks for, or why it is refused: the rules in their order, in as few words as they need.

The mapping is read as the call must read it: each field once, in order. Whatever a value or a mapping raises is raised.
"""

import math
import operator
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from grantwheel import EfficiencyResourcesRequest
from model_policy import MAX_TEXT_BYTES, PARCEL_FAILED, Refused
from support import REQUEST_DETAIL

ARGUMENT_COUNT: Final = 9800401
LARGEST: Final = 2**31 - 1
ABSENT: Final = object()
CODES: Final = REQUEST_DETAIL


class Asked(NamedTuple):
    """A request that has passed."""

    mask: int
    is_apply: bool
    timeout_ms: int
    reason: str
    persist: bool
    process: bool
    cpu_level: int


def field(given: Any, name: str) -> Any:
    """Read a field: of a dictionary as it stands there, of another mapping by asking it."""
    if isinstance(given, EfficiencyResourcesRequest):
        return getattr(given, name, ABSENT)
    if isinstance(given, dict):
        return dict.get(given, name, ABSENT)
    if name not in given:
        return ABSENT
    try:
        return given[name]
    except KeyError:  # it has gone since
        return ABSENT


def is_number(value: Any, largest: int = LARGEST) -> int | None:
    """A finite, whole number in range that is no bool, as an int."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = float.__float__(value)
        if not math.isfinite(value) or not value.is_integer():
            return None
        number = int(value)
    elif hasattr(type(value), "__index__"):
        try:
            number = int.__int__(operator.index(value))
        except TypeError:  # it only looks like a number, as an array does
            return None
    else:
        return None
    return number if 0 <= number <= largest else None


def judge(arguments: tuple[Any, ...]) -> Asked:
    """Answer what the arguments of the call ask for; raises `Refused`, or what they raise."""
    if len(arguments) != 1:
        raise Refused(ARGUMENT_COUNT)
    given = arguments[0]
    if not isinstance(given, EfficiencyResourcesRequest | Mapping):
        raise Refused(CODES["resourceTypes"])

    def number(name: str) -> int:
        result = is_number(field(given, name))
        if result is None:
            raise Refused(CODES[name])
        return result

    def flag(name: str, default: object = ABSENT) -> bool:
        value = field(given, name)
        value = default if value is ABSENT else value
        if not isinstance(value, bool):
            raise Refused(CODES[name])
        return value

    mask = number("resourceTypes")
    is_apply = flag("isApply")
    timeout = number("timeOut")
    reason = field(given, "reason")
    if not isinstance(reason, str) or len(str.encode(reason, errors="surrogatepass")) > MAX_TEXT_BYTES:
        raise Refused(CODES["reason"])
    persist = flag("isPersist", default=False)
    process = flag("isProcess", default=False)
    level = field(given, "cpuLevel")
    cpu_level = -1 if level is ABSENT else is_number(level, 2)
    if cpu_level is None:
        raise Refused(CODES["cpuLevel"])

    if mask == 0:
        raise Refused(CODES["resourceTypes"])
    if is_apply and not persist and timeout == 0:
        raise Refused(CODES["timeOut"])
    try:
        str.encode(reason)
    except UnicodeEncodeError:
        raise Refused(PARCEL_FAILED) from None
    return Asked(mask, is_apply, timeout, str.__str__(reason), persist, process, cpu_level)
