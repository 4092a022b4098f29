"""A journal in memory, for tests and tools: gone with its process."""

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from ._errors import Conflict, NotAppended
from ._words import Buffer, Report


def _new_instance() -> str:
    return os.urandom(16).hex()


class MemoryJournal:
    """A journal in memory. It keeps the groups since its snapshot.

    Attributes
    ----------
    instance : str
        Which journal it is: another one when something that was in it has been set aside.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first = 0  # the position before the first group
        self._groups: list[bytes] = []
        self._snapshot: tuple[int, list[bytes]] | None = None
        self._closed = False
        self.instance = _new_instance()
        self._asides: list[tuple[int, list[bytes], tuple[int, list[bytes]] | None]] = []
        self.reports: tuple[Report, ...] = ()

    def last(self) -> int:
        """Return the position of the last group, or 0.

        Raises
        ------
        ValueError
            The journal is closed.
        """
        with self._lock:
            self._require_open()
            return self._first + len(self._groups)

    def append(self, after: int, group: Buffer, /) -> int:
        """Put a group behind the last one, and return its position.

        Raises
        ------
        NotAppended
            The journal is closed.
        Conflict
            The last position is another one.
        """
        kept = bytes(memoryview(group))
        with self._lock:
            if self._closed:
                raise NotAppended("the journal is closed")
            last = self._first + len(self._groups)
            if after != last:
                raise Conflict(f"the last group is {last}, not {after}: another one has written")
            self._groups.append(kept)
            return last + 1

    def read(self, after: int = 0, /) -> Iterator[tuple[int, bytes]]:
        """Return the groups behind a position, with their positions.

        Raises
        ------
        LookupError
            Some of them are gone.
        ValueError
            The journal is closed, or the position is negative.
        """
        if after < 0:
            raise ValueError(f"a position is not negative, as {after} is")
        with self._lock:
            self._require_open()
        return self._read(after)

    def save(self, sequence: int, chunks: Iterable[Buffer], /) -> None:
        """Keep a snapshot, and drop the groups that it stands for.

        Raises
        ------
        ValueError
            The position is before that of the snapshot that is there, or behind the last group; or the journal is
            closed.
        """
        kept = [bytes(memoryview(chunk)) for chunk in chunks]
        with self._lock:
            self._require_open()
            last = self._first + len(self._groups)
            if not self._first <= sequence <= last:
                raise ValueError(f"a snapshot is of a position from {self._first} to {last}, which {sequence} is not")
            del self._groups[: sequence - self._first]
            self._first = sequence
            self._snapshot = (sequence, kept)

    def snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        """Return the position and the bytes of the snapshot, or None.

        Raises
        ------
        ValueError
            The journal is closed.
        """
        with self._lock:
            self._require_open()
            if self._snapshot is None:
                return None
            sequence, chunks = self._snapshot
            return sequence, iter(chunks)

    def set_aside(self, what: str, last: int, /, *, snapshot: bool = True) -> Report:
        """Go on from an earlier group, with what was there kept aside, for whoever has the journal.

        Parameters
        ----------
        what : str
            What is wrong, for people.
        last : int
            The position of the last group that makes sense.
        snapshot : bool
            Whether the snapshot does. If not it goes as well, and with it all groups that do not begin at 1.

        Raises
        ------
        ValueError
            The journal is closed, or the position is none that it has.
        """
        with self._lock:
            self._require_open()
            end = self._first + len(self._groups)
            if not (self._first if snapshot else 0) <= last <= end:
                raise ValueError(f"the journal has groups from {self._first} to {end}, and not {last}")
            self._asides.append((self._first, list(self._groups), self._snapshot))
            if not snapshot:
                if self._first:
                    self._groups, self._first, last = [], 0, 0
                self._snapshot = None
            del self._groups[last - self._first :]
            self.instance = _new_instance()
            report = Report("damaged", Path(":memory:"), None, what, last, None)
            self.reports += (report,)
            return report

    def close(self) -> None:
        """End its use. What it has kept is gone."""
        with self._lock:
            self._closed = True
            self._groups = []
            self._snapshot = None

    def _read(self, after: int) -> Iterator[tuple[int, bytes]]:
        while True:
            with self._lock:
                self._require_open()
                if after < self._first:
                    raise LookupError(f"the groups up to {self._first} are in the snapshot only")
                place = after - self._first
                if place >= len(self._groups):
                    return
                group = self._groups[place]
            after += 1
            yield after, group

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("the journal is closed")
