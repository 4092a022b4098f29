"""The plots of what rivals cost, as so many times what grantwheel does, over the number of owners."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from grantbench.interleave import Result
from grantbench.native import RIVAL_PREFETCHED, Native
from grantbench.outcome import Outcome
from grantbench.report.drawing import BOTH_PREFETCHED, COLOURS, Lines, draw_lines, draw_workloads
from grantbench.report.numbers import owners_in_words
from grantbench.shape import DENSE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _collect(results: Sequence[Result], names: Mapping[str, str]) -> Lines:
    """Return the ratios of those that have a name here."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        if result.entry in names:
            lines.setdefault(names[result.entry], []).append((result.owners, result.ratio))
    return lines


def python_lines(outcome: Outcome, workload: str) -> Lines:
    """Return the ratios of the contenders to grantwheel, for a workload in Python."""
    rivals = {name: name for name in outcome.contenders if name != "grantwheel"}
    return _collect([result for result in (*outcome.results, *outcome.scale) if result.workload == workload], rivals)


def native_lines(native: Native, workload: str) -> Lines:
    """Return the ratios of the rivals to the engine in C++; for batches to the engine as they use it."""
    of_workload = [found for found in native.results if (found.workload, found.shape) == (workload, DENSE.name)]
    batches = [found for found in native.prefetched if (found.workload, found.shape) == (workload, DENSE.name)]
    one_by_one = {
        found.entry: found.entry
        for found in of_workload
        if not found.entry.startswith("grantwheel") and found.entry != RIVAL_PREFETCHED
    }
    return {
        **_collect(of_workload, one_by_one),
        **_collect(batches, {RIVAL_PREFETCHED: BOTH_PREFETCHED}),
    }


def _draw(axes: "Axes", lines: Lines) -> None:
    draw_lines(axes, lines)
    axes.axhline(1, color=COLOURS["grantwheel"], linewidth=1.4)
    axes.xaxis.set_major_formatter(lambda owners, _place: owners_in_words(round(owners)))
    axes.yaxis.set_major_formatter(lambda ratio, _place: f"{ratio:g}x")
    axes.yaxis.set_minor_formatter(lambda ratio, _place: f"{ratio:g}x" if f"{ratio:e}"[0] in "25" else "")
    axes.set_ylabel("times as long as grantwheel")


def ratio_plot(lines_of: Callable[[str], Lines], path: Path) -> None:
    """Draw the lines of every workload, with what grantwheel costs as the line at 1."""
    draw_workloads(lambda axes, workload: _draw(axes, lines_of(workload)), path, legend_size=9)


def ratio_plots(outcome: Outcome, folder: Path) -> list[str]:
    """Draw the plots that there are results for, and return their names."""
    names = ["ratios-over-owners.svg"]
    ratio_plot(partial(python_lines, outcome), folder / names[0])
    if outcome.native is not None:
        names.append("ratios-over-owners-in-cpp.svg")
        ratio_plot(partial(native_lines, outcome.native), folder / names[1])
    return names
