"""What goes on among the processes: who used CPU, who is gone, whose open files show a sound device or a timer.

What it costs
-------------
The status line of every process is read at each look; that is one small file. Open files cost far more, one call for
each file, so a look reads those of three groups only:

* the busy: opening and closing files takes CPU, so this is where news is;
* those that showed something the last time: whether they still do decides about a renewal;
* `FILES_PER_LOOK` of the others, in turns: so a process that opened a timer long ago and sleeps since is found too, and
  a look costs no more for it on a large machine.
"""

import re
import time
from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

from grantwheel.linux.procfs import Process, read_open_files, read_processes, read_uid
from grantwheel.types import ResourceType

PROC = Path("/proc")

FILES_PER_LOOK = 100
# A server may have a million open files. What it opened first is most of what it is.
FILES_PER_PROCESS = 1024

# The devices of ALSA, and those of OSS where they still are. Programs that reach the card through a sound server hold a
# socket, which shows nothing; then the server is the one that holds the device.
_SOUND = re.compile(r"/dev/(snd/|dsp\d*$|audio\d*$)")
_TIMER = "anon_inode:[timerfd]"

_NOTHING = ResourceType(0)


class Opened(NamedTuple):
    """A process, and the types that its open files show."""

    process: Process
    types: ResourceType


class Sample(NamedTuple):
    """Who used CPU since the last look, who is gone, and whose open files show a type; each by ascending pid."""

    busy: list[Process]
    gone: list[Process]
    opened: list[Opened]


class Sampler:
    """Looks at the processes of a procfs directory, again and again. The first look is taken when it is made.

    Parameters
    ----------
    proc : Path
        The procfs directory.

    Raises
    ------
    ProcfsError
        When it cannot be read; `sample` raises the same.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        # What the open files of each process showed, by pid; None when they are not for us to see.
        self._shown: dict[int, ResourceType | None] = {}
        self._last_turn = -1
        self.looks = 1
        began = time.perf_counter_ns()
        self._seen, self._refused = read_processes(proc)
        self.ns = time.perf_counter_ns() - began  # the time that all reading took

    @property
    def processes(self) -> int:
        """How many processes the last look found."""
        return len(self._seen)

    @property
    def refused(self) -> int:
        """How many processes the last look found but was not let read."""
        return self._refused

    @property
    def files_refused(self) -> int:
        """How many of the living processes did not let their open files be read, as far as that was tried."""
        return sum(types is None for types in self._shown.values())

    def sample(self) -> Sample:
        """Look again and say what changed. A pid with another start time is another process."""
        began = time.perf_counter_ns()
        before = self._seen
        self._seen, self._refused = read_processes(self._proc)
        busy = [process for process in self._seen.values() if process.cpu_ticks > _earlier_ticks(before, process)]
        gone = [process for process in before.values() if not _is_same(process, self._seen.get(process.pid))]
        for process in gone:
            self._shown.pop(process.pid, None)
        opened = self._read_files({process.pid for process in busy})
        self.looks += 1
        self.ns += time.perf_counter_ns() - began
        return Sample(sorted(busy), sorted(gone), opened)

    def uid(self, pid: int) -> int | None:
        """Return the real uid of a process, or None when it has gone."""
        began = time.perf_counter_ns()
        uid = read_uid(self._proc, pid)
        self.ns += time.perf_counter_ns() - began
        return uid

    def uids(self) -> dict[int, int | None]:
        """Return the real uid of every process that the last look found, by pid. Reads a file for each."""
        return {pid: self.uid(pid) for pid in self._seen}

    def _read_files(self, busy: set[int]) -> list[Opened]:
        due = busy | {pid for pid, types in self._shown.items() if types}
        due |= self._turn(due)
        opened = []
        for pid in sorted(due):
            types = self._shown[pid] = self._types(pid)
            if types:
                opened.append(Opened(self._seen[pid], types))
        return opened

    def _turn(self, due: set[int]) -> set[int]:
        """Return the next of those that are not due anyway, by ascending pid and then from the start again."""
        others = sorted(self._seen.keys() - due)
        first = bisect_right(others, self._last_turn)
        turn = (others[first:] + others[:first])[:FILES_PER_LOOK]
        if turn:
            self._last_turn = turn[-1]
        return set(turn)

    def _types(self, pid: int) -> ResourceType | None:
        types = _NOTHING
        try:
            for file in read_open_files(self._proc, pid, FILES_PER_PROCESS):
                if file == _TIMER:
                    types |= ResourceType.TIMER
                elif _SOUND.match(file):
                    types |= ResourceType.AUDIO
        except PermissionError:
            return None
        return types


def _is_same(process: Process, other: Process | None) -> bool:
    return other is not None and other.start_ticks == process.start_ticks


def _earlier_ticks(before: dict[int, Process], process: Process) -> int:
    earlier = before.get(process.pid)
    return earlier.cpu_ticks if earlier is not None and _is_same(process, earlier) else 0
