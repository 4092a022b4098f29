"""The examples in Python do what their first lines say, and the page about several processes is right."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PYTHON = sorted(EXAMPLES.glob("*.py"))
PATIENCE = 120  # seconds that an example may take, on a machine that is busy with other things


def run(name: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def output(name: str, *arguments: str | Path) -> str:
    done = run(name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_help_is_printed_and_options_are_refused(path: Path, tmp_path: Path) -> None:
    helped = run(path.name, "--help", cwd=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith(f"usage: {path.name} ")
    refused = run(path.name, "--no-such-option", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"usage: {path.name} ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_every_example_is_in_the_index(path: Path) -> None:
    assert f"(../examples/{path.name})" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_the_virtual_day_counts_what_it_was_told() -> None:
    day = output("virtual_day.py", "200")
    assert day == output("virtual_day.py", "200", "1") != output("virtual_day.py", "200", "2")
    (events,) = re.findall(r"^a day of 200 apps: (\d+) events, 0 missed$", day, re.MULTILINE)
    rows = [line.split() for line in day.splitlines()[3:]]
    assert len(rows) == 9
    for _, _, grants, *ended in rows:
        assert int(grants) == sum(map(int, ended))  # midnight has ended all
    # A grant has two events, and some share theirs with another type.
    assert sum(int(grants) for _, _, grants, *_ in rows) < int(events) < 2 * sum(int(row[2]) for row in rows)


@pytest.mark.parametrize("apps", ["0", "100001", "many"])
def test_the_virtual_day_refuses(apps: str) -> None:
    assert run("virtual_day.py", apps).returncode == 2


def test_the_downloads_leave_nothing_held() -> None:
    *told, last = output("downloads.py", "4").splitlines()
    assert last == "3 done, 1 failed, 0 hold CPU"
    assert sorted(told) == sorted(
        f"{uid} {change}" for uid in range(1001, 1005) for change in ("app_apply apply", "app_reset release")
    )


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Path]:
    """The socket of an owner that serves."""
    path = tmp_path / "grants.sock"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(EXAMPLES / "one_owner.py"), "serve", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"serving on {path}\n"
    yield path
    process.terminate()
    rest, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, rest) == (0, "")
    assert not path.exists()


def test_one_owner_answers_several_processes(owner: Path) -> None:
    # Each `ask` is a process of its own.
    assert output("one_owner.py", "ask", owner, "apply", "GPS", "60000") == "32\n"
    assert output("one_owner.py", "ask", owner, "holders", "GPS") == f"[{os.getuid()}]\n"
    assert output("one_owner.py", "ask", owner, "release", "GPS") == "32\n"
    assert output("one_owner.py", "ask", owner, "holders", "GPS") == "[]\n"
    refused = run("one_owner.py", "ask", owner, "apply", "GPS", "0")
    assert refused.returncode == 1
    assert refused.stderr.startswith("[18700001] ")


@pytest.mark.parametrize("line", [b"what?", b"[]", b"{}", b'["apply"]', b'["apply", true, 5]', b'["close"]', b"[1, 2]"])
def test_one_owner_refuses_what_is_no_request(owner: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(owner))
        peer.sendall(line + b"\n")
        with peer.makefile("rb") as lines:
            assert json.loads(lines.readline())["code"] == 401
    assert output("one_owner.py", "ask", owner, "holders", "CPU") == "[]\n"


# What a server does that forks its workers: the module is imported in each of them, or once before them.
WORKERS = """\
import os, sys

def load():
    names = {}
    exec(open(sys.argv[2]).read(), names)
    return names["app"]

def work(uid, out):
    try:
        (body,) = (app or load())({"PATH_INFO": f"/{uid}"}, lambda *_: None)
    except Exception as error:
        body = type(error).__name__.encode() + b"\\n"
    os.write(out, body)
    os._exit(0)

app = load() if sys.argv[1] == "preload" else None
inward, outward = os.pipe()
for uid in (1001, 1002, 1003):
    if os.fork() == 0:
        work(uid, outward)
    os.wait()
os.close(outward)
print(os.read(inward, 100).decode(), end="")
"""


@pytest.mark.parametrize(
    ("when", "answers"), [("each", ["1"] * 3), ("preload", ["ServiceOperationError"] * 3)], ids=["each", "preload"]
)
def test_workers_fare_as_the_page_says(when: str, answers: list[str], tmp_path: Path) -> None:
    page = (ROOT / "docs" / "several-processes.md").read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    (tmp_path / "app.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", WORKERS, when, str(tmp_path / "app.py")],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout.split() == answers
