"""What apps hold that keeps them up, as a manager tells it. Private."""

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, NamedTuple

from grantwheel import QueryServiceError
from grantwheel.caller import Caller
from grantwheel.types import EventKind, OwnerKind, Record, ResourceType

if TYPE_CHECKING:
    from grantwheel.manager import Manager

_CPU = int(ResourceType.CPU)
_KINDS = list(EventKind)
_APPLY, _RESET = _KINDS.index(EventKind.APP_APPLY), _KINDS.index(EventKind.APP_RESET)
_PROCESS_APPLY = _KINDS.index(EventKind.PROCESS_APPLY)
_PAGE = 1024


class Held(NamedTuple):
    """What an app holds since an instant (ms): its types, and whether one of its processes holds CPU."""

    uid: int
    at_ms: int
    mask: int
    process_cpu: bool


class Grants:
    """Follows what apps hold, by the events of a manager; whom it is asked about it asks the manager itself."""

    def __init__(self, manager: "Manager") -> None:
        self._manager = manager
        self._subscription = manager.subscribe(self, caller=Caller(native=True))
        self._missed = 0
        self._masks: dict[int, int] = {}
        self._pids: dict[int, set[int]] = {}  # processes that hold CPU

    def __len__(self) -> int:
        return len(self._pids)

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are events, or will be none any more."""
        return self._subscription.fileno()

    def close(self) -> None:
        """Follow nobody any more."""
        self._subscription.__exit__()

    def begin(self, uid: int) -> Held:
        """Follow an app from now on, and return what it holds."""
        self._pids[uid] = self._processes_of(uid)
        return self.look(uid)

    def keep(self, followed: Container[int]) -> None:
        """Follow nobody else any more."""
        for uid in [uid for uid in self._pids if uid not in followed]:
            del self._masks[uid], self._pids[uid]

    def look(self, uid: int) -> Held:
        """Return what an app that is followed holds now: what is due has gone, whoever has driven the manager."""
        self._masks[uid], has_cpu = self._ask(uid)
        return Held(uid, self._manager.clock.now(), self._masks[uid], has_cpu)

    def is_told(self, uid: int) -> bool:
        """Return whether events have told all that has ended of what an app that is followed holds."""
        return self._ask(uid) == (self._masks[uid], bool(self._pids[uid]))

    def _ask(self, uid: int) -> tuple[int, bool]:
        has_cpu = any(self._manager.process_mask(pid) & _CPU for pid in self._pids[uid])
        return self._manager.app_mask(uid), has_cpu

    def changes(self, followed: Container[int]) -> Iterator[Held]:
        """Return what has changed about those who are followed, in its order, each with its instant.

        Raises
        ------
        BusinessError
            9800004: the manager is closed, and all was told.
        """
        columns = self._subscription.drain_columns()
        if self._subscription.missed != self._missed:
            self._missed = self._subscription.missed
            for uid in list(self._pids):
                yield self.begin(uid)
        for place, uid in enumerate(columns.uid):
            if uid not in self._pids or uid not in followed:
                continue
            kind, mask, pid = columns.kind[place], columns.mask[place], columns.pid[place]
            if kind == _APPLY:
                self._masks[uid] |= mask
            elif kind == _RESET:
                self._masks[uid] &= ~mask
            elif kind == _PROCESS_APPLY:
                self._pids[uid].add(pid)
            else:
                self._pids[uid].discard(pid)
            yield Held(uid, columns.time[place], self._masks[uid], bool(self._pids[uid]))

    def _processes_of(self, uid: int) -> set[int]:
        """Return the processes of an app that hold CPU."""
        try:
            rows = self._manager.get_all(caller=Caller(uid=uid, pid=0, system_app=True))
        except QueryServiceError:  # the manager does not serve now, but it tells what there is
            return {record.pid for record in self._records() if record.uid == uid and record.mask & _CPU}
        return {row.pid for row in rows if row.isForProcess and row.resourceTypes & _CPU}

    def _records(self) -> Iterator[Record]:
        """Return the records of processes."""
        after = None
        while page := self._manager.records(after, _PAGE):
            after = page[-1]
            yield from (record for record in page if record.kind is OwnerKind.PROCESS)
