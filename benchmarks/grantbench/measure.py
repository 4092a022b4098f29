"""Times one trial, with the garbage collector at rest and the loop subtracted."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import NamedTuple

from grantbench.plan import Plan
from grantbench.workload import MakeTrial, Trial


class Sample(NamedTuple):
    """What one run of a trial gave: ns per operation, and of that the loop, which is subtracted already."""

    ns: float
    loop_ns: float


@contextmanager
def at_rest() -> Iterator[None]:
    """Collect garbage now and none inside: it would be charged to whoever makes the most objects."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def time_ns(call: Callable[[], object]) -> int:
    """Return how long a call takes."""
    began = perf_counter_ns()
    call()
    return perf_counter_ns() - began


def loop_ns(trial: Trial) -> int:
    """Return how long the loop of a trial takes: the shortest of three times, which is in nobody's favour."""
    return min(time_ns(trial.loop) for _ in range(3))


def sample_of(trial: Trial, run: int, loop: int) -> Sample:
    """Return the result of a trial that took so many ns, in all and for its loop."""
    ns = trial.reading() if trial.reading is not None else (run - loop) / trial.operations
    return Sample(ns, loop / trial.operations)


def measure(make: MakeTrial, plan: Plan) -> Sample:
    """Set up a trial, time it once, check what it left, and let go of it."""
    trial = make(plan)
    try:
        with at_rest():
            loop = loop_ns(trial)
            sample = sample_of(trial, time_ns(trial.run), loop)
        trial.check()
    finally:
        trial.close()
    return sample
