"""What a function that somebody hands in has to be to be called by a thread of ours. Private."""

import functools
import inspect
from collections.abc import Callable


def is_asynchronous(function: Callable[..., object]) -> bool:
    """Whether a call gives something that somebody would have to await."""
    while isinstance(function, functools.partial):
        function = function.func
    return any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, inspect.getattr_static(type(function), "__call__", None))
    )


def require_plain(function: object, name: str, otherwise: str) -> None:
    """Raise TypeError for what cannot be called, and for what somebody would have to await."""
    if not callable(function):
        raise TypeError(f"{name} must be callable, not {type(function).__name__}")
    if is_asynchronous(function):
        raise TypeError(f"{name} must be a plain function: nobody would await it. {otherwise}")


def refuse_coroutine(result: object, name: str) -> None:
    """Raise TypeError if a function has returned what somebody would have to await: it is closed."""
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f"{name} is asynchronous: it has returned a coroutine, which nobody awaits")
