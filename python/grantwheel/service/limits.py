"""What one connection, one uid and all together may ask for."""

import operator
from dataclasses import dataclass, fields
from typing import Final

_LEAST: Final = {"request_bytes": 1024, "calls_per_second": 0}  # 1 of all others
_MOST: Final = {
    "connections": 1_000_000,
    "connections_per_uid": 1_000_000,
    "watched": 1_000_000,
    "watched_per_uid": 1_000_000,
    "request_bytes": 1 << 28,
    "calls_per_second": 1_000_000_000,
}
_MOST_BUCKETS: Final = 4096  # before those of uids that ask for little are let go


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection, one uid and all together may ask for.

    Parameters
    ----------
    connections : int
        How many there may be at once.
    connections_per_uid : int
        How many one uid may have of these.
    watched : int
        How many processes may be connected or hold something at once: each takes a descriptor.
    watched_per_uid : int
        How many one uid may have of these.
    request_bytes : int
        How long one request may be.
    calls_per_second : int
        How many calls a uid may make, over all its connections; as many may come at once. 0: any number.

    Raises
    ------
    TypeError, ValueError
        A limit is no int, or not within its bounds; the message names it.
    """

    connections: int = 10_000
    connections_per_uid: int = 1_000
    watched: int = 20_000
    watched_per_uid: int = 2_000
    request_bytes: int = 8 << 20
    calls_per_second: int = 0

    def __post_init__(self) -> None:
        """Check every limit."""
        for one in fields(self):
            name, value = one.name, getattr(self, one.name)
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            number = operator.index(value)
            least, most = _LEAST.get(name, 1), _MOST[name]
            if not least <= number <= most:
                raise ValueError(f"{name} must be within {least}..{most}, not {number}")
            object.__setattr__(self, name, number)


class Rates:
    """How many calls each uid has left: a bucket of tokens for each, which fills with time.

    Parameters
    ----------
    calls_per_second : int
        How fast a bucket fills, and how many calls it holds.
    """

    def __init__(self, calls_per_second: int) -> None:
        self._most = calls_per_second
        self._full_at: dict[int, float] = {}  # a bucket is how long it still needs to be full

    def take(self, uid: int, now: float) -> bool:
        """Count a call of a uid at an instant, in seconds; False: it is one too many, and is not counted."""
        # The instant at which a bucket is full moves by one token with each call; the bucket is empty a second before.
        full_at = max(self._full_at.get(uid, now), now) + 1 / self._most
        if full_at > now + 1 + 1e-9:
            return False
        if len(self._full_at) >= _MOST_BUCKETS and uid not in self._full_at:
            self._full_at = {one: at for one, at in self._full_at.items() if at > now}
        self._full_at[uid] = full_at
        return True
