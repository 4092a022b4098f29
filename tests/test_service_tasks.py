"""The commands of transient and continuous tasks: what each answers and refuses, and who may use it for whom."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

from grantwheel import Ability, Caller, Manager, ManualClock, Policy, TaskPolicy, Tasks, TransientFigures
from grantwheel.service import streams
from grantwheel.service.limits import Limits
from grantwheel.service.peers import Peer
from grantwheel.service.server import Server
from grantwheel.service.task_commands import TASK_COMMANDS
from task_stage import Stubborn
from test_service_turns import PID, UID, Client, Notes, path, serve, written

__all__ = ["path"]  # a fixture

Connect = Callable[[], Awaitable[Client]]
Work = Callable[["Scene", Client], Awaitable[None]]
MAIL, OTHER, NOBODY = 1000, 2000, 3000
POLICY = Policy(
    callers={
        MAIL: Caller(bundle="mail"),
        OTHER: Caller(bundle="other"),
        0: Caller(system_app=True, native=True),
    },
    default_caller=Caller(keep_background_running=False),
)
TASK_POLICY = TaskPolicy(abilities={"mail": {"Sync": [1, 2, 9]}, "other": {"Play": [2]}, "uid.0": None})
PEERS = {
    MAIL: Peer(uid=MAIL, pid=42),
    OTHER: Peer(uid=OTHER, pid=52),
    NOBODY: Peer(uid=NOBODY, pid=62),
    0: Peer(uid=0, pid=1, may_act_for=True, is_admin=True),
}


class Scene:
    """A service with tasks on a clock by hand, and connections of whom a test wants to connect."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.manager = Manager(clock=self.clock, policy=POLICY)
        self.tasks = Tasks(self.manager, policy=TASK_POLICY, event_capacity=64)
        self.peer = PEERS[MAIL]
        self.server: Server
        self.connect: Connect

    async def client(self, uid: int, version: int = 2) -> Client:
        self.peer = PEERS[uid]
        client = await self.connect()
        assert await client.ask("HELLO", version)
        return client

    def pass_ms(self, ms: int) -> None:
        self.clock.advance(ms)
        self.tasks.advance()

    def run(self, path: Path, work: Callable[["Scene"], Awaitable[None]], **others: Any) -> None:
        async def do(server: Server, connect: Connect) -> None:
            self.server, self.connect = server, connect
            await work(self)

        serve(path, do, self.manager, lambda _: self.peer, tasks=self.tasks, **others)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.manager.close()


def is_of(answer: object, word: str, code: int, detail: int | None = None) -> bool:
    text = str(answer)
    return text.startswith(f"{word} {code} ") and (detail is None or f"({detail}" in text)


