"""How much a run measures: everything, or enough to see that it works."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from grantbench.shape import SHAPES, Shape

ROUNDS = {1_000: 31, 10_000: 15, 100_000: 5, 1_000_000: 3}
SHAPED_ROUNDS = {100_000: 5}
QUICK_ROUNDS = {1_000: 5, 10_000: 2}


def _by_size(rounds: Mapping[int, int]) -> Callable[[int], int]:
    """Return how many rounds a number of owners gets: more where a round is short, and 1 above the last."""
    return lambda owners: next((count for most, count in rounds.items() if owners <= most), 1)


_rounds = _by_size(ROUNDS)
_shaped_rounds = _by_size(SHAPED_ROUNDS)
_few_rounds = _by_size(QUICK_ROUNDS)


class NativeRun(NamedTuple):
    """A run of the C++ workloads: with how many owners of which shapes, how often."""

    owners: int
    rounds: int
    shapes: tuple[Shape, ...] = SHAPES


# With ten million owners every shape takes minutes.
_ONE_TYPE = tuple(shape for shape in SHAPES if len(shape.types) == 1)


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
    shaped : tuple of int
        The numbers of owners of which every shape has its turn.
    shaped_rounds : callable
        How many rounds these get.
    native : tuple of NativeRun
        The runs of the C++ workloads.
    memory_owners : int
        The number of owners whose memory is measured.
    """

    owners: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    scale: tuple[int, ...] = (1_000, 10_000_000)
    rounds: Callable[[int], int] = _rounds
    shaped: tuple[int, ...] = (100_000, 1_000_000)
    shaped_rounds: Callable[[int], int] = _shaped_rounds
    advance_owners: int = 100_000
    advance_rounds: int = 5
    native: tuple[NativeRun, ...] = (
        NativeRun(1_000, 51),
        NativeRun(10_000, 31),
        NativeRun(100_000, 9),
        NativeRun(1_000_000, 3),
        NativeRun(10_000_000, 1, _ONE_TYPE),
    )
    memory_owners: int = 1_000_000

    def up_to(self, rounds: int, owners: int) -> Self:
        """Return the same with no more rounds than that of anything, and without larger numbers of owners."""
        all_rounds, shaped_rounds = self.rounds, self.shaped_rounds
        return replace(
            self,
            owners=tuple(number for number in self.owners if number <= owners),
            scale=tuple(number for number in self.scale if number <= owners),
            rounds=lambda number: min(rounds, all_rounds(number)),
            shaped=tuple(number for number in self.shaped if number <= owners),
            shaped_rounds=lambda number: min(rounds, shaped_rounds(number)),
            advance_owners=min(owners, self.advance_owners),
            advance_rounds=min(rounds, self.advance_rounds),
            native=tuple(run._replace(rounds=min(rounds, run.rounds)) for run in self.native if run.owners <= owners),
            memory_owners=min(owners, self.memory_owners),
        )


FULL = Settings()
QUICK = Settings(
    owners=(10_000,),
    scale=(1_000,),
    rounds=_few_rounds,
    shaped=(1_000,),
    shaped_rounds=_few_rounds,
    advance_owners=10_000,
    native=(NativeRun(10_000, 3),),
    memory_owners=100_000,
)
