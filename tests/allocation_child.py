"""Runs a session in which allocations fail; to be started with the library of `interposer.cpp` loaded first.

Two worlds go through the same session: in one of them allocations fail, in the other none does. A call that has met a
failure must have been refused and have changed nothing, and is then made again; so both worlds look the same after it,
and at the end.

    python tests/allocation_child.py LIBRARY engine|python [--quota] [--log]
"""

import argparse
import ctypes
import gc
import sys
import time
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from allocation_calls import CALLS, Prepare
from allocation_session import MASKS, PIDS, STEPS, TIMEOUTS, UIDS, World, plain
from grantwheel import Manager, ManualClock, MemoryOperationError, TransactionError

ENGINE = 1 | 2 | 4  # as in allocations.h
PYTHON = 8
PATIENCE = 20  # so many problems are told


class Interposer:
    """The library of interposer.cpp."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.PyDLL(path)
        self._call = self._library.call_failing
        self._call.restype = ctypes.py_object
        self._call.argtypes = [
            ctypes.py_object,
            ctypes.c_uint,
            ctypes.POINTER(ctypes.c_size_t),
            ctypes.POINTER(ctypes.c_int),
        ]
        self._library.allocations_asked.restype = ctypes.c_size_t
        self._library.allocations_live.restype = ctypes.c_size_t
        self._library.bytes_mapped.restype = ctypes.c_size_t
        self._library.blocks_of_python.restype = ctypes.c_long
        self._happened = ctypes.c_int()
        self._left = ctypes.c_size_t()
        self._places = ctypes.byref(self._left), ctypes.byref(self._happened)

    def attempt(self, call: Any, kinds: int, passed: int) -> tuple[object, BaseException | None, bool]:
        """Call while the allocation after so many others fails: (answer, error, whether it came to that)."""
        answer: object = None
        error: BaseException | None = None
        self._left.value = passed
        try:
            answer = self._call(call, kinds, *self._places)
        except Exception as caught:
            error = caught
            error.__traceback__ = None
        return answer, error, self._happened.value != 0

    @property
    def left(self) -> int:
        """How many allocations the last attempt has left to pass."""
        return self._left.value

    def watch_python(self) -> None:
        self._library.watch_python()

    def asked(self) -> int:
        return int(self._library.allocations_asked())

    def live(self) -> tuple[int, int]:
        """Blocks of operator new, and bytes of large mappings."""
        return int(self._library.allocations_live()), int(self._library.bytes_mapped())

    def blocks_of_python(self) -> int:
        return int(self._library.blocks_of_python())


class Run:
    """One kind of failure over the session."""

    def __init__(self, interposer: Interposer, kinds: int, quota: bool, log: bool) -> None:
        self.interposer = interposer
        self.kinds = kinds
        self.quota = quota
        self.log = log
        self.problems: list[str] = []
        self.failed = 0
        self.place = ""
        self.left = 0
        self.unraisable: list[str] = []
        # With a hook a batch goes row by row: it refuses the one that needs memory, and goes on.
        self.steps = [one for one in STEPS if not (quota or log) or "_many" not in one[0]]

    def complain(self, what: str) -> None:
        text = f"{self.place}: {what}"
        self.problems.append(text)
        if len(self.problems) <= PATIENCE:
            print(text, flush=True)

    def world(self) -> World:
        return World(self.quota, self.log)

    def is_right_refusal(self, error: BaseException) -> bool:
        if isinstance(error, MemoryOperationError) and error.detail == 980000101:
            return True
        if self.log and isinstance(error, TransactionError):  # the log found none, and says that it is not appended
            return True
        return self.kinds == PYTHON and type(error) is MemoryError

    def step(self, subject: World, twin: World, prepare: Prepare, passed: int | None) -> bool:
        """Take a step in both worlds; in one of them an allocation fails. Returns whether it has."""
        kinds = 0 if passed is None else self.kinds
        answer, error, failed = self.interposer.attempt(prepare(subject), kinds, passed or 0)
        self.left = self.interposer.left
        if failed:
            self.failed += 1
            if isinstance(error, MemoryError | RuntimeError | SystemError | MemoryOperationError | TransactionError):
                if not self.is_right_refusal(error):
                    self.complain(f"raised {error!r}")
                self.compare(subject.look(), twin.look())
                return True
        expected, refusal, _ = self.interposer.attempt(prepare(twin), 0, 0)
        got, wanted = plain(answer if error is None else error), plain(expected if refusal is None else refusal)
        if got != wanted and "fileno" not in self.place:
            self.complain(f"answered {got!r:.300}, not {wanted!r:.300}")
        if failed:
            self.compare(subject.look(), twin.look())
        return False

    def compare(self, got: tuple[Any, ...], wanted: tuple[Any, ...]) -> None:
        if len(got) != len(wanted):
            self.complain(f"looks like {got!r:.100}, not {wanted!r:.100}")
        for place, (one, other) in enumerate(zip(got, wanted, strict=False)):
            if one != other:
                self.complain(f"looks different in {place}: {one!r:.300}, not {other!r:.300}")

    def session(self, passed: int) -> bool:
        """The whole session, with one failure after so many allocations. Returns whether it came to it."""
        subject, twin = self.world(), self.world()
        left: int | None = passed
        for name, step in self.steps:
            self.place = f"{name}, with the failure of allocation {passed}"
            if name == "close":
                self.compare(subject.look(), twin.look())
            failed_before = self.failed
            if self.step(subject, twin, partial(partial, step), left):
                self.step(subject, twin, partial(partial, step), None)
            if left is not None:
                left = None if self.failed > failed_before else self.left
        subject.forget()
        twin.forget()
        return left is None

    def every_call(self) -> None:
        """One session in which each call is made again and again, with an allocation more before the failure."""
        subject, twin = self.world(), self.world()
        for name, prepare in CALLS:
            if name == "close":
                self.compare(subject.look(), twin.look())
            passed = 0
            self.place = f"{name}, with the failure of allocation {passed}"
            while self.step(subject, twin, prepare, passed):
                passed += 1
                self.place = f"{name}, with the failure of allocation {passed}"
        subject.forget()
        twin.forget()


def growth(run: Run, call: Callable[[], object], passed: int, times: int) -> int | None:
    """Make a call fail many times; how many blocks the interpreter has more then. None when it does not fail."""
    before = run.interposer.blocks_of_python()
    for _ in range(times):
        if not run.interposer.attempt(call, run.kinds, passed)[2]:
            return None
    return run.interposer.blocks_of_python() - before


def lost_blocks(run: Run) -> None:
    """Let each allocation of each call fail many times: what is lost each time would add up."""
    times = 32
    world = run.world()
    for name, prepare in CALLS:
        call = prepare(world)
        passed = 0
        while (grown := growth(run, call, passed, times)) is not None:
            run.place = f"{name}, with the failure of allocation {passed}, {times} times"
            for _ in range(4):  # the interpreter keeps some blocks for later, until it has enough of them
                if grown is None or grown < times:
                    break
                grown = growth(run, call, passed, times)
            else:
                run.complain(f"lost {grown} blocks")
            passed += 1
    del call
    world.forget()


def whole_sessions(run: Run) -> None:
    """Let the first allocation of a session fail, then the second one in another, and so on until none is left."""
    passed = 0
    live = run.interposer.live()
    while run.session(passed):
        if passed > 1 and run.interposer.live() != live:  # the first ones make what is made once
            run.complain(f"lost memory: {live} before, {run.interposer.live()} after")
        live = run.interposer.live()
        passed += 1


def batches(run: Run) -> None:
    """A batch that has met a failure is refused whole, or it has refused one row and carried out the others."""
    passed = 0
    failed = True
    while failed:
        run.place = f"a batch, with the failure of allocation {passed}"
        world = run.world()
        STEPS[0][1](world)
        world.open.set_policy(world.policy)
        call = partial(world.open.apply_many, UIDS, PIDS, MASKS, TIMEOUTS)
        answer, error, failed = run.interposer.attempt(call, run.kinds, passed)
        run.failed += failed
        if failed and error is not None:
            if not run.is_right_refusal(error) or len(world.open.records()) != 0:
                run.complain(f"raised {error!r} with {len(world.open.records())} records")
        elif failed:
            rows = answer.tolist() if isinstance(answer, array) else []
            if rows.count(-9800001) != 1 or len(world.open.records()) != len(UIDS) - 1:
                run.complain(f"answered {rows} with {len(world.open.records())} records")
        world.open.validate()
        again = world.open.apply_many(UIDS, PIDS, MASKS, TIMEOUTS).tolist()
        if again != MASKS.tolist() or len(world.open.records()) != len(UIDS):
            run.complain(f"the same batch answers {again}")
        world.forget()
        passed += 1


def large_blocks(run: Run) -> None:
    """The second chunk of rows lies in mappings of its own, and so does what is as large as that."""
    first = Manager(clock=ManualClock(), reserve=40_000, event_capacity=1 << 19)  # makes what is made once
    first.close()
    del first
    gc.collect()
    passed = 0
    failed = True
    while failed:
        run.place = f"a large manager, with the failure of allocation {passed}"
        live = run.interposer.live()
        clock = ManualClock()
        call = partial(Manager, clock=clock, reserve=40_000, event_capacity=1 << 19)
        manager, error, failed = run.interposer.attempt(call, run.kinds, passed)
        run.failed += failed
        if failed != (error is not None) or (error is not None and not run.is_right_refusal(error)):
            run.complain(f"made {manager!r}, raised {error!r}")
        if isinstance(manager, Manager) and run.interposer.live()[1] == 0:
            run.complain("no mapping was made: nothing has been tested")
        del manager, error, clock, call
        gc.collect()
        if run.interposer.live() != live:
            run.complain(f"lost memory: {live} before, {run.interposer.live()} after")
        passed += 1


def descriptor_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("kind", choices=["engine", "python"])
    parser.add_argument("--quota", action="store_true")
    parser.add_argument("--log", action="store_true")
    arguments = parser.parse_args()
    begun = time.monotonic()
    run = Run(
        Interposer(arguments.library), ENGINE if arguments.kind == "engine" else PYTHON, arguments.quota,
        arguments.log,
    )  # fmt: skip
    sys.unraisablehook = lambda what: run.unraisable.append(f"{run.place}: {what.exc_value!r} {what.err_msg}")
    descriptors = descriptor_count()
    if arguments.kind == "engine":
        whole_sessions(run)
        batches(run)
        if not arguments.quota and not arguments.log:
            large_blocks(run)
    else:
        STEPS[0][1](run.world())  # a class is met for the first time only once; `engine` looks at that
        run.interposer.watch_python()
        run.every_call()
        live = run.interposer.live()
        lost_blocks(run)
        if run.interposer.live() != live:
            run.complain(f"lost memory: {live} before, {run.interposer.live()} after")
    gc.collect()
    if descriptor_count() != descriptors:
        run.complain(f"{descriptors} descriptors before, {descriptor_count()} after")
    for text in run.unraisable:
        run.complain(f"unraisable: {text}")
    print(f"{run.failed} failures, {len(run.problems)} problems, {time.monotonic() - begun:.1f} s")
    return bool(run.problems)


if __name__ == "__main__":
    sys.exit(main())
