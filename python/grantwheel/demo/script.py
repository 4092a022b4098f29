"""The script of the demonstration: who gets what and goes where, and when. Times are milliseconds from the start."""

from enum import StrEnum
from typing import NamedTuple

from grantwheel import ResourceType

APPS = ("mail", "clock", "game")

SECONDS = 32.0  # how long it takes as it is written; it may be played faster or slower
_GRACE, _THAW = 3.0, 3.0


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
    app: str
    kind: ResourceType = ResourceType.CPU  # what is granted or delivered
    length_ms: int = 0  # of the grant


class Script(NamedTuple):
    """The steps in their order, and how long things take in them."""

    steps: tuple[Step, ...]
    grace_ms: int
    thaw_ms: int
    end_ms: int


# Seconds; act; app; type; seconds of the grant.
_STEPS = (
    (3.0, Act.GRANT, "mail", ResourceType.CPU, 12.0),
    (3.0, Act.GRANT, "clock", ResourceType.TIMER, 60.0),
    (4.0, Act.BACKGROUND, "mail", ResourceType.CPU, 0.0),
    (4.0, Act.BACKGROUND, "clock", ResourceType.CPU, 0.0),
    (4.0, Act.BACKGROUND, "game", ResourceType.CPU, 0.0),
    # At 7 s clock and game are frozen.
    (10.0, Act.DELIVER, "clock", ResourceType.TIMER, 0.0),
    (11.5, Act.DELIVER, "game", ResourceType.TIMER, 0.0),
    # At 13 s clock is frozen again; at 15 s mail's grant runs out, and at 18 s it is frozen.
    (21.0, Act.GRANT, "mail", ResourceType.CPU, 60.0),
    (25.0, Act.FOREGROUND, "game", ResourceType.CPU, 0.0),
    (29.0, Act.CLOSE, "", ResourceType.CPU, 0.0),
)


def script(seconds: float) -> Script:
    """Return the script for a demonstration that takes so long."""

    def ms(written: float) -> int:
        return round(written * 1000 * seconds / SECONDS)

    steps = tuple(Step(ms(at), act, app, kind, ms(length)) for at, act, app, kind, length in _STEPS)
    return Script(steps, ms(_GRACE), ms(_THAW), ms(SECONDS))
