"""What the documents say is true: their Python runs, their links lead somewhere, and their commands are known ones.

A ``python`` block stands alone: it runs by itself, and what it prints is the ``text`` block that follows it, if there
is one. A page whose first block starts with ``# Setup`` has that run before each of its others. A block with test
functions is a file for pytest, beside a conftest if the page has one.
"""

import contextlib
import inspect
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import grantwheel
from grantwheel import _core, _task_errors, backgroundTaskManager, journal, suspend, testing

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
DOCUMENTS = sorted(
    [README, *DOCS.glob("*.md"), *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"))],
)
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

DEMO_COMMAND = "python3 -m venv .venv && .venv/bin/pip install '.[demo]' && .venv/bin/grantwheel demo"
TEST_COMMAND = "python3 -m venv .venv-test && .venv-test/bin/pip install '.[test]' && .venv-test/bin/pytest"
BENCHMARK_COMMAND = (
    "python3 -m venv .venv-bench && .venv-bench/bin/pip install '.[bench]' && .venv-bench/bin/python benchmarks/run.py"
)

# The blocks of commands that CI does not run as they stand, and why not.
NOT_RUN = {
    DEMO_COMMAND: "that environment may be somebody's own; CI installs the extra elsewhere, and the demo has tests",
    "python3 -m venv .venv && .venv/bin/pip install .": "the same; CI installs the package with extras",
    'cmake -S . -B build && cmake --build build && cmake --install build --prefix "$HOME/.local"': (
        "it installs for good; CI runs the same three steps into a place of its own"
    ),
    "python examples/one_owner.py serve /run/app/grants.sock": "test_examples_in_python.py serves on another socket",
    BENCHMARK_COMMAND: "it takes about an hour; test_benchmarks.py runs the workloads with few owners",
    'pytest benchmarks/bench_calls.py -k "renew and 100k"': "it measures; test_benchmarks.py runs the workloads",
}


class Block(NamedTuple):
    path: Path
    line: int  # of the first line of the code
    heading: str
    code: str
    output: str | None

    @property
    def name(self) -> str:
        return f"{self.path.name}:{self.line}"


def headings(text: str) -> list[str]:
    """The headings of a document, or of its beginning, code left out."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.*)$", prose, re.MULTILINE)


def blocks(path: Path, language: str) -> list[Block]:
    """The blocks of a language in a document, with the output if a text block follows."""
    text = path.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", text, re.MULTILINE | re.DOTALL)
    made = []
    for match in found:
        before = text[: match.start(1)]
        heading = (headings(before) or [""])[-1]
        made.append(Block(path, before.count("\n") + 1, heading, match[1], match[2]))
    return made


def is_setup(block: Block) -> bool:
    return block.code.startswith("# Setup\n")


PYTHON = [block for path in DOCUMENTS for block in blocks(path, "python")]
SHELL = [block for path in DOCUMENTS for block in blocks(path, "sh")]
SETUPS = {block.path: block for block in PYTHON if is_setup(block)}
FOR_PYTEST = [block for block in PYTHON if re.search(r"^def test_|^pytest_plugins", block.code, re.MULTILINE)]
TO_RUN = [block for block in PYTHON if block not in FOR_PYTEST]


def run(block: Block, names: dict[str, object]) -> str:
    """Run a block as if it stood where it stands, so that a traceback names its line; give what it printed."""
    code = compile("\n" * (block.line - 1) + block.code, str(block.path), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


@pytest.fixture
def no_default_manager() -> Iterator[None]:
    """Blocks do not see what others have left in the default manager of the documented module."""
    before = backgroundTaskManager.set_default_manager(None)
    yield
    backgroundTaskManager.set_default_manager(before)


@pytest.mark.usefixtures("no_default_manager")
@pytest.mark.parametrize("block", TO_RUN, ids=lambda block: block.name)
def test_python_prints_what_the_document_says(
    block: Block, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where some leave their files
    names: dict[str, object] = {"__name__": "__main__"}
    setup = SETUPS.get(block.path)
    if setup is not None and setup is not block:
        assert run(setup, names) == ""
    printed = run(block, names)
    assert capfd.readouterr().err == ""
    assert printed == (block.output or "")


@pytest.mark.parametrize("path", sorted({block.path for block in FOR_PYTEST}), ids=lambda path: path.name)
def test_tests_of_the_documents_pass(path: Path, tmp_path: Path) -> None:
    """They are run as a reader would run them: each block in a file of its own, beside the conftest of the document."""
    number = 0
    inherits = False
    for block in (block for block in FOR_PYTEST if block.path == path):
        inherits |= "Suite):" in block.code
        is_test = "def test_" in block.code
        number += block.code.count("def test_")
        name = f"test_line_{block.line}.py" if is_test else "conftest.py"
        (tmp_path / name).write_text(block.code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "."],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    assert int(passed[1]) == number or (inherits and int(passed[1]) > number), done.stdout


def test_a_setup_is_the_first_block_of_its_page() -> None:
    firsts = [block for place, block in enumerate(PYTHON) if place == 0 or PYTHON[place - 1].path != block.path]
    assert [block for block in PYTHON if is_setup(block) and block not in firsts] == []


def test_the_first_screen_has_code_and_the_two_commands() -> None:
    first_screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:45])
    assert blocks(README, "python")[0].line < 15
    assert f"```sh\n{DEMO_COMMAND}\n```" in first_screen
    assert f"```sh\n{TEST_COMMAND}\n```" in first_screen


def test_ci_runs_the_test_command_of_the_readme_and_then_what_it_leaves_out() -> None:
    lines = CI.splitlines()
    assert lines[-1] == ".venv-test/bin/pytest --only-long --ignore=tests/test_cpp.py"
    assert "    .venv-test/bin/pytest --only-long --cpp-preset=asan tests/test_cpp.py" in lines
    assert lines.count(TEST_COMMAND) == 1


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.name)
def test_ci_runs_the_commands_or_there_is_a_reason(block: Block) -> None:
    command = block.code.removesuffix("\n")
    # test_examples.py runs the commands of embedding.md, all but the one that installs.
    run_by_tests = block.path.name == "embedding.md" and command not in NOT_RUN
    assert (command in CI or run_by_tests) != (command in NOT_RUN)


def test_there_are_no_reasons_for_commands_that_are_gone() -> None:
    assert {block.code.removesuffix("\n") for block in SHELL} >= set(NOT_RUN)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_has_a_known_language(path: Path) -> None:
    # Of these, `text` is output or a picture, and those in braces are for Sphinx. `cmake` is in tests/consumer or, with
    # `c` and `cpp`, in embedding.md, which test_examples.py builds and runs.
    text = path.read_text(encoding="utf-8")
    languages = re.findall(r"^```(.*)$", text, re.MULTILINE)[::2]
    known = {"python", "sh", "text", "cmake", "c", "cpp", "{toctree}", "{eval-rst}", "{include} ../README.md"}
    assert set(languages) <= known


def test_cmake_of_the_readme_is_that_of_the_consumer() -> None:
    consumer = (ROOT / "tests" / "consumer" / "CMakeLists.txt").read_text(encoding="utf-8")
    (block,) = blocks(README, "cmake")
    for line in block.code.splitlines():
        assert line.replace("(app ", "(consumer ") in consumer


def anchors(path: Path) -> set[str]:
    """The names by which links reach the headings of a document, as GitHub makes them."""
    names = headings(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in names}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [line for tree in re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL) for line in tree.split()]
    assert {path.stem for path in DOCS.glob("*.md")} - {"index"} == {name for name in listed if ":" not in name} - {"1"}


def test_the_api_page_has_every_public_name() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    documented = {name.removeprefix("grantwheel.") for name in re.findall(r":: ([\w.]+)", page)}
    manager = {f"Manager.{name}" for name, _ in inspect.getmembers(grantwheel.Manager) if not name.startswith("_")}
    names = {
        *grantwheel.__all__,
        *backgroundTaskManager.__all__,
        *journal.__all__,
        *suspend.__all__,
        *testing.__all__,
        *manager,
    }
    # Plumbing: what the package's own files and tests ask a manager.
    assert names - documented == {"Manager.require_native", "Manager.validate"}


STATUSES = [*_core.STATUSES, *_task_errors.STATUSES]
PUBLIC_CODES = sorted([*_core.PUBLIC_CODES, *_task_errors.PUBLIC_CODES])


# Sections of errors.md: what is said of each status, by its name.
def sections() -> dict[str, str]:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^### `(\w+)` (.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))


def test_every_status_has_a_section() -> None:
    assert set(sections()) == {name for name, *_ in STATUSES}
    for name, inner, _, _ in STATUSES:
        assert sections()[name].startswith(f"({inner})\n")


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: status[0])
def test_the_section_of_a_status_provokes_it(status: tuple[str, int, int, str]) -> None:
    name, inner, public, text = status
    outputs = [block.output for block in blocks(DOCS / "errors.md", "python") if block.heading.startswith(f"`{name}`")]
    classes = {code: class_name for code, class_name, _ in PUBLIC_CODES}
    if public > 0:
        assert outputs == [f"{public} {inner} {classes[public]}\n"]
    elif name == "time_backwards":
        assert outputs == [f"{text}\n"]
    elif name == "time_out_of_range":
        assert "Python cannot provoke" in sections()[name]
        assert outputs == [f"now of the clock {text.removeprefix('now ')}\n"]
    else:
        assert name == "ok" or "Python cannot provoke" in sections()[name]
        assert outputs == []


def test_the_table_of_public_codes_is_that_of_the_package() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    assert [(int(code), name, message) for code, name, message in rows] == PUBLIC_CODES
