"""Children of a fork, for the tests of what they may do with what their parent has made."""

import os
import signal
import warnings
from collections.abc import Callable

from waiting import PATIENCE

Say = Callable[[str], object]


def in_child(work: Callable[[Say], None]) -> list[str]:
    """Do something in the child of a fork, and return the lines that it said there.

    A child that hangs or crashes fails the test, which then shows how far it has come.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, from Python 3.12 on
        pid = os.fork()
    if pid == 0:
        _be_child(work, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        lines = said.read().splitlines()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, lines
    return lines


def _be_child(work: Callable[[Say], None], writing: int) -> None:
    """Work, and leave without what an interpreter does at its end: that belongs to the parent."""
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)  # ends a child that hangs
        work(lambda line: os.write(writing, f"{line}\n".encode()))
        code = 0
    except BaseException as error:
        os.write(writing, f"raised {error!r}\n".encode())
    finally:
        os._exit(code)
