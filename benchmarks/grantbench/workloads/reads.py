"""Reads across owners: who holds a type."""

from collections.abc import Callable, Sequence

from grantbench.contender import Contender
from grantbench.contenders import CONTENDERS
from grantbench.contenders.grantwheel_contender import GrantwheelContender
from grantbench.plan import Plan
from grantbench.shape import COMMON, RARE
from grantbench.workload import Entry, Trial, Workload, expect
from grantbench.workloads.calls import entry

REPEATS = 5
RARITY = 100

Ask = Callable[[int], Sequence[int]]


def _holders(ask: Ask, contender: Contender, plan: Plan, mask: int, wanted: int) -> Trial:
    for place, (uid, timeout) in enumerate(zip(plan.uids, plan.timeouts, strict=True)):
        contender.apply(uid, RARE if place % RARITY == 0 else COMMON, timeout)
    found: list[Sequence[int]] = [()]

    def run() -> None:
        for _ in range(REPEATS):
            found[0] = ask(mask)

    def check() -> None:
        expect("holders", len(found[0]), wanted)
        expect("one owner twice", len(set(found[0])), wanted)

    return Trial(run=run, operations=REPEATS, check=check, close=contender.close)


def _rare(ask: Ask, contender: Contender, plan: Plan) -> Trial:
    return _holders(ask, contender, plan, RARE, -(-plan.owners // RARITY))


def _common(ask: Ask, contender: Contender, plan: Plan) -> Trial:
    return _holders(ask, contender, plan, COMMON, plan.owners - -(-plan.owners // RARITY))


def _workload(name: str, what: str, setup: Callable[[Ask, Contender, Plan], Trial]) -> Workload:
    def lists(contender: Contender, plan: Plan) -> Trial:
        return setup(contender.holders, contender, plan)

    def columns(plan: Plan) -> Trial:
        contender = GrantwheelContender(plan.owners)
        return setup(lambda mask: contender.manager.holders_columns(mask).apps, contender, plan)

    entries = {contender.name: entry(contender, lists) for contender in CONTENDERS.values() if contender.lists}
    entries["grantwheel, columns"] = Entry(columns, GrantwheelContender.max_owners)
    return Workload(name=name, what=what, unit="per list", base="grantwheel", entries=entries)


READS = (
    _workload("holders, few", "list the owners that hold a type which one in a hundred holds", _rare),
    _workload("holders, most", "list the owners that hold a type which all others hold", _common),
)
