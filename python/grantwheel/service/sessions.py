"""What commands do that are about a connection, or the service, rather than about grants."""

import os
import time
from collections.abc import Sequence
from typing import Any, Final

from grantwheel import __version__

from . import calls, streams
from .context import Session, Stream
from .limits import LIMIT_WORDS
from .task_calls import require_own_or_native
from .words import OK, Simple, denied, number, options, text, wrong

Words = Sequence[bytes]
_NAME_BYTES: Final = 64


_NO_AUTH: Final = "AUTH is refused: the kernel says who calls, and no password can say otherwise"


def hello(on: Session, words: Words) -> dict[str, Any]:
    version = on.version
    if len(words) > 1:
        version = number(words[1], "version")
        if version not in (2, 3):
            raise wrong("HELLO must be followed by 2 or 3")
        if any(word.upper() == b"AUTH" for word in words[2:]):
            raise denied(_NO_AUTH)
        given = options(words, 2, {b"SETNAME": 1})
        if b"SETNAME" in given:
            on.name = _name(given[b"SETNAME"][0])
    on.set_version(version)
    return {
        "server": "grantwheel",
        "version": __version__,
        "proto": version,
        "id": on.number,
        "instance": on.server.instance,
        "task_instance": on.server.task_instance,
        "mode": "standalone",
        "role": "master",
        "modules": [],
    }


def _name(word: bytes) -> str:
    name = text(word, "name")
    if len(word) > _NAME_BYTES or not all(33 <= ord(letter) <= 126 for letter in name):
        raise wrong(f"name must have at most {_NAME_BYTES} letters of ASCII without spaces")
    return name


def auth(on: Session, words: Words) -> Any:
    raise denied(_NO_AUTH)


def ping(on: Session, words: Words) -> Any:
    return words[1] if len(words) > 1 else Simple("PONG")


def echo(on: Session, words: Words) -> bytes:
    return words[1]


def client(on: Session, words: Words) -> Any:
    what, arguments = words[1].upper(), words[2:]
    if what == b"ID" and not arguments:
        return on.number
    if what == b"GETNAME" and not arguments:
        return on.name or None
    if what == b"SETNAME" and len(arguments) == 1:
        on.name = _name(arguments[0]) if arguments[0] else ""
        return OK
    if what == b"SETINFO" and len(arguments) == 2:
        if arguments[0].upper() not in (b"LIB-NAME", b"LIB-VER"):
            raise wrong("CLIENT SETINFO must be followed by LIB-NAME or LIB-VER")
        return OK
    if what in (b"NO-EVICT", b"NO-TOUCH") and len(arguments) == 1:
        return OK
    raise wrong("CLIENT must be followed by ID, GETNAME, SETNAME and a name, or SETINFO, a name and a value")


def select(on: Session, words: Words) -> Any:
    if words[1] != b"0":
        raise wrong("SELECT must be followed by 0: there is one database")
    return OK


def reset(on: Session, words: Words) -> Any:
    on.name = ""
    on.set_version(2)
    return Simple("RESET")


def quit_it(on: Session, words: Words) -> Any:
    on.end_after_answers()
    return OK


def info(on: Session, words: Words) -> str:
    server = on.server
    sections: dict[str, dict[str, Any]] = {
        "Server": {
            "grantwheel_version": __version__,
            "process_id": os.getpid(),
            "instance": server.instance,
            "task_instance": server.task_instance,
            "uptime_in_seconds": int(time.monotonic() - server.began),
        },
        "Clients": {"connected_clients": server.connected},
        "Stats": {
            "total_connections_received": server.accepted,
            "total_commands_processed": server.answered,
            "rejected_connections": server.refused,
            "turns": server.turns,
        },
        "Limits": {f"{name}_met": server.met[name] for name in LIMIT_WORDS},
    }
    asked = {text(word, "section").lower() for word in words[1:]}
    lines: list[str] = []
    for title, told in sections.items():
        if not asked or not asked.isdisjoint((title.lower(), "all", "default", "everything")):
            lines += [f"# {title}", *(f"{name}:{value}" for name, value in told.items())]
    return "".join(f"{line}\r\n" for line in lines)


def events(on: Session, words: Words) -> Any:
    if not _is_stop(words):
        calls.require_native(on)
    return _events_of(on, words, on.server.streams["events"])


def task_events(on: Session, words: Words) -> Any:
    return _events_of(on, words, on.server.streams["taskevents"])


def _is_stop(words: Words) -> bool:
    return len(words) == 2 and words[1].upper() == b"STOP"


def _events_of(on: Session, words: Words, stream: Stream) -> Any:
    """Read events, or have them pushed."""
    if _is_stop(words):
        on.follow_no_more(stream.name)
        return OK
    what = words[1].upper() if len(words) > 1 else b"LAST"
    if what == b"LAST" and len(words) <= 2:
        return stream.last
    is_followed = what == b"FOLLOW"
    if not is_followed and what != b"AFTER":
        raise wrong(f"{words[0].decode().upper()} must be followed by AFTER, FOLLOW, STOP or LAST")
    if is_followed and on.version != 3:
        raise wrong(f"{words[0].decode().upper()} FOLLOW needs RESP3: say HELLO 3 before, or read pages with AFTER")
    known = {b"AFTER": 1, b"INSTANCE": 1, b"KINDS": 1, b"UIDS": 1} | ({} if is_followed else {b"COUNT": 1})
    given = options(words, 1 + is_followed, known)
    wanted = streams.wanted(stream, given)
    if stream.name == "taskevents":
        require_own_or_native(on, wanted[1])
    after = streams.place(stream, given)
    if is_followed:
        on.follow(stream.name, after, wanted)
        return after
    return streams.page(stream, after, calls.count_of(given, streams.MOST), wanted)


def policy(on: Session, words: Words) -> Any:
    if words[1].upper() != b"RELOAD":
        raise wrong("POLICY must be followed by RELOAD")
    try:
        on.server.reload()
    except (OSError, ValueError) as error:
        raise wrong(f"the policy stays as it was: {error}") from error
    return OK


def shutdown(on: Session, words: Words) -> Any:
    on.server.ask_to_end()
    return OK
