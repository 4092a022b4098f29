"""Freezing by cgroups: what is decided, in a tree of plain files; and the rest in real cgroups, which root can make."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashing import run_until
from freezing import APP, BUSY, FORKING, SLEEPY, USER, freeze, make_group, rests, runs, session, state, ticks
from freezing_groups import FIRST, SECOND, Real, Tree
from grantwheel import Manager, ManualClock
from grantwheel.linux.freezers_notes import ENDING, Frozen, Notes
from grantwheel.linux.freezers_thaw import thaw_left
from grantwheel.suspend import CgroupFreezer, FreezeError, FreezeRefusedError, HierarchyError, Suspension
from waiting import PATIENCE, wait_for

OTHER = APP + 1


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def noted(notes: Path) -> list[str]:
    (file,) = notes.glob(f"*{ENDING}")
    return file.read_text(encoding="ascii").splitlines()[1:]


# A tree of plain files.


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_it_is_frozen_when_the_kernel_says_so(tree: Tree, notes: Path) -> None:
    path = tree.group("apps/app-700")
    with CgroupFreezer(notes, cgroup="apps/app-{uid}", proc=tree.proc) as freezer:
        assert not freezer.freeze(APP)
        assert tree.told(path) == "1"
        assert noted(notes) == [f'["cgroup", 700, {path.stat().st_ino}, "{path}"]']
        assert not freezer.freeze(APP)
        tree.answer(path, 1)
        assert freezer.freeze(APP)
        freezer.thaw(APP)
        assert (tree.told(path), noted(notes)) == ("0", [])
        freezer.thaw(APP)


def test_what_the_kernel_does_not_freeze_in_time_is_thawed_and_told(tree: Tree, notes: Path) -> None:
    path = tree.group("app-700")
    clock = ManualClock()
    manager = Manager(clock=clock)
    freezer = CgroupFreezer(notes, cgroup="app-{uid}", proc=tree.proc)
    with Suspension(manager, freezer, grace_ms=0, freeze_ms=100) as suspension:
        suspension.background(APP)
        for _ in range(110):
            assert suspension.state(APP) == "background"
            clock.advance(1)
            suspension.advance()
        assert suspension.why(APP).failure == "not all of it was frozen within 100 ms"
        assert tree.told(path) == "0"


def test_what_others_have_frozen_stays_frozen(tree: Tree, notes: Path) -> None:
    path = tree.group("app-700", told=1, frozen=1)
    with CgroupFreezer(notes, cgroup="app-{uid}", proc=tree.proc) as freezer:
        assert freezer.freeze(APP)
        assert noted(notes) == []
        freezer.thaw(APP)
    assert tree.told(path) == "1"


def test_what_others_have_thawed_is_frozen_again(tree: Tree, notes: Path) -> None:
    path = tree.group("app-700", frozen=1)
    with CgroupFreezer(notes, cgroup="app-{uid}", proc=tree.proc) as freezer:
        freezer.freeze(APP)
        tree.group("app-700", told=0, frozen=0)
        assert not freezer.freeze(APP)
        assert tree.told(path) == "1"


def test_a_cgroup_of_another_name_or_a_new_one_is_no_longer_the_same(tree: Tree, notes: Path) -> None:
    names = ["first"]
    first, second = tree.group("first", frozen=1), tree.group("second", frozen=1)
    with CgroupFreezer(notes, cgroup=lambda _: names[-1], proc=tree.proc) as freezer:
        freezer.freeze(APP)
        names.append("second")
        with pytest.raises(FreezeError, match=rf"app 700 is in {second} now, and was frozen in {first}"):
            freezer.freeze(APP)
        freezer.thaw(APP)
        assert tree.told(first) == "0"
        assert freezer.freeze(APP)
        assert tree.told(second) == "1"


def test_a_function_may_return_any_path_below_the_mount(tree: Tree, notes: Path) -> None:
    path = tree.group("one/two", frozen=1)
    for given in ("one/two", path, str(path)):
        with CgroupFreezer(notes, cgroup={APP: given}.__getitem__, proc=tree.proc) as freezer:
            assert freezer.freeze(APP)
            assert tree.told(path) == "1"
        assert tree.told(path) == "0"


@pytest.mark.parametrize("name", ["", "/", ".", "..", "one/../..", "/sys", "one/.."])
def test_other_places_are_refused(tree: Tree, notes: Path, name: str) -> None:
    tree.group("one")
    with (
        CgroupFreezer(notes, cgroup=name, proc=tree.proc) as freezer,
        pytest.raises(FreezeRefusedError, match=rf"is no cgroup to be frozen: it must be below {tree.mount}"),
    ):
        freezer.freeze(APP)


def test_a_cgroup_that_is_not_there_is_told(tree: Tree, notes: Path) -> None:
    with (
        CgroupFreezer(notes, cgroup="app-{uid}", proc=tree.proc) as freezer,
        pytest.raises(FreezeError, match="app-700 could not be frozen: there is no such cgroup"),
    ):
        freezer.freeze(APP)


def test_a_cgroup_with_this_process_in_it_is_refused(tree: Tree, notes: Path) -> None:
    for name in ("own", "own/deeper"):
        tree.group(name)
    tree.process(os.getpid(), os.getuid(), "/own/deeper", parent=0)
    with CgroupFreezer(notes, cgroup=lambda _: "own", proc=tree.proc) as freezer:
        with pytest.raises(FreezeRefusedError, match=f"own is not frozen: process {os.getpid()} is in it"):
            freezer.freeze(APP)
        assert tree.told(tree.mount / "own") == "0"


def test_a_cgroup_with_a_parent_or_the_init_in_it_is_refused(tree: Tree, notes: Path) -> None:
    tree.group("theirs")
    tree.process(os.getpid(), os.getuid(), "/own", parent=4_000_000)
    tree.process(4_000_000, 5, "/theirs", parent=0)
    with CgroupFreezer(notes, cgroup="theirs", proc=tree.proc) as freezer:
        with pytest.raises(FreezeRefusedError, match="a parent of this process"):
            freezer.freeze(APP)
        tree.process(4_000_000, 5, "/elsewhere", parent=0)
        tree.process(1, 0, "/theirs", parent=0)
        with pytest.raises(FreezeRefusedError, match="process 1 is in it, the init"):
            freezer.freeze(APP)


def test_the_cgroup_is_found_from_the_processes(tree: Tree, notes: Path) -> None:
    path = tree.group("users/700", frozen=1)
    tree.group("users/700/a", 4_000_001)
    tree.group("users/700/b", 4_000_002)
    tree.process(4_000_001, APP, "/users/700/a")
    tree.process(4_000_002, APP, "/users/700/b")
    tree.process(4_000_003, APP, "/users/800 (deleted)")  # it has ended, and nobody has waited for it
    with CgroupFreezer(notes, proc=tree.proc) as freezer:
        assert freezer.freeze(APP)
        assert tree.told(path) == "1"


def test_an_app_without_processes_has_nothing_that_could_run(tree: Tree, notes: Path) -> None:
    with CgroupFreezer(notes, proc=tree.proc) as freezer:
        assert freezer.freeze(APP)
        assert noted(notes) == []


def test_a_cgroup_that_is_shared_is_refused(tree: Tree, notes: Path) -> None:
    tree.group("shared", 4_000_001, 4_000_002)
    tree.process(4_000_001, APP, "/shared")
    tree.process(4_000_002, 800, "/shared")
    with (
        CgroupFreezer(notes, proc=tree.proc) as freezer,
        pytest.raises(FreezeRefusedError, match=r"it is in .*/shared together with process 4000002 of uid 800"),
    ):
        freezer.freeze(APP)


def test_processes_that_are_everywhere_are_refused(tree: Tree, notes: Path) -> None:
    tree.process(4_000_001, APP, "/a")
    tree.process(4_000_002, APP, "/b")
    with (
        CgroupFreezer(notes, proc=tree.proc) as freezer,
        pytest.raises(FreezeRefusedError, match="uid 700 cannot be frozen: it has no cgroup of its own"),
    ):
        freezer.freeze(APP)


def test_only_a_part_of_the_hierarchy_is_mounted(tmp_path: Path, notes: Path) -> None:
    tree = Tree(tmp_path, root="/container")
    path = tree.group("app", 4_000_001, frozen=1)
    tree.process(4_000_001, APP, "/container/app")
    with CgroupFreezer(notes, proc=tree.proc) as freezer:
        assert freezer.freeze(APP)
        assert tree.told(path) == "1"
        freezer.thaw(APP)
        for place in ("/app", "/../app"):
            tree.process(4_000_001, APP, place)
            with pytest.raises(FreezeRefusedError, match="which is not mounted here"):
                freezer.freeze(APP)


@pytest.mark.parametrize(
    ("mounts", "why"),
    [
        ("", "no cgroups are mounted here: mount cgroup2, or freeze by signals"),
        ("25 1 8:1 / / rw - ext4 /dev/root rw\n", "no cgroups are mounted here"),
        (FIRST, "version 1 only.*boot with systemd.unified_cgroup_hierarchy=1, or freeze by signals"),
        (FIRST + SECOND, r"both versions \(hybrid\).*boot with .*or freeze by signals.*name it: root="),
    ],
)
def test_other_hierarchies_are_refused_with_what_to_do(tmp_path: Path, notes: Path, mounts: str, why: str) -> None:
    tree = Tree(tmp_path, mounts)
    with pytest.raises(HierarchyError, match=why):
        CgroupFreezer(notes, proc=tree.proc)
    assert not notes.exists()


def test_a_hybrid_one_can_be_named(tmp_path: Path, notes: Path) -> None:
    tree = Tree(tmp_path, SECOND + FIRST)
    path = tree.group("app", frozen=1)
    for root in (tree.mount, tree.mount / "app"):
        with CgroupFreezer(notes, cgroup="app", root=root, proc=tree.proc) as freezer:
            assert freezer.freeze(APP)
            assert tree.told(path) == "1"
    with pytest.raises(HierarchyError, match="/elsewhere is no part of a file system of type cgroup2"):
        CgroupFreezer(notes, root="/elsewhere", proc=tree.proc)


def test_what_was_left_is_thawed_at_the_next_start(tree: Tree, notes: Path) -> None:
    path = tree.group("app-700", told=1)
    other = tree.group("app-800", told=1)
    notes.mkdir(mode=0o700)
    said = [
        "grantwheel-frozen 1 -",
        f'["cgroup", 700, {path.stat().st_ino}, "{path}"]',
        f'["cgroup", 800, {other.stat().st_ino + 1}, "{other}"]',  # another one of that name
        f'["cgroup", 900, 1, "{tree.mount}/gone"]',
    ]
    (notes / f"left{ENDING}").write_text("\n".join([*said, ""]), encoding="ascii")
    with CgroupFreezer(notes, proc=tree.proc) as freezer:
        assert (freezer.recovered.uids, freezer.recovered.gone, freezer.recovered.failures) == ((700,), 2, ())
    assert (tree.told(path), tree.told(other)) == ("0", "1")
    assert list(notes.iterdir()) == []


def test_notes_write_nowhere_else(tree: Tree, notes: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "cgroup.freeze").write_text("1\n", encoding="ascii")
    notes.mkdir(mode=0o700)
    said = f'grantwheel-frozen 1 -\n["cgroup", 700, {elsewhere.stat().st_ino}, "{elsewhere}"]\n'
    (notes / f"left{ENDING}").write_text(said, encoding="ascii")
    (failure,) = thaw_left(notes, tree.proc).failures
    assert "is no part of a file system of type cgroup2" in failure
    assert (elsewhere / "cgroup.freeze").read_text(encoding="ascii") == "1\n"


# Real cgroups.


@pytest.fixture
def real() -> Iterator[Real]:
    with Real(make_group()) as made:
        yield made


def freezer_of(real: Real, notes: Path, name: str = "app") -> CgroupFreezer:
    return CgroupFreezer(notes, cgroup=lambda _: real.root / name, root=real.root)


def test_a_busy_process_gets_no_cpu_while_it_is_frozen(real: Real, notes: Path) -> None:
    pid = real.start(real.group("app"), BUSY)
    with freezer_of(real, notes) as freezer:
        assert runs(pid)
        freeze(freezer)
        assert rests([pid])
        assert freezer.freeze(APP)
        freezer.thaw(APP)
        assert runs(pid)
    assert list(notes.iterdir()) == []


def test_whoever_comes_in_rests_too(real: Real, notes: Path) -> None:
    path = real.group("app")
    real.start(path, SLEEPY)
    with freezer_of(real, notes) as freezer:
        freeze(freezer)
        late = real.apps.start(BUSY)
        assert runs(late)
        (path / "cgroup.procs").write_text(str(late), encoding="ascii")
        wait_for(lambda: freezer.freeze(APP))
        assert rests([late])
        freezer.thaw(APP)
        assert runs(late)


def test_many_processes_that_fork_meanwhile(real: Real, notes: Path) -> None:
    path = real.group("app")
    leaders = [real.start(path, FORKING, "48") for _ in range(4)]
    for leader in leaders:
        real.apps.wait_for_output(leader)
    with freezer_of(real, notes) as freezer:
        freeze(freezer)
        frozen = set(session(*leaders))
        assert len(frozen) >= 196
        assert rests(frozen)
        assert set(session(*leaders)) == frozen
        freezer.thaw(APP)
        before = ticks(leaders)
        wait_for(lambda: ticks(leaders) > before + 4)


def test_frozen_ones_can_be_killed(real: Real, notes: Path) -> None:
    path = real.group("app")
    pid = real.start(path, BUSY)
    with freezer_of(real, notes) as freezer:
        freeze(freezer)
        real.apps.kill(pid)
        assert state(pid) == ""
        freezer.freeze(APP)
        freezer.thaw(APP)


def test_a_cgroup_that_vanishes_is_a_failure_and_nothing_stays(real: Real, notes: Path) -> None:
    path = real.group("app")
    pid = real.start(path, SLEEPY)
    clock = ManualClock()
    manager = Manager(clock=clock)
    with Suspension(manager, freezer_of(real, notes), grace_ms=0, look_ms=100) as suspension:
        reader = suspension.subscribe("the test")
        suspension.background(APP)

        def is_suspended() -> bool:
            clock.advance(1)
            suspension.advance()
            return suspension.state(APP) == "suspended"

        wait_for(is_suspended)
        real.apps.kill(pid)
        real.remove(path)
        clock.advance(100)
        suspension.advance()
        assert suspension.state(APP) == "background"
        assert "there is no such cgroup" in suspension.why(APP).failure
        assert [event.kind for event in reader.drain()][2:] == ["freeze_failed", "background"]
        assert noted(notes) == []


def test_a_cgroup_that_vanishes_in_the_middle_of_freezing(
    real: Real, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = real.group("app")
    add = Notes.add

    def note_and_remove(self: Notes, uid: int, frozen: list[Frozen]) -> None:
        add(self, uid, frozen)
        real.remove(path)

    monkeypatch.setattr(Notes, "add", note_and_remove)
    with freezer_of(real, notes) as freezer:
        with pytest.raises(FreezeError, match="app could not be frozen: there is no such cgroup"):
            freezer.freeze(APP)
        assert len(noted(notes)) == 1
        freezer.thaw(APP)
        assert noted(notes) == []


def test_another_cgroup_of_that_name_is_not_thawed(real: Real, notes: Path) -> None:
    path = real.group("app")
    with freezer_of(real, notes) as freezer:
        freeze(freezer)
        real.remove(path)
        real.group("app")
        (path / "cgroup.freeze").write_text("1", encoding="ascii")
        freezer.thaw(APP)
        assert (path / "cgroup.freeze").read_text(encoding="ascii") == "1\n"


def test_what_others_froze_is_left(real: Real, notes: Path) -> None:
    path = real.group("app")
    pid = real.start(path, BUSY)
    (path / "cgroup.freeze").write_text("1", encoding="ascii")
    with freezer_of(real, notes) as freezer:
        freeze(freezer)
        freezer.thaw(APP)
        assert rests([pid])
    assert rests([pid])


def test_an_app_is_where_its_processes_are(real: Real, notes: Path) -> None:
    path = real.group("app")
    inner = real.group("app/inner")
    pids = [real.start(path, BUSY, user=USER), real.start(inner, BUSY, user=USER)]
    with CgroupFreezer(notes, root=real.root) as freezer:
        freeze(freezer, USER)
        assert rests(pids)
        assert (path / "cgroup.freeze").read_text(encoding="ascii").strip() == "1"
        freezer.thaw(USER)
        other = real.start(inner, SLEEPY, user=USER + 1)
        with pytest.raises(FreezeRefusedError, match=f"together with process {other} of uid {USER + 1}"):
            freezer.freeze(USER)


def test_nobody_freezes_the_cgroup_that_it_is_in(real: Real, notes: Path) -> None:
    path = real.group("app")
    code = """
