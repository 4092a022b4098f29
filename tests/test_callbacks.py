"""Callback subscriptions: every event once and in order, each in a thread of its own, whatever the others do."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from grantwheel import Cause, Event, EventKind, Manager, Subscription
from support import ALL, AUDIO, CPU, GPS, make_manager
from waiting import PATIENCE, is_readable, wait_for


def blink(manager: Manager, times: int = 1, uid: int = 700) -> None:
    """Make two events."""
    for _ in range(times):
        manager.apply(uid, 71, GPS, 40)
        manager.release(uid, 71, GPS)


def numbers(events: list[Event]) -> list[int]:
    return [event.sequence for event in events]


def test_a_callable_gets_events_while_the_manager_runs() -> None:
    manager, _ = make_manager()
    events: list[Event] = []
    subscription = manager.subscribe(events.append)
    blink(manager)
    assert (events, subscription.pending) == ([], 2)
    with manager.running():
        wait_for(lambda: numbers(events) == [1, 2])
        blink(manager)
        wait_for(lambda: numbers(events) == [1, 2, 3, 4])
    assert (numbers(events), subscription.pending, subscription.missed) == ([1, 2, 3, 4], 0, 0)
    blink(manager)
    assert (numbers(events), subscription.pending) == ([1, 2, 3, 4], 2)
    with manager.running():
        pass
    assert numbers(events) == [1, 2, 3, 4, 5, 6]


def test_one_that_subscribes_while_the_manager_runs() -> None:
    manager, _ = make_manager()
    events: list[Event] = []
    with manager.running():
        blink(manager)
        manager.subscribe(events.append)
        blink(manager)
    assert numbers(events) == [3, 4]


def test_batches() -> None:
    manager, _ = make_manager()
    batches: list[list[Event]] = []
    manager.subscribe(batches.append, batch=True)
    blink(manager, 2000)
    with manager.running():
        pass
    assert [len(batch) for batch in batches] == [1024, 1024, 1024, 928]
    assert [number for batch in batches for number in numbers(batch)] == list(range(1, 4001))


@pytest.mark.parametrize("batch", [False, True])
def test_kinds_and_uids(batch: bool) -> None:
    manager, _ = make_manager()
    seen: list[Any] = []
    manager.subscribe(seen.append, kinds=["app_reset"], uids={700, 900}, batch=batch)
    for uid in (700, 800, 900):
        blink(manager, uid=uid)
    manager.apply(700, 71, CPU, 40, process=True)
    with manager.running():
        blink(manager)
    events = [event for part in seen for event in part] if batch else seen
    assert [(event.kind, event.uid) for event in events] == [("app_reset", 700), ("app_reset", 900), ("app_reset", 700)]


def test_readers_choose_too() -> None:
    manager, _ = make_manager(event_capacity=64)
    one_kind = manager.subscribe("a", kinds=EventKind.APP_RESET)
    some = manager.subscribe("b", kinds=[EventKind.APP_RESET, "process_apply"], uids=iter([700]))
    none = manager.subscribe("c", uids=[])
    blink(manager, 3)
    blink(manager, 3, uid=800)
    assert none.pending == 12
    assert len(one_kind.drain(limit=2)) == 2
    assert one_kind.pending == 8
    assert numbers(one_kind.drain()) == [6, 8, 10, 12]
    assert list(some.drain_columns().sequence) == [2, 4, 6]
    assert none.drain() == []
    assert none.pending == 0
    blink(manager, 50)
    assert len(some.drain()) == 32
    assert some.missed == 36


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"kinds": ["app_reset", "nothing"]}, ValueError, "nothing"),
        ({"kinds": 7}, TypeError, "iterable"),
        ({"uids": [-1]}, ValueError, "uids"),
        ({"uids": [2**32 - 1]}, ValueError, "uids"),
        ({"uids": ["700"]}, TypeError, "integer"),
        ({"uids": 700}, TypeError, "iterable"),
        ({"batch": True}, TypeError, "callable"),
        ({"on_gap": print}, TypeError, "callable"),
    ],
)
def test_what_cannot_be_wanted(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    manager, _ = make_manager()
    with pytest.raises(error, match=words):
        manager.subscribe("s", **arguments)
    manager.subscribe("s")


def test_a_coroutine_function_is_no_callback() -> None:
    async def take(_: Event) -> None:
        pass

    manager, _ = make_manager()
    with pytest.raises(TypeError, match=r"aio\.events"):
        manager.subscribe(take)


def test_one_that_raises_is_logged_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    manager, _ = make_manager()
    seen: list[int] = []
    errors = iter([ValueError("first"), SystemExit(1), KeyboardInterrupt()])

    def take(event: Event) -> None:
        seen.append(event.sequence)
        for error in errors:
            raise error

    others: list[Event] = []
    manager.subscribe(take)
    manager.subscribe(others.append)
    with manager.running():
        blink(manager, 3)
    assert seen == numbers(others) == [1, 2, 3, 4, 5, 6]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        ValueError,
        SystemExit,
        KeyboardInterrupt,
    ]
    assert {(record.name, record.levelno) for record in caplog.records} == {("grantwheel", logging.ERROR)}
    assert "take" in caplog.text


def test_a_slow_one_delays_nobody_and_gets_a_gap() -> None:
    manager, _ = make_manager(event_capacity=1024)
    go_on = threading.Event()
    entered = threading.Event()
    story: list[tuple[str, int]] = []

    def slow(event: Event) -> None:
        story.append(("event", event.sequence))
        entered.set()
        go_on.wait(PATIENCE)

    fast: list[int] = []
    subscription = manager.subscribe(slow, on_gap=lambda count: story.append(("gap", count)))
    manager.subscribe(lambda event: fast.append(event.sequence))
    with manager.running():
        manager.apply(700, 71, GPS, 40)
        assert entered.wait(PATIENCE)
        for _ in range(50):
            blink(manager, 100, uid=800)
            wait_for(lambda: len(fast) == manager.last_sequence)
        assert subscription.pending == 10_000
        go_on.set()
    assert fast == list(range(1, 10_002))
    assert story == [("event", 1), ("gap", 10_000 - 1024), *(("event", n) for n in range(10_002 - 1024, 10_002))]
    assert subscription.missed == 10_000 - 1024


def test_a_gap_that_nobody_asks_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    manager, _ = make_manager(event_capacity=4)
    events: list[Event] = []
    subscription = manager.subscribe(events.append)
    blink(manager, 5)
    with manager.running():
        pass
    assert numbers(events) == [7, 8, 9, 10]
    assert subscription.missed == 6
    assert "missed 6 events" in caplog.text


def test_a_subscriber_may_call_back() -> None:
    manager, _ = make_manager()
    others: list[Event] = []
    seen: list[Event] = []

    def take(event: Event) -> None:
        seen.append(event)
        if event.sequence == 1:
            manager.subscribe(others.append)
            manager.apply(800, 81, AUDIO, 40)
            manager.reset_all(700, 71)
        elif event.sequence == 3:
            manager.unsubscribe(take)
            manager.apply(900, 91, AUDIO, 40)
            done.set()

    done = threading.Event()
    manager.subscribe(take)
    with manager.running():
        manager.apply(700, 71, GPS, 40)
        assert done.wait(PATIENCE)
    assert numbers(seen) == [1, 2, 3]
    assert numbers(others) == [2, 3, 4]
    manager.validate()


def test_a_runner_may_be_stopped_by_a_callback() -> None:
    manager, _ = make_manager()
    seen: list[int] = []

    def take(event: Event) -> None:
        seen.append(event.sequence)
        if event.sequence == 1:
            runner.stop()

    manager.subscribe(take)
    runner = manager.running()
    blink(manager)
    runner.start()
    wait_for(lambda: manager.runner is None)
    wait_for(lambda: seen == [1, 2])  # it goes on with what has happened by then
    with manager.running():
        blink(manager)
    assert seen == [1, 2, 3, 4]


def test_a_run_that_is_ended_while_it_begins_delivers_no_more() -> None:
    manager, _ = make_manager()
    events: list[Event] = []
    subscription = manager.subscribe(events.append)
    runner = manager.running()
    begin = subscription._begin_delivery

    def begin_late() -> None:
        """What comes in between, as a signal handler may, is the end of the run."""
        subscription._begin_delivery = begin  # type: ignore[method-assign]
        runner.stop()
        begin()

    before = set(threading.enumerate())
    subscription._begin_delivery = begin_late  # type: ignore[method-assign]
    runner.start()
    assert manager.runner is None
    wait_for(lambda: set(threading.enumerate()) <= before)
    blink(manager)
    assert (events, subscription.pending) == ([], 2)


def test_a_cancel_waits_for_the_callback_that_is_being_called() -> None:
    manager, _ = make_manager()
    inside, go_on = threading.Event(), threading.Event()

    def take(_event: Event) -> None:
        inside.set()
        assert go_on.wait(PATIENCE)

    subscription = manager.subscribe(take)
    before = set(threading.enumerate())
    with manager.running():
        blink(manager)
        assert inside.wait(PATIENCE)
        (delivering,) = (thread for thread in set(threading.enumerate()) - before if "take" in thread.name)
        cancelling = threading.Thread(target=subscription.cancel)
        cancelling.start()
        cancelling.join(0.05)
        assert cancelling.is_alive()
        go_on.set()
        cancelling.join(PATIENCE)
        assert not cancelling.is_alive()
        wait_for(lambda: not delivering.is_alive())


def test_the_thread_of_a_callback_that_is_cancelled_ends() -> None:
    manager, _ = make_manager()
    before = set(threading.enumerate())
    subscription = manager.subscribe(lambda _: None)
    with manager.running():
        (delivering,) = (thread for thread in set(threading.enumerate()) - before if "lambda" in thread.name)
        blink(manager)
        wait_for(lambda: subscription.pending == 0)
        subscription.cancel()
        wait_for(lambda: not delivering.is_alive())


def test_after_cancel_no_callback_runs() -> None:
    """Random moments of cancelling; the seed is printed."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(50):
        manager, _ = make_manager()
        is_over = False
        late: list[Event] = []

        def take(event: Event) -> None:
            if is_over:  # noqa: B023
                late.append(event)  # noqa: B023

        subscription = manager.subscribe(take)
        with manager.running():
            blink(manager, chance.randrange(100))
            subscription.cancel()
            is_over = True
            blink(manager, 10)
        assert late == []


