"""The state of tasks in the log of their manager: a record is a note there, or several if it is long."""

import contextlib
from collections.abc import Mapping
from typing import Final, Protocol

from grantwheel._core import BusinessError
from grantwheel._task_errors import task_refusal
from grantwheel.manager import Manager

from .store import CutOffError

PREFIX: Final = Manager._TASK_NOTES  # how the keys of all these notes begin
KINDS: Final = ("transient", "continuous")  # the names of the machines
MOST_BYTES: Final = 1 << 16  # of one note: what is longer goes on in notes with numbers
_PARCEL_FAILED: Final = 980000201


class Noted(Protocol):
    """What a store wants of a manager that has a log."""

    def notes(self) -> dict[bytes, bytes]:
        """Return all notes."""
        ...

    def write_notes(self, changes: Mapping[bytes, bytes | None]) -> object:
        """Change notes, all of them or none."""
        ...


class NoteStore:
    """A store in the log of a manager: a write is one entry of it.

    Parameters
    ----------
    manager : Noted
        Whose log.
    kinds : tuple of str
        The names of the machines: the records of others are those of a version that is not known here.
    skips_unreadable : bool
        Whether what is not of tasks as they are known here is left alone; else it is refused.
    """

    def __init__(self, manager: Noted, kinds: tuple[str, ...], *, skips_unreadable: bool = False) -> None:
        self._manager = manager
        self._kinds = kinds
        self._skips_unreadable = skips_unreadable
        self._counts: dict[str, int] = {}  # of how many notes each record is

    def items(self) -> list[tuple[str, bytes]]:
        """Return everything that is on record.

        Raises
        ------
        BusinessError
            9800002: a note is not one of tasks as they are known here; names it.
        """
        found: dict[str, dict[int, bytes]] = {}
        for name, part in self._manager.notes().items():
            if name.startswith(PREFIX):
                with self._skipping():
                    key, number = self._place(name)
                    found.setdefault(key, {})[number] = part
        for key, parts in list(found.items()):
            if max(parts) != len(parts) - 1:
                del found[key]
                with self._skipping():
                    raise task_refusal(_PARCEL_FAILED, "", f"the record {key!r} of the tasks lacks a part")
        self._counts = {key: len(parts) for key, parts in found.items()}
        return [(key, b"".join(parts[number] for number in range(len(parts)))) for key, parts in found.items()]

    def write(self, changes: Mapping[str, bytes | None], /) -> None:
        """Change records, as one entry of the log.

        Raises
        ------
        BusinessError
            As `Manager.write_notes`: nothing has changed.
        CutOffError
            A signal handler has raised while the log was waited for. What becomes of it the notes tell.
        """
        notes: dict[bytes, bytes | None] = {}
        counts: dict[str, int] = {}
        for key, value in changes.items():
            parts = [] if value is None else [value[at : at + MOST_BYTES] for at in range(0, len(value), MOST_BYTES)]
            counts[key] = len(parts)
            for number in range(max(len(parts), self._counts.get(key, 0))):
                notes[_name(key, number)] = parts[number] if number < len(parts) else None
        try:
            self._manager.write_notes(notes)
        except BusinessError:
            raise
        except Exception as error:
            raise CutOffError(error) from error
        self._counts.update(counts)

    def _skipping(self) -> contextlib.AbstractContextManager[object]:
        """Return what leaves alone what is refused in it, if that is wanted."""
        return contextlib.suppress(BusinessError) if self._skips_unreadable else contextlib.nullcontext()

    def _place(self, name: bytes) -> tuple[str, int]:
        """Return the record that a note belongs to, and which part of it that is."""
        try:
            key, _, number = name.removeprefix(PREFIX).decode().partition("+")
            place = key, int(number or 0)
        except ValueError:
            place = "", 0
        if place[0].partition("/")[0] not in self._kinds or _name(*place) != name:
            raise task_refusal(_PARCEL_FAILED, "", f"the note {name!r} is none of the tasks that are known here")
        return place


def _name(key: str, number: int) -> bytes:
    return PREFIX + (f"{key}+{number}" if number else key).encode()
