"""The demonstration, on procfs directories of its own and a clock that stands still."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grantwheel import Manager, ManualClock, Policy, ResourceType
from grantwheel.demo import Children, Demo, Sample, Sampler, drive, run
from grantwheel.procfs import Process, read_processes, read_uid

INTERVAL = 1000
TTL = 2250


class FakeProc:
    """A procfs directory whose processes are set by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "meminfo").write_text("not a process\n")
        (path / "self").mkdir()

    def put(
        self, pid: int, *, uid: int = 1000, start: int = 5, ticks: int = 0, command: str = "work", state: str = "S"
    ) -> None:
        directory = self.path / str(pid)
        directory.mkdir(exist_ok=True)
        fields = [state, "1", "1", "1", "0", "-1", "0", "0", "0", "0", "0", str(ticks - ticks // 3), str(ticks // 3)]
        fields += ["0", "0", "20", "0", "1", "0", str(start), "0", "0"]
        (directory / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n")
        (directory / "status").write_text(f"Name:\t{command}\nUid:\t{uid}\t0\t0\t0\nGid:\t1\t1\t1\t1\n")

    def remove(self, pid: int) -> None:
        for file in (self.path / str(pid)).iterdir():
            file.unlink()
        (self.path / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


class Stage:
    """A demonstration on a fake procfs, with its lines kept."""

    def __init__(self, proc: FakeProc, policy: Policy | None = None) -> None:
        self.clock = ManualClock(start_ms=50_000)
        self.manager = Manager(clock=self.clock, policy=policy or Policy())
        self.lines: list[str] = []
        self.demo = Demo(self.manager, Sampler(proc.path), self.clock, ttl_ms=TTL, write=self.lines.append)

    def take(self) -> list[str]:
        lines, self.lines[:] = [" ".join(line.split()) for line in self.lines], []
        return lines


def test_reads_processes_whatever_their_commands(proc: FakeProc) -> None:
    proc.put(7, uid=12, start=99, ticks=10, command="a (b) c) S 1")
    proc.put(8, state="Z")
    assert read_processes(proc.path) == {7: Process(7, 99, 10, "a (b) c) S 1")}
    assert read_uid(proc.path, 7) == 12


def test_leaves_out_what_cannot_be_read(proc: FakeProc) -> None:
    (proc.path / "9").mkdir()
    (proc.path / "10").mkdir()
    (proc.path / "10" / "stat").write_text("")
    (proc.path / "10" / "status").write_text("Name:\tx\n")
    assert read_processes(proc.path) == {}
    assert read_uid(proc.path, 9) is None
    assert read_uid(proc.path, 10) is None


def test_reads_a_command_that_is_not_text(proc: FakeProc) -> None:
    proc.put(7)
    stat = proc.path / "7" / "stat"
    stat.write_bytes(stat.read_bytes().replace(b"work", b"\xff\xfe"))
    assert read_processes(proc.path)[7].command == "\ufffd\ufffd"


def test_reads_this_process() -> None:
    process = read_processes(Path("/proc"))[os.getpid()]
    assert process.start_ticks > 0
    assert read_uid(Path("/proc"), os.getpid()) == os.getuid()


def test_sampler_names_the_busy_and_the_gone(proc: FakeProc) -> None:
    proc.put(1, ticks=100)
    proc.put(2, ticks=100)
    proc.put(3, ticks=100)
    sampler = Sampler(proc.path)
    assert sampler.found == "3 processes"

    proc.put(1, ticks=101)
    proc.remove(2)
    proc.put(3, ticks=5, start=6)  # the pid is used again
    proc.put(4, ticks=1)  # new, and busy already
    proc.put(5, ticks=0)  # new, and quiet
    sample = sampler.sample()
    assert [process.pid for process in sample.busy] == [1, 3, 4]
    assert [(process.pid, process.start_ticks) for process in sample.gone] == [(2, 5), (3, 5)]
    assert sampler.sample() == Sample([], [])


def test_a_busy_process_is_granted_renewed_and_runs_out(proc: FakeProc) -> None:
    proc.put(42, uid=1000, command="encode")
    stage = Stage(proc)
    proc.put(42, uid=1000, ticks=9, command="encode")
    stage.clock.advance(INTERVAL)
    stage.demo.look()
    assert stage.take() == ["1.00 s granted uid 1000 pid 42 encode"]
    record = stage.manager.find_process(42)
    assert record is not None
    assert (record.uid, record.mask, record.grants[0].reason) == (1000, ResourceType.CPU, "encode")
    assert record.grants[0].remaining_ms == TTL

    proc.put(42, uid=1000, ticks=10, command="encode")
    stage.clock.advance(INTERVAL)
    stage.demo.look()
    assert stage.take() == []

    stage.clock.advance(TTL - 1)
    assert stage.demo.report() is not None
    assert stage.take() == []
    stage.clock.advance(1)
    assert stage.demo.report() is None
    assert stage.take() == ["4.25 s expired uid 1000 pid 42 encode"]
    assert (stage.demo.grants, stage.demo.applies, stage.demo.expiries, stage.demo.deaths) == (1, 2, 1, 0)


def test_a_process_that_ends_loses_its_grant(proc: FakeProc) -> None:
    proc.put(42)
    proc.put(43)
    stage = Stage(proc)
    proc.put(42, ticks=1)
    stage.demo.look()
    proc.remove(42)
    proc.remove(43)
    stage.demo.look()
    assert stage.take() == ["0.00 s granted uid 1000 pid 42 work", "0.00 s died uid 1000 pid 42 work"]
    assert stage.demo.deaths == 1


def test_a_pid_used_again_is_another_process(proc: FakeProc) -> None:
    proc.put(42, uid=1000, command="old")
    stage = Stage(proc)
    proc.put(42, uid=1000, ticks=1, command="old")
    stage.demo.look()
    proc.put(42, uid=2000, start=77, ticks=1, command="new")
    stage.demo.look()
    assert stage.take() == [
        "0.00 s granted uid 1000 pid 42 old",
        "0.00 s died uid 1000 pid 42 old",
        "0.00 s granted uid 2000 pid 42 new",
    ]


def test_refusals_are_counted_and_told(proc: FakeProc) -> None:
    proc.put(42)
    stage = Stage(proc, Policy(default_allowed=()))
    proc.put(42, ticks=1)
    stage.demo.look()
    (line,) = stage.take()
    assert line.startswith("refused pid 42: ")
    assert "201" in line
    assert stage.demo.refusals == 1


def test_commands_cannot_write_to_the_terminal(proc: FakeProc) -> None:
    proc.put(42)
    stage = Stage(proc)
    proc.put(42, ticks=1, command="\x1b[2J")
    stage.demo.look()
    assert stage.take()[0].endswith("?[2J")


def test_the_summary_counts_everything(proc: FakeProc) -> None:
    proc.put(42)
    stage = Stage(proc)
    for ticks in (1, 2):
        proc.put(42, ticks=ticks)
        stage.demo.look()
    stage.clock.advance(1500)
    first, second = stage.demo.summary()
    assert first == "1.5 s: 1 grant, 1 renewal, 0 expiries, 0 deaths, 0 refusals; 1 still held"
    assert second.startswith(f"{stage.demo.engine.calls} calls in ")
    assert second.endswith(" calls per second")


def test_drive_looks_at_every_interval_and_wakes_for_expiries(proc: FakeProc) -> None:
    proc.put(42)
    stage = Stage(proc)
    waits: list[float] = []
    first: list[Sample] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            proc.put(42, ticks=1)
        stage.clock.advance(round(seconds * 1000))

    end_ms = stage.clock.now() + 5000
    drive(stage.demo, stage.clock, end_ms=end_ms, interval_ms=INTERVAL, wait=wait, first_look=first.append)
    assert stage.clock.now() == end_ms
    assert [process.pid for process in first[0].busy] == [42]
    assert len(first) == 1
    # Reported at the deadline itself, not at the look after it.
    assert stage.take() == ["1.00 s granted uid 1000 pid 42 work", "3.25 s expired uid 1000 pid 42 work"]
    assert all(0 < seconds <= INTERVAL / 1000 for seconds in waits)


def test_drive_skips_looks_that_it_has_missed(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(proc)
    looks: list[int] = []

    def look() -> Sample:
        looks.append(stage.clock.now())
        return Sample([], [])

    monkeypatch.setattr(stage.demo, "look", look)

    def wait(seconds: float) -> None:
        stage.clock.advance(round(seconds * 1000) if looks else 3500)

    start = stage.clock.now()
    drive(stage.demo, stage.clock, end_ms=start + 5000, interval_ms=INTERVAL, wait=wait, first_look=lambda _: None)
    assert [now - start for now in looks] == [3500, 4000, 5000]


def test_children_are_busy_and_leave_nothing_behind() -> None:
    # On the real procfs and clock: the only way to see that the children use CPU. Ends as soon as they have.
    sampler = Sampler()
    children = Children()
    children.start(seconds=30.0, interval=10.0)
    try:
        pids = {child.pid for child in children._children}
        assert len(pids) == 3
        busy: set[int] = set()
        give_up = time.monotonic() + 30
        while not pids <= busy and time.monotonic() < give_up:
            busy |= {process.pid for process in sampler.sample().busy}
            time.sleep(0.02)
        assert pids <= busy
    finally:
        children.stop()
    assert not pids & set(read_processes(Path("/proc")))


def test_runs_for_real(proc: FakeProc) -> None:
    # A moment of the real clock, on a procfs where nothing happens: it says so and starts children, which this procfs
    # does not show.
    proc.put(1)
    lines: list[str] = []
    assert run(0.15, 0.05, lines.append, proc=proc.path)
    assert lines[0] == "Watching 1 process for 0.15 s."
    assert lines[2].startswith("Little goes on here (1 process, 0 busy): ")
    assert "0 grants, 0 renewals, 0 expiries, 0 deaths, 0 refusals; 0 still held" in lines[-2]
    assert lines[-1].endswith(" calls per second")


def test_an_interrupt_ends_it_with_the_summary(proc: FakeProc) -> None:
    proc.put(1)
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        if line.startswith("Little goes on"):
            raise KeyboardInterrupt

    assert not run(60.0, 0.05, write, proc=proc.path)
    assert lines[-1].endswith(" calls per second")


def test_needs_no_terminal_and_no_more_than_the_package() -> None:
    command = [sys.executable, "-c", "import grantwheel.demo, sys; print('rich' in sys.modules)"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
