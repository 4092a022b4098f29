"""Where the state of tasks is kept: small values under texts, changed several at once or not at all."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Protocol, TypeVar

from grantwheel._core import BusinessError
from grantwheel._task_errors import task_refusal

from .values import TaskEvent

OUT_OF_MEMORY: Final = 980000101
_CLOSED: Final = 980000402
_PARCEL_FAILED: Final = 980000201
_Answer = TypeVar("_Answer")


class CutOffError(Exception):
    """What a store raises when a signal handler has raised in it, which nobody refused for: the write may yet count.

    The operation raises ``reason``, and the next one reads what is on record.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Store(Protocol):
    """Where values are kept under texts. What it raises from `write` refuses the operation that wanted it."""

    def items(self) -> Iterable[tuple[str, bytes]]:
        """Return everything, in any order. Asked once, by each that begins with it."""
        ...

    def write(self, changes: Mapping[str, bytes | None], /) -> object:
        """Put values under keys, or take away those of keys with None: all of it, or nothing and raise."""
        ...


class MemoryStore:
    """A store in memory. Nothing can come in between the changes of one write: it is one operation of a dict."""

    def __init__(self) -> None:
        self._values: dict[str, bytes | None] = {}

    def items(self) -> list[tuple[str, bytes]]:
        """Return everything, in the order in which the keys came."""
        return [(key, value) for key, value in self._values.items() if value is not None]

    def write(self, changes: Mapping[str, bytes | None], /) -> None:
        """Change values."""
        self._values.update(changes)
        for key, value in changes.items():
            if value is None:
                self._values.pop(key, None)


