"""The command ``grantwheel``.

``grantwheel`` alone prints its help. Exit codes: 0 done, 1 it could not be done, 2 wrong usage, 128 + n ended by signal
n (130 for Ctrl-C), 141 nobody reads the output.
"""

import argparse
import contextlib
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from . import __version__, demo
from ._text import printable
from .demo.lines import FIELDS
from .linux.procfs import ProcfsError

_DONE, _FAILED, _INTERRUPTED, _UNREAD = 0, 1, 130, 141

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    _fill_standard_descriptors()
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:  # who asks for nothing is told what there is
        parser.print_help()
        return _DONE
    if options.interval is not None and options.interval > options.seconds:
        parser.error(f"argument --interval: {options.interval:g} is longer than --seconds, {options.seconds:g}")
    if sys.stdout is None:  # it was closed before Python began
        return _fail("there is no standard output to write to")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        code = _demo(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return _UNREAD
    except OSError as error:
        _drop_output()
        return _fail(f"the output cannot be written: {error}")
    return code


def _demo(options: argparse.Namespace) -> int:
    try:
        with demo.choose_view(options.seconds, json=options.json, plain=options.plain) as view:
            signal = demo.run(options.seconds, options.interval, view)
    except ProcfsError as error:
        return _fail(f"the processes cannot be read: {error}")
    return _DONE if signal is None else 128 + signal


def _fail(why: str) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # where the terminal is gone, so is this way out
            print(f"grantwheel demo: {printable(why)}", file=sys.stderr)
    return _FAILED


def _fill_standard_descriptors() -> None:
    """Let nothing that is opened from now on get the number of a standard stream that was closed, and its output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def _drop_output() -> None:
    """Let what is left in the buffer go nowhere, so that the interpreter's own flush at exit stays quiet too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with code 2; arguments that the message names cannot steer the terminal."""
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="grantwheel", description="Time-bounded grants of typed resources: who may use what, until when."
    )
    parser.add_argument("--version", action="version", version=f"grantwheel {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    command = commands.add_parser(
        "demo",
        help="grant the processes of this machine what they use, while they use it",
        description=_ABOUT,
        epilog=_MEANING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    return parser


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
