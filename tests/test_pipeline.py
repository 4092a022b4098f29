"""Pipelines: calls that are queued and carried out together, and are equal to as many single calls."""

import gc
import random
import signal
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import grantwheel
from forking import in_child
from grantwheel import BusinessError, Caller, Manager, ManualClock, MemoryLog, Policy, TransactionError
from journals import ScriptedLog, Stall, check_record, conflicts, raises_after, raises_before, refuses
from support import ALL, AUDIO, CPU, GPS, MAIL, MAPS, TIMER, Hook, make_manager
from waiting import PATIENCE

LOGS: dict[str, Callable[[], dict[str, Any]]] = {
    "no log": dict,
    "commit": lambda: {"log": ScriptedLog()},
    "batch": lambda: {"log": ScriptedLog(), "durability": "batch"},
    "memory": lambda: {"log": MemoryLog()},
}

OUT_OF_RANGE = "[18700001] Caller information verification failed for an energy resource request."

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


def queue(manager: Manager, *calls: Call) -> grantwheel.Pipeline:
    pipe = manager.pipeline()
    for name, arguments, keywords in calls:
        assert getattr(pipe, name)(*arguments, **keywords) is None
    return pipe


def one_by_one(manager: Manager, calls: list[Call]) -> list[object]:
    answers: list[object] = []
    for name, arguments, keywords in calls:
        try:
            answers.append(getattr(manager, name)(*arguments, **keywords))
        except BusinessError as error:
            answers.append(words(error))
    return answers


def words(error: Exception) -> str:
    """Leave out which limit is reached: that is looked at after all calls."""
    return str(error).partition("(980000101")[0]


def told(answers: list[int | Exception]) -> list[object]:
    return [words(answer) if isinstance(answer, Exception) else answer for answer in answers]


def seen(manager: Manager) -> tuple[object, ...]:
    manager.flush()
    stats = manager.stats()
    return manager.records(), manager.read(0), stats.refused, stats.ended, stats.granted, stats.renewed


@pytest.mark.parametrize("kind", LOGS)
def test_answers_come_in_order(kind: str) -> None:
    manager, _ = make_manager(**LOGS[kind]())
    pipe = queue(
        manager,
        ("apply", (700, 71, GPS | CPU, 40), {"reason": "way"}),
        ("renew", (700, 71, GPS | TIMER, 90), {}),
        ("apply", (700, 71, 512, 40), {}),
        ("release", (700, 71, CPU | AUDIO), {}),
        ("apply", (800, 81, CPU), {"persist": True, "process": True, "caller": MAPS}),
        ("reset_all", (800, 81), {}),
        ("renew", (800, 81, CPU, 20), {"process": True}),
    )
    assert len(pipe) == 7
    answers = pipe.execute()
    assert len(pipe) == 0
    assert told(answers) == [
        GPS | CPU,
        GPS,
        f"{OUT_OF_RANGE} (1870000101: mask must be within 1..511)",
        CPU,
        CPU,
        CPU,
        0,
    ]
    assert manager.app_mask(700) == GPS
    assert pipe.execute() == []


def random_calls(generator: random.Random, count: int) -> list[Call]:
    calls: list[Call] = []
    for _ in range(count):
        uid, pid = generator.choice([(700, 71), (700, 72), (800, 81), (900, 71), (5, 5), (-1, 3)])
        mask = generator.choice([CPU, GPS, CPU | GPS, AUDIO | TIMER, ALL, 0, 600])
        process = generator.random() < 0.4
        who: dict[str, Any] = {"process": process, "cpu_level": generator.choice([-1, -1, -1, 0, 2, 7])}
        if generator.random() < 0.3:
            who["caller"] = generator.choice([MAIL, MAPS, Caller(system_app=False), Caller(bundle="a\x00b")])
        name = generator.choice(["apply", "apply", "apply", "renew", "release", "reset_all"])
        if name == "reset_all":
            calls.append((name, (uid, pid), {key: who[key] for key in who if key == "caller"}))
        elif name == "release":
            calls.append((name, (uid, pid, mask), who))
        else:
            more = {"reason": generator.choice(["", "why", "r" * 1024, "r" * 1025]), **who}
            if generator.random() < 0.2:
                calls.append((name, (uid, pid, mask), {"persist": True, **more}))
            else:
                timeout = generator.choice([1, 5, 9, 30, 60, 0, 1 << 32])
                calls.append((name, (uid, pid, mask, timeout), more))
    return calls


