"""The demonstration as lines, as JSON, and as a table."""

import io
import json
import re

import pytest
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions

from demo_stage import Kept, Stage
from grantwheel.demo.lines import FIELDS, JsonLines, TextLines
from grantwheel.demo.table import LiveTable
from grantwheel.demo.view import Entry, Frame, Summary, kept_words
from grantwheel.suspend import Keeper

HOSTILE = "\x1b[2J[red]:boom:\x7f\x9b\u202e"
ESCAPED = r"\x1b[2J[red]:boom:\x7f\x9b\u202e"
NOTES = ["What a CPU grant is.", f"Why it is by signals: {HOSTILE}."]


@pytest.fixture(scope="module")
def played() -> tuple[Kept, Summary]:
    """All that a view is given."""
    stage = Stage()
    summary = stage.show.summary(finished=stage.play())
    return stage.view, summary


def frame_at(view: Kept, elapsed_ms: int) -> Frame:
    (frame,) = (frame for frame in view.frames if frame.elapsed_ms == elapsed_ms)
    return frame


def test_text_lines(played: tuple[Kept, Summary]) -> None:
    kept, summary = played
    lines: list[str] = []
    view = TextLines(lines.append)
    view.note(NOTES[1])
    view.frame(frame_at(kept, 0))
    view.entry(kept.entries[0])
    view.entry(Entry(7_000, "mail", 1001, "freeze_failed", "freezer", HOSTILE))
    view.frame(frame_at(kept, 18_500))
    view.summary(summary)
    assert lines == [
        f"Why it is by signals: {ESCAPED}.",
        "   0.0 s  | mail      0               | clock      0               | game      0",
        "   3.0 s  mail is granted CPU for 12 s: so long it may run in the background.",
        f"   7.0 s  {ESCAPED}",
        "  18.5 s  | mail 18,000   +0/s FROZEN | clock 10,000   +0/s FROZEN | game  7,000   +0/s FROZEN",
        "",
        "mail   was frozen once, for 3.0 s, and counted 0 meanwhile; 29,000 in all",
        "clock  was frozen 2 times, for 19.0 s, and counted 0 meanwhile; 13,000 in all",
        "game   was frozen once, for 18.0 s, and counted 0 meanwhile; 14,000 in all",
        "",
        "So a CPU grant is permission to run in the background, until a given time. When",
        "it has run out and nothing else keeps the app up, the app is frozen. A new grant,",
        "an event that it may have, or the foreground lets it go on from where it stood.",
    ]


def test_closing_lines_of_what_was_ended_early() -> None:
    stage = Stage()
    stage.play(until_ms=1)
    lines: list[str] = []
    TextLines(lines.append).summary(stage.show.summary(finished=False))
    assert lines == [
        "",
        "mail   was never frozen; 500 in all",
        "clock  was never frozen; 500 in all",
        "game   was never frozen; 500 in all",
    ]


def test_json_lines(played: tuple[Kept, Summary]) -> None:
    kept, summary = played
    lines: list[str] = []
    view = JsonLines(lines.append)
    view.note("nothing of it")
    view.entry(kept.entries[0]._replace(text=HOSTILE))
    view.frame(frame_at(kept, 13_500))
    view.summary(summary)
    assert all(re.fullmatch(r"[ -~]+", line) for line in lines)
    event, look, end = (json.loads(line) for line in lines)
    assert event == {
        "type": "event",
        "time_ms": 3_000,
        "app": "mail",
        "uid": 1001,
        "kind": "app_apply",
        "cause": "apply",
        "text": HOSTILE,
    }
    assert (look["type"], look["time_ms"], len(look["apps"])) == ("look", 13_500, 3)
    assert look["apps"][1] == {
        "app": "clock",
        "uid": 1002,
        "pid": 6002,
        "grants": {"TIMER": 49_500},
        "state": "suspended",
        "frozen_ms": 500,
        "kept_by": [],
        "left_ms": None,
        "counted": 10_000,
        "per_second": 0,
    }
    assert look["apps"][0]["kept_by"] == ["cpu"]
    assert end == {
        "type": "summary",
        "time_ms": 32_000,
        "finished": True,
        "failures": 0,
        "apps": [
            {"app": "mail", "frozen": 1, "frozen_ms": 3_000, "counted_frozen": 0, "counted": 29_000},
            {"app": "clock", "frozen": 2, "frozen_ms": 19_000, "counted_frozen": 0, "counted": 13_000},
            {"app": "game", "frozen": 1, "frozen_ms": 18_000, "counted_frozen": 0, "counted": 14_000},
        ],
    }
    documented = set(re.findall(r"\w+", FIELDS))
    assert documented >= event.keys() | look.keys() | look["apps"][0].keys() | end.keys() | end["apps"][0].keys()


