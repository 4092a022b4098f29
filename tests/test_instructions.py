"""Counted instructions: what callgrind writes is read, growth is judged, and every call that is counted works."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import instructions
from counting import growth, page, python_calls, trees
from counting.callgrind import PYTHON_LAYERS, Counts, parts, runs_of
from counting.growth import Allowed

ROOT = Path(__file__).resolve().parent.parent

PART = """\
# callgrind format
desc: Trigger: Client Request: engine.renew

events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw Bc Bcm Bi Bim
summary: 1000 300 200 5 40 3 2 1 0 90 7

fn=(1) engine
0 1000 300 200 5 40 3 2 1 0 90 7

totals: 1000 300 200 5 40 3 2 1 0 90 7
"""
RENEW = {"engine.renew": Counts(100, 2, 1, 1)}


def test_parts_are_read_and_zeros_at_the_end_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "counts.10").write_text(PART.replace("renew", "release"), encoding="utf-8")
    (tmp_path / "counts.9").write_text(PART, encoding="utf-8")
    (tmp_path / "counts.11").write_text("desc: Trigger: Program termination\nevents: Ir\ntotals: 7\n", encoding="utf-8")
    (tmp_path / "counts").write_text("desc: Trigger: Program termination\n", encoding="utf-8")
    found = [(file.name, name, counts) for file, name, counts in parts(tmp_path)]
    counts = Counts(1000, 43, 1, 7)
    assert found == [("counts.9", "engine.renew", counts), ("counts.10", "engine.release", counts)]


def test_the_loop_is_subtracted_from_instructions_only() -> None:
    assert Counts(100, 2, 1, 3).without(Counts(30, 1.5, 1, 1)) == Counts(70, 2, 1, 3)
    assert Counts(100, 20, 10, 5).each(10) == Counts(10, 2, 1, 0.5)


def test_python_is_one_run() -> None:
    assert runs_of(["engine", "python", "capi", "python-log"]) == [("python", "python-log"), ("engine",), ("capi",)]
    assert runs_of(["engine"]) == [("engine",)]


@pytest.mark.parametrize(
    ("call", "now", "figures"),
    [
        ("engine.renew", Counts(103, 2, 1, 1), []),
        ("engine.renew", Counts(103.5, 2, 1, 1), ["instructions"]),
        ("engine.renew", Counts(90, 2.09, 1.09, 1), []),  # few
        ("engine.renew", Counts(90, 2.2, 1.2, 1), ["d1_misses", "ll_misses"]),
        ("engine.renew", Counts(90, 2, 1, 2), []),  # not judged anywhere
        ("python.renew", Counts(90, 2.2, 1.2, 1.5), []),  # not judged there
        ("python.renew", Counts(104, 2.2, 1.2, 1), ["instructions"]),
    ],
)
def test_what_has_grown_is_found(call: str, now: Counts, figures: list[str]) -> None:
    forbidden, permitted = growth.found({call: now, "new": now}, {call: RENEW["engine.renew"], "gone": now}, [])
    assert [one.figure for one in forbidden] == figures
    assert permitted == []


def test_growth_is_allowed_as_far_as_the_line_says() -> None:
    lines = [Allowed("change", ("capi.*", "engine.*"), 1.2, "why"), Allowed("another", ("engine.renew",), 1.1, "why")]
    forbidden, permitted = growth.found({"engine.renew": Counts(119, 2.6, 1, 1)}, RENEW, lines)
    assert [str(one) for one in forbidden] == [
        "engine.renew: d1_misses from 2.00 to 2.60, 1.300 times; at most 1.2",
    ]
    assert [one.figure for one in permitted] == ["instructions"]


def test_a_line_counts_for_the_change_that_brings_it(tmp_path: Path) -> None:
    line = '[[growth]]\nchange = "a"\ncalls = ["engine.renew"]\nmost = 1.1\nwhy = "b"\n'
    (tmp_path / "now.toml").write_text(line.replace('"a"', '"new"') + line, encoding="utf-8")
    (tmp_path / "before.toml").write_text(line, encoding="utf-8")
    now, before = growth.read(tmp_path / "now.toml"), growth.read(tmp_path / "before.toml")
    assert growth.of_this_change(now, before) == [Allowed("new", ("engine.renew",), 1.1, "b")]
    assert growth.read(tmp_path / "none.toml") == []
    growth.read(ROOT / instructions.ALLOWED)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('calls = ["a"]\nmost = 1.1\nwhy = "b"', r"growth\.change is missing"),
        ('change = "a"\ncalls = []\nmost = 1.1\nwhy = "b"', r"growth\.calls is missing, empty"),
        ('change = "a"\ncalls = ["a"]\nmost = "1.1"\nwhy = "b"', r"growth\.most is .*of another type"),
        ('change = "a"\ncalls = ["a"]\nmost = 1.1\nwhy = ""', r"growth\.why is missing, empty"),
        ('change = "a"\ncalls = ["a"]\nmost = 1.1\nwhy = "b"\nwho = "c"', r"growth\.who is unknown"),
    ],
)
def test_a_wrong_line_names_its_field(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "a.toml").write_text(f"[[growth]]\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=problem):
        growth.read(tmp_path / "a.toml")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *who, "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, path: str, text: str) -> str:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_commit_before_has_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, shallow = tmp_path / "whole", tmp_path / "shallow"
    monkeypatch.setattr(trees, "ROOT", whole)
    with pytest.raises(trees.NoHistoryError, match="there is no history"):
        trees.before()
    git(tmp_path, "init", "-q", str(whole))
    first = commit(whole, "csrc/a", "one")
    with pytest.raises(trees.NoHistoryError, match="no commit of this history has another csrc/"):
        trees.before()
    commit(whole, "csrc/a", "two")
    commit(whole, "docs/a", "three")
    assert trees.before() == first
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{whole}", str(shallow))
    (whole / "csrc" / "a").write_text("four", encoding="utf-8")
    assert trees.before() == "HEAD"
    monkeypatch.setattr(trees, "ROOT", shallow)
    with pytest.raises(trees.NoHistoryError, match="shallow"):
        trees.before()
    assert instructions.main(["--against", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("skipped: no commit of this shallow history")
    assert instructions.main(["--against", "nobody", "--out", str(tmp_path / "out")]) == 2


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_tree_of_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    git(tmp_path, "init", "-q", str(whole))
    for part in ("cmake/a", "python/a", "benchmarks/a", "csrc/a", "CMakeLists.txt"):
        first = commit(whole, part, "one")
    commit(whole, "csrc/a", "two")
    monkeypatch.setattr(trees, "ROOT", whole)
    tree = trees.other("", out)
    assert (tree.source / "csrc" / "a").read_text(encoding="utf-8") == "one"
    assert first.startswith(tree.name)
    named = trees.other(str(whole), out)
    assert (named.source / "csrc" / "a").read_text(encoding="utf-8") == "two"
    assert len(tree.name) == len(named.name) == len(trees.NOW)
    with pytest.raises(trees.NoTreeError, match="rev-parse"):
        trees.other("nobody", out)


class Marks:
    """Notes what is counted."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.calls: Counter[str] = Counter()

    def start_looking(self) -> None:
        self.calls["start"] += 1

    def begin_counting(self) -> None:
        self.calls["begin"] += 1

    def end_counting(self, name: bytes) -> None:
        self.names.append(name.decode())


