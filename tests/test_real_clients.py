"""What others have written speaks to the service as it is: redis-cli, redis-benchmark, hiredis and redis-py.

Each test has a service of its own process, as `grantwheel serve` makes it. Tools that are not installed are left out.
"""

import asyncio
import csv
import ctypes
import ctypes.util
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service_process import WAIT_S, serving

pytest.importorskip("hiredis", reason="the service needs it")

CLIS = [name for name in ("redis-cli", "valkey-cli") if shutil.which(name) is not None]
GPS, CPU = 32, 1


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with serving() as path:
        yield path


def cli(name: str, path: Path, *arguments: str) -> str:
    """What a command line client says, as on a terminal."""
    done = subprocess.run(
        [name, "-s", str(path), "--no-raw", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("protocol", ["-2", "-3"])
@pytest.mark.parametrize("name", CLIS)
class TestCommandLine:
    def test_a_grant_and_its_end(self, name: str, protocol: str, path: Path) -> None:
        assert cli(name, path, protocol, "APPLY", "GPS", "30000", "REASON", "a reason") == f"(integer) {GPS}\n"
        assert cli(name, path, protocol, "mask") == f"(integer) {GPS}\n"
        assert str(os.geteuid()) in cli(name, path, protocol, "HOLDERS", "GPS")
        assert "a reason" in cli(name, path, protocol, "GETALL")
        assert "a reason" in cli(name, path, protocol, "RECORDS")
        assert cli(name, path, protocol, "RELEASE", str(GPS)) == f"(integer) {GPS}\n"
        assert cli(name, path, protocol, "MASK") == "(integer) 0\n"

    def test_errors_have_a_word_and_a_code(self, name: str, protocol: str, path: Path) -> None:
        assert re.match(r"\(error\) [A-Z]+ 18700001 ", cli(name, path, protocol, "APPLY", "0", "1000"))
        assert cli(name, path, protocol, "NOTHING").startswith("(error) ")
        assert cli(name, path, protocol, "APPLY").startswith("(error) ")
        assert cli(name, path, protocol, "AUTH", "secret").startswith("(error) ")
        assert cli(name, path, protocol, "SELECT", "1").startswith("(error) ")

    def test_what_everybody_asks(self, name: str, protocol: str, path: Path) -> None:
        assert cli(name, path, protocol, "PING") == "PONG\n"
        assert cli(name, path, protocol, "SELECT", "0") == "OK\n"
        assert cli(name, path, protocol, "ECHO", "twice") == '"twice"\n'
        assert cli(name, path, protocol, "CLIENT", "SETNAME", "me") == "OK\n"
        assert "grantwheel" in cli(name, path, protocol, "INFO")
        assert "apply" in cli(name, path, protocol, "COMMAND", "DOCS", "APPLY").lower()
        assert int(cli(name, path, protocol, "COMMAND", "COUNT").removeprefix("(integer) ")) > 20


@pytest.mark.parametrize("name", CLIS)
def test_a_pipe_of_commands(name: str, path: Path) -> None:
    lines = "".join(f"APPLY CPU {1000 + number}\n" for number in range(100))
    done = subprocess.run([name, "-s", str(path)], input=lines, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(CPU)] * 100


@pytest.mark.parametrize("name", CLIS)
def test_what_is_piped_into_it_as_it_stands(name: str, path: Path) -> None:
    requests = b"".join(b"*3\r\n$5\r\nAPPLY\r\n$3\r\nCPU\r\n$4\r\n%d\r\n" % (1000 + number) for number in range(100))
    command = [name, "-s", str(path), "--pipe"]
    done = subprocess.run(command, input=requests, capture_output=True, timeout=WAIT_S, check=True)
    assert b"errors: 0, replies: 100" in done.stdout


class Terminal:
    """A command line client on a terminal of its own."""

    def __init__(self, *command: str) -> None:
        self._terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ
            | {"TERM": "xterm", "COLUMNS": "100", "HOME": tempfile.gettempdir(), "REDISCLI_HISTFILE": "/dev/null"},
        )
        os.close(theirs)
        self.text = ""

    def read_until(self, pattern: str) -> None:
        """Wait for what is shown, colours and moves of the cursor left out."""
        while not re.search(pattern, re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.text), re.IGNORECASE):
            ready, _, _ = select.select([self._terminal], [], [], WAIT_S)
            assert ready, self.text
            self.text += os.read(self._terminal, 65536).decode(errors="replace")
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)
        os.close(self._terminal)


