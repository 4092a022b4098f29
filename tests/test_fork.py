"""In the child of a fork every public call on what belongs to a manager of the parent is refused, by reflection.

A new object of the live layer is a line of `MAKERS`; a new method that needs arguments is one of `ARGUMENTS`.
"""

import contextlib
import errno
import gc
import os
import select
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from forking import Say, in_child
from grantwheel import BusinessError, Event, Manager, _core, aio
from journals import appends, doing, in_thread, logged
from support import GPS, make_manager, state
from waiting import PATIENCE, is_readable, wait_for

# What belongs to a manager, and how it comes to be.
MAKERS: dict[str, Callable[[Manager], Any]] = {
    "reader": lambda manager: manager.subscribe("reader"),
    "callback": lambda manager: manager.subscribe([].append),
    "stream": aio.events,
    "batches": lambda manager: aio.events(manager, batch=True),
}
# The arguments of those methods that cannot do without.
ARGUMENTS: dict[str, tuple[Any, ...]] = {}


def public_names(thing: object) -> list[str]:
    return [name for name in dir(type(thing)) if not name.startswith("_")]


def use(thing: object, name: str) -> object:
    """Call a public method, or read a public attribute."""
    if callable(getattr(type(thing), name)):
        return getattr(thing, name)(*ARGUMENTS.get(name, ()))
    return getattr(thing, name)


def outcome(call: Callable[[], object]) -> str:
    try:
        return f"gave {call()!r}"
    except BusinessError as error:
        return f"{error.code} {error.detail}"


def use_all(thing: object, say: Say) -> None:
    for name in public_names(thing):
        say(f"{name} {outcome(lambda: use(thing, name))}")  # noqa: B023


def refused(thing: object) -> list[str]:
    """Return what `use_all` says when all is refused."""
    return [f"{name} 9800004 980000402" for name in public_names(thing)]


@pytest.fixture
def manager() -> Manager:
    return make_manager()[0]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_everything_is_refused_and_nothing_is_touched(manager: Manager, kind: str, is_used: bool) -> None:
    thing = MAKERS[kind](manager)
    descriptor = manager.subscribe("witness").fileno()
    manager.apply(700, 71, GPS, 40)
    if is_used:
        for name in public_names(thing):
            if name != "cancel":
                use(thing, name)
        manager.apply(800, 81, GPS, 40)
    before = state(manager), thing.pending, thing.missed
    assert in_child(lambda say: use_all(thing, say)) == refused(thing)
    assert (state(manager), thing.pending, thing.missed) == before
    assert thing.pending > 0
    assert is_readable(descriptor)


@pytest.mark.parametrize("kind", MAKERS)
def test_what_was_made_may_be_shown_and_let_go(manager: Manager, kind: str) -> None:
    things = [MAKERS[kind](manager)]
    descriptor = manager.subscribe("witness").fileno()
    manager.fileno()

    def let_go(say: Say) -> None:
        say(str(type(things[0]).__name__ in repr(things[0])))
        things.clear()
        gc.collect()

    assert in_child(let_go) == ["True"]
    assert not is_readable(descriptor)
    manager.apply(700, 71, GPS, 40)
    assert is_readable(descriptor)
    assert things[0].pending == 1


def test_nothing_new_is_made_of_a_manager_of_the_parent(manager: Manager) -> None:
    def make(say: Say) -> None:
        for maker in MAKERS.values():
            say(outcome(lambda: maker(manager)))  # noqa: B023
        say(outcome(lambda: manager.unsubscribe("reader")))

    manager.subscribe("reader")
    assert in_child(make) == ["9800004 980000402"] * (len(MAKERS) + 1)


def test_a_block_of_the_parent_may_be_left(manager: Manager) -> None:
    def leave(_: Say) -> None:
        subscription.__exit__(None, None, None)

    with manager.subscribe("reader") as subscription:
        in_child(leave)
        manager.apply(700, 71, GPS, 40)
        assert len(subscription.drain()) == 1


@pytest.fixture
def busy(manager: Manager) -> Iterator[Manager]:
    """Keep other threads in calls, reads and subscribing all the time, so that a fork comes while they hold locks."""
    uids = array("I", range(2_000))
    masks, timeouts = array("i", [GPS] * 2_000), array("I", [40] * 2_000)
    is_over = threading.Event()

    def change() -> None:
        while not is_over.is_set():
            manager.apply_many(uids, uids, masks, timeouts)
            manager.release_many(uids, uids, masks)

    def follow() -> None:
        while not is_over.is_set():
            with manager.subscribe(object()) as reader:
                reader.drain(100)

    threads = [threading.Thread(target=work) for work in (change, follow)]
    for thread in threads:
        thread.start()
    wait_for(lambda: manager.last_sequence > 0)
    yield manager
    is_over.set()
    for thread in threads:
        thread.join()


def test_nothing_hangs_whatever_other_threads_hold(busy: Manager) -> None:
    things = [make(busy) for make in MAKERS.values()]

    def use_things(say: Say) -> None:
        for thing in things:
            use_all(thing, say)
        for make in MAKERS.values():
            say(outcome(lambda: make(busy)))  # noqa: B023

    expected = [line for thing in things for line in refused(thing)] + ["9800004 980000402"] * len(MAKERS)
    for _ in range(10):
        assert in_child(use_things) == expected


@contextlib.contextmanager
def slowed(descriptor: int) -> Iterator[None]:
    """Have so many wait for a descriptor that it takes milliseconds to make it readable, or not."""
    with contextlib.ExitStack() as closing:
        duplicates: list[int] = []
        try:
            for _ in range(400):
                duplicates.append(os.dup(descriptor))
                closing.callback(os.close, duplicates[-1])
            for _ in range(250):
                waiting = closing.enter_context(select.epoll())
                for duplicate in duplicates:
                    waiting.register(duplicate, select.EPOLLIN)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENOSPC):
                raise
            pytest.skip(f"the system does not allow so many descriptors or watches: {error}")
        yield


def test_a_child_goes_on_with_a_clock_whose_alarm_was_being_set() -> None:
    manager, clock, log = logged()

    def go_on(say: Say) -> None:
        own = Manager(clock=clock)
        own.apply(700, 71, GPS, 10)
        own.advance()
        descriptor = _core.alarm_fileno(own)
        before = is_readable(descriptor)
        clock.advance(10)
        say(f"{before} {is_readable(descriptor)}")

    with slowed(_core.alarm_fileno(manager)):
        for pause in (0.0002, 0.0005, 0.001, 0.002, 0.004) * 3:
            manager.apply(700, 71, GPS, 10)
            clock.advance(10)
            is_appended = threading.Event()
            log.otherwise = doing(is_appended.set)
            with in_thread(manager.advance):
                assert is_appended.wait(PATIENCE)
                time.sleep(pause)  # the thread of the log sets the alarm now, and does not need the GIL
                assert in_child(go_on) == ["False True"]
            log.otherwise = appends


def test_a_child_hears_nothing_of_a_running_parent() -> None:
    manager, _ = make_manager()
    heard: list[tuple[int, int]] = []

    def take(event: Event) -> None:
        heard.append((os.getpid(), event.sequence))

    subscription = manager.subscribe(take)
    with manager.running():
        manager.apply(700, 71, GPS, 40)

        def look(say: Say) -> None:
            use_all(subscription, say)
            say(str([pid for pid, _ in heard if pid == os.getpid()]))

        assert in_child(look) == [*refused(subscription), "[]"]
        manager.release(700, 71, GPS)
    assert heard == [(os.getpid(), 1), (os.getpid(), 2)]
