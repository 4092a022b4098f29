"""The storm of `storm.py`, for some seconds: a program of its own, as signals and forks concern all threads."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "storm.py"


def test_nobody_hangs_and_nothing_is_left_in_a_storm(pytestconfig: pytest.Config) -> None:
    seconds = pytestconfig.getoption("--storm-seconds")
    done = subprocess.run([sys.executable, PROGRAM, str(seconds)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = (line.split() for line in done.stdout.splitlines()[1:])
    said = {what: count for count, what in counts}
    assert int(said["rounds"]) >= 1
    assert int(said["signals"]) >= 1
