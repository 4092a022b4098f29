"""A process that is killed at the n-th of all steps that it makes, or to which that step fails, for every n."""

import errno
import os
import signal
from collections.abc import Callable
from typing import Any

_FAILED = 3  # the exit code of a child to which a step has failed

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


def fail_at(step: int, made: list[object]) -> None:
    """Let a step fail, as on a full disk: half of what is written is there then. ``made`` gets all steps."""

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made.append(real)
            if len(made) == step:
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        return call

    for module, name in STEPS:
        setattr(module, name, watched(name, getattr(module, name)))


def run_until(step: int, act: Callable[[], None]) -> bool:
    """Act in a child that dies at a step. Returns whether it got to its end before."""
    status = _run(lambda: die_at(step), act)
    assert status in (0, -signal.SIGKILL)
    return status == 0


def run_failing(step: int, act: Callable[[], None]) -> bool:
    """Act in a child to which a step fails, and which ends without a word. Returns whether it got to that step."""
    made: list[object] = []

    def watched_act() -> None:
        act()
        if len(made) >= step:
            os._exit(_FAILED)

    status = _run(lambda: fail_at(step, made), watched_act)
    assert status in (0, _FAILED)
    return status == _FAILED


def _run(prepare: Callable[[], None], act: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            prepare()
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
