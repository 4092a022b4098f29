"""The contenders ``heapq`` and ``bare heapq``: dict and heapq, with time as a number."""

import platform
from collections.abc import Sequence

from grantbench.contender import COMMON, EVERYTHING, Contender, Facts, Run
from grantbench.contenders.bare_heap_grants import BareHeapGrants
from grantbench.contenders.heap_grants import HeapGrants
from grantbench.plan import Mix


class HeapqContender(Contender):
    """`HeapGrants` as it is."""

    name = "heapq"
    has_slices = True

    def __init__(self, owners: int, reserve: bool = False) -> None:
        del owners, reserve
        self._grants = self._make()

    @staticmethod
    def _make() -> HeapGrants | BareHeapGrants:
        return HeapGrants()

    @classmethod
    def facts(cls) -> Facts:
        return Facts(
            "dict and heapq in Python, re-armed lazily: a deadline per type, a lock, a list of what ended",
            platform.python_version(),
        )

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
                release(uid, COMMON)

        return run

    def asking(self, uids: Sequence[int]) -> Run:
        holds = self._grants.holds

        def run() -> None:
            for uid in uids:
                holds(uid, COMMON)

        return run

    def playing(self, mix: Mix) -> Run:
        apply, release = self._grants.apply, self._grants.release

        def run() -> None:
            for is_release, uid, timeout in zip(mix.is_release, mix.uids, mix.timeouts, strict=True):
                if is_release:
                    release(uid, COMMON)
                else:
                    apply(uid, COMMON, timeout)

        return run

    def holders(self, mask: int) -> list[int]:
        return self._grants.holders(mask)

    def mask(self, uid: int) -> int:
        return COMMON if self._grants.holds(uid, COMMON) else 0

    def count(self) -> int:
        return len(self._grants)

    def end(self, budget: int) -> bool:
        return self._grants.end(budget)

    def end_all(self) -> object:
        self._grants.end(EVERYTHING)
        return self._grants.drain()

    def pass_time(self, ms: int) -> None:
        self._grants.now += ms


class BareHeapqContender(HeapqContender):
    """`BareHeapGrants`: less than the job, and so a floor of what Python code can cost."""

    name = "bare heapq"

    @staticmethod
    def _make() -> HeapGrants | BareHeapGrants:
        return BareHeapGrants()

    @classmethod
    def facts(cls) -> Facts:
        return Facts("the same with one deadline per owner, no lock, and no list", platform.python_version())
