"""Waiting for what other threads do, for the tests that cannot do without threads."""

import select
import time
from collections.abc import Callable

PATIENCE = 30  # seconds that a test waits for what comes at once


def is_readable(descriptor: int, wait_ms: int = 0) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(wait_ms))


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until another thread has made it true."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.001)
