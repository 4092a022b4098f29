"""Freezers among those who mean harm: apps that get away, paths that lead elsewhere, pids and names of others."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from freezing import APP, PROC, SLEEPY, USER, Apps, make_group, runs, state
from freezing_groups import Real, Tree
from grantwheel.linux.freezers_group import find_hierarchy
from grantwheel.linux.freezers_notes import ENDING, Group, Notes, boot_of
from grantwheel.linux.freezers_process import Process, see
from grantwheel.linux.freezers_thaw import thaw_left
from grantwheel.suspend import CgroupFreezer, FreezeError, FreezeRefusedError, HierarchyError, SignalFreezer
from waiting import PATIENCE

FIRST_PID, SECOND_PID = 4_000_001, 4_000_002


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def real() -> Iterator[Real]:
    with Real(make_group()) as made:
        yield made


@pytest.fixture
def apps() -> Iterator[Apps]:
    made = Apps()
    yield made
    made.end()


def left(folder: Path, *lines: str) -> None:
    """Notes as a crash leaves them."""
    folder.mkdir(mode=0o700)
    text = "\n".join([f"grantwheel-frozen 1 {boot_of(PROC)}", *lines, ""])
    (folder / f"left{ENDING}").write_text(text, encoding="ascii")


# Whoever may make cgroups gives them names.


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028"])
def test_no_name_ends_a_line(tree: Tree, notes: Path, end: str) -> None:
    """A cgroup may have all in its name that ends lines elsewhere, but a newline."""
    app, elsewhere = tree.group("app"), tree.group("elsewhere")
    tree.process(FIRST_PID, APP, "/app")
    says = f"4:memory:/app{end}0::/elsewhere\n0::/app\n"
    (tree.proc / str(FIRST_PID) / "cgroup").write_bytes(says.encode())
    with CgroupFreezer(notes, proc=tree.proc) as freezer:
        freezer.freeze(APP)
        assert (tree.told(app), tree.told(elsewhere)) == ("1", "0")


def test_no_mount_point_ends_a_line(tree: Tree) -> None:
    name = "/a\rb\x0cc\u2028d"
    (tree.proc / "self/mountinfo").write_bytes(f"30 1 0:26 / {name} rw - cgroup2 cgroup2 rw\n".encode())
    assert find_hierarchy(tree.proc, None).mount == Path(name)


def test_whoever_calls_its_cgroup_deleted_is_frozen_there(tree: Tree, notes: Path) -> None:
    """``/proc`` says that of a cgroup that is no more. Else an empty one would be frozen, and the app called so."""
    empty, app = tree.group("app"), tree.group("app (deleted)")
    tree.process(FIRST_PID, APP, "/app (deleted)")
    with CgroupFreezer(notes, proc=tree.proc) as freezer:
        freezer.freeze(APP)
        assert (tree.told(empty), tree.told(app)) == ("0", "1")


def test_a_cgroup_that_is_called_deleted_is_not_frozen_with_this_process_in_it(tree: Tree, notes: Path) -> None:
    group = tree.group("own (deleted)")
    tree.process(os.getpid(), os.getuid(), "/own (deleted)", parent=0)
    with CgroupFreezer(notes, cgroup="own (deleted)", proc=tree.proc) as freezer:
        with pytest.raises(FreezeRefusedError, match=f"process {os.getpid()} is in it, this process"):
            freezer.freeze(APP)
        assert tree.told(group) == "0"


def test_whoever_is_of_an_outer_pid_namespace_is_another(tree: Tree, notes: Path) -> None:
    group = tree.group("app", FIRST_PID, 0)
    tree.process(FIRST_PID, APP, "/app")
    with (
        CgroupFreezer(notes, proc=tree.proc) as freezer,
        pytest.raises(FreezeRefusedError, match="together with a process of an outer pid namespace"),
    ):
        freezer.freeze(APP)
    assert tree.told(group) == "0"


def test_threads_of_others_are_no_less_others(real: Real, notes: Path) -> None:
    """A threaded cgroup has no list of processes."""
    domain = real.group("app")
    threaded = real.group("app/threaded")
    (threaded / "cgroup.type").write_text("threaded", encoding="ascii")
    pids = [real.start(domain, SLEEPY, user=user) for user in (USER, USER + 1)]
    for pid in pids:
        (threaded / "cgroup.threads").write_text(str(pid), encoding="ascii")
    with (
        CgroupFreezer(notes, root=real.root) as freezer,
        pytest.raises(FreezeRefusedError, match=f"together with process {pids[1]} of uid {USER + 1}"),
    ):
        freezer.freeze(USER)
    assert (threaded / "cgroup.freeze").read_text(encoding="ascii") == "0\n"


# Paths that lead elsewhere.


def outside(tree: Tree) -> Path:
    """What looks like a cgroup, and is none."""
    path = tree.mount.parent / "outside"
    path.mkdir()
    (path / "cgroup.freeze").write_text("1\n", encoding="ascii")
    (path / "cgroup.events").write_text("frozen 1\n", encoding="ascii")
    return path


def test_no_link_leads_elsewhere(tree: Tree, notes: Path) -> None:
    """In cgroups there are none; in what somebody has mounted there might be."""
    there = outside(tree)
    (tree.mount / "link").symlink_to(there)
    (tree.mount / "inner").symlink_to(tree.group("own"))
    for name in ("link", "inner"):
        with (
            CgroupFreezer(notes, cgroup=name, proc=tree.proc) as freezer,
            pytest.raises(FreezeRefusedError, match=f"{name} is no cgroup: it leads out of {tree.mount}"),
        ):
            freezer.freeze(APP)
    assert tree.told(tree.mount / "own") == "0"
    assert (there / "cgroup.freeze").read_text(encoding="ascii") == "1\n"


@pytest.mark.parametrize("way", ["link", "../outside"])
def test_notes_lead_nowhere_else(tree: Tree, notes: Path, way: str) -> None:
    there = outside(tree)
    (tree.mount / "link").symlink_to(there)
    inode = there.stat().st_ino
    made = Notes(notes, tree.proc)
    made.add(APP, [Group(f"{tree.mount}/{way}", inode)])
    made._let_go()  # as a crash does
    (failure,) = thaw_left(notes, tree.proc).failures
    assert "is no part of a file system" in failure or "leads out of" in failure
    assert (there / "cgroup.freeze").read_text(encoding="ascii") == "1\n"


@pytest.mark.parametrize("is_named", [False, True])
def test_a_mount_of_another_cgroup_namespace_is_refused(tmp_path: Path, notes: Path, is_named: bool) -> None:
    """There, nobody could say whether this process is in what is to be frozen."""
    tree = Tree(tmp_path, root="/../..")
    with pytest.raises(HierarchyError, match=r"of another cgroup namespace.*mount cgroup2 anew, or freeze by signals"):
        CgroupFreezer(notes, root=tree.mount if is_named else None, proc=tree.proc)


TRY = """
import sys
from grantwheel.suspend import CgroupFreezer
path, notes = sys.argv[1:]
try:
    with CgroupFreezer(notes, cgroup=lambda _: path, root=path) as freezer:
        freezer.freeze(700)
