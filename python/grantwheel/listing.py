"""The listing of the administration: every record as text."""

from collections.abc import Iterable, Iterator

from ._text import quoted
from .types import Grant, Record

_EMPTY = "No running efficiency resources"


def _grant_line(grant: Grant) -> str:
    end = "persistent" if grant.remaining_ms is None else f"{grant.remaining_ms} ms left of {grant.timeout_ms} ms"
    return f"    {grant.type.name}: {end}, reason {quoted(grant.reason)}"


def _record_lines(record: Record) -> Iterator[str]:
    level = "" if record.cpu_level < 0 else f", cpu level {record.cpu_level}"
    bundle = f", bundle {quoted(record.bundle)}" if record.bundle else ""
    yield f"{record.kind} uid {record.uid} pid {record.pid}{bundle}, mask {record.mask}{level}"
    for grant in record.grants:
        yield _grant_line(grant)


def listing(records: Iterable[Record]) -> str:
    """Return the records as lines of text, in the order given; a sentence of its own when there are none."""
    lines = [line for record in records for line in _record_lines(record)]
    return "\n".join(lines) if lines else _EMPTY
