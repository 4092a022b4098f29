"""The demonstration run for real, for moments: its workers, its freezers, its ends, its choice of a view."""

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo_stage import Kept
from grantwheel import command
from grantwheel.demo import choose_view, run
from grantwheel.demo.script import APPS
from grantwheel.demo.stop import StopSignal
from grantwheel.demo.workers import Workers, WorkersError, place_for_groups
from grantwheel.suspend import CgroupFreezer, SignalFreezer
from waiting import wait_for

COMMAND = [sys.executable, "-c", "import sys; from grantwheel.command import main; sys.exit(main())", "demo"]
PROC = Path("/proc")


def is_there(pid: int) -> bool:
    """Whether a process runs or is stopped: one that has ended but was not waited for does not."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rfind(b")") + 2 :][:1] not in b"ZX"


def group_of(pid: int) -> Path | None:
    """The folder of the cgroups of a demonstration, by one of its workers; None when it has none."""
    for line in (PROC / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines():
        if line.startswith("0::") and "grantwheel-demo-" in line:
            place = place_for_groups()
            assert isinstance(place, Path)
            return place / Path(line.removeprefix("0::")).parent.name
    return None


class Demo:
    """A demonstration in a process of its own, whose notes are in a folder of the test."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*COMMAND, "--json", "--seconds", str(seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(folder)},
        )
        self.lines: list[dict[str, Any]] = []

    def read(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            yield self.lines[-1]

    def looks(self) -> list[dict[str, dict[str, Any]]]:
        found = (line["apps"] for line in self.lines if line["type"] == "look")
        return [{app["app"]: app for app in apps} for apps in found]

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def require_nothing_left(self, group: Path | None) -> None:
        pids = {app["pid"] for look in self.looks() for app in look.values()}
        assert len(pids) == len(APPS)
        wait_for(lambda: not any(map(is_there, pids)))
        wait_for(lambda: not list(self.folder.iterdir()))
        wait_for(lambda: group is None or not group.exists())


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.process.kill()
        demo.process.communicate()


def test_counters_stand_still_while_frozen_and_go_on_afterwards(tmp_path: Path, demos: list[Demo]) -> None:
    # Real seconds: the one test that sees all of it at work. It asks nothing of when things happen, but of their order.
    demo = Demo(tmp_path, 8.0)
    demos.append(demo)
    group = None
    for line in demo.read():
        if line["type"] == "look" and group is None:
            group = group_of(line["apps"][0]["pid"])
    code, errors = demo.end()
    assert (code, errors) == (0, "")
    *_, summary = demo.lines
    assert (summary["type"], summary["finished"], summary["failures"]) == ("summary", True, 0)
    for app in summary["apps"]:
        assert app["frozen"] == {"mail": 1, "clock": 2, "game": 1}[app["app"]]
        assert app["counted_frozen"] == 0
        assert app["counted"] > 0
    looks = demo.looks()
    for name in APPS:
        rows = [look[name] for look in looks]
        still = moved = 0
        for earlier, later in itertools.pairwise(rows):
            both = [row["frozen_ms"] for row in (earlier, later)]
            if None not in both and both[0] < both[1]:  # the same spell
                assert earlier["counted"] == later["counted"]
                still += 1
            if both[0] is not None and both[1] is None:  # thawed
                moved += 1
            assert earlier["counted"] <= later["counted"]
        assert still or name == "mail"  # which is frozen for a moment: too short for two looks on a busy machine
        assert moved
        assert rows[-1]["counted"] > max(row["counted"] for row in rows if row["frozen_ms"] is not None)
    events = [(line["app"], line["kind"], line["cause"]) for line in demo.lines if line["type"] == "event"]
    order = [
        ("mail", "app_apply", "apply"),
        ("game", "suspended", "idle"),
        ("game", "refused", "TIMER"),
        ("mail", "app_reset", "expired"),
        ("mail", "suspended", "idle"),
        ("mail", "background", "cpu"),
        ("game", "foreground", "host"),
        ("clock", "background", "closed"),
    ]
    assert [event for event in events if event in order[1:]] == order[1:]
    assert events[0] == order[0]
    assert events.index(("clock", "background", "event")) < events.index(("clock", "suspended", "event_over"))
    demo.require_nothing_left(group)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_it_nothing_is_left(number: signal.Signals, tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, 4.0)
    demos.append(demo)
    frozen: set[str] = set()
    for line in demo.read():
        if line["type"] == "event" and line["kind"] == "suspended":
            frozen.add(line["app"])
        if frozen >= {"clock", "game"}:
            break
    group = group_of(demo.looks()[0]["mail"]["pid"])
    assert list(tmp_path.iterdir())
    demo.process.send_signal(number)
    rest = list(demo.read())
    code, errors = demo.end()
    assert errors == ""
    assert code == (-number if number is signal.SIGKILL else 128 + number)
    assert number is signal.SIGKILL or (rest[-1]["type"], rest[-1]["finished"]) == ("summary", False)
    demo.require_nothing_left(group)


def test_workers_that_lose_their_parent_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # nobody clears up then
    with Workers(APPS, "a test says so") as workers:
        os.kill(workers.hand, signal.SIGKILL)
        wait_for(lambda: not any(is_there(worker.pid) for worker in workers.all))


def test_workers_count_and_are_frozen_by_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Workers(APPS, "a test says so") as workers:
        freezer, how = workers.freezer()
        assert isinstance(freezer, SignalFreezer)
        assert how.endswith("as no cgroup can be made for that: a test says so.")
        check(workers, freezer)
        freezer.close()
        pids = [worker.pid for worker in workers.all]
    assert not any(map(is_there, pids))
    assert not list(tmp_path.iterdir())


def test_workers_count_and_are_frozen_by_cgroups() -> None:
    place = place_for_groups()
    if isinstance(place, str):
        pytest.skip(f"no cgroups of version 2 can be made here: {place}")
    with Workers(APPS, place) as workers:
        freezer, how = workers.freezer()
        if not isinstance(freezer, CgroupFreezer):
            pytest.skip(how)
        folder = group_of(workers.all[0].pid)
        assert folder is not None
        assert how == f"Each is frozen by a cgroup of its own, in {folder}."
        check(workers, freezer)
        freezer.close()
    assert not folder.exists()


def check(workers: Workers, freezer: CgroupFreezer | SignalFreezer) -> None:
    """See that each counts, that one which is frozen stands still while the others do not, and that it goes on."""
    for worker in workers.all:
        wait_for(worker.counted)
    chosen, other = workers.all[:2]
    wait_for(lambda: freezer.freeze(chosen.uid))
    stood, ran = chosen.counted(), other.counted()
    wait_for(lambda: other.counted() > ran + 20)
    assert chosen.counted() == stood
    freezer.thaw(chosen.uid)
    wait_for(lambda: chosen.counted() > stood)


def test_where_no_cgroup_can_be_made_it_is_by_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A folder in which one can be made, but it is no cgroup.
    (tmp_path / "place").mkdir()
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "notes"))
    with Workers(APPS, tmp_path / "place") as workers:
        freezer, how = workers.freezer()
        freezer.close()
        assert isinstance(freezer, SignalFreezer)
        assert how.endswith(": No such file or directory.")
    assert not list((tmp_path / "place").iterdir())
    assert not list((tmp_path / "notes").iterdir())


