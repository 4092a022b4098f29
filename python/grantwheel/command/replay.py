"""``grantwheel journal replay``: who held what, how long, how often, and what ended it."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from grantwheel import Record, ResourceType
from grantwheel._text import printable, quoted
from grantwheel.journal.reading import JournalView
from grantwheel.listing import listing

from .failure import CommandError
from .history import History, Span, marks_of
from .opened import DAMAGED, UNREADABLE, is_damaged, opened
from .plot import Plot
from .times import duration
from .totals import Row, Total, Totals, by_type, owner_words
from .until import Until


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    totals = Totals()
    plot = Plot() if options.plot is not None else None

    def take(span: Span) -> None:
        totals.add(span)
        if plot is not None:
            plot.add(span)

    with opened(options) as view:
        history = History(view, take, _instant_of(view, options.at))
        rows = totals.rows()
        if plot is not None:
            _require_apart(options.plot, view)
            _write(options.plot, plot.draw(history, view.path.name, options.lanes))
        if options.json:
            print(json.dumps(_object(view, history, rows)))
        else:
            for line in _lines(view, history, rows, options):
                print(line)
        fault = history.fault or ("what is damaged is left out" if is_damaged(view) else None)
        if fault is None:
            return 0
        print(f"grantwheel {options.title}: {printable(f'{view.path}: {fault}. See: journal verify')}", file=sys.stderr)
        return DAMAGED


def _instant_of(view: JournalView, at: Until) -> int | None:
    if at.wall_ms is None:
        return at.time
    time = marks_of(view).instant(at.wall_ms)
    if time is None:
        raise CommandError("no mark says when its instants were by the calendar: give one in ms", UNREADABLE)
    return time


def _require_apart(plot_path: str, view: JournalView) -> None:
    """Refuse a plot in the place of a file of the journal."""
    given, path = Path(plot_path).resolve(), view.path.resolve()
    if given.parent == path.parent and (given.name == path.name or given.name.startswith(f"{path.name}-")):
        raise CommandError(f"--plot {plot_path} is the journal, or beside it and named like a part of it", UNREADABLE)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - the name as it was given
            file.write(text)
    except OSError as error:
        raise CommandError(f"the plot cannot be written: {path}: {error.strerror}", UNREADABLE) from error


def _object(view: JournalView, history: History, rows: Iterable[Row]) -> dict[str, Any]:
    return {
        "file": str(view.path),
        "groups": history.groups,
        "time_ms": {"first": history.first, "last": history.last},
        "wall": {"first": history.clock.text(history.first), "last": history.clock.text(history.last)},
        "missed": history.missed,
        "fault": history.fault,
        "types": [{"type": _name(one), **_fields(total)} for one, total in by_type(rows).items()],
        "owners": [
            {
                "kind": str(row.owner.kind),
                "uid": row.owner.uid,
                "pid": row.owner.pid,
                "bundle": history.names.get(row.owner, ""),
                "type": _name(row.type),
                **_fields(row.total),
            }
            for row in rows
        ],
        "records": [_record(record) for record in history.records],
    }


def _fields(total: Total) -> dict[str, Any]:
    return {
        "grants": total.grants,
        "held_ms": total.held_ms,
        "longest_ms": total.longest_ms,
        "older": total.older,
        "still": total.still,
        "ended": dict(total.ended.most_common()),
    }


def _record(record: Record) -> dict[str, Any]:
    return {
        "kind": str(record.kind),
        "uid": record.uid,
        "pid": record.pid,
        "bundle": record.bundle,
        "cpu_level": record.cpu_level,
        "grants": [grant._asdict() | {"type": _name(grant.type)} for grant in record.grants],
    }


def _lines(view: JournalView, history: History, rows: Sequence[Row], options: argparse.Namespace) -> Iterator[str]:
    begin, end = _instant(history, history.first), _instant(history, history.last)
    length = duration(history.last - history.first)
    yield f"{printable(str(view.path))}: {history.groups:,} groups, {begin} to {end}, {length}"
    if options.at.time is not None or options.at.wall_ms is not None:
        yield ""
        yield listing(history.records)
        return
    if history.missed:
        yield f"{history.missed:,} events were too many at once to be seen: what they ended is told as unknown"
    if not rows:
        yield "nobody held anything"
        return
    yield ""
    head = ("type", "grants", "held", "longest", "now", "ended by")
    yield from _table(head, [(_name(one), *_cells(total)) for one, total in by_type(rows).items()])
    yield ""
    shown = rows if options.limit is None else rows[: options.limit]
    cells = [(_owner(history, row), _name(row.type), *_cells(row.total)) for row in shown]
    rest = Total()
    for row in rows[len(shown) :]:
        rest.include(row.total)
    if rest.grants:
        cells.append((f"{len(rows) - len(shown):,} more", "", *_cells(rest)))
    yield from _table(("holder", *head), cells)


def _instant(history: History, time: int) -> str:
    return history.clock.text(time) or f"{time} ms"


def _owner(history: History, row: Row) -> str:
    name = history.names.get(row.owner)
    return owner_words(row.owner) + (f" {quoted(name)}" if name else "")


def _cells(total: Total) -> tuple[str, ...]:
    ended = ", ".join(f"{cause} {count:,}" for cause, count in total.ended.most_common())
    held = ("\N{GREATER-THAN OR EQUAL TO}" if total.older else "") + duration(total.held_ms)
    return f"{total.grants:,}", held, duration(total.longest_ms), f"{total.still:,}" if total.still else "", ended


def _name(one: int) -> str:
    return str(ResourceType(one).name)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Return columns of text; numbers, which are all but the names and the last one, to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    names = head.index("grants")
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if place < names or place == len(row) - 1 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
