"""What calls are made in, and what connections need of a server: the seams between these files."""

import array
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .peers import Peer

if TYPE_CHECKING:
    from collections import Counter

    from grantwheel import Pipeline
    from grantwheel.manager import Manager
    from grantwheel.tasks.tasks import Tasks

    from .limits import Bucket, Limits

Calls = list[Callable[["Tasks"], Any]]  # changes of tasks, which are made together
Wanted = tuple[frozenset[StrEnum] | None, frozenset[int] | None]


class Watcher(Protocol):
    """What notices the deaths of processes, as a server sees it."""

    forgotten: int

    def enter(self, connection: socket.socket, /) -> None:
        """Watch the process that has connected."""

    def leave(self, uid: int, pid: int, /) -> None:
        """Hear that a connection of it has ended."""

    def watch(self, uid: int, pid: int, /) -> None:
        """Watch a process for which somebody acts."""


@dataclass(slots=True)
class Following:
    """Which events are pushed, and after which one to go on."""

    after: int
    wanted: Wanted


class Page(NamedTuple):
    """Some events as a message: what is sent, if any is wanted, where to go on, and whether there are more."""

    message: bytes
    after: int
    has_more: bool


class Stream(Protocol):
    """Events that are read and pushed: those of the manager, or those of its tasks."""

    @property
    def name(self) -> str:
        """How its pushes begin."""

    @property
    def instance(self) -> str:
        """What its numbers are of."""

    @property
    def kinds(self) -> type[StrEnum]:
        """Which kinds there are."""

    @property
    def last(self) -> int:
        """The number of the last event."""

    def read(self, after: int, limit: int, /) -> tuple[Sequence[Any], int, int]:
        """Return events after a number, how many were overwritten before them, and after which number to go on."""

    def row(self, event: Any, /) -> list[Any]:
        """Return an event as it is told."""

    def changes(self) -> AsyncIterator[object]:
        """Iterate, without an end, over when there is something more to read."""


class Pages(Protocol):
    """Pages of events."""

    name: str  # of their stream

    def next(self, following: Following, /) -> Page:
        """Return the page that comes next."""


class Service(Protocol):
    """A server, as its connections see it."""

    manager: "Manager"
    tasks: "Tasks"
    limits: "Limits"
    accepted: int
    answered: int
    refused: int
    turns: int
    met: "Counter[str]"
    instance: str
    task_instance: str
    buffer: memoryview
    began: float

    @property
    def connected(self) -> int:
        """How many connections there are."""

    @property
    def streams(self) -> Mapping[str, Stream]:
        """The events that are read and pushed, by name."""

    def identify(self, connection: socket.socket, /) -> Peer:
        """Say who has connected."""

    def accept(self, session: "Session", on: socket.socket, /) -> None:
        """Count a connection in, on a socket; a BusinessError says that there are too many."""

    def forget(self, session: "Session", /) -> None:
        """Count a connection out."""

    def ready(self, session: "Session", /) -> None:
        """Let a connection have its part of the next turn."""

    def follow(self, session: "Session", name: str, /) -> None:
        """Push the events of a stream to a connection."""

    def wake(self, session: "Session", /) -> None:
        """Hear that it reads again what is pushed."""

    def watch(self, uid: int, pid: int, /) -> None:
        """Let the death of a process be noticed for which somebody acts."""

    @property
    def forgotten(self) -> int:
        """How often one of these has ended, or is watched no more."""

    def check_rate(self, session: "Session", /) -> Exception | None:
        """Count a call; the error of one too many."""

    def hold(self, session: "Session", size: int, /) -> Exception | None:
        """Count bytes of a request that is not whole yet; the error of too many."""

    def check_output(self, session: "Session", size: int, /) -> Exception | None:
        """Look whether so much may wait to be read; the error of too much."""

    def slow(self, session: "Session", /) -> None:
        """Hear that something waits to be read, or that nothing does any more."""

    def over(self, limit: str, session: "Session", rule: str, /) -> Exception:
        """Count that a limit is met, and return its error."""

    def reload(self) -> None:
        """Read the policy file again."""

    def ask_to_end(self) -> None:
        """End, when all that has come is answered."""


class Session(Protocol):
    """A connection, as calls see it."""

    server: Service
    peer: Peer
    number: int
    version: int
    name: str
    bucket: "Bucket | None"

    @property
    def unread_bytes(self) -> int:
        """How much waits to be read."""

    @property
    def manager(self) -> "Manager":
        """Whose grants."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to answer, or to end."""

    def acts_for(self, uid: int, pid: int) -> None:
        """Hear for whom it acts besides its peer."""

    def acts_for_all(self, uids: bytes, pids: bytes, *columns: "array.array[int]") -> None:
        """Hear the same of many."""

    def set_version(self, version: int) -> None:
        """Speak RESP2 or RESP3."""

    def follow(self, name: str, after: int, wanted: Wanted) -> None:
        """Have events of a stream pushed from now on."""

    def follow_no_more(self, name: str) -> None:
        """Have none of them pushed."""

    def push(self, pages: Pages, /) -> bool:
        """Send the next page of the events that it follows; return whether there are more."""

    def end_after_answers(self) -> None:
        """Take no more requests."""

    def gather(self, pipe: "Pipeline", tasks: Calls, most: int, most_bytes: int) -> list[bytes | None]:
        """Carry out some of what has come; None stands for the answer of what is queued, all in one of these two."""

    def answer_to(self, result: Any) -> bytes:
        """Return what a call has come to, as it is sent."""

    def write(self, answers: bytes) -> None:
        """Send the answers of a turn."""

    def end(self) -> None:
        """End it when what has come is answered."""

    def abort(self) -> None:
        """End it at once."""
