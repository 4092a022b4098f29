"""The contender ``heapq``: dict and heapq, with time as a number."""

import platform
from collections.abc import Sequence

from grantbench.contender import COMMON, Contender, Facts, Run
from grantbench.contenders.heap_grants import HeapGrants
from grantbench.plan import Mix


class HeapqContender(Contender):
    """`HeapGrants` as it is."""

    name = "heapq"
    has_slices = True

    def __init__(self, owners: int, reserve: bool = False) -> None:
        del owners, reserve
        self._grants = HeapGrants()

    @classmethod
    def facts(cls) -> Facts:
        return Facts("dict and heapq in Python, re-armed lazily", platform.python_version())

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self._grants.apply(uid, mask, timeout_ms)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int]) -> Run:
        apply = self._grants.apply

        def run() -> None:
            for uid, timeout in zip(uids, timeouts_ms, strict=True):
                apply(uid, COMMON, timeout)

        return run

    def releasing(self, uids: Sequence[int]) -> Run:
        release = self._grants.release

        def run() -> None:
            for uid in uids:
                release(uid)

        return run

    def asking(self, uids: Sequence[int]) -> Run:
        mask = self._grants.mask

        def run() -> None:
            for uid in uids:
                mask(uid)

        return run

    def playing(self, mix: Mix) -> Run:
        apply, release = self._grants.apply, self._grants.release

        def run() -> None:
            for is_release, uid, timeout in zip(mix.is_release, mix.uids, mix.timeouts, strict=True):
                if is_release:
                    release(uid)
                else:
                    apply(uid, COMMON, timeout)

        return run

    def holders(self, mask: int) -> list[int]:
        return self._grants.holders(mask)

    def mask(self, uid: int) -> int:
        return self._grants.mask(uid)

    def count(self) -> int:
        return len(self._grants)

    def end(self, budget: int) -> bool:
        return self._grants.end(budget)

    def pass_time(self, ms: int) -> None:
        self._grants.now += ms
