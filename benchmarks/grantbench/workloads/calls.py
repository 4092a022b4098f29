"""Calls on single owners, one after the other: new, renew, release, query, mixed; and the expiry of them all."""

from collections.abc import Callable

from grantbench import loops
from grantbench.contender import Contender
from grantbench.contenders import CONTENDERS
from grantbench.plan import Plan
from grantbench.shape import COMMON
from grantbench.workload import Entry, Trial, Workload, expect

SAMPLE = 1_000

Setup = Callable[[Contender, Plan], Trial]


def held_by(contender: Contender, uids: list[int], mask: int = COMMON) -> int:
    """Return how many of the first owners hold what the workloads grant, and nothing else."""
    return sum(contender.mask(uid) == mask for uid in uids[:SAMPLE])


def _check(contender: Contender, plan: Plan, count: int) -> Callable[[], None]:
    def check() -> None:
        expect("owners that hold something", contender.count(), count)
        if count in (0, plan.owners):
            expect("holders among the first", held_by(contender, plan.uids, plan.shape.mask), min(SAMPLE, count))

    return check


def new(contender: Contender, plan: Plan) -> Trial:
    """Owners that hold nothing are granted something."""
    return Trial(
        run=contender.applying(plan.uids, plan.timeouts, plan.shape),
        loop=lambda: loops.over_pairs(plan.uids, plan.timeouts),
        operations=plan.owners,
        check=_check(contender, plan, plan.owners),
        close=contender.close,
    )


def renew(contender: Contender, plan: Plan) -> Trial:
    """Owners have their grant extended."""
    contender.applying(plan.uids, plan.timeouts, plan.shape)()
    return Trial(
        run=contender.applying(plan.again, plan.longer, plan.shape),
        loop=lambda: loops.over_pairs(plan.again, plan.longer),
        operations=plan.owners,
        check=_check(contender, plan, plan.owners),
        close=contender.close,
    )


def release(contender: Contender, plan: Plan) -> Trial:
    """Owners release what they hold."""
    contender.applying(plan.uids, plan.timeouts, plan.shape)()
    return Trial(
        run=contender.releasing(plan.again, plan.shape),
        loop=lambda: loops.over(plan.again),
        operations=plan.owners,
        check=_check(contender, plan, 0),
        close=contender.close,
    )


def query(contender: Contender, plan: Plan) -> Trial:
    """Owners are asked about, one by one."""
    contender.applying(plan.uids, plan.timeouts, plan.shape)()
    return Trial(
        run=contender.asking(plan.again, plan.shape),
        loop=lambda: loops.over(plan.again),
        operations=plan.owners,
        check=_check(contender, plan, plan.owners),
        close=contender.close,
    )


def mixed(contender: Contender, plan: Plan) -> Trial:
    """A mix of calls is played."""
    contender.applying(plan.uids, plan.timeouts, plan.shape)()
    return Trial(
        run=contender.playing(plan.mix),
        loop=lambda: loops.over_mix(plan.mix),
        operations=plan.owners,
        check=_check(contender, plan, plan.held_after_mix),
        close=contender.close,
    )


def expire(contender: Contender, plan: Plan) -> Trial:
    """All that is held has run out, and is ended and told in one go."""
    contender.let_lapse(plan.uids, plan.timeouts, plan.shape)
    return Trial(
        run=contender.end_all,
        operations=plan.owners,
        check=_check(contender, plan, 0),
        close=contender.close,
    )


def entry(contender: type[Contender], setup: Setup, *, reserve: bool = False) -> Entry:
    """Return the entry of a contender: a fresh one, set up."""
    return Entry(lambda plan: setup(contender(plan.owners, reserve), plan), contender.max_owners)


def _telling(contender: type[Contender]) -> Entry:
    return Entry(lambda plan: expire(contender.telling(plan.owners), plan), contender.max_owners)


def _workload(name: str, what: str, setup: Setup) -> Workload:
    entries = {contender.name: entry(contender, setup) for contender in CONTENDERS.values()}
    return Workload(name=name, what=what, unit="per call", base="grantwheel", entries=entries)


def _reserved() -> Workload:
    able = [CONTENDERS[name] for name in ("grantwheel", "cachebox") if name in CONTENDERS]
    return Workload(
        name="new, reserved",
        what="the same, where the memory has been taken beforehand",
        unit="per call",
        base="grantwheel",
        entries={contender.name: entry(contender, new, reserve=True) for contender in able},
    )


CALLS = (
    _workload("new", "grant one type to each owner, none of whom holds anything", new),
    _reserved(),
    _workload("renew", "extend the grant of each owner", renew),
    _workload("release", "release the grant of each owner", release),
    _workload("query", "ask what each owner holds", query),
    _workload("mixed", "70 % renewals, 20 % grants to new owners, 10 % releases", mixed),
    Workload(
        name="expire",
        what="end all grants in one go, their deadlines spread over ten minutes; grantwheel tells them as columns of "
        "events, heapq as a list of tuples, the others not at all",
        unit="per grant",
        base="grantwheel",
        entries={contender.name: _telling(contender) for contender in CONTENDERS.values()},
    ),
)
