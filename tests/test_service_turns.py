"""Turns of the service: what is carried out together, in which order, and who waits for whom."""

import asyncio
import json
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

import hiredis

from grantwheel import Caller, Manager, ManualClock, MemoryLog, Policy
from grantwheel.service import calls
from grantwheel.service.client_commands import pack
from grantwheel.service.commands import COMMANDS
from grantwheel.service.connection import _LOOKUP, Connection
from grantwheel.service.context import Following, Watcher
from grantwheel.service.deaths import NotWatchedError
from grantwheel.service.limits import Limits
from grantwheel.service.peers import Peer, PeerRefused
from grantwheel.service.pushing import MadePages
from grantwheel.service.server import Server
from grantwheel.service.streams import GrantEvents

UID, PID = 1000, 42
PEER = Peer(uid=UID, pid=PID, may_act_for=True, is_admin=True)


def written(*words: object) -> bytes:
    return pack(*(word if isinstance(word, bytes) else str(word).encode() for word in words))


class CountingLog:
    """A log that counts its groups."""

    def __init__(self) -> None:
        self.groups = 0

    def last(self) -> int:
        return self.groups

    def append(self, after: int, group: bytes, /) -> int:
        self.groups = after + 1
        return self.groups


class Client:
    """A connection that reads answers only when it is asked to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._parser = hiredis.Reader()

    def send(self, *requests: bytes) -> None:
        self.writer.write(b"".join(requests))

    async def answers(self, count: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count:
            while (answer := self._parser.gets()) is not False:
                found.append(answer)
            if len(found) < count:
                data = await asyncio.wait_for(self.reader.read(1 << 16), 30)
                if not data:
                    break
                self._parser.feed(data)
        return found

    async def ask(self, *words: object) -> Any:
        self.send(written(*words))
        return (await self.answers(1))[0]


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw") as folder:  # names of sockets are short
        yield Path(folder) / "s"


def serve(
    path: Path,
    work: Callable[[Server, Callable[[], Awaitable[Client]]], Awaitable[None]],
    manager: Manager | None = None,
    identify: Callable[[socket.socket], Peer] = lambda _: PEER,
    watcher: Watcher | None = None,
    **others: Any,
) -> None:
    """Run a server and some work beside it on one loop."""

    async def run() -> None:
        of = manager or Manager(clock=ManualClock())
        server = Server(of, identify=identify, watcher=watcher, drives=False, **others)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        await server.start(listener)
        clients: list[Client] = []

        async def connect() -> Client:
            client = Client(*await asyncio.open_unix_connection(path))
            clients.append(client)
            return client

        try:
            await work(server, connect)
        finally:
            for client in clients:
                client.writer.close()
            await server.stop()
            for client in clients:
                await asyncio.gather(client.writer.wait_closed(), return_exceptions=True)

    asyncio.run(run())


def test_a_pipeline_is_one_group_of_the_log(path: Path) -> None:
    log = CountingLog()

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        client.send(*(written("APPLY", 33, 60_000 + number) for number in range(100)))
        assert await client.answers(100) == [33] * 100
        assert log.groups == 1
        client.send(*(written("APPLY", 33, 90_000, "REASON", "x"), written("RELEASE", 1)) * 10)
        assert await client.answers(20) == [33, 1] * 10
        assert log.groups == 2

    serve(path, work, Manager(clock=ManualClock(), log=log))


def test_documented_requests_are_changes_like_others_in_a_turn(path: Path) -> None:
    log = CountingLog()
    manager = Manager(clock=ManualClock(), log=log, policy=Policy(default_caller=Caller(system_app=True)))

    def asked(types: int, **fields: object) -> bytes:
        given = {"resourceTypes": types, "isApply": True, "timeOut": 1000, "reason": "w", **fields}
        return written("REQUEST", *(word for name, value in given.items() for word in (name, json.dumps(value))))

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        clients = [await connect() for _ in range(20)]
        assert [await client.ask("PING") for client in clients] == [b"PONG"] * 20  # all have been accepted
        for client in clients:
            client.send(asked(32, cpuLevel=None), asked(32), asked(1, timeOut=90_000, isProcess=True))
        for client in clients:
            refused, *found = await client.answers(3)
            assert (str(refused).split()[:2], found) == (["PARAMETER", "401"], [32, 1])
        assert (log.groups, manager.stats().refused[401]) == (1, 20)
        client = clients[0]
        client.send(written("APPLY", 64, 1000), asked(4, isPersist=True), asked(32 | 2, isApply=False), written("MASK"))
        client.send(asked(1, isApply=False, isProcess=True), asked(0), asked(8, reason="r" * 1025), written("PMASK"))
        *found, empty, long, left = await client.answers(8)
        assert (found, left) == ([64, 4, 32, 68, 1], 0)
        assert [str(empty)[:13], str(long)[:13]] == ["PARAMETER 401"] * 2
        assert log.groups == 3

    serve(path, work, manager)


def test_changes_of_tasks_of_all_connections_are_one_group_of_the_log(path: Path) -> None:
    log = CountingLog()

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        clients = [await connect() for _ in range(50)]
        assert [await client.ask("PING") for client in clients] == [b"PONG"] * 50  # all have been accepted
        for number, client in enumerate(clients):
            client.send(written("STARTRUNNING", f"a{number}", 1, "page"))
        assert sorted([await client.answers(1) for client in clients]) == [[number] for number in range(1, 51)]
        assert log.groups == 1
        requests = [written("STARTRUNNING", "b", mode, "page", "ABILITYID", mode) for mode in (1, 2, 44, 2)]
        clients[0].send(*requests, written("SUSPENDDELAY", "save", "cb"), written("TASKSTATE", "BATTERY", "low"))
        first, second, third, fourth, fifth, sixth = await clients[0].answers(6)
        assert (first, second, fifth, sixth) == (51, 52, [1, 180_000], b"OK")
        assert [str(one).split()[:2] for one in (third, fourth)] == [["PARAMETER", "401"], ["TASK", "9800005"]]
        assert log.groups == 2

    serve(
        path,
        work,
        Manager(clock=ManualClock(), log=log, policy=Policy(default_caller=Caller(bundle="b", system_app=True))),
    )


def test_changes_of_grants_and_of_tasks_of_one_connection_keep_their_order(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        client.send(
            *(written("APPLY", 32, 1000), written("STARTRUNNING", "a", 1, "page"), written("APPLY", 1, 1000)),
            *(written("KEEPSRUNNING"), written("STOPRUNNING", "a"), written("ADMIN", "STOPPED", UID), written("MASK")),
            *(written("STOPRUNNING", "a"), written("PING")),
        )
        *found, refused, pong = await client.answers(9)
        assert found == [32, 1, 1, 1, b"OK", 33, 0]
        assert str(refused).startswith("TASK 9800005 ")
        assert pong == b"PONG"

    serve(path, work, Manager(clock=ManualClock(), policy=Policy(default_caller=Caller(bundle="b", system_app=True))))


def test_a_read_finds_what_came_before_it_and_not_what_comes_after(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        requests = [written("APPLY", 32, 1000), written("MASK"), written("RELEASE", 32), written("MASK")]
        client.send(written("MASK"), *requests * 20)
        assert await client.answers(81) == [0, *[32, 32, 32, 0] * 20]

    serve(path, work)
    serve(path.with_name("t"), work, Manager(clock=ManualClock(), log=CountingLog()))


def test_more_than_a_pipeline_holds_is_carried_out_in_turns(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        clients = [await connect() for _ in range(100)]
        for client in clients:
            client.send(written("APPLY", 1, 60_000) * 1024)
        for client in clients:
            assert await client.answers(1024) == [1] * 1024

    serve(path, work)


def test_all_that_came_before_the_end_is_answered(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        client.send(*(written("ECHO", number) for number in range(20_000)))
        client.writer.write_eof()
        assert await client.answers(20_000) == [str(number).encode() for number in range(20_000)]
        assert await client.answers(1) == []

    serve(path, work)


def test_refusals_are_those_of_their_own_requests(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        client.send(written("APPLY", 1, 10), written("APPLY", 0, 10), written("APPLY", "GPS|X", 10), written("NONE"))
        first, second, third, fourth = await client.answers(4)
        assert first == 1
        assert str(second).startswith("CALLER 18700001 ")
        assert "mask must be a number, or names joined by |: CPU, " in str(third)
        assert "unknown command 'NONE'" in str(fourth)
        assert await client.ask("MASK") == 1

    serve(path, work)


REQUEST = ("REQUEST", "resourceTypes", 1, "isApply", "true", "timeOut", 1000, "reason", '"r"')


@pytest.mark.parametrize(
    ("words", "count", "most"),
    [(("APPLY", 1, 60_000), 2000, 330), (("MASK",), 400, 21), (("COMMAND", "DOCS"), 10, 2), (REQUEST, 1500, 210)],
)
def test_each_has_its_share_of_a_turn(path: Path, words: tuple[Any, ...], count: int, most: int) -> None:
    """A hundred that ask for much, of which each has at most so many calls in a turn, and one that asks once."""

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        others = [await connect() for _ in range(100)]
        good = await connect()
        for other in others:
            other.send(written(*words) * count)
        while server.turns < 2:
            await asyncio.sleep(0)
        answered, turns = server.answered, server.turns
        assert await good.ask("ECHO", "x") == b"x"
        assert server.turns - turns <= 10  # that of its own, and those until it is written and read
        assert server.answered - answered <= (server.turns - turns) * 100 * most + 1
        for other in others:
            assert len(await other.answers(count)) == count

    serve(path, work)


def test_a_mistake_in_a_call_ends_only_its_connection(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(on: Any, words: Any, pipe: Any) -> None:
        calls.apply(on, words, pipe)
        raise SystemError("a mistake")

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        clients = [await connect() for _ in range(5)]
        bad = clients[2]
        bad.send(written("APPLY", 3, 1000), written("MISTAKE", 5, 1000))
        for number, client in enumerate(clients):
            if client is not bad:
                client.send(written("APPLY", 1 << number, 1000, "REASON", "x"))
        for number, client in enumerate(clients):
            if client is not bad:
                assert await client.answers(1) == [1 << number]
        assert await bad.answers(1) == []
        assert server.connected == 4
        assert await clients[0].ask("APPLY", 64, 1000) == 64

    monkeypatch.setattr(Connection, "_queue", lambda on, command, words, pipe: command.run(on, words, pipe))
    monkeypatch.setitem(_LOOKUP, b"MISTAKE", replace(COMMANDS["APPLY"], run=mistaken))
    serve(path, work)


def test_who_does_not_read_delays_nobody(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        lazy, good = await connect(), await connect()
        lazy.send(written("COMMAND", "DOCS") * 5000)  # some 60 MB of answers, which it does not take
        for number in range(50):
            assert await good.ask("ECHO", number) == str(number).encode()
        assert server.answered < 3000
        assert len(await lazy.answers(5000)) == 5000

    serve(path, work)


def test_garbage_is_told_and_ends_only_its_connection(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        good = await connect()
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"*1000000000\r\n", b"\x00" * 1000, b"*1\r\n$-5\r\n"):
            bad = await connect()
            bad.send(written("PING"), garbage)
            pong, told = await bad.answers(2)
            assert pong == "PONG" if isinstance(pong, str) else pong == b"PONG"
            assert str(told).startswith("PARAMETER 401 ")
            assert await bad.answers(1) == []
            assert await good.ask("PING") in ("PONG", b"PONG")

    serve(path, work)


def test_events_are_pushed_with_resp3_and_read_in_pages_with_both(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client, follower = await connect(), await connect()
        assert "HELLO 3" in str(await follower.ask("EVENTS", "FOLLOW"))
        assert (await follower.ask("HELLO", 3))[b"proto"] == 3
        assert await follower.ask("EVENTS", "FOLLOW") == 0
        assert await client.ask("APPLY", 33, 500) == 33
        (push,) = await follower.answers(1)
        assert [push[0], push[1], push[2]] == [b"events", 1, 0]
        assert push[3] == [[1, 0, b"app_apply", b"apply", UID, PID, 33, b"", -1]]
        assert await client.ask("EVENTS", "AFTER", 0) == [1, 0, push[3]]
        assert await follower.ask("EVENTS", "STOP") in ("OK", b"OK")

    serve(path, work)


def test_a_page_of_events_is_made_once_for_all_who_are_at_its_place() -> None:
    manager = Manager(clock=ManualClock())
    for uid in range(300):
        manager.apply(uid + 1, 1, 1, 1000)
    pages = MadePages(GrantEvents(manager, ""))
    everything, one = (None, None), (None, frozenset({299}))
    first = pages.next(Following(0, everything))
    assert (first.after, first.has_more, len(pages)) == (256, True, 1)
    assert pages.next(Following(0, everything)) is first
    assert len(pages) == 1
    assert pages.next(Following(0, one)) == (b"", 256, True)
    last = pages.next(Following(256, one))
    assert (last.after, last.has_more, len(pages)) == (300, False, 3)
    assert last.message.startswith(b">4\r\n$6\r\nevents\r\n:300\r\n:0\r\n*1\r\n*9\r\n:299\r\n")


def test_events_are_of_one_instance_of_the_service(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        hello = await client.ask("HELLO", 3)
        own = hello[b"instance"].decode()
        assert f"instance:{own}\r\n" in (await client.ask("INFO")).decode()
        assert len(own) == 32
        await client.ask("APPLY", 1, 1000)
        other = own[::-1]
        for words in (("AFTER", 0), ("AFTER", 0, "COUNT", 5), ("FOLLOW", "AFTER", 0)):
            told = str(await client.ask("EVENTS", *words, "INSTANCE", other))
            assert told.startswith(f"INSTANCE 401 Parameter error. (401: INSTANCE must be {own}: "), told
        for words in (("AFTER", 2), ("FOLLOW", "AFTER", 2), ("AFTER", -1)):
            told = str(await client.ask("EVENTS", *words, "INSTANCE", own))
            assert told.startswith("INSTANCE 401 Parameter error. (401: AFTER must be within 0..1, "), told
        assert (await client.ask("EVENTS", "AFTER", 0, "INSTANCE", own))[0] == 1
        assert await client.ask("EVENTS", "FOLLOW", "AFTER", 1, "INSTANCE", own) == 1
        assert server.instance == own

    serve(path, work)
    serve(path.with_name("t"), work)


def test_all_followers_get_all_events_in_turns(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        client.send((written("APPLY", 1, 1000) + written("RELEASE", 1)) * 1500)
        await client.answers(3000)
        followers = [await connect() for _ in range(20)]
        for number, follower in enumerate(followers):
            await follower.ask("HELLO", 3)
            follower.send(written("EVENTS", "FOLLOW", "AFTER", number * 7))
        await client.ask("APPLY", 2, 1000)
        for number, follower in enumerate(followers):
            answers = await follower.answers(1)
            after = answers.pop(0)
            assert after == number * 7
            while after < 3001:
                for _, last, missed, events in answers:
                    assert missed == 0
                    assert [event[0] for event in events] == list(range(after + 1, last + 1))
                    after = last
                answers = await follower.answers(1) if after < 3001 else []

    serve(path, work)


def test_whoever_may_not_acts_for_nobody_else(path: Path) -> None:
    policy = Policy(default_caller=Caller(system_app=True))
    peer = Peer(uid=UID, pid=PID)

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        ids = (1001).to_bytes(4, "little")
        for words in (
            ("APPLY", 1, 10, "FOR", 1001, PID),
            ("RELEASE", 1, "FOR", UID, 43),
            ("RESETALL", "FOR", 0, 0),
            ("APPLYMANY", ids, ids, ids, ids * 2),
            ("RELEASEMANY", ids, ids, ids),
            ("MASK", 1001),
            ("PMASK", 43),
            ("MASKS", ids),
            ("FIND", 1001),
            ("RECORDS",),
            ("INFOS",),
            ("HOLDERS", 1),
            ("EVENTS", "AFTER", 0),
            ("STATS",),
            ("ADMIN", "LIST"),
            ("SHUTDOWN",),
        ):
            assert str(await client.ask(*words)).startswith("PERMISSION 201 "), words
        assert await client.ask("APPLY", 1, 10, "FOR", UID, PID) == 1

    serve(path, work, Manager(clock=ManualClock(), policy=policy, log=MemoryLog()), lambda _: peer)


class Notes:
    """What would watch, and only notes whom."""

    def __init__(self) -> None:
        self.forgotten = 0
        self.entered = 0
        self.left: list[tuple[int, int]] = []
        self.watched: list[tuple[int, int]] = []
        self.gone: set[int] = set()

    def enter(self, connection: socket.socket) -> None:
        assert connection.fileno() >= 0
        self.entered += 1

    def leave(self, uid: int, pid: int) -> None:
        self.left.append((uid, pid))

    def watch(self, uid: int, pid: int) -> None:
        if pid in self.gone:
            raise NotWatchedError(f"there is no process {pid}")
        self.watched.append((uid, pid))


def test_whom_a_peer_acts_for_is_watched_once_and_again_when_one_is_no_more(path: Path) -> None:
    notes = Notes()

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        ids, times = (7).to_bytes(4, "little"), (1000).to_bytes(8, "little")
        batch = ("APPLYMANY", (1002).to_bytes(4, "little"), ids, (1).to_bytes(4, "little"), times)
        for _ in range(2):
            assert await client.ask("APPLY", 1, 10, "FOR", 1001, 5) == 1
            assert await client.ask(*batch) == (1).to_bytes(4, "little")
        assert notes.watched == [(1001, 5), (1002, 7)]
        notes.forgotten += 1
        notes.gone.add(5)
        assert "there is no process 5" in str(await client.ask("APPLY", 1, 10, "FOR", 1001, 5))
        assert await client.ask(*batch) == (1).to_bytes(4, "little")
        assert notes.watched[2:] == [(1002, 7)]

    serve(path, work, watcher=notes)


def test_what_a_process_that_has_ended_still_holds_may_be_released_for_it(path: Path) -> None:
    notes = Notes()
    ids, gone = (1001).to_bytes(4, "little"), (5).to_bytes(4, "little")

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        held, last = 4 | 8 | 32, ("FOR", 1001, 5)
        assert await client.ask("APPLY", held, 1000, *last) == held
        assert await client.ask("APPLY", 1, 1000, "PROCESS", *last) == 1
        notes.forgotten += 1
        notes.gone.add(5)
        assert str(await client.ask("APPLY", 4, 1000, *last)).startswith("PARAMETER 401 ")
        assert str(await client.ask("APPLY", 4, 1000, "ONLYHELD", *last)).startswith("PARAMETER 401 ")
        assert await client.ask("RELEASE", 1, "PROCESS", *last) == 1
        assert await client.ask("RELEASE", 4, *last) == 4
        assert await client.ask("RELEASEMANY", ids, gone, (8).to_bytes(4, "little")) == (8).to_bytes(4, "little")
        assert await client.ask("RESETALL", *last) == 32
        assert await client.ask("MASK", 1001) == 0
        assert notes.watched == [(1001, 5)]

    serve(path, work, watcher=notes)


def test_a_peer_is_watched_when_it_is_within_the_limits_and_until_it_leaves(path: Path) -> None:
    notes = Notes()

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        server.limits = Limits(connections=3, connections_per_uid=2)
        first, second, third = [await connect() for _ in range(3)]
        assert await first.ask("PING") == await second.ask("PING") == b"PONG"
        assert "at most 2 connections" in str((await third.answers(1))[0])
        assert notes.entered == 2
        assert notes.left == []
        second.writer.close()
        await second.writer.wait_closed()
        while server.connected > 1:
            await asyncio.sleep(0)
        assert notes.left == [(UID, PID)]
        server.peer_gone(PID)
        assert server.connected == 0
        assert notes.left == [(UID, PID)] * 2
        assert await first.answers(1) == []

    serve(path, work, watcher=notes)


def test_what_a_process_has_sent_is_not_carried_out_after_its_end(path: Path) -> None:
    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        assert await client.ask("PING") == b"PONG"
        (connection,) = server.connections
        request = written("APPLY", 1, 1000)
        server.buffer[: len(request)] = request
        connection.buffer_updated(len(request))  # type: ignore[attr-defined]
        server.peer_gone(PID)
        assert await client.answers(1) == []
        assert server.manager.app_mask(UID) == 0

    serve(path, work)


def test_a_peer_that_is_not_known_is_told_why(path: Path) -> None:
    def refuse(_: socket.socket) -> Peer:
        raise PeerRefused("pid 0 is nobody's")

    async def work(server: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        (told,) = await client.answers(1)
        assert str(told).startswith("SERVICE 9800004 ")
        assert "pid 0 is nobody's" in str(told)
        assert await client.answers(1) == []
        assert server.refused == 1

    serve(path, work, identify=refuse)


def test_what_info_is_asked_for(path: Path) -> None:
    async def work(_: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()

        async def titles(*asked: str) -> list[str]:
            lines = (await client.ask("INFO", *asked)).decode().splitlines()
            return [line for line in lines if line.startswith("# ")]

        assert await titles() == await titles("all") == ["# Server", "# Clients", "# Stats", "# Limits"]
        assert await titles("limits") == ["# Limits"]
        assert await titles("STATS", "server") == ["# Server", "# Stats"]
        assert await titles("replication") == []

    serve(path, work)


@pytest.mark.parametrize("request_", ["MASK 1", "PMASK 1", "FIND 1", "COUNT CPU", "EVENTS", "RECORDS", "NEXT", "STATS"])
def test_who_is_not_native_is_told_what_that_would_take(path: Path, request_: str) -> None:
    async def work(_: Server, connect: Callable[[], Awaitable[Client]]) -> None:
        told = str(await (await connect()).ask(*request_.split()))
        rule = "what others hold, and what becomes of it, is told to native peers"
        assert told == f"PERMISSION 201 Permission denied. (201: {rule})"

    policy = Policy(default_caller=Caller(bundle="a", system_app=True))
    serve(path, work, Manager(clock=ManualClock(), policy=policy))
