"""A demonstration as lines: of text for people, of JSON for machines."""

import json
from collections.abc import Callable

from grantwheel._text import printable

from .view import Entry, Frame, Row, Summary, entry_line, summary_lines


class TextLines:
    """A line for all that happens, and one for the counters every now and then. ``write`` takes each line."""

    interval_ms = 1000

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def note(self, text: str) -> None:
        """Write it."""
        self._write(printable(text))

    def entry(self, entry: Entry) -> None:
        """Write a line."""
        self._write(entry_line(entry))

    def frame(self, frame: Frame) -> None:
        """Write the counters."""
        self._write(f"{frame.elapsed_ms / 1000:6.1f} s  | {' | '.join(_counter(row) for row in frame.rows)}".rstrip())

    def summary(self, summary: Summary) -> None:
        """Write the closing lines."""
        for line in summary_lines(summary):
            self._write(line)


def _counter(row: Row) -> str:
    rate = "" if row.per_second is None else f"+{row.per_second}/s"
    state = "" if row.frozen_ms is None else "FROZEN"
    return f"{row.app} {row.counted:>6,} {rate:>6} {state:6}"


class JsonLines:
    """A JSON object for all that happens, for each look, and one for the summary, a line each, and nothing else.

    `FIELDS` says what is in them. ``write`` takes each line: ASCII without control characters.
    """

    interval_ms = 1000

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def note(self, text: str) -> None:
        """Write nothing: it is for people."""

    def entry(self, entry: Entry) -> None:
        """Write the object of what has happened."""
        fields = entry._asdict()
        self._put("event", fields.pop("elapsed_ms"), fields)

    def frame(self, frame: Frame) -> None:
        """Write the object of a look."""
        self._put("look", frame.elapsed_ms, {"apps": [row._asdict() for row in frame.rows]})

    def summary(self, summary: Summary) -> None:
        """Write the object of the summary."""
        apps = [tally._asdict() for tally in summary.tallies]
        fields = {"finished": summary.finished, "failures": summary.failures, "apps": apps}
        self._put("summary", summary.elapsed_ms, fields)

    def _put(self, kind: str, elapsed_ms: int, fields: dict[str, object]) -> None:
        self._write(json.dumps({"type": kind, "time_ms": elapsed_ms, **fields}))  # which escapes all but ASCII


FIELDS = """\
  all         type, which is "event", "look" or "summary", and time_ms, the
              milliseconds since the start
  event       what has happened to an app
    app, uid  whom it happened to
    kind      app_apply, app_reset: a grant has come, has gone; foreground,
              background, suspended: so the app is now; freeze_failed,
              thaw_failed; delivered, refused: an event for it
    cause     of the first two apply or expired; of delivered and refused the
              type; of the others host, idle, cpu, event, event_over and so on
    text      the same as a sentence
  look        how the apps are, as a list, apps, of
    app, uid, pid
    grants    milliseconds left, by type
    state     foreground, background, suspended
    frozen_ms for how long it has been frozen; null when it is not
    kept_by   what keeps it up, a list: foreground, cpu, event, grace, freezer
    left_ms   for how long it is kept up; null when that is not known
    counted   what its counter says
    per_second
              what it has counted since the last look; null at the first
  summary     the last line
    finished  false when a signal ended it
    failures  how often an app could not be frozen or thawed
    apps      a list of
      app
      frozen, frozen_ms
              how often, and for how long in all
      counted_frozen, counted
              what it counted meanwhile, and in all"""
