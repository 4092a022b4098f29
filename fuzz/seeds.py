"""Writes the seeds of the C++ targets, ``fuzz/corpus/TARGET/NAME``: what each byte is chosen for is said here.

The bytes are those that ``bytes.hpp`` reads. A seed need not be exact to be of use: it brings a target near to what its
name says, and the fuzzer takes it from there.
"""

import sys
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

# Choices of a manager's call: `Run::act` in manager_fuzz.cpp, and how time goes on before it.
REQUEST, REGISTERED, RESET_ALL, END, ADVANCE, ACROSS, ONE, POLICY = 0, 8, 10, 11, 12, 13, 14, 15
SWITCHES, HOLD, EXECUTE, JOURNAL, BATCH, BACK, QUERIES, LIMITS, START = range(16, 25)
TICK, MANY_TICKS, POWER, SLOT_END, LEVEL_END, BEFORE, DEADLINE = range(1, 8)

CPU, CPU_GPS, EVERYTHING, RETAINED = b"\0", b"\1", b"\2", b"\3"
A_TICK, POWER_OF_2, LONGEST, SLOTS = b"\0", b"\1", b"\2", b"\5"
TIMED, PERSISTENT, PROCESS, RELEASE, WITH_LEVEL = 0, 0x30, 4, 3, 8


def limits(records: int, strings: int, ring: int, start: int = 0, eager: int = 0) -> bytes:
    """The places of the limits in their tables, of the start in its own, and 3 for a manager that is driven eagerly."""
    return bytes((records, strings, ring, start, eager))


def call(kind: int, time: int = 0, more: bytes = b"") -> bytes:
    """The byte of a call, before which time goes on, and what that needs."""
    return bytes((time << 5 | kind,)) + more


def word(number: int) -> bytes:
    """One of the short texts."""
    return bytes((0, 4, number))


def key(number: int) -> bytes:
    """A uid or a pid below 256."""
    return bytes((number,)) if number < 6 else bytes((200, number))


def request(uid: int, pid: int, mask: bytes, timeout: bytes, flags: int = TIMED, text: int = 3) -> bytes:
    """A caller, its flags and bundle; flags, mask, level, timeout and reason of a request; whether in one step."""
    level = b"\3" if flags & WITH_LEVEL else b""
    return key(uid) + key(pid) + b"\0" + word(text) + bytes((flags,)) + mask + level + timeout + word(4) + b"\1"


