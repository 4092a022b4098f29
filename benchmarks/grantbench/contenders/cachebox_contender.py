"""The contender ``cachebox``: VTTLCache, a cache in Rust with a time to live per item. It has real time only."""

from collections.abc import Sequence

import cachebox

from grantbench.contender import COMMON, Facts, Run
from grantbench.plan import Mix

from .lapsing import LapsingContender


class CacheboxContender(LapsingContender):
    """The cache as it is; its values are the types.

    Whatever next touches the cache removes all that has expired in one go, be it `end`, an insertion or a look-up.
    """

    name = "cachebox"

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

    def insert(self, uid: int, seconds: float) -> None:
        self.cache.insert(uid, COMMON, seconds)

    def clear(self) -> None:
        self.cache.clear()
