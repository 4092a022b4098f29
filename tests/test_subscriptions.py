"""Subscriptions: cursors over one stream of events, with counted gaps."""

import errno
import gc
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from forking import Say, in_child
from grantwheel import Caller, Cause, Event, EventKind, Manager, ManualClock, ResourceType
from support import (
    ALL,
    AUDIO,
    CPU,
    GPS,
    MAIL,
    TIMER,
    brief,
    check_error,
    check_refused,
    make_manager,
    refusal,
)
from waiting import is_readable


@pytest.fixture
def manager() -> Manager:
    return make_manager()[0]


def blink(manager: Manager, times: int = 1) -> None:
    """Make two events."""
    for _ in range(times):
        manager.apply(700, 71, GPS, 40)
        manager.release(700, 71, GPS)


def test_an_event_says_everything() -> None:
    manager, clock = make_manager()
    clock.set(10)
    mail = Caller(bundle="org.tide.mail", system_app=True)
    manager.apply(700, 71, GPS | CPU, 40, process=True, caller=mail)
    clock.set(60)
    manager.advance()
    common = {"uid": 700, "pid": 71, "bundle": "org.tide.mail", "cpu_level": -1}
    applied: dict[str, Any] = {"time": 10, "cause": Cause.APPLY, **common}
    expired: dict[str, Any] = {"time": 50, "cause": Cause.EXPIRED, **common}
    assert manager.drain() == [
        Event(sequence=1, kind=EventKind.PROCESS_APPLY, mask=CPU, **applied),
        Event(sequence=2, kind=EventKind.APP_APPLY, mask=GPS, **applied),
        Event(sequence=3, kind=EventKind.PROCESS_RESET, mask=CPU, **expired),
        Event(sequence=4, kind=EventKind.APP_RESET, mask=GPS, **expired),
    ]


def test_events_have_the_types_of_the_package(manager: Manager) -> None:
    blink(manager)
    for event in manager.drain():
        assert type(event) is Event
        assert type(event.kind) is EventKind
        assert type(event.cause) is Cause
        assert all(type(number) is int for number in (event.sequence, event.time, event.uid))
        assert type(event.mask) is ResourceType


def test_every_cause_names_itself() -> None:
    manager, clock = make_manager()
    manager.apply(1, 11, GPS, 10)
    clock.set(10)
    manager.advance()
    app_calls: list[Callable[[], object]] = [
        lambda: manager.release(1, 11, ALL),
        lambda: manager.reset_all(1, 11),
        lambda: manager.app_stopped(1),
        lambda: manager.package_removed(1),
        lambda: manager.admin_reset_app(1, ALL),
        manager.admin_reset_all,
    ]
    for call in app_calls:
        manager.apply(1, 11, GPS, 10)
        call()
    process_calls: list[Callable[[], object]] = [
        lambda: manager.process_died(1, 11),
        lambda: manager.admin_reset_process(11, ALL),
        lambda: manager.apply(2, 11, CPU, 10, process=True),
    ]
    for call in process_calls:
        manager.apply(1, 11, CPU, 10, process=True)
        call()
    resets = [event.cause for event in manager.drain() if event.kind.endswith("reset")]
    assert resets == [
        Cause.EXPIRED,
        Cause.RELEASE,
        Cause.RESET_ALL,
        Cause.APP_STOPPED,
        Cause.PACKAGE_REMOVED,
        Cause.ADMIN,
        Cause.ADMIN,
        Cause.PROCESS_DIED,
        Cause.ADMIN,
        Cause.PID_REUSED,
    ]


def test_an_apply_event_carries_the_callers_bundle_and_a_reset_the_records(manager: Manager) -> None:
    manager.apply(700, 71, GPS, 40, caller=Caller(bundle="first", system_app=True))
    manager.apply(700, 72, AUDIO, 40, caller=Caller(bundle="second", system_app=True))
    manager.release(700, 73, ALL, caller=Caller(bundle="third", system_app=True))
    assert [(event.pid, event.bundle) for event in manager.drain()] == [(71, "first"), (72, "second"), (71, "first")]


def test_sequence_numbers_have_no_holes(manager: Manager) -> None:
    blink(manager, 50)
    assert [event.sequence for event in manager.drain()] == list(range(1, 101))


def test_a_subscription_starts_at_its_subscribing(manager: Manager) -> None:
    blink(manager)
    subscription = manager.subscribe("late")
    assert subscription.drain() == []
    manager.apply(700, 71, TIMER, 40)
    assert brief(subscription.drain()) == [("app_apply", 700, 71, TIMER)]
    assert subscription.drain() == []
    assert subscription.missed == 0


