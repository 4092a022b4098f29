"""``grantwheel suspend``: a command that is suspended whenever nothing keeps it up."""

import argparse
import contextlib
import ctypes
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from grantwheel import Manager
from grantwheel._text import printable
from grantwheel.suspend import (
    CgroupFreezer,
    Freezer,
    SignalFreezer,
    Suspension,
    SuspensionEvent,
    SuspensionKind,
    TaskKind,
    descendants_of,
)

from . import values
from .child import FAILED, add_command, blocked, ended, reported, started, words_of
from .connected import add_socket, connected, say, told
from .failure import CommandError
from .mirror import Mirror
from .notes import WHERE, folder_of

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_MS = 5_000
_THAWING = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
# Enters the cgroup before it becomes the command: so nothing of the command is ever outside.
_ENTER = ["/bin/sh", "-c", 'echo 0 > "$0/cgroup.procs" || exit 125; exec "$@"']

_ABOUT = """\
Runs a command, and suspends it, with all that it starts, whenever its user holds
nothing at the service that keeps it up: CPU, by the user or by a process. It is
thawed as soon as something does:

    grantwheel suspend -- make -C /src &
    grantwheel apply -r CPU -t 30s

It is stopped by signals, or frozen by a cgroup (version 2) that is there for it
alone (--cgroup). While the service is away it is not suspended. A signal that asks
it to end (HUP, INT, QUIT, TERM) thaws it for good and is passed on; so are USR1 and
USR2, which it has when it is thawed. At the end of this process it is thawed; if
this is killed, the next grantwheel suspend or grantwheel thaw does that.

Who is native for the policy of the service is told of changes; for others it looks
every second."""

_CODES = """\
exit codes:
  that of the command, or 128 + n if signal n ended it; 125 the command was not
  run: the service refused or cannot be reached, or it cannot be suspended here;
  126 the command cannot be executed; 127 it is not found; 2 wrong usage"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _CODES
    command.usage = "grantwheel suspend [option ...] [--] COMMAND [argument ...]"
    command.set_defaults(run=_run, title="suspend", failed=FAILED)
    command.add_argument(
        "--grace",
        type=values.duration,
        default=5_000,
        metavar="TIME",
        help="how long nothing keeps it up before it is suspended, as in 500ms, 30s (default: 5s)",
    )
    command.add_argument("--cgroup", type=Path, metavar="DIR", help="the cgroup that it is to run in, and is frozen by")
    command.add_argument("--notes", metavar="DIR", help=f"where it is noted what is frozen ({WHERE})")
    command.add_argument("-v", "--verbose", action="store_true", help="say when it is suspended and why it goes on")
    add_socket(command)
    add_command(command)


def _run(options: argparse.Namespace) -> int:
    words = words_of(options)
    uid = os.getuid()
    logging.getLogger("grantwheel").addHandler(logging.NullHandler())  # what fails is said here
    # From before the first thread on, as each inherits what is blocked: signals are for the loop that waits.
    with (
        blocked() as (waited, mask),
        reported(),
        connected(options) as grants,
        Manager() as manager,
        _suspension(options, manager) as suspension,
        contextlib.ExitStack() as stack,
    ):

        def be_there(is_away: bool) -> None:
            say(options, f"the service is {'away: the command is not suspended meanwhile' if is_away else 'back'}")
            suspension.task(uid, TaskKind.CONTINUOUS, is_away)

        def hear(number: int) -> None:
            if number in _THAWING:
                suspension.foreground(uid)

        with told():
            stack.enter_context(Mirror(grants, manager, uid, be_there))
        early = signal.sigtimedwait(waited - {signal.SIGCHLD}, 0)
        if early is not None:  # it came before there was a command
            return 128 + early.si_signo
        pid = started(words if options.cgroup is None else [*_ENTER, str(options.cgroup), *words], mask)
        suspension.background(uid)
        return ended(pid, waited, hear)


@contextlib.contextmanager
def _suspension(options: argparse.Namespace, manager: Manager) -> Iterator[Suspension]:
    """Have a suspension of all that this process starts.

    Raises
    ------
    CommandError
        It cannot be had here.
    """
    folder = folder_of(options)
    _adopt_orphans()
    try:
        freezer: Freezer
        if options.cgroup is None:
            own = os.getpid()
            freezer = SignalFreezer(folder, processes=lambda _uid: descendants_of(own))
        else:
            if not os.access(options.cgroup / "cgroup.procs", os.W_OK):
                raise CommandError(f"{options.cgroup} is no cgroup that this user may put a process into", FAILED)
            freezer = CgroupFreezer(folder, cgroup=lambda _uid: options.cgroup, root=options.cgroup)
    except OSError as error:
        raise CommandError(f"it cannot be suspended: {error.strerror or error}", FAILED) from error
    with Suspension(manager, freezer, options.grace, look_ms=_LOOK_MS) as suspension:
        suspension.subscribe(_told(options))
        yield suspension


def _adopt_orphans() -> None:
    """Be the parent of whatever the command leaves behind, so that it is known to be of the command."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise CommandError(f"it cannot be suspended: prctl: {os.strerror(ctypes.get_errno())}", FAILED)


def _told(options: argparse.Namespace) -> Callable[[SuspensionEvent], None]:
    def tell(event: SuspensionEvent) -> None:
        if event.detail:
            what = "frozen" if event.kind is SuspensionKind.FREEZE_FAILED else "thawed"
            say(options, f"the command could not be {what}: {printable(event.detail)}")
        elif options.verbose:
            say(options, f"{event.kind}, {event.cause.replace('_', ' ')}")

    return tell
