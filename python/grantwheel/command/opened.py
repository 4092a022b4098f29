"""A journal that the tools read, and the following of what is in it."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from grantwheel import Follower
from grantwheel.journal import FormatError
from grantwheel.journal.reading import JournalView

from .failure import CommandError
from .progress import Progress

DAMAGED = 1
UNREADABLE = 2

_Item = TypeVar("_Item")


@contextlib.contextmanager
def opened(options: argparse.Namespace) -> Iterator["View"]:
    """Have the journal of a command for the time of a block.

    Raises
    ------
    CommandError
        It can't be read.
    """
    progress = Progress(options.title)
    try:
        try:
            with _told():
                view = View(options.file, progress)
        except FormatError as error:
            raise CommandError(str(error), UNREADABLE) from error
        with view:
            yield view
    finally:
        progress.hide()


class View(JournalView):
    """A journal whose reads that fail end the command, and are not taken for writes of the output.

    Where that takes long, a terminal shows how far it has got. It is hidden when all is read; before anything is
    written in between, `hide_progress` does that.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        self._progress = progress
        self.hide_progress = progress.hide
        super().__init__(path, on_checked=lambda done, total: progress.at("checking", done, total))

    def read(self, after: int = 0, /) -> Iterator[tuple[int, bytes]]:
        """Return the groups behind a position."""
        return self._read_with_progress(after, _all_told(super().read(after)))

    def _read_with_progress(self, after: int, groups: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        try:
            for position, group in groups:
                yield position, group
                self._progress.at("reading", position - after, self._last - after)
        finally:
            self._progress.hide()

    def snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        """Return the snapshot and its position."""
        with _told():
            found = super().snapshot()
        return None if found is None else (found[0], _all_told(found[1]))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
        raise CommandError(f"the journal cannot be read: {what}", UNREADABLE) from error


def _all_told(items: Iterator[_Item]) -> Iterator[_Item]:
    while True:
        with _told():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


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
