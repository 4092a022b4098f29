"""What the target `connection_fuzz` sends: bytes as parts, requests drawn from the table of commands, and mutations.

An input is a byte that chooses the limits, and parts: what one of the peers sends, with what happens around it. A mark
stands before each part, so that bytes may come and go anywhere in an input.
"""

import random
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from grantwheel.service.commands import COMMANDS
from grantwheel.types import EventKind

MARK: Final = b"\xff\xfe\xfd"
PEERS: Final = 6
INSTANCE: Final = "a" * 32
WAITS_MS: Final = (0, 1, 1000, 3_600_000)
TIMES: Final = (1, 3, 40, 70_000)
MOST_SENT: Final = 1 << 13  # by one part, if it is more than a few bytes
MOST_PARTS: Final = 40
_FEW: Final = 6  # bytes
_READS_NOTHING, _ENDS, _TOGETHER, _IS_LOST = 16, 32, 64, 128


class Part(NamedTuple):
    """What one peer sends, and what happens then: as bytes, two of flags and the rest."""

    peer: int
    flags: int
    content: bytes

    @property
    def sent(self) -> bytes:
        size = max(1, len(self.content))
        times = min(TIMES[self.flags >> 2 & 3], (MOST_SENT if size > _FEW else MOST_SENT << 4) // size)
        return self.content * max(1, times)

    @property
    def wait_ms(self) -> int:
        return WAITS_MS[self.flags & 3]

    @property
    def reads_nothing(self) -> bool:
        return bool(self.flags & _READS_NOTHING)

    @property
    def ends(self) -> bool:
        return bool(self.flags & _ENDS)

    @property
    def is_together(self) -> bool:
        """Whether the next part comes before the service has had a turn."""
        return bool(self.flags & _TOGETHER)

    @property
    def is_lost(self) -> bool:
        return bool(self.flags & _IS_LOST)


def parts_of(data: bytes) -> tuple[int, list[Part]]:
    """The number of the limits, and the parts of an input."""
    first, *others = data[1:].split(MARK)[:MOST_PARTS]
    parts = [Part(0, 0, first)] if first else []
    parts += [Part(one[0] % PEERS, one[1], one[2:]) for one in others if len(one) >= 2]
    return data[0] if data else 0, parts


def data_of(limits: int, parts: list[Part]) -> bytes:
    """The input that has these parts."""
    return bytes((limits,)) + b"".join(MARK + bytes((one.peer, one.flags)) + one.content for one in parts)


def written(words: list[bytes]) -> bytes:
    """A request."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


# What is sent: requests of the forms that the table of commands shows, with what may stand in them. -------------------


def _numbers(*known: int) -> Callable[[random.Random], bytes]:
    strange = (-1, 0, 1, 511, 512, 2**31 - 1, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 10**30)
    return lambda chance: b"%d" % chance.choice(known if chance.random() < 0.9 else strange)


def _some(*known: bytes) -> Callable[[random.Random], bytes]:
    return lambda chance: chance.choice(known)


def _columns(typecode: str, *known: int) -> Callable[[random.Random], bytes]:
    def make(chance: random.Random) -> bytes:
        rows = 2 if chance.random() < 0.8 else chance.randrange(5)
        return struct.pack(f"<{rows}{typecode}", *(chance.choice(known) for _ in range(rows)))

    return make


def _reason(chance: random.Random) -> bytes:
    known = (
        b"",
        b"why",
        b"sync",
        "é潮🌊".encode(),
        b"x" * 1024,
        b"x" * 1025,
        b"\xed\xa0\x80",
        b"a\0b",
        b"\r\n*1\r\n$4\r\n",
    )
    return chance.choice(known)


_TYPES: Final = (1, 4, 5, 32, 33, 511, 256, 12)
_UIDS: Final = (0, 1000, 2000, 3000, 4000, 1000)
_PIDS: Final = (1, 42, 43, 50, 60, 77, 42)
_JSON: Final = (
    b"true",
    b"false",
    b"33",
    b"1",
    b"1000",
    b'"why"',
    b"null",
    b"[]",
    b"1e400",
    b"NaN",
    b"{",
    b"-1",
    b"1.5",
    b'"\\ud800"',
)
_FIELDS: Final = (
    b"resourceTypes",
    b"isApply",
    b"timeOut",
    b"reason",
    b"isPersist",
    b"isProcess",
    b"cpuLevel",
    b"uid",
    b"\xff",
)
_name = _some(b"APPLY", b"mask", b"x", b"a name", b"", b"n" * 65, b"LIB-NAME", b"lib-ver", b"\xff")
_VALUES: Final[dict[str, Callable[[random.Random], bytes]]] = {
    "mask": lambda chance: chance.choice((_numbers(*_TYPES), _some(b"CPU", b"cpu|gps", b"TIMER|", b"|", b"--1")))(
        chance
    ),
    "type": _some(b"CPU", b"1", b"32", b"GPS", b"3", b"0"),
    "timeout_ms": _numbers(1, 1000, 1500, 60_000, 3_600_000),
    "level": _numbers(0, 1, 2),
    "reason": _reason,
    "uid": _numbers(*_UIDS),
    "pid": _numbers(*_PIDS),
    "key": _numbers(*_UIDS, *_PIDS),
    "app|process": _some(b"app", b"PROCESS", b"process", b"other"),
    "sequence": _numbers(0, 1, 2, 3, 7),
    "n": _numbers(1, 2, 1024, 1025),
    "id": _some(INSTANCE.encode(), b"other"),
    "kind,...": lambda chance: ",".join(chance.choices([*EventKind, "GRANTED", "none"], k=2)).encode(),
    "uid,...": lambda chance: b",".join(b"%d" % uid for uid in chance.choices(_UIDS, k=2)),
    "uids": _columns("I", 1000, 1000, 1000, 2000, 0, 2**32 - 1),
    "pids": _columns("I", 42, 42, 42, 43, 50, 0),
    "masks": _columns("I", *_TYPES, 0, 512),
    "timeouts_ms": _columns("Q", 1, 1000, 60_000, 0, 2**63, 2**64 - 1),
    "field": _some(*_FIELDS),
    "value": _some(*_JSON),
    "name": _name,
    "version": _some(b"2", b"3", b"3", b"3", b"4", b"x"),
    "on": _some(b"on", b"off"),
    "section": _some(b"server", b"all"),
    "0": _some(b"0", b"1"),
    "...": _some(b"password", b"user"),
    "text": _some(b"text", b"", b"\r\n$5\r\n", b"x" * 3000),
}


def _alternatives(usage: str) -> list[list[str]]:
    """The alternatives of a usage, each as its words and, in brackets, the usages that may be left out."""
    found: list[list[str]] = [[]]
    word, depth = "", 0
    for at, letter in enumerate(usage + " "):
        depth += (letter == "[") - (letter == "]")
        is_bar = letter == "|" and not depth and not (usage[at - 1].islower() and usage[at + 1].islower())
        if (letter == " " and not depth) or is_bar:
            found[-1] += [word] if word else []
            word = ""
            if is_bar:
                found.append([])
        else:
            word += letter
    return found


def drawn(usage: str, chance: random.Random) -> list[bytes]:
    """Words that a usage allows, and some that it does not."""
    words: list[bytes] = []
    for word in chance.choice(_alternatives(usage)):
        if word.startswith("["):
            inner = word[1:].rpartition("]")[0]
            repeats = chance.choice((0, 1, 2)) if inner.endswith("...]") or "..." in inner else chance.random() < 0.5
            for _ in range(repeats):
                words += drawn(inner.removesuffix(" ..."), chance)
        elif word in _VALUES:
            words.append(_VALUES[word](chance))
        elif word.isupper() or "-" in word:
            words.append(word.encode() if chance.random() < 0.9 else word.lower().encode())
        else:
            words.append(chance.choice((b"1", b"x", b"1000")))
    return words


_USUAL: Final = ("APPLY", "APPLY", "APPLY", "RELEASE", "MASK", "EVENTS", "FIND", "APPLYMANY", "ADMIN", "HELLO", "ECHO")
_NAMES: Final = sorted(COMMANDS)


def request(chance: random.Random) -> list[bytes]:
    """The words of a request that is nearly right, mostly."""
    name = chance.choice(_USUAL if chance.random() < 0.5 else _NAMES)
    if name == "QUIT" and chance.random() < 0.8:
        name = "APPLY"
    words = [name.encode() if chance.random() < 0.9 else name.title().encode(), *drawn(COMMANDS[name].usage, chance)]
    if name == "APPLY" and chance.random() < 0.3:
        words = words[:3]  # that is carried out in columns
    if chance.random() < 0.1:
        at = chance.randrange(len(words))
        spoiled = (words[:at], words[:at] + words[at + 1 :], words[: at + 1] + words[at:], [*words, b"x"])
        words = chance.choice(
            (*spoiled, [*words[:at], _VALUES[chance.choice(sorted(_VALUES))](chance), *words[at + 1 :]])
        )
    return words


HOSTILE: Final = (
    *(
        b"*1000000000\r\n",
        b"*100\r\n",
        b"*-1\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$1000000000\r\n",
        b"*1\r\n$70000\r\n",
        b"*0\r\n",
    ),
    *(
        b"%1\r\n",
        b"~1\r\n*0\r\n",
        b">1\r\n",
        b"|1\r\n",
        b"+OK\r\n",
        b":1\r\n",
        b"(1\r\n",
        b"=15\r\ntxt:",
        b"#t\r\n",
        b"_\r\n",
    ),
    *(
        b"PING\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\r\n",
        b"\n",
        b"\0\xff",
        b"*1\r\n",
        b"$4\r\n",
        b"*2\r\n$4\r\nECHO\r\n$60000\r\n",
        b"*1\r\n+PING\r\n",
    ),
    *(
        b"*1\r\n$4\r\nPINGxx",
        b"*3\r\n$5\r\nAPPLY\r\n:33\r\n",
        b"*\r\n",
        b"*1\r\n$\r\n",
        b"*01\r\n$04\r\nPING\r\n",
        b"x" * 50,
    ),
)


def content(chance: random.Random) -> bytes:
    """What a peer sends at once."""
    made = [written(request(chance)) for _ in range(chance.choice((1, 1, 2, 3, 6, 12)))]
    if chance.random() < 0.15:
        made.insert(chance.randrange(len(made) + 1), chance.choice(HOSTILE))
    data = b"".join(made)
    return data[: chance.randrange(len(data))] if data and chance.random() < 0.05 else data


def part(chance: random.Random) -> Part:
    """A part."""
    flags = chance.choice((0, 0, 0, 1, 2, 3))
    for flag, share in (
        (4, 0.1),
        (8, 0.04),
        (_READS_NOTHING, 0.05),
        (_ENDS, 0.03),
        (_TOGETHER, 0.08),
        (_IS_LOST, 0.03),
    ):
        flags |= flag * (chance.random() < share)
    return Part(chance.randrange(PEERS), flags, content(chance))


def generated(chance: random.Random) -> bytes:
    """An input."""
    return data_of(chance.randrange(256), [part(chance) for _ in range(chance.randrange(1, 9))])


def mutated(data: bytes, chance: random.Random) -> bytes:
    """An input that is like another one."""
    limits, parts = parts_of(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        what = chance.randrange(8)
        at = chance.randrange(len(parts)) if parts else 0
        if what == 0 or not parts:
            parts.insert(at, part(chance))
        elif what == 1:
            del parts[at]
        elif what == 2:
            limits = chance.randrange(256)
        elif what == 3:
            other = part(chance)
            parts[at] = chance.choice((parts[at]._replace(peer=other.peer), parts[at]._replace(flags=other.flags)))
        elif what == 4:
            parts.insert(chance.randrange(len(parts) + 1), parts[at])
        else:
            parts[at] = parts[at]._replace(content=_mutated(parts[at].content, chance))
    return data_of(limits, parts[:MOST_PARTS])


def _mutated(sent: bytes, chance: random.Random) -> bytes:
    """What is sent, with something put in, taken out or changed, mostly between two requests."""
    ends = [0, *(at + 2 for at in range(len(sent)) if sent[at : at + 3] == b"\r\n*"), len(sent)]
    begin, end = sorted(chance.choices(ends, k=2))
    what = chance.randrange(6)
    if what == 0:
        return sent[:begin] + content(chance) + sent[begin:]
    if what == 1:
        return sent[:begin] + sent[end:]
    if what == 2:
        return sent[:end] + sent[begin:end] * chance.randrange(1, 4) + sent[end:]
    if what == 3:
        return sent[:begin] + chance.choice(HOSTILE) + sent[begin:]
    if not sent:
        return content(chance)
    at = chance.randrange(len(sent))
    if what == 4:
        return sent[:at] + bytes((chance.choice(b"*$:+-%~>|=!(0123456789\r\n\x00\xff"),)) + sent[at + 1 :]
    return sent[:at]
