"""What the live layer tells, by the logger ``grantwheel``. Private.

A handler of somebody else's may raise, as one does whose disk is full. Whoever tells goes on all the same: a thread
that ended by it would leave undone what others wait for.
"""

import contextlib
import logging
import traceback

_log = logging.getLogger("grantwheel")


def tell(level: int, message: str, *arguments: object, error: BaseException | None = None) -> None:
    """Log a message, with the traceback of an error if there is one. What a handler raises goes to stderr."""
    try:
        _log.log(level, message, *arguments, exc_info=error, stacklevel=2)
    except Exception:  # noqa: BLE001 - whatever a handler raises
        with contextlib.suppress(Exception):  # stderr may be the full disk
            traceback.print_exc()
