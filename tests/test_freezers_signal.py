"""Freezing by signals, with real processes. Where it shows that nothing runs it has to wait a moment."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from freezing import (
    APP,
    BUSY,
    FORKING,
    PROC,
    SLEEPY,
    USER,
    Apps,
    freeze,
    of_sessions,
    rests,
    runs,
    session,
    state,
    ticks,
)
from grantwheel import Manager
from grantwheel.linux.freezers_notes import ENDING
from grantwheel.linux.freezers_signal import SignalFreezer
from grantwheel.linux.freezers_thaw import thaw_left
from grantwheel.suspend import FreezeError, FreezeRefusedError, PartlyThawedError, Suspension
from support import CPU
from waiting import wait_for

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="it needs root: to have processes of other users")
THREADS = """
import threading
def turn():
    while True: pass
for _ in range(4): threading.Thread(target=turn).start()
"""


@pytest.fixture
def apps() -> Iterator[Apps]:
    made = Apps()
    yield made
    made.end()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def noted(notes: Path) -> list[str]:
    (file,) = notes.glob(f"*{ENDING}")
    return file.read_text(encoding="ascii").splitlines()[1:]


def test_a_busy_process_gets_no_cpu_while_it_is_frozen_and_goes_on_then(apps: Apps, notes: Path) -> None:
    pid = apps.start(BUSY)
    with SignalFreezer(notes, processes=of_sessions(pid)) as freezer:
        assert runs(pid)
        freeze(freezer)
        assert state(pid) == "T"
        assert rests([pid])
        assert freezer.freeze(APP)  # a look
        freezer.thaw(APP)
        assert runs(pid)
        assert noted(notes) == []
    assert list(notes.iterdir()) == []


def test_a_suspended_app_gets_no_cpu_and_goes_on_after_a_grant(apps: Apps, notes: Path) -> None:
    pid = apps.start(BUSY)
    manager = Manager()
    with Suspension(manager, SignalFreezer(notes, processes=of_sessions(pid)), grace_ms=10) as suspension:
        suspension.background(APP)
        wait_for(lambda: suspension.state(APP) == "suspended")
        assert rests([pid])
        manager.apply(APP, pid, CPU, 600_000, process=True)
        assert runs(pid)
        wait_for(lambda: suspension.state(APP) == "background")
        manager.process_died(APP, pid)
        wait_for(lambda: suspension.state(APP) == "suspended")
    assert runs(pid)
    manager.close()


def test_many_processes_that_fork_meanwhile(apps: Apps, notes: Path) -> None:
    leaders = [apps.start(FORKING, "48") for _ in range(4)]
    for leader in leaders:
        apps.wait_for_output(leader)
    assert len(list(of_sessions(*leaders)(APP))) >= 196
    with SignalFreezer(notes, processes=of_sessions(*leaders)) as freezer:
        freeze(freezer)
        frozen = set(of_sessions(*leaders)(APP))
        assert len(frozen) >= 196
        assert rests(frozen)
        assert set(of_sessions(*leaders)(APP)) == frozen  # nobody was born
        freezer.thaw(APP)
        before = ticks(leaders)
        wait_for(lambda: ticks(leaders) > before + 4)
        assert all(state(pid) != "T" for pid in frozen)


def test_whoever_is_born_later_is_found_by_the_next_look(apps: Apps, notes: Path) -> None:
    first, second = apps.start(BUSY), apps.start(BUSY)
    mine = [first]
    with SignalFreezer(notes, processes=lambda _: mine) as freezer:
        freeze(freezer)
        mine.append(second)
        freeze(freezer)
        assert rests([first, second])


def test_whoever_was_continued_by_others_is_stopped_again(apps: Apps, notes: Path) -> None:
    pid = apps.start(BUSY)
    with SignalFreezer(notes, processes=of_sessions(pid)) as freezer:
        freeze(freezer)
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: state(pid) == "R")
        freeze(freezer)
        assert rests([pid])


def test_what_others_have_stopped_stays_stopped(apps: Apps, notes: Path) -> None:
    stopped, pid = apps.start(SLEEPY), apps.start(SLEEPY)
    os.kill(stopped, signal.SIGSTOP)
    wait_for(lambda: state(stopped) == "T")
    with SignalFreezer(notes, processes=of_sessions(stopped, pid)) as freezer:
        freeze(freezer)
        assert [line for line in noted(notes) if str(stopped) in line] == []
        freezer.thaw(APP)
        wait_for(lambda: state(pid) != "T")
        assert state(stopped) == "T"
    assert state(stopped) == "T"


def test_all_threads_rest(apps: Apps, notes: Path) -> None:
    pid = apps.start(
        "import threading\nfor _ in range(4):\n    threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()"
    )
    wait_for(lambda: len(list((PROC / str(pid) / "task").iterdir())) >= 5)
    with SignalFreezer(notes, processes=of_sessions(pid)) as freezer:
        freeze(freezer)
        assert rests([pid])


def test_a_parent_that_waits_for_the_exec_of_its_child_rests_too(apps: Apps, notes: Path) -> None:
    pid = apps.start("import subprocess\nwhile True: subprocess.run(['/bin/true'])")  # by vfork
    with SignalFreezer(notes, processes=of_sessions(pid)) as freezer:
        for _ in range(10):
            freeze(freezer)
            frozen = session(pid)
            assert rests(frozen, 0.03)
            freezer.thaw(APP)


def test_frozen_ones_can_be_killed(apps: Apps, notes: Path) -> None:
    killed, pid = apps.start(BUSY), apps.start(BUSY)
    with SignalFreezer(notes, processes=of_sessions(killed, pid)) as freezer:
        freeze(freezer)
        apps.kill(killed)
        assert freezer.freeze(APP)
        freezer.thaw(APP)
        assert runs(pid)
    assert list(notes.iterdir()) == []


def test_nobody_at_all(notes: Path) -> None:
    with SignalFreezer(notes, processes=lambda _: [2**22 + 1]) as freezer:  # no such pid
        assert freezer.freeze(APP)
        freezer.thaw(APP)


# What may not be frozen.


@pytest.mark.parametrize(
    ("pid", "what"),
    [
        (1, "the init"),
        (os.getpid(), "this process"),
        (os.getppid(), "the leader of this session|a parent of this process|the init"),
    ],
)
def test_nobody_freezes_what_this_process_needs(apps: Apps, notes: Path, pid: int, what: str) -> None:
    harmless = apps.start(BUSY)
    with SignalFreezer(notes, processes=lambda _: [harmless, pid]) as freezer:
        with pytest.raises(FreezeRefusedError, match=f"process {pid} .* is not frozen: it is ({what})"):
            freezer.freeze(APP)
        freezer.thaw(APP)
    assert runs(harmless)


def test_the_leader_of_the_session_is_not_frozen(notes: Path) -> None:
    """The shell of this session, though it is no parent: the one in between has ended."""
    code = """
