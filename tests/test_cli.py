"""The command ``grantwheel``, as a person runs it."""

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import grantwheel
from grantwheel import command

COMMAND = [sys.executable, "-c", "import sys; from grantwheel.command import main; sys.exit(main())"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_console_script_is_this_function() -> None:
    (script,) = entry_points(group="console_scripts", name="grantwheel")
    assert script.load() is command.main


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"grantwheel {grantwheel.__version__}\n", "")


def test_the_package_is_the_command_too() -> None:
    done = subprocess.run([sys.executable, "-m", "grantwheel", "--version"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"grantwheel {grantwheel.__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["demo", "--help"]])
def test_help(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: grantwheel")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["--wrong"],
        ["demo", "--seconds"],
        ["demo", "--seconds", "soon"],
        ["demo", "--seconds", "0.9"],
        ["demo", "--seconds", "3601"],
        ["demo", "--seconds", "-1"],
        ["demo", "--seconds", "nan"],
        ["demo", "--seconds", "inf"],
        ["demo", "--interval", "0.001"],
        ["demo", "--seconds", "2", "--interval", "2.1"],
        ["demo", "--json", "--plain"],
        ["demo", "extra"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage: grantwheel" in done.stderr


def test_the_demo_runs_to_its_end() -> None:
    # Real seconds: the one test that sees what a person sees who has no terminal.
    done = run("demo", "--seconds", "4", "--interval", "0.2")
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("A CPU grant is permission to run in the background")
    for pattern in (
        r"  0\.4 s  mail is granted CPU for 1\.5 s: so long it may run in the background\.",
        r"  \d\.\d s  game has been in the background .* so it is frozen\. Its counter stands still at [\d,]+\.",
        r"  \d\.\d s  \| mail +[\d,]+ +\+\d+/s +\| clock +[\d,]+ +\+0/s FROZEN \| game +[\d,]+ +\+0/s FROZEN",
        r"mail   was frozen once, for \d\.\d s, and counted 0 meanwhile; [\d,]+ in all",
    ):
        assert any(re.fullmatch(" *" + pattern, line) for line in lines), pattern
    assert lines[-1].endswith("from where it stood.")


def test_json_is_all_that_is_written() -> None:
    # A real second.
    done = run("demo", "--seconds", "1", "--interval", "0.2", "--json")
    assert done.stderr == ""
    *lines, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["type"] for line in lines} == {"event", "look"}
    assert summary["type"] == "summary"
    assert summary["finished"]


def start_demo(*arguments: str) -> "subprocess.Popen[str]":
    """Start a demo that a test ends."""
    return subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "10", "--interval", "0.1", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_summary(number: signal.Signals) -> None:
    demo = start_demo()
    assert demo.stdout is not None
    assert demo.stdout.readline().startswith("A CPU grant is ")
    while "granted" not in demo.stdout.readline():
        assert demo.poll() is None
    demo.send_signal(number)
    output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number
    assert errors == ""
    assert re.fullmatch(r"game   was never frozen; [\d,]+ in all", output.splitlines()[-1])


def test_a_closed_pipe_is_quiet() -> None:
    demo = start_demo()
    assert demo.stdout is not None
    assert demo.stderr is not None
    assert demo.stdout.readline().startswith("A CPU grant is ")
    demo.stdout.close()
    assert demo.stderr.read() == ""
    assert demo.wait(timeout=60) == 141
    demo.stderr.close()


def test_a_full_disk_is_1() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "demo", "--seconds", "1"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "grantwheel demo: the output cannot be written: [Errno 28] No space left on device\n"


# Opening its terminal makes it the controlling one, whose Ctrl-C is a signal.
ON_TERMINAL = "import os, sys; os.open(os.ttyname(0), os.O_RDWR); from grantwheel.command import main; sys.exit(main())"


class TerminalDemo:
    """A demo on a terminal of its own."""

    def __init__(self, *arguments: str, rows: int = 24, columns: int = 80) -> None:
        self.terminal, theirs = pty.openpty()
        self.resize(rows, columns)
        self.settings = termios.tcgetattr(theirs)
        unwanted = ("TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES")
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, "demo", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=environment | {"TERM": "xterm-256color", "PYTHONUTF8": "1"},
        )
        self._theirs = theirs
        self.text = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, pattern: str) -> None:
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.terminal], [], [], 60)
            assert ready, self.text
            self.text += os.read(self.terminal, 65536).decode(errors="replace")

    def end(self) -> int:
        """Wait for its end, check that the terminal is as it was, and return the exit code."""
        self.read_until(r"game   was .* in all\r\n")
        code = self.process.wait(timeout=60)
        assert termios.tcgetattr(self._theirs) == self.settings
        assert self.text.rindex("\x1b[?25h") > self.text.rindex("\x1b[?25l")  # the cursor is shown
        os.close(self._theirs)
        os.close(self.terminal)
        return code


def test_on_a_terminal_there_is_a_table() -> None:
    # Real seconds, or more where the machine is busy.
    demo = TerminalDemo("--seconds", "2", "--interval", "0.1")
    demo.read_until("grantwheel demo, 0 of 2 s")
    demo.resize(12, 60)
    assert demo.end() == 0
    assert "kept up by" in demo.text
    assert "FROZEN for" in demo.text
    assert "\x1b[2J" in demo.text  # drawn anew on the smaller terminal


def test_ctrl_c_on_a_terminal_ends_it_with_the_summary() -> None:
    demo = TerminalDemo("--seconds", "60")
    demo.read_until("grantwheel demo, 0 of 60 s")
    os.write(demo.terminal, b"\x03")
    assert demo.end() == 130
    assert "Traceback" not in demo.text


@pytest.mark.parametrize("form", [[], ["--json"], ["--plain"]])
def test_without_standard_output_it_is_1(form: list[str]) -> None:
    done = run_in_shell(">&-", *form)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "grantwheel demo: there is no standard output to write to\n"


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-"])
def test_without_the_other_standard_streams_it_runs(closed: str) -> None:
    # A real second. What is opened meanwhile must not get the number of what is closed.
    done = run_in_shell(closed, "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout.splitlines()[-1])["finished"]


def test_without_any_standard_stream_there_is_the_exit_code() -> None:
    assert run_in_shell("<&- >&- 2>&-").returncode == 1


def run_in_shell(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a short demo with some standard streams closed."""
    command = shlex.join([*COMMAND, "demo", "--seconds", "1", *arguments])
    return subprocess.run(
        ["sh", "-c", f"exec {command} {redirection}"], capture_output=True, text=True, timeout=60, check=False
    )
