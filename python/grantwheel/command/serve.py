"""``grantwheel serve``: the service, its options and its log."""

import argparse
import grp
import logging
import sys
import time
from pathlib import Path

from grantwheel import BusinessError
from grantwheel._text import printable
from grantwheel.service.limits import Limits, described

from .connected import add_socket
from .failure import CommandError
from .progress import Progress

_log = logging.getLogger("grantwheel")
_DONE, _FAILED = 0, 1
_LOG_PAUSE_S = 5.0  # between two lines that say how far it has got
_ABOUT = """\
Keeps one ledger of grants for the processes of this machine, on a Unix socket.
Who calls is what the kernel says; what they may have is in the policy file.
Without one root and the service's own user may have everything, others nothing.
Other users can connect (see --mode); the folder of the socket must be writable
by its owner alone. systemd can give the socket (LISTEN_FDS) and is told READY.
It is redis-cli that speaks to it by hand: redis-cli -s PATH."""
_MEANING = """\
signals:
  SIGTERM, SIGINT  answer what has come, and end
  SIGHUP           read the policy file again; one that is not right is logged,
                   and the old one stays

exit codes:
  0 ended by a signal or an administrator, 1 it could not be done, 2 wrong usage"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description = _ABOUT
    command.epilog = _MEANING
    command.set_defaults(run=_run, title="serve", failed=_FAILED)
    add_socket(command)
    command.add_argument("--state", type=Path, metavar="FILE", help="the journal that keeps the grants over restarts")
    command.add_argument(
        "--durability",
        choices=("commit", "batch"),
        default="commit",
        help="with --state, whether a change is answered when it is on record, or before (default: commit)",
    )
    command.add_argument("--policy", type=Path, metavar="FILE", help="who may have what: policy.toml")
    command.add_argument(
        "--mode", type=_mode, default=0o666, metavar="OCTAL", help="permissions of the socket (default: 666)"
    )
    command.add_argument("--group", type=_group, metavar="NAME", help="group of the socket")
    limits = command.add_argument_group("limits")
    for name, default, _, what in described():
        option = f"--{name.replace('_', '-')}"
        limits.add_argument(option, type=int, default=default, metavar="N", help=f"{what} (default: {default})")


def _run(options: argparse.Namespace) -> int:
    try:
        from grantwheel.service.client_link import path_of
        from grantwheel.service.serving import Setting, serve
        from grantwheel.service.sockets import SocketRefusedError
    except ImportError as error:
        if error.name != "hiredis":
            raise
        raise CommandError("hiredis is missing: pip install 'grantwheel[service]'", _FAILED) from None
    _log_to_standard_error()
    opening = _Opening()
    try:
        setting = Setting(
            path=Path(path_of(options.socket or None)),
            state=options.state,
            durability=options.durability,
            policy=options.policy,
            mode=options.mode,
            group=options.group,
            limits=Limits(**{name: getattr(options, name) for name, *_ in described()}),
        )
        serve(setting, on_progress=opening.at)
    except (SocketRefusedError, BusinessError, OSError, ValueError) as error:
        raise CommandError(str(error), _FAILED) from error
    finally:
        opening.hide()
    return _DONE


class _Opening:
    """How far the opening of the state has got: a line on a terminal that goes again, or lines of the log."""

    def __init__(self) -> None:
        self._progress = Progress("serve")
        self._next = 0.0
        self.hide = self._progress.hide

    def at(self, done: int, total: int) -> None:
        """So many groups of so many have been read."""
        if self._progress.is_wanted:
            self._progress.at("opening the state", done, total)
            if done == total:
                self.hide()
        elif (now := time.monotonic()) >= self._next or done == total:
            self._next = now + _LOG_PAUSE_S
            _log.info("opening the state: %d of %d groups", done, total)


class _OneLine(logging.Formatter):
    """A record as one line, in which nothing that a peer has sent can pass for more than it is."""

    def format(self, record: logging.LogRecord) -> str:
        said = f"grantwheel serve: {record.levelname.lower()}: {printable(record.getMessage())}"
        if record.exc_info:
            lines = self.formatException(record.exc_info).splitlines()
            said += "".join(f"\n    {printable(line)}" for line in lines)
        return said


def _log_to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} is not a mode within 000..777")
    return mode


def _group(text: str) -> int:
    try:
        return int(text) if text.isascii() and text.isdecimal() else grp.getgrnam(text).gr_gid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no group {text!r}") from None