import os, sys
from grantwheel.suspend import CgroupFreezer
path, notes = sys.argv[1:]
with open(f"{path}/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
with CgroupFreezer(notes, cgroup=lambda _: path, root=path) as freezer:
    try:
        freezer.freeze(700)
    except OSError as error:
        print(type(error).__name__, error.strerror.partition("not frozen: ")[2])
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(notes)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            out, _ = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()  # should it have frozen itself
        assert out == f"FreezeRefusedError process {child.pid} is in it, this process\n"


def test_whoever_may_not_freeze_is_told_what_it_takes(real: Real) -> None:
    path = real.group("app")
    code = """
import encodings.ascii, os, sys
from grantwheel.suspend import CgroupFreezer
path, notes, user = sys.argv[1:]
os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
with CgroupFreezer(notes, cgroup=lambda _: path, root=path) as freezer:
    try:
        freezer.freeze(700)
    except OSError as error:
        print(type(error).__name__, error.strerror)
    freezer.thaw(700)
"""
    path.parent.chmod(0o755)
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, USER, USER)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), folder, str(USER)], check=False, capture_output=True, text=True
        )
    what = "Permission denied: that takes root, or a cgroup that was delegated to this user (systemd: Delegate=yes)"
    assert (done.stdout, done.stderr) == (f"FreezeError {path} could not be frozen: {what}\n", "")


