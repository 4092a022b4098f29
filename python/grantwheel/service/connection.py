"""One connection: its peer, the requests that wait, and their answers, in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, cast

from grantwheel import BusinessError, Pipeline

from .command import Command, How
from .commands import COMMANDS
from .context import Calls, Following, Pages, Service, Wanted
from .limits import Bucket
from .peers import Peer, PeerRefused
from .wire import OK, ProtocolError, RequestReader, TooLargeError, encode, error, integer
from .words import Simple, denied, failed, told, wrong

if TYPE_CHECKING:
    import array

    from grantwheel.manager import Manager


_log = logging.getLogger("grantwheel")
_PIECE: Final = 1 << 12  # bytes that are parsed at once: requests as objects take ten times as much
_TASKS_BYTES: Final = 4096  # as which a change of tasks counts, which takes as long as some reads
_READ_BYTES: Final = 512  # as which a read counts, beside its answer; a change that is committed alone is all of a turn
_MOST_ACTED_FOR: Final = 4096
_SMALL: Final = 1 << 16  # what each connection may have waiting, whatever others of its uid have

# The words of an APPLY that says little.
_APPLY_WORDS: Final = frozenset((b"APPLY", b"apply"))
_TYPES: Final = {b"%d" % types: types for types in range(512)}
_ANSWERS: Final[dict[Any, bytes]] = {types: integer(types) for types in range(512)}
_MOST_DIGITS: Final = 10
_FEW: Final = 3  # requests, for which columns do not pay

_LOOKUP: Final = {
    spelling: command for name, command in COMMANDS.items() for spelling in (name.encode(), name.lower().encode())
}


class Connection(asyncio.BufferedProtocol):
    """One connection of a server."""

    peer: Peer

    def __init__(self, server: Service, number: int) -> None:
        self.server = server
        self.number = number
        self.version = 2
        self.name = ""
        self.following: dict[str, Following] = {}  # by stream
        self.is_known = False
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader(server.limits.request_bytes)
        self._requests: deque[list[bytes] | Exception] = deque()
        self._rest = b""  # what has come and is not parsed yet
        self._begun = 0  # bytes of a request that is not whole yet
        self._is_slow = False  # it does not read what it is answered
        self._is_ending = False  # as soon as all is answered
        self._is_over = False  # what else has come is left alone
        self._is_full = False  # more has come than there was a turn for
        self._is_paused = False  # nothing is read from it
        limits = server.limits
        self.bucket = Bucket(limits.connection_calls_per_second) if limits.connection_calls_per_second else None
        self._is_counted = bool(limits.calls_per_second or limits.connection_calls_per_second)
        self._awaited: asyncio.Future[Any] | None = None
        self._acted_for: set[tuple[int, int]] = set()
        self._last_acted_for = (b"", b"")
        self._forgotten = server.forgotten  # when these were noted

    @property
    def manager(self) -> "Manager":
        """Whose grants."""
        return self.server.manager

    # What asyncio calls. ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who has connected, or refuse it."""
        transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass
        self._transport = transport
        transport.set_write_buffer_limits(0)  # it is slow as soon as the kernel takes no more for it
        try:
            socket = transport.get_extra_info("socket")
            self.peer = self.server.identify(socket)
            self.server.accept(self, socket)
        except Exception as problem:  # noqa: BLE001 - whoever cannot be known is told why, and not served
            if not isinstance(problem, PeerRefused | BusinessError):
                _log.exception("a peer could not be identified")
                problem = failed("the peer could not be identified")
            self.server.refused += 1
            told = problem if isinstance(problem, BusinessError) else failed(str(problem))
            transport.write(error(told))
            transport.close()
        else:
            self.is_known = True

    def get_buffer(self, _: int) -> memoryview:
        """Lend the place for what has come: it is copied from there at once, so that all have the same."""
        return self.server.buffer

    def buffer_updated(self, count: int) -> None:
        """Take what has come."""
        if not self.is_known or self._is_ending:
            return
        is_full = bool(self._requests or self._rest)
        data = bytes(self.server.buffer[:count])
        if is_full or count > _PIECE:
            self._rest += data
        else:
            self._parse(data)
        if is_full != self._is_full:
            self._is_full = is_full
            self._read_or_pause()
        self.server.ready(self)

    def _parse_some(self, most: int) -> None:
        """Parse what has come, as far as there is a turn for it."""
        rest = self._rest
        at = 0
        while at < len(rest) and len(self._requests) < most and not self._is_over:
            end = rest.find(b"\r\n*", at + _PIECE) + 2  # between two requests, most likely
            end = end if end > 1 else len(rest)
            self._parse(rest[at:end])
            at = end
        self._rest = b"" if self._is_over else rest[at:]

    def _parse(self, data: bytes) -> None:
        requests = self._reader.feed(data)
        self._requests.extend(requests)
        if requests and isinstance(requests[-1], ProtocolError):
            self._stop_reading()
        elif self._reader.begun_bytes != self._begun:
            self._hold(self._reader.begun_bytes)

    def _hold(self, begun: int) -> None:
        """Count what has come of a request that is not whole; end the connection if that is too much."""
        size, self._begun = begun - self._begun, begun
        problem = self.server.hold(self, size)
        if problem is not None and begun > _SMALL:
            self._requests.append(problem)
            self._stop_reading()

    def eof_received(self) -> bool:
        """Answer what has come, and then end."""
        self.end()
        return True

    def connection_lost(self, _: Exception | None) -> None:
        """Let go of everything."""
        self.following.clear()
        self._is_ending = True
        self._requests.clear()
        self._rest = b""
        if self._begun:
            self._hold(0)
        if self._awaited is not None:
            self._awaited.cancel()
        self.server.forget(self)
        self._transport = None

    def pause_writing(self) -> None:
        """Hear that it reads slower than it is answered."""
        self._is_slow = True
        self._read_or_pause()
        self.server.slow(self)

    def resume_writing(self) -> None:
        """Go on answering."""
        self._is_slow = False
        self._read_or_pause()
        self.server.slow(self)
        self.server.ready(self)
        self.server.wake(self)

    # What commands ask for. ------------------------------------------------------------------------------------------

    def set_version(self, version: int) -> None:
        """Speak RESP2 or RESP3; pushes are of RESP3 alone."""
        if version != 3:
            self.following.clear()
        self.version = version

    def acts_for(self, uid: int, pid: int) -> None:
        """Hear that it acts for somebody else, whose death counts from now on."""
        self._forget_who_is_watched_no_more()
        if (uid, pid) not in self._acted_for:
            self.server.watch(uid, pid)
            if len(self._acted_for) < _MOST_ACTED_FOR:
                self._acted_for.add((uid, pid))

    def acts_for_all(self, uids: bytes, pids: bytes, *columns: "array.array[int]") -> None:
        """Hear the same of the rows of a batch, which are mostly those of the one before."""
        self._forget_who_is_watched_no_more()
        if (uids, pids) != self._last_acted_for:
            for uid, pid in set(zip(*columns, strict=True)) - self._acted_for:
                self.acts_for(uid, pid)
            self._last_acted_for = (uids, pids)

    def _forget_who_is_watched_no_more(self) -> None:
        """Have everybody watched anew: one of them may be watched no more, or have ended, and its pid be another's."""
        if self._forgotten != self.server.forgotten:
            self._forgotten = self.server.forgotten
            self._acted_for.clear()
            self._last_acted_for = (b"", b"")

    def follow(self, name: str, after: int, wanted: Wanted) -> None:
        """Push events of a stream from now on."""
        self.following[name] = Following(after, wanted)
        self.server.follow(self, name)

    def follow_no_more(self, name: str) -> None:
        """Push none of them any more."""
        self.following.pop(name, None)

    def end_after_answers(self) -> None:
        """Take no more requests."""
        self._stop_reading()
        self._requests.clear()
        self._rest = b""

    def end(self) -> None:
        """End it when what has come is answered."""
        self._is_ending = True
        self.server.ready(self)

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def unread_bytes(self) -> int:
        """How much waits to be read, beside what the kernel has taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    # Turns. ----------------------------------------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to answer, or to end."""
        if self._awaited is not None or self._is_slow:
            return False
        return bool(self._requests or self._rest) or self._is_ending

    def gather(self, pipe: Pipeline, tasks: Calls, most: int, most_bytes: int) -> list[bytes | None]:
        """Carry out what has come, up to the first read after a change, within so many calls and bytes of answers.

        Changes are queued, those of grants or those of tasks: None stands for their answers.
        """
        parts: list[bytes | None] = []
        requests = self._requests
        if self._rest:
            self._parse_some(most)
        changes: How | None = None  # what is queued
        size = 0
        may_be_plain = self.peer.caller is None and not self._is_counted
        if may_be_plain and _FEW < len(requests) <= most and self._queue_all_plain(pipe):
            parts = [None] * len(requests)
            requests.clear()
        while requests and len(parts) < most and self._awaited is None and size < most_bytes:
            if may_be_plain and (queued := self._queue_plain(pipe, most - len(parts))):
                changes = How.TOGETHER
                parts += [None] * queued
                continue
            words: Any = requests[0]
            command = self._command(words)
            if changes is not None and isinstance(command, Command) and command.how not in (changes, How.SESSION):
                break  # it is to find what the changes before it have done
            if self._is_counted and (problem := self.server.check_rate(self)):
                command = problem
            if isinstance(command, Exception):
                part: bytes | None = error(command)
            elif command.how in (How.TOGETHER, How.TASKS):
                part = self._queue(command, words, pipe if command.how is How.TOGETHER else tasks)
                changes = command.how if part is None else changes
                size += sum(map(len, words))  # as JSON it takes long to read
                if command.how is How.TASKS:
                    may_be_plain, size = False, size + _TASKS_BYTES
            else:
                part = self._answer(command, words)
                size += most_bytes if command.how is How.ALONE else len(part) + _READ_BYTES
            if requests:  # an answer may have been the last
                requests.popleft()
            parts.append(part)
        self.server.answered += len(parts)
        is_full = bool(requests or self._rest)
        if is_full != self._is_full:
            self._is_full = is_full
            self._read_or_pause()
        return parts

    def _queue_plain(self, pipe: Pipeline, most: int) -> int:
        """Queue each APPLY at the head that says only types and timeout, both in decimal digits; return how many.

        That is what comes most often, and it goes without the detours of all others.
        """
        requests = self._requests
        uid, pid = self.peer.uid, self.peer.pid
        queued = 0
        while requests and queued < most:
            words = requests[0]
            if isinstance(words, Exception) or len(words) != 3:
                break
            name, types, timeout_ms = words
            if name not in _APPLY_WORDS or types not in _TYPES:
                break
            if not timeout_ms.isdigit() or len(timeout_ms) > _MOST_DIGITS:
                break
            pipe.apply(uid, pid, _TYPES[types], int(timeout_ms))
            requests.popleft()
            queued += 1
        return queued

    def _queue_all_plain(self, pipe: Pipeline) -> bool:
        """Queue all that has come, if all of it is such an APPLY: column by column."""
        try:
            names, types, timeouts = zip(*self._requests, strict=True)
            if not _APPLY_WORDS.issuperset(names) or not b"".join(timeouts).isdigit():
                return False
            masks, timeouts_ms = tuple(map(_TYPES.__getitem__, types)), tuple(map(int, timeouts))
            if max(timeouts_ms) >= 10**_MOST_DIGITS:
                return False
        except (KeyError, TypeError, ValueError):  # another command, an error, no number
            return False
        pipe.apply_each(self.peer.uid, self.peer.pid, masks, timeouts_ms)
        return True

    def _queue(self, command: Command, words: Any, queue: Pipeline | Calls) -> bytes | None:
        try:
            command.run(self, words, queue)
        except Exception as problem:  # noqa: BLE001 - whatever goes wrong is that request's
            return error(told(problem))
        return None

    def _command(self, words: list[bytes] | Exception) -> Command | Exception:
        if isinstance(words, Exception):
            if isinstance(words, TooLargeError):
                return self.server.over("request_bytes", self, str(words))
            return wrong(str(words)) if isinstance(words, ProtocolError) else words
        try:
            command = _LOOKUP.get(words[0]) or _LOOKUP[words[0].upper()]
        except (IndexError, KeyError, TypeError, AttributeError):
            named = words[0][:32].decode("utf-8", "replace") if words and isinstance(words[0], bytes) else ""
            return wrong(f"unknown command {named!r}: COMMAND LIST tells all")
        count = len(words)
        if not command.least <= count <= command.most:
            return wrong(f"wrong number of arguments for {words[0].decode().upper()}: {command.usage or 'none'}")
        if command.is_admin and not self.peer.is_admin:
            return denied(f"{words[0].decode().upper()} is for administrators")
        return command

    def _answer(self, command: Command, words: Any) -> bytes:
        try:
            return self.answer_to(command.run(self, words))
        except Exception as problem:  # noqa: BLE001 - whatever goes wrong is that request's
            return error(told(problem))

    def answer_to(self, value: Any) -> bytes:
        """Return what a call has come to, as it is sent."""
        if isinstance(value, Exception):
            return error(told(value))
        if type(value) is int:
            return integer(value)
        if isinstance(value, Simple):
            return OK if value == "OK" else b"+%b\r\n" % value.encode()
        if isinstance(value, Awaitable):
            self._awaited = asyncio.ensure_future(value)
            self._awaited.add_done_callback(self._came)
            return b""
        return self._encoded(value)

    def _encoded(self, value: Any) -> bytes:
        """Return an answer, or the error of one that is too long."""
        answer, most = encode(value, self.version), self.server.limits.output_bytes
        if len(answer) <= most:
            return answer
        rule = f"an answer must have at most {most} bytes, and this one has {len(answer)}: ask for less at once"
        return error(self.server.over("output_bytes", self, rule))

    def _came(self, awaited: "asyncio.Future[Any]") -> None:
        """Answer what had to be waited for, and go on."""
        self._awaited = None
        if awaited.cancelled() or self._transport is None:
            return
        problem = awaited.exception()
        value = awaited.result() if problem is None else told(problem)
        self._transport.write(self._encoded(value))
        self.server.ready(self)

    def write(self, answers: bytes) -> None:
        """Send the answers of a turn; what has come and is not answered waits for the next one."""
        if self._transport is None:
            return
        if answers:
            if len(answers) > _SMALL and (problem := self.server.check_output(self, len(answers))):
                answers = error(problem)
                self.end_after_answers()
            self._transport.write(answers)
        if self._is_ending and not self._requests and not self._rest and self._awaited is None:
            self._transport.close()

    def push(self, pages: Pages) -> bool:
        """Send the next page of the events that it follows, if it reads; return whether there are more for it now."""
        following = self.following.get(pages.name)
        if following is None or self._is_slow or self._transport is None or self._transport.is_closing():
            return False
        page = pages.next(following)
        following.after = page.after
        if page.message:
            self._transport.write(page.message)
        return page.has_more

    def _read_or_pause(self) -> None:
        """Read from it, unless it is to end, or has to take or to be given answers first."""
        is_paused = self._is_ending or self._is_full or self._is_slow
        if is_paused == self._is_paused or self._transport is None or self._transport.is_closing():
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _stop_reading(self) -> None:
        self._is_ending = self._is_over = True
        self._read_or_pause()


def answers_of(parts: list[bytes | None], results: list[int | Exception]) -> bytes:
    """Return answers as they are sent, with the results of changes where parts are None."""
    if len(parts) == len(results):
        try:
            return b"".join(map(_ANSWERS.__getitem__, results))
        except KeyError:
            pass  # a refusal is among them
    rest = iter(results)
    return b"".join(_answer_of(next(rest)) if part is None else part for part in parts)


def _answer_of(result: Any) -> bytes:
    """Return the answer of a change."""
    return integer(result) if type(result) is int else error(told(result))
