"""Real processes to be frozen: what they are, whether they run, and who they belong to."""

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from grantwheel.suspend import Freezer
from waiting import wait_for

PROC: Final = Path("/proc")
APP: Final = 700  # a uid that nobody here has: which processes it stands for, a function says
# A user whom nobody has here, another one in each run of the tests: freezers find processes by it. The next one, too.
USER: Final = 20_000 + 2 * (os.getpid() % 20_000)

BUSY: Final = "while True: pass"
SLEEPY: Final = "import time\nwhile True: time.sleep(0.01)"
# Has children all the time, which end soon and have children themselves; besides those that stay.
FORKING: Final = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        while True:
            time.sleep(0.05)
        os._exit(0)
os.write(1, b".")
while True:
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0)
        os.waitpid(grandchild, 0)
        os._exit(0)
    os.waitpid(child, 0)
"""


class Apps:
    """Starts apps: each a session of its own, whose processes are all that are in it."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, script: str, *arguments: str, user: int | None = None) -> int:
        """Start one, and return the pid of its first process once that runs its own code."""
        # It becomes that user only when it runs: others may not get to this interpreter.
        change = "" if user is None else f"os.setgroups([]); os.setgid({user}); os.setuid({user})\n"
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", f"import os\n{change}os.write(1, b'!')\n{script}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._started.append(child)
        assert child.stdout is not None
        assert child.stdout.read(1) == b"!"
        return child.pid

    def wait_for_output(self, pid: int) -> None:
        (child,) = (child for child in self._started if child.pid == pid)
        assert child.stdout is not None
        assert child.stdout.read(1) == b"."

    def kill(self, pid: int) -> None:
        for one in session(pid):
            kill_quietly(one)
        for child in self._started:
            if child.pid == pid:
                child.wait()

    def end(self) -> None:
        for child in self._started:
            child.kill()  # also one whose first thread has ended, which looks as if it had
            for _ in range(100):  # those that are born meanwhile, too
                found = session(child.pid)
                for pid in found:
                    kill_quietly(pid)
                if child.poll() is not None and not found:
                    break
                time.sleep(0.01)
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


def kill_quietly(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)


def stat(pid: int) -> list[bytes]:
    """The fields behind the name: state, parent, group, session and so on. Empty when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rfind(b")") + 1 :].split()


def session(*leaders: int) -> list[int]:
    """The processes of sessions that have not ended."""
    pids = [int(name) for name in os.listdir(PROC) if name.isdecimal()]  # noqa: PTH208 - as it is done by thousands
    return [pid for pid in pids if (fields := stat(pid)) and int(fields[3]) in leaders and fields[0] not in b"ZX"]


def of_sessions(*leaders: int) -> Callable[[int], Iterable[int]]:
    """Processes for a freezer: those of sessions, whatever the uid."""
    return lambda _uid: session(*leaders)


def state(pid: int) -> str:
    fields = stat(pid)
    return fields[0].decode() if fields else ""


def ticks(pids: Iterable[int]) -> int:
    """The CPU time that processes have had, in ticks of 10 ms."""
    return sum(int(fields[11]) + int(fields[12]) for pid in pids if (fields := stat(pid)))


def runs(pid: int) -> bool:
    """Whether a busy process gets CPU time."""
    before = ticks([pid])
    wait_for(lambda: ticks([pid]) > before + 1)
    return True


def rests(pids: Iterable[int], seconds: float = 0.2) -> bool:
    """Whether processes get no CPU time, for some time: there is no other way to see that nothing happens."""
    known = list(pids)
    before = ticks(known)
    time.sleep(seconds)
    return ticks(known) == before


def freeze(freezer: Freezer, uid: int = APP) -> None:
    """Freeze until all is frozen, as a decider has it done."""
    wait_for(lambda: freezer.freeze(uid))


def make_group() -> Path:
    """Make a cgroup of version 2, or skip the test where that cannot be. It ends with this process at the latest."""
    lines = (PROC / "self/mountinfo").read_text(encoding="utf-8").splitlines()
    mounts = [line.split()[4] for line in lines if " - cgroup2 " in line]
    if not mounts:
        pytest.skip("no cgroups of version 2 are mounted here")
    try:
        made = Path(tempfile.mkdtemp(prefix="grantwheel-test-", dir=mounts[0]))
    except OSError as error:
        pytest.skip(f"it needs root, to make cgroups in {mounts[0]}: {error.strerror}")
    atexit.register(remove_group, made)
    if not (made / "cgroup.freeze").exists():
        pytest.skip(f"cgroups in {mounts[0]} cannot be frozen: that takes Linux 5.2")
    return made


def is_empty(path: Path) -> bool:
    return "populated 0" in (path / "cgroup.events").read_text(encoding="ascii")


def remove_group(root: Path) -> None:
    """Remove a cgroup that a test has made, with all that is in it, should it be there still."""
    for folder, _, _ in os.walk(root, topdown=False):
        path = Path(folder)
        with contextlib.suppress(OSError):
            (path / "cgroup.kill").write_text("1", encoding="ascii")  # what is frozen too
        with contextlib.suppress(OSError, AssertionError):
            wait_for(partial(is_empty, path))
        path.rmdir()
