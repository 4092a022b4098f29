"""``grantwheel suspend`` and ``grantwheel thaw``, with a service of its own process and real commands."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashing import run_until
from freezing import BUSY, PROC, kill_quietly, make_group, rests, runs, state
from grantwheel import connect
from grantwheel.linux.freezers_notes import ENDING, Notes, boot_of
from grantwheel.linux.freezers_process import Process, see
from grantwheel.suspend import descendants_of
from service_process import WAIT_S, serving
from support import CPU
from waiting import wait_for

pytest.importorskip("hiredis", reason="the service needs it")

COMMAND = [sys.executable, "-m", "grantwheel"]
UID = os.geteuid()
SAYS_PID = f"import os, sys; print(os.getpid(), flush=True)\n{BUSY}"


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with serving() as path:
        yield path


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


class Run:
    """A run of the command, whose own command says its pid on its first line."""

    def __init__(self, socket: Path, notes: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "suspend", "--notes", str(notes), "--grace", "50ms", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"GRANTWHEEL_SOCKET": str(socket)},
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def told(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline().strip()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out, err

    def stop(self) -> int:
        self.process.terminate()
        return self.end()[0]


def begin(socket: Path, notes: Path, *arguments: str, pids: int = 1) -> tuple[Run, list[int]]:
    """Run the command, which is kept up until it has said the pids that it has to say."""
    with connect(socket) as grants:
        grants.apply(UID, os.getpid(), CPU, 600_000)
        run = Run(socket, notes, *arguments)
        said = [int(run.line()) for _ in range(pids)]
        grants.release(UID, os.getpid(), CPU)
    return run, said


def is_stopped(pid: int) -> bool:
    return state(pid) == "T"


def test_a_command_is_suspended_whenever_nothing_keeps_it_up(path: Path, notes: Path) -> None:
    run, (pid,) = begin(path, notes, "--verbose", "--", sys.executable, "-c", SAYS_PID)
    assert run.told() == "grantwheel suspend: background, host"
    wait_for(lambda: is_stopped(pid))
    assert run.told() == "grantwheel suspend: suspended, idle"
    assert rests([pid])
    with connect(path) as grants:
        grants.apply(UID, os.getpid(), CPU, 600_000)
        assert runs(pid)
        assert run.told() == "grantwheel suspend: background, cpu"
        grants.release(UID, os.getpid(), CPU)
        wait_for(lambda: is_stopped(pid))
        assert run.told() == "grantwheel suspend: suspended, idle"
        grants.apply(UID, os.getpid(), CPU, 200, process=True)  # which ends by itself
        assert run.told() == "grantwheel suspend: background, process cpu"
        assert run.told() == "grantwheel suspend: suspended, idle"
    assert run.stop() == 128 + signal.SIGTERM
    assert list(notes.iterdir()) == []


def test_whoever_is_not_native_looks_now_and_then(tmp_path: Path, notes: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'[bundles."it"]\nallowed = [0]\n[callers.{UID}]\nbundle = "it"\nsystem_app = true\n', encoding="ascii"
    )
    with serving("--policy", str(policy)) as path, connect(path) as grants:
        run, (pid,) = begin(path, notes, "--", sys.executable, "-c", SAYS_PID)
        wait_for(lambda: is_stopped(pid))
        grants.apply(UID, os.getpid(), CPU, 600_000)
        assert runs(pid)
        assert run.stop() == 128 + signal.SIGTERM


def test_all_that_the_command_starts_is_suspended(path: Path, notes: Path) -> None:
    """A grandchild too whose parent has ended, in a session of its own."""
    script = f"""
import os
if os.fork() == 0:
    os.setsid()
    ready, write = os.pipe()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.write(write, b"!")
        {BUSY}
    os.read(ready, 1)
    os._exit(0)
