"""Releases: what a tag has to be, and that the workflows say the same as the rest of the project."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECK = ROOT / ".ci" / "check_release.py"
WORKFLOWS = ROOT / ".github" / "workflows"

CHANGELOG = """\
# Changelog

Words before.

## 1.2.3 (2030-01-31)

* Something.

## 1.2.2 (2029-12-01)

* Something else.
"""


def problem(folder: Path, tag: str, changelog: str = CHANGELOG, version: str = "1.2.3") -> str | None:
    header = folder / "csrc" / "include" / "grantwheel" / "version.h"
    header.parent.mkdir(parents=True)
    header.write_text(f'#pragma once\n#define GRANTWHEEL_VERSION "{version}"\n', encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    found = runpy.run_path(str(CHECK))["problem_with"](tag, folder)
    assert found is None or isinstance(found, str)
    return found


def test_a_good_release(tmp_path: Path) -> None:
    assert problem(tmp_path, "v1.2.3") is None


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2.4", "v1.2", "v1.2.30", "V1.2.3", "v1.2.3rc1", ""])
def test_the_tag_is_the_version(tmp_path: Path, tag: str) -> None:
    assert problem(tmp_path, tag) == f"the tag {tag!r} is not 'v1.2.3', the version of version.h"


def test_the_version_has_three_numbers(tmp_path: Path) -> None:
    assert problem(tmp_path, "v1.2", version="1.2") == "version.h has no GRANTWHEEL_VERSION of the form 1.2.3"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("## 1.2.3 ", "## 1.2.4 ", "the newest section of CHANGELOG.md is not 1.2.3"),
        ("## 1.2.3 ", "## 1.2.30 ", "the newest section of CHANGELOG.md is not 1.2.3"),
        ("## 1.2.3 ", "## Unreleased\n\n## 1.2.3 ", "the newest section of CHANGELOG.md is not 1.2.3"),
        ("\n## ", "\n### ", "the newest section of CHANGELOG.md is not 1.2.3"),
        ("(2030-01-31)", "(unreleased)", "the section '1.2.3 (unreleased)' of CHANGELOG.md has no date"),
        (" (2030-01-31)", "", "the section '1.2.3' of CHANGELOG.md has no date"),
        ("2030-01-31", "2030-02-31", "the section '1.2.3 (2030-02-31)' of CHANGELOG.md has no date"),
        ("* Something.\n", "", "the section '1.2.3 (2030-01-31)' of CHANGELOG.md is empty"),
    ],
)
def test_the_changelog_has_the_section(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = problem(tmp_path, "v1.2.3", CHANGELOG.replace(old, new))
    assert found is not None
    assert found.startswith(expected)


def test_the_command() -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, CHECK, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.stdout == ""
        return done.returncode, done.stderr

    assert run() == (2, "usage: check_release.py TAG\n")
    code, error = run("v0.0.0")
    assert code == 1
    assert error.startswith("check_release: the tag 'v0.0.0' is not 'v")


def text(name: str) -> str:
    return (WORKFLOWS / name).read_text(encoding="utf-8")


def test_ci_and_releases_run_what_people_run() -> None:
    assert re.search(r"^ +run: \.ci/run$", text("ci.yml"), re.MULTILINE)
    assert '.ci/check_release.py "$GITHUB_REF_NAME"' in text("release.yml")
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    # The series that lint checks the configuration with is the one that builds the wheels.
    (builder,) = (name for name in settings["project"]["optional-dependencies"]["dev"] if "cibuildwheel" in name)
    assert f"pipx run '{builder}'" in text("release.yml")
    # CI starts with the oldest Python that a wheel is built for.
    oldest = settings["project"]["requires-python"].removeprefix(">=")
    assert f'python: ["{oldest}", ' in text("ci.yml")


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_workflows_may_do_little(path: Path) -> None:
    workflow = path.read_text(encoding="utf-8")
    assert "\npermissions:\n  contents: read\n" in workflow
    # Publishing alone may do more, and that is to prove who it is.
    assert re.findall(r"^ +([\w-]+: write)", workflow, re.MULTILINE) == (
        ["id-token: write"] if path.name == "release.yml" else []
    )
    assert workflow.count("persist-credentials: false") == workflow.count("uses: actions/checkout@")
    assert "secrets." not in workflow
    assert [use for use in re.findall(r"uses: (\S+)", workflow) if not re.search(r"@(v\d+|release/v\d+)$", use)] == []
