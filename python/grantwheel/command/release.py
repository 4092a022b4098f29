"""``grantwheel release``: types are given back."""

import argparse

from . import values
from .apply import add_owner, owner, write
from .connected import CODES, REFUSED, add_json, add_socket, connected, told
from .failure import UsageError

_ABOUT = """\
Gives back types of the user who asks (-r), or all that the user has, the
grants of their processes too (--all). The types that were held and are no longer
are written; that there is nothing to give back is no error.

For another user or process (--uid, --pid) only those may ask whom the policy of
the service lists, which is root by default."""

_FIELDS = """\
the object of --json:
  uid, pid    whose
  process     whether of the process alone
  types       list of the types that were given back

"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _FIELDS + CODES
    command.set_defaults(run=_run, title="release", failed=REFUSED)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("-r", "--resources", type=values.types, metavar="TYPES", help=f"of {values.TYPES}, and ALL")
    what.add_argument("--all", action="store_true", help="all that the user has")
    add_owner(command)
    add_socket(command)
    add_json(command)


def _run(options: argparse.Namespace) -> int:
    uid, pid = owner(options)
    if options.all and options.process:
        raise UsageError("argument --all: it is about all that the user has, so not allowed with --process")
    with connected(options) as grants:
        with told():
            if options.all:
                mask = grants.reset_all(uid, pid)
            else:
                mask = grants.release(uid, pid, options.resources, process=options.process)
        write(options, uid, pid, mask)
    return 0
