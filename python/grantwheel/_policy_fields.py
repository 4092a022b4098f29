"""The fields of a `Policy`: each is checked when the policy is made, and named in what is raised."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, TypeVar

from ._times import to_ms
from .caller import Caller
from .types import EfficiencyResourcesCpuLevel, ResourceType

_TYPE_COUNT = 9
_NO_TYPE = ResourceType(0)
_MAX_UID = 2**32 - 2
_MAX_LEVEL = 2
_MAX_TIMEOUT = 2**32 - 1
_MAX_NAME_BYTES = 1024

_Value = TypeVar("_Value")
_Member = TypeVar("_Member", bound=StrEnum)


def types(value: object, name: str) -> ResourceType:
    """Return the union of types that are named one by one; a `ResourceType` names its own."""
    if isinstance(value, ResourceType):
        return _NO_TYPE if value == _NO_TYPE else _types_of(value, name)
    union = _NO_TYPE
    for place, one in enumerate(_iterate(value, name, "types")):
        union |= _types_of(one, f"{name}[{place}]")
    return union


def configured_types(value: object, name: str) -> ResourceType:
    """Return the same from documented numbers, those that stand for no type left out."""
    numbers = [
        _integer(one, f"{name}[{place}]", "a number") for place, one in enumerate(_iterate(value, name, "numbers"))
    ]
    return types([number for number in numbers if 0 <= number <= _TYPE_COUNT], name)


def timeouts(value: object, name: str) -> dict[ResourceType, int]:
    """Return the shortest timeout that is given for each single type, ascending."""
    shortest: dict[ResourceType, int] = {}
    for key, given in _mapping(value, name, "types").items():
        place = f"{name}[{key!r}]"
        length = to_ms(given, place) if isinstance(given, timedelta) else given
        timeout = _within(length, place, 1, _MAX_TIMEOUT, "ms")
        for single in _types_of(key, f"a key of {name}"):
            shortest[single] = min(timeout, shortest.get(single, timeout))
    return dict(sorted(shortest.items()))


def level(value: object, name: str) -> int:
    """Return a cpu level that may be a limit."""
    if isinstance(value, EfficiencyResourcesCpuLevel):
        value = int(value)
    return _within(value, name, 0, _MAX_LEVEL)


def by_bundle(value: object, name: str, convert: Callable[[object, str], _Value]) -> dict[str, _Value]:
    """Return a mapping by bundle with each value converted, which is told its name."""
    return {
        _bundle(bundle, f"a key of {name}"): convert(given, f"{name}[{bundle!r}]")
        for bundle, given in _mapping(value, name, "bundle names").items()
    }


def bundles(value: object, name: str) -> frozenset[str]:
    """Return a set of bundle names."""
    return frozenset(
        _bundle(one, f"{name}[{place}]") for place, one in enumerate(_iterate(value, name, "bundle names"))
    )


def member(enumeration: type[_Member], value: object, name: str) -> _Member:
    """Return the member of an enumeration that a value stands for."""
    try:
        return enumeration(value)  # type: ignore[arg-type]  # any value but its own is the error below
    except ValueError:
        choice = " or ".join(repr(str(one)) for one in enumeration)
        raise ValueError(f"{name} must be {choice}, not {value!r}") from None


def callers(value: object, name: str) -> dict[int, Caller]:
    """Return callers by uid."""
    return {
        _within(uid, f"a key of {name}", 0, _MAX_UID): caller(given, f"{name}[{uid!r}]")
        for uid, given in _mapping(value, name, "uids").items()
    }


def caller(value: object, name: str) -> Caller:
    """Return a copy of a caller whose bundle and flags can be."""
    if not isinstance(value, Caller):
        raise TypeError(f"{name} must be a Caller, not {_kind(value)}")
    _bundle(value.bundle, f"bundle of {name}")
    for flag in ("system_app", "service_extension", "native", "keep_background_running"):
        given = getattr(value, flag)
        if not isinstance(given, bool):
            raise TypeError(f"{flag} of {name} must be a bool, not {_kind(given)}")
    return replace(value)


def quota(value: Any, name: str) -> Any:
    """Return a quota hook, or None."""
    if value is None or all(callable(getattr(value, method, None)) for method in ("check", "settle")):
        return value
    raise TypeError(f"{name} must have the methods check() and settle(), or be None")


def _types_of(value: object, name: str) -> ResourceType:
    """Return what one name of types stands for: never nothing."""
    if isinstance(value, ResourceType):
        if not 0 < int(value) <= int(ResourceType.ALL):
            raise ValueError(f"{name} must stand for types that there are, not {value!r}")
        return value
    number = _within(_integer(value, name, "a ResourceType or a number"), name, 0, _TYPE_COUNT)
    return ResourceType(1 << number - 1) if number else ResourceType.ALL


def _bundle(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {_kind(value)}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name} cannot be encoded as UTF-8: {value!r}") from None
    if size > _MAX_NAME_BYTES:
        raise ValueError(f"{name} must be a bundle name of at most {_MAX_NAME_BYTES} bytes, not {size}")
    return value


def _within(value: object, name: str, least: int, most: int, unit: str = "") -> int:
    number = _integer(value, name, "an int")
    if not least <= number <= most:
        raise ValueError(f"{name} must be within {least}..{most}{unit and ' ' + unit}, not {number}")
    return number


def _integer(value: object, name: str, wanted: str) -> int:
    """Return an integer of any type, but no bool and no member of an enumeration that means something else."""
    if not isinstance(value, (bool, Enum)):
        try:
            return operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            pass
    raise TypeError(f"{name} must be {wanted}, not {_kind(value)}")


def _iterate(value: object, name: str, of: str) -> Iterator[object]:
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray)):
        return iter(value)
    raise TypeError(f"{name} must be an iterable of {of}, not {_kind(value)}")


def _mapping(value: object, name: str, of: str) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    raise TypeError(f"{name} must be a mapping by {of}, not {_kind(value)}")


def _kind(value: object) -> str:
    return type(value).__name__
