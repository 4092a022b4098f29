"""The service as the commands see it: where it is, what they say when it refuses or is not there."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from grantwheel import BusinessError, QueryServiceError, ServiceOperationError, TransactionError
from grantwheel._text import printable

from .failure import CommandError

if TYPE_CHECKING:
    from grantwheel.service.client import Client

REFUSED, UNREACHABLE = 1, 3
_TIMEOUT_MS = 10_000  # for each answer: whoever types does not wait for longer

CODES = """\
exit codes:
  0 done, 1 the service refused (its code is said), 2 wrong usage, 3 the service
  cannot be reached, or went away in the middle (what was asked for may or may not
  have been carried out), 130 Ctrl-C, 141 nobody reads the output"""


def add_socket(command: argparse.ArgumentParser) -> None:
    """Give a command the option that says where the service is."""
    command.add_argument(
        "--socket",
        metavar="PATH",
        help="where the service listens (default: GRANTWHEEL_SOCKET, else /run/grantwheel.sock)",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Give a command the option that makes its output one for programs."""
    command.add_argument("--json", action="store_true", help="write JSON, an object a line")


@contextlib.contextmanager
def connected(options: argparse.Namespace) -> "Iterator[Client]":
    """Have a client for the time of a block, which connects at its first call.

    Raises
    ------
    CommandError
        What it needs is not installed.
    """
    from grantwheel import connect  # which needs a package of its own, and the help does not

    try:
        grants = connect(options.socket or None, timeout_ms=_TIMEOUT_MS)
    except ImportError as error:
        raise CommandError(str(error), UNREACHABLE) from error
    with contextlib.closing(grants):
        yield grants


@contextlib.contextmanager
def told() -> Iterator[None]:
    """End the command where what the block asks of the service fails. Nothing writes its output in there.

    Raises
    ------
    CommandError
        It was refused, or the service cannot be reached.
    """
    try:
        yield
    except (ServiceOperationError, TransactionError, QueryServiceError) as error:
        raise CommandError(str(error), UNREACHABLE) from error
    except BusinessError as error:
        raise CommandError(f"refused: {error}", REFUSED) from error
    except OSError as error:
        raise CommandError(str(error), UNREACHABLE) from error


def say(options: argparse.Namespace, what: str) -> None:
    """Tell something beside the output."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"grantwheel {options.title}: {printable(what)}", file=sys.stderr, flush=True)


def put(fields: dict[str, object], *, at_once: bool = False) -> None:
    """Write an object of JSON on a line of its own."""
    import json  # which the help does not need

    print(json.dumps(fields), flush=at_once)  # which escapes all but printable ASCII
