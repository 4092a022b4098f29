"""Batches: many owners in one call, against one call per owner."""

from array import array
from collections.abc import Callable

from grantbench.contenders import CONTENDERS
from grantbench.contenders.grantwheel_contender import PID, GrantwheelContender
from grantbench.plan import LONGEST_MS, Plan
from grantbench.shape import Shape
from grantbench.workload import Entry, Trial, Workload, expect
from grantbench.workloads import calls


class Buffers:
    """The arguments of batches for a sequence of owners, and a place for results."""

    def __init__(self, uids: list[int], timeouts: list[int], shape: Shape) -> None:
        self.mask = shape.mask
        self.uids = array("I", uids)
        self.pids = array("I", [PID]) * len(uids)
        self.masks = array("I", [self.mask]) * len(uids)
        self.timeouts = array("I", timeouts)
        self.out = array("i", [0]) * len(uids)


def _batch(contender: GrantwheelContender, to: Buffers, run: Callable[[], object], held: int) -> Trial:
    def check() -> None:
        expect("results of the batch", set(to.out), {to.mask})
        expect("owners that hold something", contender.count(), held)

    return Trial(run=run, operations=len(to.uids), check=check, close=contender.close)


def _apply_many(contender: GrantwheelContender, to: Buffers) -> Trial:
    manager = contender.manager
    return _batch(
        contender,
        to,
        lambda: manager.apply_many(to.uids, to.pids, to.masks, to.timeouts, out=to.out),
        held=len(to.uids),
    )


def new_many(plan: Plan) -> Trial:
    """Owners that hold nothing are granted something."""
    return _apply_many(GrantwheelContender(plan.owners), Buffers(plan.uids, plan.timeouts, plan.shape))


def renew_many(plan: Plan) -> Trial:
    """Owners have their grant extended."""
    contender = GrantwheelContender(plan.owners)
    contender.applying(plan.uids, plan.timeouts, plan.shape)()
    return _apply_many(contender, Buffers(plan.again, plan.longer, plan.shape))


def release_many(plan: Plan) -> Trial:
    """Owners release what they hold."""
    contender = GrantwheelContender(plan.owners)
    contender.applying(plan.uids, plan.timeouts, plan.shape)()
    to = Buffers(plan.again, plan.longer, plan.shape)
    return _batch(contender, to, lambda: contender.manager.release_many(to.uids, to.pids, to.masks, out=to.out), held=0)


def query_many(plan: Plan) -> Trial:
    """Owners are asked about."""
    contender = GrantwheelContender(plan.owners)
    contender.applying(plan.uids, plan.timeouts, plan.shape)()
    to = Buffers(plan.again, plan.longer, plan.shape)
    return _batch(contender, to, lambda: contender.manager.app_masks(to.uids, out=to.out), held=plan.owners)


def _update(plan: Plan, *, again: bool) -> Trial:
    from grantbench.contenders.cachebox_contender import CacheboxContender

    contender = CacheboxContender(plan.owners)
    if again:
        contender.applying(plan.uids, plan.timeouts, plan.shape)()
    items = dict.fromkeys(plan.again if again else plan.uids, plan.shape.mask)
    return Trial(
        run=lambda: contender.cache.update(items, 2 * LONGEST_MS / 1000),
        operations=plan.owners,
        check=lambda: expect("owners that hold something", contender.count(), plan.owners),
        close=contender.close,
    )


def _workload(
    name: str, what: str, many: Callable[[Plan], Trial], each: calls.Setup, *, again: bool | None = None
) -> Workload:
    most = GrantwheelContender.max_owners
    entries = {"grantwheel": Entry(many, most), "grantwheel, one call each": calls.entry(GrantwheelContender, each)}
    if again is not None and "cachebox" in CONTENDERS:
        entries["cachebox, update()"] = Entry(lambda plan: _update(plan, again=again), most)
    return Workload(name=name, what=what, unit="per owner", base="grantwheel", entries=entries)


BATCHES = (
    _workload("new, batch", "the same as new, in one call of apply_many", new_many, calls.new, again=False),
    _workload("renew, batch", "the same as renew, in one call of apply_many", renew_many, calls.renew, again=True),
    _workload("release, batch", "the same as release, in one call of release_many", release_many, calls.release),
    _workload("query, batch", "the same as query, in one call of app_masks", query_many, calls.query),
)
