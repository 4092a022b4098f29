"""The recorder: it sees every command once, in order, before it is carried out, and can refuse it."""

from typing import Any

import pytest

from grantwheel import Caller, Command, Policy
from support import (
    ALL,
    AUDIO,
    CPU,
    GPS,
    MAIL,
    PLAIN,
    TIMER,
    Hook,
    check_refused,
    make_manager,
    request,
    state,
    unchanged,
)


class Recorder:
    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.fails = False

    def __call__(self, command: Command) -> None:
        self.commands.append(command)
        if self.fails:
            raise OSError("disk full")

    def take(self) -> list[Command]:
        taken, self.commands = self.commands, []
        return taken


def command(kind: str, now: int = 0, uid: int = 700, pid: int = 71, mask: int = ALL, **fields: Any) -> Command:
    defaults: dict[str, Any] = {
        "timeout_ms": 0,
        "persist": False,
        "process": False,
        "cpu_level": -1,
        "bundle": "",
        "reason": "",
    }
    return Command(kind=kind, now=now, uid=uid, pid=pid, mask=mask, **(defaults | fields))


def test_the_recorder_sees_every_command_once_in_order() -> None:
    recorder = Recorder()
    policy = Policy(allowed={"org.tide.mail": [1, 6]}, cpu_level_max={"org.tide.mail": 2})
    manager, clock = make_manager(recorder=recorder, policy=policy)
    manager.apply_request(request(ALL, 50, isProcess=True, cpuLevel=1), caller=MAIL)
    clock.set(10)
    manager.apply(800, 81, GPS | AUDIO, 60, persist=True, reason="because")
    clock.set(20)
    manager.release(700, 71, GPS, caller=MAIL)
    manager.reset_all(700, 72, caller=MAIL)
    manager.process_died(700, 71)
    manager.app_stopped(700)
    manager.package_removed(800)
    manager.admin_reset_app(700, GPS)
    manager.admin_reset_process(71, CPU)
    manager.admin_reset_all()
    mail: dict[str, Any] = {"bundle": "org.tide.mail"}
    seen = recorder.take()
    assert [type(one) for one in seen] == [Command] * 10
    assert seen[:4] == [
        command("apply", mask=CPU | GPS, timeout_ms=50, process=True, cpu_level=1, reason="why", **mail),
        command("apply", 10, 800, 81, GPS | AUDIO, timeout_ms=60, persist=True, reason="because"),
        command("release", 20, mask=GPS, **mail),
        command("reset_all", 20, pid=72, mask=CPU | GPS, **mail),
    ]
    assert [(one.kind, one.now, one.uid, one.pid, one.mask) for one in seen[4:]] == [
        ("process_died", 20, 700, 71, ALL),
        ("app_stopped", 20, 700, 0, ALL),
        ("package_removed", 20, 800, 0, ALL),
        ("admin_reset_app", 20, 700, 0, GPS),
        ("admin_reset_process", 20, 0, 71, CPU),
        ("admin_reset_all", 20, 0, 0, ALL),
    ]


def test_the_recorder_sees_nothing_else() -> None:
    recorder = Recorder()
    hook = Hook(answer=False)
    manager, clock = make_manager(recorder=recorder, policy=Policy(quota=hook))
    manager.apply(700, 71, GPS, 40)
    recorder.take()
    check_refused(manager, lambda: manager.apply(700, 71, GPS, 40, caller=PLAIN), 202, 202)
    check_refused(manager, lambda: manager.apply(700, 71, CPU, 40), 201, 201)
    check_refused(manager, lambda: manager.process_died(-1, 71), 18700001, 1870000102)
    manager.get_all(caller=MAIL)
    manager.infos(caller=Caller(native=True))
    manager.admin_list()
    manager.set_policy(Policy())
    manager.ready = False
    clock.set(40)
    assert manager.advance() == 1
    assert recorder.commands == []


