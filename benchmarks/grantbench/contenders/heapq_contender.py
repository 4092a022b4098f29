"""The contenders ``heapq`` and ``bare heapq``: dict and heapq, with time as a number."""

import platform
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from grantbench.contender import EVERYTHING, Contender, Facts, Run
from grantbench.contenders.bare_heap_grants import BareHeapGrants
from grantbench.contenders.heap_grants import HeapGrants
from grantbench.plan import Mix
from grantbench.shape import COMMON, DENSE, SHAPES, Shape

EVERY_TYPE = tuple(sorted({kind for shape in SHAPES for kind in shape.types}))


class _Calls(NamedTuple):
    """The calls for the types of a shape, and how these are named to them."""

    apply: Callable[[int, Any, int], object]
    release: Callable[[int, Any], object]
    ask: Callable[[int, Any], object]
    types: int | tuple[int, ...]


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

    def _calls(self, shape: Shape) -> _Calls:
        grants = self._grants
        if isinstance(grants, BareHeapGrants):
            return _Calls(grants.apply, grants.release, grants.holds, shape.mask)
        if len(shape.types) == 1:
            return _Calls(grants.apply, grants.release, grants.holds, shape.mask)
        return _Calls(grants.apply_each, grants.release_each, grants.held, shape.types)

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self._grants.apply(uid, mask, timeout_ms)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> Run:
        calls = self._calls(shape)
        apply, types = calls.apply, calls.types

        def run() -> None:
            for uid, timeout in zip(uids, timeouts_ms, strict=True):
                apply(uid, types, timeout)

        return run

    def releasing(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        calls = self._calls(shape)
        release, types = calls.release, calls.types

        def run() -> None:
            for uid in uids:
                release(uid, types)

        return run

    def asking(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        calls = self._calls(shape)
        ask, types = calls.ask, calls.types

        def run() -> None:
            for uid in uids:
                ask(uid, types)

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
        return self._grants.held(uid, EVERY_TYPE)

    def count(self) -> int:
        return self._grants.owners()

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
    max_owners = 1_000_000

    @staticmethod
    def _make() -> HeapGrants | BareHeapGrants:
        return BareHeapGrants()

    @classmethod
    def facts(cls) -> Facts:
        return Facts("the same with one deadline per owner, no lock, and no list", platform.python_version())