@pytest.mark.parametrize("kind", LOGS)
@pytest.mark.parametrize("seed", range(8))
def test_it_is_equal_to_single_calls(kind: str, seed: int) -> None:
    generator = random.Random(seed)
    policy = Policy(cpu_level_max={"org.tide.mail": 2}, timeout_max_ms={"org.tide.maps": {GPS: 7}})
    pairs = [make_manager(policy=policy, max_records=5, **LOGS[kind]()) for _ in range(2)]
    (one, _), (other, _) = pairs
    pipe = other.pipeline()
    for _ in range(60):
        calls = random_calls(generator, generator.choice([0, 1, 2, 5, 17, 40]))
        for name, arguments, keywords in calls:
            getattr(pipe, name)(*arguments, **keywords)
        assert told(pipe.execute()) == one_by_one(one, calls)
        assert seen(one) == seen(other)
        for _, clock in pairs:
            clock.advance(0)
        step = generator.choice([0, 1, 3, 20])
        for manager, clock in pairs:
            clock.advance(step)
            manager.advance()
    other.validate()


def test_with_a_log_it_is_one_append_and_one_group() -> None:
    log = ScriptedLog()
    manager, _ = make_manager(log=log)
    pipe = manager.pipeline()
    for _ in range(2):
        for uid in range(300):
            pipe.apply(uid, 1, GPS, 40)
            pipe.release(uid, 1, GPS)
        assert pipe.execute() == [GPS] * 600
    assert len(log.groups) == 2
    check_record(manager, log, 0)


def test_a_renewal_waits_for_what_it_renews_and_for_nothing_else() -> None:
    log = ScriptedLog()
    manager, _ = make_manager(log=log)
    manager.apply(700, 71, CPU, 40)
    manager.apply(800, 81, CPU, 40, process=True)
    pipe = queue(
        manager,
        ("apply", (700, 71, GPS, 40), {}),
        ("renew", (800, 81, ALL, 60), {"process": True}),
        ("renew", (700, 71, ALL, 60), {}),
        ("renew", (700, 71, ALL, 70), {}),
    )
    assert pipe.execute() == [GPS, CPU, GPS | CPU, GPS | CPU]
    assert len(log.groups) == 5
    check_record(manager, log, 0)


def test_arguments_are_looked_at_when_they_come() -> None:
    manager, _ = make_manager()
    pipe = manager.pipeline()
    pipe.apply(1, 1, GPS, 40)
    with pytest.raises(TypeError, match="uid must be an int"):
        pipe.apply("1", 1, GPS, 40)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="timeout_ms must be given"):
        pipe.renew(1, 1, GPS)
    with pytest.raises(TypeError, match="release\\(\\) misses the argument 'mask'"):
        pipe.release(1, 1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="caller must be a Caller"):
        pipe.reset_all(1, 1, caller=7)  # type: ignore[arg-type]
    with pytest.raises(grantwheel.ParcelOperationError):
        pipe.apply(1, 1, GPS, 40, reason="\ud800")
    with pytest.raises(TypeError):
        grantwheel.Pipeline(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="__init__"):
        len(grantwheel.Pipeline.__new__(grantwheel.Pipeline))
    with pytest.raises(TypeError, match="__init__"):
        grantwheel.Pipeline.__new__(grantwheel.Pipeline).execute()
    assert pipe.execute() == [GPS]


def test_what_a_call_was_given_need_not_live() -> None:
    manager, _ = make_manager(policy=Policy(allowed={"b" * 40: (GPS,)}))
    pipe = manager.pipeline()
    for uid in range(50):
        pipe.apply(uid, 1, GPS, 40, reason=f"reason {uid}" * 9, caller=Caller(system_app=True, bundle="b" * 40))
    gc.collect()
    assert pipe.execute() == [GPS] * 50
    record = manager.find_app(49)
    assert record is not None
    assert record.grants[0].reason == "reason 49" * 9


def test_it_is_bounded() -> None:
    manager, _ = make_manager()
    pipe = manager.pipeline()
    for _ in range(65_536):
        pipe.apply(1, 1, GPS, 40)
    for call in (pipe.apply, pipe.renew):
        with pytest.raises(grantwheel.MemoryOperationError, match="65536 calls: execute it"):
            call(1, 1, GPS, 40)
    assert pipe.execute() == [GPS] * 65_536
    assert manager.stats().renewed == 65_535


