"""The command ``grantwheel``, as a person runs it."""

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import grantwheel
from grantwheel import cli

COMMAND = [sys.executable, "-c", "import sys; from grantwheel.cli import main; sys.exit(main())"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_console_script_is_this_function() -> None:
    (script,) = entry_points(group="console_scripts", name="grantwheel")
    assert script.load() is cli.main


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"grantwheel {grantwheel.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"]])
def test_help(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: grantwheel")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["--wrong"],
        ["demo", "--seconds"],
        ["demo", "--seconds", "soon"],
        ["demo", "--seconds", "0"],
        ["demo", "--seconds", "-1"],
        ["demo", "--seconds", "nan"],
        ["demo", "--seconds", "inf"],
        ["demo", "--interval", "0.001"],
        ["demo", "extra"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage: grantwheel" in done.stderr


def test_the_demo_runs_to_its_end() -> None:
    # A real second or so: the one test that sees the whole command at work.
    done = run("demo", "--seconds", "1.2", "--interval", "0.2")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Watching ")
    assert re.search(r"^ +\d\.\d\d s  granted  uid \d+ +pid \d+ ", done.stdout, re.MULTILINE)
    assert re.fullmatch(
        r"\d\.\d s: \d+ grants?, \d+ renewals?, \d+ expir\w+, \d+ deaths?, 0 refusals; \d+ still held", lines[-2]
    )
    assert re.fullmatch(r"\d+ calls in [\d.]+ ms of engine time: [\d,]+ calls per second", lines[-1])


def start_demo() -> "subprocess.Popen[str]":
    """Start a demo that a test ends."""
    return subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "60", "--interval", "0.1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_it_with_the_summary() -> None:
    demo = start_demo()
    assert demo.stdout is not None
    assert demo.stdout.readline().startswith("Watching ")
    while "granted" not in demo.stdout.readline():
        assert demo.poll() is None
    demo.send_signal(signal.SIGINT)
    output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert errors == ""
    assert output.splitlines()[-1].endswith(" calls per second")


def test_a_closed_pipe_is_quiet() -> None:
    demo = start_demo()
    assert demo.stdout is not None
    assert demo.stderr is not None
    assert demo.stdout.readline().startswith("Watching ")
    demo.stdout.close()
    assert demo.stderr.read() == ""
    assert demo.wait(timeout=60) == 141
    demo.stderr.close()


def test_a_machine_without_procfs_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_arguments: object, **_options: object) -> bool:
        raise FileNotFoundError(2, os.strerror(2), str(tmp_path / "proc"))

    monkeypatch.setattr("grantwheel.demo.run", missing)
    assert cli.main(["demo"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("grantwheel demo: the processes cannot be read: ")
