"""How the tests run ``grantwheel journal``."""

import re
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest

from grantwheel import command
from journal_files import contents

Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, part: str, path: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command, and see to it that it changes nothing and leaves nothing."""
    before = contents(path.parent)
    with tempfile.TemporaryDirectory() as folder, patch.object(tempfile, "tempdir", folder):
        code = command.main(["journal", part, str(path), *arguments])
        assert list(Path(folder).iterdir()) == []
    assert contents(path.parent) == before
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert text.replace("\n", "").isprintable()
    return code, captured.out, captured.err


def documented(about: str) -> set[str]:
    """The fields that a help text names."""
    fields = about.partition("--json")[2]
    found = re.findall(r"^  (\w+(?:,\s+\w+)*,?)(?=  |$)", fields, re.MULTILINE)
    return {name for names in found for name in re.findall(r"\w+", names)}
