"""The demonstration: the processes of this machine hold grants for as long as they use what the grants are for.

`sampler` sees what goes on, `watch` turns it into calls of a manager, `deaths` is told at once of processes that end, a
view shows what comes of it: `lines` as text or JSON, `table` as a live table. This module makes them run.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import Signals

from grantwheel import BootClock, Manager
from grantwheel.types import Clock

from .children import Children
from .deaths import Deaths
from .lines import JsonLines, TextLines
from .sampler import PROC, Sample, Sampler
from .stop import StopSignal
from .view import View, counted
from .watch import Watch

# With fewer busy processes than this, besides this one, there is too little to see.
FEW = 2

# The interval that nobody asked for: seconds; leaving room for a few looks; and so that looking takes a tenth of the
# time at most, which is felt from about 5000 processes on.
INTERVAL = 1.0
LOOKS = 4
SHARE = 10


def default_interval(seconds: float, look_seconds: float) -> float:
    """Return the time between two looks, in seconds, for a run of ``seconds`` where a look takes ``look_seconds``."""
    return min(max(min(INTERVAL, seconds / LOOKS), SHARE * look_seconds), seconds / 2)


def run(seconds: float, interval: float | None, view: View, *, proc: Path = PROC) -> Signals | None:
    """Run the demonstration on this machine. Only the main thread can, because of the signals.

    Parameters
    ----------
    seconds : float
        How long.
    interval : float or None
        The time between two looks at the processes, in seconds; None for `default_interval`.
    view : View
        What it is shown on.
    proc : Path
        The procfs directory.

    Returns
    -------
    Signals or None
        The signal that ended it, such as SIGINT for Ctrl-C; None when it came to its end.

    Raises
    ------
    ProcfsError
        When ``proc`` cannot be read.
    """
    clock = BootClock()
    manager = Manager(clock=clock)
    with StopSignal() as stop, Children() as children, contextlib.closing(Deaths(manager)) as deaths:
        sampler = Sampler(proc)
        if interval is None:
            interval = default_interval(seconds, sampler.ns / 1e9)
        interval_ms = round(interval * 1000)
        timeout_ms = 2 * interval_ms + interval_ms // 4
        watch = Watch(manager, sampler, clock, timeout_ms=timeout_ms, view=view, deaths=deaths)
        start_ms = clock.now()
        end_ms = start_ms + round(seconds * 1000)
        view.note(f"Watching {counted(sampler.processes, 'process', 'processes')} for {seconds:g} s.")
        view.note(
            f"Grants last {timeout_ms / 1000:g} s and are renewed: CPU while it is used, TIMER and AUDIO while a timer "
            "or a sound device is open."
        )

        def after_look(sample: Sample) -> None:
            busy = sum(process.pid != os.getpid() for process in sample.busy)
            left_ms = end_ms - clock.now()
            if sampler.looks == 2 and busy < FEW and left_ms > 0:
                found = counted(sampler.processes, "process", "processes")
                view.note(
                    _start(children, f"Little goes on here ({found}, {busy} busy)", left_ms / 1000, interval_ms / 1000)
                )

        finished = drive(
            watch,
            clock,
            view,
            start_ms=start_ms,
            end_ms=end_ms,
            interval_ms=interval_ms,
            wait=lambda seconds: stop.wait(seconds, manager.fileno()),
            after_look=after_look,
        )
        view.frame(watch.frame())
        view.summary(watch.summary(finished=finished, children=len(children)))
        return stop.signal


def drive(
    watch: Watch,
    clock: Clock,
    view: View,
    *,
    start_ms: int,
    end_ms: int,
    interval_ms: int,
    wait: Callable[[float], bool],
    after_look: Callable[[Sample], None],
) -> bool:
    """Look every ``interval_ms``, show a frame as often as the view wants it, and report whenever a grant may be due.

    The last look is at ``end_ms``, if that is a whole number of intervals from ``start_ms``. ``wait`` takes seconds and
    returns whether to stop; ``after_look`` is told what each look shows. Returns True at ``end_ms``, False when stopped
    before.
    """
    next_look = start_ms + interval_ms
    next_frame = None if view.frame_ms is None else start_ms
    while True:
        now = clock.now()
        if now >= next_look:
            after_look(watch.look())
            next_look += interval_ms * ((now - next_look) // interval_ms + 1)
        wake = watch.report()
        if next_frame is not None and view.frame_ms is not None and now >= next_frame:
            view.frame(watch.frame())
            next_frame = now + view.frame_ms
        if now >= end_ms:
            return True
        until = min(instant for instant in (next_look, next_frame, wake, end_ms) if instant is not None)
        if wait(max(until - clock.now(), 1) / 1000):
            return False


@contextlib.contextmanager
def choose_view(seconds: float, *, json: bool = False, plain: bool = False) -> Iterator[View]:
    """Give the view that suits standard output: JSON if asked for, a live table on a terminal that can, else lines.

    rich is imported only where the table may be shown.
    """

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
            with LiveTable(console, seconds) as table:
                yield table
        else:
            yield TextLines(write)


def _is_terminal() -> bool:
    """Whether standard output is a terminal that can draw a table: one that moves its cursor and has the letters."""
    able = os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    return able and sys.stdout.isatty() and sys.stdout.encoding.lower().replace("-", "") == "utf8"


def _start(children: Children, why: str, seconds: float, interval: float) -> str:
    """Start the children, and return what to say about it."""
    try:
        children.start(seconds, interval)
    except OSError as error:
        return f"{why}, and children cannot be started: {error}"
    return f"{why}: starting {counted(len(children), 'busy child', 'busy children')}."
