"""Coming in between any two lines of the package: what a signal handler, a finaliser and Ctrl-C may do.

`at_every_line` plays a scene again and again, and each time something comes in before another line of it.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, TypeVar

import grantwheel
from waiting import PATIENCE

PACKAGE = str(Path(grantwheel.__file__).parent)
T = TypeVar("T")
Trace = Callable[[FrameType, str, Any], Any]


class Scene(NamedTuple):
    """What is played, what comes in between once, and what must be so afterwards wherever it was."""

    play: Callable[[], object]
    intrude: Callable[[], object]
    check: Callable[[], object]


def soon(call: Callable[[], T]) -> T:
    """Make a call in a thread of its own, and fail if it hangs there."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it hangs"
    if errors:
        raise errors[0]
    return results[0]


class _Intruder:
    """Does something before the nth line of the package that its thread comes to."""

    def __init__(self, place: int, intrusion: Callable[[], object]) -> None:
        self._left = place
        self._intrusion = intrusion
        self.line = ""  # where it came in

    def call(self, frame: FrameType, _event: str, _: object) -> Trace | None:
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame: FrameType, event: str, _: object) -> Trace | None:
        if event == "line" and not self.line:
            self._left -= 1
            if self._left < 0:
                self.line = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                sys.settrace(None)
                self._intrusion()
        return self._line


def at_every_line(make: Callable[[], Scene]) -> Iterator[str]:
    """Play a scene, made anew each time, with the intrusion before its first line, its second line and so on.

    Yields where that was, after the scene was played and checked.
    """
    for place in range(10_000):
        scene = make()
        intruder = _Intruder(place, scene.intrude)

        def play() -> None:
            sys.settrace(intruder.call)  # noqa: B023
            try:
                scene.play()  # noqa: B023
            finally:
                sys.settrace(None)

        try:
            soon(play)
            soon(scene.check)
        except BaseException as error:
            error.add_note(f"the intrusion was at {intruder.line or 'no line'}, the {place}th of the scene")
            raise
        if not intruder.line:
            return
        yield intruder.line
