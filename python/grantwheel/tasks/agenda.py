"""What is due next: an instant for each key."""

import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_SPARE: Final = 64  # entries that have been replaced, which are left in the heap beside as many as count


class Agenda(Generic[_Key]):
    """Instants by key. What is replaced stays in the heap until it comes up, or there is too much of it."""

    def __init__(self) -> None:
        self._instants: dict[_Key, int] = {}
        self._heap: list[tuple[int, _Key]] = []

    def set(self, key: _Key, instant: int | None) -> None:
        """Have a key due at an instant and at no other one; None: never."""
        if instant is None:
            self._instants.pop(key, None)
        elif self._instants.get(key) != instant:
            self._instants[key] = instant
            heapq.heappush(self._heap, (instant, key))
        if len(self._heap) > 2 * len(self._instants) + _SPARE:
            self._heap = [(at, one) for one, at in self._instants.items()]
            heapq.heapify(self._heap)

    def next(self) -> int | None:
        """Return the earliest instant, or None."""
        while self._heap:
            instant, key = self._heap[0]
            if self._instants.get(key) == instant:
                return instant
            heapq.heappop(self._heap)
        return None

    def due_by(self, now: int) -> list[_Key]:
        """Return the keys that are due by an instant. They stay so."""
        found: dict[_Key, int] = {}
        while (instant := self.next()) is not None and instant <= now:
            found[heapq.heappop(self._heap)[1]] = instant
        for key, instant in found.items():
            heapq.heappush(self._heap, (instant, key))
        return list(found)
