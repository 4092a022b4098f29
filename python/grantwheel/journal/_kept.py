"""What was read of a journal when it was opened, for the first who reads it then: so that happens once."""

from collections import deque
from collections.abc import Iterator

_MOST_BYTES = 1 << 26  # of groups, with what each takes by itself
_OWN_BYTES = 64


class KeptGroups:
    """Sound groups behind a position, slice by slice, as far as there is room for them."""

    def __init__(self, after: int = 0) -> None:
        self._after = after
        self._slices: deque[tuple[bytes, ...]] = deque()
        self._room = _MOST_BYTES

    def add(self, groups: tuple[bytes, ...]) -> None:
        """Keep those that come next, unless there is no more room."""
        self._room -= sum(map(len, groups)) + _OWN_BYTES * len(groups)
        if groups and self._room >= 0:
            self._slices.append(groups)

    def take(self, after: int) -> Iterator[tuple[bytes, ...]]:
        """Give away those behind a position, if they begin there."""
        while self._slices and self._after == after:
            groups = self._slices.popleft()
            self._after = after = after + len(groups)
            yield groups

    def forget(self) -> None:
        """Give the memory back."""
        self._slices.clear()
