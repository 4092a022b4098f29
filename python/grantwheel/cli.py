"""The command ``grantwheel``.

Exit codes: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted (Ctrl-C), 141 nobody reads the output.
"""

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Sequence

from . import __version__, demo

_DONE, _FAILED, _INTERRUPTED, _UNREAD = 0, 1, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        code = _demo(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer goes nowhere, so that the interpreter's own flush at exit stays quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNREAD
    return code


def _demo(options: argparse.Namespace) -> int:
    try:
        finished = demo.run(options.seconds, options.interval, lambda line: print(line, flush=True))
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"grantwheel demo: the processes cannot be read: {error}", file=sys.stderr)
        return _FAILED
    return _DONE if finished else _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="grantwheel", description="Time-bounded grants of typed resources: who may use what, until when."
    )
    parser.add_argument("--version", action="version", version=f"grantwheel {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "demo",
        help="grant CPU to the processes of this machine while they use it",
        description="Reads the processes of this machine once per interval. Each that used CPU gets a timed CPU grant, "
        "or has it renewed; one that goes quiet lets it run out; one that ends loses it. Every event is printed as it "
        "happens, and a summary at the end. Changes nothing on the machine.",
    )
    command.add_argument(
        "--seconds", type=_between(0.01, 1e7), default=10.0, metavar="S", help="how long to watch (default: 10)"
    )
    command.add_argument(
        "--interval", type=_between(0.05, 3600.0), default=1.0, metavar="S", help="time between two looks (default: 1)"
    )
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