import os, sys, time
from grantwheel.linux.freezers_signal import SignalFreezer
os.setsid()
leader = os.getpid()
ready, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.close(write)
        os.read(ready, 1)  # its parent has ended
        while os.getppid() == leader: time.sleep(0.01)
        with SignalFreezer(sys.argv[1], processes=lambda _: [leader]) as freezer:
            try:
                freezer.freeze(700)
                print("it was frozen", flush=True)
            except OSError as error:
                print(error.strerror, leader, os.getppid(), flush=True)
        os._exit(0)
    os._exit(0)
os.wait()
os.close(write)
time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(notes)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    line = child.stdout.readline()
    child.kill()
    child.communicate()
    assert line.startswith(f"process {child.pid} (python")
    assert "the leader of this session" in line


@needs_root
def test_threads_of_the_kernel_are_not_frozen(notes: Path) -> None:
    kernel = next((int(path.name) for path in PROC.iterdir() if path.name.isdecimal() and is_of_kernel(path)), None)
    if kernel is None:
        pytest.skip("no thread of the kernel is to be seen here")
    with (
        SignalFreezer(notes, processes=lambda _: [kernel]) as freezer,
        pytest.raises(FreezeRefusedError, match="it is of the kernel"),
    ):
        freezer.freeze(APP)