def test_a_recorder_that_fails_leaves_everything() -> None:
    recorder = Recorder()
    manager, clock = make_manager(recorder=recorder)
    manager.apply(700, 71, GPS | CPU | TIMER, 40, process=True)
    recorder.fails = True
    for call in (
        lambda: manager.apply(700, 71, AUDIO, 40),
        lambda: manager.apply(800, 71, CPU, 40, process=True),
        lambda: manager.apply_request(request(), caller=MAIL),
        lambda: manager.release(700, 71, GPS),
        lambda: manager.reset_all(700, 71),
        lambda: manager.reset_all_request(caller=MAIL),
        lambda: manager.process_died(700, 71),
        lambda: manager.app_stopped(700),
        lambda: manager.package_removed(700),
        manager.admin_reset_all,
        lambda: manager.admin_reset_app(700, GPS),
        lambda: manager.admin_reset_process(71, CPU),
    ):
        error = check_refused(manager, call, 9800003, 980000301)
        assert isinstance(error.__cause__, OSError)
    recorder.fails = False
    clock.set(30)
    assert manager.apply(700, 71, GPS, 40) == GPS


def test_an_interrupt_in_the_recorder_stays_an_interrupt() -> None:
    def recorder(_: Command) -> None:
        raise KeyboardInterrupt

    manager, _ = make_manager(recorder=recorder)
    with unchanged(manager), pytest.raises(KeyboardInterrupt):
        manager.apply(700, 71, GPS, 40)


def test_the_recorder_may_read_single_records() -> None:
    seen: list[Any] = []

    def recorder(one: Command) -> None:
        seen.append((one.kind, manager.app_mask(one.uid), manager.find_app(one.uid) is not None))

    manager, _ = make_manager(recorder=recorder)
    manager.apply(700, 71, GPS, 40)
    manager.release(700, 71, GPS)
    assert seen == [("apply", 0, False), ("release", GPS, True)]


def test_a_recorder_that_changes_the_manager_is_refused() -> None:
    def recorder(_: Command) -> None:
        manager.apply(800, 81, GPS, 40)

    manager, _ = make_manager(recorder=recorder)
    error = check_refused(manager, lambda: manager.apply(700, 71, GPS, 40), 9800003, 980000301)
    assert isinstance(error.__cause__, RuntimeError)


def test_the_hook_is_asked_before_the_recorder() -> None:
    order: list[str] = []

    class Noting(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            order.append("check")
            return True

        def settle(self, uid: int, /) -> None:
            order.append("settle")

    manager, _ = make_manager(recorder=lambda one: order.append(one.kind), policy=Policy(quota=Noting()))
    manager.apply(700, 71, CPU, 40)
    manager.release(700, 71, CPU)
    assert order == ["check", "apply", "check", "release", "settle"]


def test_a_replay_of_the_record_leads_to_the_same_state() -> None:
    recorder = Recorder()
    first, clock = make_manager(recorder=recorder)
    for step in range(300):
        clock.advance(step % 7)
        first.apply(
            step % 5, step % 11, 1 + step * 37 % 511, 1 + step % 60, process=step % 3 == 0, reason=f"{step % 4}"
        )
        first.release((step + 1) % 5, step % 11, 1 + step * 53 % 511, process=step % 2 == 0)
        if step % 17 == 0:
            first.process_died(step % 5, step % 11)
    second, replay_clock = make_manager()
    for one in recorder.take():
        replay_clock.set(one.now)
        who = Caller(bundle=one.bundle, system_app=True)
        if one.kind == "apply":
            second.apply(one.uid, one.pid, one.mask, one.timeout_ms, process=one.process, reason=one.reason, caller=who)
        elif one.kind == "release":
            second.release(one.uid, one.pid, one.mask, process=one.process, caller=who)
        else:
            second.process_died(one.uid, one.pid)
    replay_clock.set(clock.now())
    assert state(first) == state(second)
    assert first.drain() == second.drain()


def test_what_is_on_record_is_carried_out_whatever_the_clock_does_meanwhile() -> None:
    recorded: list[Command] = []

    def record(one: Command) -> None:
        recorded.append(one)
        clock.set(one.now - 1)

    manager, clock = make_manager(recorder=record)
    clock.set(100)
    assert manager.apply(700, 71, GPS, 50) == GPS
    assert [one.now for one in recorded] == [100]
    clock.set(149)
    assert manager.app_mask(700) == GPS
    clock.set(150)
    assert manager.app_mask(700) == 0


def test_a_recorder_is_callable() -> None:
    with pytest.raises(TypeError, match="recorder"):
        make_manager(recorder=7)