def test_one_that_cancels_itself_is_called_no_more() -> None:
    manager, _ = make_manager()
    events: list[int] = []

    def take(event: Event) -> None:
        events.append(event.sequence)
        subscription.cancel()

    subscription = manager.subscribe(take)
    blink(manager, 5)  # which are read at once
    with manager.running():
        pass
    assert events == [1]


def test_one_that_cancels_itself_at_a_gap_gets_nothing_behind_it() -> None:
    manager, _ = make_manager(event_capacity=4)
    events: list[Event] = []
    gaps: list[int] = []

    def on_gap(count: int) -> None:
        gaps.append(count)
        subscription.cancel()

    subscription = manager.subscribe(events.append, on_gap=on_gap)
    blink(manager, 5)
    with manager.running():
        pass
    assert (gaps, events) == ([6], [])


def test_callbacks_may_cancel_each_other() -> None:
    manager, _ = make_manager()
    both = threading.Barrier(2, timeout=PATIENCE)
    subscriptions: dict[str, Any] = {}

    def cancel(other: str) -> Callable[[Event], None]:
        def take(event: Event) -> None:
            if event.sequence == 1:
                both.wait()
                subscriptions[other].cancel()

        return take

    subscriptions["a"] = manager.subscribe(cancel("b"))
    subscriptions["b"] = manager.subscribe(cancel("a"))
    blink(manager)  # which both have read when they are cancelled
    with manager.running():
        pass
    with manager.running():
        blink(manager)
    manager.drain()
    # Nobody waits for one that a callback has cancelled: it may be in its own callback still.
    wait_for(lambda: {subscription.pending for subscription in subscriptions.values()} == {0})


