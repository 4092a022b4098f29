"""``grantwheel hold``: types are held while a command runs."""

import argparse
import os
import signal
from typing import Any

from grantwheel._text import printable

from . import values
from .child import FAILED, add_command, blocked, ended, reported, started, words_of
from .connected import add_socket, connected, say, told

_ABOUT = """\
Gets types, runs a command, and gives them back when it ends. Meanwhile they are
renewed each time that a third of -t has passed; so when this process is killed
or the machine crashes, they run out within that time.

    grantwheel hold -r CPU,AUDIO -t 30s --reason "nightly backup" -- tar c /home

The command has this process's own input, output and place on the terminal.
Signals that ask a program to end (HUP, INT, QUIT, TERM) and USR1 and USR2 are
passed on to it. When it is stopped from the terminal (Ctrl-Z) so are the
renewals. When types go meanwhile, because they were released by others or the
service has been away for too long, that is said, and the command goes on."""

_CODES = """\
exit codes:
  that of the command, or 128 + n if signal n ended it; 125 what was asked for
  cannot be held and the command was not run: the service refused or cannot be
  reached; 126 the command cannot be executed; 127 it is not found; 2 wrong usage"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _CODES
    command.usage = "grantwheel hold -r TYPES [-t TIME] [--reason WHY] [option ...] [--] COMMAND [argument ...]"
    command.set_defaults(run=_run, title="hold", failed=FAILED)
    command.add_argument(
        "-r",
        "--resources",
        type=values.types,
        required=True,
        metavar="TYPES",
        help=f"what to hold, as in CPU,AUDIO; there are {values.TYPES}, and ALL",
    )
    command.add_argument(
        "-t",
        "--timeout",
        type=values.duration,
        default=30_000,
        metavar="TIME",
        help="how long the grants go on without a renewal, as in 500ms, 30s, 5min (default: 30s)",
    )
    command.add_argument("--reason", metavar="WHY", help="why, for whoever lists it (default: the command's name)")
    command.add_argument("--process", action="store_true", help="for this process, not for all of its user")
    command.add_argument(
        "--level", type=values.level, default=-1, metavar="LEVEL", help=f"the level of CPU: {values.LEVELS}"
    )
    add_socket(command)
    add_command(command)


def _run(options: argparse.Namespace) -> int:
    words = words_of(options)
    reason = os.path.basename(words[0]) if options.reason is None else options.reason  # noqa: PTH119
    # From before the first thread on, as each inherits what is blocked: signals are for the loop that waits.
    with blocked() as (waited, mask), reported(), connected(options) as grants:
        with told():
            held = grants.hold(
                options.resources,
                reason=reason,
                timeout_ms=options.timeout,
                process=options.process,
                cpu_level=options.level,
                on_lost=lambda hold: _tell(options, hold),
            ).__enter__()
        try:
            missing = values.names(options.resources & ~held.types)
            if missing:
                say(options, f"not allowed, and not held: {', '.join(missing)}")
            early = signal.sigtimedwait(waited - {signal.SIGCHLD}, 0)
            if early is not None:  # it came before there was a command
                return 128 + early.si_signo
            return ended(started(words, mask), waited)
        finally:
            held.__exit__(None, None, None)


def _tell(options: argparse.Namespace, hold: Any) -> None:
    gone = values.names(hold.lost)
    if gone:
        say(options, f"no longer held: {', '.join(gone)}")
    if hold.failure is not None:
        say(options, f"cannot be renewed: {printable(str(hold.failure))}")
