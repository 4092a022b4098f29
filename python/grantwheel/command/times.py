"""Times as people read them."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

from grantwheel.ops import Mark, Op

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WallClock:
    """When the instants of a log were by the calendar, as far as its marks tell."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._ahead: list[int] = []  # by how much the calendar was ahead from there on, in ms since 1970

    def note(self, time: int, wall_ms: int) -> None:
        """Take a mark, of an instant that is not before that of the last one."""
        if not self._ahead or self._ahead[-1] != wall_ms - time:
            self._times.append(time)
            self._ahead.append(wall_ms - time)

    def note_op(self, op: Op) -> None:
        """Take an op, if it is a mark."""
        if isinstance(op, Mark):
            self.note(op.time, op.wall_ms)

    def ms(self, time: int) -> int | None:
        """Return milliseconds since 1970, by the mark before the instant or else the first one; None without marks."""
        if not self._times:
            return None
        return time + self._ahead[max(bisect_right(self._times, time) - 1, 0)]

    def instant(self, wall_ms: int) -> int | None:
        """Return the instant at which the calendar showed a time, by the last mark before it; None without marks.

        In the time between two runs, which the log does not have, it is the instant of the later mark.
        """
        if not self._times:
            return None
        walls = [time + ahead for time, ahead in zip(self._times, self._ahead, strict=True)]
        last = max((place for place, wall in enumerate(walls) if wall <= wall_ms), default=0)
        time = wall_ms - self._ahead[last]
        return max(min([time, *self._times[last + 1 : last + 2]]), 0)

    def text(self, time: int) -> str | None:
        """Return the time by the calendar, in UTC."""
        ms = self.ms(time)
        return None if ms is None else calendar(ms)


def calendar(ms: int) -> str | None:
    """Return milliseconds since 1970 as ISO 8601 has them, in UTC; None for what no calendar has."""
    try:
        wall = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None
    return wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(ms: int) -> str:
    """Return a length of time in one or two units."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.3g} s" if ms < 59_950 else "1 min"
    if ms < 3_600_000:
        return _two(ms, 60_000, "min", 1000, "s")
    if ms < 86_400_000:
        return _two(ms, 3_600_000, "h", 60_000, "min")
    return _two(ms, 86_400_000, "d", 3_600_000, "h")


def _two(ms: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = ms % large // small
    return f"{ms // large} {large_name}" + (f" {rest} {small_name}" if rest else "")
