"""The events that a client reads and follows: those of grants, and those of tasks. Pure."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, SupportsIndex, TypeVar

from grantwheel.service import client_answers as answers
from grantwheel.service.client_commands import number, pack
from grantwheel.tasks.values import TaskEvent, TaskEventKind
from grantwheel.types import Event, EventKind

EventT = TypeVar("EventT", bound=Event | TaskEvent)


@dataclass(frozen=True, slots=True)
class Stream(Generic[EventT]):
    """Events with numbers of their own.

    Parameters
    ----------
    word : bytes
        The command that reads them.
    instance : bytes
        The field of HELLO that says what the numbers are of.
    kinds : type of StrEnum
        Which kinds there are.
    event : callable
        Makes an event of what is told of it.
    """

    word: bytes
    instance: bytes
    kinds: type[StrEnum]
    event: Callable[[Any], EventT]

    @property
    def last(self) -> bytes:
        """The command for the number of the last event."""
        return pack(self.word, b"LAST")

    @property
    def standing(self) -> bytes:
        """The two commands, for one connection, that say which instance it is, and the number of the last event."""
        return pack(b"HELLO") + self.last

    def stands(self, replies: Any) -> tuple[str, int]:
        """Return which instance it is, and the number of the last event. Raises what one of the answers is."""
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        told, last = replies
        return answers.hello(told, self.instance), int(last)

    def which(self, kinds: Iterable[StrEnum | str] | None, uids: Iterable[int] | None) -> list[bytes]:
        """Return the words that say which events are wanted.

        Raises
        ------
        TypeError, ValueError
            A kind is none, or a uid is no int.
        """
        words: list[bytes] = []
        if kinds is not None:
            wanted = {self.kinds(kind) for kind in ((kinds,) if isinstance(kinds, str) else kinds)}
            words += (b"KINDS", ",".join(sorted(wanted)).encode())
        if uids is not None:
            words += (b"UIDS", b",".join(number(uid, "uids") for uid in sorted({operator.index(uid) for uid in uids})))
        return words

    def after(self, after: SupportsIndex, count: int, wanted: Iterable[bytes] = (), instance: str = "") -> bytes:
        """Return the command for one page of those that `which` says, of no other instance than that."""
        of = (b"INSTANCE", instance.encode()) if instance else ()
        return pack(self.word, b"AFTER", number(after, "after"), b"COUNT", b"%d" % count, *of, *wanted)

    def follow(self, after: int, wanted: Iterable[bytes]) -> bytes:
        """Return the command for pushes of those that `which` says, after a number."""
        return pack(self.word, b"FOLLOW", b"AFTER", number(after, "after"), *wanted)

    def page(self, reply: Any) -> tuple[list[EventT], int, int]:
        """Return events, how many were missed before them, and after which number to go on."""
        after, missed, rows = reply
        return [self.event(row) for row in rows], int(missed), int(after)


GRANTS: Final = Stream(b"EVENTS", b"instance", EventKind, answers.event)
TASKS: Final = Stream(b"TASKEVENTS", b"task_instance", TaskEventKind, answers.task_event)
PUSHES: Final = frozenset({b"events", b"taskevents"})  # how these begin
