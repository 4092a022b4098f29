"""What waits to be read: how much of each connection and of each uid, and since when nothing of it has been read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Slow(Protocol):
    """A connection for which something may wait."""

    @property
    def unread_bytes(self) -> int:
        """How much waits for it now."""


_Slow = TypeVar("_Slow", bound=Slow)


@dataclass(slots=True)
class _Noted:
    uid: int
    size: int
    since: float  # when it was first seen to be so much


class Unread(Generic[_Slow]):
    """The connections that read slower than they are answered.

    Parameters
    ----------
    bytes_per_uid : int
        How much may wait for one uid.
    stall_s : float
        How long a connection may read nothing.
    """

    def __init__(self, bytes_per_uid: int, stall_s: float) -> None:
        self._most = bytes_per_uid
        self._stall_s = stall_s
        self._noted: dict[_Slow, _Noted] = {}
        self._by_uid: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._noted)

    def has_room(self, uid: int, size: int) -> bool:
        """Tell whether so many bytes more may wait for a uid."""
        return self._by_uid.get(uid, 0) + size <= self._most

    def note(self, connection: _Slow, uid: int, now: float) -> None:
        """Note how much waits for a connection now; more or less than before means that it reads."""
        size = connection.unread_bytes
        noted = self._noted.get(connection)
        if noted is None:
            noted = self._noted[connection] = _Noted(uid, 0, now)
        if size != noted.size:
            self._by_uid[uid] = self._by_uid.get(uid, 0) + size - noted.size
            noted.size, noted.since = size, now

    def forget(self, connection: _Slow) -> None:
        """Hear that nothing waits for it any more."""
        noted = self._noted.pop(connection, None)
        if noted is not None:
            left = self._by_uid.get(noted.uid, 0) - noted.size
            if left:
                self._by_uid[noted.uid] = left
            else:
                self._by_uid.pop(noted.uid, None)

    def stalled(self, now: float) -> Iterator[tuple[_Slow, int]]:
        """Return those that have read nothing for too long, with how much waits for them."""
        for connection, noted in list(self._noted.items()):
            self.note(connection, noted.uid, now)
            if now - noted.since >= self._stall_s:
                yield connection, noted.size
