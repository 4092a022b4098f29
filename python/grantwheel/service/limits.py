"""What one connection, one uid and all together may ask for."""

import operator
from collections.abc import Hashable, Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

_MOST_BUCKETS: Final = 4096  # before those of uids that ask for little are let go


def _limit(default: int, least: int, most: int, word: str, what: str) -> Any:
    """Describe a limit: its bounds, how the error of meeting it begins, and what it is of, for people."""
    return field(default=default, metadata={"least": least, "most": most, "word": word, "what": what})


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
    request_bytes_per_uid : int
        How much of requests that are not whole yet a uid may have sent, over all its connections.
    output_bytes : int
        How long one answer may be.
    output_bytes_per_uid : int
        How much of answers may wait to be read, over all connections of a uid.
    stall_ms : int
        How long a connection for which something waits may read nothing of it.
    tasks_per_uid : int
        How many continuous tasks a uid may have.
    calls_per_second : int
        How many calls a uid may make, over all its connections; as many may come at once. 0: any number.
    connection_calls_per_second : int
        How many calls one connection may make. 0: any number.

    Raises
    ------
    TypeError, ValueError
        A limit is no int, or not within its bounds; the message names it.
    """

    connections: int = _limit(10_000, 1, 1_000_000, "CONNECTIONS", "connections at once")
    connections_per_uid: int = _limit(1_000, 1, 1_000_000, "UIDCONNECTIONS", "of one user")
    watched: int = _limit(20_000, 1, 1_000_000, "WATCHED", "processes that are connected or hold something")
    watched_per_uid: int = _limit(2_000, 1, 1_000_000, "UIDWATCHED", "of one user")
    request_bytes: int = _limit(8 << 20, 1 << 16, 1 << 28, "REQUEST", "bytes of a request")
    request_bytes_per_uid: int = _limit(
        64 << 20, 1 << 16, 1 << 40, "UIDREQUESTS", "bytes of requests of one user that are not whole yet"
    )
    output_bytes: int = _limit(16 << 20, 1 << 16, 1 << 30, "OUTPUT", "bytes of an answer")
    output_bytes_per_uid: int = _limit(
        64 << 20, 1 << 16, 1 << 40, "UIDOUTPUT", "bytes of answers that one user does not read"
    )
    stall_ms: int = _limit(30_000, 10, 86_400_000, "STALL", "ms in which nothing of what waits is read")
    tasks_per_uid: int = _limit(100, 1, 1_000_000, "UIDTASKS", "continuous tasks of one user")
    calls_per_second: int = _limit(0, 0, 1_000_000_000, "UIDCALLS", "calls a second of one user; 0: any number")
    connection_calls_per_second: int = _limit(
        0, 0, 1_000_000_000, "CALLS", "calls a second of one connection; 0: any number"
    )

    def __post_init__(self) -> None:
        """Check every limit."""
        for one in fields(self):
            name, value = one.name, getattr(self, one.name)
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            number = operator.index(value)
            least, most = one.metadata["least"], one.metadata["most"]
            if not least <= number <= most:
                raise ValueError(f"{name} must be within {least}..{most}, not {number}")
            object.__setattr__(self, name, number)


def described() -> "Iterator[tuple[str, int, str, str]]":
    """Return each limit: its name, its default, how its error begins, and what it is of."""
    one: Field[int]
    for one in fields(Limits):
        assert isinstance(one.default, int)
        yield one.name, one.default, one.metadata["word"], one.metadata["what"]


# How the error of each limit begins.
LIMIT_WORDS: Final = {name: word for name, _, word, _ in described()}


class Bucket:
    """How many calls one has left: a bucket of tokens that fills with time.

    Parameters
    ----------
    calls_per_second : int
        How fast it fills, and how many calls it holds.
    """

    __slots__ = ("_full_at", "_most")

    def __init__(self, calls_per_second: int) -> None:
        self._most = calls_per_second
        self._full_at = 0.0  # a bucket is how long it still needs to be full

    def take(self, now: float) -> bool:
        """Count a call at an instant, in seconds; False: it is one too many, and is not counted."""
        # The instant at which a bucket is full moves by one token with each call; the bucket is empty a second before.
        full_at = max(self._full_at, now) + 1 / self._most
        if full_at > now + 1 + 1e-9:
            return False
        self._full_at = full_at
        return True

    def is_full(self, now: float) -> bool:
        """Whether it is as if nothing had ever been taken."""
        return self._full_at <= now


class Rates:
    """How many calls each of many has left.

    Parameters
    ----------
    calls_per_second : int
        As of each `Bucket`.
    """

    def __init__(self, calls_per_second: int) -> None:
        self._most = calls_per_second
        self._buckets: dict[Hashable, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, who: Hashable, now: float) -> bool:
        """Count a call at an instant, in seconds; False: it is one too many, and is not counted."""
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= _MOST_BUCKETS:
                self._buckets = {one: other for one, other in self._buckets.items() if not other.is_full(now)}
            bucket = self._buckets[who] = Bucket(self._most)
        return bucket.take(now)
