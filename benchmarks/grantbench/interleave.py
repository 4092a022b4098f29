"""Runs contenders in turn, so that whatever the machine does meanwhile meets all of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from grantbench.measure import Sample, measure
from grantbench.plan import Plan
from grantbench.workload import MakeTrial

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What several rounds gave for one entry of a workload: medians, and the extremes of the rounds.

    ``ratio`` is the median over the rounds of this entry's time by the base's time in the same round.
    """

    workload: str
    entry: str
    owners: int
    rounds: int
    ns: float
    least_ns: float
    most_ns: float
    loop_ns: float
    ratio: float


def turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Name everyone once per round, each round beginning with the next."""
    for number in range(rounds):
        first = number % len(names)
        yield from names[first:]
        yield from names[:first]


def summarize(workload: str, owners: int, base: str, samples: Mapping[str, Sequence[Sample]]) -> list[Result]:
    """Return the medians of the rounds of each entry, and of the ratios to the base, round by round."""
    results = []
    for entry, rounds in samples.items():
        ns = [sample.ns for sample in rounds]
        ratios = [own / max(other.ns, 0.1) for own, other in zip(ns, samples[base], strict=True)]
        results.append(
            Result(
                workload=workload,
                entry=entry,
                owners=owners,
                rounds=len(rounds),
                ns=median(ns),
                least_ns=min(ns),
                most_ns=max(ns),
                loop_ns=median(sample.loop_ns for sample in rounds),
                ratio=median(ratios),
            )
        )
    return results


def interleave(
    workload: str, base: str, entries: Mapping[str, MakeTrial], plan: Plan, rounds: int, report: Report
) -> list[Result]:
    """Measure every entry once per round, in rotating order and in fresh state.

    A round before the first is not counted: it makes the plan, and has the allocators take what they keep. Where one
    round has to do, so long does it take, there is none.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in entries}
    if rounds > 1:
        for make in entries.values():
            measure(make, plan)
    for name in turns(list(entries), rounds):
        samples[name].append(measure(entries[name], plan))
    results = summarize(workload, plan.owners, base, samples)
    times = ", ".join(f"{result.entry} {result.ns:,.0f}" for result in results)
    report(f"{workload}, {plan.owners:,} owners: {times} ns")
    return results
