"""One socket of a client: connecting with patience, exchanging bytes, and what a broken exchange means."""

import contextlib
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from grantwheel import BusinessError
from grantwheel._documented import refusal
from grantwheel.service.client_answers import error_of

DEFAULT_PATH: Final = "/run/grantwheel.sock"
_TRANSACTION, _NOT_CONNECTED = 980000301, 980000402
_ABSENT: Final = {9800003, 9800004}
_LIMIT: Final = 9800001
_CHUNK = 1 << 16
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 2.0
UNKNOWN = "The exchange with the service broke off: the call may or may not have been carried out."


def path_of(path: str | os.PathLike[str] | None) -> str:
    """Return where the service is: the path, else what GRANTWHEEL_SOCKET says, else the usual place."""
    if path is None:
        return os.environ.get("GRANTWHEEL_SOCKET") or DEFAULT_PATH
    return os.fspath(path)


def make_reader() -> Any:
    """Return a parser of answers.

    Raises
    ------
    ImportError
        hiredis is missing: names the extra.
    """
    try:
        import hiredis
    except ImportError as error:
        raise ImportError("a client of the service needs hiredis: pip install 'grantwheel[service]'") from error
    return hiredis.Reader(replyError=error_of)


def unreachable(path: str, error: object) -> Exception:
    """Return the error of a service that isn't there."""
    return refusal(_NOT_CONNECTED, f"The service at {path} can't be reached: {error}")


def broken(error: object = None) -> Exception:
    """Return the error of an exchange that broke in the middle of a call."""
    return refusal(_TRANSACTION, UNKNOWN if error is None else f"{UNKNOWN} ({error})")


def is_absence(error: Exception) -> bool:
    """Tell whether it says that the service was not there, or went away in the middle: what comes next may find it."""
    return isinstance(error, BusinessError) and error.code in _ABSENT


def is_passing(error: Exception) -> bool:
    """Tell whether it says that the service was not there, or had too much to do: it is worth trying again."""
    return is_absence(error) or (isinstance(error, BusinessError) and error.code == _LIMIT)


class _Failed:
    """What stands for an answer that hasn't come."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def settled(answer: Any) -> Any:
    """Return an answer, with the error in place of one that hasn't come."""
    return answer.error if isinstance(answer, _Failed) else answer


class Backoff:
    """How long to wait before the next attempt: longer each time, up to two seconds."""

    def __init__(self) -> None:
        self._pause_s = _FIRST_PAUSE_S

    def next_s(self) -> float:
        """Return the next pause, in seconds."""
        pause = self._pause_s
        self._pause_s = min(pause * 2, _LONGEST_PAUSE_S)
        return pause

    def reset(self) -> None:
        """Begin with short ones again."""
        self._pause_s = _FIRST_PAUSE_S


