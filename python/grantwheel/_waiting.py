"""Waiting for another thread without a lock. Private.

What is waited for may be held up by a frame below in this very thread, if this is a signal handler or a finaliser: then
a lock would never come free. So it is looked at again and again. It happens rarely, and mostly for microseconds.
"""

import time
from collections.abc import Callable

_FIRST_STEP_S, _LAST_STEP_S = 0.00005, 0.005


def wait_until(holds: Callable[[], bool], give_up: float | None = None) -> bool:
    """Wait until something holds, or until an instant of ``time.monotonic()``. Returns whether it does."""
    step = _FIRST_STEP_S
    while not holds():
        if give_up is not None and time.monotonic() >= give_up:
            return False
        time.sleep(step)
        step = min(2 * step, _LAST_STEP_S)
    return True
