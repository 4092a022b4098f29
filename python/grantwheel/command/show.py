"""``grantwheel journal show``: what is on record, one command a line."""

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from grantwheel import BusinessError, ResourceType, ops
from grantwheel._text import printable, quoted
from grantwheel.journal.reading import JournalView
from grantwheel.ops import Advance, Command, CommandKind, LimitsChange, Mark, NotesChange, Op, Recovery

from .failure import CommandError
from .opened import DAMAGED, is_damaged, opened
from .times import WallClock

_KINDS: dict[type, str] = {
    Advance: "advance",
    Mark: "mark",
    LimitsChange: "limits",
    Recovery: "recovery",
    NotesChange: "notes",
}
# What means something to each kind of command, beside its instant.
_OWNED = ("uid", "pid", "process")
_FIELDS = {
    CommandKind.APPLY: (
        *(*_OWNED, "types", "timeout_ms", "persist", "only_held", "cpu_level", "bundle", "reason", "timeouts_ms"),
    ),
    CommandKind.RELEASE: (*_OWNED, "types"),
    CommandKind.RESET_ALL: ("uid", "pid"),
    CommandKind.PROCESS_DIED: ("uid", "pid"),
    CommandKind.APP_STOPPED: ("uid",),
    CommandKind.PACKAGE_REMOVED: ("uid",),
    CommandKind.ADMIN_RESET_ALL: (),
    CommandKind.ADMIN_RESET_APP: ("uid", "types"),
    CommandKind.ADMIN_RESET_PROCESS: ("pid", "types"),
}

_MOST_SHOWN = 512  # bytes of a note

_WORDS = {
    "endings": "ends {} at most",
    "boot_id": "boot {}",
    "boot_ms": "{} ms after it",
    "wall_ms": "{} ms since 1970",
    "max_records": "{} records",
    "max_strings": "{} strings",
    "event_capacity": "{} events",
    "apps": "apps {}",
    "processes": "processes {}",
}


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    with opened(options) as view:
        if is_damaged(view):
            print(f"grantwheel {options.title}: {printable(_damage(view))}", file=sys.stderr)
        for found in islice(_found(view, options), options.limit):
            view.hide_progress()
            print(json.dumps(found) if options.json else _line(found))
        return DAMAGED if is_damaged(view) else 0


def _damage(view: JournalView) -> str:
    return f"{view.path} is damaged: this is what is sound of it, up to {view.last()}. See: journal verify"


def _found(view: JournalView, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Return what is asked for, as objects."""
    clock = WallClock()
    for position, group in view.read(max(options.after or 0, view.first - 1)):
        try:
            for op in ops.read(group):
                clock.note_op(op)
                if _is_asked_for(op, options):
                    yield _object(position, op, clock)
        except BusinessError as error:
            raise CommandError(f"group {position} cannot be read: {error}", DAMAGED) from error


def _is_asked_for(op: Op, options: argparse.Namespace) -> bool:
    if options.uid is None and options.pid is None and options.type is None:
        return True
    if isinstance(op, Recovery) and options.type is None:
        return (options.uid is None or options.uid in op.apps) and (options.pid is None or options.pid in op.processes)
    if not isinstance(op, Command):
        return False
    fields = _FIELDS[op.kind]
    return (
        (options.uid is None or ("uid" in fields and op.uid == options.uid))
        and (options.pid is None or ("pid" in fields and op.pid == options.pid))
        and (options.type is None or ("types" in fields and bool(op.mask & options.type)))
    )


def _object(position: int, op: Op, clock: WallClock) -> dict[str, Any]:
    found: dict[str, Any] = {"position": position, "time_ms": op.time, "wall": clock.text(op.time)}
    if isinstance(op, Command):
        found |= {"kind": str(op.kind), "row": op.row}
        return found | {name: _field(op, name) for name in _FIELDS[op.kind]}
    found |= {"kind": _KINDS[type(op)], "row": None}
    fields = {name: value for name, value in op._asdict().items() if name != "time"}
    if isinstance(op, Mark):
        fields["boot_id"] = None if op.boot_id is None else op.boot_id.hex()
    if isinstance(op, NotesChange):
        fields["changes"] = {key.hex(): None if value is None else value.hex() for key, value in op.changes.items()}
    return found | fields


def _field(op: Command, name: str) -> object:
    if name == "types":
        return _names(op.mask)
    if name == "timeouts_ms":
        return {str(one.name): ms for one, ms in op.timeouts_ms.items()}
    return getattr(op, name)


def _names(mask: ResourceType) -> list[str]:
    return [str(one.name) for one in mask]


def _line(found: dict[str, Any]) -> str:
    """Return an object as a line, in which every text is escaped."""
    place = f"{found['position']:>8}" + ("" if found["row"] is None else f".{found['row']}")
    wall = "" if found["wall"] is None else f"  {found['wall']}"
    return f"{place:<12} {found['time_ms']:>12} ms{wall}  {found['kind']:<19} {' '.join(_words(found))}".rstrip()


def _words(found: dict[str, Any]) -> Iterator[str]:
    for name in ("uid", "pid"):
        if name in found:
            yield f"{name} {found[name]}"
    if "types" in found:
        yield "+".join(found["types"])
    if "timeout_ms" in found:
        yield "persistent" if found["persist"] else f"for {found['timeout_ms']} ms"
    yield from (f"{name} {ms} ms" for name, ms in found.get("timeouts_ms", {}).items())
    if found.get("process"):
        yield "of the process"
    if found.get("only_held"):
        yield "if held"
    if found.get("cpu_level", -1) >= 0:
        yield f"level {found['cpu_level']}"
    for name in ("bundle", "reason"):
        if found.get(name):
            yield f"{name} {quoted(found[name])}"
    for name, words in _WORDS.items():
        if name in found:
            value = found[name]
            yield words.format(" ".join(map(str, value)) if isinstance(value, tuple) else value)
    for key, value in found.get("changes", {}).items():
        yield f"{bytes.fromhex(key)!r}: " + ("removed" if value is None else _value(bytes.fromhex(value)))


def _value(value: bytes) -> str:
    """Return the value of a note if it is a short text, as those of tasks are, else how long it is."""
    is_text = value.isascii() and value.decode("ascii").isprintable()
    return repr(value) if is_text and 0 < len(value) <= _MOST_SHOWN else f"{len(value)} bytes"