@pytest.mark.parametrize("name", CLIS)
def test_it_completes_and_helps(name: str, path: Path) -> None:
    terminal = Terminal(name, "-s", str(path))
    try:
        terminal.read_until(re.escape(str(path)) + "> ")
        terminal.type("help APPLYMANY\r")
        terminal.read_until(r"summary: .+\n(.*\n)*.*> $")
        terminal.type("applym\t")  # which it completes by what COMMAND DOCS told it
        terminal.read_until("applymany")
        terminal.type("\x15APPLY ")  # and shows what comes next
        terminal.read_until("timeout_ms")
        terminal.type("\x15MASK\r")
        terminal.read_until(r"\(integer\) \d+")
    finally:
        terminal.end()


@pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="there is no redis-benchmark")
@pytest.mark.parametrize("pipeline", ["1", "16"])
def test_the_load_generator(path: Path, pipeline: str) -> None:
    options = ["-s", str(path), "-c", "50", "-n", "3000", "-P", pipeline, "--csv", "-e"]
    done = subprocess.run(
        ["redis-benchmark", *options, "APPLY", "CPU", "9000"],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    (row,) = csv.DictReader(done.stdout[done.stdout.index('"test"') :].splitlines())
    assert float(row["rps"]) > 0
    assert "Error" not in done.stdout + done.stderr


@pytest.mark.parametrize("protocol", [2, 3])
class TestRedisPy:
    def test_commands_and_pipelines(self, path: Path, protocol: int) -> None:
        redis = pytest.importorskip("redis")
        with redis.Redis(unix_socket_path=str(path), protocol=protocol, client_name="mine", db=0) as client:
            assert client.ping()
            assert client.execute_command("APPLY", "CPU|GPS", 30_000, "REASON", "why") == CPU | GPS
            with pytest.raises(redis.ResponseError, match="18700001"):
                client.execute_command("APPLY", 0, 1)
            with client.pipeline(transaction=False) as pipe:
                for _ in range(100):
                    pipe.execute_command("APPLY", CPU, 30_000)
                pipe.execute_command("RELEASE", "GPS")
                pipe.execute_command("MASK")
                assert pipe.execute() == [CPU] * 100 + [GPS, CPU]
            assert client.client_getname() in (b"mine", "mine")
            assert client.execute_command("RESETALL") == CPU

    def test_what_it_asks_about_the_service(self, path: Path, protocol: int) -> None:
        redis = pytest.importorskip("redis")
        with redis.Redis(unix_socket_path=str(path), protocol=protocol, decode_responses=True) as client:
            commands = client.command()
            assert commands["apply"]["arity"] == -3
            assert "write" in commands["apply"]["flags"]
            assert client.command_count() == len(commands)
            assert client.info()["connected_clients"] >= 1
            assert list(client.info("clients")) == ["connected_clients"]

    def test_each_connection_has_a_number(self, path: Path, protocol: int) -> None:
        redis = pytest.importorskip("redis")
        with redis.Redis(unix_socket_path=str(path), protocol=protocol) as client:
            first = client.client_id()
        with redis.Redis(unix_socket_path=str(path), protocol=protocol) as client:
            assert client.client_id() != first

    def test_on_a_loop(self, path: Path, protocol: int) -> None:
        redis = pytest.importorskip("redis.asyncio")

        async def ask() -> list[Any]:
            async with redis.Redis(unix_socket_path=str(path), protocol=protocol) as client:
                return await asyncio.gather(*(client.execute_command("APPLY", CPU, 1000) for _ in range(20)))

        assert asyncio.run(ask()) == [CPU] * 20


def reply_of(name: str) -> type[ctypes.Structure]:
    """redisReply of hiredis.h, as far as it is needed here: with its first version a word came in between."""
    doubles = [] if ".so.0." in name else [("dval", ctypes.c_double)]
    rest = [("len", ctypes.c_size_t), ("str", ctypes.c_char_p)]
    fields = [("type", ctypes.c_int), ("integer", ctypes.c_longlong), *doubles, *rest]
    return type("Reply", (ctypes.Structure,), {"_fields_": fields})


def test_hiredis_in_c(path: Path) -> None:
    name = ctypes.util.find_library("hiredis")
    if name is None:
        pytest.skip("there is no libhiredis")
    library = ctypes.CDLL(name)
    library.redisConnectUnix.restype = library.redisCommand.restype = ctypes.c_void_p
    library.redisCommand.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.freeReplyObject.argtypes = library.redisFree.argtypes = [ctypes.c_void_p]
    context = library.redisConnectUnix(str(path).encode())
    shape = ctypes.POINTER(reply_of(name))
    replies = []
    for command in (b"APPLY CPU 1000", b"APPLY 0 1000", b"MASK"):
        answer = library.redisCommand(context, command)
        assert answer is not None
        reply = ctypes.cast(answer, shape)[0]
        replies.append((reply.type, reply.integer, reply.str))
        library.freeReplyObject(answer)
    library.redisFree(context)
    integer, error = 3, 6
    granted, refused, mask = replies
    assert granted[:2] == mask[:2] == (integer, CPU)
    assert refused[0] == error
    assert b"18700001" in refused[2]
