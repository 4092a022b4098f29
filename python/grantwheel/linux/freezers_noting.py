"""What freezers have in common: notes of what they have frozen, and the thaw. Private."""

import os
from pathlib import Path
from typing import Self

from grantwheel.linux.freezers import FreezeError, PartlyThawedError
from grantwheel.linux.freezers_notes import Notes
from grantwheel.linux.freezers_thaw import Thawed, thaw, thaw_left
from grantwheel.linux.pidfd import PROC


class NotingFreezer:
    """A freezer with notes in a folder, which thaws when it is made what others have left there."""

    def __init__(self, notes: str | os.PathLike[str], proc: Path = PROC) -> None:
        folder = Path(notes)
        self._proc = proc
        self._recovered = thaw_left(folder, proc)
        self._notes = Notes(folder, proc)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with notes in {str(self._notes.path.parent)!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def recovered(self) -> Thawed:
        """What was thawed when this was made, as others had left it frozen."""
        return self._recovered

    def thaw(self, uid: int) -> None:
        """Let an app go on, as far as this has frozen it; see `Freezer.thaw`.

        Raises
        ------
        PartlyThawedError
            A part of it could not be thawed; the others go on.
        FreezeError
            Nothing of it could be thawed.
        """
        failure, goes_on = None, False
        for one in self._notes.of(uid):
            try:
                goes_on |= thaw(self._proc, one)
            except FreezeError as error:
                failure = error
        if failure is not None and goes_on:
            raise PartlyThawedError(failure.errno, failure.strerror) from failure
        if failure is not None:
            raise failure
        self._notes.drop(uid)

    def close(self) -> None:
        """Thaw everybody; what could not be thawed stays in the notes. It is fine if it has been closed.

        Raises
        ------
        FreezeError
            Somebody could not be thawed.
        """
        failure = None
        for uid in self._notes.uids():
            try:
                self.thaw(uid)
            except FreezeError as error:
                failure = error
        self._notes.close()
        if failure is not None:
            raise failure
