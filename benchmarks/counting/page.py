"""Puts the counts into the page about performance."""

import platform
from collections.abc import Callable, Mapping
from pathlib import Path

from counting.callgrind import RIVALS, Counts
from counting.trees import ROOT
from grantbench.publish import replaced
from grantbench.report.numbers import table

PAGE = ROOT / "docs" / "performance.md"
MARKS = ("<!-- counts:begin -->", "<!-- counts:end -->")

# The calls that have a column.
CALLS = ("new", "renew", "release", "query", "expire")


def _of(figures: Mapping[str, Counts], what: str, cell: Callable[[Counts], str]) -> str:
    layers = dict.fromkeys(name.partition(".")[0] for name in figures if name.partition(".")[2] in CALLS)
    rows = []
    for layer in sorted(layers, key=lambda layer: layer in RIVALS):
        found = [figures.get(f"{layer}.{call}") for call in CALLS]
        name = f"*{layer}*" if layer in RIVALS else layer
        rows.append([name, *("" if counts is None else cell(counts) for counts in found)])
    return table([what, *CALLS], rows)


def page_part(figures: Mapping[str, Counts]) -> str:
    """Return what the page has of the figures, as Markdown."""
    others = [
        f"`{name}` {counts.instructions:,.0f}"
        for name, counts in figures.items()
        if name.partition(".")[2] not in CALLS
    ]
    parts = [
        _of(figures, "instructions", lambda counts: f"{counts.instructions:,.0f}"),
        f"Instructions of other calls: {', '.join(others)}.",
        _of(figures, "misses in 32 KiB / 256 KiB", lambda counts: f"{counts.d1_misses:.1f} / {counts.ll_misses:.1f}"),
        _of(figures, "mispredicted branches", lambda counts: f"{counts.mispredictions:.2f}"),
        f"On {platform.machine()}, with CPython {platform.python_version()} and {platform.python_compiler()}.",
    ]
    return "\n\n".join(parts)


def publish(figures: Mapping[str, Counts], page: Path = PAGE) -> None:
    """Write the figures into the page, between its marks."""
    page.write_text(replaced(page.read_text(encoding="utf-8"), page_part(figures), MARKS), encoding="utf-8")
