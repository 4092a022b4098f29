"""Contenders whose time is the machine's."""

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from grantbench.contender import Contender, Run
from grantbench.plan import Mix
from grantbench.shape import COMMON, DENSE, Shape

# To let items lapse, they are inserted with deadlines that lie behind all of the inserting, and are waited for.
FIRST_S = 0.02
FIRST_S_PER_OWNER = 6e-6


class LapsingContender(Contender):
    """A cache in which items lapse after a time that is waited for."""

    is_virtual = False
    # How long after its deadline an item can be ended at last.
    granularity_s: ClassVar[float] = 0.02

    # The calls of the cache, as it has them: keep an item so many seconds, drop it, and say what it is, or a default.
    put: Callable[[int, int, float], object]
    remove: Callable[[int, None], object]
    get: Callable[..., int]

    @abstractmethod
    def clear(self) -> None:
        """Empty it."""

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self.put(uid, mask, timeout_ms / 1000)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> Run:
        put, mask = self.put, shape.mask
        seconds = [timeout / 1000 for timeout in timeouts_ms]

        def run() -> None:
            for uid, timeout in zip(uids, seconds, strict=True):
                put(uid, mask, timeout)

        return run

    def releasing(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        del shape  # all that an owner holds has one key
        remove = self.remove

        def run() -> None:
            for uid in uids:
                remove(uid, None)

        return run

    def asking(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        del shape  # all that an owner holds has one key
        get = self.get

        def run() -> None:
            for uid in uids:
                get(uid)

        return run

    def playing(self, mix: Mix) -> Run:
        put, remove = self.put, self.remove
        seconds = [timeout / 1000 for timeout in mix.timeouts]

        def run() -> None:
            for is_release, uid, timeout in zip(mix.is_release, mix.uids, seconds, strict=True):
                if is_release:
                    remove(uid, None)
                else:
                    put(uid, COMMON, timeout)

        return run

    def mask(self, uid: int) -> int:
        return self.get(uid, 0)

    def pass_time(self, ms: int) -> None:
        raise NotImplementedError("time is the machine's")

    def let_lapse(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> None:
        """Squeeze the deadlines, spread as they are, into a time that can be waited for."""
        first = FIRST_S + FIRST_S_PER_OWNER * len(uids)
        while not self._lapses(uids, timeouts_ms, shape.mask, first):
            first *= 2

    def _lapses(self, uids: Sequence[int], timeouts_ms: Sequence[int], mask: int, first: float) -> bool:
        """Give each item its deadline, the first ones in `first` seconds; False if the inserting took longer."""
        scale = first / min(timeouts_ms)
        start = time.monotonic()
        for uid, timeout in zip(uids, timeouts_ms, strict=True):
            self.put(uid, mask, max(1e-6, timeout * scale - (time.monotonic() - start)))
        if time.monotonic() - start > first:
            self.clear()
            return False
        time.sleep(max(0.0, start + max(timeouts_ms) * scale - time.monotonic()) + self.granularity_s)
        return True
