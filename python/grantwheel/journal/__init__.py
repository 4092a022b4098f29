"""Where groups of bytes are kept, one after the other, and a snapshot that stands for those before it.

A journal knows bytes and positions, and nothing of what they mean. `MemoryJournal` is here; ``SqliteJournal`` is in
`grantwheel.journal.sqlite`, so that nobody loads SQLite who has no use for it.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from ._errors import Conflict, DamageError, FormatError, InUseError, NotAppended
from ._words import Buffer, OnProgress, Report
from .memory import MemoryJournal

__all__ = [
    "Buffer",
    "Conflict",
    "DamageError",
    "FormatError",
    "InUseError",
    "Journal",
    "MemoryJournal",
    "NotAppended",
    "OnProgress",
    "Report",
]


class Journal(Protocol):
    """Groups of bytes at the positions 1, 2, 3 and so on, and at most one snapshot.

    All methods may be called from any thread. `grantwheel.testing.journal_suite` has the tests that a journal must
    pass.
    """

    def last(self) -> int:
        """Return the position of the last group: 0 when there is none, and never less than that of the snapshot.

        After an `append` that raised something else than ``NotAppended`` or ``Conflict`` it tells whether the group is
        there, for good.

        Raises
        ------
        OSError or the driver's own
            That can't be told now. It may be asked again.
        """
        ...

    def append(self, after: int, group: Buffer, /) -> int:
        """Put a group behind the last one. When this returns it is there for good, unless the journal says otherwise.

        Parameters
        ----------
        after : int
            The position of the last group.
        group : buffer
            Any bytes. They are not looked into.

        Returns
        -------
        int
            The position of the group: ``after + 1``.

        Raises
        ------
        NotAppended
            It is certainly not there and never will be.
        Conflict
            The last position is another one, as another writer has appended. Nothing has changed.
        Exception
            Anything else: it may be there. `last` tells.
        """
        ...

    def read(self, after: int = 0, /) -> Iterator[tuple[int, bytes]]:
        """Return the groups behind a position, with their positions, up to what is last when it gets there.

        It delays no append for long, however slowly it is read.

        Raises
        ------
        LookupError
            Some of them are gone, as a snapshot stands for them: begin with that one. While reading, too.
        DamageError
            A group is not what it was. While reading.
        """
        ...

    def save(self, sequence: int, chunks: Iterable[Buffer], /) -> None:
        """Keep a snapshot of what all groups up to a position have led to, in place of the one before.

        The groups up to there may be dropped from then on. Until it is whole and safe, the one before stays. It delays
        no append.

        Raises
        ------
        ValueError
            The position is before that of the snapshot that is there, or behind the last group.
        Exception
            It could not be kept, or the chunks raised; what was there before is there still.
        """
        ...

    def snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        """Return the position of the snapshot and its bytes in pieces, which need not be those it was given; or None.

        Raises
        ------
        DamageError
            It is not what it was. While reading.
        """
        ...

    def close(self) -> None:
        """End the use of the journal, which another one may open then. Once more does nothing."""
        ...