def managers() -> dict[str, bytes]:
    """The seeds of manager_fuzz by what they exercise."""
    small, large = limits(3, 2, 3), limits(6, 5, 11)
    apply = call(REQUEST) + request(1, 1, CPU_GPS, SLOTS + b"\1")
    both = call(REQUEST) + request(1, 1, CPU_GPS, SLOTS + b"\2", PROCESS)
    other = call(REQUEST) + request(2, 1, CPU, LONGEST, PROCESS)
    forever = call(REQUEST) + request(1, 2, RETAINED, A_TICK, PERSISTENT)
    renewal = call(REQUEST, TICK) + request(1, 1, CPU_GPS, POWER_OF_2 + b"\x14")
    everything = call(ADVANCE) + b"\7"
    policy = call(POLICY) + bytes((0x25,)) + b"\4\3" + b"\5" + b"\4\3" + b"\0\0\1" + b"\1" + b"\4\3\1"
    soon = [call(REQUEST) + request(1, n, CPU, SLOTS + bytes((n % 3,)), PROCESS) for n in range(12)]
    late = call(REQUEST) + request(1, 1, CPU, SLOTS + b"\0")
    at_once = b"".join(call(REQUEST) + request(1, n, CPU, SLOTS + b"\1", PROCESS) for n in range(12))
    stop = call(END, LEVEL_END, b"\1") + bytes((1, 1, 1))
    return {
        "memory-in-advance": (limits(7, 5, 11) + apply + everything).ljust(64, call(ADVANCE, TICK)),
        "apply-and-expire": large + apply + call(ADVANCE, DEADLINE) + b"\7",
        "cascade": large + both + apply + call(REQUEST) + request(1, 1, EVERYTHING, A_TICK, RELEASE),
        "due-in-a-cascade": large + b"".join(soon[:6]) + late + stop,
        "many-due-at-once": large + at_once + call(ADVANCE, DEADLINE) + b"\7",
        "pid-reused": large + both + other + call(ONE) + bytes((1, 1, 5, 9, 0, 9)),
        "renewed-and-rearmed": large + apply + renewal + call(ADVANCE, DEADLINE) + b"\1" + everything,
        "slices-of-one": large + both + other + apply + (call(ADVANCE, LEVEL_END, b"\1") + b"\1") * 4,
        "persistent-and-stopped": large + forever + call(END) + bytes((1, 1, 1)) + call(END) + bytes((2, 1, 1)),
        "limits-met": small + b"".join(call(REQUEST) + request(n, n, CPU_GPS, LONGEST, text=n % 6) for n in range(9)),
        "ring-of-one": limits(4, 4, 0) + apply + both + call(ADVANCE, DEADLINE) + b"\1" + everything,
        "eager-ring": limits(4, 4, 1, 0, 3) + apply + both + call(ADVANCE, DEADLINE) + b"\1" + everything,
        "last-instant": limits(6, 5, 11, 8) + call(REQUEST) + request(1, 1, CPU, LONGEST) + call(ACROSS) + b"\0\1\0",
        "far-deadlines": large + call(REQUEST) + request(1, 1, CPU, LONGEST) + call(ADVANCE, POWER, b"\x28") + b"\7",
        "policy-and-quota": large
        + policy
        + call(REGISTERED)
        + request(1, 1, CPU, SLOTS + b"\0", WITH_LEVEL)
        + b"\0"
        + apply,
        "not-ready": large + call(SWITCHES) + b"\3" + apply + call(END) + bytes((1, 1, 1)) + call(QUERIES) + b"\1\1\0",
        "held-and-executed": large + call(HOLD) + request(1, 1, CPU, A_TICK)[:-1] + call(EXECUTE, TICK) + everything,
        "journal": large + b"".join(call(JOURNAL) + request(1, 1, CPU, A_TICK)[:-1] + bytes((n,)) for n in range(11)),
        "batch": large + call(BATCH) + b"\x13\1" + CPU_GPS + SLOTS + b"\1\1" + call(BATCH) + b"\x13\1" + CPU + A_TICK,
        "wrong-instants": large + apply + call(BACK, TICK) + b"\1\2\3\4\5\6\7\1" + call(BACK) + b"\1\2\3\4\5\6\7\0",
        "wrong-limits": large + b"".join(call(LIMITS) + bytes((n % 2, n)) for n in range(4)),
        "a-start": large
        + both
        + apply
        + call(START, TICK)
        + b"\0\7"
        + call(START)
        + b"\1\3\3\1"
        + call(START)
        + b"\2\1\2\0\1\1\1"
        + everything,
        "reads": large + both + b"".join(call(ACROSS) + bytes((1, 1, n, 2, 5)) for n in range(5)) + call(RESET_ALL),
        "own-texts": large + apply + call(REQUEST) + b"\2\2\0" + b"\7\1\1\1" + b"\0\0\0" + b"\7\1\1\0",
        "not-utf-8": large + call(REQUEST) + b"\1\1\0" + b"\0\2\3\xed\xa0\x80" + b"\0\0\0" + word(5),
        "characters": large + call(REQUEST) + b"\1\1\0" + b"\0\2\x0a\xc3\xa9\xe6\xbd\xae\xf0\x9f\x8c\x8ax" + b"\0\0\0",
        "long-texts": large + call(REQUEST) + b"\1\1\0" + b"\0\1\0\4\0" + b"\0\0\0" + b"\0\1\1\4\0" + b"\1",
    }


