"""The commands of transient and continuous tasks, described as the others are."""

from typing import Final

from . import sessions, task_calls
from .command import Command, How

TASK_COMMANDS: Final[dict[str, Command]] = {
    "SUSPENDDELAY": Command(
        usage="reason callback [FOR uid pid]",
        summary="Ask for some time in the background: a transient task. The callback is a name that the peer gives it",
        answer="the id of the request, and for how many ms it is",
        run=task_calls.suspend_delay,
        how=How.TASKS,
        least=3,
        most=6,
    ),
    "CANCELDELAY": Command(
        usage="id [FOR uid pid]",
        summary="Give back what is left of a request",
        answer="OK",
        run=task_calls.cancel_delay,
        how=How.TASKS,
        least=2,
        most=5,
    ),
    "REMAININGDELAY": Command(
        usage="id [FOR uid pid]",
        summary="Tell what is left of a request",
        answer="ms",
        run=task_calls.remaining_delay,
        least=2,
        most=5,
    ),
    "TRANSIENTINFO": Command(
        usage="[FOR uid pid]",
        summary="Tell what the app has left of its day, and of its open requests",
        answer="ms, and rows: the id of a request, ms",
        run=task_calls.transient_info,
        most=4,
    ),
    "STARTRUNNING": Command(
        usage="ability modes agent [ABILITYID n] [FOR uid pid]",
        summary="Begin a continuous task of an ability. The agent is what a touch of its notification starts",
        answer="the id of the task",
        run=task_calls.start_running,
        how=How.TASKS,
        least=4,
        most=9,
    ),
    "UPDATERUNNING": Command(
        usage="ability modes [ABILITYID n] [FOR uid pid]",
        summary="Give the continuous task of an ability other modes",
        answer="OK",
        run=task_calls.update_running,
        how=How.TASKS,
        least=3,
        most=8,
    ),
    "STOPRUNNING": Command(
        usage="ability [ABILITYID n] [FOR uid pid]",
        summary="End the continuous task of an ability",
        answer="OK",
        run=task_calls.stop_running,
        how=How.TASKS,
        least=2,
        most=7,
    ),
    "RUNNING": Command(
        usage="[UID uid|ALL] [AFTER id] [COUNT n]",
        summary="Tell the continuous tasks of the peer's uid; of another one, or of all, for native peers",
        answer="rows by ascending id: id, uid, pid, bundle, ability, its number, modes",
        run=task_calls.running,
        most=7,
    ),
    "KEEPSRUNNING": Command(
        usage="[uid]",
        summary="Tell whether an app has an open request or a continuous task; of another uid for native peers",
        answer="1 or 0",
        run=task_calls.keeps_running,
        most=2,
    ),
    "TASKEVENTS": Command(
        usage="[LAST|AFTER sequence [COUNT n]|FOLLOW [AFTER sequence]|STOP] [INSTANCE id] [KINDS kind,...] "
        "[UIDS uid,...]",
        summary="Read events of tasks, or have them pushed (RESP3): of the own uid with UIDS, of all for native peers",
        answer="as EVENTS; the pushes are `taskevents` and the same three",
        run=sessions.task_events,
    ),
    "TASKSTATE": Command(
        usage="FOREGROUND uid pid on|off|SCREEN on|off|BATTERY low|ok",
        summary="Tell where a process is, of the screen, and of the battery; for administrators",
        answer="OK",
        run=task_calls.state,
        how=How.TASKS,
        least=3,
        most=5,
        is_admin=True,
    ),
}  # fmt: skip
