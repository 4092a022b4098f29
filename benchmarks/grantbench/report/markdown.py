"""The whole report as Markdown, to stand below a heading of the second level."""

from collections.abc import Iterator, Sequence

from grantbench.machine import Machine
from grantbench.outcome import Outcome
from grantbench.report.memory_table import memory_table
from grantbench.report.native_table import native_table
from grantbench.report.numbers import table
from grantbench.report.workload_tables import contender_tables, other_table, wins_of_rivals
from grantbench.workloads import WORKLOADS


def _machine_line(machine: Machine) -> str:
    pinned = "kept on one core" if machine.pinned else "not kept on one core"
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB; {machine.system}; {machine.python}, "
        f"built with {machine.compiler}; {pinned}; load {machine.load} at the start."
    )


def _sections(outcome: Outcome, plots: Sequence[str]) -> Iterator[str]:
    contenders = list(outcome.contenders)
    rounds = ", ".join(f"{count}" for count in sorted({result.rounds for result in outcome.results}, reverse=True))
    yield f"{_machine_line(outcome.machine)} Medians of {rounds} rounds."
    facts = outcome.contenders.items()
    yield table(("contender", "version", "what"), [(name, version, what) for name, (what, version) in facts])
    yield "### Python, contender by contender"
    yield (
        "Medians, and in parentheses the median ratio to grantwheel in the same round; bold where a rival is faster. "
        "Every number is without the loop."
    )
    yield from contender_tables(outcome.results, contenders)
    wins = list(wins_of_rivals(outcome.results))
    yield "Where a rival wins:" if wins else "No rival wins."
    if wins:
        yield "\n".join(wins)
    yield "### Python, batches and the rest"
    yield "Ratios are to the first row of each workload."
    yield other_table(outcome.results, contenders)
    if outcome.native is not None:
        yield "### C++"
        yield native_table(outcome.native)
    if outcome.memory:
        yield "### Memory"
        yield "Growth of the resident memory of a fresh process."
        yield memory_table(outcome.memory)
    if plots:
        yield "### Plots"
        yield "\n".join(f"![{name.removesuffix('.svg').replace('-', ' ')}]({name})" for name in plots)
    yield "### The workloads"
    yield "\n".join(f"* **{workload.name}**: {workload.what}" for workload in WORKLOADS.values())


def markdown(outcome: Outcome, plots: Sequence[str]) -> str:
    """Return the report; `plots` are where the images are, seen from the page."""
    return "\n\n".join(_sections(outcome, plots)) + "\n"