def capi() -> dict[str, bytes]:
    """The seeds of capi_fuzz: four bytes of limits, then for each call time, the call, and plain arguments."""
    start = b"\4\4\4\0"
    whole = {name: number for number, name in enumerate(("perform", "", "", "", "", "reset-all", "death"))}
    names = (
        *("administration", "admit", "admit-others", "execute", "execute-more", "queries", "change-many", "app-masks"),
        *("advance", "next-deadline", "find", "owners-of", "owners", "numbers", "read", "set-policy", "ready-or-anew"),
    )
    kinds = {name: number for name, number in whole.items() if name} | dict(zip(names, range(7, 24), strict=True))
    apply = bytes((0, 0, 0, 4, 1, 1, 1, 0, 0)) + bytes((4, 1, 0, 0, 0, 1, 5)) + bytes(12)
    plain = {name: start + apply + bytes((0, kind)) + bytes(range(1, 40)) for name, kind in kinds.items()}

    # A host that asks its quota itself, and a call between batches whose request is null.
    quota = bytes((0, kinds["set-policy"], 16, 1)) + bytes(21)
    nothing = bytes((0, kinds["perform"])) + bytes(16) + b"\xff" + bytes(5)

    def batch(is_apply: int, time: int = 0) -> bytes:
        columns = b"".join(b"\0" + bytes(row) for row in (*[(1, 0, 2, 0, 3, 0, 4, 0)] * 2, (1, 0) * 4, (9, 0) * 4))
        return bytes((time, kinds["change-many"], 4)) + columns + bytes((0, is_apply, 0, 0, 0, 0))

    settled = start + quota + batch(1) + batch(0) + nothing + batch(1) + batch(1, time=191) + nothing
    return plain | {"quota-and-batches": settled}


