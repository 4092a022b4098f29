"""The tables of the Python workloads."""

from collections.abc import Iterable, Iterator, Sequence

from grantbench.interleave import Result
from grantbench.report.numbers import duration, owners_in_words, ratio, table
from grantbench.workloads import WORKLOADS


def _is_win_of_rival(result: Result) -> bool:
    return WORKLOADS[result.workload].base == "grantwheel" and result.is_win_of_rival


def _cell(result: Result) -> str:
    time = duration(result.ns)
    if result.entry == WORKLOADS[result.workload].base:
        return time
    return f"**{time}** ({ratio(result.ratio)})" if _is_win_of_rival(result) else f"{time} ({ratio(result.ratio)})"


def _sizes(results: Iterable[Result]) -> list[int]:
    return sorted({result.owners for result in results})


def _of(results: Iterable[Result], workload: str, owners: int) -> dict[str, Result]:
    return {result.entry: result for result in results if (result.workload, result.owners) == (workload, owners)}


def contender_tables(results: Sequence[Result], contenders: Sequence[str]) -> Iterator[str]:
    """Yield a table per number of owners, with a column for each contender that takes so many."""
    names = [workload.name for workload in WORKLOADS.values() if set(contenders) <= set(workload.entries)]
    for owners in _sizes(results):
        rows = []
        have = {result.entry for result in results if result.owners == owners}
        columns = [entry for entry in contenders if entry in have]
        for name in names:
            found = _of(results, name, owners)
            if found:
                cells = [_cell(found[entry]) if entry in found else "" for entry in columns]
                rows.append([f"{name}, {WORKLOADS[name].unit}", *cells])
        yield f"#### {owners_in_words(owners)} owners\n\n" + table(("", *columns), rows)


def other_table(results: Sequence[Result], contenders: Sequence[str]) -> str:
    """Return one table of what contenders do not have a column for, with a column for each number of owners."""
    sizes = _sizes(results)
    rows = []
    for workload in WORKLOADS.values():
        has_columns = set(contenders) <= set(workload.entries)
        for entry in workload.entries:
            if has_columns and entry in contenders:
                continue
            found = [_of(results, workload.name, owners).get(entry) for owners in sizes]
            if any(found):
                cells = ["" if result is None else _cell(result) for result in found]
                rows.append([f"{workload.name}: {entry}, {workload.unit}", *cells])
    return table(("", *(owners_in_words(owners) for owners in sizes)), rows)


def wins_of_rivals(results: Iterable[Result]) -> Iterator[str]:
    """Yield a line for each contender that was faster than grantwheel at something."""
    for result in results:
        if _is_win_of_rival(result):
            yield f"* {result.entry}, {result.workload}, {owners_in_words(result.owners)} owners: {ratio(result.ratio)}"
