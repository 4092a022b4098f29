"""Run every benchmark and write what was found: ``run.py [--quick] [--rounds N] [--owners N] [--out DIR] [--publish]``.

Writes results.json, results.md and the plots into a folder; with --publish also the section of results in
docs/performance.md. A full run takes about three quarters of an hour on a machine that does nothing else; --quick takes
a minute or two, and shows only that everything works.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

from grantbench import machine, scale, shaped
from grantbench.contenders import CONTENDERS, MISSING
from grantbench.interleave import Report, Result, interleave
from grantbench.memory import run_memory
from grantbench.native import run_native
from grantbench.outcome import Outcome, write_json
from grantbench.plan import Plan
from grantbench.publish import publish
from grantbench.report.markdown import markdown
from grantbench.report.plots import write_plots
from grantbench.settings import FULL, QUICK, Settings
from grantbench.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
PLOTS = "performance"
MIN_OWNERS = 100_000  # with fewer nothing is left of some parts


def _workloads(names: Sequence[str], settings: Settings, report: Report) -> list[Result]:
    results = []
    for owners in settings.owners:
        plan = Plan(owners)
        for name in names:
            workload = WORKLOADS[name]
            entries = workload.entries_for(owners)
            results += interleave(name, workload.base, entries, [plan], settings.rounds(owners), report)
    return results


def _run(settings: Settings, folder: Path, report: Report) -> Outcome:
    found = machine.describe(machine.pin())
    watch = machine.Watch()
    report(f"{found.processor}; contenders: {', '.join(CONTENDERS)}; not installed: {', '.join(MISSING) or 'none'}")
    outcome = Outcome(
        machine=found,
        contenders={name: contender.facts() for name, contender in CONTENDERS.items()},
        native=run_native(folder / "cpp", settings.native, report),
        memory=run_memory(settings.memory_owners, report),
        results=_workloads(list(WORKLOADS), settings, report),
        skipping=scale.over_time_skipped(settings, report),
        ending=scale.over_grants_ended(settings, report),
        scale=list(scale.over_owners(settings, report)),
        shapes=list(shaped.over_shapes(settings, report)),
    )
    return replace(outcome, machine=found._replace(others=watch.others()))


def _write(outcome: Outcome, folder: Path, to_page: bool) -> None:
    plots = write_plots(outcome, folder)
    write_json(outcome, folder / "results.json")
    (folder / "results.md").write_text(markdown(outcome, plots), encoding="utf-8")
    if to_page:
        seen_from_page = [f"{PLOTS}/{name}" for name in plots]
        publish(PAGE, markdown(outcome, seen_from_page), [folder / name for name in plots], PAGE.parent / PLOTS)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure little: only to see that it works")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmarks", metavar="DIR", help="where to write")
    parser.add_argument("--publish", action="store_true", help="rewrite the results in docs/performance.md too")
    parser.add_argument("--rounds", type=int, default=1_000, metavar="N", help="at most so many: shorter and rougher")
    parser.add_argument("--owners", type=int, default=10**9, metavar="N", help="leave out larger numbers of owners")
    options = parser.parse_args()
    if options.rounds < 1 or options.owners < MIN_OWNERS:
        parser.error(f"--rounds must be at least 1, and --owners at least {MIN_OWNERS}")
    began = monotonic()

    def report(line: str) -> None:
        print(f"{monotonic() - began:7.0f} s  {line}", file=sys.stderr, flush=True)

    options.out.mkdir(parents=True, exist_ok=True)
    settings = (QUICK if options.quick else FULL).up_to(options.rounds, options.owners)
    _write(_run(settings, options.out, report), options.out, options.publish)
    report(f"written to {options.out}")


if __name__ == "__main__":
    main()
