"""Pipelines: calls that are queued and carried out together, against one after the other."""

from collections.abc import Callable

from grantbench import loops
from grantbench.contender import Run
from grantbench.contenders.grantwheel_contender import GrantwheelContender
from grantbench.plan import Plan
from grantbench.shape import COMMON
from grantbench.workload import Entry, Trial, Workload, expect
from grantbench.workloads import calls

# How many calls are queued before they are carried out.
TOGETHER = 1_000


def _parts(uids: list[int], timeouts: list[int]) -> list[tuple[list[int], list[int]]]:
    starts = range(0, len(uids), TOGETHER)
    return [(uids[start : start + TOGETHER], timeouts[start : start + TOGETHER]) for start in starts]


def _applying(contender: GrantwheelContender, uids: list[int], timeouts: list[int], answers: list[object]) -> Run:
    pipeline = contender.manager.pipeline()
    apply, execute = pipeline.apply, pipeline.execute
    parts = _parts(uids, timeouts)

    def run() -> None:
        for some, longer in parts:
            for uid, timeout in zip(some, longer, strict=True):
                apply(uid, uid, COMMON, timeout)
            answers[:] = execute()

    return run


def _releasing(contender: GrantwheelContender, uids: list[int], timeouts: list[int], answers: list[object]) -> Run:
    pipeline = contender.manager.pipeline()
    release, execute = pipeline.release, pipeline.execute
    parts = _parts(uids, timeouts)

    def run() -> None:
        for some, _ in parts:
            for uid in some:
                release(uid, uid, COMMON)
            answers[:] = execute()

    return run


def _trial(plan: Plan, run_of: Callable[..., Run], *, again: bool, held: int) -> Trial:
    contender = GrantwheelContender(plan.owners)
    if again:
        contender.applying(plan.uids, plan.timeouts)()
    uids, timeouts = (plan.again, plan.longer) if again else (plan.uids, plan.timeouts)
    answers: list[object] = []

    def check() -> None:
        expect("answers of the last part", set(answers), {COMMON})
        expect("owners that hold something", contender.count(), held)

    return Trial(
        run=run_of(contender, uids, timeouts, answers),
        loop=lambda: loops.over(uids) if held == 0 else loops.over_pairs(uids, timeouts),
        operations=plan.owners,
        check=check,
        close=contender.close,
    )


def new(plan: Plan) -> Trial:
    """Owners that hold nothing are granted something."""
    return _trial(plan, _applying, again=False, held=plan.owners)


def renew(plan: Plan) -> Trial:
    """Owners have their grant extended."""
    return _trial(plan, _applying, again=True, held=plan.owners)


def release(plan: Plan) -> Trial:
    """Owners release what they hold."""
    return _trial(plan, _releasing, again=True, held=0)


def _workload(name: str, many: Callable[[Plan], Trial], each: calls.Setup) -> Workload:
    return Workload(
        name=f"{name}, pipeline",
        what=f"the same as {name}, {TOGETHER} calls queued in a pipeline at a time and carried out together",
        unit="per call",
        base="grantwheel",
        entries={
            "grantwheel": Entry(many, GrantwheelContender.max_owners),
            "grantwheel, one after the other": calls.entry(GrantwheelContender, each),
        },
    )


PIPELINES = (
    _workload("new", new, calls.new),
    _workload("renew", renew, calls.renew),
    _workload("release", release, calls.release),
)
