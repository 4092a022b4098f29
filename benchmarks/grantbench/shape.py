"""What the owners of a plan look like: where their uids lie, and how many types each of them holds."""

from typing import NamedTuple

# The types that the workloads use: everyone holds the first; where it says so, some hold the second instead.
COMMON = 32
RARE = 64
# What everyone holds where it is three types: the first, and two more.
_THREE = (COMMON, 16, 256)


class Shape(NamedTuple):
    """Uids side by side, or sparse: anywhere among all that there may be; and the types that each owner holds."""

    name: str
    is_sparse: bool
    types: tuple[int, ...]

    @property
    def mask(self) -> int:
        """What every owner holds."""
        return sum(self.types)


DENSE = Shape("dense, one type", is_sparse=False, types=(COMMON,))
SHAPES = (
    DENSE,
    Shape("sparse, one type", is_sparse=True, types=(COMMON,)),
    Shape("dense, three types", is_sparse=False, types=_THREE),
    Shape("sparse, three types", is_sparse=True, types=_THREE),
)
