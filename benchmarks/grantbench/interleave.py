"""Runs contenders in turn, so that whatever the machine does meanwhile meets all of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from grantbench.measure import Sample, measure
from grantbench.plan import Plan
from grantbench.shape import DENSE
from grantbench.workload import MakeTrial

Report = Callable[[str], None]
T = TypeVar("T")
# So many rounds are too few for one more that is not counted.
FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What several rounds gave for one entry of a workload and owners of one shape: medians, and the extremes.

    ``ratio`` is the median over the rounds of this entry's time by the base's time in the same round.
    """

    workload: str
    entry: str
    owners: int
    shape: str
    rounds: int
    ns: float
    least_ns: float
    most_ns: float
    loop_ns: float
    ratio: float

    @property
    def is_win_of_rival(self) -> bool:
        """Whether it is a rival of the base, which is grantwheel's, and was faster."""
        return self.ratio < 1 and not self.entry.startswith("grantwheel")


def turns(everyone: Sequence[T], rounds: int) -> Iterator[T]:
    """Yield everyone once per round, each round beginning with the next."""
    for number in range(rounds):
        first = number % len(everyone)
        yield from everyone[first:]
        yield from everyone[:first]


def summarize(
    workload: str, owners: int, base: str, samples: Mapping[str, Sequence[Sample]], shape: str = DENSE.name
) -> list[Result]:
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
                shape=shape,
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
    workload: str, base: str, entries: Mapping[str, MakeTrial], plans: Sequence[Plan], rounds: int, report: Report
) -> list[Result]:
    """Measure every entry with every plan once per round, in rotating order and in fresh state.

    A round before the first is not counted: it makes the plans, and has the allocators take what they keep. Where
    rounds are few, so long does each take, there is none.
    """
    samples: list[dict[str, list[Sample]]] = [{name: [] for name in entries} for _ in plans]
    pairs = [(place, name) for place in range(len(plans)) for name in entries]
    if rounds > FEW:
        for place, name in pairs:
            measure(entries[name], plans[place])
    for place, name in turns(pairs, rounds):
        samples[place][name].append(measure(entries[name], plans[place]))
    results = []
    for plan, found in zip(plans, samples, strict=True):
        of_plan = summarize(workload, plan.owners, base, found, plan.shape.name)
        times = ", ".join(f"{result.entry} {result.ns:,.0f}" for result in of_plan)
        report(f"{workload}, {plan.owners:,} owners, {plan.shape.name}: {times} ns")
        results += of_plan
    return results