def test_a_request_from_its_beginning_to_its_end(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        client = await scene.client(MAIL)
        assert await client.ask("SUSPENDDELAY", "save", "cb") == [1, 180_000]
        assert await client.ask("suspenddelay", "sync", "other") == [2, 180_000]
        scene.clock.advance(1000)
        assert await client.ask("REMAININGDELAY", 1) == 179_000
        assert await client.ask("TRANSIENTINFO") == [599_000, [[1, 179_000], [2, 179_000]]]
        assert await client.ask("CANCELDELAY", 2) == b"OK"
        assert is_of(await client.ask("CANCELDELAY", 2), "TRANSIENTCALLER", 9900001, 990000103)
        assert await client.ask("KEEPSRUNNING") == 1
        scene.pass_ms(173_000)
        assert await client.ask("REMAININGDELAY", 1) == 6000
        scene.pass_ms(6000)
        assert await client.ask("TRANSIENTINFO") == [420_000, []]
        assert await client.ask("KEEPSRUNNING") == 0
        assert await client.ask("TASKEVENTS", "LAST") == 7
        after, missed, events = await client.ask("TASKEVENTS", "AFTER", 0, "UIDS", MAIL)
        assert (after, missed) == (7, 0)
        assert [[event[0], event[1], event[2], event[6]] for event in events] == [
            [1, 0, b"task_start", 1],
            [2, 0, b"app_task_start", 0],
            [3, 0, b"task_start", 2],
            [4, 1000, b"task_end", 2],
            [5, 174_000, b"expired_callback", 1],
            [6, 180_000, b"task_end", 1],
            [7, 180_000, b"app_task_end", 0],
        ]
        assert events[4] == [5, 174_000, b"expired_callback", MAIL, 42, b"mail", 1, []]

    scene.run(path, work)


def test_a_continuous_task_from_its_beginning_to_its_end(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        client, native = await scene.client(MAIL), await scene.client(0)
        assert await client.ask("STARTRUNNING", "Sync", "1,AUDIO_PLAYBACK", "page") == 1
        assert is_of(await client.ask("STARTRUNNING", "Sync", 1, "page"), "TASK", 9800005, 980000501)
        assert await client.ask("STARTRUNNING", "Sync", 1, "page", "ABILITYID", 5) == 2
        assert await client.ask("UPDATERUNNING", "Sync", "data_transfer") == b"OK"
        rows = [[1, MAIL, 42, b"mail", b"Sync", 0, [1]], [2, MAIL, 42, b"mail", b"Sync", 5, [1]]]
        assert await client.ask("RUNNING") == await client.ask("RUNNING", "UID", MAIL) == rows
        assert await native.ask("RUNNING", "ALL", "AFTER", 1) == await native.ask("RUNNING", "UID", MAIL, "AFTER", 1)
        assert await native.ask("RUNNING", "ALL", "COUNT", 1) == rows[:1]
        assert await native.ask("RUNNING") == []
        assert await native.ask("KEEPSRUNNING", MAIL) == 1
        assert await client.ask("STOPRUNNING", "Sync") == b"OK"
        assert await client.ask("STOPRUNNING", "Sync", "ABILITYID", 5) == b"OK"
        assert is_of(await client.ask("STOPRUNNING", "Sync"), "TASK", 9800005, 980000502)
        _, _, events = await native.ask("TASKEVENTS", "AFTER", 0, "KINDS", "continuous_start,continuous_app_stop")
        assert events == [
            [1, 0, b"continuous_start", MAIL, 42, b"mail", 1, [1, 2]],
            [2, 0, b"continuous_start", MAIL, 42, b"mail", 2, [1]],
            [6, 0, b"continuous_app_stop", MAIL, 0, b"mail", 0, []],
        ]

    scene.run(path, work)


# What is wrong: the words, who asks, how its error begins, its code and the inner one.
REFUSED: list[tuple[str, int, str, int, int]] = [
    ("SUSPENDDELAY why", MAIL, "PARAMETER", 401, 401),
    ("SUSPENDDELAY why cb FOR 1", MAIL, "PARAMETER", 401, 401),
    ("SUSPENDDELAY why cb WITH 1 2", MAIL, "PARAMETER", 401, 401),
    ("SUSPENDDELAY why ''", MAIL, "PARAMETER", 401, 401),
    (f"SUSPENDDELAY {'x' * 1025} cb", MAIL, "PARAMETER", 401, 9800402),
    (f"SUSPENDDELAY why {'x' * 256}", MAIL, "PARAMETER", 401, 401),
    ("SUSPENDDELAY \xff cb", MAIL, "PARAMETER", 401, 401),
    ("SUSPENDDELAY why \xff", MAIL, "PARAMETER", 401, 401),
    ("SUSPENDDELAY why cb", NOBODY, "TRANSIENTCALLER", 9900001, 990000102),
    ("SUSPENDDELAY why taken", MAIL, "TRANSIENT", 9900002, 990000202),
    ("CANCELDELAY", MAIL, "PARAMETER", 401, 401),
    ("CANCELDELAY 1 2", MAIL, "PARAMETER", 401, 401),
    ("CANCELDELAY x", MAIL, "PARAMETER", 401, 401),
    ("CANCELDELAY 0", MAIL, "PARAMETER", 401, 9800405),
    ("CANCELDELAY 18446744073709551616", MAIL, "PARAMETER", 401, 401),
    ("CANCELDELAY 1", OTHER, "TRANSIENTCALLER", 9900001, 990000103),
    ("REMAININGDELAY -1", MAIL, "PARAMETER", 401, 9800405),
    ("REMAININGDELAY 1", OTHER, "TRANSIENTCALLER", 9900001, 990000103),
    ("REMAININGDELAY 9", MAIL, "TRANSIENTCALLER", 9900001, 990000103),
    ("TRANSIENTINFO 1", MAIL, "PARAMETER", 401, 401),
    ("TRANSIENTINFO", NOBODY, "TRANSIENTCALLER", 9900001, 990000102),
    ("STARTRUNNING Sync 1", MAIL, "PARAMETER", 401, 401),
    ("STARTRUNNING Sync '' page", MAIL, "PARAMETER", 401, 9800407),
    ("STARTRUNNING Sync 0 page", MAIL, "PARAMETER", 401, 9800411),
    ("STARTRUNNING Sync 1,10 page", MAIL, "PARAMETER", 401, 9800411),
    ("STARTRUNNING Sync SLEEP page", MAIL, "PARAMETER", 401, 401),
    ("STARTRUNNING Sync 1,,2 page", MAIL, "PARAMETER", 401, 401),
    (f"STARTRUNNING Sync {'1,' * 512}1 page", MAIL, "PARAMETER", 401, 401),
    ("STARTRUNNING \xff 1 page", MAIL, "PARAMETER", 401, 401),
    ("STARTRUNNING Sync 1 page ABILITYID x", MAIL, "PARAMETER", 401, 401),
    ("STARTRUNNING '' 1 page", MAIL, "NOTIFICATION", 9800006, 980000603),
    ("STARTRUNNING Sync 1 ''", MAIL, "NOTIFICATION", 9800006, 980000603),
    ("STARTRUNNING Sync 1 page ABILITYID -1", MAIL, "NOTIFICATION", 9800006, 980000603),
    (f"STARTRUNNING {'x' * 1025} 1 page", MAIL, "NOTIFICATION", 9800006, 980000603),
    ("STARTRUNNING Sync 1 page", NOBODY, "PERMISSION", 201, 201),
    ("STARTRUNNING Sync 7 page", MAIL, "NOTSYSTEM", 202, 202),
    ("STARTRUNNING Sync 9 page", MAIL, "TASK", 9800005, 980000503),
    ("STARTRUNNING Sync 3 page", MAIL, "TASK", 9800005, 980000504),
    ("STARTRUNNING Play 2 page", MAIL, "TASK", 9800005, 980000504),
    ("UPDATERUNNING Sync", MAIL, "PARAMETER", 401, 401),
    ("UPDATERUNNING Sync 10", MAIL, "PARAMETER", 401, 9800411),
    ("UPDATERUNNING Sync 1", MAIL, "TASK", 9800005, 980000502),
    ("UPDATERUNNING '' 1", MAIL, "TASK", 9800005, 980000502),
    ("UPDATERUNNING Play 1", NOBODY, "PERMISSION", 201, 201),
    ("STOPRUNNING", MAIL, "PARAMETER", 401, 401),
    ("STOPRUNNING ''", MAIL, "PARAMETER", 401, 9800406),
    ("STOPRUNNING Play", MAIL, "TASK", 9800005, 980000502),
    ("RUNNING 1", MAIL, "PARAMETER", 401, 401),
    ("RUNNING ALL UID 1", 0, "PARAMETER", 401, 401),
    ("RUNNING COUNT 0", MAIL, "PARAMETER", 401, 401),
    ("RUNNING COUNT 1025", MAIL, "PARAMETER", 401, 401),
    ("KEEPSRUNNING x", MAIL, "PARAMETER", 401, 401),
    ("KEEPSRUNNING 1 2", MAIL, "PARAMETER", 401, 401),
    ("TASKEVENTS NOW", MAIL, "PARAMETER", 401, 401),
    ("TASKEVENTS FOLLOW UIDS 1000", MAIL, "PARAMETER", 401, 401),
    ("TASKEVENTS AFTER x UIDS 1000", MAIL, "PARAMETER", 401, 401),
    ("TASKEVENTS AFTER 99 UIDS 1000", MAIL, "INSTANCE", 401, 401),
    ("TASKEVENTS AFTER 0 UIDS 1000 INSTANCE x", MAIL, "INSTANCE", 401, 401),
    ("TASKEVENTS AFTER 0 KINDS app_apply UIDS 1000", MAIL, "PARAMETER", 401, 401),
    ("TASKEVENTS AFTER 0 COUNT 1025 UIDS 1000", MAIL, "PARAMETER", 401, 401),
    ("TASKEVENTS FOLLOW COUNT 1", 0, "PARAMETER", 401, 401),
    ("TASKSTATE SCREEN", 0, "PARAMETER", 401, 401),
    ("TASKSTATE SCREEN dim", 0, "PARAMETER", 401, 401),
    ("TASKSTATE BATTERY on", 0, "PARAMETER", 401, 401),
    ("TASKSTATE FOREGROUND 1000 on", 0, "PARAMETER", 401, 401),
    ("TASKSTATE FOREGROUND 1000 x on", 0, "PARAMETER", 401, 401),
    ("TASKSTATE FOREGROUND -1 5 off", 0, "TRANSIENTCALLER", 9900001, 990000101),
    ("TASKSTATE SLEEP on", 0, "PARAMETER", 401, 401),
    # What another uid may not do, or see.
    ("SUSPENDDELAY why cb FOR 2000 52", MAIL, "PERMISSION", 201, 201),
    ("CANCELDELAY 1 FOR 1000 42", OTHER, "PERMISSION", 201, 201),
    ("CANCELDELAY 1 FOR 1000 43", MAIL, "PERMISSION", 201, 201),
    ("REMAININGDELAY 1 FOR 1000 42", OTHER, "PERMISSION", 201, 201),
    ("TRANSIENTINFO FOR 1000 42", OTHER, "PERMISSION", 201, 201),
    ("STARTRUNNING Play 2 page FOR 2000 52", MAIL, "PERMISSION", 201, 201),
    ("UPDATERUNNING Play 2 FOR 2000 52", MAIL, "PERMISSION", 201, 201),
    ("STOPRUNNING Play FOR 2000 52", MAIL, "PERMISSION", 201, 201),
    ("RUNNING UID 2000", MAIL, "PERMISSION", 201, 201),
    ("RUNNING ALL", MAIL, "PERMISSION", 201, 201),
    ("KEEPSRUNNING 2000", MAIL, "PERMISSION", 201, 201),
    ("TASKEVENTS AFTER 0", MAIL, "PERMISSION", 201, 201),
    ("TASKEVENTS AFTER 0 UIDS 2000", MAIL, "PERMISSION", 201, 201),
    ("TASKEVENTS AFTER 0 UIDS 1000,2000", MAIL, "PERMISSION", 201, 201),
    ("TASKSTATE SCREEN off", MAIL, "PERMISSION", 201, 201),
]


def test_what_is_refused_has_its_word_and_codes_and_changes_nothing(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        clients = {uid: await scene.client(uid) for uid in PEERS}
        assert await clients[MAIL].ask("SUSPENDDELAY", "why", "taken") == [1, 180_000]
        assert await clients[OTHER].ask("STARTRUNNING", "Play", 2, "page") == 1
        before, last = scene.tasks.dump(), scene.tasks.last_sequence
        for text, uid, word, code, detail in REFUSED:
            words = [b"" if one == "''" else one.encode("latin-1") for one in text.split(" ")]
            answer = await clients[uid].ask(*words)
            assert is_of(answer, word, code, detail), (text, str(answer))
        assert scene.tasks.dump() == before
        assert scene.tasks.last_sequence == last

    scene.run(path, work)


def test_each_command_is_refused_with_too_few_and_too_many_words(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        client = await scene.client(0)
        for name, command in TASK_COMMANDS.items():
            for count in {command.least - 1, command.most + 1} - {0, 100}:
                answer = await client.ask(name, *["1"] * (count - 1))
                assert is_of(answer, "PARAMETER", 401), (name, count)
                assert f"wrong number of arguments for {name}: {command.usage}" in str(answer).replace("\\", "")
        described = await client.ask("COMMAND", "DOCS", *TASK_COMMANDS)
        assert described[::2] == [name.lower().encode() for name in TASK_COMMANDS]
        assert all(docs[docs.index(b"group") + 1] == b"tasks" for docs in described[1::2])

    scene.run(path, work)


def test_a_peer_that_the_policy_lists_acts_for_others(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        root, client = await scene.client(0), await scene.client(MAIL)
        assert await root.ask("SUSPENDDELAY", "why", "cb", "FOR", MAIL, 42) == [1, 180_000]
        # The callback is root's, so that it is the same whomever it speaks for, and none of the app's own.
        assert is_of(await root.ask("SUSPENDDELAY", "why", "cb", "FOR", OTHER, 52), "TRANSIENT", 9900002, 990000202)
        assert await client.ask("SUSPENDDELAY", "why", "cb") == [2, 180_000]
        assert await root.ask("TRANSIENTINFO", "FOR", MAIL, 42) == [600_000, [[1, 180_000], [2, 180_000]]]
        assert await root.ask("REMAININGDELAY", 2, "FOR", MAIL, 42) == 180_000
        assert await root.ask("CANCELDELAY", 2, "FOR", MAIL, 42) == b"OK"
        assert await root.ask("STARTRUNNING", "Play", 2, "page", "ABILITYID", 1, "FOR", OTHER, 52) == 1
        assert is_of(await root.ask("UPDATERUNNING", "Play", 1, "ABILITYID", 1, "FOR", OTHER, 52), "TASK", 9800005)
        assert await root.ask("RUNNING", "UID", OTHER) == [[1, OTHER, 52, b"other", b"Play", 1, [2]]]
        assert await root.ask("STOPRUNNING", "Play", "ABILITYID", 1, "FOR", OTHER, 52) == b"OK"
        # It needs no bundle in the policy for tasks of its own.
        assert await root.ask("STARTRUNNING", "any", "1,7", "page") == 2
        assert await root.ask("SUSPENDDELAY", "why", "own") == [3, 180_000]
        assert scene.tasks.continuous_tasks(0)[0].bundle == "uid.0"

    scene.run(path, work)


def test_what_has_begun_for_somebody_is_dealt_with_though_its_process_has_ended(scene: Scene, path: Path) -> None:
    notes = Notes()

    async def work(scene: Scene) -> None:
        root = await scene.client(0)
        mail = ("FOR", MAIL, 42)
        assert await root.ask("SUSPENDDELAY", "why", "cb", *mail) == [1, 180_000]
        assert await root.ask("STARTRUNNING", "Sync", 1, "page", *mail) == 1
        assert notes.watched == [(MAIL, 42)]
        notes.gone.add(42)
        notes.forgotten += 1
        assert await root.ask("REMAININGDELAY", 1, *mail) == 180_000
        assert await root.ask("TRANSIENTINFO", *mail) == [600_000, [[1, 180_000]]]
        assert await root.ask("CANCELDELAY", 1, *mail) == b"OK"
        assert await root.ask("UPDATERUNNING", "Sync", 2, *mail) == b"OK"
        assert await root.ask("STOPRUNNING", "Sync", *mail) == b"OK"
        for words in (("SUSPENDDELAY", "why", "cb"), ("STARTRUNNING", "Sync", 1, "page")):
            assert "there is no process 42" in str(await root.ask(*words, *mail))
        assert notes.watched == [(MAIL, 42)]

    scene.run(path, work, watcher=notes)


def test_who_leaves_the_foreground_is_watched_if_it_can_be(scene: Scene, path: Path) -> None:
    notes = Notes()
    notes.gone.add(52)

    async def work(scene: Scene) -> None:
        root = await scene.client(0)
        assert await root.ask("TASKSTATE", "FOREGROUND", MAIL, 42, "off") == b"OK"
        assert await root.ask("TASKSTATE", "FOREGROUND", OTHER, 52, "off") == b"OK"
        assert "there is no process 52" in str(await root.ask("TASKSTATE", "FOREGROUND", OTHER, 52, "on"))
        assert scene.tasks.apps() == {MAIL, OTHER}
        assert notes.watched == [(MAIL, 42)]

    scene.run(path, work, watcher=notes)


def test_administrators_tell_of_the_screen_the_battery_and_the_foreground(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        root, client = await scene.client(0), await scene.client(MAIL)
        assert await root.ask("TASKSTATE", "foreground", MAIL, 42, "ON") == b"OK"
        assert await root.ask("TASKSTATE", "BATTERY", "low") == b"OK"
        assert await client.ask("SUSPENDDELAY", "why", "a") == [1, 60_000]
        scene.pass_ms(10_000)
        assert await client.ask("REMAININGDELAY", 1) == 60_000
        assert await root.ask("TASKSTATE", "SCREEN", "off") == b"OK"
        scene.pass_ms(10_000)
        assert await client.ask("REMAININGDELAY", 1) == 50_000
        assert await root.ask("TASKSTATE", "SCREEN", "on") == b"OK"
        assert await root.ask("TASKSTATE", "BATTERY", "ok") == b"OK"
        assert await client.ask("SUSPENDDELAY", "why", "b") == [2, 180_000]
        assert await root.ask("TASKSTATE", "FOREGROUND", MAIL, 42, "off") == b"OK"
        scene.pass_ms(5001)
        assert is_of(await client.ask("SUSPENDDELAY", "why", "c"), "TRANSIENT", 9900002, 990000204)

    scene.run(path, work)


def test_a_user_has_a_limit_of_continuous_tasks(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        client, other = await scene.client(MAIL), await scene.client(OTHER)
        for number in range(3):
            assert await client.ask("STARTRUNNING", "Sync", 1, "page", "ABILITYID", number) == number + 1
        refused = await client.ask("STARTRUNNING", "Sync", 1, "page", "ABILITYID", 3)
        assert is_of(refused, "UIDTASKS", 9800001, 980000101)
        assert "uid 1000 may have at most 3 continuous tasks" in str(refused)
        assert await other.ask("STARTRUNNING", "Play", 2, "page") == 4
        assert scene.server.met["tasks_per_uid"] == 1
        # All else that is wrong comes before, as in a process.
        again = ("ABILITYID", 3)
        assert is_of(await client.ask("STARTRUNNING", "Sync", 77, "page", *again), "PARAMETER", 401, 9800411)
        assert is_of(await client.ask("STARTRUNNING", "", 1, "page", *again), "NOTIFICATION", 9800006, 980000603)
        assert is_of(await client.ask("STARTRUNNING", "Sync", 1, "page"), "TASK", 9800005, 980000501)
        assert is_of(await client.ask("STARTRUNNING", "Sync", 3, "page", *again), "TASK", 9800005, 980000504)
        assert scene.server.met["tasks_per_uid"] == 1
        assert await client.ask("STOPRUNNING", "Sync") == b"OK"
        assert await client.ask("STARTRUNNING", "Sync", 1, "page", "ABILITYID", 3) == 5

    scene.run(path, work, limits=Limits(tasks_per_uid=3))


# Events. --------------------------------------------------------------------------------------------------------------


def test_events_are_pushed_beside_those_of_grants(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        both, own = await scene.client(0, 3), await scene.client(MAIL, 3)
        assert await both.ask("EVENTS", "FOLLOW") == await both.ask("TASKEVENTS", "FOLLOW") == 0
        assert await own.ask("TASKEVENTS", "FOLLOW", "UIDS", MAIL, "KINDS", "expired_callback,task_end") == 0
        other = await scene.client(OTHER)
        assert await other.ask("STARTRUNNING", "Play", 2, "page") == 1
        started = [b"taskevents", 1, 0, [[1, 0, b"continuous_start", OTHER, 52, b"other", 1, [2]]]]
        assert await both.answers(1) == [started]
        scene.manager.apply(0, 1, 32, 1000)
        (push,) = await both.answers(1)
        assert push[:3] == [b"events", 1, 0]
        assert await both.ask("TASKEVENTS", "STOP") == b"OK"
        assert await own.ask("SUSPENDDELAY", "why", "cb") == [1, 180_000]
        scene.pass_ms(174_000)
        expired = [[4, 174_000, b"expired_callback", MAIL, 42, b"mail", 1, []]]
        assert await own.answers(1) == [[b"taskevents", 4, 0, expired]]
        assert await own.ask("CANCELDELAY", 1) == b"OK"
        (push,) = await own.answers(1)
        assert [event[2] for event in push[3]] == [b"task_end"]
        assert await both.ask("EVENTS", "STOP") == b"OK"  # nothing of tasks has come between
        assert await own.ask("RESET") == b"RESET"
        assert await own.ask("SUSPENDDELAY", "why", "cb") == [2, 180_000]
        assert await own.ask("ECHO", "last") == b"last"

    scene.run(path, work)


def test_events_are_pushed_that_somebody_else_has_read_before(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        follower, client, reader = await scene.client(OTHER, 3), await scene.client(OTHER), await scene.client(0)
        assert await follower.ask("TASKEVENTS", "FOLLOW", "UIDS", OTHER) == 0
        for number in (1, 2):
            client.send(written("STARTRUNNING", "Play", 2, "page", "ABILITYID", number))
            # In the turn behind it: what comes after a change of the same connection is.
            reader.send(written("STOPRUNNING", "None"), written("TASKEVENTS", "LAST"))
            assert await client.answers(1) == (await reader.answers(2))[1:] == [number]
            ((_, after, _, events),) = await follower.answers(1)
            assert (after, [event[6] for event in events]) == (number, [number])

    scene.run(path, work)


def test_pages_of_events_have_gaps_that_are_counted(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        root, client = await scene.client(0), await scene.client(OTHER)
        assert (await root.ask("INFO")).decode().count(f"task_instance:{scene.server.task_instance}\r\n") == 1
        for _ in range(5):
            await client.ask("STARTRUNNING", "Play", 2, "page")
            await client.ask("STOPRUNNING", "Play")
        after, missed, events = await root.ask("TASKEVENTS", "AFTER", 3, "COUNT", 4)
        assert (after, missed, [event[0] for event in events]) == (7, 0, [4, 5, 6, 7])
        after, missed, events = await root.ask("TASKEVENTS", "AFTER", 7, "INSTANCE", scene.server.task_instance)
        assert (after, missed, len(events)) == (15, 0, 8)
        assert await root.ask("TASKEVENTS", "AFTER", 15) == [15, 0, []]
        for _ in range(40):  # more at once than the tasks keep for a reader
            scene.tasks.start_background_running("Play", 2, "page", caller=Caller(uid=7, pid=8, bundle="uid.0"))
            scene.tasks.stop_background_running("Play", caller=Caller(uid=7, pid=8, bundle="uid.0"))
        after, missed, events = await root.ask("TASKEVENTS", "AFTER", 15)
        assert (after, missed, len(events)) == (135, 56, 64)
        assert events[0][0] == 72
        after, missed, events = await root.ask("TASKEVENTS", "AFTER", 100, "COUNT", 1)
        assert (after, missed, events[0][0]) == (101, 0, 101)

    scene.run(path, work)


def test_the_last_events_of_tasks_are_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_KEPT", 4)
    monkeypatch.setattr(streams, "_SPARE", 2)
    stream = streams.TaskEvents(scene.tasks, "of a test")
    caller = Caller(uid=7, pid=8, bundle="uid.0")
    kept = []
    for number in range(12):
        scene.tasks.start_background_running(Ability("any", number), 1, "page", caller=caller)
        found, missed, after = stream.read(0, 99)
        assert (found[-1].sequence, after, missed) == (number + 1, number + 1, number + 1 - len(found))
        kept.append(len(found))
    assert kept == [1, 2, 3, 4, 5, 6, 4, 5, 6, 4, 5, 6]
    assert [event.sequence for event in stream.read(9, 2)[0]] == [10, 11]
    assert stream.read(12, 5) == ([], 0, 12)
    stream.close()


def test_a_turn_has_its_order_with_grants_and_tasks(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        root = await scene.client(0)
        root.send(
            written("APPLY", 32, 1000),
            written("SUSPENDDELAY", "why", "cb"),
            written("REMAININGDELAY", 1),
            written("RELEASE", 32),
            written("CANCELDELAY", 1),
            written("TRANSIENTINFO"),
        )
        assert await root.answers(6) == [32, [1, 180_000], 180_000, 32, b"OK", [600_000, []]]

    scene.run(path, work)


def test_a_server_without_tasks_of_its_own_has_those_of_the_manager(path: Path) -> None:
    manager = Manager(clock=ManualClock())

    async def work(server: Server, connect: Connect) -> None:
        client = await connect()
        assert await client.ask("SUSPENDDELAY", "why", "cb") == [1, 180_000]
        assert server.tasks.processes() == {(UID, PID)}
        assert await client.ask("STARTRUNNING", "any", "1", "page") == 1

    serve(path, work, manager)
    tasks = Tasks(Manager(clock=ManualClock()), figures=TransientFigures(request_ms=30_000))

    async def with_some(server: Server, connect: Connect) -> None:
        assert server.tasks is tasks
        assert await (await connect()).ask("SUSPENDDELAY", "why", "cb") == [1, 30_000]

    path.unlink()
    serve(path, with_some, tasks.manager)


def test_the_errors_of_a_store_that_refuses(path: Path) -> None:
    class Full:
        def items(self) -> list[tuple[str, bytes]]:
            return []

        def write(self, changes: Any, /) -> None:
            raise OSError("no space left")

    manager = Manager(clock=ManualClock())
    tasks = Tasks(manager, store=Full())

    async def work(_server: Server, connect: Connect) -> None:
        client = await connect()
        assert is_of(await client.ask("SUSPENDDELAY", "why", "cb"), "TRANSACTION", 9800003, 980000301)
        assert is_of(await client.ask("STARTRUNNING", "any", "1", "page"), "STORAGE", 9800007, 980000701)
        manager.ready = False
        assert is_of(await client.ask("STOPRUNNING", "any"), "SERVICE", 9800004, 980000401)
        assert is_of(await client.ask("TRANSIENTINFO"), "TRANSIENTSERVICE", 9900004, 990000401)

    serve(path, work, manager, tasks=tasks)


@pytest.mark.parametrize("refuses", [False, True])
def test_a_limit_that_is_met_counts_once_for_each_refusal(path: Path, refuses: bool) -> None:
    store, manager = Stubborn(), Manager(clock=ManualClock(), policy=POLICY)
    tasks = Tasks(manager, store=store)

    async def work(server: Server, connect: Connect) -> None:
        client = await connect()
        assert await client.ask("STARTRUNNING", "a", 1, "page") == 1
        store.refuses = refuses
        client.send(written("STARTRUNNING", "b", 1, "page"), written("SUSPENDDELAY", "why", "cb"))
        first, second = await client.answers(2)
        assert is_of(first, "UIDTASKS", 9800001, 980000101)
        assert is_of(second, "TRANSACTION", 9800003) if refuses else second == [1, 180_000]
        assert server.met["tasks_per_uid"] == 1

    serve(path, work, manager, lambda _: PEERS[MAIL], tasks=tasks, limits=Limits(tasks_per_uid=1))


@pytest.mark.parametrize("mistake", ["in the call", "in its answer"])
def test_a_mistake_in_one_change_takes_no_other_along(
    scene: Scene, path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    def mistaken(*_: object, **__: object) -> list[object]:
        if mistake == "in the call":
            raise SystemError("a mistake")
        return [object()]

    monkeypatch.setattr(scene.tasks, "request_suspend_delay", mistaken)

    async def work(scene: Scene) -> None:
        bad, other, another = [await scene.client(uid) for uid in (MAIL, MAIL, OTHER)]
        turns = scene.server.turns
        bad.send(written("SUSPENDDELAY", "why", "cb"), written("STARTRUNNING", "Sync", 1, "page"))
        other.send(written("STARTRUNNING", "Sync", 2, "page", "ABILITYID", 1))
        another.send(written("STARTRUNNING", "Play", 2, "page"))
        found = [*await bad.answers(2), *await other.answers(1), *await another.answers(1)]
        assert str(found[0]).split()[1] in ("401", "9800004")
        assert found[1:] == [1, 2, 3]
        assert scene.server.turns == turns + 1

    scene.run(path, work)


def test_a_closed_manager_is_told(path: Path) -> None:
    manager = Manager(clock=ManualClock())

    async def work(_server: Server, connect: Connect) -> None:
        client = await connect()
        manager.close()
        assert is_of(await client.ask("SUSPENDDELAY", "why", "cb"), "SERVICE", 9800004, 980000402)
        assert is_of(await client.ask("TASKEVENTS", "AFTER", 0), "SERVICE", 9800004, 980000402)

    serve(path, work, manager)


def test_what_is_on_record_has_the_names_of_callbacks_by_process(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        client = await scene.client(MAIL)
        assert await client.ask("SUSPENDDELAY", "why", "0/1/cb") == [1, 180_000]
        record = json.loads(scene.tasks.dump()[f"transient/{MAIL}"])
        assert record["apps"][0]["requests"][0]["callback"] == f"name {MAIL}/42/0/1/cb"
        root = await scene.client(0)
        assert await root.ask("SUSPENDDELAY", "why", "cb") == [2, 180_000]

    scene.run(path, work)


def test_many_followers_of_tasks_are_woken(scene: Scene, path: Path) -> None:
    async def work(scene: Scene) -> None:
        followers = [await scene.client(OTHER, 3) for _ in range(20)]
        for one in followers:
            assert await one.ask("TASKEVENTS", "FOLLOW", "UIDS", OTHER) == 0
        assert await followers[0].ask("STARTRUNNING", "Play", 2, "page") == 1
        pushes = await asyncio.gather(*(one.answers(1) for one in followers))
        assert all(push == pushes[0] for push in pushes)

    scene.run(path, work)
