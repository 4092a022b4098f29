"""The table of the C++ workloads."""

from grantbench.interleave import Result
from grantbench.native import BASE, Native
from grantbench.report.numbers import duration, owners_in_words, ratio, table


def _cells(result: Result, miss_ns: float) -> tuple[str, str, str]:
    """Return time, misses and ratio; bold where a rival is faster than the engine."""
    time = duration(result.ns)
    is_win_of_rival = result.ratio < 1 and not result.entry.startswith("grantwheel")
    return (
        f"**{time}**" if is_win_of_rival else time,
        f"{result.ns / miss_ns:.1f}",
        "" if result.entry == BASE else ratio(result.ratio),
    )


def native_table(native: Native) -> str:
    """Return nanoseconds and memory misses per operation, and ratios to the engine."""
    sizes = sorted({result.owners for result in native.results})
    found = {(result.workload, result.entry, result.owners): result for result in native.results}
    rows = []
    for workload, entry in dict.fromkeys((result.workload, result.entry) for result in native.results):
        cells = [cell for owners in sizes for cell in _cells(found[workload, entry, owners], native.miss_ns)]
        rows.append([f"{workload}: {entry}", *cells])
    head = ["", *(word for owners in sizes for word in (f"{owners_in_words(owners)} owners", "misses", "ratio"))]
    unit = (
        f"A dependent memory miss took {duration(native.miss_ns)} in this run, "
        f"{duration(native.miss_small_pages_ns)} with the look-up of an ordinary page."
    )
    return f"{unit}\n\n{table(head, rows)}"
