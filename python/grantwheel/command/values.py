"""What people write for types, lengths of time and users, as values."""

import argparse
import pwd
import re

from grantwheel import CpuLevel, ResourceType

MAX_MS = (1 << 32) - 1
_MAX_ID = (1 << 32) - 1
_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PARTS = re.compile(r"(\d+)\s*(ms|s|min|m|h|d)\s*", re.ASCII)
_LEVELS = {"small": CpuLevel.SMALL_CPU, "medium": CpuLevel.MEDIUM_CPU, "large": CpuLevel.LARGE_CPU}

TYPES = ", ".join(str(one.name) for one in ResourceType if one is not ResourceType.ALL)
LEVELS = ", ".join(_LEVELS)


def names(mask: int) -> list[str]:
    """Return the names of the types of a mask."""
    return [str(one.name) for one in ResourceType(mask & ResourceType.ALL)]


def types(text: str) -> ResourceType:
    """Return the types of a list such as ``CPU,AUDIO``; ``ALL`` is all of them, a bar is as good as a comma."""
    found = ResourceType(0)
    for word in re.split(r"[,|]", text):
        name = word.strip().upper()
        if name not in ResourceType.__members__:
            raise argparse.ArgumentTypeError(f"{word.strip()!r} is no type: those are {TYPES}, and ALL")
        found |= ResourceType[name]
    return found


def duration(text: str) -> int:
    """Return the ms of a length of time such as ``30s``, ``1500ms`` or ``1h30min``."""
    parts = _PARTS.findall(text)
    if not parts or _PARTS.sub("", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time such as 30s, 1500ms, 5min or 1h30min")
    found = sum(int(number) * _UNITS_MS[unit] for number, unit in parts)
    if not 1 <= found <= MAX_MS:
        raise argparse.ArgumentTypeError(f"{text!r} is not within 1ms..{MAX_MS}ms, which is almost 50 days")
    return found


def level(text: str) -> CpuLevel:
    """Return a cpu level."""
    if text.lower() not in _LEVELS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {LEVELS}")
    return _LEVELS[text.lower()]


def uid(text: str) -> int:
    """Return the uid of a number or of a name of a user."""
    if text.isascii() and text.isdecimal():
        return number(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except (KeyError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a uid nor the name of a user") from error


def number(text: str) -> int:
    """Return a pid, or another number that is not negative."""
    if not (text.isascii() and text.isdecimal() and int(text) <= _MAX_ID):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number within 0..{_MAX_ID}")
    return int(text)


def sequence(text: str) -> int:
    """Return the number of an event."""
    if not (text.isascii() and text.isdecimal() and int(text) < 1 << 63):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of an event")
    return int(text)
