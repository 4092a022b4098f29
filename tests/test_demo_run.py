"""The demonstration run for real, for moments: its children, its signals, its choice of a view."""

import contextlib
import io
import os
import select
import signal
import sys
import time
from pathlib import Path

import pytest

from demo_stage import FakeProc, Kept
from grantwheel import Cause, Event, Manager, ResourceType
from grantwheel.demo import choose_view, run
from grantwheel.demo.children import Children
from grantwheel.demo.deaths import Deaths
from grantwheel.demo.sampler import Sampler
from grantwheel.demo.stop import StopSignal
from grantwheel.linux.procfs import ProcfsError, read_processes


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    return FakeProc(tmp_path, monkeypatch)


def test_children_are_busy_hold_a_timer_and_leave_nothing_behind() -> None:
    # On the real procfs and clock: the only way to see that the children do what they are for. Ends when they have.
    sampler = Sampler()
    with Children() as children:
        children.start(seconds=30.0, interval=10.0)
        assert len(children) == 4
        pids = set(children.pids)
        busy: set[int] = set()
        timers: set[int] = set()
        give_up = time.monotonic() + 30
        while not (pids <= busy and timers & pids) and time.monotonic() < give_up:
            sample = sampler.sample()
            busy |= {process.pid for process in sample.busy}
            timers |= {process.pid for process, types in sample.opened if types & ResourceType.TIMER}
            time.sleep(0.02)
        assert pids <= busy
        assert len(pids & timers) == 1
    assert not pids & set(read_processes(Path("/proc")).processes)


def test_a_death_is_told_before_the_next_look() -> None:
    # A real process, and nobody who looks.
    manager = Manager()
    with Children() as children, contextlib.closing(Deaths(manager)) as deaths:
        children.start(seconds=60.0, interval=60.0)
        found = read_processes(Path("/proc")).processes
        process, spared = (found[pid] for pid in sorted(children.pids)[:2])
        for each in (process, process, spared):
            manager.apply(os.getuid(), each.pid, ResourceType.CPU, 60_000, process=True)
            deaths.expect(each)
        deaths.forget(spared.pid)
        manager.drain()
        for pid in (process.pid, spared.pid):
            os.kill(pid, signal.SIGKILL)
        events: list[Event] = []
        give_up = time.monotonic() + 60
        while not events and time.monotonic() < give_up:
            select.select([manager.fileno()], [], [], 1)
            events += manager.drain()
        assert [(event.cause, event.pid) for event in events] == [(Cause.PROCESS_DIED, process.pid)]
        deaths.expect(process)  # it has ended: left to a look


def test_little_going_on_is_told_and_helped(proc: FakeProc) -> None:
    # A moment of the real clock, on a procfs where nothing happens, and which does not show the children.
    proc.put(1)
    view = Kept()
    assert run(0.25, 0.05, view, proc=proc.path) is None
    assert view.notes[0] == "Watching 1 process for 0.25 s."
    assert view.notes[1].startswith("Grants last 0.112 s ")
    assert view.notes[2:] == ["Little goes on here (1 process, 0 busy): starting 4 busy children."]
    (summary,) = view.summaries
    assert (summary.finished, summary.children, summary.processes) == (True, 4, 1)
    assert not any(summary.counts)


def test_children_that_cannot_be_started_are_no_failure(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("grantwheel.demo.children.subprocess.Popen", refuse)
    proc.put(1)
    view = Kept()
    assert run(0.2, None, view, proc=proc.path) is None
    assert "children cannot be started: " in view.notes[2]
    assert view.summaries[0].children == 0


def test_a_machine_where_much_goes_on_needs_no_children(proc: FakeProc) -> None:
    class Busy(Kept):
        def note(self, text: str) -> None:
            for pid in (1, 2):
                proc.put(pid, ticks=7)

    proc.put(1)
    proc.put(2)
    view = Busy()
    run(0.2, 0.1, view, proc=proc.path)
    assert view.summaries[0].children == 0
    assert view.summaries[0].counts.grants == 2


def test_this_process_alone_is_little_going_on(proc: FakeProc) -> None:
    class Busy(Kept):
        def note(self, text: str) -> None:
            super().note(text)
            for pid in (1, os.getpid()):
                proc.put(pid, ticks=7)

    proc.put(1)
    view = Busy()
    run(0.2, 0.1, view, proc=proc.path)
    assert "(2 processes, 1 busy)" in view.notes[2]
    assert view.summaries[0].counts.grants == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_the_summary(proc: FakeProc, number: signal.Signals) -> None:
    class Interrupting(Kept):
        def note(self, text: str) -> None:
            super().note(text)
            if text.startswith("Little goes on"):
                os.kill(os.getpid(), number)

    proc.put(1)
    view = Interrupting()
    before = signal.getsignal(number)
    assert run(60.0, 0.05, view, proc=proc.path) is number
    assert not view.summaries[0].finished
    assert signal.getsignal(number) is before


def test_a_procfs_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ProcfsError):
        run(0.2, 0.1, Kept(), proc=tmp_path / "missing")


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
        with choose_view(10.0, **options) as view:
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
