"""A process that is killed at the n-th of all steps that it makes, for every n."""

import os
import signal
from collections.abc import Callable
from typing import Any

# All that makes a step last beyond the process.
STEPS = (
    *((os, name) for name in ("open", "mkdir", "write", "fsync", "ftruncate", "unlink", "close")),
    (signal, "pidfd_send_signal"),
)


def die_at(step: int) -> None:
    """Let this process be killed just before it makes a step."""
    made = []

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made.append(real)
            if len(made) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for module, name in STEPS:
        setattr(module, name, watched(getattr(module, name)))


def run_until(step: int, act: Callable[[], None]) -> bool:
    """Act in a child that dies at a step. Returns whether it got to its end before."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_at(step)
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return status == 0
