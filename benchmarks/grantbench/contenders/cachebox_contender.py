"""The contender ``cachebox``: VTTLCache, a cache in Rust with a time to live per item. It has real time only."""

import time
from collections.abc import Sequence

import cachebox

from grantbench.contender import COMMON, Contender, Facts, Run
from grantbench.plan import Mix

# To let items lapse, they are inserted with deadlines that lie behind all of the inserting, and are waited for.
LAPSE_S = 0.02
LAPSE_S_PER_OWNER = 6e-6


class CacheboxContender(Contender):
    """The cache as it is; its values are the types.

    Whatever next touches the cache removes all that has expired in one go, be it `end`, an insertion or a look-up.
    """

    name = "cachebox"
    is_virtual = False

    def __init__(self, owners: int, reserve: bool = False) -> None:
        self.cache: cachebox.VTTLCache[int, int] = cachebox.VTTLCache(0, capacity=owners if reserve else 0)

    @classmethod
    def facts(cls) -> Facts:
        return Facts("VTTLCache, in Rust; real time only", str(cachebox.__version__))

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self.cache.insert(uid, mask, timeout_ms / 1000)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int]) -> Run:
        insert = self.cache.insert
        seconds = [timeout / 1000 for timeout in timeouts_ms]

        def run() -> None:
            for uid, timeout in zip(uids, seconds, strict=True):
                insert(uid, COMMON, timeout)

        return run

    def releasing(self, uids: Sequence[int]) -> Run:
        pop = self.cache.pop

        def run() -> None:
            for uid in uids:
                pop(uid, None)

        return run

    def asking(self, uids: Sequence[int]) -> Run:
        get = self.cache.get

        def run() -> None:
            for uid in uids:
                get(uid)

        return run

    def playing(self, mix: Mix) -> Run:
        insert, pop = self.cache.insert, self.cache.pop
        seconds = [timeout / 1000 for timeout in mix.timeouts]

        def run() -> None:
            for is_release, uid, timeout in zip(mix.is_release, mix.uids, seconds, strict=True):
                if is_release:
                    pop(uid, None)
                else:
                    insert(uid, COMMON, timeout)

        return run

    def holders(self, mask: int) -> list[int]:
        return [uid for uid, held in self.cache.items() if held & mask]

    def mask(self, uid: int) -> int:
        held: int = self.cache.get(uid, 0)
        return held

    def count(self) -> int:
        return len(self.cache)

    def end(self, budget: int) -> bool:
        del budget
        self.cache.expire(reuse=True)
        return False

    def pass_time(self, ms: int) -> None:
        raise NotImplementedError("time is the machine's")

    def let_lapse(self, uids: Sequence[int], timeouts_ms: Sequence[int]) -> None:
        """Squeeze the deadlines, spread as they are, into a time that can be waited for."""
        first = LAPSE_S + LAPSE_S_PER_OWNER * len(uids)
        while not self._lapses(uids, timeouts_ms, first):
            first *= 2

    def _lapses(self, uids: Sequence[int], timeouts_ms: Sequence[int], first: float) -> bool:
        """Give each item its deadline, the first ones in `first` seconds; False if the inserting took longer."""
        insert = self.cache.insert
        scale = first / min(timeouts_ms)
        start = time.monotonic()
        for uid, timeout in zip(uids, timeouts_ms, strict=True):
            insert(uid, COMMON, max(1e-6, timeout * scale - (time.monotonic() - start)))
        if time.monotonic() - start > first:
            self.cache.clear()
            return False
        time.sleep(max(0.0, start + max(timeouts_ms) * scale - time.monotonic()) + LAPSE_S)
        return True
