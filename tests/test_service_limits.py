"""The limits of the service: each has its error, its number in INFO, and harms nobody but who meets it."""

import asyncio
import logging
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

from grantwheel import Manager, ManualClock
from grantwheel.service.limits import LIMIT_WORDS, Bucket, Limits
from grantwheel.service.peers import Peer
from grantwheel.service.server import Server
from grantwheel.service.unread import Unread
from grantwheel.service.wire import WORDS
from test_service_turns import PEER, Client, serve, written

Connect = Callable[[], Awaitable[Client]]
DOCS = Path(__file__).resolve().parent.parent / "docs"
LEAST = 1 << 16
LARGE = b"x" * 1_000_000
OTHER = Peer(uid=PEER.uid + 1, pid=PEER.pid + 1)


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw") as folder:  # names of sockets are short
        yield Path(folder) / "s"


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def met(client: Client) -> dict[str, int]:
    """Which limits were met, and how often: what INFO says."""
    lines = (await client.ask("INFO")).decode().split("# Limits\r\n")[1].split()
    pairs = (line.split("_met:") for line in lines)
    return {name: int(count) for name, count in pairs if count != "0"}


def is_of(answer: object, limit: str) -> bool:
    return str(answer).startswith(f"{LIMIT_WORDS[limit]} 9800001 Memory operation failed. (980000101: ")


async def ends(client: Client) -> bool:
    """Whether the connection has ended, with nothing more to be read."""
    try:
        return await client.answers(1) == []
    except ConnectionError:
        return True


