"""RESP as bytes: requests as they come in, bounded before they are parsed, and answers as they go out.

The parser is hiredis. It makes room for as many elements as a header announces, so what headers announce is looked at
before it is fed. That costs little: most of what comes has nothing in it that could be a large header.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

import hiredis

from grantwheel import BusinessError

MOST_WORDS: Final = 99
# What needs a look before it is parsed, wherever it stands: what may be the header of more than 99 elements, what
# hiredis would read as a list or as bytes where something else is sent, and empty lines, which it knows nothing of. For
# the bytes of a word the parser waits, and what has begun is bounded.
_MANY = re.compile(rb"\*\d\d\d")
_OTHER_KINDS: Final = b"%~>|+=("
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_LONGEST_HEADER = 24
_ZERO: Final = ord("0")
_NO_REQUEST = "a request must be an array of bulk strings"

OK: Final = b"+OK\r\n"
_NOTHING: Final = {2: b"$-1\r\n", 3: b"_\r\n"}
_INTEGERS: Final = [b":%d\r\n" % number for number in range(512)]

# How the errors of each code begin.
WORDS: Final[Mapping[int, str]] = {
    201: "PERMISSION",
    202: "NOTSYSTEM",
    401: "PARAMETER",
    9800001: "MEMORY",
    9800002: "PARCEL",
    9800003: "TRANSACTION",
    9800004: "SERVICE",
    9800005: "TASK",
    9800006: "NOTIFICATION",
    9800007: "STORAGE",
    9900001: "TRANSIENTCALLER",
    9900002: "TRANSIENT",
    9900003: "TRANSIENTPARCEL",
    9900004: "TRANSIENTSERVICE",
    18700001: "CALLER",
    18700002: "QUERYPARCEL",
    18700004: "QUERYSERVICE",
}


class ProtocolError(Exception):
    """What came is no request, or a larger one than is allowed: it is told, and the connection closed."""

    after = 0  # how many bytes of whole requests came before it
    requests = 0  # how many requests these are


class TooLargeError(ProtocolError):
    """A request that is larger than is allowed."""


class Push(list[Any]):
    """A message that answers nothing. RESP3 only."""


class RequestReader:
    """Takes bytes in pieces, and gives requests: lists of words, none of them larger than is allowed.

    Parameters
    ----------
    request_bytes : int
        The most that one request may have.
    """

    def __init__(self, request_bytes: int) -> None:
        self._request_bytes = request_bytes
        self._reader = hiredis.Reader(protocolError=ProtocolError, replyError=ProtocolError)
        # Where what has come ends, within a request that is not whole:
        self.begun_bytes = 0  # of it that have come
        self._header = b""  # of these, a header that is not whole
        self._missing = 0  # bytes that the word is short of
        self._words = 0  # that come after that
        # Where between requests lines are empty, in what was looked at last:
        self._empty: list[tuple[int, int]] = []

    def feed(self, data: bytes) -> list[list[bytes] | ProtocolError]:
        """Take what has come, and return the requests that are whole now.

        The last one is a `ProtocolError` when what follows is no request, or a larger one than is allowed: nothing more
        may be fed then.
        """
        requests: list[list[bytes] | ProtocolError] = []
        wrong: ProtocolError | None = None
        is_doubtful = (
            self.begun_bytes != 0
            or len(data) > self._request_bytes
            or len(data.translate(None, _OTHER_KINDS)) != len(data)
            or _MANY.search(data) is not None
            or b"\n\r" in data
            or data.startswith(b"\r")
        )
        if is_doubtful:
            wrong = self._look_at(data)
            if wrong is not None:
                data = data[: wrong.after]
            data = self._without_empty_lines(data)
        try:
            is_whole = self._parse(data, requests)
        except (ProtocolError, TypeError) as problem:
            is_whole = False
            if isinstance(problem, ProtocolError):
                wrong = wrong or problem
        if not is_doubtful and not is_whole:
            found = self._look_at(data)
            if found is not None:
                wrong = found
                del requests[wrong.requests :]  # what hiredis has taken for some
        if wrong is not None:
            requests.append(wrong)
        return requests

    def _parse(self, data: bytes, requests: list[Any]) -> bool:
        """Put the requests that are whole now into a list, and tell whether that is all there is.

        Raises
        ------
        ProtocolError
            What follows them is none.
        TypeError
            One of them has a word that is no bulk string.
        """
        reader = self._reader
        reader.feed(data)
        is_whole = False
        while not is_whole:
            try:
                request = reader.gets()
            except (TypeError, ValueError):  # of RESP3, for which Python has no value: a map with maps as keys
                request = None
            if request is False:
                break
            if type(request) is not list:
                raise ProtocolError(_NO_REQUEST)
            requests.append(request)
            b"".join(request)
            is_whole = not reader.has_data()
        return is_whole

    def _without_empty_lines(self, data: bytes) -> bytes:
        parts, at = [], 0
        for begin, end in self._empty:
            parts.append(data[at : max(begin, 0)])
            at = end
        return b"".join((*parts, data[at:])) if parts else data

    def _look_at(self, data: bytes) -> ProtocolError | None:
        """Look at all headers in what has come, and note where it ends. What has come before is not looked at again.

        What is returned says what is wrong with it, and how much of it comes before that.
        """
        known = len(self._header)
        data = self._header + data
        begin = known - self.begun_bytes  # of the request: negative, if that was before these data
        requests = 0
        self._empty.clear()
        at, words, end = self._missing, self._words, len(data)
        most = self._request_bytes
        try:
            while True:
                if at - begin > most:
                    raise TooLargeError(f"a request must have at most {most} bytes")
                if not words and begin < at <= end:
                    begin = at  # it is whole
                    requests += 1
                if at >= end:
                    break
                if at == begin and (empty := _EMPTY_LINES.match(data, at)):
                    self._empty.append((at - known, empty.end() - known))
                    begin = at = empty.end()
                    continue
                if at == begin and at + 1 == end and data.endswith(b"\r"):  # the begin of one more
                    self._empty.append((at - known, end - known))
                    break
                if at == begin:
                    header = _header(data, at, b"*", MOST_WORDS, "words")
                else:
                    header = _header(data, at, b"$", most, "bytes in a word", TooLargeError)
                if header is None:
                    break
                number, after = header
                words, at = (number, after) if at == begin else (words - 1, after + number + 2)
        except ProtocolError as problem:
            problem.after, problem.requests = max(begin - known, 0), requests
            return problem
        self.begun_bytes = end - begin
        self._header = data[at:]
        self._missing = max(at - end, 0)
        self._words = words
        return None


def _header(
    data: bytes, at: int, kind: bytes, most: int, what: str, problem: type[ProtocolError] = ProtocolError
) -> tuple[int, int] | None:
    """Return the number in a header, and where it ends; None if it is not whole."""
    if data[at : at + 1] != kind:
        raise ProtocolError(_NO_REQUEST)
    end = data.find(b"\r\n", at, at + _LONGEST_HEADER)
    digits = data[at + 1 : end] if end >= 0 else data[at + 1 : at + _LONGEST_HEADER].removesuffix(b"\r")
    if (digits or end >= 0) and (not digits.isdigit() or (digits[0] == _ZERO and len(digits) > 1)):
        raise ProtocolError(f"the number of {what} must be in decimal digits, without zeros before it")
    if digits and int(digits) > most:
        raise problem(f"a request must have at most {most} {what}")
    return (int(digits), end + 2) if end >= 0 else None


def encode(value: Any, version: int) -> bytes:
    """Return a value as an answer of RESP2 or RESP3. Maps are arrays of keys and values in RESP2."""
    parts: list[bytes] = []
    _encode(value, version, parts)
    return b"".join(parts)


def _encode(value: Any, version: int, parts: list[bytes]) -> None:
    if isinstance(value, int):  # bools too: 0 and 1
        parts.append(integer(int(value)))
    elif isinstance(value, str | bytes):
        parts.append(bulk(value))
    elif value is None:
        parts.append(_NOTHING[version])
    elif isinstance(value, Exception):
        parts.append(error(value))
    elif isinstance(value, Mapping):
        parts.append(b"%%%d\r\n" % len(value) if version == 3 else b"*%d\r\n" % (2 * len(value)))
        for item in chain.from_iterable(value.items()):
            _encode(item, version, parts)
    elif isinstance(value, Iterable):
        items = list(value)
        parts.append(b"%b%d\r\n" % (b">" if isinstance(value, Push) else b"*", len(items)))
        for item in items:
            _encode(item, version, parts)
    else:
        raise TypeError(f"{type(value).__name__} has no form in RESP")


def integer(number: int) -> bytes:
    """Return a number as an answer."""
    return _INTEGERS[number] if 0 <= number < len(_INTEGERS) else b":%d\r\n" % number


def bulk(text: str | bytes) -> bytes:
    """Return a text as an answer."""
    data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
    return b"$%d\r\n%b\r\n" % (len(data), data)


def error(problem: Exception) -> bytes:
    """Return an error as an answer: ``-WORD code sentence (detail: rule)``, on one line.

    What has no code of its own came of what was sent: 401.
    """
    if isinstance(problem, BusinessError):
        word = getattr(problem, "word", None) or WORDS.get(problem.code, "ERR")  # a limit has a word of its own
        text = f"{word} {problem.code} {str(problem).partition('] ')[2]}"
    else:
        text = f"ERR 401 {problem}"
    return b"-%b\r\n" % text.encode("utf-8", "backslashreplace").translate(_ONE_LINE)


_ONE_LINE: Final = bytes(32 if byte < 32 or byte == 127 else byte for byte in range(256))
