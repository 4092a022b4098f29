"""The commands, each described once: for dispatch, the number of words, COMMAND DOCS and docs/protocol.md."""

from typing import Any, Final

from . import calls, sessions
from .command import Command, How
from .task_commands import TASK_COMMANDS
from .words import wrong

COMMANDS: Final[dict[str, Command]] = {
    "APPLY": Command(
        usage="mask timeout_ms [PERSIST] [PROCESS] [REASON reason] [LEVEL level] [ONLYHELD] [FOR uid pid]",
        summary="Grant types, or renew them: a deadline is extended, never shortened",
        answer="the types granted, as a number",
        run=calls.apply,
        how=How.TOGETHER,
        least=3,
    ),
    "RELEASE": Command(
        usage="mask [PROCESS] [LEVEL level] [FOR uid pid]",
        summary="Release types of the app and all its processes, or CPU of this process",
        answer="the types removed",
        run=calls.release,
        how=How.TOGETHER,
        least=2,
    ),
    "RESETALL": Command(
        usage="[FOR uid pid]",
        summary="Release every type that the bundle is allowed",
        answer="the types removed",
        run=calls.reset_all,
        how=How.TOGETHER,
        most=4,
    ),
    "APPLYMANY": Command(
        usage="uids pids masks timeouts_ms",
        summary="Apply once for each row: columns of little-endian integers of 32 bits, timeouts of 64",
        answer="a column of 32 bits: the types granted, or minus the public code",
        run=calls.apply_many,
        how=How.ALONE,
        least=5,
        most=5,
    ),
    "RELEASEMANY": Command(
        usage="uids pids masks",
        summary="Release once for each row: columns of little-endian integers of 32 bits",
        answer="a column of 32 bits: the types removed, or minus the public code",
        run=calls.release_many,
        how=How.ALONE,
        least=4,
        most=4,
    ),
    "REQUEST": Command(
        usage="field value [field value ...]",
        summary="Carry out a documented request: its fields, each with its value as JSON",
        answer="the types in effect",
        run=calls.request,
        how=How.TOGETHER,
    ),
    "MASK": Command(
        usage="[uid]",
        summary="Tell which types an app holds; of another uid for native peers",
        answer="the types",
        run=calls.app_mask,
        most=2,
    ),
    "PMASK": Command(
        usage="[pid]",
        summary="Tell which types a process holds; of another pid for native peers",
        answer="the types",
        run=calls.process_mask,
        most=2,
    ),
    "MASKS": Command(
        usage="uids",
        summary="Tell which types many apps hold: a column of 32 bits; for native peers",
        answer="a column of 32 bits",
        run=calls.app_masks,
        least=2,
        most=2,
    ),
    "HOLDERS": Command(
        usage="type",
        summary="Tell who holds a type; for native peers",
        answer="the uids of apps, and the pids of processes, ascending",
        run=calls.holders,
        least=2,
        most=2,
    ),
    "COUNT": Command(
        usage="type",
        summary="Tell how many owners hold a type; for native peers",
        answer="a number",
        run=calls.count,
        least=2,
        most=2,
    ),
    "FIND": Command(
        usage="uid|PROCESS pid",
        summary="Tell all that an app or a process holds; of others for native peers",
        answer="a record, or nil",
        run=calls.find,
        least=2,
        most=3,
    ),
    "GETALL": Command(
        usage="",
        summary="Tell all grants of the peer's uid and its processes",
        answer="rows: types, timeout, remaining, persistent, for process, reason, uid, pid, level",
        run=calls.get_all,
        most=1,
    ),
    "INFOS": Command(
        usage="",
        summary="Tell every record, without its grants; for native peers",
        answer="rows of apps, and of processes: uid, pid, types, bundle, level",
        run=calls.infos,
        most=1,
    ),
    "RECORDS": Command(
        usage="[AFTER app|process key] [COUNT n]",
        summary="Tell a page of records, apps before processes; for native peers",
        answer="records: kind, uid, pid, types, bundle, level, grants",
        run=calls.records,
    ),
    "NEXT": Command(
        usage="",
        summary="Tell when the next deadline is; for native peers",
        answer="an instant, or nil",
        run=calls.next_deadline,
        most=1,
    ),
    "EVENTS": Command(
        usage="[LAST|AFTER sequence [COUNT n]|FOLLOW [AFTER sequence]|STOP] [INSTANCE id] [KINDS kind,...] "
        "[UIDS uid,...]",
        summary="Read events, or have them pushed (RESP3); for native peers",
        answer="LAST: the last number. AFTER: the number to go on after, how many were missed, the events. "
        "FOLLOW: the number after which pushes begin, each of which is `events` and the same three",
        run=sessions.events,
        how=How.READ,
    ),
    "STATS": Command(
        usage="",
        summary="Tell the numbers of the manager; for native peers",
        answer="JSON",
        run=calls.stats,
        most=1,
    ),
    "ADMIN": Command(
        usage="LIST|RESETALL|RESETAPP uid mask|RESETPROCESS pid mask|DIED uid pid|STOPPED uid|REMOVED uid",
        summary="Administrate: list everything, take types away, tell of deaths; for administrators",
        answer="a text, or the types or numbers that a manager returns",
        run=calls.admin,
        how=How.ALONE,
        least=2,
        most=4,
        is_admin=True,
    ),
    "FLUSH": Command(
        usage="[timeout_ms]",
        summary="Wait until all so far is on record; for administrators",
        answer="1, or 0 when the time was up",
        run=calls.flush,
        how=How.ALONE,
        most=2,
        is_admin=True,
    ),
    "POLICY": Command(
        usage="RELOAD",
        summary="Read the policy file again; for administrators",
        answer="OK",
        run=sessions.policy,
        how=How.ALONE,
        least=2,
        most=2,
        is_admin=True,
    ),
    "SHUTDOWN": Command(
        usage="",
        summary="End the service when all that has come is answered; for administrators",
        answer="OK",
        run=sessions.shutdown,
        how=How.ALONE,
        most=1,
        is_admin=True,
    ),
    **TASK_COMMANDS,
    "HELLO": Command(
        usage="[version [SETNAME name]]",
        summary="Choose RESP2 or RESP3, and tell who answers. AUTH is refused: the kernel says who calls",
        answer="a map",
        run=sessions.hello,
        how=How.SESSION,
    ),
    "AUTH": Command(
        usage="...",
        summary="Refused: the kernel says who calls",
        answer="an error",
        run=sessions.auth,
        how=How.SESSION,
    ),
    "PING": Command(
        usage="[text]", summary="Answer", answer="PONG, or the text", run=sessions.ping, how=How.SESSION, most=2
    ),
    "ECHO": Command(
        usage="text", summary="Answer the text", answer="the text", run=sessions.echo, how=How.SESSION, least=2, most=2
    ),
    "CLIENT": Command(
        usage="ID|GETNAME|SETNAME name|SETINFO name value|NO-EVICT on|NO-TOUCH on",
        summary="Tell about the connection, or name it",
        answer="a number, a name, or OK",
        run=sessions.client,
        how=How.SESSION,
        least=2,
    ),
    "COMMAND": Command(
        usage="[DOCS [name ...]|COUNT|INFO [name ...]|LIST]",
        summary="Describe the commands",
        answer="what Redis answers",
        run=lambda _, words: describe(words),
        how=How.SESSION,
    ),
    "INFO": Command(
        usage="[section ...]",
        summary="Tell about the service, as text: all of it, or what is asked for of Server, Clients, Stats, Limits",
        answer="lines of name:value",
        run=sessions.info,
        how=How.SESSION,
    ),
    "SELECT": Command(
        usage="0", summary="There is one database", answer="OK", run=sessions.select, how=How.SESSION, least=2, most=2
    ),
    "RESET": Command(
        usage="",
        summary="Back to RESP2, without name and pushes",
        answer="RESET",
        run=sessions.reset,
        how=How.SESSION,
        most=1,
    ),
    "QUIT": Command(
        usage="", summary="End the connection", answer="OK", run=sessions.quit_it, how=How.SESSION, most=1
    ),
}  # fmt: skip

