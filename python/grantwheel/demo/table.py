"""The demonstration as a live table on a terminal. Needs rich, and is imported only where such a table is wanted."""

import textwrap
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.table import Table
from rich.text import Text

from grantwheel._text import printable
from grantwheel.suspend import AppState

from .view import (
    Entry,
    Frame,
    Row,
    Summary,
    entry_line,
    grant_words,
    kept_words,
    rate_words,
    state_words,
    summary_lines,
)

_COLORS = {AppState.FOREGROUND: "green", AppState.BACKGROUND: "yellow", AppState.SUSPENDED: "bold cyan"}
_INDENT = " " * 10  # of a sentence that goes on in the next line
_KEPT = 64  # sentences; what is drawn of them is what there is room for


class LiveTable:
    """A table of the apps and their counters, with what has happened below. A context manager.

    Parameters
    ----------
    console : Console
        Where to draw.
    """

    interval_ms = 250

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: list[str] = []
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._size = console.size
        self._live = Live(
            console=console, auto_refresh=False, vertical_overflow="crop", redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        # Live hides the cursor. Shown, it disturbs little, and there is nothing to repair if this process is killed.
        self._console.show_cursor(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        """Show it above the table."""
        self._notes.append(printable(text))

    def entry(self, entry: Entry) -> None:
        """Keep it for the next frame."""
        self._entries.append(entry)

    def frame(self, frame: Frame) -> None:
        """Draw."""
        size = self._console.size
        if size != self._size:
            # The terminal has laid out anew what stood there, so that nobody knows on which line it begins.
            self._size = size
            self._console.control(Control.clear(), Control.home())
        self._live.update(self.draw(frame, size.width, size.height), refresh=True)

    def summary(self, summary: Summary) -> None:
        """Leave the last frame where it is, and print the closing lines below."""
        self._live.stop()
        for line in summary_lines(summary):
            self._console.print(Text(line), soft_wrap=True)

    def draw(self, frame: Frame, width: int, height: int) -> Group:
        """Return a frame of fewer lines than ``height`` (but at least one).

        The table comes first; then the newest sentence, the notes, the older sentences, as far as there is room.
        """
        title = _line(f"grantwheel demo, {frame.elapsed_ms / 1000:.0f} of {frame.end_ms / 1000:g} s", "bold")
        room = height - 2
        rows = max(min(len(frame.rows), room - 2), 0)
        body: list[Text | Table] = [Text(), _table(frame.rows[:rows])] if rows else []
        room -= len(body) and rows + 2
        told = self._told(width)
        below = told[-1][: max(room - 1, 0)] if told else []
        room -= len(below) and len(below) + 1
        notes = [_line(line) for note in self._notes for line in textwrap.wrap(note, width)]
        notes = notes if len(notes) <= room else []
        room -= len(notes)
        for lines in reversed(told[:-1]):
            if not below or len(lines) > room:
                break
            below = [*lines, *below]
            room -= len(lines)
        return Group(title, *notes, *body, *([Text(), *below] if below else []))

    def _told(self, width: int) -> list[list[Text]]:
        """Return what has happened as lines, for each event; the newest stands out."""
        indent = _INDENT if width > 2 * len(_INDENT) else ""
        newest = len(self._entries) - 1
        return [
            [
                _line(line, "" if place == newest else "dim")
                for line in textwrap.wrap(entry_line(entry), width, subsequent_indent=indent)
            ]
            for place, entry in enumerate(self._entries)
        ]


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold underline")
    for name, width in (("app", 5), ("grants", 12), ("state", 17), ("kept up by", 20)):
        table.add_column(name, min_width=width, no_wrap=True, overflow="ellipsis")
    for name, width in (("counter", 7), ("per s", 5)):
        table.add_column(name, min_width=width, no_wrap=True, justify="right")
    for row in rows:
        color = _COLORS[row.state]
        cells = (grant_words(row), state_words(row), kept_words(row), f"{row.counted:,}", rate_words(row))
        table.add_row(Text(row.app, style=color), *(Text(cell, style=color) for cell in cells))
    return table
