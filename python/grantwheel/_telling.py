"""What the live layer tells, by the logger ``grantwheel``. Private.

A handler of somebody else's may raise, as one does whose disk is full. Whoever tells goes on all the same: a thread
that ended by it would leave undone what others wait for.
"""

import contextlib
import logging
import traceback

from grantwheel._text import shown

_log = logging.getLogger("grantwheel")


def tell(level: int, message: str, *arguments: object, error: BaseException | None = None) -> None:
    """Log a message, with the traceback of an error if there is one. What a handler raises goes to stderr.

    Arguments that are no ints are shown by their repr, escaped, whatever the repr of somebody else's object is.
    """
    printed = (one if isinstance(one, int) else _Shown(one) for one in arguments)
    try:
        _log.log(level, message, *printed, exc_info=error, stacklevel=2)
    except Exception:  # noqa: BLE001 - whatever a handler raises
        with contextlib.suppress(Exception):  # stderr may be the full disk
            traceback.print_exc()


class _Shown:
    def __init__(self, value: object) -> None:
        self._text = shown(value)

    def __repr__(self) -> str:
        return self._text
