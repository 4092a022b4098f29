"""The plots of what rivals cost, as so many times what grantwheel does, over the number of owners."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grantbench.interleave import Result
from grantbench.native import RIVAL, RIVAL_PREFETCHED, Native
from grantbench.outcome import Outcome
from grantbench.report.numbers import owners_in_words
from grantbench.scale import SCALED
from grantbench.shape import DENSE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The map and the wheel for batches, beside the engine as batches use it.
BOTH_PREFETCHED = f"{RIVAL};\nboth prefetched"
COLOURS = {
    "grantwheel": "#0b6e4f",
    "heapq": "#c1440e",
    "bare heapq": "#e0a07c",
    "cachebox": "#3a5fcd",
    "moka-py": "#6b8e23",
    "cachetools": "#8b5fbf",
    "asyncio": "#7f7f7f",
    "unordered_map, priority_queue": "#c1440e",
    "unordered_map, boost d_ary_heap": "#e0a07c",
    RIVAL: "#3a5fcd",
    BOTH_PREFETCHED: "#8b5fbf",
}

# By name, what each rival cost with so many owners.
Lines = Mapping[str, Sequence[tuple[int, float]]]


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


def _draw(axes: "Axes", workload: str, lines: Lines) -> None:
    for name, found in lines.items():
        xs, ys = zip(*sorted(found), strict=True)
        axes.plot(xs, ys, marker="o", markersize=3, linewidth=1.4, label=name, color=COLOURS.get(name))
    axes.axhline(1, color=COLOURS["grantwheel"], linewidth=1.4)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda owners, _place: owners_in_words(round(owners)))
    axes.yaxis.set_major_formatter(lambda ratio, _place: f"{ratio:g}x")
    axes.yaxis.set_minor_formatter(lambda ratio, _place: f"{ratio:g}x" if f"{ratio:e}"[0] in "25" else "")
    axes.tick_params(labelsize=8, which="both")
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.set_title(workload, fontsize=10)
    axes.set_xlabel("owners")
    axes.set_ylabel("times as long as grantwheel")


def ratio_plot(lines_of: Mapping[str, Lines], path: Path) -> None:
    """Draw the lines of every workload, with what grantwheel costs as the line at 1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.2), layout="constrained")
    places = list(figure.subplots(2, 3).flat)
    for axes, (workload, lines) in zip(places, lines_of.items(), strict=False):
        _draw(axes, workload, lines)
    handles, labels = places[0].get_legend_handles_labels()
    for axes in places[len(lines_of) :]:
        axes.set_axis_off()
    places[-1].legend(handles, labels, loc="center", fontsize=9)
    figure.savefig(path)


def ratio_plots(outcome: Outcome, folder: Path) -> list[str]:
    """Draw the plots that there are results for, and return their names."""
    names = ["ratios-over-owners.svg"]
    ratio_plot({workload: python_lines(outcome, workload) for workload in SCALED}, folder / names[0])
    if outcome.native is not None:
        names.append("ratios-over-owners-in-cpp.svg")
        native = outcome.native
        ratio_plot({workload: native_lines(native, workload) for workload in SCALED}, folder / names[1])
    return names
