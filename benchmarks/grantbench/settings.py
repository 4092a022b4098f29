"""How much a run measures: everything, or enough to see that it works."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self


def _rounds(owners: int) -> int:
    """Return how many rounds a number of owners gets: more where a round is short."""
    if owners <= 1_000:
        return 31
    if owners <= 10_000:
        return 15
    if owners <= 100_000:
        return 7
    return 5 if owners <= 1_000_000 else 1


def _few_rounds(owners: int) -> int:
    return 5 if owners <= 1_000 else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run measures.

    Parameters
    ----------
    owners : tuple of int
        The numbers of owners that every workload is measured with.
    scale : tuple of int
        Further numbers that the plots of single calls are drawn over.
    rounds : callable
        How many rounds a number of owners gets.
    advance_owners, advance_rounds : int
        How many hold something while the cost of advance is measured, and how often that is done.
    native_owners, native_rounds : tuple of int, int
        The same for the C++ workloads.
    memory_owners : int
        The number of owners whose memory is measured.
    """

    owners: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    scale: tuple[int, ...] = (1_000, 10_000_000)
    rounds: Callable[[int], int] = _rounds
    advance_owners: int = 1_000_000
    advance_rounds: int = 5
    native_owners: tuple[int, ...] = (100_000, 1_000_000)
    native_rounds: int = 5
    memory_owners: int = 1_000_000

    def up_to(self, rounds: int, owners: int) -> Self:
        """Return the same with no more rounds than that of anything, and without larger numbers of owners."""
        all_rounds = self.rounds
        return replace(
            self,
            owners=tuple(number for number in self.owners if number <= owners),
            scale=tuple(number for number in self.scale if number <= owners),
            rounds=lambda number: min(rounds, all_rounds(number)),
            advance_owners=min(owners, self.advance_owners),
            advance_rounds=min(rounds, self.advance_rounds),
            native_owners=tuple(number for number in self.native_owners if number <= owners),
            native_rounds=min(rounds, self.native_rounds),
            memory_owners=min(owners, self.memory_owners),
        )


FULL = Settings()
QUICK = Settings(
    owners=(10_000,),
    scale=(1_000,),
    rounds=_few_rounds,
    advance_owners=10_000,
    native_owners=(10_000,),
    native_rounds=3,
    memory_owners=100_000,
)
