"""What those who are handed in to hear of something have to be, and how they are told apart. Private."""

import functools
import inspect
from collections.abc import Callable, Hashable


def _gives_work(function: Callable[..., object]) -> bool:
    """Whether a call does nothing yet, and gives something that somebody would have to await or iterate."""
    while isinstance(function, functools.partial):
        function = function.func
    return any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) or inspect.isgeneratorfunction(one)
        for one in (function, type(function).__call__)
    )


def is_work(result: object) -> bool:
    """Whether a function has returned something that somebody would have to await or iterate."""
    return inspect.isawaitable(result) or inspect.isasyncgen(result) or inspect.isgenerator(result)


def require_plain(function: object, name: str, otherwise: str) -> None:
    """Raise TypeError for what cannot be called, and for what somebody would have to await or iterate."""
    if not callable(function):
        raise TypeError(f"{name} must be callable, not {type(function).__name__}")
    if _gives_work(function):
        raise TypeError(f"{name} must be a plain function: nobody awaits or iterates what it returns. {otherwise}")


def refuse_coroutine(result: object, name: str) -> None:
    """Raise TypeError if a function has returned what somebody would have to await: it is closed."""
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f"{name} is asynchronous: it has returned a coroutine, which nobody awaits")


def identity_of(subscriber: object) -> Hashable:
    """Return what tells subscribers apart: equality, or identity for what cannot be hashed."""
    try:
        hash(subscriber)
    except TypeError:
        return (identity_of, id(subscriber))
    return subscriber
