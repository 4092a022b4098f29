"""Contenders whose time is the machine's."""

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from grantbench.contender import Contender

# To let items lapse, they are inserted with deadlines that lie behind all of the inserting, and are waited for.
FIRST_S = 0.02
FIRST_S_PER_OWNER = 6e-6


class LapsingContender(Contender):
    """A cache in which items lapse after a time that is waited for."""

    is_virtual = False
    # How long after its deadline an item can be ended at last.
    granularity_s: ClassVar[float] = 0.02

    @abstractmethod
    def insert(self, uid: int, seconds: float) -> None:
        """Grant `COMMON` to an owner for a time."""

    @abstractmethod
    def clear(self) -> None:
        """Empty it."""

    def pass_time(self, ms: int) -> None:
        raise NotImplementedError("time is the machine's")

    def let_lapse(self, uids: Sequence[int], timeouts_ms: Sequence[int]) -> None:
        """Squeeze the deadlines, spread as they are, into a time that can be waited for."""
        first = FIRST_S + FIRST_S_PER_OWNER * len(uids)
        while not self._lapses(uids, timeouts_ms, first):
            first *= 2

    def _lapses(self, uids: Sequence[int], timeouts_ms: Sequence[int], first: float) -> bool:
        """Give each item its deadline, the first ones in `first` seconds; False if the inserting took longer."""
        scale = first / min(timeouts_ms)
        start = time.monotonic()
        for uid, timeout in zip(uids, timeouts_ms, strict=True):
            self.insert(uid, max(1e-6, timeout * scale - (time.monotonic() - start)))
        if time.monotonic() - start > first:
            self.clear()
            return False
        time.sleep(max(0.0, start + max(timeouts_ms) * scale - time.monotonic()) + self.granularity_s)
        return True
