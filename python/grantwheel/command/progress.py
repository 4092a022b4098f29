"""How far something has got that takes longer than a second: on standard error, if that is a terminal."""

import contextlib
import os
import sys
import time
from typing import Any

QUIET_S = 1.0  # what is over by then is not told of
PAUSE_S = 0.1
_BAR_WIDTH = 30
_LEAST_BAR_WIDTH = 5


class Progress:
    """A line that says how far something has got, and goes again. Nothing where standard error is no terminal.

    Parameters
    ----------
    title : str
        The command.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._next = time.monotonic() + QUIET_S
        self._console: Any = None
        self._width = 0  # of what is there now
        self.is_wanted = sys.stderr is not None and sys.stderr.isatty()  # or would be, if it took longer

    def at(self, what: str, done: int, total: int) -> None:
        """So many groups of so many: what is done with them."""
        if not self.is_wanted or (now := time.monotonic()) < self._next:
            return
        self._next = now + PAUSE_S
        try:
            self._write(f"grantwheel {self._title}: {what}", f"{done:,} of {total:,} groups", done / max(total, 1))
        except OSError:  # the terminal is gone
            self.is_wanted = False

    def hide(self) -> None:
        """Take it away, before anything else is written there and when it is over."""
        if self._width:
            width, self._width = self._width, 0
            with contextlib.suppress(OSError):
                self._put(f"\r{' ' * width}\r")

    def _write(self, what: str, how_many: str, share: float) -> None:
        columns = _columns() - 1  # in the last one some terminals begin another line
        line = f"{what} {how_many}"[:columns]
        width, room = len(line), min(columns - len(line) - 1, _BAR_WIDTH)
        if room >= _LEAST_BAR_WIDTH and (bar := self._bar(room, share)):
            line, width = f"{what} {bar} {how_many}", width + 1 + room
        rest = " " * (self._width - width)
        self._width = width
        self._put(f"\r{line}{rest}")

    def _bar(self, width: int, share: float) -> str:
        """Return the bar of rich; nothing where that is not installed."""
        try:
            from rich.console import Console
            from rich.progress_bar import ProgressBar
        except ImportError:
            return ""
        if self._console is None:
            self._console = Console(file=sys.stderr)
        with self._console.capture() as captured:
            self._console.print(ProgressBar(total=1.0, completed=share, width=width), end="")
        return str(captured.get())

    def _put(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _columns() -> int:
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    return 80
