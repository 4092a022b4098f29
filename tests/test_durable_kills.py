"""Programs that are killed while they grant and release: what was acknowledged is there, and nothing comes back."""

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest

import grantwheel

# Notes the next of uids that grow, grants to it, releases the odd ones, and says when that was answered: "+ uid",
# "- uid", or "* uid" for all up to there. Snapshots are made all the time.
CHILD = """
import sys
import grantwheel
from grantwheel.recovery import keeping

keeping.LEAST_BYTES = 20_000
keeping.TIMES_SNAPSHOT = 0
path, first, durability = sys.argv[1], int(sys.argv[2]), sys.argv[3]
say = sys.stdout
manager = grantwheel.open(path, durability=durability)
print("open", flush=True)
for uid in range(first, first + 1_000_000):
    manager.write_notes({b"begun": b"%d" % uid})
    manager.apply(uid, 1, 32, persist=True, reason=f"reason {uid % 100}")
    if durability == "batch" and not uid % 10:
        manager.flush()
        print("*", uid, flush=True)
    elif durability == "commit":
        print("+", uid, flush=True)
    if uid % 2:
        manager.release(uid, 1, 32)
        if durability == "commit":
            print("-", uid, flush=True)
"""


class Known:
    """What has been acknowledged so far: for certain up to a uid, and what comes after that may be so or not."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.certain = -1

    def hear(self, line: str) -> None:
        """Take note of a line of the child."""
        word, _, number = line.strip().partition(" ")
        if word == "+" and int(number) % 2 == 0:
            self.held.add(int(number))
            self.certain = int(number)
        elif word == "-":
            self.certain = int(number)
        elif word == "*":  # all up to there, and the odd ones were released
            self.held.update(uid for uid in range(self.certain + 1, int(number) + 1) if uid % 2 == 0)
            self.certain = int(number)

    def compare(self, there: set[int]) -> None:
        """Check what is there, and take over what was on its way when the child was killed."""
        assert {uid for uid in there if uid <= self.certain} == self.held
        self.held = there
        self.certain = max(there, default=self.certain)


def kill_once(path: Path, durability: str, known: Known, lines: int) -> None:
    """Let a child work, kill it after so many lines and whatever else it does meanwhile, and hear what it said."""
    first = known.certain + 1
    arguments = [sys.executable, "-c", CHILD, str(path), str(first), durability]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    heard = list(itertools.islice(child.stdout, lines))
    child.kill()
    heard += child.communicate()[0].splitlines(keepends=True)
    for line in heard:
        if line.endswith("\n"):
            known.hear(line)


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_nothing_acknowledged_is_lost(tmp_path: Path, durability: str, pytestconfig: pytest.Config) -> None:
    path = tmp_path / "grants.db"
    known = Known()
    chance = random.Random(4711)
    for _ in range(pytestconfig.getoption("--durable-kills")):
        kill_once(path, durability, known, chance.randrange(1, 200))
        with grantwheel.open(path) as manager:
            manager.validate()
            known.compare({record.uid for record in manager.records()})
            assert int(manager.notes().get(b"begun", b"-1")) >= known.certain
    assert len(known.held) > 1
