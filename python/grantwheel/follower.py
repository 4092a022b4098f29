"""Following a log: an engine that carries out what is on record, for snapshots, tools and replicas."""

import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from . import _core
from ._process import refuse_to_pickle
from .types import Stats

Bytes: TypeAlias = bytes | bytearray | memoryview


class Follower(_core.Follower):
    """An engine that reads the log of a manager: the same grants, and the same events with the same numbers.

    It has no clock, no policy and no limits of its own time: it carries out what was decided, at the instants that are
    on record. Thread-safe.

    Parameters
    ----------
    snapshot : iterable of buffer
        The chunks of a snapshot, in order, to begin with. Default: an engine without grants.
    position : int
        How many groups of the log came before that snapshot.
    max_records, max_strings, event_capacity, reserve : int
        As those of the `Manager`, and to be the same, since what its limits have refused has to be refused here.
        Default: the usual ones, or those of the snapshot.

    Raises
    ------
    BusinessError
        9800002: the snapshot is damaged, cut short or of a newer format. 9800001: it does not fit the limits, or there
        is not enough memory.
    ValueError
        A limit is out of range: names it.
    TypeError
        A chunk is no buffer of bytes.

    Examples
    --------
    >>> from grantwheel import Follower, Manager, ManualClock, MemoryLog
    >>> log = MemoryLog()
    >>> manager = Manager(clock=ManualClock(), log=log)
    >>> manager.apply(1000, 42, 32, 500)
    32
    >>> follower = Follower()
    >>> for _, group in log.read(follower.position):
    ...     follower.feed(group)
    1
    >>> follower.app_mask(1000), follower.app_mask(1000, now_ms=500)
    (32, 0)
    """

    def __init__(
        self,
        *,
        snapshot: Iterable[Bytes] | None = None,
        position: int = 0,
        max_records: int | None = None,
        max_strings: int | None = None,
        event_capacity: int | None = None,
        reserve: int | None = None,
    ) -> None:
        super().__init__(max_records, max_strings, event_capacity, reserve, os.urandom(16), snapshot, position)

    __reduce_ex__ = refuse_to_pickle

    def snapshot(self) -> Iterator[bytes]:
        """Return the state as bytes, chunk by chunk: a follower that begins with them goes on from `position`.

        A chunk takes well below a millisecond and 32 KiB at most. Until the last one was taken nothing may be fed.

        Raises
        ------
        RuntimeError
            From the iterator: the follower has gone on since the snapshot was begun.
        BusinessError
            9800001: there is not enough memory.
        """
        return _core.Sections(self)

    def stats(self) -> Stats:
        """Return the numbers of the state, at the instant of the last command.

        What is counted around a manager, as refused calls, is 0: the log does not have it.

        Raises
        ------
        BusinessError
            9800001: there is not enough memory.
        """
        return Stats(*super().stats())  # the compiled one knows nothing of snapshots

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.position}, {self.last_sequence} events>"


def replay(
    groups: Iterable[Bytes],
    *,
    snapshot: Iterable[Bytes] | None = None,
    position: int = 0,
    max_records: int | None = None,
    max_strings: int | None = None,
    event_capacity: int | None = None,
    reserve: int | None = None,
) -> Follower:
    """Carry out the groups of a log, and return the follower that has.

    Parameters
    ----------
    groups : iterable of buffer
        All that came after the snapshot, or all there are, in order.
    snapshot, position, max_records, max_strings, event_capacity, reserve
        As in `Follower`.

    Raises
    ------
    BusinessError, ValueError, TypeError
        As `Follower` and `Follower.feed`.

    Examples
    --------
    >>> from grantwheel import Manager, ManualClock, MemoryLog, replay
    >>> log = MemoryLog()
    >>> manager = Manager(clock=ManualClock(), log=log)
    >>> manager.apply(1000, 42, 32, 500)
    32
    >>> follower = replay(group for _, group in log.read())
    >>> follower.records() == manager.records(), follower.read(0)[0] == manager.drain()
    (True, True)
    """
    follower = Follower(
        snapshot=snapshot,
        position=position,
        max_records=max_records,
        max_strings=max_strings,
        event_capacity=event_capacity,
        reserve=reserve,
    )
    for group in groups:
        follower.feed(group)
    return follower
