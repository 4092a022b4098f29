"""``grantwheel hold``: types are held while a command runs."""

import argparse
import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

from grantwheel._text import printable

from . import values
from .connected import add_socket, connected, say, told
from .failure import CommandError, UsageError

_FAILED, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127
_PASSED_ON = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
_BY_KERNEL = 0x80  # SI_KERNEL: a signal of the terminal, which the whole group has got
# What Python ignores for itself, and no command expects to be ignored.
_OWN_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)

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
    command.set_defaults(run=_run, title="hold", failed=_FAILED)
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
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, with its arguments")


def _run(options: argparse.Namespace) -> int:
    words: list[str] = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise UsageError("there is no COMMAND to run")
    reason = os.path.basename(words[0]) if options.reason is None else options.reason  # noqa: PTH119
    # From before the first thread on, as each inherits what is blocked: signals are for the loop that waits.
    with _blocked() as (waited, mask), _reported(), connected(options) as grants:
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
            return _ended(_started(words, mask), waited)
        finally:
            held.__exit__(None, None, None)


@contextlib.contextmanager
def _blocked() -> Iterator[tuple[set[signal.Signals], set[int]]]:
    """Keep signals for whoever waits for them, but those that are ignored; yield these, and what was blocked before."""
    waited = {number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN} | {signal.SIGCHLD}
    children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored there is no exit code
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    try:
        yield waited, before
    finally:
        while signal.sigtimedwait(waited, 0) is not None:
            pass  # what came too late for the command, and must not hide how it ended
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGCHLD, children if children is not None else signal.SIG_DFL)


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Let all that keeps the command from being run have a code that commands seldom have themselves."""
    try:
        yield
    except CommandError as failure:
        code = failure.code if failure.code in (_NOT_EXECUTABLE, _NOT_FOUND) else _FAILED
        raise CommandError(str(failure), code) from failure


def _started(words: list[str], mask: set[int]) -> int:
    """Start the command, with the signals as they were for this process, and return its pid."""
    try:
        return os.posix_spawnp(words[0], words, os.environ, setsigmask=mask, setsigdef=_OWN_IGNORED)
    except FileNotFoundError as error:
        raise CommandError(f"{words[0]}: not found", _NOT_FOUND) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandError(f"{words[0]}: {why}", _NOT_EXECUTABLE) from error


def _ended(pid: int, waited: set[signal.Signals]) -> int:
    """Pass signals on until the command has ended, and return its exit code."""
    while True:
        found = signal.sigwaitinfo(waited)
        if found.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif found.si_code != _BY_KERNEL:
            os.kill(pid, found.si_signo)  # it has not been waited for, so the pid is still its own


def _tell(options: argparse.Namespace, hold: Any) -> None:
    gone = values.names(hold.lost)
    if gone:
        say(options, f"no longer held: {', '.join(gone)}")
    if hold.failure is not None:
        say(options, f"cannot be renewed: {printable(str(hold.failure))}")
