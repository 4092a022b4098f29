"""What freezes the processes of an app: the interface, and how it fails."""

from typing import Protocol


def printable(text: str) -> str:
    """Return what others have named, escaped where it would not be seen as itself: it goes into what people read."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


class FreezeError(OSError):
    """The processes of an app could not be frozen or thawed; says which one, and what to do."""


class FreezeRefusedError(FreezeError):
    """They may not be frozen: this process needs them, or nobody can tell that they are all."""


class PartlyThawedError(FreezeError):
    """An app could not be thawed, but a part of it goes on: it is not frozen any more as a whole."""


class HierarchyError(FreezeError):
    """The cgroups of this machine cannot be frozen; says why, and what to do."""


class Freezer(Protocol):
    """Freezes and thaws apps. One call at a time; none of them waits for long.

    `CgroupFreezer` and `SignalFreezer` are two. One of your own has to keep in mind what it has frozen beyond the end
    of this process, if somebody is to thaw it after a crash.
    """

    def freeze(self, uid: int) -> bool:
        """Freeze an app, go on with freezing it, or look whether it still is.

        Returns whether all of it is frozen now. If not, the call comes again a little later. Whatever it raises means
        that nobody knows: `thaw` follows.
        """
        ...

    def thaw(self, uid: int) -> None:
        """Let an app go on, as far as this freezer has frozen it. It is fine if nothing of it is frozen.

        When this returns, nothing of the app is frozen by this freezer any more. Whatever it raises means that
        something may be: the call comes again. `PartlyThawedError` says that not all of it is frozen any more.
        """
        ...

    def close(self) -> None:
        """Thaw everybody. It is fine if it has been closed."""
        ...
