"""What there is to know of a command."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class How(Enum):
    """How a command is carried out."""

    TOGETHER = "a change, committed with the others of its turn"
    TASKS = "a change of tasks, committed with the others of its turn"
    ALONE = "a change that is committed alone"
    READ = "a read"
    SESSION = "about the connection itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What there is to know of a command.

    Parameters
    ----------
    usage : str
        The words that follow it: ``[]`` may be left out, ``|`` parts alternatives.
    summary : str
        What it does.
    answer : str
        What it answers.
    run : callable
        What carries it out: called with the connection, the words, and, of a change that goes with others, the
        pipeline; of a change of tasks, the list of calls that are made together.
    how : How
        See there.
    least, most : int
        How many words it has, itself included.
    is_admin : bool
        Whether it is for administrators.
    """

    usage: str
    summary: str
    answer: str
    run: Callable[..., Any]
    how: How = How.READ
    least: int = 1
    most: int = 99
    is_admin: bool = False
