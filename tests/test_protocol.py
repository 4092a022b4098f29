"""The page of the protocol says what the table of commands does, and the reader of requests bears whatever comes."""

import random
import re
import time
from pathlib import Path

import pytest

pytest.importorskip("hiredis")

from grantwheel.service.client_commands import pack as written
from grantwheel.service.commands import COMMANDS
from grantwheel.service.wire import MOST_WORDS, WORDS, ProtocolError, RequestReader, encode

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
LIMIT = 1 << 16


def read(*pieces: bytes) -> list[list[bytes]]:
    reader = RequestReader(LIMIT)
    found = []
    for piece in pieces:
        for request in reader.feed(piece):
            if isinstance(request, ProtocolError):
                raise request
            found.append(request)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_each_command(name: str) -> None:
    command = COMMANDS[name]
    usage = f"{name} {command.usage}".strip().replace("|", r"\|")
    assert f"| `{usage}` | {command.summary} | {command.answer} |\n" in PAGE
    assert command.least <= command.most <= MOST_WORDS


def test_the_page_has_no_others() -> None:
    section = PAGE[PAGE.index("## Commands") : PAGE.index("## Values")]
    assert len(re.findall(r"^\| `", section, re.MULTILINE)) == len(COMMANDS)
    assert all(f"| `{word}` | {code} |" in PAGE for code, word in WORDS.items())


REQUESTS = (
    [b"PING"],
    [b"APPLY", b"33", b"30000"],
    [b"APPLY", b"33", b"30000", b"REASON", b"\r\n*1000000000\r\n$99999999\r\n"],
    [b"MASKS", bytes(4000)],
    [b"ECHO", b""],
    [b"ECHO", b"\r\n" * 50],
)


@pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
def test_a_request_may_be_cut_anywhere(request_: list[bytes]) -> None:
    data = written(*request_) + written(b"PING")
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == [request_, [b"PING"]]


def test_requests_come_whole_however_they_are_cut() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(200):
        requests = [chance.choice(REQUESTS) for _ in range(chance.randrange(1, 8))]
        data = b"".join(written(*request) for request in requests)
        pieces = []
        while data:
            size = chance.choice((1, 2, 7, 40, 5000))
            pieces.append(data[:size])
            data = data[size:]
        assert read(*pieces) == requests


def test_empty_lines_between_requests_are_passed_over() -> None:
    ping = written(b"PING")
    data = (
        b"\r\n"
        + ping
        + b"\r\n\r\n"
        + ping * 2
        + b"\r\n"
        + written(b"ECHO", b"\r\n\r\n")
        + written(b"ECHO", b"")
        + b"\r\n"
    )
    expected = [[b"PING"]] * 3 + [[b"ECHO", b"\r\n\r\n"], [b"ECHO", b""]]
    assert read(data) == expected
    for cut in range(len(data)):
        for other in range(cut, min(cut + 3, len(data))):
            assert read(data[:cut], data[cut:other], data[other:]) == expected
    assert read(*(data[at : at + 1] for at in range(len(data)))) == expected
    reader = RequestReader(LIMIT)
    reader.feed(ping + b"\r\n" * 1000)
    assert reader.begun_bytes == 0


HOSTILE = {
    b"\r\n\rx": "an array of bulk strings",
    b"\r\r\n": "an array of bulk strings",
    b"\n": "an array of bulk strings",
    b"*1000000000\r\n": "at most 99 words",
    b"*10000": "at most 99 words",
    b"*1\r\n$1000000000\r\n": f"at most {LIMIT} bytes in a word",
    b"*1\r\n$1000000000": f"at most {LIMIT} bytes in a word",
    b"*2\r\n*1000000000\r\n": "an array of bulk strings",
    b"*2\r\n%1000000000\r\n": "an array of bulk strings",
    b"%1000000000\r\n": "an array of bulk strings",
    b"*-1\r\n": "must be",
    b"*1\r\n$-1\r\n": "in decimal digits|an array of bulk strings",  # it is seen here or there
    b"*" + b"0" * 30: "without zeros before it",
    b"*" + b"\r" * 30: "in decimal digits",
    b"*\r\n": "in decimal digits",
    b"*01\r\n$4\r\nPING\r\n": "without zeros before it",
    b"*1\r\r\n$4\r\nPING\r\n": "in decimal digits",
    b"*1\r\n$\r\n": "in decimal digits",
    b"*1\r\n$04\r\nPING\r\n": "without zeros before it",
    b"PING\r\n": "an array of bulk strings",
    b"+OK\r\n": "an array of bulk strings",
    b":1\r\n": "an array of bulk strings",
    b"*1\r\n*1\r\n$1\r\na\r\n": "an array of bulk strings",
    b"*3\r\n$5\r\nAPPLY\r\n:33\r\n:1000\r\n": "an array of bulk strings",
    b"*3\r\n$5\r\nAPPLY\r\n$2\r\n33\r\n-1000\r\n": "an array of bulk strings",
    b"*3\r\n$5\r\nAPPLY\r\n:33\r\n$4\r\n1\r\n0\r\n": "an array of bulk strings",
    b"*3\r\n$5\r\nAPPLY\r\n*1\r\n$1\r\n1\r\n$3\r\n1\r\n\r\n": "an array of bulk strings",
    b"%1\r\n%1\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n": "an array of bulk strings",
    b",x\r\n": "must be|Bad",
    b"(x\r\n": "must be|Bad",
    b"#x\r\n": "must be|Bad",
    b"*2\r\n$2\r\n339\n-5\r\n30000\r\n": "an array of bulk strings",
    b"~1\r\n*0\r\n": "an array of bulk strings",
    b"~1\r\n$4\r\nPING\r\n": "an array of bulk strings",
    b"*1\r\n+PING\r\n": "an array of bulk strings",
    b"\x00\xff": "an array of bulk strings",
}


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_request_is_refused_before_it_costs(data: bytes) -> None:
    for cut in range(len(data)):
        with pytest.raises(ProtocolError, match=HOSTILE[data]):
            read(written(b"PING"), data[:cut], data[cut:])
    first, problem = RequestReader(LIMIT).feed(written(b"PING") + data)
    assert first == [b"PING"]
    assert isinstance(problem, ProtocolError)


