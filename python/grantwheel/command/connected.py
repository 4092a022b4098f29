"""The service as the commands see it: where it is, what they say when it refuses or is not there."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from grantwheel import (
    BusinessError,
    EfficiencyResourcesInfo,
    Event,
    EventKind,
    Hold,
    Record,
    ServiceOperationError,
    TransactionError,
)
from grantwheel._text import printable

from .failure import CommandError

REFUSED, UNREACHABLE = 1, 3
DEFAULT_SOCKET = "/run/grantwheel.sock"


class Grants(Protocol):
    """What the commands use of a connection."""

    def apply(
        self,
        uid: int,
        pid: int,
        mask: int,
        timeout_ms: int | None = None,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: int = -1,
    ) -> int: ...
    def renew(
        self,
        uid: int,
        pid: int,
        mask: int,
        timeout_ms: int | None = None,
        *,
        persist: bool = False,
        process: bool = False,
        reason: str = "",
        cpu_level: int = -1,
    ) -> int: ...
    def release(self, uid: int, pid: int, mask: int, *, process: bool = False) -> int: ...
    def reset_all(self, uid: int, pid: int) -> int: ...
    def hold(
        self,
        mask: int,
        *,
        reason: str = "",
        timeout_ms: int = 30_000,
        process: bool = False,
        cpu_level: int = -1,
        on_lost: Callable[[Hold], object] | None = None,
    ) -> Hold: ...
    def records(self) -> list[Record]: ...
    def get_all(self) -> list[EfficiencyResourcesInfo]: ...
    def read(self, after: int, limit: int | None = None) -> tuple[list[Event], int, int]: ...
    def follow(
        self,
        after: int | None = None,
        *,
        kinds: Iterable[EventKind | str] | None = None,
        uids: Iterable[int] | None = None,
        on_gap: Callable[[int], object] | None = None,
    ) -> Iterator[Event]: ...
    def close(self) -> None: ...


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
        help=f"where the service listens (default: GRANTWHEEL_SOCKET, else {DEFAULT_SOCKET})",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Give a command the option that makes its output one for programs."""
    command.add_argument("--json", action="store_true", help="write JSON, an object a line")


def socket_of(options: argparse.Namespace) -> str:
    """Return where the service is."""
    return options.socket or os.environ.get("GRANTWHEEL_SOCKET") or DEFAULT_SOCKET


@contextlib.contextmanager
def connected(options: argparse.Namespace) -> Iterator[Grants]:
    """Have a connection for the time of a block.

    Raises
    ------
    CommandError
        Nobody answers there.
    """
    from grantwheel import connect  # which needs a package of its own, and the help does not

    with told():
        grants = connect(socket_of(options))
    with contextlib.closing(grants):
        yield grants


@contextlib.contextmanager
def told(refused: int = REFUSED, unreachable: int = UNREACHABLE) -> Iterator[None]:
    """End the command, with one of two codes, where what the block asks of the service fails. Nothing writes in there.

    Raises
    ------
    CommandError
        It was refused, or the service cannot be reached.
    """
    try:
        yield
    except (ServiceOperationError, TransactionError) as error:
        raise CommandError(str(error), unreachable) from error
    except BusinessError as error:
        raise CommandError(f"refused: {error}", refused) from error
    except OSError as error:
        raise CommandError(str(error), unreachable) from error


def say(options: argparse.Namespace, what: str) -> None:
    """Tell something beside the output."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"grantwheel {options.title}: {printable(what)}", file=sys.stderr, flush=True)


def put(fields: dict[str, object]) -> None:
    """Write an object of JSON, for whoever reads line by line."""
    print(json.dumps(fields), flush=True)  # which escapes all but printable ASCII
