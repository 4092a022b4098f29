"""The demonstration: what a grant does for an app in the background, shown on a few small processes of its own.

`script` says what happens, `workers` are the processes, `show` does and tells it, `story` has the words; a view shows
it: `lines` as text or JSON, `table` as a live table. This module makes them run.
"""

import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from signal import Signals

from grantwheel import BootClock, Manager
from grantwheel.suspend import Suspension

from .script import APPS, SECONDS, Script, script
from .show import Show
from .stop import StopSignal
from .view import Summary, View, in_seconds
from .workers import Workers, WorkersError, place_for_groups

__all__ = ["SECONDS", "WorkersError", "choose_view", "run"]

LOOKS = 32  # at least, in a run


def run(seconds: float, interval: float | None, view: View) -> tuple[Summary, Signals | None]:
    """Run the demonstration on this machine. Only the main thread can, because of the signals.

    Parameters
    ----------
    seconds : float
        How long.
    interval : float or None
        The time between two looks at the counters, in seconds; None for what suits the view.
    view : View
        What it is shown on.

    Returns
    -------
    Summary, Signals or None
        What it came to, and the signal that ended it, such as SIGINT for Ctrl-C; None when it came to its end.

    Raises
    ------
    WorkersError
        There are no processes to show it on.
    """
    played = script(seconds)
    interval_ms = min(view.interval_ms, played.end_ms // LOOKS) if interval is None else round(interval * 1000)
    logging.getLogger("grantwheel").addHandler(logging.NullHandler())  # what fails is told as an event, and shown
    with StopSignal() as stop, Workers(APPS, place_for_groups()) as workers, Manager(clock=BootClock()) as manager:
        freezer, how = workers.freezer()
        with (
            manager.running(),
            Suspension(manager, freezer, played.grace_ms, played.thaw_ms) as suspension,
        ):
            grace = in_seconds(played.grace_ms)
            view.note(
                "A CPU grant is permission to run in the background, until a given time. An app that nothing keeps up "
                f"there is frozen after {grace}."
            )
            view.note(f"{', '.join(APPS[:-1])} and {APPS[-1]} are apps: each is a process that counts. {how}")
            show = Show(manager, suspension, workers.all, played, view)
            finished = drive(show, played, interval_ms, lambda left: stop.wait(left, *show.descriptors()))
            summary = show.summary(finished=finished)
    view.summary(summary)
    return summary, stop.signal


def drive(show: Show, played: Script, interval_ms: int, wait: Callable[[float], bool]) -> bool:
    """Do the steps of a script at their times, look every so often, and report what happens.

    ``wait`` takes seconds and returns whether to stop; it may return early. Returns True when the script has come to
    its end, False when stopped before.
    """
    steps = deque(played.steps)
    next_look_ms = 0
    while True:
        show.report()
        now = show.elapsed_ms
        while steps and steps[0].at_ms <= now:
            show.do(steps.popleft())
        if now >= next_look_ms or now >= played.end_ms:
            show.look()
            # Between whole intervals, at which the steps are: so what they cause has happened.
            next_look_ms = now - now % interval_ms + interval_ms // 2
            next_look_ms += interval_ms * (next_look_ms <= now)
        if now >= played.end_ms:
            return True
        until = min(next_look_ms, played.end_ms, *(step.at_ms for step in steps))
        if wait(max(until - show.elapsed_ms, 1) / 1000):
            show.look()
            return False


@contextlib.contextmanager
def choose_view(*, json: bool = False, plain: bool = False) -> Iterator[View]:
    """Give the view that suits standard output: JSON if asked for, a live table on a terminal that can, else lines.

    rich and the views are imported only where they are needed.
    """
    from .lines import JsonLines, TextLines

    def write(line: str) -> None:
        print(line, flush=True)

    if json:
        yield JsonLines(write)
    elif plain or not _is_terminal():
        yield TextLines(write)
    else:
        try:
            from rich.console import Console

            from .table import LiveTable
        except ImportError:
            write("For a live table: pip install 'grantwheel[demo]'")
            yield TextLines(write)
            return
        console = Console(file=sys.stdout, highlight=False)
        if console.is_interactive:
            with LiveTable(console) as table:
                yield table
        else:
            yield TextLines(write)


def _is_terminal() -> bool:
    """Whether standard output is a terminal that can draw a table: one that moves its cursor and has the letters."""
    able = os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    return able and sys.stdout.isatty() and sys.stdout.encoding.lower().replace("-", "") == "utf8"
