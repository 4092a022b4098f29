"""Who held what, how long, how often, and what ended it: sums over spans."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from .history import Owner, Span


class Total:
    """The sum of some grants."""

    __slots__ = ("ended", "grants", "held_ms", "longest_ms", "older", "still")

    def __init__(self) -> None:
        self.grants = self.held_ms = self.longest_ms = self.still = self.older = 0
        self.ended: Counter[str] = Counter()

    def add(self, span: Span) -> None:
        """Take one grant."""
        length = span.end - span.start
        self.grants += 1
        self.held_ms += length
        self.longest_ms = max(self.longest_ms, length)
        self.older += span.is_older
        if span.cause is None:
            self.still += 1
        else:
            self.ended[span.cause] += 1

    def include(self, other: "Total") -> None:
        """Take the grants of another sum."""
        self.grants += other.grants
        self.held_ms += other.held_ms
        self.longest_ms = max(self.longest_ms, other.longest_ms)
        self.older += other.older
        self.still += other.still
        self.ended += other.ended


class Row(NamedTuple):
    """What one owner held of one type."""

    owner: Owner
    type: int
    total: Total


class Totals:
    """Sums by owner and type."""

    def __init__(self) -> None:
        self._found: defaultdict[tuple[Owner, int], Total] = defaultdict(Total)

    def add(self, span: Span) -> None:
        """Take one grant."""
        self._found[span.owner, span.type].add(span)

    def rows(self) -> list[Row]:
        """Return all of them: who held longest first."""
        rows = [Row(owner, one, total) for (owner, one), total in self._found.items()]
        return sorted(rows, key=lambda row: (-row.total.held_ms, -row.total.grants, order(row.owner), row.type))


def by_type(rows: Iterable[Row]) -> dict[int, Total]:
    """Return the sums of all owners, by ascending type."""
    found: defaultdict[int, Total] = defaultdict(Total)
    for row in rows:
        found[row.type].include(row.total)
    return dict(sorted(found.items()))


def order(owner: Owner) -> tuple[bool, int, int]:
    """Return the place of an owner among others: apps first, by number."""
    return owner.pid is not None, owner.uid if owner.pid is None else owner.pid, owner.uid


def owner_words(owner: Owner) -> str:
    """Return an owner in words."""
    return f"app {owner.uid}" if owner.pid is None else f"process {owner.pid} of {owner.uid}"
