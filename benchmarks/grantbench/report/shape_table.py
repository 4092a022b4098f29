"""The tables of owners of every shape."""

from collections.abc import Callable, Iterable, Sequence

from grantbench.interleave import Result
from grantbench.report.numbers import duration, owners_in_words, ratio, table
from grantbench.shape import SHAPES

# With fewer owners everything is in a cache, whatever their shape.
LEAST = 100_000
_ORDER = {shape.name: place for place, shape in enumerate(SHAPES)}


def _cell(result: Result | None, base: str) -> str:
    """Return the time of the base, and the ratio to it of the others; bold where a rival is faster."""
    if result is None:
        return ""
    if result.entry == base:
        return duration(result.ns)
    return f"**{ratio(result.ratio)}**" if result.is_win_of_rival else ratio(result.ratio)


def _columns(results: Iterable[Result]) -> list[tuple[int, str]]:
    """Return number of owners and shape of each column: those of which there is more than one shape."""
    found = {(result.owners, result.shape) for result in results}
    several = {owners for owners, _ in found if sum(other == owners for other, _ in found) > 1}
    columns = [(owners, shape) for owners, shape in found if owners in several]
    few = [column for column in columns if column[0] >= LEAST] or columns  # or what a short run has
    return sorted(few, key=lambda column: (column[0], _ORDER[column[1]]))


def shape_table(results: Sequence[Result], base_of: Callable[[str], str]) -> str:
    """Return a table with a column for each shape; nothing where there is only one."""
    columns = _columns(results)
    if not columns:
        return ""
    found = {(result.workload, result.entry, result.owners, result.shape): result for result in results}
    rows = []
    for workload, entry in dict.fromkeys((result.workload, result.entry) for result in results):
        cells = [_cell(found.get((workload, entry, *column)), base_of(workload)) for column in columns]
        rows.append([f"{workload}: {entry}", *cells])
    return table(("", *(f"{owners_in_words(owners)}, {shape}" for owners, shape in columns)), rows)
