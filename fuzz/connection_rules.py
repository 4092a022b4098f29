"""The rules of docs/protocol.md in as few words as they need: requests, and the answers that they may have."""

import json
import re
from typing import Any, Final, NamedTuple

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


def requests_in(data: bytes, most_bytes: int = _MOST_BYTES) -> Sent:
    """Read requests by the words of docs/protocol.md alone, and not as fast as can be."""
    requests: list[list[bytes]] = []
    ends: list[int] = []
    at = 0

    def header(kind: bytes) -> int | None:
        """The number in a header; None when it is not whole."""
        nonlocal at
        end = data.find(b"\r\n", at)
        whole = data[at:] if end < 0 else data[at:end]
        if not whole:
            if end >= 0:
                raise ValueError
            return None
        digits = whole[1:].removesuffix(b"\r") if end < 0 else whole[1:]
        if whole[:1] != kind or (digits and not digits.isdigit()) or len(digits) > 21:
            raise ValueError
        if (digits or end >= 0) and digits != b"%d" % int(digits or b"0"):
            raise ValueError
        if digits and int(digits) > (MOST_WORDS if kind == b"*" else most_bytes):
            raise ValueError
        if end < 0:
            return None
        at = end + 2
        return int(digits)

    try:
        while at < len(data):
            begin = at
            count = header(b"*")
            if count is None:
                break
            words: list[bytes] = []
            while len(words) < count:
                size = header(b"$")
                if at - begin > most_bytes or at + (size or 0) + 2 - begin > most_bytes:
                    raise ValueError
                if size is None or at + size + 2 > len(data):
                    break
                words.append(data[at : at + size])
                at += size + 2  # whatever these two are
            if len(words) < count:
                break
            requests.append(words)
            ends.append(at)
    except ValueError:
        return Sent(requests, ends, True)
    return Sent(requests, ends, False)


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
