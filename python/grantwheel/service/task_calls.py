"""What each command of tasks does: a function for each, from the words of a request to its answer."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from grantwheel.caller import Caller
from grantwheel.tasks.tasks import Tasks
from grantwheel.tasks.values import Ability
from grantwheel.types import BackgroundMode

from . import calls
from .context import Calls, Session
from .deaths import NotWatchedError
from .policy_file import bundle_of_uid
from .words import OK, limited, number, options, require_length, text, wrong

Words = Sequence[bytes]
_FOR: Final = {b"FOR": 2}
_OF_ABILITY: Final = {b"ABILITYID": 1, b"FOR": 2}
_MODES: Final = {mode.name: int(mode) for mode in BackgroundMode}
_MOST_NAME_BYTES: Final = 255  # of a callback
_MOST_MODES_BYTES: Final = 1024
_MOST_TASKS: Final = 1024  # in one answer


def _nothing() -> None:
    """Stand for a callback: the one who has it hears of its turn from the events."""


def _caller(on: Session, given: Mapping[bytes, Words], *, begins: bool) -> Caller:
    """Return who calls: the peer, or whoever it names, with what the policy says of the uid."""
    uid, pid, judged = calls.who(on, given.get(b"FOR"), begins=begins)
    if judged is not None:
        return judged
    policy = on.manager.policy
    known = policy.callers.get(uid, policy.default_caller)
    # Tasks are of a bundle. Whoever may have everything needs none in the policy, and has one of its own here.
    bundle = known.bundle or (bundle_of_uid(uid) if known.system_app else "")
    return replace(known, uid=uid, pid=pid, bundle=bundle)


def _ok(change: Callable[[Tasks], None]) -> Callable[[Tasks], Any]:
    """Return what makes a call of tasks that answers nothing but that it was carried out."""

    def call(tasks: Tasks) -> Any:
        change(tasks)
        return OK

    return call


# Transient tasks. ----------------------------------------------------------------------------------------------------


def suspend_delay(on: Session, words: Words, together: Calls) -> None:
    given = options(words, 3, _FOR)
    reason, name = text(words[1], "reason"), text(words[2], "callback")
    if not 1 <= len(words[2]) <= _MOST_NAME_BYTES:
        raise wrong(f"callback must be a name of 1..{_MOST_NAME_BYTES} bytes")
    # A callback is in the process that has connected, whomever it speaks for: no other one can take its name.
    peer, who = on.peer, _caller(on, given, begins=True)
    name = f"{peer.uid}/{peer.pid}/{name}"
    together.append(lambda tasks: list(tasks.request_suspend_delay(reason, _nothing, caller=who, name=name)))


def cancel_delay(on: Session, words: Words, together: Calls) -> None:
    given = options(words, 2, _FOR)
    request_id, who = number(words[1], "id"), _caller(on, given, begins=False)
    together.append(_ok(lambda tasks: tasks.cancel_suspend_delay(request_id, caller=who)))


def remaining_delay(on: Session, words: Words) -> int:
    given = options(words, 2, _FOR)
    return on.server.tasks.remaining_delay_time(number(words[1], "id"), caller=_caller(on, given, begins=False))


def transient_info(on: Session, words: Words) -> list[Any]:
    given = options(words, 1, _FOR)
    info = on.server.tasks.transient_task_info(caller=_caller(on, given, begins=False))
    return [info.remainingQuota, [list(one) for one in info.transientTasks]]


# Continuous tasks. ---------------------------------------------------------------------------------------------------


def _ability(words: Words, given: Mapping[bytes, Words]) -> Ability:
    return Ability(
        text(words[1], "ability"), number(given[b"ABILITYID"][0], "ABILITYID") if b"ABILITYID" in given else 0
    )


def _modes(word: bytes) -> list[int]:
    """Return modes that are given by number or by name, joined by commas; 1..9 is for the tasks to check."""
    require_length(word, "modes", _MOST_MODES_BYTES)
    return [_mode(one) for one in text(word, "modes").upper().split(",")] if word else []


def _mode(one: str) -> int:
    if one in _MODES:
        return _MODES[one]
    try:
        return int(one)
    except ValueError:
        raise wrong(f"modes must be numbers or names joined by commas: {', '.join(_MODES)}") from None


def start_running(on: Session, words: Words, together: Calls) -> None:
    given = options(words, 4, _OF_ABILITY)
    ability, modes, agent = _ability(words, given), _modes(words[2]), bool(words[3])
    who, server = _caller(on, given, begins=True), on.server

    def admit(count: int) -> None:
        most = server.limits.tasks_per_uid
        if count >= most:
            # It is counted when it is answered: where the log refuses what it is made together with, it is asked again.
            raise limited("tasks_per_uid", f"uid {who.uid} may have at most {most} continuous tasks")

    together.append(lambda tasks: tasks.start_background_running(ability, modes, agent, caller=who, admit=admit))


def update_running(on: Session, words: Words, together: Calls) -> None:
    given = options(words, 3, _OF_ABILITY)
    ability, modes = _ability(words, given), _modes(words[2])
    who = _caller(on, given, begins=False)
    together.append(_ok(lambda tasks: tasks.update_background_running(ability, modes, caller=who)))


def stop_running(on: Session, words: Words, together: Calls) -> None:
    given = options(words, 2, _OF_ABILITY)
    ability, who = _ability(words, given), _caller(on, given, begins=False)
    together.append(_ok(lambda tasks: tasks.stop_background_running(ability, caller=who)))


def running(on: Session, words: Words) -> list[list[Any]]:
    given = options(words, 1, {b"UID": 1, b"ALL": 0, b"AFTER": 1, b"COUNT": 1})
    if b"UID" in given and b"ALL" in given:
        raise wrong("RUNNING is of one UID or of ALL")
    own = calls.caller(on).uid
    uid = None if b"ALL" in given else number(given[b"UID"][0], "UID") if b"UID" in given else own
    after = number(given[b"AFTER"][0], "AFTER") if b"AFTER" in given else 0
    most = calls.count_of(given, _MOST_TASKS)
    if uid != own:
        calls.require_native(on)
    found = [task for task in on.server.tasks.continuous_tasks(uid) if task.id > after]
    return [
        [task.id, task.uid, task.pid, task.bundle, *task.ability, list(map(int, task.modes))] for task in found[:most]
    ]


def keeps_running(on: Session, words: Words) -> bool:
    own = calls.caller(on).uid
    uid = number(words[1], "uid") if len(words) > 1 else own
    if uid != own:
        calls.require_native(on)
    return on.server.tasks.keeps_running(uid)


# Who may read which events, and what the host tells. -----------------------------------------------------------------


def require_own_or_native(on: Session, uids: frozenset[int] | None) -> None:
    """Refuse whoever may not see the events of these uids; None: of all."""
    if uids is not None and (on.peer.may_act_for or uids <= {calls.caller(on).uid}):
        return
    calls.require_native(on)


def state(on: Session, words: Words, together: Calls) -> None:
    what, arguments = words[1].upper(), words[2:]
    known: dict[bytes, tuple[int, dict[bytes, bool]]] = {
        b"FOREGROUND": (3, {b"ON": True, b"OFF": False}),
        b"SCREEN": (1, {b"ON": True, b"OFF": False}),
        b"BATTERY": (1, {b"LOW": True, b"OK": False}),
    }
    if what not in known:
        raise wrong("TASKSTATE must be followed by FOREGROUND, SCREEN or BATTERY")
    count, values = known[what]
    if len(arguments) != count or arguments[-1].upper() not in values:
        names = " or ".join(name.decode().lower() for name in values)
        raise wrong(f"TASKSTATE {what.decode()} must have {'uid, pid and ' if count == 3 else ''}{names}")
    value = values[arguments[-1].upper()]
    if what == b"SCREEN":
        together.append(_ok(lambda tasks: tasks.set_screen(value)))
    elif what == b"BATTERY":
        together.append(_ok(lambda tasks: tasks.set_battery(value)))
    else:
        uid, pid = number(arguments[0], "uid"), number(arguments[1], "pid")
        # It is watched: its death ends that, or that of its app's last process. Whoever has ended can leave still.
        with contextlib.nullcontext() if value else contextlib.suppress(NotWatchedError):
            on.acts_for(uid, pid)
        together.append(_ok(lambda tasks: tasks.set_foreground(uid, pid, value)))
