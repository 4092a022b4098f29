"""``grantwheel demo``: its options and what it says of itself."""

import argparse
import math
from collections.abc import Callable

from grantwheel import demo
from grantwheel.demo.lines import FIELDS
from grantwheel.linux.procfs import ProcfsError

from .failure import CommandError, UsageError

_DONE, _FAILED = 0, 1

_ABOUT = """\
Reads the processes of this machine again and again. Each that used CPU gets a
timed CPU grant of its own, or has it renewed. The app (uid) of a process that
holds a timer (timerfd) or a sound device open gets TIMER or AUDIO. What does
not go on runs out. A process that ends loses its grant; with the last process
of a uid its app is stopped, and keeps TIMER until that runs out.

On a terminal a live table shows who holds what, why, and for how much longer,
if rich is there (pip install 'grantwheel[demo]'); else there is a line for each
event. A summary comes last. Ctrl-C ends it early. Nothing on the machine is
changed; where little goes on, a few busy children are started to watch."""

_MEANING = f"""\
what the summary counts:
  grants      types that an owner did not hold and got, as apply events tell
  renewals    types that an owner held and got for longer; no event tells it
  expiries    grants that ran out
  deaths      grants taken away because their process ended or changed its uid,
              or their app stopped
  refusals    requests that the manager refused
  still held  grants at the end: grants - expiries - deaths
  looks       readings of /proc, the first included, and the mean time of each
  calls       calls of the manager, and the time spent in them alone

the objects of --json, one a line:
{FIELDS}

exit codes:
  0 done, 1 it could not be done, 2 wrong usage, 128 + n ended by signal n
  (130 for Ctrl-C), 141 nobody reads the output"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _MEANING
    command.set_defaults(run=_run, title="demo", failed=_FAILED)
    command.add_argument(
        "--seconds", type=_between(0.2, 1e7), default=10.0, metavar="S", help="how long to watch (default: 10)"
    )
    command.add_argument(
        "--interval",
        type=_between(0.05, 3600.0),
        metavar="S",
        help=f"time between two looks (default: {demo.INTERVAL:g}; less for a short run, more where looking would take "
        "over a tenth of the time)",
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="write lines of text on a terminal too")
    form.add_argument("--json", action="store_true", help="write a JSON object a line: each event, then the summary")


def _run(options: argparse.Namespace) -> int:
    if options.interval is not None and options.interval > options.seconds:
        raise UsageError(f"argument --interval: {options.interval:g} is longer than --seconds, {options.seconds:g}")
    try:
        with demo.choose_view(options.seconds, json=options.json, plain=options.plain) as view:
            signal = demo.run(options.seconds, options.interval, view)
    except ProcfsError as error:
        raise CommandError(f"the processes cannot be read: {error}", _FAILED) from error
    return _DONE if signal is None else 128 + signal


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
