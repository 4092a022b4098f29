"""What the plots are drawn over: more numbers of owners, grants ended by one advance, and time skipped by it."""

from collections.abc import Iterator

from grantbench.interleave import Report, Result, interleave
from grantbench.plan import Plan
from grantbench.settings import Settings
from grantbench.workloads import WORKLOADS
from grantbench.workloads.advance import LONGEST_SKIP_MS, Series, ending, skipping

# The workloads of single calls whose cost is drawn over the number of owners.
SCALED = ("new", "renew", "release", "query", "expire")

BASE = "grantwheel"
HOUR_MS = 3_600_000


def over_owners(settings: Settings, report: Report) -> Iterator[Result]:
    """Measure single calls at the numbers of owners that only the plots have."""
    for owners in settings.scale:
        plan = Plan(owners)
        for name in SCALED:
            entries = WORKLOADS[name].entries_for(owners)
            yield from interleave(name, BASE, entries, [plan], settings.rounds(owners), report)


def _measured(name: str, series: Series, plan: Plan, rounds: int, report: Report) -> list[Result]:
    entries = {entry: made.make for entry, made in series.items() if plan.owners <= made.max_owners}
    return interleave(name, BASE, entries, [plan], rounds, report)


def over_grants_ended(settings: Settings, report: Report) -> dict[int, list[Result]]:
    """Measure one advance by the number of grants that it ends, of as many owners each time."""
    plan = Plan(settings.advance_owners)
    counts = [10**power for power in range(8) if 10**power <= plan.owners]
    rounds = settings.advance_rounds
    return {count: _measured(f"advance that ends {count:,}", ending(count), plan, rounds, report) for count in counts}


def over_time_skipped(settings: Settings, report: Report) -> dict[int, list[Result]]:
    """Measure one advance that ends a thousand grants, by the time over which they end."""
    plan = Plan(1_000)
    times = [1_000, 60_000, HOUR_MS, 24 * HOUR_MS, LONGEST_SKIP_MS]
    rounds = settings.advance_rounds
    return {ms: _measured(f"advance over {ms:,} ms", skipping(ms), plan, rounds, report) for ms in times}
