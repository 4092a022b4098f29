"""Puts a report into the page about performance, between its marks."""

import shutil
from collections.abc import Sequence
from pathlib import Path

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"


def replaced(page: str, report: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """Return the page with the report between the marks.

    Raises
    ------
    ValueError
        The marks are not there, once each and in order.
    """
    first, last = marks
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end or first in rest or last in after:
        raise ValueError(f"the page must have {first} and then {last}, once each")
    return f"{before}{first}\n\n{report.strip()}\n\n{last}{after}"


def publish(page: Path, report: str, plots: Sequence[Path], folder: Path) -> None:
    """Rewrite the results of the page, and copy the plots to where it shows them from."""
    page.write_text(replaced(page.read_text(encoding="utf-8"), report), encoding="utf-8")
    if plots:
        folder.mkdir(parents=True, exist_ok=True)
    for plot in plots:
        shutil.copyfile(plot, folder / plot.name)
