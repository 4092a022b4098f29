"""What a client says: each call of a manager as the bytes of a command. Pure: no sockets, no time."""

import json
import operator
from array import array
from typing import Any, SupportsIndex

from grantwheel._documented import refusal
from grantwheel.types import OwnerKind, Record

_NOT_TEXT = 980000201
PAGE = 1000  # records, or events, in one answer


def pack(*words: bytes) -> bytes:
    """Return a command as an array of bulk strings."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def text(value: str, name: str) -> bytes:
    """Return a text as UTF-8.

    Raises
    ------
    TypeError
        It is no str.
    BusinessError
        9800002: it can't be encoded.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise refusal(_NOT_TEXT) from None


def number(value: SupportsIndex, name: str) -> bytes:
    """Return an integer in decimal digits."""
    try:
        return b"%d" % operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None


def flag(value: bool, name: str) -> bool:
    """Return a flag as it is."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value


def acting(own: tuple[int, int], uid: SupportsIndex, pid: SupportsIndex) -> tuple[bytes, ...]:
    """Return the words that name whom a call acts for: none for the own process."""
    if (uid, pid) == own:
        return ()
    return (b"FOR", number(uid, "uid"), number(pid, "pid"))


def apply(
    own: tuple[int, int],
    uid: SupportsIndex,
    pid: SupportsIndex,
    mask: SupportsIndex,
    timeout_ms: SupportsIndex | None,
    persist: bool = False,
    process: bool = False,
    reason: str = "",
    cpu_level: SupportsIndex = -1,
    *,
    only_held: bool = False,
) -> bytes:
    """Return APPLY."""
    if not flag(persist, "persist") and timeout_ms is None:
        raise TypeError("timeout_ms must be given, unless persist is True")
    words = [b"APPLY", number(mask, "mask"), b"0" if timeout_ms is None else number(timeout_ms, "timeout_ms")]
    if persist:
        words.append(b"PERSIST")
    if flag(process, "process"):
        words.append(b"PROCESS")
    if reason or not isinstance(reason, str):
        words += (b"REASON", text(reason, "reason"))
    if cpu_level != -1:
        words += (b"LEVEL", number(cpu_level, "cpu_level"))
    if only_held:
        words.append(b"ONLYHELD")
    return pack(*words, *acting(own, uid, pid))


def release(
    own: tuple[int, int],
    uid: SupportsIndex,
    pid: SupportsIndex,
    mask: SupportsIndex,
    process: bool = False,
    cpu_level: SupportsIndex = -1,
) -> bytes:
    """Return RELEASE."""
    words = [b"RELEASE", number(mask, "mask")]
    if flag(process, "process"):
        words.append(b"PROCESS")
    if cpu_level != -1:
        words += (b"LEVEL", number(cpu_level, "cpu_level"))
    return pack(*words, *acting(own, uid, pid))


def request(read: tuple[int, bool, bool, bool, int, int, str]) -> bytes:
    """Return REQUEST for a documented request that was found to be one."""
    mask, is_apply, persist, process, level, timeout_ms, reason = read
    fields: dict[str, Any] = {
        "resourceTypes": mask,
        "isApply": is_apply,
        "timeOut": timeout_ms,
        "reason": reason,
        "isPersist": persist,
        "isProcess": process,
    }
    if level != -1:
        fields["cpuLevel"] = level
    words = [b"REQUEST"]
    for name, value in fields.items():
        words += (name.encode(), json.dumps(value).encode())
    return pack(*words)


def column(values: Any, name: str, typecode: str) -> bytes:
    """Return the numbers of a buffer in little-endian order: I for 32 bits, Q for 64."""
    try:
        view = memoryview(values)
    except TypeError:
        raise TypeError(f"{name} must be a buffer of integers, not {type(values).__name__}") from None
    if view.ndim != 1 or view.format.lstrip("@=<") not in set("iIlLqQ"):
        raise TypeError(f"{name} must be a buffer of integers of 32 or 64 bits, of one dimension")
    if view.format.lstrip("@=<") == typecode and view.contiguous:
        return view.tobytes()
    # What is out of range is so in the row's answer: the highest number is nobody's, and no mask's or time's.
    highest = (1 << 32) - 1
    top = highest if typecode == "I" else (1 << 64) - 1
    return array(typecode, [value if 0 <= value <= top else top for value in view.tolist()]).tobytes()


def columns(word: bytes, **given: tuple[Any, str]) -> bytes:
    """Return a command with columns of the same length."""
    packed = {name: column(values, name, typecode) for name, (values, typecode) in given.items()}
    widths = {"I": 4, "Q": 8}
    lengths = {name: len(packed[name]) // widths[typecode] for name, (_, typecode) in given.items()}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise ValueError(f"{name} must be as long as the first argument")
    return pack(word, *packed.values())


def find(kind: OwnerKind, key: SupportsIndex) -> bytes:
    """Return FIND."""
    app = kind is OwnerKind.APP
    words = (b"FIND",) if app else (b"FIND", b"PROCESS")
    return pack(*words, number(key, "uid" if app else "pid"))


def records(after: Record | None, count: int) -> bytes:
    """Return RECORDS for one page."""
    words = [b"RECORDS"]
    if after is not None:
        if not isinstance(after, Record):
            raise TypeError(f"after must be a Record, not {type(after).__name__}")
        key = after.uid if after.kind == OwnerKind.APP else after.pid
        words += (b"AFTER", after.kind.encode(), b"%d" % key)
    return pack(*words, b"COUNT", b"%d" % count)


class Pages:
    """The records behind one, page by page: the command that asks for the next, and what has come.

    Raises
    ------
    TypeError, ValueError
        The limit is no int, or negative.
    """

    def __init__(self, after: Record | None, limit: SupportsIndex | None) -> None:
        self._after = after
        self._left = None if limit is None else int(number(limit, "limit"))
        if self._left is not None and self._left < 0:
            raise ValueError("limit must not be negative")
        self.got: list[Record] = []

    def next(self) -> bytes | None:
        """Return the next command; None when all is here."""
        return None if self._left == 0 else records(self._after, self._count())

    def take(self, page: list[Record]) -> None:
        """Take what it has brought."""
        count = self._count()
        self.got += page
        if len(page) < count:
            self._left = 0
        else:
            self._after = page[-1]
            self._left = None if self._left is None else self._left - count

    def _count(self) -> int:
        return PAGE if self._left is None else min(self._left, PAGE)
