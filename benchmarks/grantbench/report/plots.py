"""The plots of a run, as SVG."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from grantbench.interleave import Result
from grantbench.outcome import Outcome
from grantbench.report.numbers import duration
from grantbench.report.ratio_plots import COLOURS, ratio_plots
from grantbench.scale import SCALED
from grantbench.workloads import WORKLOADS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _time(ns: float, _place: object) -> str:
    """Label a tick that is 1, 2 or 5 times a power of ten."""
    return duration(ns) if f"{ns:e}".startswith(("1.0", "2.0", "5.0")) else ""


def _lines(axes: "Axes", points: Mapping[str, list[tuple[float, float]]]) -> None:
    for name, found in points.items():
        xs, ys = zip(*sorted(found), strict=True)
        axes.plot(xs, ys, marker="o", markersize=3, linewidth=1.4, label=name, color=COLOURS.get(name))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_time)
    axes.yaxis.set_minor_formatter(_time)
    axes.tick_params(labelsize=8, which="both")
    axes.grid(visible=True, which="major", linewidth=0.3)


def _collect(results: Sequence[tuple[float, Result]]) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for x, result in results:
        points.setdefault(result.entry, []).append((x, max(result.ns, 1.0)))
    return points


def _calls(outcome: Outcome, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.2), layout="constrained")
    places = list(figure.subplots(2, 3).flat)
    results = [result for result in (*outcome.results, *outcome.scale) if result.entry in outcome.contenders]
    for axes, workload in zip(places, SCALED, strict=False):
        _lines(axes, _collect([(result.owners, result) for result in results if result.workload == workload]))
        axes.set_title(workload, fontsize=10)
        axes.set_xlabel("owners")
        axes.set_ylabel(WORKLOADS[workload].unit)
    handles, labels = places[0].get_legend_handles_labels()
    for axes in places[len(SCALED) :]:
        axes.set_axis_off()
    places[-1].legend(handles, labels, loc="center")
    figure.savefig(path)


def _advance(found: Mapping[int, list[Result]], title: str, label: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    _lines(axes, _collect([(x, result) for x, results in found.items() for result in results]))
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label)
    axes.set_ylabel("per advance")
    axes.legend()
    figure.savefig(path)


def write_plots(outcome: Outcome, folder: Path) -> list[str]:
    """Write the plots into a folder and return their names; none without matplotlib."""
    if find_spec("matplotlib") is None:
        return []
    import matplotlib as mpl

    # The same numbers give the same file.
    mpl.rcParams["svg.hashsalt"] = "grantwheel"
    names = ["cost-over-owners.svg", "advance-over-grants-ended.svg", "advance-over-time-skipped.svg"]
    _calls(outcome, folder / names[0])
    _advance(outcome.ending, "one advance, over the grants that it ends", "grants ended", folder / names[1])
    _advance(
        outcome.skipping,
        "one advance that ends a thousand grants, over the time it skips",
        "ms skipped",
        folder / names[2],
    )
    return [*ratio_plots(outcome, folder), *names]
