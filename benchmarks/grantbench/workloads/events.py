"""Reading events."""

from collections.abc import Callable

from grantbench.contenders.grantwheel_contender import GrantwheelContender
from grantbench.plan import Plan
from grantbench.workload import Entry, Trial, Workload, expect

LIMIT = 1_000


def _drain(contender: GrantwheelContender) -> int:
    return len(contender.manager.drain())


def _drain_some(contender: GrantwheelContender) -> int:
    total = 0
    while count := len(contender.manager.drain(LIMIT)):
        total += count
    return total


def _drain_columns(contender: GrantwheelContender) -> int:
    return len(contender.manager.drain_columns().sequence)


def _entry(drain: Callable[[GrantwheelContender], int]) -> Entry:
    def make(plan: Plan) -> Trial:
        contender = GrantwheelContender(plan.owners, event_capacity=plan.owners)
        contender.applying(plan.uids, plan.timeouts)()
        found: list[int] = []
        return Trial(
            run=lambda: found.append(drain(contender)),
            operations=plan.owners,
            check=lambda: expect("events", found, [plan.owners]),
            close=contender.close,
        )

    return Entry(make, 1_000_000)


EVENTS = Workload(
    name="drain",
    what="read one event per owner: all at once, a thousand at a time, and as columns",
    unit="per event",
    base="drain()",
    entries={
        "drain()": _entry(_drain),
        f"drain({LIMIT})": _entry(_drain_some),
        "drain_columns()": _entry(_drain_columns),
    },
)
