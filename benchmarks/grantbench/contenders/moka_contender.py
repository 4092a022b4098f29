"""The contender ``moka-py``: Moka, a concurrent cache in Rust with a time to live per item. It has real time only."""

from collections.abc import Sequence
from importlib.metadata import version

import moka_py

from grantbench.contender import COMMON, Facts, Run
from grantbench.plan import Mix

from .lapsing import LapsingContender


class MokaContender(LapsingContender):
    """The cache as it is, with room for more than there will be; its values are the types.

    What calls do is noted and carried out now and then, in some of the calls; `end` and `count` have all of it done.
    """

    name = "moka-py"
    lists = False
    granularity_s = 2.5  # its timers are in slots of about a second

    def __init__(self, owners: int, reserve: bool = False) -> None:
        del reserve  # it takes none beforehand
        self.cache: moka_py.Moka[int, int] = moka_py.Moka(2 * owners + 1_000)

    @classmethod
    def facts(cls) -> Facts:
        return Facts("Moka, a concurrent cache in Rust; real time only", version("moka-py"))

    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        self.cache.set(uid, mask, timeout_ms / 1000)

    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int]) -> Run:
        put = self.cache.set
        seconds = [timeout / 1000 for timeout in timeouts_ms]

        def run() -> None:
            for uid, timeout in zip(uids, seconds, strict=True):
                put(uid, COMMON, timeout)

        return run

    def releasing(self, uids: Sequence[int]) -> Run:
        remove = self.cache.remove

        def run() -> None:
            for uid in uids:
                remove(uid)

        return run

    def asking(self, uids: Sequence[int]) -> Run:
        get = self.cache.get

        def run() -> None:
            for uid in uids:
                get(uid)

        return run

    def playing(self, mix: Mix) -> Run:
        put, remove = self.cache.set, self.cache.remove
        seconds = [timeout / 1000 for timeout in mix.timeouts]

        def run() -> None:
            for is_release, uid, timeout in zip(mix.is_release, mix.uids, seconds, strict=True):
                if is_release:
                    remove(uid)
                else:
                    put(uid, COMMON, timeout)

        return run

    def holders(self, mask: int) -> list[int]:
        raise NotImplementedError("a Moka does not say what is in it")

    def mask(self, uid: int) -> int:
        held: int = self.cache.get(uid, 0)
        return held

    def count(self) -> int:
        before, left = -1, int(self.cache.count())
        while left != before:
            self.cache.run_pending_tasks()
            before, left = left, int(self.cache.count())
        return left

    def end(self, budget: int) -> bool:
        del budget
        self.count()
        return False

    def insert(self, uid: int, seconds: float) -> None:
        self.cache.set(uid, COMMON, seconds)

    def clear(self) -> None:
        self.cache.clear()