def connections() -> dict[str, bytes]:
    """The seeds of connection_fuzz: a byte of limits, and parts: a mark, a peer, flags, and what is sent."""
    reads_nothing, ends, together, is_lost = 16, 32, 64, 128
    a_second, an_hour, forty_times, many_times = 2, 3, 8, 12
    mail, other_of_mail, native, administrator, music = range(5)

    def part(peer: int, *requests: str | bytes, flags: int = 0) -> bytes:
        """Words between spaces are a request; bytes are sent as they are."""
        sent = b""
        for one in requests:
            words = [word.encode() for word in one.split()] if isinstance(one, str) else []
            sent += b"*%d\r\n" % len(words) if words else b""
            sent += b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            sent += one if isinstance(one, bytes) else b""
        return b"\xff\xfe\xfd" + bytes((peer, flags)) + sent

    apply = part(mail, "APPLY 1 1000", "APPLY CPU|GPS 60000 REASON sync", "MASK", "GETALL", "FIND 1000")
    plain = part(mail, *["APPLY 4 1000"] * 8)
    follow = part(native, "HELLO 3 SETNAME x", "EVENTS FOLLOW AFTER 0 KINDS app_apply,app_reset")
    columns = (b"\xe8\3\0\0", b"*\0\0\0", b"\1\0\0\0", b"\xe8\3\0\0\0\0\0\0")
    many = b"*5\r\n$9\r\nAPPLYMANY\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in columns)
    asked = b"*3\r\n$7\r\nREQUEST\r\n$13\r\nresourceTypes\r\n$1\r\n1\r\n"
    half = part(mail, "PING", b"*2\r\n$4\r\nECHO\r\n$70000\r\n")
    filler = part(mail, b"x", flags=many_times)
    stopped = b"".join(part(peer, "PING", flags=together | many_times) for peer in range(5))
    return {
        "apply-and-read": b"\0" + apply + part(other_of_mail, "RELEASE CPU", "RESETALL", flags=an_hour) + apply,
        "columns": b"\0" + part(administrator, many, many, "RECORDS COUNT 1", "APPLY 1 1000 FOR 1000 42"),
        "plain": b"\x10" + plain + part(mail, "APPLY 1 1", "apply 4 99999999999", "APPLY 512 1", "APPLY 5 5 PROCESS"),
        "few-records": b"\x18" + apply + plain + part(music, "APPLY 511 9000 PERSIST REASON w LEVEL 1", asked),
        "administration": b"\0" + apply + part(administrator, "ADMIN LIST", "ADMIN RESETAPP 1000 1", "POLICY RELOAD"),
        "waiting": b"\x10" + part(administrator, "FLUSH", "PING", "FLUSH 5", "QUIT") + part(administrator, "FLUSH"),
        "waiting-lost": b"\0" + part(administrator, "FLUSH", *["PING"] * 9, flags=is_lost) * 4,
        "stopped": b"\0" + part(administrator, "SHUTDOWN") + stopped,
        "words": b"\5" + part(mail, b"*99\r\n") + part(mail, b"$900\r\n%b\r\n" % (b"x" * 900), flags=many_times) * 9,
        "longest": b"\5" + (part(mail, b"*2\r\n$4\r\nECHO\r\n$65510\r\n") + filler + part(mail, "PING")) * 2,
        "too-much-together": b"\5" + half + (part(other_of_mail, b"*1\r\n$65000\r\n") + filler) * 2,
        "others": b"\0" + part(other_of_mail, "MASK 1000", "MASK 0", "FIND 2000", "PMASK 42", "COUNT 1", "STATS"),
        "follow": b"\0" + follow + apply + plain + part(native, "EVENTS STOP", "RESET", "EVENTS AFTER 0 COUNT 2"),
        "follow-unread": b"\x08" + follow + part(native, "INFO", "COMMAND", flags=reads_nothing) + apply * 4 + follow,
        "follow-closed": b"\0"
        + follow
        + part(native, "COMMAND DOCS", flags=reads_nothing)
        + apply * 3
        + part(native, b"*x\r\n"),
        "session": b"\0" + part(mail, "HELLO", "CLIENT ID", "CLIENT SETNAME x", "SELECT 0", "COMMAND DOCS", "AUTH x"),
        "too-long": b"\5" + half + filler + part(mail, "PING"),
        "unread": b"\5" + part(mail, "COMMAND DOCS", "PING", flags=reads_nothing | forty_times) + half + filler,
        "stalled": b"\6" + part(mail, "COMMAND DOCS", flags=reads_nothing | an_hour) + apply,
        "too-many": b"\6" + apply + part(other_of_mail, "PING") + part(native, "PING") + part(music, "PING"),
        "too-often": b"\7" + apply + plain + part(other_of_mail, "MASK", "QUIT", "MASK", flags=a_second) + plain,
        "together": b"\0" + part(mail, "APPLY 1 9", "ECHO a", flags=together) + part(native, "ECHO b", "MASK 1000"),
        "ends": b"\0" + part(mail, "APPLY 1 9", b"*2\r\n", flags=ends) + part(mail, "MASK", flags=is_lost) + apply,
        "empty-lines": b"\0"
        + part(mail, b"\r\n", "PING", b"\r\n\r\n", "APPLY 4 1000", "MASK", b"\r\n")
        + part(mail, "PING"),
        "no-request": b"\0"
        + apply
        + part(mail, "PING", b"PING\r\n")
        + part(native, b"*100\r\n")
        + part(music, b"%1\r\n"),
    }


def all_of_them() -> dict[str, dict[str, bytes]]:
    """The seeds of each target."""
    return {"manager_fuzz": managers(), "capi_fuzz": capi(), "connection_fuzz": connections()}


def main() -> int:
    """Write them all."""
    for target, seeds in all_of_them().items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, seed in seeds.items():
            (CORPUS / target / name).write_bytes(seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