def test_the_managers_own_subscription_starts_at_its_start(manager: Manager) -> None:
    blink(manager)
    manager.subscribe("other").drain()
    assert len(manager.drain()) == 2
    assert manager.drain() == []
    assert manager.missed == 0


def test_a_limit_takes_the_oldest_first(manager: Manager) -> None:
    subscription = manager.subscribe("s")
    blink(manager, 3)
    assert subscription.drain(0) == []
    assert [event.sequence for event in subscription.drain(2)] == [1, 2]
    assert [event.sequence for event in subscription.drain(limit=3)] == [3, 4, 5]
    assert [event.sequence for event in subscription.drain(100)] == [6]
    assert [event.sequence for event in manager.drain(4)] == [1, 2, 3, 4]
    for wrong in (-1, -(2**70)):
        with pytest.raises(ValueError, match="limit"):
            subscription.drain(wrong)
    not_a_number: Any = "2"
    with pytest.raises(TypeError, match="limit"):
        subscription.drain(not_a_number)


def test_subscribers_do_not_disturb_each_other(manager: Manager) -> None:
    first, second = manager.subscribe("first"), manager.subscribe("second")
    blink(manager)
    assert len(first.drain()) == 2
    blink(manager)
    assert [event.sequence for event in first.drain()] == [3, 4]
    assert [event.sequence for event in second.drain()] == [1, 2, 3, 4]


@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 5, 7, 8, 100])
def test_a_gap_is_counted_exactly(capacity: int) -> None:
    manager, _ = make_manager(event_capacity=capacity)
    subscription = manager.subscribe("slow")
    blink(manager, 60)
    assert [event.sequence for event in subscription.drain()] == list(range(121 - capacity, 121))
    assert subscription.missed == 120 - capacity
    blink(manager, 60)
    first = subscription.drain(1)
    assert [event.sequence for event in first] == [241 - capacity]
    assert subscription.missed == 2 * (120 - capacity)
    assert manager.drain()[0].sequence == 241 - capacity
    assert manager.missed == 240 - capacity


def test_no_gap_up_to_the_capacity() -> None:
    manager, _ = make_manager(event_capacity=6)
    subscription = manager.subscribe("fast")
    for _ in range(10):
        blink(manager, 3)
        assert len(subscription.drain()) == 6
    assert subscription.missed == 0


def test_a_gap_in_the_middle_of_draining() -> None:
    manager, _ = make_manager(event_capacity=4)
    subscription = manager.subscribe("s")
    blink(manager, 2)
    assert [event.sequence for event in subscription.drain(1)] == [1]
    blink(manager)
    assert [event.sequence for event in subscription.drain(1)] == [3]
    assert subscription.missed == 1
    blink(manager, 10)
    assert [event.sequence for event in subscription.drain()] == [23, 24, 25, 26]
    assert subscription.missed == 1 + 19


def test_events_survive_their_records_and_their_texts() -> None:
    manager, _ = make_manager(max_records=1, max_strings=1)
    for number in range(50):
        manager.apply(number, 1, GPS, 40, caller=Caller(bundle=f"bundle {number}", system_app=True))
        manager.reset_all(number, 1)
    assert [event.bundle for event in manager.drain()] == [f"bundle {n}" for n in range(50) for _ in "ab"]


def test_a_null_subscriber_is_refused(manager: Manager) -> None:
    error = check_refused(manager, lambda: manager.subscribe(None), 401, 401)
    assert "subscriber" in error.message


def test_an_equal_subscriber_is_the_same_subscriber(manager: Manager) -> None:
    manager.subscribe(("a", 1))
    check_refused(manager, lambda: manager.subscribe(("a", 1)), 9800005, 980000501)
    manager.subscribe(("a", 2))
    manager.unsubscribe(("a", 1))
    manager.subscribe(("a", 1))


def test_subscribers_that_only_look_alike_differ(manager: Manager) -> None:
    class Listener:
        pass

    first, second = Listener(), Listener()
    manager.subscribe(first)
    manager.subscribe(second)
    check_refused(manager, lambda: manager.subscribe(first), 9800005, 980000501)


def test_subscribers_without_a_hash_are_told_apart_by_identity(manager: Manager) -> None:
    first, second = ["no", "hash"], ["no", "hash"]
    subscriptions = [manager.subscribe(first), manager.subscribe(second)]
    for subscriber in (first, second):
        check_refused(manager, lambda: manager.subscribe(subscriber), 9800005, 980000501)  # noqa: B023
    manager.unsubscribe(first)
    subscriptions[1].cancel()


def test_any_object_may_subscribe(manager: Manager) -> None:
    for subscriber in ("text", 7, print, manager, MAIL, ["no", "hash"], ("no", ["hash"]), lambda: None):
        subscription = manager.subscribe(subscriber)
        check_refused(manager, lambda: manager.subscribe(subscriber), 9800005, 980000501)  # noqa: B023
        subscription.cancel()


