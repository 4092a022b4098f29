"""The benchmarks work: every workload leaves the state that it should, for each contender that is installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boost_headers
import pytest

from grantbench.contenders import CONTENDERS
from grantbench.interleave import interleave, summarize, turns
from grantbench.machine import describe
from grantbench.measure import Sample, measure
from grantbench.memory import Footprint
from grantbench.native import BASE, Native
from grantbench.outcome import Outcome, write_json
from grantbench.plan import Plan
from grantbench.publish import BEGIN, END, replaced
from grantbench.report.markdown import markdown
from grantbench.workload import Trial, expect
from grantbench.workloads import WORKLOADS
from grantbench.workloads.advance import ending, skipping

ROOT = Path(__file__).resolve().parent.parent
CPP = ROOT / "benchmarks" / "cpp"
PAGE = ROOT / "docs" / "performance.md"
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")))), None)

OWNERS = 200
PLAN = Plan(OWNERS)
ENTRIES = [(name, entry) for name, workload in WORKLOADS.items() for entry in workload.entries]


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_workload_leaves_the_state_that_it_should(name: str, entry: str) -> None:
    sample = measure(WORKLOADS[name].entries[entry].make, PLAN)  # raises when it does not
    assert sample.loop_ns >= 0


@pytest.mark.parametrize("ended", [1, OWNERS])
def test_advance_ends_what_it_should(ended: int) -> None:
    for series in (ending(ended), skipping(2**32 - 1)):
        for entry in series.values():
            assert measure(entry.make, PLAN).ns > 0


def test_contenders_of_the_standard_library_are_always_there() -> None:
    assert {"grantwheel", "heapq", "asyncio"} <= set(CONTENDERS)
    assert next(iter(CONTENDERS)) == "grantwheel"
    for workload in WORKLOADS.values():
        assert workload.base in workload.entries


def test_plan_is_the_same_every_time() -> None:
    again = Plan(OWNERS)
    assert again.uids == PLAN.uids != sorted(PLAN.uids)
    assert sorted(again.again) == sorted(again.uids)
    assert set(again.newcomers).isdisjoint(again.uids)
    assert again.mix == PLAN.mix
    assert all(later > first for first, later in zip(PLAN.timeouts, PLAN.longer, strict=True))


def test_a_wrong_state_is_noticed() -> None:
    trial = Trial(run=list, operations=1, check=lambda: expect("owners", 1, 2))
    with pytest.raises(AssertionError, match="owners: 1, not 2"):
        measure(lambda _plan: trial, PLAN)


def test_everyone_has_a_turn_in_each_round() -> None:
    assert list(turns(["a", "b", "c"], 2)) == ["a", "b", "c", "b", "c", "a"]


def test_ratios_are_taken_round_by_round() -> None:
    base = [Sample(10, 1), Sample(20, 1), Sample(1000, 1)]
    rival = [Sample(20, 1), Sample(60, 1), Sample(2000, 1)]
    _, found = summarize("new", OWNERS, "a", {"a": base, "b": rival})
    assert (found.ns, found.ratio, found.rounds, found.least_ns, found.most_ns) == (60, 2, 3, 20, 2000)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    names = ("new", "new, batch", "floor")
    workloads = [workload for name, workload in WORKLOADS.items() if name in names]
    return Outcome(
        machine=describe(pinned=False),
        contenders={name: contender.facts() for name, contender in CONTENDERS.items()},
        results=[
            result
            for workload in workloads
            for result in interleave(workload.name, workload.base, workload.entries_for(OWNERS), PLAN, 2, print)
        ],
        scale=[],
        ending={},
        skipping={},
        native=Native(summarize("new", OWNERS, BASE, {BASE: [Sample(300, 0)], "rival": [Sample(150, 0)]}), 100, 200),
        memory=[Footprint("grantwheel", OWNERS, 0, 2**20, 2**20)],
    )


def test_report_has_a_cell_for_everyone(outcome: Outcome) -> None:
    page = markdown(outcome, ["plot.svg"])
    assert f"|  | {' | '.join(CONTENDERS)} |" in page
    assert "#### 200 owners" in page
    assert "| new: rival | **150 ns** | 1.5 | 0.50x |" in page
    assert "| floor: empty function, per call |" in page
    assert "![plot](plot.svg)" in page
    assert all(f"* **{name}**: " in page for name in WORKLOADS)


def test_json_has_every_result(outcome: Outcome, tmp_path: Path) -> None:
    write_json(outcome, tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [row["entry"] for row in found["results"]] == [result.entry for result in outcome.results]
    assert found["native"]["miss_ns"] == 100
    assert found["machine"]["cores"] >= 1


def test_results_are_put_between_the_marks_of_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    changed = replaced(page, "new results")
    assert changed.partition(BEGIN)[0] == page.partition(BEGIN)[0]
    assert changed.partition(END)[2] == page.partition(END)[2]
    assert f"{BEGIN}\n\nnew results\n\n{END}" in changed
    assert replaced(changed, "new results") == changed
    with pytest.raises(ValueError, match="once each"):
        replaced("no marks", "new results")


def has_header(compiler: str, name: str) -> bool:
    command = [compiler, "-E", "-x", "c++", "-"]
    done = subprocess.run(command, input=f"#include <{name}>", capture_output=True, text=True, check=False)
    return done.returncode == 0


@pytest.mark.long
def test_cpp_workloads_compile() -> None:
    if COMPILER is None:
        pytest.skip("there is no C++ compiler")
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    boost = ["-DGRANTWHEEL_HAS_BOOST=1", "-isystem", boost_headers.get_include()]
    include = f"-I{ROOT / 'csrc' / 'include'}"
    sources = sorted(CPP.glob("*.cpp"))
    listed = (CPP / "CMakeLists.txt").read_text(encoding="utf-8")
    assert [path.name for path in sources if path.name not in listed] == []
    if not has_header(COMPILER, "valgrind/callgrind.h"):
        sources = [path for path in sources if "callgrind" not in path.read_text(encoding="utf-8")]
    done = subprocess.run(
        [COMPILER, "-std=c++20", "-fsyntax-only", *warnings, *boost, include, *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long  # servers of their own, eight of them
@pytest.mark.skipif(
    None in map(shutil.which, ("redis-server", "redis-benchmark")), reason="there is no redis-server or redis-benchmark"
)
def test_the_service_beside_redis() -> None:
    for needed in ("hiredis", "redis"):
        pytest.importorskip(needed)
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "service.py", "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(lines) > 15
