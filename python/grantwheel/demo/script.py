"""The script of the demonstration: who gets what and goes where, and when. Times are milliseconds from the start."""

from enum import StrEnum
from typing import NamedTuple

from grantwheel import ResourceType

APPS = ("mail", "clock", "game")


class Act(StrEnum):
    """What happens in a step."""

    GRANT = "grant"
    BACKGROUND = "background"
    FOREGROUND = "foreground"
    DELIVER = "deliver"
    CLOSE = "close"  # the suspension ends; of no app


class Step(NamedTuple):
    """Something that the demonstration does with an app, or has happen to it."""

    at_ms: int
    act: Act
    app: str = ""
    kind: ResourceType = ResourceType(0)  # what is granted or delivered
    length_ms: int = 0  # of the grant


class Script(NamedTuple):
    """The steps in their order, and how long things take in them."""

    steps: tuple[Step, ...]
    grace_ms: int
    thaw_ms: int
    end_ms: int


_WRITTEN = Script(
    steps=(
        Step(3_000, Act.GRANT, "mail", ResourceType.CPU, 12_000),
        Step(3_000, Act.GRANT, "clock", ResourceType.TIMER, 60_000),
        Step(4_000, Act.BACKGROUND, "mail"),
        Step(4_000, Act.BACKGROUND, "clock"),
        Step(4_000, Act.BACKGROUND, "game"),
        # At 7 s clock and game are frozen.
        Step(10_000, Act.DELIVER, "clock", ResourceType.TIMER),
        Step(11_500, Act.DELIVER, "game", ResourceType.TIMER),
        # At 13 s clock is frozen again. At 15 s mail's grant runs out, and at 18 s it is frozen.
        Step(21_000, Act.GRANT, "mail", ResourceType.CPU, 60_000),
        Step(25_000, Act.FOREGROUND, "game"),
        Step(29_000, Act.CLOSE),
    ),
    grace_ms=3_000,
    thaw_ms=3_000,
    end_ms=32_000,
)
SECONDS = _WRITTEN.end_ms / 1000


def script(seconds: float) -> Script:
    """Return the script for a demonstration that takes so long."""

    def ms(written: int) -> int:
        return round(written * seconds / SECONDS)

    return Script(
        tuple(step._replace(at_ms=ms(step.at_ms), length_ms=ms(step.length_ms)) for step in _WRITTEN.steps),
        ms(_WRITTEN.grace_ms),
        ms(_WRITTEN.thaw_ms),
        ms(_WRITTEN.end_ms),
    )
