"""``grantwheel journal``: its options and what it says of itself."""

import argparse
import importlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grantwheel import ResourceType

from .until import Until

_FAILED = 2  # 1 is damage
_MAX_INSTANT = 1 << 62

_ABOUT = """\
Looks into a journal that a manager keeps on SQLite. Nothing of it is changed or
locked: it is copied into a directory for temporary files (TMPDIR names another
one), and may be in use. Texts are escaped, and cannot steer the terminal."""

_CODES = """\
exit codes:
  0 done and sound, 1 damage, 2 wrong usage, or it cannot be read,
  130 Ctrl-C, 141 nobody reads the output"""

_VERIFY = """\
Says where a journal stands, and whether it is sound: its files as a program
would find them that opens it, and every group by carrying it out.

the object of --json:
  file        the file
  sound       false if anything is damaged
  position    position of the last group
  groups      those that are there: count, first, last, bytes; first and last
              are null when there are none
  snapshot    position, time_ms (its instant), behind (how many groups have come
              since), saved (when it was written); or null
  time_ms     first and last instant of what is there; null without any
  wall        the same by the calendar, if there are marks; else null
  held        owners and grants at the last instant
  state_hash  the same for two journals that have the same state
  files       bytes by name
  writer      the process that has it open; 0 if it cannot be seen, null for none
  damage      list of kind (damaged, or torn: an interrupted write, which is
              nothing to worry about), file, offset (byte or null), what, and
              last (the position from which a program would go on)
  aside       directories with what was damaged earlier"""

_SHOW = """\
Shows what is on record, one command a line: position, instant in ms, the time by
the calendar if there are marks, and what was done. A filter leaves out what is
nobody's, such as advances.

the objects of --json, one a line:
  position    position of the group
  time_ms     instant
  wall        the same by the calendar, or null
  kind        apply, release, reset_all, process_died, app_stopped,
              package_removed, admin_reset_all, admin_reset_app,
              admin_reset_process, advance, mark, limits, recovery, notes
  row         place in a batch, or null
  uid, pid, types, process, cpu_level, timeout_ms, persist, only_held, bundle,
  reason, timeouts_ms
              of commands, where they mean something
  endings     of an advance: how many records it ends at most
  boot_id, boot_ms, wall_ms
              of a mark: the boot (null if not known), ms since it and since 1970
  max_records, max_strings, event_capacity
              of limits
  apps, processes
              of a recovery, which is what a start drops: uids that kept only what
              is retained, and pids
  changes     of notes: the new values by key, both as hexadecimal digits; null for
              one that is removed"""

_REPLAY = """\
Carries out what is on record, from the first group if all are there, else from
the snapshot, and says who held what: how often, how long in all, how long at
most, whether now, and what ended it. What was held when the record begins was
held for at least as long as is said.

the object of --json:
  file        the file
  groups      how many were carried out
  time_ms     first and last instant
  wall        the same by the calendar, if there are marks; else null
  missed      events that were too many at once to be seen; what they ended is
              told as unknown
  fault       why it did not go on to the end, or null
  types       list of type, grants, held_ms, longest_ms, older (held before the
              record begins), still (held at the end), ended (numbers by cause)
  owners      the same with kind, uid, pid, bundle: those who held longest first
  records     what is held at the end: kind, uid, pid, bundle, cpu_level, and
              grants, each with type, persist, timeout_ms, deadline_ms,
              remaining_ms, reason"""


def fill(command: argparse.ArgumentParser) -> None:
    """Give the command its parts and their arguments."""
    command.description, command.epilog = _ABOUT, _CODES
    parts = command.add_subparsers(title="commands", dest="part", metavar="COMMAND", required=True)
    _add(parts, "verify", "is it sound, and where does it stand", _VERIFY)
    show = _add(parts, "show", "the commands, one a line", _SHOW)
    show.add_argument("--after", type=_number("a position"), metavar="POSITION", help="only groups behind this one")
    show.add_argument("--limit", type=_number("a number of lines"), metavar="N", help="so many lines at most")
    show.add_argument("--uid", type=_number("a uid"), help="only commands of this uid")
    show.add_argument("--pid", type=_number("a pid"), help="only commands of this pid")
    show.add_argument("--type", type=_type, metavar="TYPE", help="only commands with this type: " + ", ".join(_names()))
    replay = _add(parts, "replay", "who held what, how long, how often, and what ended it", _REPLAY)
    replay.add_argument(
        "--at",
        type=_until,
        default=Until(),
        metavar="INSTANT",
        help="go no further than this instant in ms, or time of the calendar as in 2026-11-28T23:00:00Z, and show what "
        "was held then",
    )
    replay.add_argument(
        "--limit", type=_number("a number of rows"), metavar="N", help="show those who held longest only"
    )
    replay.add_argument("--plot", metavar="OUT.svg", help="draw a timeline into this file")
    replay.add_argument(
        "--lanes",
        type=_number("a number of lanes"),
        default=30,
        metavar="N",
        help="draw so many owners and types of the timeline by themselves, and the rest by type (default: 30)",
    )


def _add(parts: "argparse._SubParsersAction[Any]", name: str, what: str, about: str) -> argparse.ArgumentParser:
    part: argparse.ArgumentParser = parts.add_parser(
        name,
        help=what,
        description=about,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def run(options: argparse.Namespace) -> int:
        # Only now, as whoever wants something else has no use for SQLite.
        module = importlib.import_module(f"grantwheel.command.{name}")
        code: int = module.run(options)
        return code

    part.set_defaults(run=run, title=f"journal {name}", failed=_FAILED)
    part.add_argument("file", type=Path, metavar="FILE", help="the file of the journal")
    part.add_argument("--json", action="store_true", help="write JSON")
    return part


def _names() -> list[str]:
    return [str(one.name) for one in ResourceType if one is not ResourceType.ALL]


def _type(text: str) -> ResourceType:
    if text.upper() not in _names():
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_names())}")
    return ResourceType[text.upper()]


def _until(text: str) -> Until:
    if text.isascii() and text.isdecimal():
        return Until(time=_number("an instant")(text))
    try:
        wall = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither milliseconds nor a time of the calendar") from error
    if wall.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone: end it with Z for UTC")
    return Until(wall_ms=int((wall - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)))


def _number(what: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and int(text) <= _MAX_INSTANT):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return int(text)

    return parse
