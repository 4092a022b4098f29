"""The model, part two: one record, how an apply merges into it, and how it is shown."""

from collections.abc import Mapping

from model_policy import ALL, CPU, DEFAULT_LEVEL

GrantTuple = tuple[int, bool, int, int | None, int | None, str]
RecordTuple = tuple[str, int, int, int, str, int, tuple[GrantTuple, ...]]
InfoTuple = tuple[int, int, int, str, int]
RowTuple = tuple[int, int, int | None, bool, bool, str, int, int, int | None]

FOREVER = 2**64
BITS_OF = tuple(tuple(1 << index for index in range(9) if mask >> index & 1) for mask in range(ALL + 1))


class Grant:
    """One type held by one owner. A persistent grant has the deadline `FOREVER`."""

    __slots__ = ("deadline", "persist", "reason", "timeout")

    def __init__(self, persist: bool, timeout: int, deadline: int, reason: str) -> None:
        self.persist = persist
        self.timeout = timeout
        self.deadline = deadline
        self.reason = reason


class Record:
    """All grants of one owner, by type."""

    __slots__ = ("bundle", "grants", "is_app", "level", "pid", "uid")

    def __init__(self, is_app: bool, uid: int, pid: int, bundle: str) -> None:
        self.is_app = is_app
        self.uid = uid
        self.pid = pid
        self.bundle = bundle
        self.level = DEFAULT_LEVEL
        self.grants: dict[int, Grant] = {}

    @property
    def key(self) -> int:
        """The uid of an app record, the pid of a process record."""
        return self.uid if self.is_app else self.pid

    @property
    def mask(self) -> int:
        """The types that are held."""
        return sum(self.grants)

    def merge(
        self, mask: int, now: int, timeout: int, persist: bool, reason: str, level: int, caps: Mapping[int, int]
    ) -> int:
        """Merge an apply into what is held (SPEC 7), types of ``caps`` with these timeouts; answer the new types."""
        new = 0
        for bit in BITS_OF[mask]:
            lasts = persist and bit not in caps
            granted = caps.get(bit, timeout)
            deadline = FOREVER if lasts else now + granted
            grant = self.grants.get(bit)
            if grant is None:
                self.grants[bit] = Grant(lasts, granted, deadline, reason)
                new |= bit
                continue
            grant.reason = reason
            grant.persist = grant.persist or lasts
            if deadline > grant.deadline:
                grant.deadline = deadline
                grant.timeout = granted
        if new & CPU or (mask & CPU and level != DEFAULT_LEVEL):
            self.level = level
        return new

    def view(self, now: int) -> RecordTuple:
        """The record as `find_app`, `find_process` and `records` show it."""
        grants = tuple(
            (bit, False, grant.timeout, grant.deadline, grant.deadline - now, grant.reason)
            if not grant.persist
            else (bit, True, grant.timeout, None, None, grant.reason)
            for bit, grant in sorted(self.grants.items())
        )
        return ("app" if self.is_app else "process", self.uid, self.pid, self.mask, self.bundle, self.level, grants)

    def info(self) -> InfoTuple:
        """The record as `infos` shows it."""
        return (self.uid, self.pid, self.mask, self.bundle, self.level)

    def rows(self, now: int) -> list[RowTuple]:
        """The grants as `get_all` shows them."""
        return [
            (
                bit,
                grant.timeout,
                None if grant.persist else grant.deadline - now,
                grant.persist,
                not self.is_app,
                grant.reason,
                self.uid,
                self.pid,
                self.level if bit == CPU and self.level != DEFAULT_LEVEL else None,
            )
            for bit, grant in sorted(self.grants.items())
        ]
