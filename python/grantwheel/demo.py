"""The demonstration: the processes of this machine hold CPU grants for as long as they use CPU.

Each process that used CPU since the last look gets a timed CPU grant of its own, or has it renewed. A process that goes
quiet lets its grant run out; one that ends has it taken away.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from . import BootClock, BusinessError, Cause, Event, EventKind, Manager, ResourceType
from .procfs import Process, read_processes, read_uid
from .types import Clock

PROC = Path("/proc")

# With fewer busy processes than this there is too little to see.
FEW = 2

_BUSY = """\
import sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    pass
time.sleep(float(sys.argv[2]))
"""


class Sample(NamedTuple):
    """What changed between two looks: the processes that used CPU, and those that are gone, by ascending pid."""

    busy: list[Process]
    gone: list[Process]


class Sampler:
    """Looks at the processes of a procfs directory, again and again. The first look is taken when it is made."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._seen = read_processes(proc)

    @property
    def found(self) -> str:
        """How many processes the last look found, in words."""
        return _counted(len(self._seen), "process", "processes")

    def sample(self) -> Sample:
        """Look again and say what changed. A pid with another start time is another process."""
        before, self._seen = self._seen, read_processes(self._proc)
        busy = [process for process in self._seen.values() if process.cpu_ticks > _earlier_ticks(before, process)]
        gone = [process for process in before.values() if not _is_same(process, self._seen.get(process.pid))]
        return Sample(sorted(busy), sorted(gone))

    def uid(self, pid: int) -> int | None:
        """Return the real uid of a process, or None when it has gone."""
        return read_uid(self._proc, pid)


def _is_same(process: Process, other: Process | None) -> bool:
    return other is not None and other.start_ticks == process.start_ticks


def _earlier_ticks(before: dict[int, Process], process: Process) -> int:
    earlier = before.get(process.pid)
    return earlier.cpu_ticks if earlier is not None and _is_same(process, earlier) else 0


class Stopwatch:
    """Counts the calls of an engine and the time that they take: ``with stopwatch:`` around each."""

    def __init__(self) -> None:
        self.calls = 0
        self.ns = 0
        self._began = 0

    def __enter__(self) -> None:
        self._began = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ns += time.perf_counter_ns() - self._began
        self.calls += 1


class Demo:
    """Turns samples into calls of a manager, and the manager's events into lines.

    Parameters
    ----------
    manager : Manager
        The manager to call; nobody else calls it.
    sampler : Sampler
        Where the processes come from.
    clock : Clock
        The manager's clock.
    ttl_ms : int
        How long a grant lasts unless it is renewed.
    write : callable
        Takes each line.
    """

    def __init__(
        self, manager: Manager, sampler: Sampler, clock: Clock, *, ttl_ms: int, write: Callable[[str], None]
    ) -> None:
        self.applies = 0
        self.grants = 0
        self.expiries = 0
        self.deaths = 0
        self.refusals = 0
        self.engine = Stopwatch()
        self._manager = manager
        self._sampler = sampler
        self._clock = clock
        self._start = clock.now()
        self._ttl_ms = ttl_ms
        self._write = write
        self._granted: dict[int, tuple[int, str]] = {}  # uid and command of each process, by pid, until it is gone

    def look(self) -> Sample:
        """Take a sample, tell the manager what it shows, and report what came of it."""
        sample = self._sampler.sample()
        for process in sample.gone:
            if process.pid in self._granted:
                uid, _ = self._granted[process.pid]
                with self.engine:
                    self._manager.process_died(uid, process.pid)
                self.report()
                del self._granted[process.pid]
        for process in sample.busy:
            self._grant(process)
        self.report()
        return sample

    def report(self) -> int | None:
        """End what is due, write a line for each event, and return the instant (ms) to be called again by, if any."""
        with self.engine:
            self._manager.advance()
        with self.engine:
            events = self._manager.drain()
        for event in events:
            self.grants += event.kind is EventKind.PROCESS_APPLY
            self.expiries += event.cause is Cause.EXPIRED
            self.deaths += event.cause in (Cause.PROCESS_DIED, Cause.PID_REUSED)
            self._write(self._line(event))
        with self.engine:
            return self._manager.wake_at()

    def summary(self) -> list[str]:
        """Return the lines that close a demonstration."""
        with self.engine:
            held = self._manager.count(ResourceType.CPU)
        rate = self.engine.calls * 1e9 / max(self.engine.ns, 1)
        counts = ", ".join(
            (
                _counted(self.grants, "grant"),
                _counted(self.applies - self.grants, "renewal"),
                _counted(self.expiries, "expiry", "expiries"),
                _counted(self.deaths, "death"),
                _counted(self.refusals, "refusal"),
            )
        )
        return [
            f"{(self._clock.now() - self._start) / 1000:.1f} s: {counts}; {held} still held",
            f"{self.engine.calls} calls in {self.engine.ns / 1e6:.2f} ms of engine time: {rate:,.0f} calls per second",
        ]

    def _grant(self, process: Process) -> None:
        uid = self._sampler.uid(process.pid)
        if uid is None:
            return
        try:
            with self.engine:
                self._manager.apply(
                    uid, process.pid, ResourceType.CPU, self._ttl_ms, process=True, reason=process.command
                )
        except BusinessError as error:
            self.refusals += 1
            self._write(f"refused pid {process.pid}: {error}")
        else:
            self.applies += 1
            self._granted[process.pid] = (uid, process.command)

    def _line(self, event: Event) -> str:
        what = "granted" if event.kind is EventKind.PROCESS_APPLY else event.cause.removeprefix("process_")
        _, command = self._granted.get(event.pid, (event.uid, ""))
        command = "".join(letter if letter.isprintable() else "?" for letter in command)
        return f"{(event.time - self._start) / 1000:8.2f} s  {what:<8} uid {event.uid:<6} pid {event.pid:<8} {command}"


