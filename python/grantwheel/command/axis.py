"""The ticks of a time axis: round numbers, few enough to be read."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .times import WallClock, duration

_S, _MIN, _H, _D = 1000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(_S, 2 * _S, 5 * _S, 10 * _S, 15 * _S, 30 * _S),
    *(_MIN, 2 * _MIN, 5 * _MIN, 10 * _MIN, 15 * _MIN, 30 * _MIN),
    *(_H, 2 * _H, 3 * _H, 6 * _H, 12 * _H),
    *(_D, 2 * _D, 7 * _D, 14 * _D, 30 * _D, 90 * _D, 365 * _D),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tick(NamedTuple):
    """A mark of the axis."""

    time: int
    text: str


def ticks(first: int, last: int, clock: WallClock, most: int = 9) -> tuple[list[Tick], str]:
    """Return the ticks between two instants, and what the numbers are: the calendar's, or counted from the first."""
    step = _step(last - first, most)
    wall_ms = clock.ms(first)
    if wall_ms is None or not 0 <= wall_ms + last - first < 250_000_000_000_000:
        times = range(first, last + 1, step)
        return [Tick(time, f"+{duration(time - first)}" if time > first else "0") for time in times], (
            f"time since the instant {first} ms"
        )
    begin = first + -wall_ms % step
    return [Tick(time, _text(wall_ms + time - first, step)) for time in range(begin, last + 1, step)], "UTC"


def _step(length: int, most: int) -> int:
    for step in _STEPS:
        if length // step < most:
            return step
    return -(-length // most // (365 * _D)) * 365 * _D


def _text(ms: int, step: int) -> str:
    wall = _EPOCH + timedelta(milliseconds=ms)
    if step % _D == 0:
        return f"{wall:%Y-%m-%d}"
    if ms % _D == 0:
        return f"{wall:%m-%d}"
    if step % _MIN == 0:
        return f"{wall:%H:%M}"
    return f"{wall:%H:%M:%S}" + ("" if step % _S == 0 else f".{ms % _S:03}")
