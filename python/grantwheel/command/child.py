"""Running somebody's command: its start, its signals, and the codes of what keeps it from being run."""

import argparse
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from .failure import CommandError, UsageError

FAILED, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127
_PASSED_ON = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
_BY_KERNEL = 0x80  # SI_KERNEL: a signal of the terminal, which the whole group has got
# What Python ignores for itself, and no command expects to be ignored.
_OWN_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


def add_command(command: argparse.ArgumentParser) -> None:
    """Let a command of ours have the one that it is to run, as all that follows its options."""
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, with its arguments")


def words_of(options: argparse.Namespace) -> list[str]:
    """Return the command to run, and its arguments."""
    words: list[str] = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise UsageError("there is no COMMAND to run")
    return words


@contextlib.contextmanager
def blocked() -> Iterator[tuple[set[signal.Signals], set[int]]]:
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
def reported() -> Iterator[None]:
    """Let all that keeps the command from being run have a code that commands seldom have themselves."""
    try:
        yield
    except CommandError as failure:
        code = failure.code if failure.code in (_NOT_EXECUTABLE, _NOT_FOUND) else FAILED
        raise CommandError(str(failure), code) from failure


def started(words: list[str], mask: set[int]) -> int:
    """Start the command, with the signals as they were for this process, and return its pid."""
    try:
        return os.posix_spawnp(words[0], words, os.environ, setsigmask=mask, setsigdef=_OWN_IGNORED)
    except FileNotFoundError as error:
        raise CommandError(f"{words[0]}: not found", _NOT_FOUND) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandError(f"{words[0]}: {why}", _NOT_EXECUTABLE) from error


def ended(pid: int, waited: set[signal.Signals], hear: Callable[[int], object] = lambda _number: None) -> int:
    """Pass signals on until the command has ended, and return its exit code. Other children are waited for as well.

    ``hear`` is called with each signal that the command gets, before it gets it from here.
    """
    while True:
        found = signal.sigwaitinfo(waited)
        if found.si_signo != signal.SIGCHLD:
            hear(found.si_signo)
            if found.si_code != _BY_KERNEL:
                os.kill(pid, found.si_signo)  # it has not been waited for, so the pid is still its own
            continue
        while (child := os.waitpid(-1, os.WNOHANG))[0]:
            if child[0] == pid:
                code = os.waitstatus_to_exitcode(child[1])
                return code if code >= 0 else 128 - code
