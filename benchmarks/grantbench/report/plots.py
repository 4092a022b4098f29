"""The plots of a run, as SVG."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from grantbench.interleave import Result
from grantbench.outcome import Outcome
from grantbench.report.drawing import Lines, draw_lines, draw_workloads
from grantbench.report.numbers import duration
from grantbench.report.ratio_plots import ratio_plots
from grantbench.workloads import WORKLOADS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _time(ns: float, _place: object) -> str:
    """Label a tick that is 1, 2 or 5 times a power of ten."""
    return duration(ns) if f"{ns:e}".startswith(("1.0", "2.0", "5.0")) else ""


def _lines(axes: "Axes", points: Lines) -> None:
    draw_lines(axes, points)
    axes.yaxis.set_major_formatter(_time)
    axes.yaxis.set_minor_formatter(_time)


def _collect(results: Sequence[tuple[float, Result]]) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for x, result in results:
        points.setdefault(result.entry, []).append((x, max(result.ns, 1.0)))
    return points


def _calls(outcome: Outcome, path: Path) -> None:
    results = [result for result in (*outcome.results, *outcome.scale) if result.entry in outcome.contenders]

    def draw(axes: "Axes", workload: str) -> None:
        _lines(axes, _collect([(result.owners, result) for result in results if result.workload == workload]))
        axes.set_ylabel(WORKLOADS[workload].unit)

    draw_workloads(draw, path)


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