def test_cancelling_ends_a_subscription(manager: Manager) -> None:
    subscription = manager.subscribe("s")
    subscription.cancel()
    check_error(refusal(subscription.cancel), 9800005, 980000502)
    check_refused(manager, lambda: manager.unsubscribe("s"), 9800005, 980000502)
    again = manager.subscribe("s")
    blink(manager)
    assert len(again.drain()) == 2


def test_a_cancelled_subscription_gives_what_came_before(manager: Manager) -> None:
    subscription = manager.subscribe("s")
    blink(manager)
    manager.unsubscribe("s")
    blink(manager)
    assert [event.sequence for event in subscription.drain(1)] == [1]
    assert [event.sequence for event in subscription.drain()] == [2]
    assert subscription.drain() == []
    assert subscription.missed == 0


def test_a_cancelled_subscription_counts_what_it_lost_before() -> None:
    manager, _ = make_manager(event_capacity=4)
    subscription = manager.subscribe("s")
    blink(manager, 3)
    subscription.cancel()
    blink(manager, 3)
    assert subscription.drain() == []
    assert subscription.missed == 6
    assert subscription.drain() == []
    assert subscription.missed == 6


def test_an_old_subscription_is_not_the_new_one(manager: Manager) -> None:
    old = manager.subscribe("s")
    old.cancel()
    new = manager.subscribe("s")
    check_error(refusal(old.cancel), 9800005, 980000502)
    blink(manager)
    assert len(new.drain()) == 2


def test_unsubscribing_needs_a_subscriber(manager: Manager) -> None:
    check_refused(manager, lambda: manager.unsubscribe("nobody"), 9800005, 980000502)
    check_refused(manager, lambda: manager.unsubscribe(None), 401, 401)


def test_only_native_callers_subscribe(manager: Manager) -> None:
    check_refused(manager, lambda: manager.subscribe("s", caller=MAIL), 201, 201)
    check_refused(manager, lambda: manager.subscribe(None, caller=MAIL), 401, 401)
    manager.subscribe("s", caller=Caller(native=True))
    manager.ready = False
    manager.subscribe("t", caller=Caller(native=True))


def test_reading_events_needs_no_clock() -> None:
    clock = ManualClock(start_ms=100)
    manager = Manager(clock=clock)
    blink(manager)
    clock.set(0)
    assert len(manager.drain()) == 2


def test_due_grants_become_events_when_somebody_drives() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS, 40)
    manager.drain()
    clock.set(50)
    assert manager.app_mask(700) == 0
    assert manager.drain() == []
    manager.apply(700, 71, AUDIO, 40)
    assert [(event.kind, event.time, event.mask) for event in manager.drain()] == [
        (EventKind.APP_RESET, 40, GPS),
        (EventKind.APP_APPLY, 50, AUDIO),
    ]


def test_a_changing_call_reports_what_is_due_in_what_it_touches_only() -> None:
    manager, clock = make_manager()
    manager.apply(900, 91, GPS, 10)
    manager.apply(700, 71, GPS, 30)
    manager.apply(700, 72, CPU, 20, process=True)
    manager.drain()
    clock.set(50)
    manager.release(700, 73, ALL)
    assert [(event.kind, event.time) for event in manager.drain()] == [("process_reset", 20), ("app_reset", 30)]
    manager.advance()
    assert [(event.uid, event.time) for event in manager.drain()] == [(900, 10)]


def check_closed(call: Callable[[], object]) -> None:
    check_error(refusal(call), 9800004, 980000402)


def test_what_happened_before_the_close_is_still_there(manager: Manager) -> None:
    one_by_one, at_once = manager.subscribe("one by one"), manager.subscribe("at once")
    resets = manager.subscribe("resets", kinds=["app_reset"])
    blink(manager, 2)
    at_once.drain(1)
    manager.close()
    assert [reader.pending for reader in (one_by_one, at_once, resets)] == [4, 3, 4]
    assert [one_by_one.drain(1)[0].sequence for _ in range(4)] == [1, 2, 3, 4]
    assert list(at_once.drain_columns().sequence) == [2, 3, 4]
    assert [event.sequence for event in resets.drain()] == [2, 4]
    assert [event.sequence for event in manager.drain(3)] == [1, 2, 3]
    assert list(manager.drain_columns().sequence) == [4]
    for reader in (one_by_one, at_once, resets):
        assert (reader.pending, reader.missed) == (0, 0)
        check_closed(reader.drain)
        check_closed(reader.drain_columns)
    check_closed(manager.drain)
    check_closed(manager.drain_columns)
    assert manager.missed == 0