def test_every_call_in_python_works_and_is_counted_once() -> None:
    assert tuple(python_calls.LAYERS) == PYTHON_LAYERS
    marks = Marks()
    python_calls.count_all(marks, 100, list(PYTHON_LAYERS))
    names = [f"{layer}.{call}" for layer, calls in python_calls.LAYERS.items() for call in calls]
    assert marks.names == [part for name in names for part in (f"{name}-loop", name)]
    assert marks.calls == {"start": 1, "begin": 2 * len(names)}


def test_the_table_has_ratios() -> None:
    before = {"engine.renew": Counts(200, 4, 0, 1)}
    assert instructions.rows(RENEW, before) == [
        ["engine.renew", "100 (0.500)", "2.00 (0.500)", "1.00 (-)", "1.00 (1.000)"]
    ]
    assert instructions.rows(RENEW, {}) == [["engine.renew", "100", "2.00", "1.00", "1.00"]]


def test_the_page_has_a_column_for_each_of_the_usual_calls(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    figures = {"boost-wheel.renew": Counts(71, 1.5, 0.7, 1), **RENEW, "python-events.drain": Counts(1290, 1, 1, 1)}
    page.publish(figures, copy)
    text = copy.read_text(encoding="utf-8")
    assert "| engine |  | 100 |  |  |  |\n| *boost-wheel* |  | 71 |  |  |  |" in text
    assert "| engine |  | 2.0 / 1.0 |  |  |  |" in text
    assert "other calls: `python-events.drain` 1,290." in text
    assert text.partition(page.MARKS[0])[0] == page.PAGE.read_text(encoding="utf-8").partition(page.MARKS[0])[0]
