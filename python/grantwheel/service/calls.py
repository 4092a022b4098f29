"""What each command does with a manager: a function for each, from the words of a request to its answer."""

import array
import asyncio
import json
import sys
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from grantwheel import BusinessError, PermissionDeniedError, Pipeline
from grantwheel._documented import read_request
from grantwheel.caller import Caller
from grantwheel.types import OwnerKind, Record, ResourceType

from .context import Session
from .words import denied, mask, number, options, text, wrong

Words = Sequence[bytes]
_MOST_RECORDS = 1024
_FLUSH_MS = 10_000
_APPLY = {b"PERSIST": 0, b"PROCESS": 0, b"REASON": 1, b"LEVEL": 1, b"ONLYHELD": 0, b"FOR": 2}
_RELEASE = {b"PROCESS": 0, b"LEVEL": 1, b"FOR": 2}


def caller(on: Session) -> Caller:
    """Return the peer as a caller, with bundle and flags."""
    peer = on.peer
    if peer.caller is not None:
        return peer.caller
    policy = on.manager.policy
    return replace(policy.callers.get(peer.uid, policy.default_caller), uid=peer.uid, pid=peer.pid)


def who(on: Session, given: Words | None, *, begins: bool = True) -> tuple[int, int, Caller | None]:
    """Return whom a call is for, and as whom it is judged: the peer, or whoever it names.

    Whom it may begin something for has to be there, and is watched; what has begun may have outlived its process.
    """
    peer = on.peer
    if given is None:
        return peer.uid, peer.pid, peer.caller
    uid, pid = number(given[0], "uid"), number(given[1], "pid")
    if (uid, pid) == (peer.uid, peer.pid):
        return uid, pid, peer.caller
    if not peer.may_act_for:
        raise denied("FOR is for peers that the policy lists")
    if begins:
        on.acts_for(uid, pid)
    return uid, pid, None


def require_native(on: Session) -> None:
    """Refuse whoever may not see what others hold."""
    try:
        on.manager.require_native(caller=caller(on))
    except PermissionDeniedError:
        raise denied("what others hold, and what becomes of it, is told to native peers") from None


# Changes, which are carried out together. ----------------------------------------------------------------------------


def apply(on: Session, words: Words, pipe: Pipeline) -> None:
    given = options(words, 3, _APPLY)
    uid, pid, judged = who(on, given.get(b"FOR"))
    call = pipe.renew if b"ONLYHELD" in given else pipe.apply
    call(
        uid,
        pid,
        mask(words[1]),
        number(words[2], "timeout_ms"),
        persist=b"PERSIST" in given,
        process=b"PROCESS" in given,
        reason=text(given[b"REASON"][0], "REASON") if b"REASON" in given else "",
        cpu_level=number(given[b"LEVEL"][0], "LEVEL") if b"LEVEL" in given else -1,
        caller=judged,
    )


def release(on: Session, words: Words, pipe: Pipeline) -> None:
    given = options(words, 2, _RELEASE)
    uid, pid, judged = who(on, given.get(b"FOR"), begins=False)
    level = number(given[b"LEVEL"][0], "LEVEL") if b"LEVEL" in given else -1
    pipe.release(uid, pid, mask(words[1]), process=b"PROCESS" in given, cpu_level=level, caller=judged)


def reset_all(on: Session, words: Words, pipe: Pipeline) -> None:
    uid, pid, judged = who(on, options(words, 1, {b"FOR": 2}).get(b"FOR"), begins=False)
    pipe.reset_all(uid, pid, caller=judged)