def is_of_kernel(path: Path) -> bool:
    text = (path / "stat").read_bytes()
    return bool(int(text[text.rfind(b")") + 1 :].split()[6]) & 0x00200000)


def test_uid_0_is_not_frozen(notes: Path) -> None:
    with SignalFreezer(notes) as freezer, pytest.raises(FreezeRefusedError, match="those of the system"):
        freezer.freeze(0)


def test_an_own_uid_is_not_frozen(notes: Path) -> None:
    if IS_ROOT:
        pytest.skip("root has uid 0, which is refused by itself")
    with SignalFreezer(notes) as freezer, pytest.raises(FreezeRefusedError, match="it is"):
        freezer.freeze(os.getuid())


def test_a_proc_that_hides_processes_is_refused(tmp_path: Path, notes: Path) -> None:
    proc = fake_proc(tmp_path, "20 1 0:5 / {proc} rw,relatime - proc proc rw,hidepid=2\n")
    with SignalFreezer(notes, proc=proc) as freezer, pytest.raises(FreezeRefusedError, match="hidepid"):
        freezer.freeze(APP)


def fake_proc(folder: Path, mounts: str) -> Path:
    proc = folder / "proc"
    own = proc / str(os.getpid())
    own.mkdir(parents=True)
    (proc / "self").symlink_to(str(os.getpid()))
    (own / "mountinfo").write_text(mounts.format(proc=proc), encoding="ascii")
    (own / "status").write_text("CapEff:\t0000000000000000\n", encoding="ascii")
    return proc


def test_the_proc_of_another_namespace_is_refused(tmp_path: Path, notes: Path) -> None:
    proc = fake_proc(tmp_path, "")
    (proc / "self").unlink()
    (proc / "self").symlink_to("1")
    (proc / "1").mkdir()
    with SignalFreezer(notes, proc=proc) as freezer, pytest.raises(FreezeRefusedError, match="namespace"):
        freezer.freeze(APP)


@needs_root
def test_an_app_is_all_processes_of_its_uid(apps: Apps, notes: Path) -> None:
    pids = [apps.start(BUSY, user=USER) for _ in range(3)]
    other = apps.start(BUSY, user=USER + 1)
    with SignalFreezer(notes) as freezer:
        freeze(freezer, USER)
        assert rests(pids)
        assert runs(other)
        freezer.thaw(USER)
        for pid in pids:
            assert runs(pid)


@needs_root
def test_whoever_may_not_be_signalled_is_named(apps: Apps, notes: Path) -> None:
    pid = apps.start(BUSY)
    code = """
import encodings.ascii, os, sys  # what cannot be had any more as another user, who may not get to it
from grantwheel.linux.freezers_signal import SignalFreezer
notes, pid, user = sys.argv[1:]
os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
with SignalFreezer(notes, processes=lambda _: [int(pid)]) as freezer:
    try:
        freezer.freeze(700)
    except OSError as error:
        print(type(error).__name__, error.strerror)
    freezer.thaw(700)
"""
    with tempfile.TemporaryDirectory() as folder:  # where others get to, as they do not to those of pytest
        os.chown(folder, USER, USER)
        done = subprocess.run(
            [sys.executable, "-c", code, folder, str(pid), str(USER)], check=False, capture_output=True, text=True
        )
    what = "may not be sent SIGSTOP: that takes its user, root or CAP_KILL"
    assert (done.stdout, done.stderr) == (f"FreezeError process {pid} {what}\n", "")
    assert runs(pid)


