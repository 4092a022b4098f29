"""The least that keeps deadlines without a library: a dict, and a heap of timers that are re-armed lazily."""

from heapq import heapify, heappop, heappush


class BareHeapGrants:
    """Keeps a type set per owner until one deadline for all of it. Not thread-safe, and tells nobody what has ended.

    A grant is (deadline, armed, mask), where ``armed`` is the instant of its timer in the heap. A renewal only stores
    the later deadline; when the timer comes up early it goes back into the heap. A timer whose grant was released is
    skipped, and swept out once there are more of them than grants.
    """

    __slots__ = ("_grants", "_heap", "now")

    def __init__(self) -> None:
        self._grants: dict[int, tuple[int, int, int]] = {}
        self._heap: list[tuple[int, int]] = []
        self.now = 0

    def owners(self) -> int:
        """Return how many owners hold anything, or were not ended yet."""
        return len(self._grants)

    def apply(self, uid: int, mask: int, timeout: int) -> None:
        """Grant types to an owner, or renew them."""
        now = self.now
        deadline = now + timeout
        grant = self._grants.get(uid)
        if grant is not None and grant[0] > now:
            old, armed, held = grant
            self._grants[uid] = (deadline if deadline > old else old, armed, held | mask)  # noqa: FURB136 - half the time
        else:
            self._grants[uid] = (deadline, deadline, mask)
            heappush(self._heap, (deadline, uid))

    def release(self, uid: int, _mask: int) -> None:
        """Take away all that an owner holds, as its types have one deadline."""
        grants = self._grants
        if grants.pop(uid, None) is not None and len(self._heap) > 2 * len(grants) + 64:
            self._heap = [(armed, uid) for uid, (_, armed, _) in grants.items()]
            heapify(self._heap)

    def holds(self, uid: int, mask: int) -> bool:
        """Say whether an owner holds a type now."""
        grant = self._grants.get(uid)
        return grant is not None and grant[0] > self.now and grant[2] & mask != 0

    def held(self, uid: int, types: tuple[int, ...]) -> int:
        """Return which of several types an owner holds now, as one mask."""
        return sum(mask for mask in types if self.holds(uid, mask))

    def holders(self, mask: int) -> list[int]:
        """Return the owners that hold a type now."""
        now = self.now
        return [uid for uid, (deadline, _, held) in self._grants.items() if held & mask and deadline > now]

    def end(self, budget: int) -> bool:
        """End what is due, looking at no more than `budget` timers; say whether any is left."""
        grants, heap, now = self._grants, self._heap, self.now
        for _ in range(budget):
            if not heap or heap[0][0] > now:
                return False
            armed, uid = heappop(heap)
            grant = grants.get(uid)
            if grant is None or grant[1] != armed:
                continue
            deadline = grant[0]
            if deadline > now:
                grants[uid] = (deadline, deadline, grant[2])
                heappush(heap, (deadline, uid))
            else:
                del grants[uid]
        return bool(heap) and heap[0][0] <= now

    def drain(self) -> list[tuple[int, int, int]]:
        """Return what has ended, which nobody has noted."""
        return []