def test_a_request_that_has_begun_is_seen_whatever_ends_the_words_before_it() -> None:
    # hiredis does not look at the two bytes behind a word: here they end no line, and one more request has begun.
    reader = RequestReader(LIMIT)
    assert reader.feed(b"*1\r\n$2\r\n3345*3\r\n") == [[b"33"]]
    assert reader.begun_bytes == 4
    (problem,) = reader.feed(b"*1\r\n$1\r\n1\r\n")
    assert "an array of bulk strings" in str(problem)


def test_a_request_that_grows_too_large_is_refused() -> None:
    reader = RequestReader(LIMIT)
    reader.feed(b"*90\r\n")
    word = b"$1000\r\n" + bytes(1000) + b"\r\n"
    for _ in range(64):
        assert reader.feed(word) == []
    (problem,) = reader.feed(word)
    assert "at most 65536 bytes" in str(problem)


def test_large_requests_come_whole_however_they_are_cut() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(20):
        requests = [[b"ECHO", chance.randbytes(chance.choice((3, 1_000_000, 1_500_000)))] for _ in range(3)]
        data = b"".join(written(*request) for request in requests)
        reader = RequestReader(1 << 21)
        found: list[object] = []
        for start in range(0, len(data), 1 << 16):
            found += reader.feed(data[start : start + (1 << 16)])
            whole = sum(len(written(*request)) for request in requests[: len(found)])
            assert reader.begun_bytes == min(start + (1 << 16), len(data)) - whole
        assert found == requests


def test_a_request_that_comes_byte_by_byte_costs_no_more_for_being_large() -> None:
    reader = RequestReader(1 << 23)
    reader.feed(b"*2\r\n$4\r\nECHO\r\n$8000000\r\n" + bytes(7_900_000))
    start = time.perf_counter()
    for _ in range(10_000):
        assert reader.feed(b"x") == []
    assert time.perf_counter() - start < 5  # generous: it took minutes when all of it was looked at again


def test_garbage_is_refused_or_waited_for() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(2000):
        data = bytearray(written(b"APPLY", b"33", b"30000") * 2)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.choice(b"*$:+-%~>|=!(0123456789\r\n\x00\xff")
        reader = RequestReader(LIMIT)
        cut = chance.randrange(len(data) + 1)
        for piece in (bytes(data[:cut]), bytes(data[cut:])):
            *requests, last = reader.feed(piece) or [[]]
            assert all(type(word) is bytes for request in requests for word in request)  # type: ignore[union-attr]
            if isinstance(last, ProtocolError):
                break
            assert all(type(word) is bytes for word in last)


@pytest.mark.parametrize(
    ("value", "two", "three"),
    [
        (33, b":33\r\n", b":33\r\n"),
        (-5, b":-5\r\n", b":-5\r\n"),
        (True, b":1\r\n", b":1\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        ("\xfc", b"$2\r\n\xc3\xbc\r\n", b"$2\r\n\xc3\xbc\r\n"),
        ({"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        ([1, [b""]], b"*2\r\n:1\r\n*1\r\n$0\r\n\r\n", b"*2\r\n:1\r\n*1\r\n$0\r\n\r\n"),
    ],
)
def test_answers(value: object, two: bytes, three: bytes) -> None:
    assert encode(value, 2) == two
    assert encode(value, 3) == three