def test_the_limits_of_the_manager_are_named() -> None:
    manager, _ = make_manager(max_records=2)
    pipe = queue(manager, *[("apply", (uid, 1, GPS, 40), {}) for uid in range(3)])
    *granted, full = pipe.execute()
    assert granted == [GPS, GPS]
    assert isinstance(full, grantwheel.MemoryOperationError)
    assert "max_records (2) is reached" in str(full)
    assert manager.stats().refused[9800001] == 1


@pytest.mark.parametrize("kind", LOGS)
def test_many_releases_that_cascade(kind: str) -> None:
    manager, _ = make_manager(**LOGS[kind]())
    pipe = manager.pipeline()
    for pid in range(1, 1200):
        pipe.apply(pid % 7, pid, CPU, 50, process=True)
    pipe.execute()
    for uid in range(7):
        pipe.release(uid, 1, CPU)
    assert pipe.execute() == [CPU] * 7
    assert manager.records() == []
    manager.validate()


@pytest.mark.parametrize("step", [refuses, raises_before])
def test_a_log_that_fails_refuses_all_of_it_and_nothing_has_changed(step: Any) -> None:
    log = ScriptedLog(step)
    manager, _ = make_manager(log=log)
    pipe = queue(manager, ("apply", (1, 1, GPS, 40), {}), ("apply", (1, 1, 0, 40), {}), ("release", (1, 1, GPS), {}))
    answers = pipe.execute()
    assert [type(answer) for answer in answers] == [
        TransactionError,
        grantwheel.CallerVerificationError,
        TransactionError,
    ]
    assert answers[0].__cause__ is not None  # type: ignore[union-attr]
    assert manager.records() == []
    assert queue(manager, ("apply", (1, 1, GPS, 40), {})).execute() == [GPS]
    check_record(manager, log, 0)


def test_a_log_that_fails_with_the_group_in_it() -> None:
    log = ScriptedLog(raises_after)
    manager, _ = make_manager(log=log)
    assert queue(manager, ("apply", (1, 1, GPS, 40), {}), ("apply", (2, 1, GPS, 40), {})).execute() == [GPS, GPS]
    check_record(manager, log, 0)


def test_a_log_of_somebody_else() -> None:
    manager, _ = make_manager(log=ScriptedLog(conflicts))
    for _ in range(2):
        answers = queue(manager, ("apply", (1, 1, GPS, 40), {}), ("release", (1, 1, GPS), {})).execute()
        assert [type(answer) for answer in answers] == [TransactionError] * 2


def test_batch_does_not_wait() -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    manager, _ = make_manager(log=log, durability="batch")
    assert queue(manager, ("apply", (1, 1, GPS, 40), {}), ("renew", (1, 1, GPS, 50), {})).execute() == [GPS, GPS]
    assert manager.app_mask(1) == GPS
    assert log.groups == []
    stall.go_on()
    manager.flush()
    check_record(manager, log, 0)


def test_others_run_while_it_waits() -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    manager, _ = make_manager(log=log)
    answers: list[int | Exception] = []
    pipe = queue(manager, ("apply", (1, 1, GPS, 40), {}), ("apply", (2, 1, GPS, 40), {}))
    thread = threading.Thread(target=lambda: answers.extend(pipe.execute()))
    thread.start()
    stall.wait()
    assert manager.app_mask(3) == 0
    pipe.apply(4, 1, GPS, 40)  # for the next time
    stall.go_on()
    thread.join(PATIENCE)
    assert answers == [GPS, GPS]
    assert pipe.execute() == [GPS]
    check_record(manager, log, 0)


def test_whoever_is_interrupted_is_told_and_it_settles_all_the_same() -> None:
    stall = Stall()
    log = ScriptedLog(stall)
    manager, _ = make_manager(log=log)
    pipe = queue(manager, ("apply", (1, 1, GPS, 40), {}), ("apply", (2, 1, GPS, 40), {}))

    def interrupt() -> None:
        stall.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        pipe.execute()
    thread.join(PATIENCE)
    assert len(pipe) == 0
    stall.go_on()
    assert manager.app_mask(2) == GPS
    assert pipe.execute() == []
    check_record(manager, log, 0)


