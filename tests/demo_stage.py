"""A stage for the demonstration: a clock set by hand, a freezer that notes, workers that count with the clock."""

from collections.abc import Callable
from functools import partial

from grantwheel.demo import drive
from grantwheel.demo.script import APPS, SECONDS, Script, script
from grantwheel.demo.show import Show
from grantwheel.demo.view import Entry, Frame, Row, Summary, entry_line
from grantwheel.demo.workers import Worker
from grantwheel.suspend import Suspension
from support import make_manager
from suspending import RecordingFreezer

START = 50_000
UIDS = {name: 1001 + place for place, name in enumerate(APPS)}


class Kept:
    """A view that keeps what it is given."""

    def __init__(self, interval_ms: int = 1000) -> None:
        self.interval_ms = interval_ms
        self.notes: list[str] = []
        self.entries: list[Entry] = []
        self.frames: list[Frame] = []
        self.summaries: list[Summary] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def entry(self, entry: Entry) -> None:
        self.entries.append(entry)

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)

    def summary(self, summary: Summary) -> None:
        self.summaries.append(summary)

    def take(self) -> list[str]:
        """What has happened since the last time, as people read it."""
        entries, self.entries[:] = self.entries[:], []
        return [entry_line(entry).lstrip() for entry in entries]


class Stage:
    """A demonstration by hand. A worker counts once a millisecond, unless the freezer has it frozen."""

    def __init__(self, played: Script | None = None) -> None:
        self.played = script(SECONDS) if played is None else played
        self.manager, self.clock = make_manager()
        self.clock.set(START)
        self.freezer = RecordingFreezer()
        self.never_still: set[int] = set()  # who counts although it is said to be frozen
        self.suspension = Suspension(self.manager, self.freezer, self.played.grace_ms, self.played.thaw_ms)
        self.counts = dict.fromkeys(UIDS.values(), 0)
        self.before_reading: Callable[[int], object] = lambda _uid: None
        self.after_reading: Callable[[int], object] = lambda _uid: None
        workers = [Worker(name, uid, uid + 5000, partial(self._read, uid)) for name, uid in UIDS.items()]
        self.view = Kept()
        self.show = Show(self.manager, self.suspension, workers, self.played, self.view)

    def _read(self, uid: int) -> int:
        self.before_reading(uid)
        count = self.counts[uid]
        self.after_reading(uid)
        return count

    def _pass(self, ms: int) -> None:
        for uid in self.counts:
            if uid not in self.freezer.frozen - self.never_still:
                self.counts[uid] += ms
        self.clock.advance(ms)

    def _hop(self, end_ms: int) -> None:
        """Do what is due, and let time pass to the next instant at which something is, but not beyond an end."""
        self.manager.advance()
        wakes = (None if self.freezer.closed else self.suspension.advance(), self.manager.next_deadline())
        now = self.clock.now()
        due = min((wake for wake in wakes if wake is not None and now < wake < end_ms), default=end_ms)
        self._pass(due - now)
        self.manager.advance()
        if not self.freezer.closed:
            self.suspension.advance()

    def go(self, ms: int) -> None:
        """Let time pass, as loops would."""
        end_ms = self.clock.now() + ms
        while self.clock.now() < end_ms:
            self._hop(end_ms)

    def play(self, interval_ms: int = 1000, until_ms: int | None = None) -> bool:
        """Play the script, to its end or until somebody stops it at an instant."""

        def wait(seconds: float) -> bool:
            self._hop(self.clock.now() + round(seconds * 1000))
            return until_ms is not None and self.show.elapsed_ms >= until_ms

        return drive(self.show, self.played, interval_ms, wait)

    def rows(self, elapsed_ms: int) -> dict[str, Row]:
        """The apps as the frame at an instant has them."""
        (frame,) = (frame for frame in self.view.frames if frame.elapsed_ms == elapsed_ms)
        return {row.app: row for row in frame.rows}