def _counted(number: int, word: str, words: str = "") -> str:
    return f"{number} {word if number == 1 else words or word + 's'}"


def drive(
    demo: Demo,
    clock: Clock,
    *,
    end_ms: int,
    interval_ms: int,
    wait: Callable[[float], None],
    first_look: Callable[[Sample], None],
) -> None:
    """Run a demonstration until ``end_ms``: look every ``interval_ms``, and report whenever a grant may be due.

    ``wait`` takes seconds; ``first_look`` is told what the first look shows.
    """
    looked = False
    next_look = clock.now() + interval_ms
    while True:
        now = clock.now()
        if now >= next_look:
            sample = demo.look()
            next_look += interval_ms * ((now - next_look) // interval_ms + 1)
            if not looked:
                looked = True
                first_look(sample)
        wake = demo.report()
        if now >= end_ms:
            return
        until = min(next_look, end_ms) if wake is None else min(next_look, end_ms, wake)
        wait(max(until - clock.now(), 1) / 1000)


class Children:
    """Busy children of this process that end by themselves: something to see where little goes on."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, seconds: float, interval: float) -> None:
        """Start three: one that works all the time, one that goes quiet, one that ends."""
        for busy, quiet in ((seconds, 0.0), (2 * interval, seconds), (3 * interval, 0.0)):
            arguments = [sys.executable, "-I", "-S", "-c", _BUSY, str(busy), str(quiet)]
            self._children.append(
                subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )

    def stop(self) -> None:
        """End those that still run, and wait for all."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()


@contextmanager
def _children() -> Iterator[Children]:
    children = Children()
    try:
        yield children
    finally:
        children.stop()


def run(seconds: float, interval: float, write: Callable[[str], None], *, proc: Path = PROC) -> bool:
    """Run the demonstration on this machine.

    Parameters
    ----------
    seconds : float
        How long.
    interval : float
        The time between two looks at the processes, in seconds.
    write : callable
        Takes each line.
    proc : Path
        The procfs directory.

    Returns
    -------
    bool
        Whether it came to its end; False when it was interrupted (Ctrl-C).

    Raises
    ------
    OSError
        When ``proc`` cannot be read.
    """
    interval_ms = round(interval * 1000)
    ttl_ms = 2 * interval_ms + interval_ms // 4
    clock = BootClock()
    sampler = Sampler(proc)
    demo = Demo(Manager(clock=clock), sampler, clock, ttl_ms=ttl_ms, write=write)
    end_ms = clock.now() + round(seconds * 1000)
    write(f"Watching {sampler.found} for {seconds:g} s.")
    write(f"Each that uses CPU gets a CPU grant for {ttl_ms / 1000:g} s, renewed while it goes on.")
    with _children() as children:

        def show_something(sample: Sample) -> None:
            if len(sample.busy) < FEW:
                write(f"Little goes on here ({sampler.found}, {len(sample.busy)} busy): starting three busy children.")
                children.start(max(end_ms - clock.now(), 0) / 1000, interval)

        finished = True
        try:
            drive(demo, clock, end_ms=end_ms, interval_ms=interval_ms, wait=time.sleep, first_look=show_something)
        except KeyboardInterrupt:
            finished = False
        for line in demo.summary():
            write(line)
    return finished
