"""Waiting for what other threads do, for the tests that cannot do without threads."""

import select
import threading
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


def own_threads() -> list[threading.Thread]:
    """The live threads of the package: loops of managers and deliveries to callbacks.

    One that could not be started, because a signal handler raised meanwhile, stays in the list of the interpreter.
    """
    return [one for one in threading.enumerate() if one.name.startswith("grantwheel") and one.is_alive()]


def loop_threads() -> list[threading.Thread]:
    """Those that run the loop of a manager."""
    return [one for one in own_threads() if one.name == "grantwheel"]
