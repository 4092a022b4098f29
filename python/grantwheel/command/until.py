"""How far a replay goes."""

from typing import NamedTuple


class Until(NamedTuple):
    """How far to go: to an instant in ms, or to a time of the calendar in ms since 1970; with neither, to the end."""

    time: int | None = None
    wall_ms: int | None = None
