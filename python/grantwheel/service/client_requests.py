"""What a client says of tasks, and the callbacks of its open requests. Pure: no sockets, no threads, no time."""

import contextlib
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grantwheel import BusinessError
from grantwheel._callback import identity_of, require_plain
from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.service import client_commands as commands
from grantwheel.service.client_commands import number, pack, text
from grantwheel.tasks.arguments import (
    ability_of,
    modes_argument,
    request_id_argument,
    require_count,
    suspend_arguments,
)
from grantwheel.tasks.callers import is_encodable
from grantwheel.tasks.values import TaskEvent, TaskEventKind

Words = tuple[bytes, ...]
PAGE: Final = 1000  # continuous tasks in one answer
_LARGEST: Final = 2**63 - 1  # the service takes numbers of 64 bits; this one is nobody's
_PARCEL_FAILED: Final = 980000201
# What a callback is called for, and after what it is not called any more.
HEARD: Final = (TaskEventKind.EXPIRED_CALLBACK, TaskEventKind.TASK_END)


def acting(own: tuple[int, int], uid: int | None, pid: int | None) -> Words:
    """Return the words that name whom a call acts for; what is not given is that of the own process."""
    return commands.acting(own, own[0] if uid is None else uid, own[1] if pid is None else pid)


def uid_of(acting: Words, own: tuple[int, int]) -> int:
    """Return the uid that a call acts for."""
    return int(acting[1]) if acting else own[0]


def suspend_delay(args: Sequence[object], otherwise: str) -> tuple[bytes, Callable[[], object]]:
    """Return the reason and the callback of a request.

    Raises
    ------
    BusinessError
        401: it is none. 9900003: the reason cannot be encoded.
    """
    reason, function = suspend_arguments(args)
    try:
        require_plain(function, "callback", otherwise)
    except TypeError as error:
        raise task_refusal(TaskStatus.CALLBACK_INVALID, "callback must be a plain function.") from error
    if not is_encodable(reason):
        raise task_refusal(TaskStatus.TRANSIENT_PARCEL_FAILED)
    return reason.encode(), function


def of_request(word: bytes, args: Sequence[object], acting: Words) -> bytes:
    """Return a command about the request whose id is given alone. Raises 401 if it is not."""
    return pack(word, b"%d" % min(request_id_argument(args), _LARGEST), *acting)


def start_running(args: Sequence[object], acting: Words) -> bytes:
    """Return STARTRUNNING. Raises 401 and 9800002 as `grantwheel.Tasks.start_background_running`."""
    require_count(args, 3)
    modes = _modes(args[1])
    name, options = _ability(args[0])
    agent = b"" if args[2] is None or args[2] is False else b"1"
    return pack(b"STARTRUNNING", name, modes, agent, *options, *acting)


def update_running(args: Sequence[object], acting: Words) -> bytes:
    """Return UPDATERUNNING. Raises as `start_running`."""
    require_count(args, 2)
    modes = _modes(args[1])
    name, options = _ability(args[0])
    return pack(b"UPDATERUNNING", name, modes, *options, *acting)


def stop_running(args: Sequence[object], acting: Words) -> bytes:
    """Return STOPRUNNING. Raises as `start_running`."""
    require_count(args, 1)
    name, options = _ability(args[0])
    return pack(b"STOPRUNNING", name, *options, *acting)


def _modes(value: object) -> bytes:
    return b",".join(b"%d" % mode for mode in modes_argument(value))


def _ability(value: object) -> tuple[bytes, Words]:
    """Return the name of an ability, empty for what is none, and the words that say its number."""
    named = ability_of(value)
    if named is None:
        return b"", ()
    if not is_encodable(named.name):
        raise task_refusal(_PARCEL_FAILED)
    bounded = max(-1, min(named.id, _LARGEST))
    return named.name.encode(), (b"ABILITYID", b"%d" % bounded) if bounded else ()


def running(uid: int | None, after: int) -> bytes:
    """Return RUNNING for the page of continuous tasks after one."""
    of = (b"ALL",) if uid is None else (b"UID", number(uid, "uid"))
    return pack(b"RUNNING", *of, b"AFTER", b"%d" % after, b"COUNT", b"%d" % PAGE)