def test_each_limit_is_on_the_pages() -> None:
    protocol, service = ((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("protocol", "service"))
    for name, word in LIMIT_WORDS.items():
        assert f"| `{word}` | 9800001 | `{name}` |" in protocol
        assert f"| `--{name.replace('_', '-')}` |" in service
    assert len(set(LIMIT_WORDS.values()) | set(WORDS.values())) == len(LIMIT_WORDS) + len(WORDS)


def test_connections(path: Path) -> None:
    peers = [PEER, PEER, PEER, OTHER, OTHER]

    async def work(server: Server, connect: Connect) -> None:
        first, second, third, fourth, fifth = [await connect() for _ in peers]
        assert await first.ask("PING") == await second.ask("PING") == await fourth.ask("PING")
        (told,) = await third.answers(1)
        assert is_of(told, "connections_per_uid")
        assert "uid 1000 may have at most 2 connections" in str(told)
        assert await ends(third)
        (told,) = await fifth.answers(1)
        assert is_of(told, "connections")
        assert await ends(fifth)
        assert await met(first) == {"connections": 1, "connections_per_uid": 1}
        second.writer.close()
        peers.append(PEER)
        while server.connected == 3:
            await asyncio.sleep(0)
        assert await (await connect()).ask("PING") in ("PONG", b"PONG")

    waiting = iter(range(100))
    limits = Limits(connections=3, connections_per_uid=2)
    serve(path, work, identify=lambda _: peers[next(waiting)], limits=limits)


def test_the_length_of_a_request(path: Path) -> None:
    async def work(_: Server, connect: Connect) -> None:
        good = await connect()
        for large in (
            written("ECHO", LARGE),
            b"*1\r\n$1000000000\r\n",
            b"*90\r\n" + b"$9000\r\n%b\r\n" % bytes(9000) * 80,
        ):
            bad = await connect()
            bad.send(written("PING"), large)
            pong, told = await bad.answers(2)
            assert pong in ("PONG", b"PONG")
            assert is_of(told, "request_bytes")
            assert await ends(bad)
        assert await good.ask("ECHO", LARGE[:60_000]) == LARGE[:60_000]
        assert await met(good) == {"request_bytes": 3}

    serve(path, work, limits=Limits(request_bytes=LEAST))


@pytest.mark.parametrize(
    ("words", "name", "separator", "most"),
    [
        (("APPLY", "GPS", 1000), "mask", "|", 1024),
        (("EVENTS", "AFTER", 0, "KINDS", "app_apply"), "KINDS", ",", 1024),
        (("EVENTS", "AFTER", 0, "UIDS", "1"), "UIDS", ",", 65_536),
    ],
)
def test_the_length_of_what_is_joined_in_one_word(
    path: Path, words: tuple[object, ...], name: str, separator: str, most: int
) -> None:
    at = 4 if words[0] == "EVENTS" else 1
    one = str(words[at])
    fits = (most - len(one)) // (len(one) + 1) + 1

    async def work(_: Server, connect: Connect) -> None:
        client = await connect()
        wanted = await client.ask(*words)
        assert await client.ask(*words[:at], separator.join([one] * fits), *words[at + 1 :]) == wanted
        told = await client.ask(*words[:at], separator.join([one] * (fits + 1)), *words[at + 1 :])
        assert str(told) == f"PARAMETER 401 Parameter error. (401: {name} must be at most {most} bytes)"
        assert await client.ask(*words) == wanted

    serve(path, work)


def test_requests_of_a_uid_that_are_not_whole(path: Path) -> None:
    async def work(server: Server, connect: Connect) -> None:
        good, first, second = [await connect() for _ in range(3)]
        request = written("ECHO", LARGE)
        first.send(request[:700_000])
        while server._begun[PEER.uid] < 700_000:
            await asyncio.sleep(0)
        second.send(request[:700_000])
        (told,) = await second.answers(1)
        assert is_of(told, "request_bytes_per_uid")
        assert await ends(second)
        good.send(written("PING")[:5])  # few bytes may always wait
        good.send(written("PING")[5:])
        assert await good.answers(1) in (["PONG"], [b"PONG"])
        first.send(request[700_000:])
        assert await first.answers(1) == [LARGE]
        assert not server._begun
        assert await (await connect()).ask("ECHO", LARGE) == LARGE
        assert await met(good) == {"request_bytes_per_uid": 1}

    serve(path, work, limits=Limits(request_bytes_per_uid=LEAST * 16))


def test_a_request_that_is_never_whole_counts_until_its_connection_ends(path: Path) -> None:
    async def work(server: Server, connect: Connect) -> None:
        client = await connect()
        client.send(written("ECHO", LARGE)[:700_000])
        while server._begun[PEER.uid] < 700_000:
            await asyncio.sleep(0)
        client.writer.close()
        while server.connected:
            await asyncio.sleep(0)
        assert not server._begun

    serve(path, work)


def test_the_length_of_an_answer(path: Path) -> None:
    async def work(_: Server, connect: Connect) -> None:
        client = await connect()
        client.send(written("ECHO", LARGE), written("ECHO", LARGE[:60_000]), written("MASK"))
        told, short, mask = await client.answers(3)
        assert is_of(told, "output_bytes")
        assert "an answer must have at most 65536 bytes, and this one has 10000" in str(told)
        assert (short, mask) == (LARGE[:60_000], 0)
        assert await met(client) == {"output_bytes": 1}

    serve(path, work, limits=Limits(output_bytes=LEAST))


def test_answers_that_a_uid_does_not_read(path: Path) -> None:
    async def work(server: Server, connect: Connect) -> None:
        good, lazy, other = [await connect() for _ in range(3)]
        lazy.writer.transport.pause_reading()  # type: ignore[attr-defined]
        lazy.send(written("ECHO", LARGE), written("PING"))
        while not server._unread:
            await asyncio.sleep(0)
        other.send(written("ECHO", LARGE), written("PING"))
        (told,) = await other.answers(1)
        assert is_of(told, "output_bytes_per_uid")
        assert await ends(other)
        assert await good.ask("ECHO", LARGE[:60_000]) == LARGE[:60_000]
        assert await met(good) == {"output_bytes_per_uid": 1}
        lazy.writer.transport.resume_reading()  # type: ignore[attr-defined]
        large, pong = await lazy.answers(2)
        assert large == LARGE
        assert pong in ("PONG", b"PONG")
        assert await good.ask("ECHO", LARGE) == LARGE
        assert not server._unread

    serve(path, work, limits=Limits(output_bytes_per_uid=3 << 19))


def test_who_reads_nothing_for_too_long(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "grantwheel")
    clock = Time()

    async def work(server: Server, connect: Connect) -> None:
        good, lazy, slow = [await connect() for _ in range(3)]
        for one in (lazy, slow):
            one.writer.transport.pause_reading()  # type: ignore[attr-defined]
            one.send(written("ECHO", LARGE) * 3)
        while len(server._unread) < 2:
            await asyncio.sleep(0)
        clock.now += 29
        server.end_stalled()
        descriptor = slow.writer.get_extra_info("socket").fileno()
        with socket.socket(fileno=descriptor) as theirs:  # it reads so much that the kernel takes more for it
            assert len(theirs.recv(1 << 20)) > 1 << 16
            theirs.detach()
        before = {one.unread_bytes for one in server._unread._noted}
        while {one.unread_bytes for one in server._unread._noted} == before:
            await asyncio.sleep(0)
        server.end_stalled()
        clock.now += 2
        server.end_stalled()
        while server.connected == 3:
            await asyncio.sleep(0)
        assert await met(good) == {"stall_ms": 1}
        clock.now += 30
        server.end_stalled()
        while server.connected == 2:
            await asyncio.sleep(0)
        assert await met(good) == {"stall_ms": 2}
        lazy.writer.transport.resume_reading()  # type: ignore[attr-defined]
        while not await ends(lazy):
            pass
        assert not server._unread

    serve(path, work, clock=clock)
    assert "process 42: a connection has read nothing of " in caplog.text
    assert "bytes for 30000 ms, and is closed" in caplog.text


def test_who_reads_nothing_is_found_by_itself(path: Path) -> None:
    async def work(server: Server, connect: Connect) -> None:
        lazy = await connect()
        lazy.writer.transport.pause_reading()  # type: ignore[attr-defined]
        lazy.send(written("ECHO", LARGE))
        async with asyncio.timeout(30):  # of a real clock
            while not server.accepted or server.connected:
                await asyncio.sleep(0.005)
        assert server.met["stall_ms"] == 1

    serve(path, work, limits=Limits(stall_ms=50))


def test_calls_a_second_of_a_connection_and_of_a_uid(path: Path) -> None:
    clock = Time()

    async def work(_: Server, connect: Connect) -> None:
        first, second = await connect(), await connect()
        first.send(written("APPLY", 1, 1000) * 4)
        *carried_out, told = await first.answers(4)
        assert carried_out == [1, 1, 1]
        assert is_of(told, "connection_calls_per_second")
        second.send(written("MASK") * 2, written("NONE"))
        one, two, three = await second.answers(3)
        assert (one, two) == (1, 1)
        assert is_of(three, "calls_per_second")  # what is no call at all counts too
        clock.now += 1
        assert await first.ask("MASK") == 1
        clock.now += 1
        assert await met(first) == {"calls_per_second": 1, "connection_calls_per_second": 1}

    serve(path, work, limits=Limits(connection_calls_per_second=3, calls_per_second=5), clock=clock)


def test_a_subscriber_that_is_too_slow_has_a_gap(path: Path) -> None:
    manager = Manager(clock=ManualClock(), event_capacity=512)

    async def work(server: Server, connect: Connect) -> None:
        client, follower = await connect(), await connect()
        await follower.ask("HELLO", 3)
        assert await follower.ask("EVENTS", "FOLLOW") == 0
        follower.writer.transport.pause_reading()  # type: ignore[attr-defined]
        happened = 0
        while not server._unread or happened < 20_000:  # until the kernel takes no more, and long after that
            client.send((written("APPLY", 1, 1000) + written("RELEASE", 1)) * 500)
            await client.answers(1000)
            happened += 1000
            assert happened < 1_000_000
        waiting = next(iter(server._unread._noted)).unread_bytes
        assert waiting < 1 << 17
        follower.writer.transport.resume_reading()  # type: ignore[attr-defined]
        expected, gaps = 0, 0
        while expected < happened:
            for _, after, missed, events in await follower.answers(1):
                gaps += missed
                assert [event[0] for event in events] == list(range(expected + missed + 1, after + 1))
                expected = after
        assert gaps > 10_000

    serve(path, work, manager)


# Alone. -----------------------------------------------------------------------------------------------------------


class Heap:
    """Something of which some bytes wait."""

    def __init__(self, size: int) -> None:
        self.unread_bytes = size


def test_what_waits_is_counted_by_uid_and_forgotten() -> None:
    unread: Unread[Any] = Unread(100, 10.0)
    first, second, other = Heap(60), Heap(30), Heap(500)
    for one, uid in ((first, 1), (second, 1), (other, 2)):
        unread.note(one, uid, 0.0)
    assert (unread.has_room(1, 10), unread.has_room(1, 11), unread.has_room(2, 0), unread.has_room(3, 100)) == (
        True,
        False,
        False,
        True,
    )
    second.unread_bytes = 5
    assert list(unread.stalled(9.0)) == []
    assert list(unread.stalled(10.0)) == [(first, 60), (other, 500)]
    assert unread.has_room(1, 35)
    for one in (first, second, other, first):
        unread.forget(one)
    assert (len(unread), unread.has_room(2, 100), unread._by_uid) == (0, True, {})


def test_a_bucket_fills_with_time() -> None:
    bucket = Bucket(2)
    assert [bucket.take(1.0), bucket.take(1.0), bucket.take(1.0), bucket.take(1.5), bucket.take(1.5)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert not bucket.is_full(2.0)
    assert bucket.is_full(3.0)
