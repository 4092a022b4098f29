"""Random calls on a manager with a log and on the model in step, and what the log leads to when it is replayed.

`--differential-steps N` sets the number of steps in total, of which this takes a part.
"""

from collections.abc import Callable
from functools import partial

import pytest

from differential import plan, run
from grantwheel import MemoryLog
from ladder import LADDER, Config, Steps
from lockstep import Operation, Setup
from lockstep_events import Mismatch
from lockstep_log import LoggedLockstep, UnsureLog

MakeLog = Callable[[], MemoryLog | UnsureLog]


@pytest.mark.parametrize(("seed", "part"), [(1, 100), pytest.param(2026, 5, marks=pytest.mark.long)])
@pytest.mark.parametrize("make_log", [MemoryLog, UnsureLog])
@pytest.mark.parametrize("config", LADDER, ids=lambda config: config.name)
def test_what_is_on_record_leads_to_the_same(
    config: Config, make_log: MakeLog, seed: int, part: int, request: pytest.FixtureRequest
) -> None:
    total = int(request.config.getoption("--differential-steps")) // part
    steps = {each.name: share for each, share in plan(total, LADDER)}[config.name]
    print(make_log.__name__, run(config, seed, steps, make_pair=partial(LoggedLockstep, make_log=make_log)))


def test_both_logs_have_the_same_on_record() -> None:
    def groups(make_log: MakeLog) -> list[tuple[int, bytes]]:
        pair = LoggedLockstep(LADDER[1].setup, make_log=make_log)
        for operation, _ in zip(Steps(LADDER[1], 3), range(1000), strict=False):
            pair.perform(operation)
        pair.finish()
        assert pair.checks > 3
        return list(pair._log.read())

    assert groups(MemoryLog) == groups(UnsureLog)


def test_a_log_that_lacks_a_group_is_noticed() -> None:
    pair = LoggedLockstep(Setup(), make_log=UnsureLog)
    for uid in range(3):
        pair.perform(Operation(0, "apply", (uid, 1, 1, 50)))
    del pair._log._groups[1]  # type: ignore[union-attr]
    with pytest.raises(Mismatch, match="records of the follower"):
        pair._check_log()
