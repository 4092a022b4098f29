"""The floor: the least that one could do for an owner in Python, and calls of a manager that have nothing to do."""

from collections.abc import Callable, Sequence

from grantbench import loops
from grantbench.contender import Run
from grantbench.contenders.grantwheel_contender import GrantwheelContender
from grantbench.plan import Plan
from grantbench.shape import COMMON, RARE
from grantbench.workload import Entry, Trial, Workload, expect

Deadlines = dict[int, int]
Uids = Sequence[int]


def _nothing(_uid: int, _pid: int, _mask: int, _timeout_ms: int) -> None:
    pass


def _calling(plan: Plan, _deadlines: Deadlines) -> Run:
    def run() -> None:
        for uid, timeout in zip(plan.again, plan.longer, strict=True):
            _nothing(uid, uid, COMMON, timeout)

    return run


def _storing(plan: Plan, deadlines: Deadlines) -> Run:
    def run() -> None:
        for uid, timeout in zip(plan.again, plan.longer, strict=True):
            deadlines[uid] = timeout

    return run


def _getting(plan: Plan, deadlines: Deadlines) -> Run:
    get = deadlines.get

    def run() -> None:
        for uid, _timeout in zip(plan.again, plan.longer, strict=True):
            get(uid)

    return run


def _entry(loop: Callable[[Plan, Deadlines], Run]) -> Entry:
    def make(plan: Plan) -> Trial:
        deadlines = dict(zip(plan.uids, plan.timeouts, strict=True))
        return Trial(
            run=loop(plan, deadlines),
            loop=lambda: loops.over_pairs(plan.again, plan.longer),
            operations=plan.owners,
            check=lambda: expect("owners", len(deadlines), plan.owners),
        )

    return Entry(make, 10_000_000)


def _without_effect(loop: Callable[[GrantwheelContender, Uids], Run], uids_of: Callable[[Plan], Uids]) -> Entry:
    """A call that finds nothing to do, while as many owners as there are calls hold something."""

    def make(plan: Plan) -> Trial:
        contender = GrantwheelContender(plan.owners)
        contender.applying(plan.uids, plan.timeouts)()
        uids = uids_of(plan)
        return Trial(
            run=loop(contender, uids),
            loop=lambda: loops.over(uids),
            operations=plan.owners,
            check=lambda: expect("owners that hold something", contender.count(), plan.owners),
            close=contender.close,
        )

    return Entry(make, 10_000_000)


def _about_nobody(loop: Callable[[GrantwheelContender, Uids], Run]) -> Entry:
    """A call about owners who hold nothing: all of a call but what it is for."""
    return _without_effect(loop, lambda plan: plan.newcomers)


def _releasing_another_type(contender: GrantwheelContender, uids: Uids) -> Run:
    """Release what the owners do not hold: all of a call and of the ways to its record, but what comes then."""
    release = contender.manager.release

    def run() -> None:
        for uid in uids:
            release(uid, uid, RARE)

    return run


FLOOR = Workload(
    name="floor",
    what="call a Python function that does nothing, store a deadline in a dict, look one up with get; ask grantwheel "
    "about owners that hold nothing, release what they do not hold, and release another type than owners hold",
    unit="per call",
    base="dict store",
    entries={
        "dict store": _entry(_storing),
        "dict get": _entry(_getting),
        "empty function": _entry(_calling),
        "grantwheel, query of nobody": _about_nobody(GrantwheelContender.asking),
        "grantwheel, release of nothing": _about_nobody(GrantwheelContender.releasing),
        "grantwheel, release of another type": _without_effect(_releasing_another_type, lambda plan: plan.again),
    },
)
