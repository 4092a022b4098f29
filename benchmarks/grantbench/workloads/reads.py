"""Reads across owners: who holds a type."""

from grantbench.contender import COMMON, RARE, Contender
from grantbench.contenders import CONTENDERS
from grantbench.plan import Plan
from grantbench.workload import Trial, Workload, expect
from grantbench.workloads.calls import Setup, entry

REPEATS = 5
RARITY = 100


def _holders(contender: Contender, plan: Plan, mask: int, wanted: int) -> Trial:
    for place, (uid, timeout) in enumerate(zip(plan.uids, plan.timeouts, strict=True)):
        contender.apply(uid, RARE if place % RARITY == 0 else COMMON, timeout)
    found: list[int] = []

    def run() -> None:
        for _ in range(REPEATS):
            found[:] = contender.holders(mask)

    def check() -> None:
        expect("holders", len(found), wanted)
        expect("one owner twice", len(set(found)), wanted)

    return Trial(run=run, operations=REPEATS, check=check, close=contender.close)


def _rare(contender: Contender, plan: Plan) -> Trial:
    return _holders(contender, plan, RARE, -(-plan.owners // RARITY))


def _common(contender: Contender, plan: Plan) -> Trial:
    return _holders(contender, plan, COMMON, plan.owners - -(-plan.owners // RARITY))


def _workload(name: str, what: str, setup: Setup) -> Workload:
    entries = {contender.name: entry(contender, setup) for contender in CONTENDERS.values()}
    return Workload(name=name, what=what, unit="per list", base="grantwheel", entries=entries)


READS = (
    _workload("holders, few", "list the owners that hold a type which one in a hundred holds", _rare),
    _workload("holders, most", "list the owners that hold a type which all others hold", _common),
)