def test_a_subscription_is_a_context_manager() -> None:
    manager, _ = make_manager()
    events: list[Event] = []
    with manager.running():
        with manager.subscribe(events.append) as subscription:
            blink(manager)
            wait_for(lambda: len(events) == 2)
        blink(manager)
        assert "cancelled" in repr(subscription)
        with manager.subscribe(events.append) as subscription:
            subscription.cancel()
    with manager.subscribe("reader"):
        manager.close()
    assert numbers(events) == [1, 2]


def test_lateness_is_counted() -> None:
    manager, clock = make_manager()
    one, many, reader = [
        manager.subscribe(x, batch=x is len) if x != "r" else manager.subscribe(x) for x in (repr, len, "r")
    ]
    manager.apply(700, 71, GPS, 10)
    clock.set(10)
    manager.advance()
    clock.set(13)
    with manager.running():
        pass
    reader.drain()
    for subscription in (one, many, reader):
        assert subscription.lateness[:2] == (3, 13)
        assert subscription.lateness.counts == (0, 0, 1, 0, 1, *[0] * 13)


def test_the_descriptor_of_a_subscription() -> None:
    manager, _ = make_manager()
    reader = manager.subscribe("reader")
    manager.drain()
    descriptor = reader.fileno()
    assert not is_readable(descriptor)
    blink(manager)
    assert is_readable(descriptor)
    reader.drain(1)
    assert is_readable(descriptor)
    reader.drain_columns()
    assert not is_readable(descriptor)
    reader.cancel()
    blink(manager)
    assert reader.drain() == []
    blink(manager)
    assert not is_readable(descriptor)


