"""Lengths of time as people give them: whole milliseconds, or a timedelta."""

import operator
from datetime import timedelta
from typing import SupportsIndex

_MILLISECOND = timedelta(milliseconds=1)


def to_ms(length: SupportsIndex | timedelta, name: str) -> int:
    """Return a length of time in whole milliseconds.

    Raises
    ------
    TypeError
        It is neither an integer nor a timedelta.
    ValueError
        It is a timedelta that is not of whole milliseconds.
    """
    if isinstance(length, timedelta):
        whole, rest = divmod(length, _MILLISECOND)
        if rest:
            raise ValueError(f"{name} must be of whole milliseconds, not {length!r}")
        return whole
    if isinstance(length, bool):
        raise TypeError(f"{name} must be an int or a timedelta, not bool")
    try:
        return operator.index(length)
    except TypeError:
        raise TypeError(f"{name} must be an int or a timedelta, not {type(length).__name__}") from None
