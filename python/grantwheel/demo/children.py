"""Children of this process that use CPU and a timer and end by themselves: something to see on an idle machine."""

import subprocess
import sys
from typing import Self

# Arguments: seconds to be busy, seconds to be quiet after that, "timer" to hold a timer while busy. Python has
# timerfd_create from 3.13 on; before, the C library has it. Where neither does, there is no timer.
_SCRIPT = """\
import os, sys, time

def timer():
    try:
        return os.timerfd_create(time.CLOCK_MONOTONIC)
    except AttributeError:
        pass
    try:
        import ctypes
        return ctypes.CDLL(None).timerfd_create(time.CLOCK_MONOTONIC, 0)
    except (AttributeError, ImportError, OSError):
        return -1

busy, quiet = float(sys.argv[1]), float(sys.argv[2])
descriptor = timer() if sys.argv[3] == "timer" else -1
end = time.monotonic() + busy
while time.monotonic() < end:
    pass
if descriptor >= 0:
    os.close(descriptor)
time.sleep(quiet)
"""


class Children:
    """Four children: one works to the end, one goes quiet, one holds a timer before it goes quiet, one ends early.

    Use as a context manager: what still runs at its end is ended.
    """

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def __len__(self) -> int:
        return len(self._children)

    @property
    def pids(self) -> list[int]:
        """Their pids, whether or not they still run."""
        return [child.pid for child in self._children]

    def start(self, seconds: float, interval: float) -> None:
        """Start them. None lives longer than about ``seconds``.

        Raises
        ------
        OSError
            When one cannot be started; the ones before it run.
        """
        for busy, quiet, holds in (
            (seconds, 0.0, ""),
            (2 * interval, seconds - 2 * interval, ""),
            (2 * interval, seconds - 2 * interval, "timer"),
            (3 * interval, 0.0, ""),
        ):
            arguments = [str(min(busy, seconds)), str(max(quiet, 0.0)), holds]
            self._children.append(
                subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _SCRIPT, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )

    def stop(self) -> None:
        """End those that still run, and wait for all."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()