def request(on: Session, words: Words, pipe: Pipeline) -> None:
    if len(words) % 2 == 0:
        raise wrong("REQUEST must be followed by pairs: a field, and its value as JSON")
    fields: dict[str, Any] = {}
    for name, value in zip(words[1::2], words[2::2], strict=True):
        field = text(name, "a field")
        try:
            fields[field] = json.loads(value)
        except (ValueError, RecursionError):
            raise wrong(f"{field} must be JSON") from None
    try:
        types, is_apply, persist, process, level, timeout_ms, reason = read_request(fields)
    except BusinessError:
        on.manager.apply_request(fields, caller=caller(on))  # which refuses it too, and counts that
        raise
    uid, pid, judged = who(on, None)
    given: dict[str, Any] = {"process": process, "cpu_level": level, "caller": judged}
    if is_apply:
        pipe.apply(uid, pid, types, timeout_ms, persist=persist, reason=reason, **given)
    else:
        pipe.release(uid, pid, types, **given)


# Changes that are carried out alone. ---------------------------------------------------------------------------------


def _column(word: bytes, name: str, typecode: str) -> "array.array[int]":
    column = array.array(typecode)
    if len(word) % column.itemsize:
        raise wrong(f"{name} must have {column.itemsize} bytes for each row")
    column.frombytes(word)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _bytes_of(column: "array.array[int]") -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _rows(on: Session, words: Words, names: str, *, begins: bool) -> "list[array.array[int]]":
    columns = [
        _column(word, name, "Q" if name == "timeouts_ms" else "I")
        for word, name in zip(words[1:], names.split(), strict=True)
    ]
    for name, column in zip(names.split(), columns, strict=True):
        if len(column) != len(columns[0]):
            raise wrong(f"{name} must have as many rows as uids: {len(columns[0])}, not {len(column)}")
    peer = on.peer
    if peer.may_act_for:
        if begins:
            on.acts_for_all(words[1], words[2], columns[0], columns[1])
    elif set(columns[0]) - {peer.uid} or set(columns[1]) - {peer.pid}:
        raise denied("rows for other uids and pids are for peers that the policy lists")
    if peer.caller is not None:
        raise denied("rows are judged by the policy, which does not know this peer")
    return columns


def apply_many(on: Session, words: Words) -> bytes:
    columns = _rows(on, words, "uids pids masks timeouts_ms", begins=True)
    out = array.array("i", bytes(4 * len(columns[0])))
    on.manager.apply_many(*columns, out=out)
    return _bytes_of(out)


def release_many(on: Session, words: Words) -> bytes:
    columns = _rows(on, words, "uids pids masks", begins=False)
    out = array.array("i", bytes(4 * len(columns[0])))
    on.manager.release_many(*columns, out=out)
    return _bytes_of(out)


def admin(on: Session, words: Words) -> Any:
    what, arguments = words[1].upper(), words[2:]
    known = {b"LIST": 0, b"RESETALL": 0, b"RESETAPP": 2, b"RESETPROCESS": 2, b"DIED": 2, b"STOPPED": 1, b"REMOVED": 1}
    if what not in known:
        raise wrong(f"ADMIN must be followed by one of {', '.join(name.decode() for name in known)}")
    if len(arguments) != known[what]:
        raise wrong(f"ADMIN {what.decode()} must have {known[what]} arguments")
    manager = on.manager
    if what == b"LIST":
        return manager.admin_list()
    if what == b"RESETALL":
        return manager.admin_reset_all()
    key = number(arguments[0], "pid" if what == b"RESETPROCESS" else "uid")
    if what == b"RESETAPP":
        return manager.admin_reset_app(key, mask(arguments[1]))
    if what == b"RESETPROCESS":
        return manager.admin_reset_process(key, mask(arguments[1]))
    if what == b"DIED":
        return manager.process_died(key, number(arguments[1], "pid"))
    return manager.app_stopped(key) if what == b"STOPPED" else manager.package_removed(key)


def flush(on: Session, words: Words) -> Awaitable[bool]:
    timeout_ms = number(words[1], "timeout_ms") if len(words) > 1 else _FLUSH_MS
    if not 0 <= timeout_ms <= 10 * _FLUSH_MS:
        raise wrong(f"timeout_ms must be within 0..{10 * _FLUSH_MS}")
    return asyncio.to_thread(on.manager.flush, timeout_ms)


# Reads. --------------------------------------------------------------------------------------------------------------


