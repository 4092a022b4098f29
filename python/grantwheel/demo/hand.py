"""The stagehand of the demonstration, a program of its own: it starts the workers, and clears up behind them.

    hand.py DESCRIPTOR FOLDER NAME...

DESCRIPTOR is a file with a counter of 8 bytes for each worker. FOLDER is where cgroups can be made, or empty. It writes
a line of JSON that says what there is, and reads standard input to its end, which comes when the demonstration closes
it or has ended, whatever ended it. Then no worker runs, and no folder is left.

Nothing of the package is imported here: it has to be there at once.
"""

import contextlib
import json
import mmap
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

PREFIX = "grantwheel-demo-"
_REST_S = 0.002  # between two counts: about 450 a second, and next to no load
_GIVE_UP_S = 5.0  # so long a cgroup may need until it is empty, when its process has ended
_MODE = 0o700


class Stage:
    """The workers and the folders. A context manager: at its end nothing of them is left."""

    def __init__(self) -> None:
        self.notes = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._groups: Path | None = None
        self.pids: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for pid in self.pids:  # children that nobody has waited for: the pids are theirs
            os.kill(pid, signal.SIGKILL)
        for pid in self.pids:
            os.waitpid(pid, 0)
        self._remove_groups()
        shutil.rmtree(self.notes, ignore_errors=True)

    def start(self, names: list[str], counters: memoryview) -> None:
        """Start a worker for each name."""
        own = os.getpid()
        for place in range(len(names)):
            pid = os.fork()
            if pid == 0:
                try:
                    _work(counters, place, own)
                finally:
                    os._exit(0)
            self.pids.append(pid)

    def enter_groups(self, parent: Path, names: list[str]) -> Path:
        """Give each worker a cgroup of its own, by its name, and return the folder of these.

        Raises
        ------
        OSError
            That cannot be here.
        """
        self._groups = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        for name, pid in zip(names, self.pids, strict=True):
            group = self._groups / name
            group.mkdir(_MODE)
            with (group / "cgroup.freeze").open("r+"):  # whether it is there, and may be written
                pass
            (group / "cgroup.procs").write_text(str(pid))
        return self._groups

    def _remove_groups(self) -> None:
        """Remove the cgroups, as soon as they are empty."""
        if self._groups is None:
            return
        give_up = time.monotonic() + _GIVE_UP_S
        for group in (*(path for path in self._groups.iterdir() if path.is_dir()), self._groups):
            while time.monotonic() < give_up:
                with contextlib.suppress(OSError):
                    group.rmdir()
                    break
                time.sleep(0.01)


def _work(counters: memoryview, place: int, parent: int) -> None:
    """Count, as long as the parent is there."""
    os.close(0)
    os.close(1)
    while os.getppid() == parent:
        counters[place] += 1
        time.sleep(_REST_S)


def _run(descriptor: int, folder: str, names: list[str]) -> None:
    counters = memoryview(mmap.mmap(descriptor, 8 * len(names))).cast("Q")
    with Stage() as stage:
        stage.start(names, counters)
        # From now on being asked to end is the same as the end of standard input.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        groups, why = "", ""
        if folder:
            try:
                groups = str(stage.enter_groups(Path(folder), names))
            except OSError as error:
                why = str(error.strerror)
        print(json.dumps({"notes": str(stage.notes), "groups": groups, "why": why, "pids": stage.pids}), flush=True)
        sys.stdin.buffer.read()


if __name__ == "__main__":
    _run(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
