"""What one writes without a library: a dict, and a heap of timers that are re-armed lazily."""

from heapq import heapify, heappop, heappush
from threading import Lock

# An owner and one of its types.
Key = tuple[int, int]
Types = tuple[int, ...]


class HeapGrants:
    """Keeps a deadline for each type of each owner, and notes what has ended. Thread-safe. No reasons, no limits.

    A grant is (deadline, armed), where ``armed`` is the instant of its timer in the heap. A renewal only stores the
    later deadline; when the timer comes up early it goes back into the heap. A timer whose grant was released is
    skipped, and swept out once there are more of them than grants.
    """

    __slots__ = ("_ended", "_grants", "_heap", "_lock", "now")

    def __init__(self) -> None:
        self._grants: dict[Key, tuple[int, int]] = {}
        self._heap: list[tuple[int, Key]] = []
        self._ended: list[tuple[int, int, int]] = []
        self._lock = Lock()
        self.now = 0

    def owners(self) -> int:
        """Return how many owners hold anything, or were not ended yet."""
        return len({uid for uid, _ in self._grants})

    def apply(self, uid: int, mask: int, timeout: int) -> None:
        """Grant a type to an owner, or renew it."""
        key = (uid, mask)
        with self._lock:
            now = self.now
            deadline = now + timeout
            grant = self._grants.get(key)
            if grant is None or grant[0] <= now:
                self._grants[key] = (deadline, deadline)
                heappush(self._heap, (deadline, key))
            elif deadline > grant[0]:
                self._grants[key] = (deadline, grant[1])

    def release(self, uid: int, mask: int) -> None:
        """Take a type away from an owner."""
        with self._lock:
            grants = self._grants
            if grants.pop((uid, mask), None) is not None and len(self._heap) > 2 * len(grants) + 64:
                self._heap = [(armed, key) for key, (_, armed) in grants.items()]
                heapify(self._heap)

    def apply_each(self, uid: int, types: Types, timeout: int) -> None:
        """Grant several types to an owner, or renew them."""
        with self._lock:
            now, grants = self.now, self._grants
            deadline = now + timeout
            for mask in types:
                key = (uid, mask)
                grant = grants.get(key)
                if grant is None or grant[0] <= now:
                    grants[key] = (deadline, deadline)
                    heappush(self._heap, (deadline, key))
                elif deadline > grant[0]:
                    grants[key] = (deadline, grant[1])

    def release_each(self, uid: int, types: Types) -> None:
        """Take several types away from an owner."""
        with self._lock:
            grants = self._grants
            for mask in types:
                grants.pop((uid, mask), None)
            if len(self._heap) > 2 * len(grants) + 64:
                self._heap = [(armed, key) for key, (_, armed) in grants.items()]
                heapify(self._heap)

    def held(self, uid: int, types: Types) -> int:
        """Return which of several types an owner holds now, as one mask."""
        held = 0
        with self._lock:
            now, grants = self.now, self._grants
            for mask in types:
                grant = grants.get((uid, mask))
                if grant is not None and grant[0] > now:
                    held |= mask
        return held

    def holds(self, uid: int, mask: int) -> bool:
        """Say whether an owner holds a type now."""
        with self._lock:
            grant = self._grants.get((uid, mask))
            return grant is not None and grant[0] > self.now

    def holders(self, mask: int) -> list[int]:
        """Return the owners that hold a type now."""
        with self._lock:
            now = self.now
            return [uid for (uid, held), (deadline, _) in self._grants.items() if held == mask and deadline > now]

    def end(self, budget: int) -> bool:
        """End what is due, looking at no more than `budget` timers; say whether any is left."""
        with self._lock:
            grants, heap, now = self._grants, self._heap, self.now
            for _ in range(budget):
                if not heap or heap[0][0] > now:
                    return False
                armed, key = heappop(heap)
                grant = grants.get(key)
                if grant is None or grant[1] != armed:
                    continue
                deadline = grant[0]
                if deadline > now:
                    grants[key] = (deadline, deadline)
                    heappush(heap, (deadline, key))
                else:
                    del grants[key]
                    self._ended.append((deadline, *key))
            return bool(heap) and heap[0][0] <= now

    def drain(self) -> list[tuple[int, int, int]]:
        """Return what has ended since the last time: instants, owners and types."""
        with self._lock:
            ended, self._ended = self._ended, []
            return ended
