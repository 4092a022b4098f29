"""The demonstration as lines, as JSON, and as a table."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions

from demo_stage import SOUND, TIMERFD, FakeProc, Stage
from grantwheel.demo.lines import FIELDS, JsonLines, TextLines
from grantwheel.demo.table import EVENTS, LiveTable
from grantwheel.demo.view import Counts, Summary, View

HOSTILE = "\x1b[2J[red]:boom:\x7f\x9b\u202e"
ESCAPED = r"\x1b[2J[red]:boom:\x7f\x9b\u202e"

SUMMARY = Summary(
    elapsed_ms=10_049,
    finished=True,
    processes=83,
    looks=10,
    counts=Counts(grants=12, renewals=1, expiries=1, deaths=2, refusals=0, held=9),
    calls=2000,
    engine_ns=1_500_000,
    procfs_ns=12_345_678,
    processes_refused=0,
    files_refused=0,
    children=0,
)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    return FakeProc(tmp_path, monkeypatch)


def play(proc: FakeProc, view: View, command: str = "work") -> Stage:
    """A process is granted CPU and its app two types; both run out together."""
    proc.put(42, command=command)
    proc.hold(42, TIMERFD, SOUND)
    stage = Stage(proc)
    stage.watch._view = view
    proc.put(42, ticks=1, command=command)
    stage.clock.advance(1000)
    stage.watch.look()
    return stage


def test_text_lines(proc: FakeProc) -> None:
    lines: list[str] = []
    view = TextLines(lines.append)
    view.note("one \x07two")
    stage = play(proc, view)
    stage.clock.advance(5000)
    stage.watch.report()
    view.frame(stage.watch.frame())
    assert lines == [
        "one \\x07two",
        "    1.00 s  granted  CPU    uid 1000   pid 42       work",
        "    1.00 s  granted  TIMER  uid 1000   app          work",
        "    1.00 s  granted  AUDIO  uid 1000   app          work",
        "    3.25 s  expired  CPU    uid 1000   pid 42       work",
        "    3.25 s  expired  TIMER, AUDIO uid 1000   app          work",
    ]


def test_closing_lines() -> None:
    lines: list[str] = []
    TextLines(lines.append).summary(SUMMARY)
    assert lines == [
        "10.0 s: 12 grants, 1 renewal, 1 expiry, 2 deaths, 0 refusals; 9 still held",
        "10 looks at 83 processes: 1.2 ms each",
        "2000 calls in 1.50 ms of engine time: 1,333,333 calls per second",
    ]


@pytest.mark.parametrize(
    ("processes", "files", "words"),
    [
        (1, 0, "1 process could not be read"),
        (0, 2, "open files of 2 processes could not be read"),
        (2, 1, "2 processes and open files of 1 process could not be read"),
    ],
)
def test_what_could_not_be_read_is_told(processes: int, files: int, words: str) -> None:
    lines: list[str] = []
    TextLines(lines.append).summary(SUMMARY._replace(processes_refused=processes, files_refused=files))
    assert lines[1] == f"10 looks at 83 processes: 1.2 ms each; {words}"


def test_json_lines(proc: FakeProc) -> None:
    lines: list[str] = []
    view = JsonLines(lines.append)
    view.note("nothing of it")
    stage = play(proc, view, HOSTILE)
    view.frame(stage.watch.frame())
    view.summary(SUMMARY)
    assert all(re.fullmatch(r"[ -~]+", line) for line in lines)
    first, _, third, last = (json.loads(line) for line in lines)
    assert first == {
        "type": "event",
        "sequence": 1,
        "time_ms": 1000,
        "kind": "process_apply",
        "cause": "apply",
        "uid": 1000,
        "pid": 42,
        "types": ["CPU"],
        "command": HOSTILE,
    }
    assert (third["kind"], third["types"]) == ("app_apply", ["AUDIO"])
    assert last == {
        "type": "summary",
        "time_ms": 10_049,
        "finished": True,
        "grants": 12,
        "renewals": 1,
        "expiries": 1,
        "deaths": 2,
        "refusals": 0,
        "held": 9,
        "calls": 2000,
        "engine_ms": 1.5,
        "calls_per_second": 1_333_333,
        "looks": 10,
        "procfs_ms": 12.345678,
        "processes": 83,
        "processes_unread": 0,
        "files_unread": 0,
        "children": 0,
    }
    documented = set(re.findall(r"\w+", re.sub(r" {2,}(\S+(, \S+)*) {2,}.*", r"\1", FIELDS)))
    assert documented >= first.keys() | last.keys()


def console(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, highlight=False, _environ={})


def drawn(view: LiveTable, stage: Stage, width: int = 80, height: int = 24) -> list[str]:
    paper = Console(file=io.StringIO(), width=width, height=height, highlight=False, _environ={})
    paper.print(view.draw(stage.watch.frame(), height))
    assert isinstance(paper.file, io.StringIO)
    return [line.rstrip() for line in paper.file.getvalue().splitlines()]


def test_the_table_says_who_what_why_and_how_long(proc: FakeProc) -> None:
    view = LiveTable(console(), 10.0)
    view.note("a note")
    proc.put(43)
    proc.closed = {"43/fd"}
    stage = play(proc, view)
    stage.clock.advance(500)
    assert drawn(view, stage) == [
        "grantwheel demo: 2 of 10 s, 2 processes, 1 busy, 3 grants held",
        "3 grants, 0 renewals, 0 expiries, 0 deaths, 0 refusals",
        "open files of 1 process could not be read",
        "a note",
        "",
        "holder  uid   type   why                                                    left",
        "app     1000  TIMER  work                                                  1.8 s",
        "app     1000  AUDIO  work                                                  1.8 s",
        "pid 42  1000  CPU    work                                                  1.8 s",
        "",
        "    1.00 s  granted  CPU    uid 1000   pid 42       work",
        "    1.00 s  granted  TIMER  uid 1000   app          work",
        "    1.00 s  granted  AUDIO  uid 1000   app          work",
    ]


def test_commands_cannot_steer_the_terminal_nor_rich(proc: FakeProc) -> None:
    view = LiveTable(console(), 10.0)
    stage = play(proc, view, HOSTILE)
    view.note(HOSTILE)
    text = "\n".join(drawn(view, stage))
    assert text.count(ESCAPED[:18]) == 7  # three rows, three events, and the note; columns may end sooner
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)

    lines: list[str] = []
    stage.watch._view = TextLines(lines.append)
    stage.clock.advance(5000)
    stage.watch.report()
    assert lines[0].endswith(ESCAPED)


@pytest.mark.parametrize("width", [1, 5, 20, 40, 80, 300])
@pytest.mark.parametrize("height", [1, 2, 5, 7, 10, 24, 100])
def test_the_table_fits_every_terminal(proc: FakeProc, width: int, height: int) -> None:
    for pid in range(100, 130):
        proc.put(pid, command="a rather long command \u4f60\u597d")
    view = LiveTable(console(width, height), 10.0)
    stage = play(proc, view)
    for pid in range(100, 130):
        proc.put(pid, ticks=1, command="a rather long command \u4f60\u597d")
    stage.watch.look()
    lines = drawn(view, stage, width, height)
    assert len(lines) < max(height, 2)
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("height", [12, 24, 40, 45, 46, 47, 48, 100])
def test_rows_and_the_rest_add_up(proc: FakeProc, height: int) -> None:
    for pid in range(100, 130):
        proc.put(pid)
    view = LiveTable(console(), 10.0)
    stage = play(proc, view)
    for pid in range(100, 130):
        proc.put(pid, ticks=1)
    stage.watch.look()
    lines = drawn(view, stage, height=height)
    shown = sum(line.startswith(("pid ", "app ")) for line in lines)
    rest = re.findall(r"and (\d+) more", "\n".join(lines))
    assert shown + sum(map(int, rest)) == 33
    assert shown > 0
    assert sum("granted" in line for line in lines) == min(EVENTS, (height - 3) // 3)


def test_the_live_table_leaves_the_terminal_as_it_was(proc: FakeProc) -> None:
    screen = console()
    assert isinstance(screen.file, io.StringIO)
    with LiveTable(screen, 10.0) as view:
        stage = play(proc, view)
        view.frame(stage.watch.frame())
        written = screen.file.getvalue()
        # The cursor is never left hidden, so that not even a kill can leave it so.
        assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
        screen.size = ConsoleDimensions(60, 20)
        view.frame(stage.watch.frame())
        assert "\x1b[2J\x1b[H" in screen.file.getvalue()[len(written) :]
        view.summary(SUMMARY)
    text = screen.file.getvalue()
    assert text.endswith("calls per second\n")
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
