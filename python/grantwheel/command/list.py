"""``grantwheel list``: who holds what, why, and for how much longer."""

import argparse
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from grantwheel import EfficiencyResourcesInfo, OwnerKind, PermissionDeniedError, Record
from grantwheel._text import printable

from . import times, values
from .connected import CODES, REFUSED, add_json, add_socket, connected, put, told
from .failure import CommandError

_ABOUT = """\
Shows what is held now, a grant a line: who holds it, what, for how much longer,
and why. Everybody's grants are for those whom the policy of the service calls
native; --mine shows the user's own. Texts are escaped, and cannot steer the
terminal."""

_FIELDS = """\
the objects of --json, one a line:
  kind          app (a user's) or process
  uid, pid      whose; for an app the pid is that of the process that asked first
  bundle        the name that the policy knows the holder by; null with --mine
  type          CPU, TIMER ...
  cpu_level     small, medium, large, or null
  persist       whether it is held until it is released
  timeout_ms    how long it was granted for
  remaining_ms  how much of that is left; null if persist
  reason        why

"""
_LEVELS = {0: "small", 1: "medium", 2: "large"}


class _Row(NamedTuple):
    kind: OwnerKind
    uid: int
    pid: int
    bundle: str | None
    type: int
    cpu_level: int
    persist: bool
    timeout_ms: int
    remaining_ms: int | None
    reason: str


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description, command.epilog = _ABOUT, _FIELDS + CODES
    command.set_defaults(run=_run, title="list", failed=REFUSED)
    command.add_argument("--mine", action="store_true", help="only the grants of the user who asks")
    command.add_argument("-r", "--resources", type=values.types, metavar="TYPES", help=f"only these: {values.TYPES}")
    command.add_argument("--uid", type=values.uid, metavar="USER", help="only of this user: a uid or a name")
    command.add_argument("--pid", type=values.number, help="only of this process")
    add_socket(command)
    add_json(command)


def _run(options: argparse.Namespace) -> int:
    with connected(options) as grants, told():
        try:
            rows = [*(_own(grants.get_all()) if options.mine else _all(grants.records()))]
        except PermissionDeniedError as error:
            if options.mine:
                raise
            raise CommandError(f"refused: {error}; --mine shows your own", REFUSED) from error
    rows = [row for row in rows if _is_asked_for(row, options)]
    if options.json:
        for row in rows:
            put(_object(row))
    elif rows:
        for line in _table(rows):
            print(line)
    else:
        print("nothing is held")
    return 0


def _all(records: Iterable[Record]) -> Iterator[_Row]:
    for record in records:
        for grant in record.grants:
            level = record.cpu_level if grant.type == 1 else -1
            yield _Row(
                *(record.kind, record.uid, record.pid, record.bundle, grant.type, level),
                *(grant.persist, grant.timeout_ms, grant.remaining_ms, grant.reason),
            )


def _own(infos: Iterable[EfficiencyResourcesInfo]) -> Iterator[_Row]:
    for info in infos:
        kind = OwnerKind.PROCESS if info.isForProcess else OwnerKind.APP
        level = -1 if info.cpuLevel is None else info.cpuLevel
        yield _Row(
            *(kind, info.uid, info.pid, None, info.resourceTypes, level),
            *(info.isPersistent, info.timeout, info.remaining, info.reason),
        )


def _is_asked_for(row: _Row, options: argparse.Namespace) -> bool:
    return (
        (options.resources is None or bool(row.type & options.resources))
        and options.uid in (None, row.uid)
        and options.pid in (None, row.pid)
    )


def _object(row: _Row) -> dict[str, object]:
    return row._asdict() | {
        "kind": str(row.kind),
        "type": values.names(row.type)[0],
        "cpu_level": _LEVELS.get(row.cpu_level),
    }


def _table(rows: list[_Row]) -> Iterator[str]:
    cells = [("holder", "type", "left", "reason"), *(_cells(row) for row in rows)]
    widths = [max(len(cell[place]) for cell in cells) for place in range(3)]
    for holder, what, left, why in cells:
        yield f"{holder:<{widths[0]}}  {what:<{widths[1]}}  {left:>{widths[2]}}  {why}".rstrip()


def _cells(row: _Row) -> tuple[str, str, str, str]:
    who = f"app {row.uid}" if row.kind is OwnerKind.APP else f"process {row.pid} of {row.uid}"
    level = f" {_LEVELS[row.cpu_level]}" if row.cpu_level in _LEVELS else ""
    left = "persistent" if row.remaining_ms is None else times.duration(row.remaining_ms)
    name = f" ({printable(row.bundle)})" if row.bundle else ""
    return who + name, values.names(row.type)[0] + level, left, printable(row.reason)
