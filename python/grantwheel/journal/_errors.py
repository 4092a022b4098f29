"""What a journal raises. Apart, since whoever writes a journal of their own needs these and nothing else."""

import errno

from grantwheel._log_errors import Conflict, NotAppended

__all__ = ["Conflict", "DamageError", "FormatError", "InUseError", "NotAppended"]


class DamageError(Exception):
    """What a journal has kept is not what it was given."""


class FormatError(Exception):
    """The file is not a journal, or one of a newer version. It has been left alone."""


class InUseError(BlockingIOError):
    """Another process, or another object of this one, has the journal open.

    Attributes
    ----------
    pid : int
        The process that has it; 0 if it can't be seen from here, as from another container.
    """

    def __init__(self, path: str, pid: int) -> None:
        who = f"process {pid}" if pid else "a process that can't be seen from here"
        super().__init__(errno.EWOULDBLOCK, f"the journal is open in {who}", path)
        self.pid = pid
