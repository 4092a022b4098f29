"""``grantwheel demo``: its options and what it says of itself."""

import argparse
import math
from collections.abc import Callable

from grantwheel import demo
from grantwheel.demo.lines import FIELDS

from .failure import CommandError, UsageError

_DONE, _FAILED = 0, 1

_ABOUT = """\
Shows what a grant does. A CPU grant is permission to run in the background,
until a given time. Without one an app is frozen there, after a short grace.

Three small processes that count are its apps. They go to the background, get
grants, lose them when those run out, and are frozen and thawed for real: by
cgroups (version 2) where they can be made, else by signals. Their own counters
show who runs. Nothing else on the machine is touched, and nothing is left
behind, whatever ends it.

On a terminal a live table shows what each app holds, what keeps it up, and its
counter, if rich is there (pip install 'grantwheel[demo]'); else there are lines.
A summary comes last. Ctrl-C ends it early."""

_MEANING = f"""\
the objects of --json, one a line:
{FIELDS}

exit codes:
  0 done, 1 it could not be done, or an app could not be frozen or thawed, or
  counted while it was frozen; 2 wrong usage, 128 + n ended by signal n (130 for
  Ctrl-C), 141 nobody reads the output"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _MEANING
    command.set_defaults(run=_run, title="demo", failed=_FAILED)
    command.add_argument(
        "--seconds",
        type=_between(1.0, 3600.0),
        default=demo.SECONDS,
        metavar="S",
        help=f"how long it takes: all of it is faster or slower then (default: {demo.SECONDS:g})",
    )
    command.add_argument(
        "--interval",
        type=_between(0.05, 3600.0),
        metavar="S",
        help="time between two looks at the counters (default: 0.25 for the table, else 1; less for a short run)",
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="write lines of text on a terminal too")
    form.add_argument(
        "--json", action="store_true", help="write a JSON object a line: all that happens, and the counters"
    )


def _run(options: argparse.Namespace) -> int:
    if options.interval is not None and options.interval > options.seconds:
        raise UsageError(f"argument --interval: {options.interval:g} is longer than --seconds, {options.seconds:g}")
    try:
        with demo.choose_view(json=options.json, plain=options.plain) as view:
            summary, signal = demo.run(options.seconds, options.interval, view)
    except demo.WorkersError as error:
        raise CommandError(f"its processes cannot be started: {error}", _FAILED) from error
    if signal is not None:
        return 128 + signal
    return _DONE if summary.holds else _FAILED


def _between(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds within {least:g}..{most:g}")
        return value

    return parse