class Link:
    """A socket that is connected when it is needed. Not thread-safe.

    Connecting is tried once a call: it tells at once that nobody is there. Who tries again by itself uses `Backoff`.
    """

    def __init__(self, path: str, timeout_s: float | None) -> None:
        self.path = path
        self.generation = 0  # how often it was connected
        self._timeout_s = timeout_s
        self._reader = make_reader()
        self._socket: socket.socket | None = None
        # While an answer is due. An interrupt may come between any two instructions: what is found so was left by one.
        self._is_waiting = False
        self.on_connect: Callable[[], object] | None = None

    def fileno(self) -> int:
        """Return the descriptor, -1 when it isn't connected."""
        return -1 if self._socket is None else self._socket.fileno()

    def is_ended(self) -> bool:
        """Whether the connection has ended, so that the next call makes another one."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def connect(self) -> socket.socket:
        """Connect, if it isn't. Raises BusinessError 9800004: the service can't be reached."""
        if self._socket is not None:
            return self._socket
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            if self._timeout_s is not None:
                # By the kernel, as a timeout of Python's costs a poll for each call.
                span = struct.pack("@ll", int(self._timeout_s), int(self._timeout_s % 1 * 1_000_000))
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
            made.connect(self.path)
        except OSError as error:
            made.close()
            raise unreachable(self.path, error) from error
        except BaseException:
            made.close()
            raise
        self._reader = make_reader()
        self._socket = made
        self.generation += 1
        if self.on_connect is not None:
            self.on_connect()
        return made

    def shut(self) -> None:
        """Let whoever waits for an answer hear that there will be none. From any thread."""
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    def close(self) -> None:
        """Drop the connection. It is fine if there is none."""
        dropped, self._socket = self._socket, None
        self._is_waiting = False
        if dropped is not None:
            with contextlib.suppress(OSError):
                dropped.close()

    def exchange(self, command: bytes) -> Any:
        """Send a command and return its answer, which may be an exception.

        A connection that has ended since the last call is found by nothing having come of the sending, and made anew:
        a service that was started anew is there again at the next call.

        Raises
        ------
        BusinessError
            9800004: the service can't be reached. 9800003: the exchange broke off.
        """
        answer = self.exchange_many(command, 1)[0]
        if isinstance(answer, _Failed):
            raise answer.error
        return answer

    def exchange_one(self, command: bytes) -> Any:
        """Do the same as `exchange`, the short way."""
        link = self._socket
        if link is None or self._is_waiting:
            return self.exchange(command)
        self._is_waiting = True
        try:
            sent = link.send(command)
        except BrokenPipeError:
            self.close()  # nothing of it has gone out
            return self.exchange(command)
        except OSError as error:
            self.close()
            raise broken(error) from error
        try:
            if sent != len(command):
                link.sendall(command[sent:])
            feed, gets = self._reader.feed, self._reader.gets
            while True:
                data = link.recv(_CHUNK)
                if not data:
                    raise ConnectionResetError("the service has closed the connection")
                feed(data)
                reply = gets()
                if reply is not False:
                    self._is_waiting = False
                    return reply
        except OSError as error:
            self.close()
            raise broken(error) from error
        except BaseException:
            self.close()  # what comes now would be the answer of another call
            raise

    def exchange_many(self, commands: bytes, count: int) -> list[Any]:
        """Send commands and return their answers in order.

        What wasn't answered is `_Failed`, which holds 9800004 when nothing has gone out, and 9800003 else.
        """
        answers: list[Any] = []
        if self._is_waiting:
            self.close()
        try:
            self._send(commands)
            self._read(answers, count)
            self._is_waiting = False
        except OSError as error:
            self.close()
            answers += [_Failed(broken(error))] * (count - len(answers))
        except BusinessError as error:
            answers += [_Failed(error)] * (count - len(answers))
        except BaseException:
            self.close()
            raise
        return answers

    def _send(self, commands: bytes) -> None:
        link = self.connect()
        self._is_waiting = True
        try:
            sent = link.send(commands)
        except BrokenPipeError:  # nothing has gone out
            self.close()
            link = self.connect()
            self._is_waiting = True
            try:
                sent = link.send(commands)
            except BrokenPipeError:  # a connection that is refused ends at once, and has said why
                return
        if sent != len(commands):
            link.sendall(commands[sent:])

    def _read(self, answers: list[Any], count: int) -> None:
        link, reader = self._socket, self._reader
        while len(answers) < count:
            reply = reader.gets()
            while reply is False:
                data = b"" if link is None else link.recv(_CHUNK)
                if not data:
                    raise ConnectionResetError("the service has closed the connection")
                reader.feed(data)
                reply = reader.gets()
            answers.append(reply)

    def receive(self) -> Any:
        """Return the next push. Raises BusinessError 9800003: the connection has ended."""
        answers: list[Any] = []
        try:
            self._read(answers, 1)
        except OSError as error:
            self.close()
            raise broken(error) from error
        return answers[0]
