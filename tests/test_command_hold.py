"""``grantwheel hold``, as a person runs it: the grant, the signals and the exit code."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

# The command, with a manager in the place of the service; what is held when it ends, and was while the command ran, is
# on record in a file.
HOLD = """
import os, sys
import grantwheel
from grantwheel import Manager, Policy, ResourceType
from grantwheel.command import main
import contextlib

class Service:
    def __init__(self):
        self.manager = Manager(policy=Policy(default_allowed=(ResourceType.CPU, ResourceType.GPS)))
        self.running = self.manager.running()
        self.running.__enter__()
        self.hold = self.manager.hold
        if "EARLY" in os.environ:
            os.kill(os.getpid(), int(os.environ["EARLY"]))
    def close(self):
        self.running.__exit__(None, None, None)
        events = self.manager.drain()
        with open(os.environ["SEEN"], "w") as file:
            for event in events:
                print(event.kind, event.cause, int(event.mask), file=file)
        self.manager.close()

grantwheel.connect = lambda path, timeout_ms: Service()
sys.exit(main(["hold", *sys.argv[1:]]))
"""
APPLIED, RELEASED = "app_apply apply {}", "app_reset release {}"


Start = Callable[..., "subprocess.Popen[str]"]
Hold = Callable[..., "Run"]


@contextmanager
def groups() -> Iterator[Start]:
    """What starts processes, each in a group of its own; what has not ended with the block is ended, whole groups."""
    started: list[subprocess.Popen[str]] = []

    def start(command: Sequence[str], **others: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **others)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.returncode is None:  # until it has been waited for, the number of its group is nobody else's
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)


@pytest.fixture
def start() -> Iterator[Start]:
    with groups() as start:
        yield start


@pytest.fixture
def hold(start: Start, tmp_path: Path) -> Hold:
    """Runs ``grantwheel hold`` with arguments and an environment."""
    return partial(Run, start, tmp_path)


class Run:
    def __init__(self, start: Start, folder: Path, *arguments: str, **environment: str) -> None:
        self.seen = folder / "seen"
        self.process = start(
            [sys.executable, "-c", HOLD, *arguments],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | {"SEEN": str(self.seen)} | environment,
        )

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def events(self) -> list[str]:
        return self.seen.read_text(encoding="utf-8").splitlines()


def python(code: str) -> list[str]:
    return ["--", sys.executable, "-c", code]


def test_the_command_runs_while_it_is_held(hold: Hold) -> None:
    run = hold("-r", "CPU,GPS", "-t", "30s", "--", "sh", "-c", "echo ran; exit 7")
    assert run.end() == (7, "ran\n", "")
    assert run.events() == [APPLIED.format(33), RELEASED.format(33)]


def test_what_is_not_allowed_is_said(hold: Hold) -> None:
    run = hold("-r", "CPU,AUDIO", "true")
    assert run.end() == (0, "", "grantwheel hold: not allowed, and not held: AUDIO\n")
    assert run.events() == [APPLIED.format(1), RELEASED.format(1)]


def test_options_of_the_command_are_its_own(hold: Hold) -> None:
    assert hold("-r", "CPU", "echo", "-n", "--", "-r", "--help").end()[:2] == (0, "-- -r --help")


@pytest.mark.parametrize(("words", "code"), [(["/nothing/of/this/name"], 127), (["/"], 126), (["no-such-name"], 127)])
def test_what_cannot_be_run_is_126_or_127(hold: Hold, words: list[str], code: int) -> None:
    run = hold("-r", "CPU", "--", *words)
    ended, _, errors = run.end()
    assert ended == code
    assert errors.startswith(f"grantwheel hold: {words[0]}: ")
    assert run.events() == [APPLIED.format(1), RELEASED.format(1)]


SAY = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
print("ready", flush=True)
signal.sigwait([signal.{name}])
print("heard", flush=True)
sys.exit(9)
"""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_signals_are_passed_on(hold: Hold, name: str) -> None:
    run = hold("-r", "CPU", *python(SAY.format(name=name)))
    assert run.line() == "ready\n"
    run.process.send_signal(signal.Signals[name])
    assert run.end() == (9, "heard\n", "")
    assert run.events() == [APPLIED.format(1), RELEASED.format(1)]