class Gathering:
    """A store before another one, which gets what is written at once, or, if it is told to gather, all of it as one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.gathered: dict[str, bytes | None] | None = None  # what the other one has not been given yet; None: all

    def items(self) -> Iterable[tuple[str, bytes]]:
        """Return what the other one has."""
        return self._store.items()

    def write(self, changes: Mapping[str, bytes | None], /) -> None:
        """Change values, in the other one or beside those that are gathered."""
        if self.gathered is None:
            self._store.write(changes)
        else:
            self.gathered.update(changes)


def _fields_of(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=_fields_of)


def encode(record: Any) -> bytes:
    """Return the bytes of a record, of slots with numbers, texts and more of these: equal ones for equal records."""
    return _ENCODER.encode(record).encode()


class Draft:
    """What an operation is about to change, and the events of it. Nobody has them before they are on record."""

    def __init__(self, records: Mapping[str, Any], max_records: int) -> None:
        self._records = records
        self._max_records = max_records
        self.changes: dict[str, Any] = {}
        self.events: list[TaskEvent] = []
        self._kept: tuple[dict[str, Any], int] = ({}, 0)

    def get(self, key: str) -> Any:
        """Return a record as it will be, or None."""
        return self.changes[key] if key in self.changes else self._records.get(key)

    def put(self, key: str, record: Any) -> None:
        """Change a record; None takes it away.

        Raises
        ------
        BusinessError
            9800001: it would be one too many.
        """
        if record is not None and self.get(key) is None and self._is_full():
            raise task_refusal(OUT_OF_MEMORY, "", f"max_records ({self._max_records}) of the tasks is reached")
        self.changes[key] = record

    def _is_full(self) -> bool:
        coming = sum(
            (record is not None) - (self._records.get(key) is not None) for key, record in self.changes.items()
        )
        return len(self._records) + coming >= self._max_records

    def keep(self) -> None:
        """Have what has been changed by now stay, whatever becomes of the rest."""
        self._kept = (dict(self.changes), len(self.events))

    def rewind(self) -> None:
        """Go back to what stays."""
        self.changes, count = self._kept
        del self.events[count:]


class Machine:
    """What transient and continuous tasks have in common: records, and how they are changed.

    Time is an argument. Each operation makes a draft; what it changes is written as one before anybody hears of it. A
    store that raises has refused, and nothing has changed.

    Parameters
    ----------
    store : Store
        Where the records are, those from before too.
    emit : callable
        Called with each event once it is on record, in order.
    max_records : int
        The limit of records.
    """

    _NAME: ClassVar[str]  # the key of the machine's own record, and how all its others begin
    _NOT_STORED: ClassVar[int]  # the inner code of what the store refuses
    _NO_ROOM: ClassVar[int]  # the same where it has no room

    def __init__(self, store: Store, emit: Callable[[TaskEvent], object], max_records: int) -> None:
        self._store = store
        self._emit = emit
        self._max_records = max_records
        self._now = 0
        self._records: dict[str, Any] = {}
        self._is_torn = False  # from before a change is written until it is in force
        self._torn: tuple[dict[str, bytes | None], list[TaskEvent]] = ({}, [])  # that change, and its events

    def _load(self) -> None:
        """Take over what is in the store, and nothing else."""
        self._clear()
        for key, value in self._store.items():
            if self.has(key):
                self._replace(key, self._read_record(key, value))

    def has(self, key: str) -> bool:
        """Whether a record is one of the machine's."""
        return key == self._NAME or key.startswith(f"{self._NAME}/")

    def _clear(self) -> None:
        """Be as without anything in the store."""
        self._records = {}

    def _read_record(self, key: str, value: bytes) -> Any:
        try:
            record = self._decode(key, json.loads(value))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise task_refusal(_PARCEL_FAILED, "", f"the record {key!r} of the tasks cannot be read") from error
        if encode(record) != value:
            raise task_refusal(_PARCEL_FAILED, "", f"the record {key!r} of the tasks has another form")
        return record

    def _decode(self, key: str, fields: Any) -> Any:
        """Return the record that a value stands for; raises what a wrong form raises."""
        raise NotImplementedError

    def _replace(self, key: str, record: Any) -> None:
        """Put a record in its place, with all that is derived from it."""
        if record is None:
            self._records.pop(key, None)
        else:
            self._records[key] = record

    @property
    def is_torn(self) -> bool:
        """Whether a change was interrupted, and it has not been looked at yet what became of it."""
        return self._is_torn

    def doubt(self, values: Mapping[str, bytes | None], events: list[TaskEvent]) -> None:
        """Have it looked at what is on record: these values, and then the events are to be told, or not."""
        self._torn = {key: value for key, value in values.items() if self.has(key)}, events
        self._is_torn = True

    def trust(self) -> None:
        """Hear that there is no doubt: what is in force is on record."""
        self._is_torn = False

    def mend(self) -> None:
        """Go on after a signal handler has raised in the middle of a change: the store knows how far that went."""
        if self._is_torn:
            self._load()
            self._is_torn = False
            values, events = self._torn
            if all(value == self._value(key) for key, value in values.items()):
                self._emit_all(events)

    def _value(self, key: str) -> bytes | None:
        record = self._records.get(key)
        return None if record is None else encode(record)

    def _emit_all(self, events: list[TaskEvent]) -> None:
        for event in events:
            self._emit(event)

    def dump(self) -> dict[str, bytes]:
        """Return every record as the store has it: a machine that begins with these goes on as this one."""
        self.mend()
        return {key: encode(self._records[key]) for key in sorted(self._records)}

    def _draft(self, now: int) -> Draft:
        """Begin an operation at an instant."""
        if now < self._now:
            raise ValueError(f"now must not be before an instant that the tasks have seen, {self._now} ms, as {now} is")
        self.mend()
        self._now = now
        return Draft(self._records, self._max_records)

    def _operate(self, now: int, work: Callable[[Draft], _Answer], *, is_read: bool = False) -> _Answer:
        """Do what is due and then some work, as one; if the work is refused, only what was kept by then.

        A read answers whether or not what it has come upon can be put on record: it will be come upon again.
        """
        draft = self._draft(now)
        self._do_due(draft, now)
        draft.keep()
        try:
            answer = work(draft)
        except BusinessError:
            draft.rewind()
            self._try_to_commit(draft)
            raise
        if is_read:
            self._try_to_commit(draft)
        else:
            self._commit(draft)
        return answer

    def _do_due(self, draft: Draft, now: int) -> None:
        """Have happen what is due by an instant."""

    def _commit(self, draft: Draft) -> None:
        """Put a draft on record, then in force, and tell its events."""
        changes = {key: record for key, record in draft.changes.items() if record != self._records.get(key)}
        if changes:
            values = {key: None if record is None else encode(record) for key, record in changes.items()}
            self._torn = values, draft.events
            self._is_torn = True
            try:
                self._store.write(values)
            except CutOffError as cut_off:
                raise cut_off.reason from None
            except Exception as error:
                self._is_torn = False
                raise self._refusal(error) from error
            for key, record in changes.items():
                self._replace(key, record)
            self._is_torn = False
        self._emit_all(draft.events)

    def _try_to_commit(self, draft: Draft) -> None:
        """Do the same with what will be tried again if the store refuses it now."""
        try:
            self._commit(draft)
        except BusinessError as error:
            if error.detail == _CLOSED:
                raise

    def _refusal(self, error: Exception) -> BusinessError:
        """Return what an operation is refused with when the store has raised."""
        detail = error.detail if isinstance(error, BusinessError) else None
        if detail == _CLOSED:
            return task_refusal(_CLOSED)
        if detail == OUT_OF_MEMORY:
            return task_refusal(self._NO_ROOM, "", "there is no room for the tasks on record")
        return task_refusal(self._NOT_STORED, "", "the tasks could not be put on record")

    def _keys(self, draft: Draft) -> list[str]:
        """Return the keys of the records as they will be, but for the machine's own one."""
        keys = dict.fromkeys([*self._records, *draft.changes])
        return [key for key in keys if key != self._NAME and draft.get(key) is not None]
