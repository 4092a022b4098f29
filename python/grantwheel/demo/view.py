"""What a demonstration tells whoever shows it, as plain values."""

from typing import NamedTuple, Protocol

from grantwheel._text import printable
from grantwheel.types import Cause, Event, EventKind, Record, ResourceType

_ENDINGS = {
    Cause.EXPIRED: "expired",
    Cause.PROCESS_DIED: "died",
    Cause.APP_STOPPED: "stopped",
    Cause.PID_REUSED: "reused",
}


class Entry(NamedTuple):
    """An event, when it happened (ms from the start), and the command that it is about, exactly as /proc has it."""

    event: Event
    elapsed_ms: int
    command: str

    @property
    def what(self) -> str:
        """What happened, in a word."""
        return _ENDINGS.get(self.event.cause, "granted")

    @property
    def of_process(self) -> bool:
        """Whether the record is a process's; else it is an app's."""
        return self.event.kind in (EventKind.PROCESS_APPLY, EventKind.PROCESS_RESET)

    @property
    def types(self) -> list[str]:
        """The names of the types that were gained or lost."""
        return type_names(self.event.mask)


class Counts(NamedTuple):
    """What has happened so far: ``held == grants - expiries - deaths``."""

    grants: int
    renewals: int
    expiries: int
    deaths: int
    refusals: int
    held: int


class Frame(NamedTuple):
    """One instant of a demonstration."""

    elapsed_ms: int
    processes: int
    busy: int
    processes_refused: int
    files_refused: int
    counts: Counts
    records: list[Record]


class Summary(NamedTuple):
    """What a demonstration came to. ``calls`` are those of the engine, ``engine_ns`` is the time that they took."""

    elapsed_ms: int
    finished: bool
    processes: int
    looks: int
    counts: Counts
    calls: int
    engine_ns: int
    procfs_ns: int
    processes_refused: int
    files_refused: int
    children: int

    @property
    def calls_per_second(self) -> float:
        """Calls per second of the engine's own time."""
        return self.calls * 1e9 / max(self.engine_ns, 1)


class View(Protocol):
    """Shows a demonstration. It is given commands that may hold anything, and keeps that from the terminal."""

    @property
    def frame_ms(self) -> int | None:
        """How often it wants to be given a frame; None for never."""

    def note(self, text: str) -> None:
        """Say something to the reader."""

    def entry(self, entry: Entry) -> None:
        """Show an event."""

    def frame(self, frame: Frame) -> None:
        """Show the present state."""

    def summary(self, summary: Summary) -> None:
        """Show what it came to; the last call."""


def type_names(mask: int) -> list[str]:
    """Return the names of the types in a mask."""
    return [str(kind.name) for kind in ResourceType(mask)]


def counted(number: int, word: str, words: str = "") -> str:
    """Return a number with its word: "1 grant", "2 grants"."""
    return f"{number} {word if number == 1 else words or word + 's'}"


def counts_line(counts: Counts) -> str:
    """Return the counts in words."""
    return ", ".join(
        (
            counted(counts.grants, "grant"),
            counted(counts.renewals, "renewal"),
            counted(counts.expiries, "expiry", "expiries"),
            counted(counts.deaths, "death"),
            counted(counts.refusals, "refusal"),
        )
    )


def unread_words(processes: int, files: int) -> str:
    """Say how many processes could not be read, and how many would not show their open files; empty for none."""
    parts = []
    if processes:
        parts.append(counted(processes, "process", "processes"))
    if files:
        parts.append("open files of " + counted(files, "process", "processes"))
    return f"{' and '.join(parts)} could not be read" if parts else ""


def entry_line(entry: Entry) -> str:
    """Return an event as a line of text, safe for a terminal."""
    event = entry.event
    owner = f"uid {event.uid:<6} " + (f"pid {event.pid:<8}" if entry.of_process else f"{'app':<12}")
    types = ", ".join(entry.types)
    return f"{entry.elapsed_ms / 1000:8.2f} s  {entry.what:<8} {types:<6} {owner} {printable(entry.command)}".rstrip()


def summary_lines(summary: Summary) -> list[str]:
    """Return a summary as lines of text."""
    rate = f"{summary.calls_per_second:,.0f}"
    each = summary.procfs_ns / max(summary.looks, 1) / 1e6
    unread = unread_words(summary.processes_refused, summary.files_refused)
    return [
        f"{summary.elapsed_ms / 1000:.1f} s: {counts_line(summary.counts)}; {summary.counts.held} still held",
        f"{counted(summary.looks, 'look')} at {counted(summary.processes, 'process', 'processes')}: {each:.1f} ms each"
        + (f"; {unread}" if unread else ""),
        f"{counted(summary.calls, 'call')} in {summary.engine_ns / 1e6:.2f} ms of engine time: {rate} calls per second",
    ]