def test_a_read_that_fails_is_logged_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manager, _ = make_manager()
    events: list[Event] = []
    subscription: Any = manager.subscribe(events.append)
    cursor = subscription._cursor

    class Failing:
        """The cursor, but for its first read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(cursor, name)

        def read(self, *_: object, **__: object) -> list[Event]:
            subscription._cursor = cursor
            raise MemoryError

    subscription._cursor = Failing()
    monkeypatch.setattr("grantwheel.events.delivery._PAUSE_S", 0)
    blink(manager)
    with manager.running():
        pass
    assert numbers(events) == [1, 2]
    assert "could not have its events" in caplog.text


def drive(manager: Manager, seed: int, times: int, readers: list[Subscription]) -> None:
    """Apply, renew and release at random, as one of several threads, no faster than these readers can follow."""
    chance = random.Random(seed)
    for _ in range(times):
        uid = chance.randrange(500_000)
        manager.apply(uid, 1, GPS, 1 + chance.randrange(40))
        if chance.random() < 0.3:
            manager.apply(uid, 1, GPS, 1 + chance.randrange(60))
        if chance.random() < 0.05:
            manager.release(uid, 1, ALL)
        while any(reader.pending > 4000 for reader in readers):
            time.sleep(0.001)


def check_stream(events: list[tuple[int, int, int, Cause, bool]], gaps: list[tuple[int, int]], last: int) -> None:
    """Nothing lost or doubled but the gaps, which are where they were told, and the order kept."""
    gap_before = dict(gaps)
    expected = 1
    for sequence, *_ in events:
        expected += gap_before.pop(expected, 0)
        assert sequence == expected
        expected += 1
    assert expected == last + 1
    assert gap_before == {}


def test_many_expiries_under_load() -> None:
    """Needs a real clock and real threads: it is about what they do to each other. Random; the seed is printed."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    manager = Manager(event_capacity=1 << 15)
    clock = manager.clock
    good: list[tuple[int, int, int, Cause, bool]] = []
    bad: list[int] = []
    slow: list[tuple[int, int, int, Cause, bool]] = []
    slow_gaps: list[tuple[int, int]] = []
    has_blocked = threading.Event()

    def note(event: Event) -> tuple[int, int, int, Cause, bool]:
        return event.sequence, event.time, event.uid, event.cause, clock.now() < event.time

    def take(events: list[Event]) -> None:
        good.extend(map(note, events))

    def raising(events: list[Event]) -> None:
        bad.extend(numbers(events))
        raise ValueError("as it has to")

    def blocking(events: list[Event]) -> None:
        if events[-1].sequence > 10_000 and not has_blocked.is_set():
            has_blocked.set()
            threading.Event().wait(1)
        slow.extend(map(note, events))

    subscription = manager.subscribe(take, batch=True)
    raised = manager.subscribe(raising, batch=True)
    late = manager.subscribe(
        blocking, batch=True, on_gap=lambda count: slow_gaps.append((slow[-1][0] + 1 if slow else 1, count))
    )
    logging.getLogger("grantwheel").addFilter(quiet := lambda _: False)
    readers = [subscription, raised]
    threads = [threading.Thread(target=drive, args=(manager, seed + number, 60_000, readers)) for number in range(2)]
    try:
        with manager.running():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait_for(lambda: manager.wake_at is None)
    finally:
        logging.getLogger("grantwheel").removeFilter(quiet)
    manager.validate()
    assert manager.records() == []
    last = manager.last_sequence
    assert (subscription.missed, len(good), len(bad)) == (0, last, last)
    check_stream(good, [], last)
    check_stream(slow, slow_gaps, last)
    assert bad == [sequence for sequence, *_ in good]
    assert late.missed == sum(count for _, count in slow_gaps) == last - len(slow)
    assert has_blocked.is_set()
    assert not any(early for *_, early in good)
    holding: set[int] = set()
    for _, _, uid, cause, _ in good:
        assert (uid in holding) != (cause == Cause.APPLY)
        holding ^= {uid}
    assert sum(cause == Cause.EXPIRED for _, _, _, cause, _ in good) > 100_000
