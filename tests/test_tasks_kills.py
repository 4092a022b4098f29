"""Programs that are killed while they begin and end tasks: what was answered is there, and no number is used twice."""

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import grantwheel
from grantwheel import Caller, Tasks

# Begins and ends tasks, a continuous one and a request for each uid, which grow. Says what it is about to do, as "begin
# uid" or "end uid", and what was answered, as "done" with the two ids.
CHILD = """
import random
import sys
import grantwheel
from grantwheel import Caller, Tasks
from grantwheel.recovery import keeping

keeping.LEAST_BYTES = 5_000  # snapshots are made all the time
keeping.TIMES_SNAPSHOT = 0
path, durability, seed, open_uids = sys.argv[1], sys.argv[2], int(sys.argv[3]), eval(sys.argv[4])
dice = random.Random(seed)
manager = grantwheel.open(path, durability=durability)
tasks = Tasks(manager)
uid = int(sys.argv[5])
while True:
    if open_uids and dice.random() < 0.45:
        who = Caller(uid=open_uids.pop(dice.randrange(len(open_uids))), pid=1, bundle="b")
        print("end", who.uid, flush=True)
        ids = tasks.continuous_tasks(who.uid)[0].id, tasks.transient_task_info(caller=who).transientTasks[0].requestId
        tasks.stop_background_running("Main", caller=who)
        tasks.cancel_suspend_delay(ids[1], caller=who)
    else:
        uid += 1
        who = Caller(uid=uid, pid=1, bundle="b")
        print("begin", uid, flush=True)
        ids = (
            tasks.start_background_running("Main", 1, True, caller=who),
            tasks.request_suspend_delay("why", print, caller=who, name=str(uid)).requestId,
        )
        open_uids.append(uid)
    if durability == "batch":
        manager.flush()
    print("done", *ids, flush=True)
"""


class Known:
    """What has been answered so far, and what was begun and not answered."""

    def __init__(self) -> None:
        self.ids: dict[int, tuple[int, int]] = {}
        self.begun: tuple[str, int] | None = None
        self.last_ids = (0, 0)
        self.last_uid = 0

    def hear(self, line: str) -> None:
        """Take note of a line of the child."""
        word, *numbers = line.split()
        if word != "done":
            self.begun = word, int(numbers[0])
            self.last_uid = max(self.last_uid, int(numbers[0]))
            return
        assert self.begun is not None
        word, uid = self.begun
        ids = int(numbers[0]), int(numbers[1])
        if word == "begin":
            assert ids[0] > self.last_ids[0]
            assert ids[1] > self.last_ids[1]
            self.ids[uid], self.last_ids = ids, ids
        else:
            assert self.ids.pop(uid) == ids
        self.begun = None

    def compare(self, tasks: Tasks) -> None:
        """Check what is there; what was on its way when the child was killed is done or not, and is ended now."""
        there: dict[int, list[int]] = {}
        for task in tasks.continuous_tasks():
            there.setdefault(task.uid, []).append(task.id)
        for uid, _ in tasks.processes():
            who = Caller(uid=uid, pid=1, bundle="b")
            (left,) = tasks.transient_task_info(caller=who).transientTasks
            there.setdefault(uid, []).append(left.requestId)
        if self.begun is not None:
            uid = self.begun[1]
            found = there.pop(uid, [])
            before = self.ids.pop(uid, None)
            if before is None:
                assert all(number > min(self.last_ids) for number in found)
            else:
                assert set(found) <= set(before)
            tasks.manager.package_removed(uid)
            self.begun = None
        assert there == {uid: list(ids) for uid, ids in self.ids.items()}


@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_what_was_answered_is_there_after_a_kill(tmp_path: Path, durability: str, pytestconfig: pytest.Config) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    path, chance, known, snapshots = tmp_path / "grants.db", random.Random(seed), Known(), set()
    for _ in range(pytestconfig.getoption("--durable-kills")):
        arguments = (path, durability, chance.randrange(1 << 30), list(known.ids), known.last_uid)
        child = subprocess.Popen([sys.executable, "-c", CHILD, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        heard = list(itertools.islice(child.stdout, chance.randrange(1, 60)))
        child.kill()
        heard += child.communicate()[0].splitlines(keepends=True)
        for line in heard:
            if line.endswith("\n"):
                known.hear(line)
        with grantwheel.open(path) as manager:
            known.compare(Tasks(manager))
            manager.validate()
            snapshots.add(manager.recovery.snapshot)
    assert known.last_ids[0] > 10
    assert len(snapshots) > 1