@pytest.mark.parametrize("kind", LOGS)
def test_the_quota_is_asked_and_told(kind: str) -> None:
    hook = Hook()
    manager, clock = make_manager(policy=Policy(quota=hook), **LOGS[kind]())
    pipe = queue(
        manager,
        ("apply", (1, 1, CPU | GPS, 40), {}),
        ("apply", (2, 1, GPS, 40), {}),
        ("apply", (3, 1, CPU, 5), {}),
        ("renew", (1, 1, CPU, 50), {}),
        ("release", (1, 1, ALL), {}),
    )
    assert pipe.execute() == [CPU | GPS, GPS, CPU, CPU, CPU | GPS]
    assert [call for call in hook.calls if call[0] == "check"] == [
        ("check", 1, "", CPU | GPS, True),
        ("check", 3, "", CPU, True),
        ("check", 1, "", CPU, True),
        ("check", 1, "", ALL, False),
    ]
    assert ("settle", 1) in hook.calls
    hook.calls.clear()
    clock.set(5)
    assert queue(manager, ("apply", (3, 1, GPS, 40), {})).execute() == [GPS]
    assert hook.calls == [("settle", 3)]
    hook.answer = False
    refused, granted = queue(manager, ("apply", (4, 1, CPU, 5), {}), ("apply", (4, 1, GPS, 5), {})).execute()
    assert isinstance(refused, grantwheel.PermissionDeniedError)
    assert granted == GPS


@pytest.mark.parametrize("kind", LOGS)
def test_the_quota_is_asked_about_the_bundle_that_is_on_record(kind: str) -> None:
    hook = Hook()
    manager, _ = make_manager(policy=Policy(quota=hook), **LOGS[kind]())
    pipe = queue(manager, *[("apply", (each.uid, 1, CPU, 40), {"caller": each}) for each in (MAIL, MAPS)])
    assert pipe.execute() == [CPU, CPU]
    assert hook.calls == [("check", each.uid, each.bundle, CPU, True) for each in (MAIL, MAPS)]
    assert [record.bundle for record in manager.records()] == [MAIL.bundle, MAPS.bundle]


class Moody:
    """A quota hook that looks at the manager, uses the pipeline, and raises what it is told to."""

    def __init__(self) -> None:
        self.raises: BaseException | None = None
        self.work: Callable[[int], object] = lambda uid: None

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        self.work(uid)
        if self.raises is not None:
            raise self.raises
        return True

    def settle(self, uid: int, /) -> None:
        pass


@pytest.mark.parametrize("kind", LOGS)
def test_the_quota_sees_what_came_before_and_may_use_the_pipeline(kind: str) -> None:
    hook = Moody()
    manager, _ = make_manager(policy=Policy(quota=hook), **LOGS[kind]())
    pipe = queue(
        manager, ("apply", (1, 1, GPS, 40), {}), ("apply", (2, 1, CPU, 40), {}), ("apply", (3, 1, CPU, 40), {})
    )
    masks: list[tuple[int, int]] = []

    def work(uid: int) -> None:
        masks.append((manager.app_mask(1), manager.app_mask(2)))
        pipe.apply(uid + 10, 1, GPS, 40)

    hook.work = work
    assert pipe.execute() == [GPS, CPU, CPU]
    assert masks == [(GPS, 0), (GPS, CPU)]
    assert pipe.execute() == [GPS, GPS]


@pytest.mark.parametrize("kind", LOGS)
def test_what_the_quota_raises_is_the_answer_of_its_call(kind: str) -> None:
    hook = Moody()
    manager, _ = make_manager(policy=Policy(quota=hook), **LOGS[kind]())
    pipe = manager.pipeline()
    for error, is_raised in ((LookupError("mine"), False), (KeyboardInterrupt(), True), (SystemExit(3), True)):
        hook.raises = error
        pipe.apply(1, 1, GPS, 40)
        pipe.apply(1, 1, CPU, 40)
        pipe.apply(2, 1, GPS, 40)
        if is_raised:
            with pytest.raises(type(error)):
                pipe.execute()
            assert (manager.app_mask(1), manager.app_mask(2)) == (GPS, 0)
        else:
            assert pipe.execute() == [GPS, error, GPS]
        assert len(pipe) == 0
        manager.admin_reset_all()


class Broken:
    """A clock that raises, or runs backwards."""

    def __init__(self) -> None:
        self.instants: list[int | Exception] = []

    def now(self) -> int:
        instant = self.instants.pop(0) if self.instants else 10
        if isinstance(instant, Exception):
            raise instant
        return instant


