"""The tables of the C++ workloads."""

from collections.abc import Iterator

from grantbench.interleave import Result
from grantbench.native import BASE, PREFETCHED, RIVAL, RIVAL_PREFETCHED, TYPED_RIVAL, Native
from grantbench.report.numbers import duration, owners_in_words, ratio, table
from grantbench.report.shape_table import shape_table
from grantbench.shape import DENSE

# Whom the table of shapes has: the others have theirs with dense uids and one type.
SHAPED = (BASE, PREFETCHED, RIVAL, RIVAL_PREFETCHED, TYPED_RIVAL)


def _cell(result: Result | None, miss_ns: float) -> str:
    """Return time, misses and ratio; bold where a rival is faster than the engine."""
    if result is None:
        return ""
    time, misses = duration(result.ns), f"{result.ns / miss_ns:.1f}"
    if result.entry == BASE:
        return f"{time}, {misses}"
    return f"{f'**{time}**' if result.is_win_of_rival else time}, {misses} ({ratio(result.ratio)})"


def _dense_table(native: Native) -> str:
    results = [result for result in native.results if result.shape == DENSE.name]
    sizes = sorted({result.owners for result in results})
    found = {(result.workload, result.entry, result.owners): result for result in results}
    rows = [
        [f"{workload}: {entry}", *(_cell(found.get((workload, entry, owners)), native.miss_ns) for owners in sizes)]
        for workload, entry in dict.fromkeys((result.workload, result.entry) for result in results)
    ]
    return table(("", *(f"{owners_in_words(owners)} owners" for owners in sizes)), rows)


def native_tables(native: Native) -> Iterator[str]:
    """Yield nanoseconds, memory misses and ratios to the engine; and the ratios for owners of every shape."""
    yield (
        f"A dependent memory miss took {duration(native.miss_ns)} in this run, "
        f"{duration(native.miss_small_pages_ns)} with the look-up of an ordinary page. Cells have the time, the same "
        "in such misses, and the median ratio to the engine in the same round. Dense uids, one type an owner."
    )
    yield _dense_table(native)
    shaped = shape_table([result for result in native.results if result.entry in SHAPED], lambda _workload: BASE)
    if shaped:
        yield "Owners of every shape: the time of the engine, and the ratios of the others to it."
        yield shaped