def test_notes_that_cannot_be_written_freeze_nobody(apps: Apps, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = apps.start(BUSY)
    with SignalFreezer(notes, processes=of_sessions(pid)) as freezer:

        def fail(_: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="Input/output"):
                freezer.freeze(APP)
        assert state(pid) != "T"
        assert noted(notes) == []
        freeze(freezer)
        assert rests([pid])


def test_a_failure_in_the_middle_is_taken_back_by_a_thaw(
    apps: Apps, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = [apps.start(BUSY) for _ in range(3)]
    sent = []
    real = signal.pidfd_send_signal

    def send(descriptor: int, number: int) -> None:
        sent.append(number)
        if len(sent) == 2:
            raise PermissionError(1, "no")
        real(descriptor, number)

    with SignalFreezer(notes, processes=of_sessions(*pids)) as freezer:
        monkeypatch.setattr(signal, "pidfd_send_signal", send)
        with pytest.raises(FreezeError, match="may not be sent SIGSTOP"):
            freezer.freeze(APP)
        freezer.thaw(APP)
        for pid in pids:
            assert runs(pid)


def test_one_that_cannot_be_thawed_holds_up_no_other(apps: Apps, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = [apps.start(BUSY) for _ in range(2)]
    refused: list[int] = []
    real = signal.pidfd_send_signal

    def send(descriptor: int, number: int) -> None:
        if not refused:
            refused.append(number)
            raise PermissionError(1, "no")
        real(descriptor, number)

    with SignalFreezer(notes, processes=lambda _: pids) as freezer:
        freeze(freezer)
        monkeypatch.setattr(signal, "pidfd_send_signal", send)
        with pytest.raises(PartlyThawedError, match=f"process {pids[0]} may not be sent SIGCONT"):
            freezer.thaw(APP)
        assert runs(pids[1])
        assert state(pids[0]) == "T"
        freezer.thaw(APP)
        assert runs(pids[0])


def test_a_process_whose_first_thread_has_ended_is_frozen(apps: Apps, notes: Path) -> None:
    """It looks like a zombie."""
    pid = apps.start(
        "import ctypes, threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\n"
        "ctypes.CDLL(None).syscall(ctypes.c_long(60 if os.uname().machine == 'x86_64' else 93), 0)"
    )
    wait_for(lambda: state(pid) == "Z")
    (thread,) = [int(path.name) for path in (PROC / str(pid) / "task").iterdir() if int(path.name) != pid]
    with SignalFreezer(notes, processes=lambda _: [pid]) as freezer:
        assert runs(pid)
        freeze(freezer)
        assert noted(notes)
        assert state(thread) == "T"
        assert rests([pid])
        freezer.thaw(APP)
        assert runs(pid)


def test_close_continues_everybody(apps: Apps, notes: Path) -> None:
    first, second = apps.start(BUSY), apps.start(BUSY)
    freezer = SignalFreezer(notes, processes=lambda uid: [{1: first, 2: second}[uid]])
    for uid in (1, 2):
        freeze(freezer, uid)
    freezer.close()
    freezer.close()
    assert runs(first)
    assert runs(second)


def test_two_freezers_share_a_folder_and_leave_each_other_alone(apps: Apps, notes: Path) -> None:
    pid = apps.start(BUSY)
    with SignalFreezer(notes, processes=of_sessions(pid)) as freezer:
        freeze(freezer)
        with SignalFreezer(notes, processes=lambda _: []) as other:
            assert other.recovered.in_use == 1
            assert other.recovered.uids == ()
        assert thaw_left(notes).in_use == 1
        assert state(pid) == "T"


def test_a_thread_of_the_freezer_is_no_obstacle(apps: Apps, notes: Path) -> None:
    """A loop makes it on one thread and uses it on another."""
    pid = apps.start(BUSY)
    freezer = SignalFreezer(notes, processes=of_sessions(pid))
    thread = threading.Thread(target=freeze, args=(freezer,))
    thread.start()
    thread.join()
    assert rests([pid])
    freezer.close()
    assert runs(pid)
