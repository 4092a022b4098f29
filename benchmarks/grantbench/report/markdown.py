"""The whole report as Markdown, to stand below a heading of the second level."""

from collections.abc import Iterator, Sequence

from grantbench.machine import Machine
from grantbench.outcome import Outcome
from grantbench.report.memory_table import memory_table
from grantbench.report.native_table import native_tables
from grantbench.report.numbers import rounds_in_words, table
from grantbench.report.shape_table import shape_table
from grantbench.report.workload_tables import contender_tables, other_table, wins_of_rivals
from grantbench.workloads import WORKLOADS


def _machine_line(machine: Machine) -> str:
    pinned = "kept on one core" if machine.pinned else "not kept on one core"
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB; {machine.system}; {machine.python}, "
        f"built with {machine.compiler}; {pinned}; load {machine.load} at the start. {_company(machine)}"
    )


def _company(machine: Machine) -> str:
    """Say whether the run had the machine for itself."""
    if machine.others is None:
        return "What else the machine did meanwhile is not known."
    here, elsewhere = machine.others
    beside = "" if elsewhere is None else f", and the other cores were {100 * elsewhere:.0f} % busy"
    return f"Meanwhile others took {100 * here:.0f} % of that core{beside}."


def _rounds(outcome: Outcome) -> str:
    python = {result.owners: result.rounds for result in (*outcome.results, *outcome.scale)}
    shapes = {result.owners: result.rounds for result in outcome.shapes}
    native = {} if outcome.native is None else {result.owners: result.rounds for result in outcome.native.results}
    named = (("Python", python), ("every shape in Python", shapes), ("C++", native))
    return "; ".join(f"{name}: {rounds_in_words(rounds)}" for name, rounds in named if rounds)


def _sections(outcome: Outcome, plots: Sequence[str]) -> Iterator[str]:
    contenders = list(outcome.contenders)
    yield f"{_machine_line(outcome.machine)} Rounds: {_rounds(outcome)}."
    facts = outcome.contenders.items()
    yield table(("contender", "version", "what"), [(name, version, what) for name, (what, version) in facts])
    yield "### Python, contender by contender"
    yield (
        "Medians, and in parentheses the median ratio to grantwheel in the same round; bold where a rival is faster. "
        "Every number is without the loop. Dense uids, one type an owner."
    )
    results = [*outcome.results, *outcome.scale]
    yield from contender_tables(results, contenders)
    wins = list(wins_of_rivals(results))
    yield "Where a rival wins:" if wins else "No rival wins."
    if wins:
        yield "\n".join(wins)
    yield "### Python, batches and the rest"
    yield "Ratios are to the first row of each workload."
    yield other_table(outcome.results, contenders)
    shaped = shape_table(outcome.shapes, lambda workload: WORKLOADS[workload].base)
    if shaped:
        yield "### Python, owners of every shape"
        yield "The time of grantwheel, and the median ratios of the others to it."
        yield shaped
    if outcome.native is not None:
        yield "### C++"
        yield from native_tables(outcome.native)
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
