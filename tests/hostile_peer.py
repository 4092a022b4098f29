"""A peer of the service that does all it can to be in the way: garbage, halves, floods, and reading nothing.

    python tests/hostile_peer.py SOCKET SEED

It does its worst in each way once, says ``all``, and then does all of that at the same time until it is killed.
"""

import contextlib
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

PATIENCE_S = 5.0
SOON_S = 0.1  # for a service that takes nothing more
MANY = 300
FEW = 30

_Work = Callable[["Hostile", random.Random], None]


def written(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Hostile:
    def __init__(self, path: str) -> None:
        self._path = path

    def connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(self._path)  # without a timeout: with one it would not wait while many others wait
        made.settimeout(PATIENCE_S)
        return made

    @contextlib.contextmanager
    def many(self, count: int) -> Iterator[list[socket.socket]]:
        with contextlib.ExitStack() as opened:
            yield [opened.enter_context(self.connected()) for _ in range(count)]


def send(connection: socket.socket, data: bytes) -> bool:
    """Send, unless the service takes no more, or has closed the connection: False."""
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def garbage(on: Hostile, chance: random.Random) -> None:
    """Bytes that are no requests, and requests with some bytes changed."""
    for _ in range(FEW):
        data = bytearray(written(b"APPLY", b"33", b"30000") * 4 if chance.random() < 0.5 else chance.randbytes(200))
        for _ in range(3):
            data[chance.randrange(len(data))] = chance.choice(b"*$:+-%~>|=!(0123456789\r\n\x00\xff")
        with on.connected() as connection:
            send(connection, bytes(data))


def huge(on: Hostile, chance: random.Random) -> None:
    """Headers that announce more than there is memory."""
    for header in (
        b"*1000000000\r\n",
        b"*2\r\n$99999999999\r\n",
        b"*1\r\n*1000000000\r\n",
        b"%1000000000\r\n",
        b"*" * 99_999,
    ):
        with on.connected() as connection:
            send(connection, written(b"PING") + header + chance.randbytes(9))


def halves(on: Hostile, chance: random.Random) -> None:
    """Large requests that are never whole, the rest of which comes byte by byte."""
    with on.many(FEW) as connections:
        for connection in connections:
            send(connection, b"*2\r\n$4\r\nECHO\r\n$8000000\r\n" + bytes(chance.randrange(3_000_000)))
        for _ in range(20):
            for connection in connections:
                send(connection, b"x")


def unread(on: Hostile, chance: random.Random) -> None:
    """Pipelines of which no answer is read."""
    requests = (
        written(b"PING") * 5000,
        written(b"COMMAND", b"DOCS") * 50,
        written(b"ECHO", bytes(60_000)) * 5,
        written(b"ECHO", bytes(2_000_000)),
        written(b"RECORDS") * 500,
        (written(b"APPLY", b"33", b"30000") + written(b"MASK")) * 500,
    )
    with on.many(FEW) as connections:
        for connection in connections:
            connection.settimeout(SOON_S)
            request = chance.choice(requests)
            while send(connection, request):
                pass
        time.sleep(2)  # the service has its time to end them


def flood(on: Hostile, chance: random.Random) -> None:
    """Changes as fast as they are answered, which makes events as well."""
    pipeline = (written(b"APPLY", b"33", b"%d" % chance.randrange(1, 10_000)) + written(b"RELEASE", b"33")) * 1000
    with on.many(4) as connections:
        for _ in range(5):
            for connection in connections:
                send(connection, pipeline)
            for connection in connections:
                with contextlib.suppress(OSError):
                    while connection.recv(1 << 20).count(b"\r\n") < 1000:
                        pass


def many(on: Hostile, chance: random.Random) -> None:
    """More connections than one user may have, some of which say nothing and others nothing to the end."""
    with on.many(MANY) as connections:
        for connection in connections:
            send(connection, written(b"PING")[: chance.randrange(14)])
        with on.connected() as last:  # whose turn it is when all others have been accepted or refused
            last.settimeout(60)
            send(last, written(b"PING"))
            last.recv(1)


def subscribers(on: Hostile, _: random.Random) -> None:
    """Subscriptions that are not read."""
    with on.many(FEW) as connections:
        for connection in connections:
            send(connection, written(b"HELLO", b"3") + written(b"EVENTS", b"FOLLOW", b"AFTER", b"0"))
        time.sleep(2)


def tasks(on: Hostile, chance: random.Random) -> None:
    """Tasks as fast as they begin and end, beside events of them that are not read."""
    number = b"%d" % chance.randrange(1 << 31)
    pipeline = (
        written(b"STARTRUNNING", b"any", b"1,7", b"page", b"ABILITYID", number)
        + written(b"SUSPENDDELAY", b"x" * 1024, number)
        + written(b"TASKEVENTS", b"AFTER", b"0")
        + written(b"CANCELDELAY", b"%d" % chance.randrange(1, 1000))
        + written(b"STOPRUNNING", b"any", b"ABILITYID", number)
    )
    with on.many(8) as connections:
        for connection in connections[:4]:
            send(connection, written(b"HELLO", b"3") + written(b"TASKEVENTS", b"FOLLOW", b"AFTER", b"0"))
        for connection in connections[4:]:
            connection.settimeout(SOON_S)
            send(connection, pipeline * 50)
        time.sleep(2)


def main() -> None:
    path, seed = sys.argv[1], int(sys.argv[2])
    on = Hostile(path)
    works: list[_Work] = [garbage, huge, halves, unread, flood, many, subscribers, tasks]
    for work in works:
        work(on, random.Random(seed))
    print("all", flush=True)

    def repeat(number: int) -> None:
        chance = random.Random(seed + number)
        while True:
            with contextlib.suppress(OSError):  # its limits are met
                works[number](on, chance)

    for number in range(len(works)):
        threading.Thread(target=repeat, args=(number,)).start()


if __name__ == "__main__":
    main()
