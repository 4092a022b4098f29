"""The contender ``cachetools``: TLRUCache, a cache in Python with a time to live per item, with time as a number."""

import sys
from collections.abc import Sequence
from importlib import metadata

import cachetools

from grantbench.contender import Contender, Facts, Run
from grantbench.plan import Mix
from grantbench.shape import COMMON, DENSE, Shape

Item = tuple[int, int]


def _deadline(_uid: int, item: Item, now: float) -> float:
    """Return until when an item lives: its type is followed by its timeout."""
    return now + item[1]


class CachetoolsContender(Contender):
    """The cache as it is; its values are types with timeouts. Every insertion ends all that is due."""

    name = "cachetools"
    max_owners = 100_000

    def __init__(self, owners: int, reserve: bool = False) -> None:
        del owners, reserve
        self._now = 0
        self._cache: cachetools.TLRUCache[int, Item] = cachetools.TLRUCache(
            maxsize=sys.maxsize, ttu=_deadline, timer=lambda: self._now
        )

    @classmethod
    def facts(cls) -> Facts:
        return Facts("TLRUCache, in Python", metadata.version("cachetools"))

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self._cache[uid] = (mask, timeout_ms)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> Run:
        cache = self._cache
        mask = shape.mask
        items = [(mask, timeout) for timeout in timeouts_ms]

        def run() -> None:
            for uid, item in zip(uids, items, strict=True):
                cache[uid] = item

        return run

    def releasing(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        del shape  # all that an owner holds has one key
        cache = self._cache

        def run() -> None:
            for uid in uids:
                del cache[uid]

        return run

    def asking(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        del shape  # all that an owner holds has one key
        get = self._cache.get

        def run() -> None:
            for uid in uids:
                get(uid)

        return run

    def playing(self, mix: Mix) -> Run:
        cache = self._cache
        items = [(COMMON, timeout) for timeout in mix.timeouts]

        def run() -> None:
            for is_release, uid, item in zip(mix.is_release, mix.uids, items, strict=True):
                if is_release:
                    del cache[uid]
                else:
                    cache[uid] = item

        return run

    def holders(self, mask: int) -> list[int]:
        return [uid for uid, (held, _) in self._cache.items() if held & mask]

    def mask(self, uid: int) -> int:
        held, _ = self._cache.get(uid, (0, 0))
        return int(held)

    def count(self) -> int:
        return len(self._cache)

    def end(self, budget: int) -> bool:
        del budget
        self._cache.expire()
        return False

    def pass_time(self, ms: int) -> None:
        self._now += ms
