"""How far something has got: what the tools show on a terminal, and what `grantwheel.open` tells of."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import grantwheel
from grantwheel import ManualClock, command
from grantwheel.command import progress
from grantwheel.command.progress import Progress
from grantwheel.journal import MemoryJournal, _database
from grantwheel.journal.sqlite import SqliteJournal
from grantwheel.recovery import loading
from journal_files import write_journal
from support import GPS
from waiting import wait_for

WAIT_S = 60


class Terminal(io.StringIO):
    """What is written to a terminal, and what is seen there at the end."""

    def isatty(self) -> bool:
        return True

    def seen(self) -> str:
        line, place = "", 0
        for letter in re.sub(r"\x1b\[[\d;]*m", "", self.getvalue()):
            if letter == "\r":
                place = 0
            else:
                line, place = line[:place] + letter + line[place + 1 :], place + 1
        return line.rstrip()


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the lines, which a test moves on."""
    now = [5.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Have standard error be a terminal. Not as a fixture: pytest has its own there when a test begins."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    return made


@pytest.fixture
def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes longer than is waited for."""
    for module in (progress, loading):
        monkeypatch.setattr(module, "QUIET_S" if module is progress else "_QUIET_S", 0.0)
        monkeypatch.setattr(module, "PAUSE_S" if module is progress else "_TOLD_S", 0.0)


@pytest.mark.usefixtures("without_rich")
def test_a_line_is_there_after_a_second_and_goes_again(now_s: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    one = Progress("journal verify")
    now_s[0] += 0.99
    one.at("reading", 1, 20_000)
    assert terminal.getvalue() == ""
    now_s[0] += 0.01
    one.at("reading", 12_345, 20_000)
    assert terminal.seen() == "grantwheel journal verify: reading 12,345 of 20,000 groups"
    now_s[0] += 0.09
    one.at("reading", 12_346, 20_000)
    assert "12,346" not in terminal.getvalue()
    now_s[0] += 0.02
    one.at("reading", 9, 10)  # what was longer leaves nothing
    assert terminal.seen() == "grantwheel journal verify: reading 9 of 10 groups"
    one.hide()
    assert terminal.seen() == ""
    written = terminal.getvalue()
    one.hide()
    assert terminal.getvalue() == written
    assert "\x1b" not in written
    assert "\n" not in written


def test_with_rich_it_is_a_bar(now_s: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    one = Progress("serve")
    now_s[0] += 2
    one.at("opening the state", 5, 10)
    assert re.fullmatch(r"grantwheel serve: opening the state \S+ +5 of 10 groups", terminal.seen())
    assert len(terminal.seen()) <= 79
    one.hide()
    assert terminal.seen() == ""
    assert "\n" not in terminal.getvalue()


@pytest.mark.parametrize("columns", [1, 20, 50, 54])
def test_it_is_no_longer_than_a_line(now_s: list[float], monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(progress, "_columns", lambda: columns)
    terminal = on_terminal(monkeypatch)
    one = Progress("journal verify")
    now_s[0] += 2
    one.at("reading", 5, 10)
    assert terminal.seen() == "grantwheel journal verify: reading 5 of 10 groups"[: columns - 1].rstrip()


def test_where_there_is_no_terminal_there_is_nothing(now_s: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        one = Progress("serve")
        now_s[0] += 2
        one.at("reading", 5, 10)
        one.hide()
        assert stream is None or stream.getvalue() == ""


def test_a_terminal_that_goes_away_ends_it(now_s: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> int:
        raise OSError("it is gone")

    terminal = on_terminal(monkeypatch)
    one = Progress("serve")
    now_s[0] += 2
    terminal.write = fail  # type: ignore[method-assign]
    one.at("reading", 5, 10)
    one.hide()
    assert not one.is_wanted


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "arguments", [["verify", "--json"], ["verify"], ["show"], ["show", "--limit", "2"], ["replay"]]
)
def test_the_journal_tool_shows_it_beside_its_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    path = tmp_path / "grants.db"
    write_journal(path)
    part, *more = arguments
    assert command.main(["journal", part, str(path), *more]) == 0
    plain = capsys.readouterr()
    assert plain.err == ""
    terminal = on_terminal(monkeypatch)
    assert command.main(["journal", part, str(path), *more]) == 0
    assert capsys.readouterr().out == plain.out
    assert f"grantwheel journal {part}: checking " in terminal.getvalue()
    assert f"grantwheel journal {part}: reading " in terminal.getvalue()
    assert terminal.seen() == ""


@pytest.mark.usefixtures("at_once")
def test_it_is_hidden_before_a_line_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    path = tmp_path / "grants.db"
    write_journal(path)
    seen = []

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            seen.append(terminal.seen())
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Output())
    assert command.main(["journal", "show", str(path)]) == 0
    assert len(seen) > 7
    assert set(seen) == {""}
    assert terminal.getvalue().count("reading") >= 6


@pytest.mark.usefixtures("at_once")
def test_it_is_hidden_when_something_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    path = tmp_path / "grants.db"
    with SqliteJournal(path) as journal:
        journal.append(0, b"anything")
        journal.append(1, b"anything")
    assert command.main(["journal", "show", str(path)]) == 1
    assert terminal.seen().startswith("grantwheel journal show: group 1 cannot be read")


def opened(where: Path | MemoryJournal) -> list[tuple[int, int]]:
    """What is told while a manager is opened."""
    heard: list[tuple[int, int]] = []
    clock = ManualClock(10_000)
    with grantwheel.open(where, clock=clock, on_progress=lambda *told: heard.append(told)):
        pass
    return heard


@pytest.mark.usefixtures("at_once")
def test_opening_a_file_is_told_as_it_is_checked_and_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_database, "_SLICE_ROWS", 10)
    path = tmp_path / "grants.db"
    with grantwheel.open(path, clock=ManualClock(10_000)) as manager:
        for uid in range(38):
            manager.apply(uid, 1, GPS, persist=True)
    assert opened(path) == [(5, 40), (10, 40), (15, 40), (20, 40), (25, 40), (30, 40), (35, 40), (40, 40), (40, 40)]
    with grantwheel.open(path, clock=ManualClock(10_000)) as manager:
        manager.snapshot()
        manager.apply(100, 1, GPS, persist=True)
    assert opened(path)[-1] == (2, 2)


@pytest.mark.usefixtures("at_once")
def test_opening_a_journal_is_told_as_it_is_read() -> None:
    journal = MemoryJournal()
    with grantwheel.open(journal, clock=ManualClock(10_000)):
        pass
    assert opened(journal) == [(1, 2), (2, 2), (2, 2)]


def test_what_is_over_within_a_second_is_not_told() -> None:
    assert opened(MemoryJournal()) == []


@pytest.mark.usefixtures("at_once")
def test_what_is_raised_ends_the_opening(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    write_journal(path)

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grantwheel.open(path, clock=ManualClock(10_000), on_progress=stop)
    with grantwheel.open(path, clock=ManualClock(10_000)) as manager:
        assert manager.recovery.groups == 7


SERVE = """
import sys
from grantwheel.command import main, progress
from grantwheel.recovery import loading
progress.QUIET_S = progress.PAUSE_S = loading._QUIET_S = loading._TOLD_S = 0.0
sys.exit(main(["serve", "--socket", sys.argv[1], "--state", sys.argv[2]]))
"""


def served(error: int, until: Callable[[], bool], path: Path) -> str:
    """Serve until something is there, writing errors to a descriptor; what was written to standard output."""
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        command = [sys.executable, "-c", SERVE, f"{folder}/s", str(path)]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=error, text=True)
        try:
            wait_for(until)
        finally:
            server.send_signal(signal.SIGTERM)
            out, _ = server.communicate(timeout=WAIT_S)
    assert server.returncode == 0
    return out


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "grants.db"
    write_journal(path)
    return path


def test_the_service_tells_of_it_in_its_log(state: Path) -> None:
    log = state.with_name("log")
    with log.open("w") as file:
        assert served(file.fileno(), lambda: "serving at" in log.read_text(), state) == ""
    lines = [line for line in log.read_text().splitlines() if "RLIMIT_NOFILE" not in line]
    assert lines[0] == "grantwheel serve: info: opening the state: 3 of 7 groups"
    assert lines[-3] == "grantwheel serve: info: opening the state: 7 of 7 groups"
    assert "serving at" in lines[-2]


def test_the_service_shows_it_on_a_terminal(state: Path) -> None:
    ours, theirs = pty.openpty()
    said = b""

    def is_serving() -> bool:
        nonlocal said
        said += os.read(ours, 4096)
        return b"serving at" in said

    try:
        assert served(theirs, is_serving, state) == ""
    finally:
        os.close(theirs)
        os.close(ours)
    shown, _, rest = said.decode().partition("grantwheel serve: info: serving at")
    assert re.search(r"\rgrantwheel serve: opening the state .*3 of 7 groups", shown)
    assert re.search(r"\r +\r$", shown)
    assert "info: opening" not in shown + rest