def app_mask(on: Session, words: Words) -> int:
    uid = number(words[1], "uid") if len(words) > 1 else on.peer.uid
    if uid != on.peer.uid:
        require_native(on)
    return on.manager.app_mask(uid)


def process_mask(on: Session, words: Words) -> int:
    pid = number(words[1], "pid") if len(words) > 1 else on.peer.pid
    if pid != on.peer.pid:
        require_native(on)
    return on.manager.process_mask(pid)


def app_masks(on: Session, words: Words) -> bytes:
    require_native(on)
    column = _column(words[1], "uids", "I")
    out = array.array("i", bytes(4 * len(column)))
    on.manager.app_masks(column, out=out)
    return _bytes_of(out)


def holders(on: Session, words: Words) -> list[list[int]]:
    require_native(on)
    found = on.manager.holders(mask(words[1], "type"))
    return [list(found.apps), list(found.processes)]


def count(on: Session, words: Words) -> int:
    require_native(on)
    return on.manager.count(mask(words[1], "type"))


def find(on: Session, words: Words) -> list[Any] | None:
    is_process = words[1].upper() == b"PROCESS"
    if len(words) != 2 + is_process:
        raise wrong("FIND must be followed by a uid, or by PROCESS and a pid")
    key = number(words[-1], "pid" if is_process else "uid")
    if key != (on.peer.pid if is_process else on.peer.uid):
        require_native(on)
    found = on.manager.find_process(key) if is_process else on.manager.find_app(key)
    return None if found is None else _record(found)


def _record(record: Record) -> list[Any]:
    grants = [
        [int(one.type), one.persist, one.timeout_ms, one.deadline_ms, one.remaining_ms, one.reason]
        for one in record.grants
    ]
    return [record.kind, record.uid, record.pid, int(record.mask), record.bundle, record.cpu_level, grants]


def records(on: Session, words: Words) -> list[list[Any]]:
    require_native(on)
    given = options(words, 1, {b"AFTER": 2, b"COUNT": 1})
    most = count_of(given, _MOST_RECORDS)
    after = None
    if b"AFTER" in given:
        name, key = given[b"AFTER"]
        try:
            kind = OwnerKind(text(name, "AFTER").lower())
        except ValueError:
            raise wrong(f"AFTER must be followed by one of {', '.join(OwnerKind)} and a key") from None
        place = number(key, "AFTER")
        is_app = kind is OwnerKind.APP
        after = Record(kind, place if is_app else 0, 0 if is_app else place, ResourceType(0), "", -1, ())
    return [_record(one) for one in on.manager.records(after, most)]


def count_of(given: Mapping[bytes, Words], most: int) -> int:
    """Return how many are wanted, at most so many."""
    wanted = number(given[b"COUNT"][0], "COUNT") if b"COUNT" in given else most
    if not 1 <= wanted <= most:
        raise wrong(f"COUNT must be within 1..{most}")
    return wanted


def get_all(on: Session, words: Words) -> list[list[Any]]:
    return [list(row) for row in on.manager.get_all(caller=caller(on))]


def infos(on: Session, words: Words) -> list[list[list[Any]]]:
    found = on.manager.infos(caller=caller(on))
    return [[list(row) for row in rows] for rows in (found.apps, found.processes)]


def next_deadline(on: Session, words: Words) -> int | None:
    require_native(on)
    return on.manager.next_deadline()


def stats(on: Session, words: Words) -> str:
    require_native(on)
    told = on.manager.stats()
    fields = told._asdict()
    for name in ("app_grants", "process_grants"):
        fields[name] = {int(one): number for one, number in fields[name].items()}
    for name in ("advance_lateness", "delivery_lateness"):
        fields[name] = fields[name]._asdict()
    if told.log is not None:
        fields["log"] = told.log._asdict() | {"append_times": told.log.append_times._asdict()}
    if told.snapshots is not None:
        fields["snapshots"] = told.snapshots._asdict()
    return json.dumps(fields)
