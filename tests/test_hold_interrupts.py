"""Interrupts, signal handlers and finalisers that come in at any instruction of a hold: it releases, counts stay right.

They come at each instruction in turn, by `sys.settrace`, and at random moments as signals.
"""

import asyncio
import contextlib
import gc
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from grantwheel import Manager, Policy
from grantwheel.hold import Hold
from interrupting import at_each_instruction, interrupt
from support import AUDIO, CPU, GPS, Hook, make_manager
from waiting import loop_threads, wait_for

UID, PID = 1000, 42


def hold(manager: Manager, mask: int = GPS, timeout_ms: int = 600_000) -> Hold:
    return manager.hold(mask, uid=UID, pid=PID, timeout_ms=timeout_ms)


def plainly(manager: Manager, mask: int = GPS) -> None:
    with hold(manager, mask):
        assert manager.app_mask(UID) & mask == mask


def on_a_loop(manager: Manager, mask: int = GPS) -> None:
    async def main() -> None:
        async with hold(manager, mask):
            assert manager.app_mask(UID) & mask == mask

    with asyncio.Runner() as runner:
        runner.run(main())


def dropped(manager: Manager, mask: int = GPS) -> None:
    hold(manager, mask).__enter__()


class Once:
    """A handler that interrupts once.

    From CPython 3.14 on an interrupt behind the call of a lock's `__enter__` leaves it locked. Where it is the one that
    all threads take as they start, none ever does again. So `threading` itself is not interrupted there.
    """

    is_armed = True

    def __call__(self, _signal: int, frame: FrameType | None) -> None:
        if sys.version_info >= (3, 14) and frame is not None and frame.f_code.co_filename == threading.__file__:
            signal.setitimer(signal.ITIMER_REAL, 0.0001)
            return
        self.is_armed = False
        raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def interrupts_in_finalisers(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Collect what cannot be raised out of a finaliser, and is told to everybody else."""
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
    return told


FORMS = pytest.mark.parametrize("form", [plainly, on_a_loop, dropped])


def is_all_over(manager: Manager) -> bool:
    return manager.records() == [] and manager.renew_holds() is None


@FORMS
@pytest.mark.parametrize("by_hand", [True, False])
def test_an_interrupt_at_any_instruction_leaves_nothing(form: Callable[[Manager], None], by_hand: bool) -> None:
    manager = make_manager()[0] if by_hand else Manager()
    for where in at_each_instruction(interrupt, lambda: form(manager)):
        assert is_all_over(manager), where
        plainly(manager)
        assert is_all_over(manager), where
    wait_for(lambda: loop_threads() == [])


@FORMS
def test_a_hold_beside_one_that_is_interrupted_goes_on(form: Callable[[Manager], None]) -> None:
    manager, clock = make_manager()
    with hold(manager) as beside:
        for where in at_each_instruction(interrupt, lambda: form(manager)):
            assert (manager.app_mask(UID), beside.lost) == (GPS, 0), where
            clock.advance(200_000)
            manager.renew_holds()
            grants = manager.records()[0].grants
            assert [grant.remaining_ms for grant in grants] == [600_000], where
    assert is_all_over(manager)


@FORMS
def test_a_hold_begun_by_a_handler_at_any_instruction_is_kept(form: Callable[[Manager], None]) -> None:
    manager, _ = make_manager()
    begun: list[Hold] = []

    def handle() -> None:
        begun.append(hold(manager).__enter__())

    for where in at_each_instruction(handle, lambda: form(manager)):
        held = begun.pop()
        assert (manager.app_mask(UID), held.lost) == (GPS, 0), where
        held.__exit__()
        assert is_all_over(manager), where


@FORMS
def test_a_hold_ended_by_a_handler_at_any_instruction_takes_nothing_away(form: Callable[[Manager], None]) -> None:
    manager, _ = make_manager()
    others: list[Hold] = []

    def work() -> None:
        others.append(hold(manager).__enter__())
        form(manager)

    def handle() -> None:
        while others:
            others.pop().__exit__()

    for where in at_each_instruction(handle, work):
        handle()
        assert is_all_over(manager), where


def test_a_hold_that_is_ended_by_a_handler_while_it_begins_or_ends_is_over() -> None:
    manager, _ = make_manager()
    held: list[Hold] = []

    def work() -> None:
        held[:] = [hold(manager)]
        with contextlib.suppress(RuntimeError), held[0]:  # it has been ended while it began
            pass

    def handle() -> None:
        if held:
            held[0].__exit__()

    for where in at_each_instruction(handle, work):
        assert is_all_over(manager), where
        held.clear()


def test_renewals_at_any_instruction_are_renewals_once() -> None:
    manager, clock = make_manager()

    def work() -> None:
        manager.renew_holds()

    with hold(manager, timeout_ms=300), hold(manager, AUDIO, timeout_ms=300):
        for where in at_each_instruction(manager.renew_holds, work):
            assert manager.renew_holds() == clock.now() + 100, where
            assert [grant.remaining_ms for grant in manager.records()[0].grants] == [300, 300], where
            clock.advance(100)
    assert is_all_over(manager)


class Interrupting(Hook):
    """A hook that is interrupted while it is asked about applies, or about releases."""

    def __init__(self, is_apply: bool) -> None:
        super().__init__()
        self.is_apply = is_apply

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        super().check(uid, bundle, mask, is_apply)
        if is_apply == self.is_apply:
            raise KeyboardInterrupt
        return True


@pytest.mark.parametrize("form", [plainly, on_a_loop])
@pytest.mark.parametrize("is_apply", [True, False])
def test_a_hook_that_is_interrupted(form: Callable[[Manager, int], None], is_apply: bool) -> None:
    manager, _ = make_manager(policy=Policy(quota=Interrupting(is_apply)))
    with pytest.raises(KeyboardInterrupt):
        form(manager, CPU)
    assert is_all_over(manager)
    manager.set_policy(Policy())
    plainly(manager, CPU)
    assert is_all_over(manager)


def test_a_hook_that_is_interrupted_in_a_finaliser_is_told(interrupts_in_finalisers: list[object]) -> None:
    manager, _ = make_manager(policy=Policy(quota=Interrupting(False)))
    dropped(manager, CPU)
    gc.collect()
    assert is_all_over(manager)
    assert interrupts_in_finalisers == [KeyboardInterrupt]


@contextlib.contextmanager
def signals(handler: Callable[..., object]) -> Iterator[Callable[[float], object]]:
    """Have a handler for a signal, and give what sends it after some seconds."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("form", [plainly, dropped])
def test_ctrl_c_at_random_moments(form: Callable[[Manager], None]) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    choices = random.Random(seed)
    manager = Manager()
    interrupts: list[BaseException | None] = []
    for _ in range(300):
        once = Once()
        with signals(once) as send:
            try:
                send(choices.uniform(0.00005, 0.002))
                while once.is_armed:
                    form(manager)
            except (KeyboardInterrupt, RuntimeError) as error:
                # In the start of a thread CPython's own locks may make the one of the other.
                interrupts.append(error if isinstance(error, KeyboardInterrupt) else error.__context__)
        assert manager.records() == []
    assert all(isinstance(error, KeyboardInterrupt) for error in interrupts)
    plainly(manager)
    assert manager.records() == []
    wait_for(lambda: manager.renew_holds() is None)
    manager.validate()


def test_handlers_that_hold_at_random_moments() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    choices = random.Random(seed)
    manager = Manager()
    begun: list[Hold] = []

    def handle(*_: object) -> None:
        begun.append(hold(manager).__enter__())

    with signals(handle) as send:
        for _ in range(300):
            send(choices.uniform(0.00005, 0.002))
            while not begun:
                plainly(manager)
            held = begun.pop()
            assert (manager.app_mask(UID), held.lost) == (GPS, 0)
            held.__exit__()
            assert manager.records() == []
    manager.validate()
