"""What the log of a manager raises, and a journal, of which a manager knows nothing."""


class NotAppended(Exception):  # noqa: N818 - it says what is the case
    """A group is certainly not in the log and never will be. Nothing has changed; the next one may be tried.

    The calls of the manager are refused with 9800003, and it goes on.
    """

    __module__ = "grantwheel"


class Conflict(Exception):  # noqa: N818
    """The log goes on otherwise than this writer knows: another one has written. The message says who, if known.

    The manager takes no changes any more.
    """

    __module__ = "grantwheel"
