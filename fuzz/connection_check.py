"""What the target `connection_fuzz` checks: the connections of a service answer whatever is sent to them by the rules.

An input is sent twice to a service: cut anywhere, and one request at a time. The second shows what each request
has changed; and both must be answered alike.
"""

import asyncio
import logging
import random
import sys
import zlib
from collections.abc import Iterator
from typing import Any, Final

import hiredis

from connection_inputs import INSTANCE, PEERS, Part, parts_of
from connection_loop import Loop, Transport
from connection_rules import FaultError, Sent, check_error, check_reply, may_change, quit_place, requests_in
from grantwheel import Caller, Manager, ManualClock, MemoryLog, Policy
from grantwheel.service.connection import Connection
from grantwheel.service.deaths import EndedError
from grantwheel.service.limits import Limits
from grantwheel.service.peers import Peer, PeerRefused
from grantwheel.service.server import Server
from grantwheel.service.words import limited
from grantwheel.types import OwnerKind, Record

_LEAST: Final = 1 << 16
_ANY: Final = Limits()
_ODD: Final = (
    Limits(request_bytes=_LEAST, request_bytes_per_uid=2 * _LEAST, output_bytes=_LEAST, output_bytes_per_uid=_LEAST),
    Limits(connections=3, connections_per_uid=2, stall_ms=1000),
    Limits(calls_per_second=5, connection_calls_per_second=3),
)
_FULL: Final = Caller(system_app=True, native=True)
_APP: Final = Caller(bundle="mail", system_app=True)
_PEERS: Final = (
    Peer(uid=1000, pid=42),
    Peer(uid=1000, pid=43),
    Peer(uid=2000, pid=50),
    Peer(uid=0, pid=1, may_act_for=True, is_admin=True),
    Peer(uid=3000, pid=60, caller=Caller(uid=3000, pid=60, bundle="music", service_extension=True)),
    Peer(uid=4000, pid=70),
)
_POLICIES: Final = tuple(
    Policy(
        allowed={"mail": (1, 3, 6), "music": (0,), "": (0,)},
        cpu_level_max={"mail": 1, "": 2},
        over_timeout_max=over,
        timeout_max_ms={"mail": {1: 60_000}},
        callers={0: _FULL, 1000: _APP, 2000: Caller(bundle="mail", native=True, service_extension=True)},
        default_caller=Caller(),
    )
    for over in ("cap", "refuse")
)
_NATIVE: Final = (0, 2000)
_CLOSING: Final = (b"REQUEST", b"UIDREQUESTS", b"UIDOUTPUT")
_TOLD: Final = frozenset((b"INFO", b"STATS"))  # which count turns, and what was committed together
_NO_STATE: Final = ("refused", "advance_lateness", "delivery_lateness", "missed", "log")
_MOST_HELD: Final = 4 << 20  # of requests that wait, as objects
_MOST_ALONE: Final = 50  # requests that are sent one at a time; the rest of a part comes as one
_KERNEL: Final = 1 << 16