@pytest.mark.parametrize("by", ["the next start", "grantwheel thaw"])
def test_what_kill_9_leaves_frozen_is_thawed(real: Real, notes: Path, by: str) -> None:
    path = real.group("app")
    pid = real.start(path, BUSY)
    code = """
import sys, time
from grantwheel import Manager
from grantwheel.suspend import CgroupFreezer, Suspension
path, notes = sys.argv[1:]
freezer = CgroupFreezer(notes, cgroup=lambda _: path, root=path)
with Suspension(Manager(), freezer, grace_ms=0) as suspension:
    suspension.background(700)
    while suspension.state(700) != "suspended":
        time.sleep(0.01)
    print("suspended", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(notes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as manager:
        assert manager.stdout is not None
        assert manager.stdout.readline() == "suspended\n"
        manager.kill()
        manager.wait()
    assert rests([pid])
    if by == "the next start":
        with freezer_of(real, notes) as freezer:
            assert freezer.recovered.uids == (APP,)
            assert runs(pid)
    else:
        command = [sys.executable, "-m", "grantwheel", "thaw", str(notes)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.stdout, done.stderr, done.returncode) == (f"app {APP} was thawed\n", "", 0)
    assert runs(pid)
    assert list(notes.iterdir()) == []


def test_a_crash_at_every_step(real: Real, notes: Path) -> None:
    path, theirs = real.group("app"), real.group("theirs")
    for group in (path, theirs):
        real.start(group, SLEEPY)
    (theirs / "cgroup.freeze").write_text("1", encoding="ascii")
    wait_for(lambda: "frozen 1" in (theirs / "cgroup.events").read_text(encoding="ascii"))

    def act() -> None:
        with CgroupFreezer(notes, cgroup={APP: path, OTHER: theirs}.__getitem__, root=real.root) as freezer:
            freeze(freezer)
            freeze(freezer, OTHER)
            freezer.thaw(OTHER)
            freezer.thaw(APP)
            freeze(freezer)

    step, frozen = 1, 0
    while not run_until(step, act):
        frozen += "1" in (path / "cgroup.freeze").read_text(encoding="ascii")
        left = thaw_left(notes)
        assert (left.failures, left.damage, left.in_use) == ((), (), 0), step
        assert "0" in (path / "cgroup.freeze").read_text(encoding="ascii"), step
        wait_for(lambda: "frozen 0" in (path / "cgroup.events").read_text(encoding="ascii"))
        assert "frozen 1" in (theirs / "cgroup.events").read_text(encoding="ascii"), step
        assert not notes.exists() or list(notes.iterdir()) == [], step
        step += 1
    assert step > 25
    assert frozen > 10
