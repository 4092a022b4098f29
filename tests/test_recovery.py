"""What a start makes of the past: the time of the log, whose records go, and what it can know of the processes."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from grantwheel import Manager, ManualClock, MemoryLog, _core, replay
from grantwheel.linux.running import Hidden, Running, look_at_processes, read_boot_id
from grantwheel.recovery import Start
from grantwheel.recovery.start import Process
from grantwheel.recovery.timeline import (
    App,
    Lost,
    Mark,
    Moment,
    ProcessRecord,
    find_lost,
    is_reboot,
    place,
)

ONE = UUID(int=1)
OTHER = UUID(int=2)
MARK = Mark(now_ms=50_000, boot_id=ONE.bytes, boot_ms=20_000, wall_ms=1_000_000)
CPU, TIMER, WORK = 1, 4, 8
YEAR = 365 * 86_400_000


@pytest.mark.parametrize(
    ("start", "now_ms", "rebooted"),
    [
        (Start(ONE, 20_000, 1_000_000), 50_000, False),
        (Start(ONE, 27_000, 1_000_000), 57_000, False),
        (Start(ONE, 27_000, 1_000_000 + YEAR), 57_000, False),  # the calendar was set, which is nothing to us
        (Start(ONE, 27_000, 1_000_000 - YEAR), 57_000, False),
        (Start(OTHER, 3_000, 1_009_000), 59_000, True),
        (Start(OTHER, 90_000, 1_009_000), 59_000, True),
        (Start(OTHER, 3_000, 1_000_000 - YEAR), 50_000, True),  # never before the last mark
        (Start(OTHER, 3_000, 1_000_000 + YEAR), 50_000 + YEAR, True),
        (Start(ONE, 19_999, 1_009_000), 59_000, True),  # a boot of the same name, as in a machine that was restored
        (Start(None, 27_000, 1_009_000), 57_000, False),
        (Start(None, 19_999, 1_009_000), 59_000, True),
    ],
)
def test_where_a_start_is_on_the_timeline(start: Start, now_ms: int, rebooted: bool) -> None:
    assert place(MARK, 50_000, start) == Moment(now_ms, rebooted)
    assert is_reboot(MARK, start) == rebooted


def test_a_mark_without_boot_id_leaves_it_to_the_times() -> None:
    mark = MARK._replace(boot_id=bytes(16))
    assert place(mark, 50_000, Start(ONE, 27_000, 0)) == Moment(57_000, is_reboot=False)
    assert place(mark, 50_000, Start(ONE, 19_999, 1_000_000)) == Moment(50_000, is_reboot=True)


def test_time_goes_on_from_no_earlier_than_the_last_instant() -> None:
    assert place(MARK, 70_000, Start(ONE, 27_000, 0)).now_ms == 70_000
    assert place(MARK, 70_000, Start(OTHER, 5, 1_001_000)).now_ms == 70_000


def test_a_log_without_marks() -> None:
    assert place(None, 0, Start(ONE, 20_000, 5)) == Moment(20_000, is_reboot=False)
    assert place(None, 30_000, Start(ONE, 20_000, 5)) == Moment(30_000, is_reboot=True)


HERE = Moment(50_000, is_reboot=False)
# In ms since boot, of which the log is 30,000 ahead.
RUNNING: dict[int, Process] = {41: (700, 10_000), 42: ((0, 701), 19_990), 43: (702, 20_000)}
START = Start(ONE, 20_000, 0, RUNNING)


def lost_of(apps: list[App], processes: list[ProcessRecord], start: Start = START, moment: Moment = HERE) -> Lost:
    return find_lost(apps, processes, moment, start)


def test_apps_without_a_process_lose_what_is_not_retained() -> None:
    apps = [App(uid, CPU | TIMER) for uid in (703, 700, 701, 0, 699)] + [App(704, TIMER | WORK)]
    assert lost_of(apps, []) == Lost([699, 703], [], [], [])


def test_a_process_stays_if_it_is_the_one_of_the_last_apply() -> None:
    processes = [
        ProcessRecord(41, 700, 40_000),  # it has started at that instant
        ProcessRecord(42, 701, 49_990),
        ProcessRecord(43, 702, 49_999),  # it has started since: another one with the same pid
        ProcessRecord(44, 700, 49_999),
    ]
    assert lost_of([], processes).processes == [43, 44]
    assert lost_of([], [ProcessRecord(41, 701, 49_999)]).processes == [41]  # the pid of somebody else


def test_after_a_reboot_processes_go_and_apps_keep_what_is_retained() -> None:
    apps = [App(701, CPU), App(700, CPU | WORK), App(2, TIMER)]
    lost = lost_of(apps, [ProcessRecord(42, 701, 0), ProcessRecord(41, 700, 49_000)], moment=Moment(50_000, True))
    assert lost == Lost([700, 701], [41, 42], [], [])


def test_what_is_hidden_is_kept() -> None:
    start = Start(ONE, 20_000, 0, RUNNING, hidden={44})
    lost = lost_of([App(703, CPU), App(700, CPU)], [ProcessRecord(44, 1, 0), ProcessRecord(45, 1, 0)], start)
    assert lost == Lost([], [45], [703], [44])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"boot_id": "kernel"}, "boot_id must be a UUID"),
        ({"boot_id": 7}, "boot_id must be a UUID, not int"),
        ({"boot_ms": -1}, "boot_ms must be within 0"),
        ({"boot_ms": True}, "boot_ms must be an int, not bool"),
        ({"wall_ms": 2**63}, "wall_ms must be within"),
        ({"processes": [1]}, "processes must be a mapping, not list"),
        ({"processes": {0: (1, 1)}}, "a pid of processes must be within 1"),
        ({"processes": {1: 1}}, "process 1 must be"),
        ({"processes": {1: (-1, 1)}}, "uid of process 1 must be within 0"),
        ({"processes": {1: ((1, "x"), 1)}}, "a uid of process 1 must be an int, not str"),
        ({"processes": {1: (1, 1.5)}}, "start_ms of process 1 must be an int, not float"),
        ({"hidden": 5}, "hidden must be a container of pids, not int"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        Start(**arguments)  # type: ignore[arg-type]


def test_a_boot_id_may_be_a_text() -> None:
    assert Start(str(ONE)) == Start(ONE)
    assert Start().boot_bytes == bytes(16)


# What Linux says.


def test_this_machine() -> None:
    start = Start.now()
    own = start.running()[os.getpid()]
    assert os.getuid() in own.uids
    assert 0 < own.start_ms <= start.boot_ms
    assert start.boot_id == read_boot_id(Path("/proc"))
    assert start.wall_ms > 1_700_000_000_000
    assert Start.now(processes=False).processes == {}


def test_a_process_has_started_no_later_than_it_says_itself() -> None:
    code = "import time; print(time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        said = int(child.stdout.readline())
        found = look_at_processes(Path("/proc")).processes[child.pid]
        child.communicate("\n")
    assert found.start_ms <= said


def write_process(proc: Path, pid: int, *, state: str = "S", threads: int = 1, uids: str = "700 701 700 700") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    numbers = ["0"] * 16 + [str(threads), "0", "250", *["0"] * 20]
    numbers[0] = "1"
    (folder / "stat").write_text(f"{pid} (a) b) {state} {' '.join(numbers)}\n")
    (folder / "status").write_text(f"Name:\ta\nUid:\t{uids.replace(' ', chr(9))}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    write_process(tmp_path, 1)
    (tmp_path / "self").symlink_to(str(os.getpid()))
    write_process(tmp_path, os.getpid())
    (tmp_path / str(os.getpid()) / "mountinfo").write_text(f"22 27 0:21 / {tmp_path} rw shared:1 - proc proc rw\n")
    return tmp_path


def test_what_runs(proc: Path) -> None:
    write_process(proc, 50)
    write_process(proc, 51, state="Z")
    write_process(proc, 52, state="Z", threads=2)  # its first thread alone has ended
    look = look_at_processes(proc)
    assert not look.hides
    assert look.processes[50] == Running((700, 701), 2500 * 100 // os.sysconf("SC_CLK_TCK") * 1)
    assert sorted(look.processes) == sorted({1, 50, 52, os.getpid()})


@pytest.mark.parametrize(
    ("options", "capabilities", "hides"),
    [
        ("rw", "0000000000000000", False),
        ("rw,hidepid=0", "0000000000000000", False),
        ("rw,hidepid=off", "0000000000000000", False),
        ("rw,hidepid=2", "0000000000000000", True),
        ("rw,hidepid=invisible,gid=4", "0000000000000000", True),
        ("rw,hidepid=2", "0000000000080000", False),
    ],
)
def test_proc_may_be_told_to_hide(proc: Path, options: str, capabilities: str, hides: bool) -> None:
    own = proc / str(os.getpid())
    (own / "mountinfo").write_text(
        f"22 27 0:21 / /else rw - proc proc rw,hidepid=2\n22 27 0:21 / {proc} rw - proc proc {options}\n"
    )
    with (own / "status").open("a") as status:
        status.write(f"CapEff:\t{capabilities}\n")
    assert look_at_processes(proc).hides == hides


def test_proc_without_the_first_process_hides(proc: Path) -> None:
    (proc / "1").rename(proc / "one")
    assert look_at_processes(proc).hides


def test_proc_of_another_namespace_hides(proc: Path) -> None:
    (proc / "self").unlink()
    (proc / "self").symlink_to("1")
    (proc / "1" / "mountinfo").write_text("")
    assert look_at_processes(proc).hides


def test_no_proc_hides_everything(tmp_path: Path) -> None:
    look = look_at_processes(tmp_path / "nothing")
    assert look.hides
    assert look.processes == {}
    assert read_boot_id(tmp_path) is None


def test_what_may_be_hidden() -> None:
    hidden = Hidden()
    assert os.getpid() in hidden
    assert 1 in hidden
    for nobody in (0, -1, 2**31 - 1, 2**40, "1"):
        assert nobody not in hidden


def test_what_is_overdue_ends_by_deadline_then_by_pid() -> None:
    log = MemoryLog()
    manager = Manager(clock=ManualClock(), log=log)
    for pid, uid, timeout_ms in ((45, 1, 900), (44, 2, 400), (43, 3, 900), (42, 4, 901)):
        manager.apply(uid, pid, CPU, timeout_ms, process=True)
    manager.apply(5, 41, CPU, persist=True, process=True)
    manager.apply(6, 40, CPU, 400)
    follower = replay(group for _, group in log.read())
    assert _core.overdue_of(follower, 900) == [(44, 2), (43, 3), (45, 1)]
    assert _core.overdue_of(follower, 399) == []