class _Log(logging.Handler):
    """Keeps what the service tells as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _Watcher:
    """Knows no process of one pid, and has no room for those of one uid."""

    forgotten = 0

    def enter(self, _: Any) -> None:
        """Everybody may come."""

    def leave(self, uid: int, pid: int) -> None:
        """Everybody may go; then others are watched anew."""
        self.forgotten += 1

    def watch(self, uid: int, pid: int) -> None:
        if pid == 77:
            raise EndedError("there is no process 77")
        if uid == 4000:
            raise limited("watched_per_uid", "uid 4000 may have no process")


class Line:
    """A connection, and all that was sent on it and received."""

    def __init__(self, peer: Peer, loop: Loop, server: Server) -> None:
        self.peer = peer
        self.sent = b""
        self.has_ended = False
        self.was_slow = False
        self.transport = Transport(loop)
        self.connection: Connection = server._connection()
        server.identify = lambda _: self.peer
        self.transport.connect(self.connection)
        self._parser = hiredis.Reader()
        self._parsed = 0
        self.replies: list[Any] = []
        self.pushed: list[Any] = []

    @property
    def is_open(self) -> bool:
        return not self.has_ended and not self.transport.is_closing()

    def parse(self) -> list[Any]:
        """Parse what was received since; return the answers."""
        new = self.transport.received[self._parsed :]
        self._parsed += len(new)
        self._parser.feed(new)
        found: list[Any] = []
        while (reply := self._parser.gets()) is not False:
            (self.pushed if isinstance(reply, hiredis.PushNotification) else found).append(reply)
        self.replies += found
        return found

    @property
    def has_half_a_reply(self) -> bool:
        return bool(self._parser.has_data())


class Run:
    """A service, and an input that is sent to it.

    Parameters
    ----------
    limits : int
        Which limits the service has, and whether its manager has a log.
    chance : random.Random or None
        Where to cut what is sent; None: one request at a time.
    """

    def __init__(self, limits: int, chance: random.Random | None) -> None:
        self.limits = _ODD[limits % 8 - 5] if limits % 8 >= 5 else _ANY
        self.loop = Loop()  # type: ignore[abstract]  # what is missing is not called
        self.lines: list[Line] = []
        self._chance = chance
        self._clock = ManualClock(1000)
        self.has_gaps = bool(limits & 8)
        self.manager = Manager(
            clock=self._clock,
            policy=_POLICIES[0],
            max_records=3 if limits & 8 else 64,
            max_strings=3 if limits & 8 else 64,
            event_capacity=4 if limits & 8 else 4096,
            log=MemoryLog() if limits & 16 else None,
        )
        self._policies = 0
        self.server = Server(
            self.manager,
            identify=self._identify,
            limits=self.limits,
            watcher=_Watcher(),
            reload=self._reload,
            drives=False,
            instance=INSTANCE,
            clock=lambda: self.loop.now_ms / 1000,
        )
        self.server.task_instance = self.server._task_stream.instance = INSTANCE
        self._open: dict[int, Line] = {}
        self._has_left = False  # a turn to be done

    def _identify(self, _: Any) -> Peer:
        raise PeerRefused("nobody")

    def _reload(self) -> None:
        """Take the other policy, two times of three."""
        self._policies += 1
        if self._policies % 3 == 0:
            raise ValueError("the file is not right")
        self.manager.set_policy(_POLICIES[self._policies % 2])

    # Sending. --------------------------------------------------------------------------------------------------------

    def send(self, parts: list[Part]) -> None:
        """Send an input."""
        asyncio._set_running_loop(self.loop)
        try:
            for part in parts:
                self._send(part)
            if self.server.ended.is_set():
                self._stop()
            self._settle()
            self._end()
        finally:
            asyncio._set_running_loop(None)
        for error in self.loop.errors:
            raise FaultError("the loop was told an error") from error
        self.manager.validate()
        self.manager.close()

    def _line(self, peer: int) -> Line:
        line = self._open.get(peer)
        if line is None or not line.is_open:
            line = self._open[peer] = Line(_PEERS[peer], self.loop, self.server)
            self.lines.append(line)
        return line

    def _send(self, part: Part) -> None:
        line = self._line(part.peer)
        if part.reads_nothing:
            line.transport.peer_reads = False
            line.was_slow = True
        elif not line.transport.peer_reads:
            line.transport.read()
        before = self._state() if self._chance is None and not self._has_left else None
        self._has_left = part.is_together
        for piece in self._pieces(line, part.sent):
            if not line.is_open:
                break
            line.sent += piece
            line.transport.send(piece)
            self._check_requests(line)
            if self._chance is None and not part.is_together:
                self._settle()
                if before is not None:
                    self._check_changes(line, before)
                before = self._state()
            elif self._chance is not None and self._chance.random() < 0.3:
                self.loop.step()
        if part.ends and line.is_open:
            line.has_ended = True
            line.transport.end()
        if part.is_together:
            return
        if part.is_lost:
            line.transport.lose()
        self._settle()
        if part.wait_ms:
            self._clock.advance(part.wait_ms)
            self.loop.now_ms += part.wait_ms
            while self.manager.advance():
                pass
            self._settle()

    def _pieces(self, line: Line, data: bytes) -> Iterator[bytes]:
        if self._chance is None:
            known = len(line.sent)
            at = 0
            for end in [end - known for end in requests_in(line.sent + data).ends if end > known][:_MOST_ALONE]:
                yield data[at:end]
                at = end
            if at < len(data):
                yield data[at:]
            return
        sizes = self._chance.choice(((1, 2, 7, 40), (20, 400, 5000), (len(data) or 1,)))
        while data:
            size = max(self._chance.choice(sizes), len(data) // 60)
            yield data[:size]
            data = data[size:]

    def _settle(self) -> None:
        """Let the service do all that it has to do."""
        for _ in range(1 << 16):
            did = self.loop.step()
            for line in self.lines:
                did = line.transport.pump() or did
            if not did:
                break
            self._check_memory()
        else:
            raise FaultError("the service does not come to an end")

    def _stop(self) -> None:
        """End all connections as a server that is stopped does: what has come is answered."""
        for line in self.lines:
            if line.is_open:
                line.sent = line.sent[: len(line.sent) - line.transport.unsent()]
                line.has_ended = True
                line.connection.end()

    def _end(self) -> None:
        for line in self.lines:
            if not line.transport.peer_reads:
                line.transport.read()
        self._settle()
        for line in self.lines:
            line.parse()
        self.check_replies()
        for line in self.lines:
            if not line.transport.is_over:
                line.transport.lose()
        self._settle()
        server = self.server
        left = (server.connections, server._begun, server._by_uid, server._ready, server._unread._noted)
        pushes = server._pushes.values()
        if any(left) or server._unread._by_uid or any(one._followers or one._behind for one in pushes):
            raise FaultError("something is kept of connections that have ended")
        for one in pushes:
            one.close()
        self.loop.settle()

    # Checks. ---------------------------------------------------------------------------------------------------------

    def _check_memory(self) -> None:
        """What is held for a connection is no more than it may have, and is counted."""
        begun: dict[int, int] = {}
        for line in self.lines:
            one = line.connection
            if line.transport.is_over:
                continue
            uid = line.peer.uid
            begun[uid] = begun.get(uid, 0) + one._begun
            if not one._is_over and one._begun != one._reader.begun_bytes:
                raise FaultError(f"{one._reader.begun_bytes} bytes have begun, and {one._begun} are counted")
            if len(one._rest) > 2 * _KERNEL or one._reader.begun_bytes > self.limits.request_bytes + _KERNEL:
                raise FaultError(f"{len(one._rest)} and {one._reader.begun_bytes} bytes are held")
            if line.transport.get_write_buffer_size() > self.limits.output_bytes + (2 << 20):
                raise FaultError(f"{line.transport.get_write_buffer_size()} bytes of answers are held")
        counted = self.server._begun
        if {uid: size for uid, size in begun.items() if size} != dict(counted):
            raise FaultError(f"begun are {begun}, counted {counted}")

    def _check_requests(self, line: Line) -> None:
        """The requests that wait, as objects, are no more than a piece of them can be."""
        held = 0
        for words in line.connection._requests:
            if isinstance(words, list):
                held += sys.getsizeof(words) + sum(map(sys.getsizeof, words))
        if held > _MOST_HELD:
            raise FaultError(f"{held} bytes of requests are held")

    def _state(self) -> tuple[Any, list[Record]]:
        told = self.manager.stats()._asdict() | {"app_grants": 0, "process_grants": 0}  # the records have these
        return {name: value for name, value in told.items() if value and name not in _NO_STATE}, self.manager.records(
            None, 100
        )

    def _check_changes(self, line: Line, before: tuple[Any, list[Record]]) -> None:
        """A request that was refused has changed nothing, nor has a read; nobody else is concerned, mostly."""
        known = len(line.replies)
        replies = line.parse()
        after = self._state()
        if after == before:
            return
        if line.was_slow:
            return
        sent = requests_in(line.sent)
        if sent.is_odd:
            return
        requests = sent.requests[known : known + len(replies)]
        if not any(may_change(words, reply) for words, reply in zip(requests, replies, strict=False)):
            raise FaultError(f"{requests} was answered {replies}, and has changed {before} to {after}")
        peer = line.peer
        if not peer.may_act_for and not peer.is_admin:
            others = [
                [one for one in records if one.uid != peer.uid and (one.kind is OwnerKind.APP or one.pid != peer.pid)]
                for _, records in (before, after)
            ]
            if others[0] != others[1]:
                raise FaultError(f"{requests} of {peer} has changed {others[0]} to {others[1]}")

    def check_replies(self) -> None:
        for line in self.lines:
            sent = requests_in(line.sent, self.limits.request_bytes)
            if sent.is_odd:
                continue
            self._check_number(line, sent)
            if line.transport.was_aborted or self.limits is not _ANY:
                continue
            for words, reply in zip(sent.requests, line.replies, strict=False):
                check_reply(words, reply, line.peer, line.peer.uid in _NATIVE)

    def _check_number(self, line: Line, sent: Sent) -> None:
        replies = line.replies
        last = replies[-1] if replies and isinstance(replies[-1], Exception) else None
        told = str(last).partition(" ")[0].encode() if last else b""
        quit_at = quit_place(sent.requests, replies)
        requests = sent.requests[:quit_at]
        right = {len(requests)}
        is_closed = line.transport.is_closing()
        must_close = line.has_ended or quit_at is not None
        if not line.connection.is_known:
            right = {1}
            must_close = True
        elif sent.is_wrong and quit_at is None:
            right = {len(requests) + 1}
            must_close = True
        if told == b"REQUEST" and not sent.is_wrong:
            raise FaultError(f"a request that is not too long is refused: {line.sent[-300:]!r}")
        if told in _CLOSING and is_closed:  # what follows is left alone, and answers may have given way to that
            right = set(range(len(requests) + 2))
            must_close = True
        if line.transport.was_aborted:
            right = set(range(len(requests) + 2))
            must_close = is_closed
        elif line.has_half_a_reply:
            raise FaultError(f"half an answer: {line.transport.received[-100:]!r}")
        if len(replies) not in right or must_close != is_closed:
            raise FaultError(
                f"{len(replies)} answers to {len(requests)} requests, closed {is_closed} ({must_close}); "
                f"sent {line.sent[-300:]!r}, answered {replies[-5:]}"
            )
        if is_closed and not line.transport.is_over:
            raise FaultError("a connection is closed, and does not end")
        for reply in replies:
            if isinstance(reply, Exception):
                check_error(str(reply))


def _comparable(line: Line) -> tuple[Any, ...]:
    """What is answered on a connection, however it was cut."""
    sent = requests_in(line.sent)
    names = [words[0].upper() if words else b"" for words in sent.requests]
    names += [b""] * (len(line.replies) - len(names))
    replies = [repr(reply) for name, reply in zip(names, line.replies, strict=False) if name not in _TOLD]
    # How many events are pushed before something else is followed, or the end, is a matter of turns.
    followed = names.index(b"EVENTS") if b"EVENTS" in names else 0
    is_followed_on = not line.transport.is_closing() and not {b"EVENTS", b"RESET", b"HELLO"} & {*names[followed + 1 :]}
    events = [row for page in line.pushed for row in page[3]] if is_followed_on else []
    return replies, events, line.transport.is_closing()


def check(data: bytes) -> None:
    """Check an input."""
    limits, parts = parts_of(data)
    log = _Log()
    logger = logging.getLogger("grantwheel")
    logger.addHandler(log)
    was, logger.propagate = logger.propagate, False
    try:
        cut = Run(limits, random.Random(zlib.crc32(data)))
        cut.send(parts)
        whole = Run(limits, None)
        whole.send(parts)
    finally:
        logger.removeHandler(log)
        logger.propagate = was
    if log.records:
        one = log.records[0]
        raise FaultError(f"the log has an error: {one.getMessage()}") from (one.exc_info[1] if one.exc_info else None)
    # Who acts together, or is limited by what others do, is answered by the order of turns.
    if cut.limits is not _ANY or any(part.is_together or part.reads_nothing or part.is_lost for part in parts):
        return
    if any(requests_in(line.sent).is_odd for run in (cut, whole) for line in run.lines):
        return
    for line, other in zip(cut.lines, whole.lines, strict=True):
        first, second = _comparable(line), _comparable(other)
        if cut.has_gaps and (line.pushed or other.pushed):
            first, second = first[::2], second[::2]
        if first != second:
            raise FaultError(f"answered otherwise when it is cut:\n{first}\n{second}")


def described(data: bytes) -> str:
    """An input for people."""
    limits, parts = parts_of(data)
    names = {number: f"peer {number} (uid {_PEERS[number].uid})" for number in range(PEERS)}
    return "\n".join(
        [f"limits {limits}", *(f"{names[part.peer]}, flags {part.flags:08b}: {part.content!r}" for part in parts)]
    )
