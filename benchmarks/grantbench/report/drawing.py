"""What the plots share: colours, lines over two logarithmic axes, and a page of one plot for each workload."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grantbench.native import RIVAL
from grantbench.scale import SCALED

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

# By name, the points of each line.
Lines = Mapping[str, Sequence[tuple[float, float]]]


def draw_lines(axes: "Axes", lines: Lines) -> None:
    """Draw each line in its colour, and prepare the axes."""
    for name, found in lines.items():
        xs, ys = zip(*sorted(found), strict=True)
        axes.plot(xs, ys, marker="o", markersize=3, linewidth=1.4, label=name, color=COLOURS.get(name))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.tick_params(labelsize=8, which="both")
    axes.grid(visible=True, which="major", linewidth=0.3)


def draw_workloads(draw: Callable[["Axes", str], None], path: Path, legend_size: float | None = None) -> None:
    """Draw a page with a plot over the owners for each workload that is measured so, and one legend for all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.2), layout="constrained")
    places = list(figure.subplots(2, 3).flat)
    for axes, workload in zip(places, SCALED, strict=False):
        draw(axes, workload)
        axes.set_title(workload, fontsize=10)
        axes.set_xlabel("owners")
    handles, labels = places[0].get_legend_handles_labels()
    for axes in places[len(SCALED) :]:
        axes.set_axis_off()
    places[-1].legend(handles, labels, loc="center", fontsize=legend_size)
    figure.savefig(path)