_GROUPS = {
    How.TOGETHER: "grants",
    How.TASKS: "tasks",
    How.ALONE: "grants",
    How.READ: "queries",
    How.SESSION: "connection",
}


def describe(words: "sessions.Words") -> Any:
    """Return what COMMAND answers."""
    what = words[1].upper() if len(words) > 1 else b"INFO"
    names = [word.decode("utf-8", "replace").upper() for word in words[2:]]
    chosen = {name: COMMANDS[name] for name in (names or COMMANDS) if name in COMMANDS}
    if what == b"DOCS":
        return {name.lower(): _docs(name, one) for name, one in chosen.items()}
    if what == b"COUNT":
        return len(COMMANDS)
    if what == b"LIST":
        return [name.lower() for name in COMMANDS]
    if what == b"INFO":
        return [_info(name) if name in COMMANDS else None for name in (names or COMMANDS)]
    raise wrong("COMMAND must be followed by DOCS, COUNT, LIST or INFO")


def _docs(name: str, command: Command) -> dict[str, Any]:
    return {
        "summary": command.summary,
        "since": "0.1.0",
        "group": "tasks" if name in TASK_COMMANDS else _GROUPS[command.how],
        "arguments": [
            {"name": word, "type": "string", "display_text": word} for word in arguments(command.usage)
        ],
    }  # fmt: skip


def arguments(usage: str) -> list[str]:
    """Return the words of a usage, what stands in brackets as one."""
    found: list[str] = []
    depth = 0
    for word in usage.split():
        if depth:
            found[-1] += " " + word
        else:
            found.append(word)
        depth += word.count("[") - word.count("]")
    return found


def _info(name: str) -> list[Any]:
    command = COMMANDS[name]
    arity = command.least if command.least == command.most else -command.least
    flags = ["write" if command.how in (How.TOGETHER, How.TASKS, How.ALONE) else "readonly", "fast"]
    # It has no keys, and none of what Redis tells at the end: categories, tips, key specifications, subcommands.
    return [name.lower(), arity, flags, 0, 0, 0, [], [], [], []]