os.wait()
{SAYS_PID}
"""
    run, pids = begin(path, notes, "--", sys.executable, "-c", script, pids=2)  # the grandchild's is the first
    wait_for(lambda: all(map(is_stopped, pids)))
    assert set(descendants_of(run.process.pid)) == set(pids)
    run.process.terminate()
    run.process.wait(WAIT_S)
    assert runs(pids[0])  # whom nobody has asked to end; it does not stay stopped
    kill_quietly(pids[0])
    assert run.end() == (128 + signal.SIGTERM, "", "")


def test_its_exit_code_is_that_of_the_command(path: Path, notes: Path) -> None:
    assert Run(path, notes, "--grace", "1h", "--", "sh", "-c", "echo ran; exit 7").end() == (7, "ran\n", "")
    assert Run(path, notes, "--grace", "1h", "sh", "-c", "kill -9 $$").end() == (128 + 9, "", "")
    assert list(notes.iterdir()) == []


def test_what_keeps_it_from_being_run(path: Path, notes: Path) -> None:
    missing = path.parent / "missing"
    code, out, err = Run(missing, notes, "--", "true").end()
    assert (code, out) == (125, "")
    assert "9800004" in err or "18700004" in err
    assert Run(path, notes, "--", "/no/such/thing").end()[0] == 127
    assert Run(path, notes).end()[0] == 2
    assert Run(path, notes, "--cgroup", str(notes), "--", "true").end() == (
        125,
        "",
        f"grantwheel suspend: {notes} is no cgroup that this user may put a process into\n",
    )
    notes.chmod(0o777)
    code, _, err = Run(path, notes, "--", "true").end()
    assert (code, "writable by its owner alone" in err) == (125, True)


def test_it_is_up_while_the_service_is_away(notes: Path) -> None:
    with serving() as path:
        run, (pid,) = begin(path, notes, "--", sys.executable, "-c", SAYS_PID)
        wait_for(lambda: is_stopped(pid))
    assert run.told() == "grantwheel suspend: the service is away: the command is not suspended meanwhile"
    assert runs(pid)
    assert run.stop() == 128 + signal.SIGTERM


def test_what_a_killed_one_leaves_is_continued(path: Path, notes: Path) -> None:
    run, (pid,) = begin(path, notes, "--", sys.executable, "-c", SAYS_PID)
    wait_for(lambda: is_stopped(pid))
    assert thaw(notes, "--json") == (
        0,
        '{"uids": [], "gone": 0, "failures": [], "in_use": 1, "damage": []}\n',
        "",
    )
    assert thaw(notes) == (
        0,
        "nothing was left frozen\n",
        "grantwheel thaw: left alone, as they still run: 1 freezers\n",
    )
    run.process.kill()
    run.process.wait()
    assert is_stopped(pid)
    assert thaw(notes) == (0, f"app {UID} was thawed\n", "")
    assert runs(pid)
    kill_quietly(pid)
    run.end()
    assert thaw(notes) == (0, "nothing was left frozen\n", "")


def thaw(*arguments: str | Path, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*COMMAND, "thaw", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    return done.returncode, done.stdout, done.stderr


def test_thaw_says_what_it_could_not_do(notes: Path) -> None:
    notes.mkdir(mode=0o700)
    said = f'grantwheel-frozen 1 {boot_of(PROC)}\n["cgroup", 7, 1, "/no/such"]\nnonsense\n'
    (notes / f"left{ENDING}").write_text(said, encoding="ascii")
    code, out, err = thaw(notes)
    assert (code, out) == (1, "nothing was left frozen\n")
    assert "grantwheel thaw: app 7: /no/such is no part of a file system of type cgroup2" in err
    code, out, err = thaw(notes, "--json")
    assert (code, err.count("\n")) == (1, 1)
    assert len(json.loads(out)["failures"]) == 1


def test_thaw_says_what_is_damaged(notes: Path) -> None:
    notes.mkdir(mode=0o700)
    (notes / f"left{ENDING}").write_text("nonsense\n", encoding="ascii")
    code, _, err = thaw(notes)
    assert (code, "is kept as left.damaged" in err) == (1, True)


def test_thaw_reads_no_notes_that_others_may_have_written(notes: Path) -> None:
    notes.mkdir()
    notes.chmod(0o777)
    code, out, err = thaw(notes)
    assert (code, out, "writable by its owner alone" in err) == (1, "", True)


def test_where_the_notes_are() -> None:
    if UID == 0:
        pytest.skip("those of root are in /run, and may be in use")
    with tempfile.TemporaryDirectory() as folder:
        assert thaw(XDG_RUNTIME_DIR=folder) == (0, "nothing was left frozen\n", "")
    code, _, err = thaw(XDG_RUNTIME_DIR="")
    assert (code, "XDG_RUNTIME_DIR" in err) == (2, True)


def test_thaw_does_what_the_next_start_does(notes: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", BUSY])
    seen = see(PROC, child.pid)
    assert seen is not None

    def leave() -> None:
        Notes(notes, PROC).add(7, [seen.process])
        os.kill(child.pid, signal.SIGSTOP)

    assert isinstance(seen.process, Process)
    assert run_until(10_000, leave)
    wait_for(lambda: is_stopped(child.pid))
    assert thaw(notes) == (0, "app 7 was thawed\n", "")
    assert runs(child.pid)
    child.kill()
    child.wait()


def test_a_command_in_a_cgroup(path: Path, notes: Path) -> None:
    group = make_group()
    try:
        run, (pid,) = begin(path, notes, "--cgroup", str(group), "--", sys.executable, "-c", SAYS_PID)
        wait_for(lambda: "frozen 1" in (group / "cgroup.events").read_text(encoding="ascii"))
        assert rests([pid])
        with connect(path) as grants:
            grants.apply(UID, os.getpid(), CPU, 600_000)
            assert runs(pid)
            grants.release(UID, os.getpid(), CPU)
        wait_for(lambda: "frozen 1" in (group / "cgroup.events").read_text(encoding="ascii"))
        assert run.stop() == 128 + signal.SIGTERM
        assert Run(path, notes, "--grace", "1h", "--cgroup", str(group), "--", "/no/such/thing").end()[0] == 127
    finally:
        (group / "cgroup.freeze").write_text("0", encoding="ascii")
        wait_for(lambda: "populated 0" in (group / "cgroup.events").read_text(encoding="ascii"))
        group.rmdir()
