"""What the documents say is true: their Python runs, and their commands are the ones that CI runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = sorted([README, *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])

DEMO_COMMAND = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/grantwheel demo --seconds 10"
TEST_COMMAND = "python3 -m venv .venv-test && .venv-test/bin/pip install '.[test]' && .venv-test/bin/pytest"

Block = tuple[str, str, str | None]


def blocks(path: Path) -> list[Block]:
    """The Python blocks of a document: where, the code, and the output if a text block follows."""
    text = path.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", text, re.MULTILINE | re.DOTALL)
    return [(f"{path.name}:{text.count(chr(10), 0, match.start()) + 1}", match[1], match[2]) for match in found]


BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]


@pytest.mark.parametrize(("where", "code", "output"), BLOCKS, ids=[block[0] for block in BLOCKS])
def test_python_of_the_documents_runs(where: str, code: str, output: str | None) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{where}: {done.stderr}"
    assert done.stderr == ""
    if output is not None:
        assert done.stdout == output, where


def test_the_first_screen_has_code_and_the_two_commands() -> None:
    first_screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:45])
    assert blocks(README)
    assert f"```sh\n{DEMO_COMMAND}\n```" in first_screen
    assert f"```sh\n{TEST_COMMAND}\n```" in first_screen


def test_ci_runs_the_test_command_of_the_readme_last() -> None:
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == TEST_COMMAND


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target