except OSError as error:
    print(type(error).__name__, error.strerror)
"""


def run_within(namespaces: str, script: str, *arguments: object) -> str:
    """Run a script of the shell, and then Python in namespaces of its own; return what that prints."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("it needs root and unshare, for namespaces")
    probe = subprocess.run(["unshare", *namespaces.split(), "true"], check=False, capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"it needs namespaces, which root cannot have here: {probe.stderr.strip()}")
    command = ["sh", "-ec", f'{script}\nexec unshare {namespaces} "$0" "$@"', sys.executable]
    done = subprocess.run(
        [*command, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_whoever_is_in_a_cgroup_namespace_does_not_freeze_itself(real: Real, notes: Path) -> None:
    """Its own cgroup is ``/`` there, wherever it is mounted."""
    path = real.group("app")
    told = run_within("--cgroup", 'echo 0 > "$3/cgroup.procs"', "-c", TRY, path, notes)
    assert told.startswith("HierarchyError ")
    assert "of another cgroup namespace" in told
    assert (path / "cgroup.freeze").read_text(encoding="ascii") == "0\n"


def test_what_is_mounted_over_a_cgroup_is_none(real: Real, notes: Path) -> None:
    path = real.group("app")
    script = """
import subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
open(f"{sys.argv[1]}/cgroup.freeze", "w").write("0")
"""
    told = run_within("--mount", "", "-c", script + TRY, path, notes)
    assert told.startswith(f"FreezeRefusedError {path} is no cgroup: it leads out of ")


# Pids, and what their processes call themselves.

REUSED = """
import os, signal, sys, time
from pathlib import Path
from grantwheel.linux.freezers_notes import Notes
from grantwheel.linux.freezers_process import see
from grantwheel.suspend import SignalFreezer, thaw_left

PROC, LAST = Path("/proc"), Path("/proc/sys/kernel/ns_last_pid")

def start(pid=0):
    if pid:
        LAST.write_text(str(pid - 1))
    child = os.fork()
    if child == 0:
        while True:
            time.sleep(0.01)
    assert pid in (0, child), (pid, child)
    return child

def replace(pid):
    start_ticks = see(PROC, pid).process.start_ticks
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while time.clock_gettime(time.CLOCK_BOOTTIME) * 100 < start_ticks + 2:
        pass  # a start is known to 10 ms
    start(pid)

def in_between(self, uid, new, real=Notes.add):
    real(self, uid, new)
    if new:
        replace(pid)

pid = start()
if sys.argv[2] == "freeze":
    Notes.add = in_between
    mine = [pid]
    with SignalFreezer(sys.argv[1], processes=lambda _: mine and [mine.pop()]) as freezer:
        frozen = freezer.freeze(700)
        print("frozen", frozen, see(PROC, pid).state in b"SR")
else:
    notes = Notes(Path(sys.argv[1]), PROC)
    notes.add(700, [see(PROC, pid).process])
    notes._let_go()  # as a crash does
    replace(pid)
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    print("thawed", thaw_left(Path(sys.argv[1])).gone, see(PROC, pid).state == b"T")
os.kill(pid, signal.SIGKILL)
"""


@pytest.mark.parametrize(("what", "told"), [("freeze", "frozen True True"), ("thaw", "thawed 1 True")])
def test_whoever_has_got_the_pid_is_not_meant(notes: Path, what: str, told: str) -> None:
    """A process ends between its note and its signal, and the next one has its pid."""
    if not (PROC / "sys/kernel/ns_last_pid").exists():
        pytest.skip("the kernel lets nobody choose a pid: it was built without CONFIG_CHECKPOINT_RESTORE")
    assert run_within("--pid --fork --mount-proc --kill-child", "", "-c", REUSED, notes, what) == told


def test_a_thread_is_no_process(apps: Apps, notes: Path) -> None:
    """Stopping one would stop all of its process, which may be this one."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    pid = apps.start(SLEEPY)
    try:
        tid = thread.native_id
        assert tid is not None
        with SignalFreezer(notes, processes=lambda _: [tid]) as freezer:
            with pytest.raises(FreezeError, match=f"process {tid} could not be sent SIGSTOP.*that of a thread"):
                freezer.freeze(APP)
            freezer.thaw(APP)
        assert state(pid) != "T"
    finally:
        done.set()
        thread.join()


def test_no_process_forges_a_line_by_its_name(apps: Apps) -> None:
    name = "a\nb\x1b[2J"
    pid = apps.start(f"open('/proc/self/comm', 'w').write({name!r})\nos.write(1, b'.')\n{SLEEPY}")
    apps.wait_for_output(pid)
    seen = see(PROC, pid)
    assert seen is not None
    assert seen.name == r"a\nb\x1b[2J"


# Notes that nobody has written like this.


@pytest.mark.parametrize(
    "line",
    [
        f'["process", 7, {10**30}, 1]',
        f'["process", 7, {2**31}, 1]',
        '["process", 7, 0, 1]',
        '["cgroup", 7, 1, "/sys/fs/cgroup/a\\u0000b"]',
        "[" * 100_000,
        '{"process": 7}',
    ],
    ids=lambda line: line[:40],
)
def test_a_line_that_makes_no_sense_keeps_nobody_frozen(apps: Apps, notes: Path, line: str) -> None:
    pid = apps.start("while True: pass")
    seen = see(PROC, pid)
    assert seen is not None
    os.kill(pid, 19)
    left(notes, line, f'["process", 8, {pid}, {seen.process.start_ticks}]')
    thawed = thaw_left(notes)
    assert (thawed.uids, len(thawed.damage)) == ((8,), 1)
    assert runs(pid)


def test_a_path_of_notes_forges_no_record(notes: Path, caplog: pytest.LogCaptureFixture) -> None:
    left(notes, '["cgroup", 7, 1, "/a\\nforged"]')
    thaw_left(notes)
    (message,) = caplog.messages
    assert r"/a\nforged" in message


def test_half_a_word_spoils_no_line_behind_it(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full when it was noted that one is thawed, and has room again when the next is frozen."""
    one, two, three = (Process(2**22 + number, 1) for number in (1, 2, 3))
    made = Notes(notes, PROC)
    made.add(1, [one])
    made.add(2, [two])
    real = os.write
    written = []

    def write(descriptor: int, data: bytes) -> int:
        written.append(data)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:5])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        made.drop(1)
    made.add(3, [three])
    made._let_go()  # as a crash does
    thawed = thaw_left(notes)
    assert (thawed.damage, thawed.gone) == ((), 3)


def test_notes_that_could_not_be_mended_are_begun_anew(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (Process(2**22 + number, 1) for number in (1, 2))
    made = Notes(notes, PROC)
    made.add(1, [one])
    real = os.write

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
        patch.setattr(os, "fsync", fail)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="Input/output"):
            made.add(2, [two])
    made.add(2, [two])
    made._let_go()
    thawed = thaw_left(notes)
    assert (thawed.damage, thawed.gone) == ((), 2)
