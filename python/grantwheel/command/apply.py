"""``grantwheel apply``: types for a time."""

import argparse
import os

from . import values
from .connected import CODES, REFUSED, add_json, add_socket, connected, put, told
from .failure import UsageError

_ABOUT = """\
Gets types for the user who asks, for a time or until they are released. What is
held already is extended, and never cut short. The types that were granted are
written: those of -r that the policy allows.

For another user or process (--uid, --pid) only those may ask whom the policy of
the service lists, which is root by default. A grant of a process ends with it,
so --process needs --pid. To hold something while a command runs: grantwheel hold."""

_FIELDS = """\
the object of --json:
  uid, pid    for whom
  process     whether for the process alone
  types       list of the types that were granted

"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _FIELDS + CODES
    command.set_defaults(run=_run, title="apply", failed=REFUSED)
    command.add_argument(
        "-r", "--resources", type=values.types, required=True, metavar="TYPES", help=f"of {values.TYPES}, and ALL"
    )
    how_long = command.add_mutually_exclusive_group(required=True)
    how_long.add_argument("-t", "--timeout", type=values.duration, metavar="TIME", help="as in 500ms, 30s, 5min, 1h")
    how_long.add_argument("--persist", action="store_true", help="until they are released")
    command.add_argument("--reason", default="", metavar="WHY", help="why, for whoever lists it")
    command.add_argument("--only-held", action="store_true", help="extend what is held, and get nothing new")
    command.add_argument(
        "--level", type=values.level, default=-1, metavar="LEVEL", help=f"the level of CPU: {values.LEVELS}"
    )
    add_owner(command)
    add_socket(command)
    add_json(command)


def add_owner(command: argparse.ArgumentParser) -> None:
    """Give a command the options that say for whom it is."""
    command.add_argument("--uid", type=values.uid, metavar="USER", help="for this user: a uid or a name")
    command.add_argument("--pid", type=values.number, help="by, or with --process for, this process")
    command.add_argument("--process", action="store_true", help="for the process of --pid alone")


def owner(options: argparse.Namespace) -> tuple[int, int]:
    """Return the uid and pid that a command is for.

    Raises
    ------
    UsageError
        They do not go together.
    """
    if options.process and options.pid is None:
        raise UsageError("argument --process: it needs --pid, as the process that asks ends at once")
    if options.uid is not None and options.pid is None:
        raise UsageError("argument --uid: it needs --pid, a process of that user")
    uid = os.geteuid() if options.uid is None else options.uid
    return uid, os.getpid() if options.pid is None else options.pid


def _run(options: argparse.Namespace) -> int:
    uid, pid = owner(options)
    with connected(options) as grants:
        call = grants.renew if options.only_held else grants.apply
        with told():
            mask = call(
                uid,
                pid,
                options.resources,
                None if options.persist else options.timeout,
                persist=options.persist,
                process=options.process,
                reason=options.reason,
                cpu_level=options.level,
            )
        write(options, uid, pid, mask)
    return 0


def write(options: argparse.Namespace, uid: int, pid: int, mask: int) -> None:
    """Write the types that it was about."""
    found = values.names(mask)
    if options.json:
        put({"uid": uid, "pid": pid, "process": options.process, "types": found})
    else:
        print(",".join(found) or "nothing")
