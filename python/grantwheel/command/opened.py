"""A journal that the tools read, and the following of what is in it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from grantwheel import Follower
from grantwheel.journal import FormatError
from grantwheel.journal.reading import JournalView

from .failure import CommandError

DAMAGED = 1
UNREADABLE = 2


@contextlib.contextmanager
def opened(path: Path) -> Iterator[JournalView]:
    """Have a journal for the time of a block.

    Raises
    ------
    CommandError
        It can't be read.
    """
    try:
        view = JournalView(path)
    except FormatError as error:
        raise CommandError(str(error), UNREADABLE) from error
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
        raise CommandError(f"the journal cannot be read: {what}", UNREADABLE) from error
    with view:
        yield view


def start(view: JournalView, *, is_whole: bool = False, event_capacity: int | None = None) -> Follower:
    """Return a follower as of the snapshot; without one, or if all groups are there and it shall be, of the beginning.

    Raises
    ------
    BusinessError
        The snapshot is none of a manager.
    """
    found = view.snapshot()
    if found is None or (is_whole and view.first == 1):
        return Follower(event_capacity=event_capacity)
    position, chunks = found
    return Follower(snapshot=chunks, position=position, event_capacity=event_capacity)


def is_damaged(view: JournalView) -> bool:
    """Return whether anything of it is damaged, and not only torn."""
    return any(report.kind == "damaged" for report in view.reports)
