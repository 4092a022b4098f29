"""How much was held in each small part of a period, when there is more than could be shown one by one."""

from collections.abc import Mapping
from itertools import accumulate


class Density:
    """The mean number of grants that were held in each of so many parts of a period, by what ended them."""

    def __init__(self, first: int, last: int, parts: int) -> None:
        self._first = first
        self._width = max(last - first, 1) / parts
        self._parts = parts
        self._edges: dict[str, list[float]] = {}  # what a grant has of the parts in which it begins and ends
        self._inner: dict[str, list[int]] = {}  # from where on, and up to where, it has all of them

    def add(self, start: int, end: int, cause: str) -> None:
        """Take a grant."""
        if cause not in self._edges:
            self._edges[cause] = [0.0] * (self._parts + 1)
            self._inner[cause] = [0] * (self._parts + 2)
        edges, inner = self._edges[cause], self._inner[cause]
        begin = (start - self._first) / self._width
        stop = (end - self._first) / self._width
        one = min(int(begin), self._parts - 1)
        other = min(int(stop), self._parts - 1)
        if one == other:
            edges[one] += max(stop - begin, 1e-9)  # a moment is seen too
            return
        edges[one] += one + 1 - begin
        edges[other] += stop - other
        inner[one + 1] += 1
        inner[other] -= 1

    def values(self) -> Mapping[str, list[float]]:
        """Return the numbers by cause."""
        return {
            cause: [edge + all_of_it for edge, all_of_it in zip(edges, accumulate(self._inner[cause]), strict=False)][
                : self._parts
            ]
            for cause, edges in self._edges.items()
        }