def test_run_tells_a_view_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # Real seconds, by signals whatever there is.
    monkeypatch.setattr("grantwheel.demo.place_for_groups", lambda: "a test says so")
    view = Kept()
    summary, number = run(4.0, 0.05, view)
    assert number is None
    assert summary.holds
    assert view.summaries == [summary]
    assert view.notes == [
        (
            "A CPU grant is permission to run in the background, until a given time. "
            "An app that nothing keeps up there is frozen after 0.4 s."
        ),
        (
            "mail, clock and game are apps: each is a process that counts. "
            "They are frozen by signals (SIGSTOP), as no cgroup can be made for that: a test says so."
        ),
    ]
    assert len(view.frames) > 20


@pytest.mark.parametrize(
    ("program", "why"),
    [("/bin/false", "they ended with 1"), ("/nowhere", "[Errno 2] No such file or directory: '/nowhere'")],
)
def test_workers_that_cannot_be_started_are_1(
    program: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(WorkersError, match=re.escape(why)):
        Workers(APPS, "")
    assert command.main(["demo"]) == 1
    assert capsys.readouterr() == ("", f"grantwheel demo: its processes cannot be started: {why}\n")


def test_a_signal_before_a_wait_ends_the_wait_at_once() -> None:
    with StopSignal() as stop:
        assert not stop.wait(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(3600.0)
        assert stop.signal is signal.SIGINT


def test_a_descriptor_ends_a_wait_too() -> None:
    reader, writer = os.pipe()
    with StopSignal() as stop:
        os.write(writer, b"x")
        assert not stop.wait(3600.0, reader)
    os.close(reader)
    os.close(writer)


def test_the_second_signal_interrupts() -> None:
    with StopSignal():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.wait(0.001)
    finally:
        signal.signal(signal.SIGHUP, before)


class Screen(io.TextIOWrapper):
    """Standard output, as far as the choice of a view asks: a terminal or not."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = True) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


def chosen(monkeypatch: pytest.MonkeyPatch, screen: Screen, *, environment: str = "TERM=xterm", **options: bool) -> str:
    """The class of the view that is chosen."""
    for name in ("TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for setting in environment.split():
        name, _, value = setting.partition("=")
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        with choose_view(**options) as view:
            return type(view).__name__


def test_a_terminal_gets_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, Screen()) == "LiveTable"
    assert chosen(monkeypatch, Screen(), environment="TERM=xterm NO_COLOR=1") == "LiveTable"


def test_lines_are_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    assert chosen(monkeypatch, screen, plain=True) == "TextLines"
    assert chosen(monkeypatch, screen, json=True) == "JsonLines"
    assert screen.text() == ""


@pytest.mark.parametrize("environment", ["TERM=dumb", "TERM=unknown", "TERM=", ""])
def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    assert chosen(monkeypatch, Screen(), environment=environment) == "TextLines"


def test_a_terminal_that_rich_does_not_draw_on_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console.Console.is_interactive", False, raising=False)
    monkeypatch.setattr("rich.console.Console.__init__", lambda *_arguments, **_options: None)
    assert chosen(monkeypatch, Screen()) == "TextLines"


def test_a_terminal_without_the_letters_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, Screen("ascii")) == "TextLines"


def test_no_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, Screen(terminal=False)) == "TextLines"


def test_without_rich_a_terminal_gets_lines_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rich", "rich.console", "grantwheel.demo.table"):
        monkeypatch.setitem(sys.modules, name, None)  # what cannot be imported
    screen = Screen()
    assert chosen(monkeypatch, screen) == "TextLines"
    assert screen.text() == "For a live table: pip install 'grantwheel[demo]'\n"
