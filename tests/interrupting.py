"""Something happens at one instruction of the package, and at the next one when it is tried again, to the last."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import grantwheel

PACKAGE = str(Path(grantwheel.__file__).parent)


class At:
    """Calls something at the instruction of the package of this number, if so many are run."""

    def __init__(self, number: int, happens: Callable[[], object]) -> None:
        self._left = number
        self._happens = happens
        self.where: str | None = None  # where it has happened

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> "At | None":
        """Trace a frame: CPython traces nothing while this runs."""
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event in ("call", "opcode"):
            self._left -= 1
            if self._left == 0:
                self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}+{frame.f_lasti}"
                self._happens()
        return self


@contextmanager
def _traced(at: At) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(at)
    try:
        yield
    finally:
        sys.settrace(before)


def at_each_instruction(happens: Callable[[], object], work: Callable[[], object]) -> Iterator[str]:
    """Do some work again and again, and have something happen at a later instruction of it each time.

    What it raises out of the work is passed over if it is a KeyboardInterrupt. After each time it is told where it was.
    """
    number = 0
    while True:
        number += 1
        at = At(number, happens)
        try:
            with _traced(at):
                work()
        except KeyboardInterrupt:
            pass
        if at.where is None:
            assert number > 1, "there was nothing to come in between"
            return
        yield at.where


def interrupt(*_: object) -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt
