"""Threads, signals, forks, finalisers and collections around managers, at random, for as long as one likes.

    python tests/storm.py SECONDS [SEED]

Some threads use a manager that comes and goes in every way that the live layer has: holds, runners, subscriptions,
watches, lists, batches. Into all of it come signal handlers that use it too, Ctrl-C, collections, and forks whose
children try it. Whatever meets: nobody hangs, refusals are the documented ones, and at the end of each manager nothing
of what its blocks held is left, and no thread and no descriptor. The seed is printed. It says what each thread has
done, as what meets what differs from run to run all the same.

`test_storm.py` starts it, for ``--storm-seconds``.
"""

import contextlib
import faulthandler
import gc
import logging
import os
import random
import signal
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from forking import in_child
from grantwheel import BusinessError, Manager, Policy, ResourceType, processes
from waiting import PATIENCE, own_threads, wait_for

CPU, GPS, AUDIO = ResourceType.CPU, ResourceType.GPS, ResourceType.AUDIO
UIDS = range(1000, 1008)
LONG_MS = 3_600_000  # of holds: what is left of one is seen
ROUND_S = 1.5  # for which one manager lives
THREADS = 4


class Refusing:
    """A quota that refuses, raises, and uses its manager, at random."""

    def __init__(self, manager: Manager, dice: random.Random) -> None:
        self._manager = manager
        self._dice = dice

    def check(self, uid: int, _bundle: str, _mask: int, is_apply: bool) -> bool:
        chance = self._dice.random()
        if chance < 0.05:
            raise RuntimeError("the quota is not in the mood")
        self.settle(uid)
        return chance > 0.15 or not is_apply  # what it does not let go would be left

    def settle(self, uid: int) -> None:
        with contextlib.suppress(BusinessError):  # closed meanwhile
            self._manager.app_mask(uid)


class Storm:
    """One manager, and all that is done to it until its time is over."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.manager = Manager(max_records=2000, event_capacity=4096)
        self.is_over = threading.Event()
        self.done: Counter[str] = Counter()
        self.failures: list[BaseException] = []
        self.is_signalled = False
        if dice.random() < 0.5:
            self.manager.set_policy(Policy(quota=Refusing(self.manager, dice)))

    def tolerant(self, act: Callable[[], object]) -> None:
        """Do something that may be refused, because somebody else was faster or the quota said no."""
        try:
            act()
        except BusinessError as error:
            if error.code not in {201, 9800001, 9800004, 9800005, 18700004}:
                raise
        except RuntimeError as error:
            if isinstance(
                error.__context__, KeyboardInterrupt
            ):  # which came in the middle of a wait of the interpreter's
                raise KeyboardInterrupt from error
            if "running already" not in str(error) and "mood" not in str(error):
                raise

    # what a thread, a signal handler and a finaliser may do

    def call(self) -> None:
        uid, mask = self.dice.choice(UIDS), self.dice.choice((CPU, GPS, AUDIO, GPS | AUDIO))
        self.manager.apply(uid, uid, mask, 1 + self.dice.randrange(20), reason=f"reason {self.dice.randrange(9)}")
        self.manager.renew(uid, uid, mask, 10)
        self.manager.release(uid, uid, mask)

    def batch(self) -> None:
        uids = array("I", (self.dice.choice(UIDS) for _ in range(300)))
        masks = array("I", [GPS] * len(uids))
        self.manager.apply_many(uids, uids, masks, array("I", [5] * len(uids)))
        self.manager.app_masks(uids)
        self.manager.release_many(uids[::2], uids[::2], masks[::2])

    def look(self) -> None:
        self.manager.count(GPS)
        self.manager.records(limit=10)
        self.manager.holders(AUDIO)
        self.manager.stats()
        self.manager.next_deadline()
        self.manager.drain(100)

    def hold(self) -> None:
        with self.manager.hold(
            CPU | GPS,
            timeout_ms=LONG_MS,
            uid=self.dice.choice(UIDS),
            on_lost=self.lost if self.dice.random() < 0.3 else None,
        ) as held:
            if self.dice.random() < 0.3:
                self.manager.app_stopped(self.dice.choice(UIDS))
            _ = held.lost

    def forget_hold(self) -> None:
        """Leave the end of a hold to whoever collects it."""
        hold = self.manager.hold(AUDIO, timeout_ms=LONG_MS, uid=self.dice.choice(UIDS))
        hold.__enter__()
        circle: list[object] = [hold]
        circle.append(circle)

    def lost(self, _hold: object) -> None:
        self.manager.app_mask(1000)

    def subscribe(self) -> None:
        with self.manager.subscribe(lambda _event: self.manager.app_mask(1001)) as one:
            reader = self.manager.subscribe(f"reader {self.dice.random()}")
            reader.fileno()
            self.manager.apply(1001, 1, GPS, 1)
            reader.drain()
            reader.cancel()
            _ = one.pending

    def run(self) -> None:
        with self.manager.running():
            self.manager.apply(1002, 1, GPS, 1)

    def watch(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            processes.watch(self.manager, os.getpid(), stops_app=False).cancel()

    def collect(self) -> None:
        gc.collect(self.dice.randrange(3))

    def act(self) -> None:
        """Do one of them."""
        acts = (
            self.call, self.call, self.batch, self.look, self.hold, self.hold, self.forget_hold, self.subscribe,
            self.run, self.watch, self.collect,
        )  # fmt: skip
        act = self.dice.choice(acts)
        self.tolerant(act)
        self.done[act.__name__] += 1

    # who does it

    def work(self) -> None:
        try:
            while not self.is_over.is_set():
                self.act()
        except BaseException as error:
            self.failures.append(error)

    def on_signal(self, _number: int, _frame: object) -> None:
        """Use the manager in the middle of whatever the main thread does; now and then be Ctrl-C."""
        self.is_signalled = True
        self.done["signals"] += 1
        self.act()
        if self.dice.random() < 0.2:
            raise KeyboardInterrupt

    def interrupted(self) -> None:
        """What the main thread does, with a signal in it or soon after it."""
        self.is_signalled = False
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + 0.002 * self.dice.random())
            self.act()
            wait_for(lambda: self.is_signalled)
        except KeyboardInterrupt:  # then it has come, and comes no more
            return

    def fork(self) -> None:
        def child(say: Callable[[str], object]) -> None:
            for act in (self.call, self.hold, self.subscribe, self.run, self.look):
                try:
                    act()
                except BusinessError as error:
                    if error.code not in {9800004, 18700004}:
                        raise
                else:
                    say(f"{act.__name__} was not refused")

        assert in_child(child) == []
        self.done["forks"] += 1

    def note_ignored(self, ignored: "sys.UnraisableHookArgs") -> None:
        """Hear of an exception that Python ignores: none but those of the hook and Ctrl-C in a finaliser may be."""
        if isinstance(ignored.exc_value, KeyboardInterrupt):
            return
        if "quota" not in f"{ignored.err_msg} {ignored.object}":
            self.failures.append(ignored.exc_value or RuntimeError(ignored.err_msg))

    def play(self) -> None:
        sys.unraisablehook = self.note_ignored
        threads = [threading.Thread(target=self.work, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        give_up = time.monotonic() + ROUND_S
        while time.monotonic() < give_up and not self.failures:
            self.interrupted()
            if self.dice.random() < 0.01:
                self.fork()
        if self.dice.random() < 0.3:
            self.manager.close()  # in the middle of everything
        self.is_over.set()
        for thread in threads:
            thread.join(4 * PATIENCE)
            assert not thread.is_alive(), "a thread hangs"
        if self.failures:
            raise self.failures[0]
        self.check()

    def check(self) -> None:
        gc.collect()
        runner = self.manager.runner
        assert runner is None, runner
        for one in gc.get_objects():
            if isinstance(one, processes.Watch):  # Ctrl-C has come between its beginning and its end
                one.cancel()
        try:
            wait_for(lambda: not own_threads())
        except AssertionError:
            faulthandler.dump_traceback()
            raise
        with contextlib.suppress(BusinessError):  # closed
            left = [record for record in self.manager.records() if self.is_of_a_hold(record)]
            assert left == []
            self.manager.validate()
        self.manager.close()

    @staticmethod
    def is_of_a_hold(record: object) -> bool:
        return any(grant.timeout_ms == LONG_MS for grant in record.grants)  # type: ignore[attr-defined]


def descriptors() -> list[str]:
    """What is open, without the descriptor with which this is read."""
    return sorted(str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists())


def is_all_let_go(before: list[str]) -> bool:
    """Tell whether nothing more is open than before. A sanitizer opens files of its own for a moment."""
    gc.collect()
    return not Counter(descriptors()) - Counter(before)


def rage(seconds: float, seed: int) -> Counter[str]:
    """Play one storm after the other, in the main thread; answer how often what was done."""
    print(f"storm: seed {seed}", flush=True)
    dice = random.Random(seed)
    interval = sys.getswitchinterval()
    done: Counter[str] = Counter()
    give_up = time.monotonic() + seconds
    before = None
    while time.monotonic() < give_up:
        storm = Storm(random.Random(dice.random()))
        before_signals = signal.signal(signal.SIGALRM, storm.on_signal)
        sys.setswitchinterval(dice.choice((1e-5, 1e-4, interval)))
        try:
            storm.play()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before_signals)
            sys.unraisablehook = sys.__unraisablehook__
            sys.setswitchinterval(interval)
        done += storm.done
        del storm
        gc.collect()
        before = before or descriptors()
        try:
            wait_for(partial(is_all_let_go, before))
        except AssertionError:
            raise AssertionError(f"left open: {Counter(descriptors()) - Counter(before)}") from None
        done["rounds"] += 1
    return done


def main() -> None:
    logging.disable()  # what is refused, and why, in all that happens here
    faulthandler.dump_traceback_later(float(sys.argv[1]) + 8 * PATIENCE, exit=True)
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    for what, count in sorted(rage(float(sys.argv[1]), seed).items()):
        print(f"{count:8} {what}")


if __name__ == "__main__":
    main()