def test_whatever_keeps_an_app_up_has_words(played: tuple[Kept, Summary]) -> None:
    row = frame_at(played[0], 500).rows[0]
    for keeper in Keeper:
        assert kept_words(row._replace(kept_by=(keeper,)))
    both = row._replace(kept_by=(Keeper.EVENT, Keeper.GRACE), left_ms=2_000)
    assert kept_words(both) == "an event and grace, 2.0 s left"


def console(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, highlight=False, _environ={})


def drawn(kept: Kept, elapsed_ms: int, width: int = 80, height: int = 24, notes: list[str] = NOTES) -> list[str]:
    """What the table is at an instant, on paper."""
    view = LiveTable(console(width, height))
    for note in notes:
        view.note(note)
    for entry in kept.entries:
        if entry.elapsed_ms <= elapsed_ms:
            view.entry(entry)
    paper = Console(file=io.StringIO(), width=width, height=height, highlight=False, _environ={})
    paper.print(view.draw(frame_at(kept, elapsed_ms), width, height))
    assert isinstance(paper.file, io.StringIO)
    return [line.rstrip() for line in paper.file.getvalue().splitlines()]


def test_the_table_says_who_runs_and_why(played: tuple[Kept, Summary]) -> None:
    assert drawn(played[0], 10_500) == [
        "grantwheel demo, 10 of 32 s",
        "What a CPU grant is.",
        rf"Why it is by signals: {ESCAPED}.",
        "",
        "app    grants        state              kept up by            counter  per s",
        "mail   CPU 4.5 s     background         its CPU grant          10,500  +1000",
        "clock  TIMER 52.5 s  background         an event, 2.5 s left    7,500  +1000",
        "game   none          FROZEN for 3.5 s   nothing                 7,000     +0",
        "",
        "   3.0 s  mail is granted CPU for 12 s: so long it may run in the background.",
        "   3.0 s  clock is granted TIMER for 60 s. That does not keep it running; it",
        "          lets a timer reach it.",
        "   4.0 s  mail goes to the background; its CPU grant lets it run until 15 s.",
        "   4.0 s  clock goes to the background without a CPU grant: it is frozen in 3 s.",
        "   4.0 s  game goes to the background without a CPU grant: it is frozen in 3 s.",
        "   7.0 s  clock has been in the background for 3 s and nothing keeps it up, so",
        "          it is frozen. Its counter stands still at 7,000.",
        "   7.0 s  game has been in the background for 3 s and nothing keeps it up, so it",
        "          is frozen. Its counter stands still at 7,000.",
        "  10.0 s  clock: a timer is due, which its TIMER grant lets through, so it is",
        "          thawed for 3 s. It counts on from 7,000.",
    ]


def test_the_columns_stay_where_they_are(played: tuple[Kept, Summary]) -> None:
    for frame in played[0].frames:
        (heading,) = (line for line in drawn(played[0], frame.elapsed_ms) if line.startswith("app "))
        assert heading == "app    grants        state              kept up by            counter  per s"


def test_nothing_can_steer_the_terminal_nor_rich(played: tuple[Kept, Summary]) -> None:
    kept = Kept()
    kept.frames = played[0].frames
    kept.entries = [Entry(0, "game", 1003, "freeze_failed", "freezer", f"game could not be frozen: {HOSTILE}")]
    text = "\n".join(drawn(kept, 500))
    assert text.count(ESCAPED) == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


@pytest.mark.parametrize("width", [1, 5, 20, 40, 80, 300])
@pytest.mark.parametrize("height", [1, 2, 5, 7, 10, 24, 100])
def test_the_table_fits_every_terminal(played: tuple[Kept, Summary], width: int, height: int) -> None:
    for elapsed_ms in (0, 10_500, 32_000):
        lines = drawn(played[0], elapsed_ms, width, height)
        assert len(lines) < max(height, 2)
        assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("height", range(10, 40))
def test_the_apps_and_the_newest_sentence_come_first(played: tuple[Kept, Summary], height: int) -> None:
    text = "\n".join(drawn(played[0], 10_500, height=height))
    assert [line.split()[0] for line in text.splitlines() if re.search(r" \+\d+$", line)] == ["mail", "clock", "game"]
    assert "  10.0 s  clock: a timer is due" in text
    assert ("What a CPU grant is." in text) == (height >= 12)
    assert ("   7.0 s  game " in text) == (height >= 14)


def test_the_live_table_leaves_the_terminal_as_it_was(played: tuple[Kept, Summary]) -> None:
    kept, summary = played
    screen = console()
    assert isinstance(screen.file, io.StringIO)
    with LiveTable(screen) as view:
        view.frame(frame_at(kept, 500))
        written = screen.file.getvalue()
        # The cursor is never left hidden, so that not even a kill can leave it so.
        assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
        screen.size = ConsoleDimensions(60, 20)
        view.frame(frame_at(kept, 1_500))
        assert "\x1b[2J\x1b[H" in screen.file.getvalue()[len(written) :]
        view.summary(summary)
    text = screen.file.getvalue()
    assert text.endswith("from where it stood.\n")
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