def state(what: bytes, value: bool, *words: bytes) -> bytes:
    """Return TASKSTATE."""
    names = (b"ok", b"low") if what == b"BATTERY" else (b"off", b"on")
    return pack(b"TASKSTATE", what, *words, names[bool(value)])


def not_connected(error: BusinessError) -> BusinessError:
    """Return what stands in a query for an exchange that has failed."""
    return task_refusal(TaskStatus.INFO_NOT_CONNECTED, error.message.partition(". ")[2])


@dataclass(slots=True, eq=False)
class Asked:
    """A callback: by what it is told apart, what stands for it at the service, itself, and for whom it was asked.

    ``acting`` are the words that name for whom, ``uid`` is whose request it is.
    """

    identity: Hashable
    name: bytes
    call: Callable[[], object]
    acting: Words
    uid: int
    has_been_called: bool = False
    is_doubtful: bool = False  # whether events of it may have been lost
    is_given_back: bool = False  # whether its end is asked for: that of somebody who knows of it

    def take(self) -> Callable[[], object] | None:
        """Return what is to be called, once."""
        if self.has_been_called:
            return None
        self.has_been_called = True
        return self.call

    def end(self) -> Callable[[], object] | None:
        """Return what is to be called, as it is over and nobody may have been told that it nearly was."""
        return None if self.is_given_back else self.take()


class OpenRequests:
    """The callbacks of the open requests of a client, by the state of a service that their ids are of, and by id."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], Asked] = {}
        self.is_closed = False  # nobody is called any more

    def __len__(self) -> int:
        return len(self._open)

    def asked_with(self, function: Callable[[], object], name: str | None, acting: Words, uid: int) -> Asked:
        """Return what stands for a callback: the same while it is that of an open request."""
        if name is not None:
            return Asked((Asked, name), text(name, "name"), function, acting, uid)
        identity = identity_of(function)
        known = next((one.name for one in self._open.values() if one.identity == identity), None)
        return Asked(identity, known or os.urandom(12).hex().encode(), function, acting, uid)

    def has_of(self, uid: int) -> bool:
        """Whether a request of a uid is open."""
        return any(one.uid == uid for one in self._open.values())

    def opened(self, instance: str, request_id: int, asked: Asked) -> None:
        """Hear that a request was granted."""
        self._open[instance, request_id] = asked

    @contextlib.contextmanager
    def giving_back(self, request_id: int) -> Iterator[Asked | None]:
        """Have a request given back in the block: that of the last service that has such an id, if one has.

        Its end may be heard of before the block ends, and is no reason to call anybody.
        """
        asked = next((one for key, one in reversed(list(self._open.items())) if key[1] == request_id), None)
        if asked is None:
            yield None
            return
        asked.is_given_back = True
        try:
            yield asked
        except BaseException:
            asked.is_given_back = False
            raise

    def close(self) -> None:
        """Forget all: nobody is called any more."""
        self.is_closed = True
        self._open = {}

    def drop(self, asked: Asked | None) -> None:
        """Forget a request that is over."""
        self._open = {key: one for key, one in self._open.items() if one is not asked}

    def heard(self, instance: str, event: TaskEvent) -> Callable[[], object] | None:
        """Return what is to be called for an event.

        That is the callback of a request that is nearly over; and of one that is over, if it may have been missed that
        it was nearly so.
        """
        key = (instance, event.id)
        asked = self._open.get(key)
        if asked is None:
            return None
        if event.kind is TaskEventKind.TASK_END:
            del self._open[key]
            return asked.end() if asked.is_doubtful else None
        return asked.take()

    def in_doubt(self, instance: str, uid: int) -> list[tuple[Asked, bytes | None]]:
        """Return the requests of a uid, each with what is to be asked of it after events may have been lost.

        That is nothing for one that another state has granted, which nobody has any more: it is over.
        """
        return [
            (asked, pack(b"REMAININGDELAY", b"%d" % key[1], *asked.acting) if key[0] == instance else None)
            for key, asked in list(self._open.items())
            if asked.uid == uid
        ]

    def settle(self, asked: Asked, reply: Any) -> Callable[[], object] | None:
        """Hear what was answered, None if nothing was asked; return what is to be called, as the request is over.

        It is open still if some time is left to it. Any refusal says that its process, which may have ended, has it no
        more.
        """
        if reply is not None and not isinstance(reply, Exception):
            asked.is_doubtful = True
            return None
        self.drop(asked)
        return asked.end()
