"""What a demonstration tells whoever shows it, as plain values, and how that is put into words."""

from typing import NamedTuple, Protocol

from grantwheel._text import printable
from grantwheel.suspend import AppState, Keeper

_KEEPERS = {
    Keeper.FOREGROUND: "the foreground",
    Keeper.CPU: "its CPU grant",
    Keeper.EVENT: "an event",
    Keeper.GRACE: "grace",
    Keeper.FREEZER: "not frozen yet",
}


class Entry(NamedTuple):
    """Something that has happened to an app, when (ms from the start), and how that reads.

    ``kind`` and ``cause`` are those of the event of the manager or of the suspension, or "delivered" and "refused" with
    the type of what was to be delivered. ``uid`` is 0 for what is about all.
    """

    elapsed_ms: int
    app: str
    uid: int
    kind: str
    cause: str
    text: str


class Row(NamedTuple):
    """An app at one instant. ``left_ms`` is for how long ``kept_by`` will keep it up, where that is known."""

    app: str
    uid: int
    pid: int
    grants: dict[str, int]  # ms left, by the name of the type
    state: AppState
    frozen_ms: int | None  # so far; None when it is not frozen
    kept_by: tuple[Keeper, ...]
    left_ms: int | None
    counted: int
    per_second: int | None  # since the look before, or since its state has changed; None where that was just now


class Frame(NamedTuple):
    """All apps at one instant."""

    elapsed_ms: int
    end_ms: int
    rows: list[Row]


class Tally(NamedTuple):
    """What an app came to: how often it was frozen, and for how long; what it counted meanwhile, and in all."""

    app: str
    frozen: int
    frozen_ms: int
    counted_frozen: int
    counted: int


class Summary(NamedTuple):
    """What a demonstration came to."""

    elapsed_ms: int
    finished: bool
    tallies: list[Tally]
    failures: int  # of the freezer

    @property
    def holds(self) -> bool:
        """Whether it came to its end, and each app that was frozen stood still."""
        stood = all(tally.frozen and not tally.counted_frozen for tally in self.tallies)
        return self.finished and not self.failures and stood


class View(Protocol):
    """Shows a demonstration."""

    @property
    def interval_ms(self) -> int:
        """How often it wants a frame, if nobody says otherwise."""

    def note(self, text: str) -> None:
        """Say something to the reader."""

    def entry(self, entry: Entry) -> None:
        """Show what has happened."""

    def frame(self, frame: Frame) -> None:
        """Show how things are."""

    def summary(self, summary: Summary) -> None:
        """Show what it came to; the last call."""


def in_seconds(ms: int) -> str:
    """Return a time as people write it: "12 s", "0.4 s"."""
    return f"{round(ms / 1000, 1):g} s"


def state_words(row: Row) -> str:
    """Return how an app stands."""
    return str(row.state) if row.frozen_ms is None else f"FROZEN for {row.frozen_ms / 1000:.1f} s"


def kept_words(row: Row) -> str:
    """Return what keeps an app up."""
    if not row.kept_by:
        return "no suspension" if row.frozen_ms is None else "nothing"  # the first when that has ended
    words = " and ".join(_KEEPERS.get(keeper, str(keeper)) for keeper in row.kept_by)
    return words if row.left_ms is None else f"{words}, {row.left_ms / 1000:.1f} s left"


def grant_words(row: Row) -> str:
    """Return what an app holds, and for how much longer."""
    return ", ".join(f"{name} {left / 1000:.1f} s" for name, left in row.grants.items()) or "none"


def rate_words(row: Row) -> str:
    """Return what an app counts in a second."""
    return "" if row.per_second is None else f"+{row.per_second}"


def entry_line(entry: Entry) -> str:
    """Return what has happened as a line of text, safe for a terminal."""
    return f"{entry.elapsed_ms / 1000:6.1f} s  {printable(entry.text)}"


def summary_lines(summary: Summary) -> list[str]:
    """Return a summary as lines of text."""
    lines = [""]
    for tally in summary.tallies:
        times = "once" if tally.frozen == 1 else f"{tally.frozen} times"
        frozen = f"was frozen {times}, for {tally.frozen_ms / 1000:.1f} s"
        meanwhile = f"counted {tally.counted_frozen:,} meanwhile"
        told = f"{frozen}, and {meanwhile}" if tally.frozen else "was never frozen"
        lines.append(f"{tally.app:<6} {told}; {tally.counted:,} in all")
    if summary.failures:
        times = "once" if summary.failures == 1 else f"{summary.failures} times"
        lines.append(f"Freezing or thawing an app has failed {times}: this shows nothing.")
    elif summary.finished and not summary.holds:
        lines.append("An app was not frozen, or counted while it was: this shows nothing.")
    elif summary.holds:
        lines += [
            "",
            "So a CPU grant is permission to run in the background, until a given time. When",
            "it has run out and nothing else keeps the app up, the app is frozen. A new grant,",
            "an event that it may have, or the foreground lets it go on from where it stood.",
        ]
    return lines
