"""The demonstration as a live table on a terminal. Needs rich, and is imported only where such a table is wanted."""

from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.table import Table
from rich.text import Text

from grantwheel._text import printable

from .view import Entry, Frame, Summary, counted, counts_line, entry_line, summary_lines, unread_words

# How many of the newest events are shown, where there is room.
EVENTS = 8

_COLORS = {"granted": "green", "expired": "yellow", "died": "red", "stopped": "red", "reused": "red"}


class LiveTable:
    """A table of who holds what, why and for how much longer, with the newest events below. A context manager.

    Everything is given to rich as plain text, so that no command can bring markup or control characters of its own.

    Parameters
    ----------
    console : Console
        Where to draw.
    seconds : float
        How long the demonstration takes, for the title.
    """

    frame_ms = 250

    def __init__(self, console: Console, seconds: float) -> None:
        self._console = console
        self._seconds = seconds
        self._note = ""
        self._entries: deque[Entry] = deque(maxlen=EVENTS)
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
        """Show it under the title until the next one."""
        self._note = printable(text)

    def entry(self, entry: Entry) -> None:
        """Keep an event for the next frame."""
        self._entries.append(entry)

    def frame(self, frame: Frame) -> None:
        """Draw."""
        size = self._console.size
        if size != self._size:
            # The terminal has laid out anew what stood there, so that nobody knows on which line it begins.
            self._size = size
            self._console.control(Control.clear(), Control.home())
        self._live.update(self.draw(frame, size.height), refresh=True)

    def summary(self, summary: Summary) -> None:
        """Leave the last frame where it is, and print the closing lines below."""
        self._live.stop()
        for line in summary_lines(summary):
            self._console.print(Text(line), soft_wrap=True)

    def draw(self, frame: Frame, height: int) -> Group:
        """Return a frame of fewer lines than ``height`` (but at least one): what is below gives way first."""
        lines = self._heading(frame)[: max(height - 1, 1)]
        room = height - 1 - len(lines)
        entries = list(self._entries)[max(0, len(self._entries) - max(room // 3, 0)) :]
        room -= len(entries) + bool(entries)
        body: list[Text | Table] = list(lines)
        if room >= 3:
            body.append(Text())
            body.append(_table(frame, room - 2))
        if entries:
            body.append(Text())
            body += [_entry_text(entry) for entry in entries]
        return Group(*body)

    def _heading(self, frame: Frame) -> list[Text]:
        title = (
            f"grantwheel demo: {frame.elapsed_ms / 1000:.0f} of {self._seconds:g} s, "
            f"{counted(frame.processes, 'process', 'processes')}, {frame.busy} busy, {frame.counts.held} grants held"
        )
        lines = [_line(title, "bold"), _line(counts_line(frame.counts))]
        unread = unread_words(frame.processes_refused, frame.files_refused)
        return [*lines, *(_line(text, "dim") for text in (unread, self._note) if text)]


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _entry_text(entry: Entry) -> Text:
    return _line(entry_line(entry), _COLORS[entry.what])


def _table(frame: Frame, rows: int) -> Table:
    """Return a header and at most ``rows`` lines."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="bold underline")
    table.add_column("holder", no_wrap=True)
    table.add_column("uid", no_wrap=True)
    table.add_column("type", no_wrap=True, style="cyan")
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("left", no_wrap=True, justify="right")
    held = [(record, grant) for record in frame.records for grant in record.grants]
    shown = len(held) if len(held) <= rows else rows - 1
    for record, grant in held[:shown]:
        holder = "app" if record.kind == "app" else f"pid {record.pid}"
        left = "" if grant.remaining_ms is None else f"{grant.remaining_ms / 1000:.1f} s"
        row = (holder, str(record.uid), str(grant.type.name), printable(grant.reason), left)
        table.add_row(*(Text(cell) for cell in row))
    if shown < len(held):
        table.add_row(Text("..."), Text(), Text(), Text(f"and {len(held) - shown} more", style="dim"), Text())
    return table