def test_what_the_clock_raises_is_the_answer_of_the_call_that_comes_to_it() -> None:
    clock = Broken()
    manager = Manager(clock=clock)
    error = LookupError("no time")
    clock.instants = [error, 20]
    calls: list[Call] = [("apply", (uid, 1, GPS, 40), {}) for uid in (1, 2)]
    assert queue(manager, *calls).execute() == [error, GPS]
    clock.instants = [3, 3, 20]
    backwards, granted = queue(manager, *calls).execute()
    assert isinstance(backwards, ValueError)
    assert granted == GPS


def test_a_closed_manager_and_one_that_is_not_ready() -> None:
    manager, _ = make_manager()
    pipe = manager.pipeline()
    manager.ready = False
    for _ in range(2):
        pipe.apply(1, 1, GPS, 40)
        pipe.release(1, 1, GPS)
        answers = pipe.execute()
        assert [type(answer) for answer in answers] == [grantwheel.ServiceOperationError] * 2
        manager.close()


def test_in_the_child_of_a_fork_every_call_is_refused() -> None:
    manager, _ = make_manager()
    pipe = manager.pipeline()
    pipe.apply(1, 1, GPS, 40)

    def work(say: Callable[[str], object]) -> None:
        pipe.apply(2, 1, GPS, 40)
        for answer in pipe.execute():
            say(str(answer))

    lines = in_child(work)
    assert len(lines) == 2
    assert all("9800004" in line and "does not survive a fork" in line for line in lines)
    assert pipe.execute() == [GPS]


def test_it_keeps_the_manager_and_is_no_circle_for_ever() -> None:
    class Own(Manager):
        pipe: grantwheel.Pipeline

    manager = Own(clock=ManualClock())
    pipe = manager.pipeline()
    gone = weakref.ref(manager)
    del manager
    gc.collect()
    pipe.apply(1, 1, GPS, 40)
    assert pipe.execute() == [GPS]
    held = gone()
    assert held is not None
    held.pipe = pipe
    pipe.apply(1, 1, GPS, 40, reason="kept")
    del held, pipe
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("kind", LOGS)
def test_many_applies_of_one_owner_are_as_many_calls(kind: str) -> None:
    one, other = (Manager(clock=ManualClock(), **LOGS[kind]()) for _ in range(2))
    rows = [(1, 5), (32, 60_000), (0, 7), (1024, 9), (64, 0), (1 << 80, 9), (2, 1 << 80), (2, -1), (1, 70_000)]
    first, second = one.pipeline(), other.pipeline()
    first.apply_each(1000, 42, [mask for mask, _ in rows], (timeout for _, timeout in rows))
    for mask, timeout in rows:
        second.apply(1000, 42, mask, timeout)
    assert len(first) == len(rows)
    assert told(first.execute()) == told(second.execute())
    assert seen(one) == seen(other)
    one.close()
    other.close()


def test_of_many_applies_all_are_queued_or_none() -> None:
    pipe: Any = Manager(clock=ManualClock()).pipeline()
    with pytest.raises(TypeError, match="timeouts_ms must be an int"):
        pipe.apply_each(1, 1, [1, 1], [5, "5"])
    with pytest.raises(TypeError, match="masks must be an int"):
        pipe.apply_each(1, 1, [1, None], [5, 5])
    with pytest.raises(ValueError, match="same length"):
        pipe.apply_each(1, 1, [1, 1], [5])
    with pytest.raises(TypeError):
        pipe.apply_each(1, 1, 1, [5])
    pipe.apply(1, 1, 1, 5)
    with pytest.raises(BusinessError, match="65536") as caught:
        pipe.apply_each(1, 1, [1] * 65_536, [5] * 65_536)
    assert caught.value.code == 9800001
    assert len(pipe) == 1
    pipe.apply_each(1, 1, [1] * 65_535, [5] * 65_535)
    assert pipe.execute() == [1] * 65_536
    pipe.apply_each(1, 1, [], [])
    assert pipe.execute() == []


def test_what_an_argument_queues_by_itself_is_there() -> None:
    pipe = Manager(clock=ManualClock()).pipeline()

    class Number:
        def __index__(self) -> int:
            pipe.apply(2, 2, 1, 5)
            return 1

    pipe.apply_each(1, 1, [Number(), Number()], [5, 5])
    assert pipe.execute() == [1] * 4
