"""The words of the room: what it takes, and what it reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

#: Hears of how many groups, and how many there are.
OnProgress: TypeAlias = Callable[[int, int], object]

#: What groups and the chunks of snapshots may be.
Buffer: TypeAlias = bytes | bytearray | memoryview


class Report(NamedTuple):
    """Something that a journal has found in its files and dealt with when it was opened.

    Attributes
    ----------
    kind : str
        ``"torn"``: the end of what was being written when the machine stopped, which has been cut off. ``"damaged"``:
        what was once whole is not any more; the journal goes on from what is sound before it.
    file : Path
        Where it was found.
    offset : int or None
        The byte of the file at which it begins, if that is known.
    what : str
        What is wrong there, for people.
    last : int
        The position of the last group that is sound, from which the journal goes on.
    aside : Path or None
        The directory that has copies of the files as they were found.
    """

    kind: Literal["torn", "damaged"]
    file: Path
    offset: int | None
    what: str
    last: int
    aside: Path | None
