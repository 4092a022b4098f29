"""``grantwheel events -f`` while the service that it follows is started anew."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service_process import WAIT_S, started

pytest.importorskip("hiredis", reason="the service needs it")

COMMAND = [sys.executable, "-m", "grantwheel"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw") as name:  # names of sockets are short
        yield Path(name)


def run(path: Path, *arguments: str) -> None:
    subprocess.run([*COMMAND, *arguments, "--socket", str(path)], check=True, capture_output=True, timeout=WAIT_S)


class Follower:
    """The command, and the lines that it writes."""

    def __init__(self, path: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "events", "-f", "--socket", str(path), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def events(self, count: int) -> list[tuple[Any, ...]]:
        found = [json.loads(self.line()) for _ in range(count)]
        return [(one["event"], one.get("sequence"), one.get("kind"), one.get("types")) for one in found]

    def end(self) -> tuple[int, str]:
        """Interrupt it, and return its exit code and what it has said on standard error."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=WAIT_S)
        assert out == ""
        return self.process.returncode, err

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    """Makes followers, and ends what is left of them."""
    made: list[Follower] = []

    def make(path: Path, *options: str) -> Follower:
        made.append(Follower(path, *options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_service_that_keeps_its_state_is_followed_over_its_restarts(
    folder: Path, follow: Callable[..., Follower]
) -> None:
    path, options = folder / "s", ("--state", folder / "state")
    with started(path, *options):
        run(path, "apply", "-r", "GPS", "-t", "1h")
        follower = follow(path, "--after", "0", "--json")
        assert follower.events(1) == [("event", 1, "app_apply", ["GPS"])]
    for number, ending in enumerate((signal.SIGTERM, signal.SIGKILL), 1):
        with started(path, *options) as service:
            run(path, "apply", "-r", "SENSOR", "-t", "1h")
            run(path, "release", "-r", "SENSOR")
            assert follower.events(2) == [
                ("event", 2 * number, "app_apply", ["SENSOR"]),
                ("event", 2 * number + 1, "app_reset", ["SENSOR"]),
            ]
            service.send_signal(ending)
            service.wait(WAIT_S)
    with started(path, *options):
        run(path, "release", "-r", "GPS")
        assert follower.events(1) == [("event", 6, "app_reset", ["GPS"])]
        assert follower.end() == (130, "")


def test_a_service_that_has_kept_nothing_is_told_from_the_one_before(
    folder: Path, follow: Callable[..., Follower]
) -> None:
    path = folder / "s"
    with started(path):
        followers = follow(path, "--after", "0", "--json"), follow(path, "--after", "0")
        run(path, "apply", "-r", "GPS", "-t", "1h")
        assert followers[0].events(1) == [("event", 1, "app_apply", ["GPS"])]
        assert "got GPS" in followers[1].line()
    with started(path):
        run(path, "apply", "-r", "TIMER", "-t", "1h")
        run(path, "apply", "-r", "AUDIO", "-t", "1h")  # the second one, as if the first had been seen
        assert json.loads(followers[0].line()) == {"event": "gap", "missed": None}
        assert followers[0].events(2) == [("event", 1, "app_apply", ["TIMER"]), ("event", 2, "app_apply", ["AUDIO"])]
        assert "how many events are no longer there is not known" in followers[1].line()
        assert "got TIMER" in followers[1].line()
        assert followers[0].end()[0] == 130


def test_what_happened_before_it_was_there_again_is_not_lost(folder: Path, follow: Callable[..., Follower]) -> None:
    path, options = folder / "s", ("--state", folder / "state")
    with started(path, *options):
        follower = follow(path, "--after", "0")
        run(path, "apply", "-r", "GPS", "-t", "1h")
        assert "got GPS" in follower.line()
        follower.process.send_signal(signal.SIGSTOP)
    with started(path, *options):
        run(path, "apply", "-r", "TIMER", "-t", "1h")
    with started(path, *options):
        run(path, "apply", "-r", "AUDIO", "-t", "1h")
        follower.process.send_signal(signal.SIGCONT)
        assert "got TIMER" in follower.line()
        assert "got AUDIO" in follower.line()
        assert follower.end()[0] == 130
