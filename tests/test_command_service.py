"""The commands and a service of its own process, as a person has them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service_process import WAIT_S, serving

pytest.importorskip("hiredis", reason="the service needs it")

COMMAND = [sys.executable, "-m", "grantwheel"]
UID = os.geteuid()


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with serving() as path:
        yield path


def start(path: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GRANTWHEEL_SOCKET": str(path)},
    )


def run(path: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(path, *arguments)
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err


def listed(path: Path, *arguments: str) -> list[dict[str, Any]]:
    code, out, err = run(path, "list", "--json", *arguments)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def test_a_grant_and_its_end(path: Path) -> None:
    assert run(path, "apply", "-r", "CPU,GPS", "-t", "1h", "--reason", "why\n") == (0, "CPU,GPS\n", "")
    found = listed(path)
    assert [(one["kind"], one["uid"], one["type"], one["reason"]) for one in found] == [
        ("app", UID, "CPU", "why\n"),
        ("app", UID, "GPS", "why\n"),
    ]
    assert all(3_500_000 < one["remaining_ms"] <= one["timeout_ms"] == 3_600_000 for one in found)
    assert {**found[0], "bundle": None, "remaining_ms": 0} == {**listed(path, "--mine")[0], "remaining_ms": 0}
    assert run(path, "apply", "-r", "TIMER,GPS", "-t", "2h", "--only-held") == (0, "GPS\n", "")
    assert run(path, "release", "-r", "GPS") == (0, "GPS\n", "")
    assert run(path, "release", "--all") == (0, "CPU\n", "")
    assert listed(path) == []


def test_a_refusal_is_1_and_no_service_is_3(path: Path) -> None:
    code, out, err = run(path, "apply", "-r", "CPU", "-t", "1s", "--reason", "x" * 2000)
    assert (code, out) == (1, "")
    assert err.startswith("grantwheel apply: refused: [")
    missing = path.parent / "missing"
    for arguments in (["list"], ["events"], ["events", "-f"], ["apply", "-r", "CPU", "-t", "1s"], ["release", "--all"]):
        code, out, err = run(missing, *arguments)
        assert (code, out) == (3, "")
        assert "9800004" in err
    assert run(missing, "hold", "-r", "CPU", "--", "true")[0] == 125


def test_a_hold_lasts_as_long_as_the_command(path: Path) -> None:
    inner = f"{sys.executable} -m grantwheel list --json; exit 5"
    code, out, err = run(path, "hold", "-r", "GPS,AUDIO", "-t", "20s", "--reason", "test", "--", "sh", "-c", inner)
    assert (code, err) == (5, "")
    assert [(one["type"], one["timeout_ms"], one["reason"]) for one in map(json.loads, out.splitlines())] == [
        ("GPS", 20_000, "test"),
        ("AUDIO", 20_000, "test"),
    ]
    assert listed(path) == []


def test_a_hold_that_is_lost_says_so(path: Path) -> None:
    # A real second or so: it is lost to a command that waits until that was said.
    inner = f"{sys.executable} -m grantwheel release --all; read line"
    process = subprocess.Popen(
        [*COMMAND, "hold", "-r", "GPS", "-t", "300ms", "--", "sh", "-c", inner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GRANTWHEEL_SOCKET": str(path)},
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "grantwheel hold: no longer held: GPS\n"
    process.communicate("\n", timeout=WAIT_S)
    assert process.returncode == 0


def test_events_are_followed_until_ctrl_c(path: Path) -> None:
    follower = start(path, "events", "-f", "--after", "0", "--json", "-r", "SENSOR")
    assert follower.stdout is not None
    assert run(path, "apply", "-r", "SENSOR", "-t", "1h")[0] == 0
    assert run(path, "release", "-r", "SENSOR")[0] == 0
    shown = [json.loads(follower.stdout.readline()) for _ in range(2)]
    assert [(one["kind"], one["cause"], one["uid"], one["types"]) for one in shown] == [
        ("app_apply", "apply", UID, ["SENSOR"]),
        ("app_reset", "release", UID, ["SENSOR"]),
    ]
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=WAIT_S)
    assert follower.returncode == 130
    code, out, err = run(path, "events", "--json", "--after", str(shown[0]["sequence"]), "-r", "SENSOR")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == shown[1:]
