"""The benchmarks work: every workload leaves the state that it should, for each contender that is installed."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import boost_headers
import pytest

from grantbench.contenders import CONTENDERS
from grantbench.interleave import interleave, summarize, turns
from grantbench.machine import Core, Others, Watch, describe, others, read_cores
from grantbench.measure import Sample, measure
from grantbench.memory import Footprint
from grantbench.native import BASE, PREFETCHED, RIVAL, RIVAL_PREFETCHED, TYPED_RIVAL, read
from grantbench.outcome import Outcome, write_json
from grantbench.plan import MAX_UID, Plan
from grantbench.publish import BEGIN, END, replaced
from grantbench.report.drawing import BOTH_PREFETCHED
from grantbench.report.markdown import markdown
from grantbench.report.plots import write_plots
from grantbench.report.ratio_plots import native_lines, python_lines
from grantbench.settings import FULL, QUICK
from grantbench.shape import COMMON, DENSE, SHAPES, Shape
from grantbench.shaped import SHAPED, WHO
from grantbench.workload import Trial, expect
from grantbench.workloads import WORKLOADS
from grantbench.workloads.advance import ending, skipping

ROOT = Path(__file__).resolve().parent.parent
CPP = ROOT / "benchmarks" / "cpp"
PAGE = ROOT / "docs" / "performance.md"
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")))), None)

NATIVE_SOURCES = ("main", "options", "pointer_chase")

OWNERS = 200
PLAN = Plan(OWNERS)
ENTRIES = [(name, entry) for name, workload in WORKLOADS.items() for entry in workload.entries]
SHAPED_ENTRIES = [(name, entry) for name, entry in ENTRIES if name in SHAPED]
OTHER_SHAPES = [shape for shape in SHAPES if shape != DENSE]
NATIVE_NS = {BASE: 300, PREFETCHED: 100, "rival": 150, RIVAL: 600, RIVAL_PREFETCHED: 50}


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_workload_leaves_the_state_that_it_should(name: str, entry: str) -> None:
    sample = measure(WORKLOADS[name].entries[entry].make, PLAN)  # raises when it does not
    assert sample.loop_ns >= 0


@pytest.mark.parametrize(("name", "entry"), SHAPED_ENTRIES)
@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=lambda shape: shape.name)
def test_workload_leaves_the_state_that_it_should_with_owners_of_every_shape(
    name: str, entry: str, shape: Shape
) -> None:
    measure(WORKLOADS[name].entries[entry].make, Plan(OWNERS, shape))  # raises when it does not


@pytest.mark.parametrize("name", CONTENDERS)
def test_an_owner_holds_all_types_of_its_shape_until_it_releases_them(name: str) -> None:
    plan = Plan(OWNERS, SHAPES[-1])
    contender = CONTENDERS[name](OWNERS)
    try:
        contender.applying(plan.uids, plan.timeouts, plan.shape)()
        assert {contender.mask(uid) for uid in plan.uids} == {plan.shape.mask}
        assert contender.mask(plan.newcomers[0]) == 0
        contender.releasing(plan.uids[1:], plan.shape)()
        assert [contender.mask(uid) for uid in plan.uids[:2]] == [plan.shape.mask, 0]
        assert contender.count() == 1
    finally:
        contender.close()


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


def test_sparse_uids_are_drawn_from_all_that_there_may_be() -> None:
    sparse = next(shape for shape in SHAPES if shape.is_sparse)
    plan = Plan(OWNERS, sparse)
    everyone = {*plan.uids, *plan.newcomers}
    assert len(everyone) == 2 * OWNERS
    assert min(everyone) >= 0
    assert MAX_UID // 2 < max(everyone) <= MAX_UID
    assert Plan(OWNERS, sparse).uids == plan.uids
    assert sorted(plan.again) == sorted(plan.uids)
    assert plan.timeouts == PLAN.timeouts


def test_shapes_are_both_kinds_of_uids_with_one_type_and_three() -> None:
    assert {(shape.is_sparse, len(shape.types)) for shape in SHAPES} == {
        (False, 1),
        (True, 1),
        (False, 3),
        (True, 3),
    }
    assert (DENSE.mask, DENSE.is_sparse) == (COMMON, False)
    for shape in SHAPES:
        assert shape.mask.bit_count() == len(shape.types)


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


def test_plans_of_every_shape_have_their_turns_in_each_round() -> None:
    seen = []

    def make(plan: Plan) -> Trial:
        seen.append(plan.shape.name)
        return Trial(run=list, operations=1, check=lambda: None)

    plans = [Plan(OWNERS, shape) for shape in SHAPES]
    found = interleave("new", "a", {"a": make, "b": make}, plans, 2, lambda _line: None)
    assert [(result.entry, result.shape) for result in found] == [
        (entry, shape.name) for shape in SHAPES for entry in "ab"
    ]
    once = [shape.name for shape in SHAPES for _ in "ab"]
    assert seen == [*once, *once[1:], once[0]]


def test_what_others_do_meanwhile_is_told() -> None:
    text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 0 100 700 100 0 0 0 0 0\ncpu1 0 50 50 0 0 20 30 50 0 0\nintr 1 2 3\n"
    assert read_cores(text, 100) == {0: Core(2, 8), 1: Core(2, 0)}
    before = {0: Core(0, 0), 1: Core(0, 0), 2: Core(5, 5)}
    after = {0: Core(80, 20), 1: Core(30, 70), 2: Core(15, 95)}
    assert others(before, after, 70, {0}) == Others(0.1, 0.2)
    assert others(before, after, 90, {0}) == Others(0, 0.2)
    assert others({0: before[0]}, after, 70, {0}) == Others(0.1, None)
    assert others(before, after, 70, {0, 1}) is None
    assert others({}, {}, 70, {0}) is None
    found = Watch().others()
    assert found is None or 0 <= found.here <= 1


def test_settings_can_be_cut() -> None:
    assert {10_000, 100_000, 1_000_000, 10_000_000} <= {*FULL.owners, *FULL.scale}
    assert {run.owners for run in FULL.native} == {*FULL.owners, *FULL.scale}
    short = FULL.up_to(2, 100_000)
    assert (short.shaped, short.shaped_rounds(1_000), short.rounds(1_000)) == ((100_000,), 2, 2)
    assert [(run.owners, run.rounds) for run in short.native] == [(1_000, 2), (10_000, 2), (100_000, 2)]
    assert max(QUICK.owners + QUICK.scale + QUICK.shaped) <= 10_000


def test_every_shape_is_measured_by_grantwheel_and_a_rival() -> None:
    for name in SHAPED:
        who = {entry for entry in WORKLOADS[name].entries if entry in WHO}
        assert WORKLOADS[name].base in who
        assert len(who) > 1 or "cachebox" not in CONTENDERS
    assert WHO["grantwheel"] == max(FULL.shaped)


def native_rows(owners: int, shape: Shape) -> list[dict[str, object]]:
    return [
        {"workload": "new", "entry": entry, "owners": owners, "shape": shape.name, "ns": [ns]}
        for entry, ns in NATIVE_NS.items()
    ]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    names = ("new", "new, batch", "floor")
    plans = [Plan(OWNERS, shape) for shape in SHAPES]
    native = [
        {"results": native_rows(owners, shape), "miss_ns": [100], "miss_small_pages_ns": [200]}
        for owners, shape in ((OWNERS, SHAPES[0]), (OWNERS, SHAPES[1]), (2 * OWNERS, SHAPES[0]))
    ]
    workloads = [workload for name, workload in WORKLOADS.items() if name in names]
    return Outcome(
        machine=describe(pinned=False),
        contenders={name: contender.facts() for name, contender in CONTENDERS.items()},
        results=[
            result
            for workload in workloads
            for result in interleave(workload.name, workload.base, workload.entries_for(OWNERS), [PLAN], 2, print)
        ],
        scale=[],
        shapes=interleave("new", "grantwheel", WORKLOADS["new"].entries_for(OWNERS), plans, 2, print),
        ending={1: summarize("ending", OWNERS, "heapq", {"heapq": [Sample(10, 0)]})},
        skipping={1: summarize("skipping", OWNERS, "heapq", {"heapq": [Sample(10, 0)]})},
        native=read(native),
        memory=[Footprint("grantwheel", OWNERS, 0, 2**20, 2**20)],
    )


def test_report_has_a_cell_for_everyone(outcome: Outcome) -> None:
    page = markdown(outcome, ["plot.svg"])
    assert f"|  | {' | '.join(CONTENDERS)} |" in page
    assert "#### 200 owners" in page
    assert "| new: rival | **150 ns**, 1.5 (0.50x) | **150 ns**, 1.5 (0.50x) |" in page
    assert f"|  | {' | '.join(f'200, {shape.name}' for shape in SHAPES)} |" in page  # in Python
    assert "|  | 200, dense, one type | 200, sparse, one type |" in page  # in C++
    assert f"| new: {BASE} | 300 ns | 300 ns |\n| new: {PREFETCHED} | 0.33x | 0.33x |" in page
    assert "C++: 1 with 200 owners, 1 with 400 owners" in page
    assert "| floor: empty function, per call |" in page
    assert "![plot](plot.svg)" in page
    assert all(f"* **{name}**: " in page for name in WORKLOADS)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (None, "What else the machine did meanwhile is not known."),
        (Others(0.01, 0.25), "Meanwhile others took 1 % of that core, and the other cores were 25 % busy."),
        (Others(0, None), "Meanwhile others took 0 % of that core."),
    ],
)
def test_report_says_whether_the_machine_was_quiet(outcome: Outcome, found: Others | None, wanted: str) -> None:
    page = markdown(replace(outcome, machine=outcome.machine._replace(others=found)), [])
    assert wanted in page


def test_plots_are_of_ratios_to_grantwheel(outcome: Outcome) -> None:
    assert outcome.native is not None
    assert native_lines(outcome.native, "new") == {
        "rival": [(OWNERS, 0.5), (2 * OWNERS, 0.5)],
        RIVAL: [(OWNERS, 2), (2 * OWNERS, 2)],
        BOTH_PREFETCHED: [(OWNERS, 0.5), (2 * OWNERS, 0.5)],
    }
    lines = python_lines(outcome, "new")
    ratios = {result.entry: result.ratio for result in outcome.results if result.workload == "new"}
    assert lines == {name: [(OWNERS, ratios[name])] for name in CONTENDERS if name != "grantwheel"}


def test_plots_are_drawn(outcome: Outcome, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    names = write_plots(outcome, tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert all("<svg" in (tmp_path / name).read_text(encoding="utf-8") for name in names)
    written = {path.name for path in (PAGE.parent / "performance").iterdir()}
    assert written <= set(names)


def test_json_has_every_result(outcome: Outcome, tmp_path: Path) -> None:
    write_json(outcome, tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [row["entry"] for row in found["results"]] == [result.entry for result in outcome.results]
    assert {row["shape"] for row in found["shapes"]} == {shape.name for shape in SHAPES}
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


@pytest.mark.long
def test_cpp_workloads_leave_the_state_that_they_should(tmp_path: Path) -> None:
    if COMPILER is None:
        pytest.skip("there is no C++ compiler")
    sources = [*(ROOT / "csrc" / "core").glob("*.cpp"), *(CPP / f"{name}.cpp" for name in NATIVE_SOURCES)]
    includes = [f"-I{ROOT / 'csrc' / 'include'}", f"-I{ROOT / 'csrc'}", "-isystem", boost_headers.get_include()]
    compile_one = [COMPILER, "-std=c++20", "-O1", "-DGRANTWHEEL_HAS_BOOST=1", *includes]
    program = tmp_path / "benchmark"
    subprocess.run([*compile_one, *sources, "-o", program], check=True)
    # It fails when a workload has not left what it should.
    done = subprocess.run(
        [program, "--owners", "1000", "--owners", "2000", "--rounds", "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    native = read([json.loads(done.stdout)])
    found = {(result.owners, result.shape) for result in native.results if result.entry in (BASE, RIVAL)}
    assert found == {(owners, shape.name) for owners in (1_000, 2_000) for shape in SHAPES}
    assert {result.shape for result in native.results if result.entry == TYPED_RIVAL} == {
        shape.name for shape in SHAPES if len(shape.types) == 3
    }
    assert {result.entry for result in native.prefetched} == {RIVAL_PREFETCHED}
    assert {result.rounds for result in native.results} == {2}
    unknown = subprocess.run([program, "--shape", "round"], capture_output=True, text=True, check=False)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert all(shape.name in unknown.stderr for shape in SHAPES)


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
