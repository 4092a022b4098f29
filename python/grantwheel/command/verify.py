"""``grantwheel journal verify``: where a journal stands, and whether it is sound."""

import argparse
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grantwheel import BusinessError, Follower, MemoryOperationError, ops
from grantwheel._text import printable
from grantwheel.journal import Report
from grantwheel.journal.reading import JournalView

from .failure import CommandError
from .opened import DAMAGED, UNREADABLE, opened, start
from .times import WallClock, calendar, duration


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    try:
        with opened(options) as view:
            found = _look(view)
    except MemoryOperationError as error:
        raise CommandError(str(error), UNREADABLE) from error
    if options.json:
        print(json.dumps(found))
    else:
        for line in _lines(found):
            print(printable(line))
    return 0 if found["sound"] else DAMAGED


def _look(view: JournalView) -> dict[str, Any]:
    """Carry out all there is, and say what came of it."""
    reports = list(view.reports)
    clock = WallClock()
    count = size = 0
    follower, after, snapshot_time = _begin(view, reports)
    first = snapshot_time
    for position, group in view.read(view.first - 1):
        count += 1
        size += len(group)
        if position > after:
            with _reporting(reports, view.path, f"group {position} cannot be carried out", position - 1):
                follower.feed(group)
            if follower.position < position:
                break
        # A start does without those that the snapshot stands for, and so does what comes behind them.
        is_covered = position <= view.covered
        which = f"group {position}, which the snapshot stands for," if is_covered else f"group {position}"
        with _reporting(reports, view.path, f"{which} cannot be read", view.last() if is_covered else position - 1):
            for op in ops.read(group):
                first = op.time if first is None else min(first, op.time)
                clock.note_op(op)
    last = follower.now_ms if first is not None else None
    records = follower.records()
    return {
        "file": str(view.path),
        "sound": all(report.kind == "torn" for report in reports),
        "position": view.last(),
        "groups": {
            "count": count,
            "first": view.first if count else None,
            "last": view.last() if count else None,
            "bytes": size,
        },
        "snapshot": _of_snapshot(view, snapshot_time),
        "time_ms": {"first": first, "last": last},
        "wall": {
            "first": None if first is None else clock.text(first),
            "last": None if last is None else clock.text(last),
        },
        "held": {"owners": len(records), "grants": sum(len(record.grants) for record in records)},
        "state_hash": f"{follower.state_hash():016x}",
        "files": view.sizes,
        "writer": view.writer,
        "damage": [
            {
                "kind": report.kind,
                "file": str(report.file),
                "offset": report.offset,
                "what": report.what,
                "last": report.last,
            }
            for report in reports
        ],
        "aside": [str(path) for path in view.aside],
    }


def _begin(view: JournalView, reports: list[Report]) -> tuple[Follower, int, int | None]:
    """Return a follower, behind which position it has to carry out what is there, and the instant of its snapshot.

    Without a snapshot that can be loaded all groups from the first one on lead to something, or none of them does.
    """
    has_all = view.first == 1
    follower, after, time = Follower(), 0 if has_all else view.last(), None
    snapshot = Path(f"{view.path}-snapshot")
    with _reporting(reports, snapshot, "the snapshot cannot be loaded", view.last() if has_all else 0):
        follower = start(view)
        after = follower.position
        time = None if view.snapshot() is None else follower.now_ms
    return follower, after, time


@contextlib.contextmanager
def _reporting(reports: list[Report], file: Path, what: str, last: int) -> Iterator[None]:
    """Report what makes no sense, from which a program goes on behind ``last``."""
    try:
        yield
    except MemoryOperationError:
        raise
    except BusinessError as error:
        if error.is_newer:
            raise CommandError(f"{what}: {error}", UNREADABLE) from error
        reports.append(Report("damaged", file, None, f"{what}: {error}", last, None))


def _of_snapshot(view: JournalView, time: int | None) -> dict[str, Any] | None:
    if view.snapshot() is None or view.saved_s is None:
        return None
    return {
        "position": view.covered,
        "time_ms": time,
        "behind": view.last() - view.covered,
        "saved": calendar(int(view.saved_s * 1000)),
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['file']}: {'sound' if found['sound'] else 'DAMAGED'}"
    groups, snapshot = found["groups"], found["snapshot"]
    if groups["count"]:
        there = f"; {_counted(groups['count'], 'group')} from {groups['first']} on are there, {groups['bytes']:,} bytes"
    else:
        there = "; no groups are there"
    yield _line("position", f"{found['position']}{there}")
    if snapshot is None:
        yield _line("snapshot", "none")
    else:
        yield _line("snapshot", _snapshot_words(snapshot, found["time_ms"]["last"]))
    if found["time_ms"]["first"] is not None:
        yield _line("first", _instant(found, "first"))
        yield _line("last", _instant(found, "last"))
    grants, owners = found["held"]["grants"], found["held"]["owners"]
    yield _line("held", f"{_counted(grants, 'grant')} of {_counted(owners, 'owner')} at the last instant")
    yield _line("hash", f"{found['state_hash']} of the state")
    yield _line("files", ", ".join(f"{name} {size:,} bytes" for name, size in found["files"].items()))
    yield _line("writer", _writer_words(found["writer"]))
    for report in found["damage"]:
        at = "" if report["offset"] is None else f", byte {report['offset']}"
        what = f"{report['file']}{at}: {report['what']}"
        yield _line(report["kind"], f"{what}; what is sound goes up to {report['last']}")
    for path in found["aside"]:
        yield _line("set aside", f"{path}, from earlier damage")


def _line(name: str, what: str) -> str:
    return f"  {name:<10}{what}"


def _snapshot_words(snapshot: dict[str, Any], last: int | None) -> str:
    words = f"at {snapshot['position']}, {_counted(snapshot['behind'], 'group')} behind"
    if snapshot["time_ms"] is not None and last is not None:
        words += f"; instant {snapshot['time_ms']} ms, {duration(last - snapshot['time_ms'])} before the last"
    if snapshot["saved"] is not None:
        words += f"; written {snapshot['saved']}"
    return words


def _instant(found: dict[str, Any], which: str) -> str:
    wall = found["wall"][which]
    return f"{found['time_ms'][which]} ms" + (f", {wall}" if wall is not None else "")


def _writer_words(writer: int | None) -> str:
    if writer is None:
        return "nobody has it open"
    return f"process {writer} has it open" if writer else "a process that cannot be seen from here has it open"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word if number == 1 else word + 's'}"
