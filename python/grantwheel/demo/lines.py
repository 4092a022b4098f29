"""A demonstration as lines: of text for people, of JSON for machines."""

import json
from collections.abc import Callable

from grantwheel._text import printable

from .view import Entry, Frame, Summary, entry_line, summary_lines


class TextLines:
    """A line for each event as it happens, and a few to close. ``write`` takes each line."""

    frame_ms = None

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def note(self, text: str) -> None:
        """Write it."""
        self._write(printable(text))

    def entry(self, entry: Entry) -> None:
        """Write a line for an event."""
        self._write(entry_line(entry))

    def frame(self, frame: Frame) -> None:
        """Write nothing: lines tell what happens, not how things are."""

    def summary(self, summary: Summary) -> None:
        """Write the closing lines."""
        for line in summary_lines(summary):
            self._write(line)


class JsonLines:
    """A JSON object for each event and one for the summary, a line each, and nothing else.

    `FIELDS` says what is in them. ``write`` takes each line: ASCII without control characters.
    """

    frame_ms = None

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def note(self, text: str) -> None:
        """Write nothing: what a machine needs of it is in the summary."""

    def entry(self, entry: Entry) -> None:
        """Write the object of an event."""
        event = entry.event
        self._put(
            {
                "type": "event",
                "sequence": event.sequence,
                "time_ms": entry.elapsed_ms,
                "kind": str(event.kind),
                "cause": str(event.cause),
                "uid": event.uid,
                "pid": event.pid,
                "types": entry.types,
                "command": entry.command,
            }
        )

    def frame(self, frame: Frame) -> None:
        """Write nothing."""

    def summary(self, summary: Summary) -> None:
        """Write the object of the summary."""
        self._put(
            {
                "type": "summary",
                "time_ms": summary.elapsed_ms,
                "finished": summary.finished,
                **summary.counts._asdict(),
                "calls": summary.calls,
                "engine_ms": summary.engine_ns / 1e6,
                "calls_per_second": round(summary.calls_per_second),
                "looks": summary.looks,
                "procfs_ms": summary.procfs_ns / 1e6,
                "processes": summary.processes,
                "processes_unread": summary.processes_refused,
                "files_unread": summary.files_refused,
                "children": summary.children,
            }
        )

    def _put(self, fields: dict[str, object]) -> None:
        self._write(json.dumps(fields))  # which escapes all but printable ASCII


FIELDS = """\
  each event
    type        "event"
    sequence    number of the event: 1, 2, 3 ...
    time_ms     milliseconds since the start; for an expiry its deadline
    kind        app_apply, app_reset, process_apply, process_reset
    cause       apply, expired, process_died, app_stopped, pid_reused
    uid, pid    whose record; for an app the pid is that of one of its processes
    types       a list of the types gained or lost: CPU, TIMER, AUDIO
    command     the command that the grant was given for
  the summary, always the last line
    type        "summary"
    time_ms     milliseconds since the start
    finished    false when a signal ended it
    grants, renewals, expiries, deaths, refusals, held
                as above
    calls, engine_ms, calls_per_second
                calls of the manager, and the time spent in them alone
    looks, procfs_ms
                readings of /proc, and the time spent on them
    processes   processes at the last look
    processes_unread, files_unread
                those that may not be read, and those whose open files may not
    children    children started because little went on"""
