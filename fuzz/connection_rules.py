"""The rules of docs/protocol.md in as few words as they need: requests, and the answers that they may have."""

import json
import re
from typing import Any, Final, NamedTuple

from connection_inputs import written
from grantwheel.service.command import How
from grantwheel.service.commands import COMMANDS
from grantwheel.service.limits import LIMIT_WORDS, Limits
from grantwheel.service.peers import Peer
from grantwheel.service.wire import MOST_WORDS, WORDS

_MOST_BYTES: Final = Limits().request_bytes
_CODES: Final = {
    **{word: code for code, word in WORDS.items()},
    **dict.fromkeys(LIMIT_WORDS.values(), 9800001),
    "INSTANCE": 401,
}
_NUMBERS: Final = frozenset((b"APPLY", b"RELEASE", b"RESETALL", b"MASK", b"PMASK", b"COUNT", b"REQUEST", b"FLUSH"))
_OF_OTHERS: Final = frozenset(
    (*(b"MASK", b"PMASK", b"MASKS", b"HOLDERS", b"COUNT", b"FIND", b"INFOS", b"RECORDS"), b"NEXT", b"EVENTS", b"STATS")
)
_CHANGES: Final = frozenset(name.encode() for name, one in COMMANDS.items() if one.how in (How.TOGETHER, How.ALONE))


class FaultError(Exception):
    """Something that may not be."""


class Sent(NamedTuple):
    """What was sent on a connection, as far as it is requests."""

    requests: list[list[bytes]]
    ends: list[int]  # after each request
    is_wrong: bool  # what follows is the begin of none
    is_odd: bool  # an empty line stands behind a word that no line end follows: it may be passed over


def requests_in(data: bytes, most_bytes: int = _MOST_BYTES) -> Sent:
    """Read requests by the words of docs/protocol.md alone, and not as fast as can be."""
    requests: list[list[bytes]] = []
    ends: list[int] = []
    at = 0
    is_odd = is_ragged = False
    try:
        while at < len(data):
            if data.startswith(b"\r\n", at) or data[at:] == b"\r":
                is_odd = is_odd or is_ragged
                at += 2
                continue
            found = _request(data, at, most_bytes)
            if found is None:
                break
            words, end = found
            is_ragged = is_ragged or data[at:end] != written(words)
            requests.append(words)
            ends.append(end)
            at = end
    except ValueError:
        return Sent(requests, ends, True, is_odd)
    return Sent(requests, ends, False, is_odd)


def _request(data: bytes, begin: int, most_bytes: int) -> tuple[list[bytes], int] | None:
    """A request and its end, None if it is not whole; a ValueError says that it is none."""
    count, at = _header(data, begin, b"*", MOST_WORDS)
    words: list[bytes] = []
    while count is not None and len(words) < count:
        size, at = _header(data, at, b"$", most_bytes)
        end = at + (size or 0) + 2  # whatever these two are
        if at - begin > most_bytes or end - begin > most_bytes:
            raise ValueError
        if size is None or end > len(data):
            return None
        words.append(data[at : at + size])
        at = end
    return None if count is None else (words, at)


def _header(data: bytes, at: int, kind: bytes, most: int) -> tuple[int | None, int]:
    """The number in a header, None when it is not whole, and its end."""
    end = data.find(b"\r\n", at)
    line = data[at:] if end < 0 else data[at:end]
    if not line and end < 0:
        return None, at
    digits = line[1:].removesuffix(b"\r") if end < 0 else line[1:]
    if line[:1] != kind or (digits and not digits.isdigit()) or len(digits) > 21:
        raise ValueError
    if (digits or end >= 0) and digits != b"%d" % int(digits or b"0"):
        raise ValueError
    if digits and int(digits) > most:
        raise ValueError
    return (None, at) if end < 0 else (int(digits), end + 2)


def may_change(words: list[bytes], reply: Any) -> bool:
    """Whether a request may have changed something: it is a change, and was not refused."""
    if not words or words[0].upper() not in _CHANGES:
        return False
    return not isinstance(reply, Exception) or str(reply).startswith(("OUTPUT ", "UIDOUTPUT "))


def quit_place(requests: list[list[bytes]], replies: list[Any]) -> int | None:
    """How many requests there are up to the one that has ended the connection, if one has."""
    for at, words in enumerate(requests):
        if len(words) == 1 and words[0].upper() == b"QUIT" and replies[at : at + 1] == [b"OK"]:
            return at + 1
    return None


def check_error(told: str) -> None:
    """An error is of the form of docs/protocol.md."""
    found = re.fullmatch(r"([A-Z]+) (\d+) \S[^\r\n]*\(\d+: [^\r\n]+\)", told)
    if found is None:
        raise FaultError(f"no error of the protocol: {told!r}")
    if _CODES.get(found[1]) != int(found[2]) or "the log of the service" in told:
        raise FaultError(f"no error of the protocol: {told!r}")


def _is_of(peer: Peer, name: bytes, about: list[bytes]) -> bool:
    """Whether a read is about the peer itself."""
    if name in (b"MASK", b"PMASK"):
        return not about or int(about[0]) == (peer.uid if name == b"MASK" else peer.pid)
    if name == b"FIND":
        return int(about[-1]) == (peer.uid if len(about) == 1 else peer.pid)
    return name == b"EVENTS" and about[0].upper() == b"STOP"


def check_reply(words: list[bytes], reply: Any, peer: Peer, is_native: bool) -> None:
    """An answer is one to this request, and not to another, and tells nobody what is not for them."""
    if isinstance(reply, Exception) or not words:
        if not words and not isinstance(reply, Exception):
            raise FaultError(f"a request without words is answered {reply!r}")
        return
    name = words[0].upper()
    if not peer.is_admin and COMMANDS[name.decode()].is_admin:
        raise FaultError(f"{words} of {peer} is answered {reply!r}")
    if not is_native and name in _OF_OTHERS and not _is_of(peer, name, words[1:]):
        raise FaultError(f"{words} of {peer} is answered {reply!r}")
    if (name == b"ECHO" or (name == b"PING" and len(words) > 1)) and reply != words[1]:
        raise FaultError(f"{words} is answered {reply!r}")
    if name in _NUMBERS and not isinstance(reply, int):
        raise FaultError(f"{words} is answered {reply!r}")
    if name in (b"APPLYMANY", b"RELEASEMANY", b"MASKS") and len(reply) != len(words[1]):
        raise FaultError(f"{words} is answered {reply!r}")
    if name == b"STATS":
        json.loads(reply)
