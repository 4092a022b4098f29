"""What a workload acts on: owners in random order and timeouts, the same for every contender and every round."""

import random
from functools import cached_property
from typing import NamedTuple

from grantbench.shape import DENSE, Shape

# Dense uids begin with the first, sparse ones are drawn from all that there may be.
FIRST_UID = 10_000
MAX_UID = 2**32 - 2
SHORTEST_MS = 600_000
LONGEST_MS = 1_200_000

# In a mixed run: so many of ten calls renew what is held, so many grant to a new owner, the rest release.
RENEWALS_OF_TEN = 7
NEW_OF_TEN = 2


class Mix(NamedTuple):
    """Calls in order: which, for whom, and for how long (ms; 0 for a release)."""

    is_release: list[bool]
    uids: list[int]
    timeouts: list[int]


class Plan:
    """Owners and timeouts for one number of owners of one shape, made when they are first asked for.

    The uids come in random order; so do the Python objects that stand for them in memory, which is why the loop over
    them is measured and subtracted. A plan is never changed by those who use it.
    """

    def __init__(self, owners: int, shape: Shape = DENSE, seed: int = 1) -> None:
        self.owners = owners
        self.shape = shape
        self._seed = seed

    def _random(self, salt: int) -> random.Random:
        return random.Random(self._seed * 1_000 + salt)

    def _shuffled(self, uids: list[int], salt: int) -> list[int]:
        shuffled = uids.copy()
        self._random(salt).shuffle(shuffled)
        return shuffled

    @cached_property
    def _drawn(self) -> list[int]:
        """Sparse uids: of the owners, followed by those of as many others."""
        return self._random(6).sample(range(MAX_UID + 1), 2 * self.owners)

    def _uids(self, first: int) -> list[int]:
        if self.shape.is_sparse:
            return self._drawn[first : first + self.owners]
        return list(range(FIRST_UID + first, FIRST_UID + first + self.owners))

    @cached_property
    def uids(self) -> list[int]:
        """Every owner once, in the order in which they are first granted something."""
        return self._shuffled(self._uids(0), 1)

    @cached_property
    def again(self) -> list[int]:
        """The same owners in another order."""
        return self._shuffled(self.uids, 2)

    @cached_property
    def newcomers(self) -> list[int]:
        """As many other owners."""
        return self._shuffled(self._uids(self.owners), 3)

    @cached_property
    def timeouts(self) -> list[int]:
        """A timeout for each owner, in ms, spread evenly between ten and twenty minutes."""
        choose = self._random(4).randrange
        return [choose(SHORTEST_MS, LONGEST_MS) for _ in range(self.owners)]

    @cached_property
    def longer(self) -> list[int]:
        """Timeouts that extend every one of the first."""
        return [timeout + SHORTEST_MS for timeout in self.timeouts]

    @cached_property
    def mix(self) -> Mix:
        """As many calls as there are owners, when all of the owners hold something at the start."""
        choose = self._random(5)
        held = self.uids.copy()
        fresh = iter(self.newcomers)
        mix = Mix([], [], [])
        for timeout in self.longer:
            lot = choose.randrange(10)
            place = choose.randrange(len(held))
            if lot < RENEWALS_OF_TEN:
                uid = held[place]
            elif lot < RENEWALS_OF_TEN + NEW_OF_TEN:
                uid = next(fresh)
                held.append(uid)
            else:
                uid, held[place] = held[place], held[-1]
                held.pop()
            is_release = lot >= RENEWALS_OF_TEN + NEW_OF_TEN
            mix.is_release.append(is_release)
            mix.uids.append(uid)
            mix.timeouts.append(0 if is_release else timeout)
        return mix

    @cached_property
    def held_after_mix(self) -> int:
        """How many owners hold something when the mix has been played."""
        held = set(self.uids)
        for is_release, uid in zip(self.mix.is_release, self.mix.uids, strict=True):
            if is_release:
                held.discard(uid)
            else:
                held.add(uid)
        return len(held)
