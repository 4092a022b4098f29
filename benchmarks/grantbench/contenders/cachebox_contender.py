"""The contender ``cachebox``: VTTLCache, a cache in Rust with a time to live per item. It has real time only."""

import cachebox

from grantbench.contender import Facts

from .lapsing import LapsingContender


class CacheboxContender(LapsingContender):
    """The cache as it is; its values are the types.

    Whatever next touches the cache removes all that has expired in one go, be it `end`, an insertion or a look-up.
    """

    name = "cachebox"

    def __init__(self, owners: int, reserve: bool = False) -> None:
        self.cache: cachebox.VTTLCache[int, int] = cachebox.VTTLCache(0, capacity=owners if reserve else 0)
        self.put, self.remove, self.get = self.cache.insert, self.cache.pop, self.cache.get

    @classmethod
    def facts(cls) -> Facts:
        return Facts("VTTLCache, in Rust; real time only", str(cachebox.__version__))

    def holders(self, mask: int) -> list[int]:
        return [uid for uid, held in self.cache.items() if held & mask]

    def count(self) -> int:
        return len(self.cache)

    def end(self, budget: int) -> bool:
        del budget
        self.cache.expire(reuse=True)
        return False

    def clear(self) -> None:
        self.cache.clear()
