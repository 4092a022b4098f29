"""The words of a request as values, the errors of those that are none, and what is told of what went wrong."""

import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from grantwheel import BusinessError, MemoryOperationError, ParameterError, ResourceType
from grantwheel._documented import refusal

from .limits import LIMIT_WORDS

_log = logging.getLogger("grantwheel")
_DENIED, _WRONG, _OUT_OF_MEMORY, _NOT_READY = 201, 401, 980000101, 980000401
_MOST_NAMES_BYTES: Final = 1 << 10  # of what is joined in one word
_MOST_UIDS_BYTES: Final = 1 << 16
_NAMES: Final = {one.name: int(one) for one in ResourceType if one.name}


class Simple(str):
    """A word that is answered as it stands, as OK is."""

    __slots__ = ()


OK: Final = Simple("OK")


def wrong(rule: str) -> BusinessError:
    """Return the error of a request that is not of the form that its command has: 401."""
    return refusal(_WRONG, "", rule)


def denied(rule: str) -> BusinessError:
    """Return the error of a request that its peer may not make: 201."""
    return refusal(_DENIED, "", rule)


def text(word: bytes, name: str) -> str:
    """Return a word as text."""
    try:
        return word.decode()
    except UnicodeDecodeError:
        raise wrong(f"{name} must be UTF-8") from None


def number(word: bytes, name: str) -> int:
    """Return a word as a whole number of at most 64 bits."""
    try:
        value = int(word)
    except ValueError:
        raise wrong(f"{name} must be a whole number") from None
    if not -(1 << 63) <= value < 1 << 63:
        raise wrong(f"{name} must be within 64 bits")
    return value


def require_length(word: bytes, name: str, most: int) -> None:
    """Refuse a word that would take the loop too long to read."""
    if len(word) > most:
        raise wrong(f"{name} must be at most {most} bytes")


def mask(word: bytes, name: str = "mask") -> int:
    """Return types that are given by number, or by names: ``33`` is ``CPU|GPS``."""
    require_length(word, name, _MOST_NAMES_BYTES)
    if word.lstrip(b"-").isdigit():
        return number(word, name)
    value = 0
    for one in text(word, name).upper().split("|"):
        if one not in _NAMES:
            raise wrong(f"{name} must be a number, or names joined by |: {', '.join(_NAMES)}")
        value |= _NAMES[one]
    return value


def kinds(word: bytes, known: type[StrEnum]) -> frozenset[StrEnum]:
    """Return kinds of events that are joined by commas."""
    require_length(word, "KINDS", _MOST_NAMES_BYTES)
    try:
        return frozenset(known(one) for one in text(word, "KINDS").lower().split(","))
    except ValueError:
        raise wrong(f"KINDS must be names joined by commas: {', '.join(known)}") from None


def uids(word: bytes) -> frozenset[int]:
    """Return uids that are joined by commas."""
    require_length(word, "UIDS", _MOST_UIDS_BYTES)
    return frozenset(number(one, "UIDS") for one in word.split(b","))


def options(words: Sequence[bytes], start: int, known: Mapping[bytes, int]) -> dict[bytes, Sequence[bytes]]:
    """Return the options of a request: what follows each keyword, which stands once.

    Parameters
    ----------
    words : sequence of bytes
        The request.
    start : int
        Where the options begin.
    known : mapping
        How many words follow each keyword.
    """
    found: dict[bytes, Sequence[bytes]] = {}
    at = start
    while at < len(words):
        name = words[at].upper()
        if name not in known:
            raise wrong(f"{text(words[at], 'an option')[:32]!r} is no option here: there are {_listed(known)}")
        if name in found:
            raise wrong(f"{name.decode()} must stand once")
        end = at + 1 + known[name]
        if end > len(words):
            raise wrong(f"{name.decode()} must be followed by {known[name]} words")
        found[name] = words[at + 1 : end]
        at = end
    return found


def _listed(known: Mapping[bytes, int]) -> str:
    return ", ".join(name.decode() for name in known) if known else "none"


class LimitError(MemoryOperationError):
    """A limit of the service is met: 9800001, with a word of its own."""

    limit: str
    rule: str
    word: str


class InstanceError(ParameterError):
    """Numbers of events are those of another service, which was here before: 401, with a word of its own."""

    word = "INSTANCE"


def another(rule: str) -> InstanceError:
    """Return the error of numbers that are not of this service."""
    told = wrong(rule)
    error = InstanceError(str(told))
    error.code, error.detail, error.message = told.code, told.detail, told.message
    return error


def out_of_memory(rule: str) -> BusinessError:
    """Return the error of what there is not enough memory for: 9800001."""
    return refusal(_OUT_OF_MEMORY, "", rule)


def limited(limit: str, rule: str) -> LimitError:
    """Return the error of a limit of the service."""
    told = out_of_memory(rule)
    error = LimitError(str(told))
    error.limit, error.rule = limit, rule
    error.code, error.detail, error.message, error.word = told.code, told.detail, told.message, LIMIT_WORDS[limit]
    return error


def failed(rule: str) -> BusinessError:
    """Return the error of a service that can't do what it should: 9800004."""
    return refusal(_NOT_READY, "", rule)


def told(problem: BaseException) -> Exception:
    """Return what is told of what went wrong; what is not of the request's making is logged."""
    if isinstance(problem, BusinessError):
        return problem
    if isinstance(problem, ValueError | TypeError | OverflowError | MemoryError):
        _log.debug("a request was refused: %s", problem)  # a peer may not fill the log
        return out_of_memory(str(problem)) if isinstance(problem, MemoryError) else wrong(str(problem))
    _log.error("a request failed", exc_info=problem)
    return failed("the request failed: the log of the service says why")
