"""The contender ``moka-py``: Moka, a concurrent cache in Rust with a time to live per item. It has real time only."""

from importlib.metadata import version

import moka_py

from grantbench.contender import Facts

from .lapsing import LapsingContender


class MokaContender(LapsingContender):
    """The cache as it is, with room for more than there will be; its values are the types.

    What calls do is noted and carried out now and then, in some of the calls; `end` and `count` have all of it done.
    """

    name = "moka-py"
    max_owners = 1_000_000
    lists = False
    granularity_s = 2.5  # its timers are in slots of about a second

    def __init__(self, owners: int, reserve: bool = False) -> None:
        del reserve  # it takes none beforehand
        self.cache: moka_py.Moka[int, int] = moka_py.Moka(2 * owners + 1_000)
        self.put, self.remove, self.get = self.cache.set, self.cache.remove, self.cache.get

    @classmethod
    def facts(cls) -> Facts:
        return Facts("Moka, a concurrent cache in Rust; real time only", version("moka-py"))

    def holders(self, mask: int) -> list[int]:
        raise NotImplementedError("a Moka does not say what is in it")

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

    def clear(self) -> None:
        self.cache.clear()