def test_nothing_is_left_of_what_was_read_before_the_close(manager: Manager) -> None:
    reader = manager.subscribe("reader")
    blink(manager)
    reader.drain()
    manager.drain()
    manager.close()
    check_closed(reader.drain)
    check_closed(manager.drain)


def test_the_close_keeps_texts_and_counts_gaps() -> None:
    manager, _ = make_manager(max_records=1, max_strings=1, event_capacity=6)
    reader = manager.subscribe("slow")
    for number in range(5):
        manager.apply(number, 1, GPS, 40, caller=Caller(bundle=f"bundle {number}", system_app=True))
        manager.reset_all(number, 1)
    manager.close()
    assert reader.pending == 10
    assert [event.bundle for event in reader.drain()] == [f"bundle {n}" for n in (2, 3, 4) for _ in "ab"]
    assert reader.missed == 4
    check_closed(reader.drain)


def test_a_cancelled_reader_has_its_events_after_the_close_and_no_more(manager: Manager) -> None:
    reader = manager.subscribe("reader")
    blink(manager)
    reader.cancel()
    blink(manager)
    manager.close()
    assert reader.pending == 2
    assert [event.sequence for event in reader.drain()] == [1, 2]
    check_closed(reader.drain)
    check_closed(reader.cancel)


def test_more_is_left_than_one_read_takes() -> None:
    manager, _ = make_manager(event_capacity=1 << 14)
    readers = [manager.subscribe("all"), manager.subscribe("nobody", uids=[1])]
    blink(manager, 5000)
    manager.close()
    assert [event.sequence for event in readers[0].drain()] == list(range(1, 10_001))
    assert readers[1].drain() == []
    for reader in readers:
        check_closed(reader.drain)


@pytest.mark.parametrize("calls", list(itertools.permutations(["fileno", "apply", "drain", "cancel"])), ids="-".join)
def test_a_close_makes_readable_for_good_whatever_came_before(manager: Manager, calls: tuple[str, ...]) -> None:
    reader = manager.subscribe("reader")
    actions: dict[str, Callable[[], object]] = {
        "fileno": reader.fileno,
        "apply": lambda: manager.apply(1, 1, CPU, 5),
        "drain": reader.drain,
        "cancel": reader.cancel,
    }
    for call in calls:
        actions[call]()
    descriptor = reader.fileno()
    manager.close()
    assert is_readable(descriptor)
    while reader.pending:
        reader.drain(1)
        assert is_readable(descriptor)
    check_closed(reader.drain)
    assert is_readable(descriptor)
    assert reader.fileno() == descriptor


def test_a_descriptor_does_not_begin_with_a_closed_manager(manager: Manager) -> None:
    reader = manager.subscribe("reader")
    manager.close()
    check_closed(reader.fileno)


class Finaliser:
    """Garbage that only a collection finds, and that uses a manager then."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self.itself = self

    def __del__(self) -> None:
        self.call()


@pytest.mark.parametrize("is_joint", [False, True], ids=["of a reader", "of the manager"])
def test_garbage_may_be_collected_while_a_descriptor_is_refused(is_joint: bool) -> None:
    """A finaliser that calls the manager runs wherever Python makes an object: with no lock held, or it would hang."""

    def ask_without_descriptors(say: Say) -> None:
        calls: list[int] = []
        manager, _ = make_manager()
        reader = manager.subscribe("reader")
        manager._own.fileno(manager)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        for threshold in range(20):
            gc.disable()
            gc.collect()
            Finaliser(lambda: calls.append(manager.last_sequence))
            gc.set_threshold(threshold + 1)  # so many objects later
            gc.enable()
            check_no_descriptor(manager.fileno if is_joint else reader.fileno)
        gc.collect()
        say(str(len(calls)))

    assert in_child(ask_without_descriptors) == ["20"]


def check_no_descriptor(ask: Callable[[], int]) -> None:
    try:
        ask()
    except OSError as error:
        assert error.errno == errno.EMFILE  # noqa: PT017 - `pytest.raises` makes objects before
    else:
        pytest.fail("there was one")


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def cost_of_a_reader(count: int) -> float:
    """Let so many readers wait, and each read the same event; return the time of the processor that one takes."""
    manager, _ = make_manager()
    readers = [manager.subscribe(number) for number in range(count)]
    for reader in readers:
        reader.fileno()
    times = []
    for _ in range(3):
        blink(manager)
        begin = time.thread_time()
        for reader in readers:
            reader.drain()
        times.append(time.thread_time() - begin)
    return min(times) / count


@pytest.mark.usefixtures("many_descriptors")
def test_a_reader_costs_the_same_however_many_others_wait() -> None:
    assert cost_of_a_reader(3500) < 3 * cost_of_a_reader(350)
