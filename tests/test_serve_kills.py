"""What a service has answered is there after ``kill -9``: for each of fifty processes that ask at once."""

import os
import random

from serve_stage import WAIT_S, Line, child_of_tests, serving, short_folder

PROCESSES = 50
MOST_ANSWERS = 4000
CPU = 1
BASE_MS, STEP_MS = 600_000, 1000

# Each process says "pid number" for every answer, and "pid end" when the service has gone. It lives on, as what it
# holds would end with it.
AT_ONCE = """
import itertools, os, sys, serve_stage
path, count, base_ms, step_ms = sys.argv[1], *map(int, sys.argv[2:])
pipe, ends = os.pipe()
for _ in range(count):
    if not os.fork():
        os.close(ends)
        pid = os.getpid()
        try:
            with serve_stage.Line(path) as line:
                for number in itertools.count(1):
                    told = line.ask("APPLY", "CPU", base_ms + number * step_ms, "PROCESS", "REASON", number)
                    os.write(1, f"{pid} {number if told == 1 else told}\\n".encode())
        except OSError:
            os.write(1, f"{pid} end\\n".encode())
        os.read(pipe, 1)  # until the one that has made it ends
        os._exit(0)
sys.stdin.read()
"""


def test_the_last_answer_of_each_process_is_there_after_kill_9() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    kill_after = random.Random(seed).randrange(PROCESSES, MOST_ANSWERS)
    with short_folder() as folder:
        path, options = folder / "s", ("--state", folder / "state")
        with (
            serving(path, *options) as service,
            child_of_tests(AT_ONCE, path, PROCESSES, BASE_MS, STEP_MS) as parent,
        ):
            assert parent.stdout is not None
            answered: dict[int, int] = {}
            ended: set[int] = set()
            heard = 0
            while len(ended) < PROCESSES:
                pid, word = parent.stdout.readline().split()
                if word == "end":
                    ended.add(int(pid))
                    continue
                assert int(word) == answered.get(int(pid), 0) + 1
                answered[int(pid)] = int(word)
                heard += 1
                if heard == kill_after:
                    service.process.kill()
            assert heard >= kill_after
            with serving(path, *options), Line(path) as line:
                for one in ended:
                    check(line.ask("FIND", "PROCESS", one), one, answered.get(one, 0))
                assert line.ask("COUNT", CPU) >= len(answered)  # type: ignore[operator]
            parent.communicate(timeout=WAIT_S)


def check(record: object, pid: int, last: int) -> None:
    """Compare a record with the last answer; the request after it may have been carried out, and not been answered."""
    if record is None:
        assert last == 0
        return
    assert isinstance(record, list)
    kind, uid, of_pid, types, _, _, ((type_, persistent, timeout_ms, _, remaining_ms, reason),) = record
    assert (kind, uid, of_pid, types, type_, persistent) == ("process", os.geteuid(), pid, CPU, CPU, 0)
    assert last <= int(reason) <= last + 1
    assert timeout_ms == BASE_MS + int(reason) * STEP_MS
    assert 0 < remaining_ms <= timeout_ms
