"""Say whether a tag may be released: ``python3 .ci/check_release.py v1.2.3``.

The tag is ``v`` and the version of version.h, and the newest section of CHANGELOG.md is that version with its date.
"""

import datetime as dt
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problem_with(tag: str, root: Path) -> str | None:
    """Return the first thing that is wrong with a release, or None."""
    header = (root / "csrc" / "include" / "grantwheel" / "version.h").read_text(encoding="utf-8")
    defined = re.search(r'^#define GRANTWHEEL_VERSION "(\d+\.\d+\.\d+)"$', header, re.MULTILINE)
    if defined is None:
        return "version.h has no GRANTWHEEL_VERSION of the form 1.2.3"
    version = defined[1]
    if tag != f"v{version}":
        return f"the tag {tag!r} is not 'v{version}', the version of version.h"

    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## (.+)\n", changelog, flags=re.MULTILINE)
    if not sections or sections[0].split()[0] != version:
        return f"the newest section of CHANGELOG.md is not {version}"
    heading = re.fullmatch(r"\S+ \((\d{4}-\d\d-\d\d)\)", sections[0])
    try:
        dt.date.fromisoformat(heading[1] if heading else "")
    except ValueError:
        return f"the section {sections[0]!r} of CHANGELOG.md has no date: '{version} (YYYY-MM-DD)'"
    if not sections[1].strip():
        return f"the section {sections[0]!r} of CHANGELOG.md is empty"
    return None


def main(arguments: list[str]) -> int:
    """Check the tag on the command line: 0 it may be released, 1 not, 2 wrong usage."""
    if len(arguments) != 1:
        print("usage: check_release.py TAG", file=sys.stderr)
        return 2
    problem = problem_with(arguments[0], ROOT)
    if problem is not None:
        print(f"check_release: {problem}", file=sys.stderr)
        return 1
    print(f"{arguments[0]} may be released")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
