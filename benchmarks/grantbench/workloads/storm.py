"""A storm: everything is due at one instant, and applies of others wait for their turn while it is ended."""

from time import perf_counter_ns

from grantbench.contender import EVERYTHING, Contender
from grantbench.contenders import CONTENDERS
from grantbench.plan import LONGEST_MS, SHORTEST_MS, Plan
from grantbench.shape import COMMON
from grantbench.workload import Trial, Workload, expect
from grantbench.workloads.calls import entry, held_by

# How many records a slice may end, re-arm or move.
BUDGET = 1_000


class _Storm:
    """Ends slice after slice, with an apply after each, and notes the longest time that an apply had to wait for."""

    def __init__(self, contender: Contender, plan: Plan, budget: int) -> None:
        self._contender = contender
        self._uids = plan.newcomers
        self._budget = budget
        self.applied = 0
        self.longest_ns = 0

    def run(self) -> None:
        end, apply, budget = self._contender.end, self._contender.apply, self._budget
        uids = iter(self._uids)
        longest = 0
        applied = 0
        more = True
        while more:
            uid = next(uids)
            began = perf_counter_ns()
            more = end(budget)
            apply(uid, COMMON, SHORTEST_MS)
            longest = max(longest, perf_counter_ns() - began)
            applied += 1
        self.longest_ns = longest
        self.applied = applied

    def check(self) -> None:
        expect("owners after the storm", self._contender.count(), self.applied)
        expect("newcomers held", held_by(self._contender, self._uids[: self.applied]), min(1_000, self.applied))


def _setup(contender: Contender, plan: Plan, budget: int) -> Trial:
    contender.let_lapse(plan.uids, [LONGEST_MS] * plan.owners)
    storm = _Storm(contender, plan, budget)
    return Trial(
        run=storm.run,
        operations=1,
        check=storm.check,
        reading=lambda: storm.longest_ns,
        close=contender.close,
    )


def _sliced(contender: Contender, plan: Plan) -> Trial:
    return _setup(contender, plan, BUDGET)


def _at_once(contender: Contender, plan: Plan) -> Trial:
    return _setup(contender, plan, EVERYTHING)


def _storm() -> Workload:
    entries = {contender.name: entry(contender, _sliced) for contender in CONTENDERS.values()}
    entries |= {
        f"{contender.name}, not sliced": entry(contender, _at_once)
        for contender in CONTENDERS.values()
        if contender.has_slices
    }
    return Workload(
        name="storm",
        what=f"all due at one instant, ended in slices of {BUDGET} where that is possible, with an apply after each: "
        "the longest time that an apply had to wait",
        unit="longest stall",
        base="grantwheel",
        entries=entries,
    )


STORM = _storm()