def test_what_a_signal_forestalls_is_not_run(hold: Hold) -> None:
    run = hold("-r", "CPU", "--", "echo", "ran", EARLY=str(int(signal.SIGTERM)))
    assert run.end() == (128 + signal.SIGTERM, "", "")
    assert run.events() == [APPLIED.format(1), RELEASED.format(1)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_command_that_a_signal_ends_is_128_and_more(hold: Hold, number: int) -> None:
    run = hold("-r", "CPU", "--", "sh", "-c", f"kill -{number} $$; sleep 60")
    assert run.end() == (128 + number, "", "")
    assert run.events() == [APPLIED.format(1), RELEASED.format(1)]


def test_what_is_blocked_and_ignored_is_the_commands_again(hold: Hold) -> None:
    status = ["--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
    ended, held, _ = hold("-r", "CPU", *status).end()
    assert ended == 0
    plain = subprocess.run(status[1:], capture_output=True, text=True, check=True).stdout

    def usable(shown: str) -> list[int]:
        """Leave out what glibc keeps for itself, which is ignored in what posix_spawn starts."""
        return [int(line.split()[1], 16) & ~0x180000000 for line in shown.splitlines()]

    assert usable(held) == usable(plain)


def test_what_was_ignored_stays_ignored(start: Start, tmp_path: Path) -> None:
    shell = 'trap "" HUP; exec "$0" -c "$1" -r CPU -- sh -c "kill -HUP \\$PPID; kill -HUP \\$\\$; echo alive"'
    done = start(
        ["sh", "-c", shell, sys.executable, HOLD],
        stderr=subprocess.PIPE,
        env=os.environ | {"SEEN": str(tmp_path / "seen")},
    )
    assert done.communicate(timeout=60) == ("alive\n", "")
    assert done.returncode == 0


def test_it_is_renewed(hold: Hold) -> None:
    # Some tenths of a real second: renewals have real time only.
    code = "import time; time.sleep(0.5)"
    run = hold("-r", "GPS", "-t", "120ms", *python(code))
    assert run.end() == (0, "", "")
    assert run.events() == [APPLIED.format(32), RELEASED.format(32)]


def test_ctrl_c_reaches_the_command_once(start: Start, tmp_path: Path) -> None:
    code = """
import signal, sys
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
print("ready", flush=True)
sys.stdin.readline()
print(len(heard), flush=True)
"""
    terminal, theirs = pty.openpty()
    on_terminal = "import os; os.open(os.ttyname(0), os.O_RDWR)\n" + HOLD  # which makes it the controlling one
    process = start(
        [sys.executable, "-c", on_terminal, "-r", "CPU", *python(code)],
        stdin=theirs,
        env=os.environ | {"SEEN": str(tmp_path / "seen")},
    )
    os.close(theirs)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.write(terminal, b"\x03")
    os.write(terminal, b"\n")
    assert process.stdout.readline() == "1\n"
    process.communicate(timeout=60)
    assert process.returncode == 0
    os.close(terminal)


def test_what_a_test_has_started_is_ended_when_it_fails(tmp_path: Path) -> None:
    def fail_while_it_runs() -> None:
        with groups() as start:
            command = python("import os, signal; print(os.getpid(), flush=True); signal.pause()")
            run = Run(start, tmp_path, "-r", "CPU", *command)
            descriptors.append(os.pidfd_open(int(run.line())))
            raise AssertionError("a test that fails")

    descriptors: list[int] = []
    with pytest.raises(AssertionError, match="a test that fails"):
        fail_while_it_runs()
    (descriptor,) = descriptors
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(60_000)  # the command has ended, and not only what held for it
    os.close(descriptor)
