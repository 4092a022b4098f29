"""The quota hook: when it is asked and told, what it sees, and what it may do."""

import sys
from dataclasses import replace
from typing import Any

import pytest

from grantwheel import Manager, MemoryLog, Policy
from support import (
    ALL,
    AUDIO,
    CPU,
    GPS,
    MAIL,
    Hook,
    check_refused,
    make_manager,
    request,
    unchanged,
)


def with_hook(hook: Any, **policy: Any) -> Manager:
    manager, _ = make_manager(policy=Policy(quota=hook, **policy))
    return manager


def test_the_hook_is_asked_with_the_types_in_effect() -> None:
    hook = Hook()
    manager = with_hook(hook, allowed={"org.tide.mail": [1, 6]})
    manager.apply_request(request(ALL), caller=MAIL)
    manager.apply_request(request(CPU, isApply=False), caller=MAIL)
    assert hook.calls == [
        ("check", 700, "org.tide.mail", CPU | GPS, True),
        ("check", 700, "org.tide.mail", CPU, False),
        ("settle", 700),
    ]
    assert [type(value) for value in hook.calls[0]] == [str, int, str, int, bool]


def test_the_hook_is_not_asked_without_need() -> None:
    hook = Hook(answer=False)
    manager = with_hook(hook)
    manager.apply(700, 71, CPU, 0, persist=True)
    manager.apply(700, 71, GPS, 40)
    manager.release(700, 71, GPS)
    manager.apply(700, 71, CPU | GPS, 40, process=True)
    manager.release(700, 71, CPU | GPS, process=True)
    assert hook.calls == []
    manager.reset_all(700, 71)
    assert hook.calls == [("settle", 700)]


def test_a_refusal_changes_nothing() -> None:
    hook = Hook()
    manager = with_hook(hook)
    manager.apply(700, 71, CPU, 40, reason="held")
    hook.answer = False
    check_refused(manager, lambda: manager.apply(700, 71, CPU | GPS, 900), 201, 201)
    check_refused(manager, lambda: manager.release(700, 71, CPU | GPS), 201, 201)
    assert [call[0] for call in hook.calls] == ["check"] * 3


def test_the_hook_may_call_the_manager() -> None:
    class Calling(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            self.calls.append((manager.app_mask(uid), [record.mask for record in manager.records()]))
            manager.apply(uid, 1, AUDIO, 40)
            return True

        def settle(self, uid: int, /) -> None:
            self.calls.append((manager.app_mask(uid), manager.count(CPU)))
            manager.release(uid, 1, AUDIO)

    hook = Calling()
    manager = with_hook(hook)
    assert manager.apply(700, 71, CPU, 40) == CPU
    assert hook.calls == [(0, [])]
    assert manager.app_mask(700) == CPU | AUDIO
    assert manager.reset_all(700, 71) == CPU | AUDIO
    assert hook.calls[1:] == [(0, 0)]
    manager.validate()


def test_an_exception_of_check_ends_the_call_as_it_is() -> None:
    class Failing(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            raise LookupError("no table")

    manager = with_hook(Failing())
    manager.apply(700, 71, CPU | GPS, 0, persist=True)
    with unchanged(manager):
        with pytest.raises(LookupError, match="no table"):
            manager.apply(700, 71, CPU, 40)
        with pytest.raises(LookupError, match="no table"):
            manager.release(700, 71, CPU)


@pytest.mark.parametrize("answer", [None, 1, 0, "yes"])
def test_an_answer_that_is_no_bool_is_a_type_error(answer: Any) -> None:
    manager = with_hook(Hook(answer))
    with unchanged(manager), pytest.raises(TypeError, match="check"):
        manager.apply(700, 71, CPU, 40)


def test_an_exception_of_settle_is_unraisable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Hook):
        def settle(self, uid: int, /) -> None:
            super().settle(uid)
            raise LookupError(f"no table for {uid}")

    unraisable: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda arguments: unraisable.append(arguments.exc_value))
    hook = Failing()
    manager = with_hook(hook)
    for uid in (1, 2, 3):
        manager.apply(uid, 71, CPU, 0, persist=True)
    assert manager.admin_reset_all() == CPU
    assert hook.calls == [("settle", 1), ("settle", 2), ("settle", 3)]
    assert [str(error) for error in unraisable] == ["no table for 1", "no table for 2", "no table for 3"]
    assert manager.records() == []


def test_an_interrupt_in_settle_is_not_lost() -> None:
    class Interrupted(Hook):
        def settle(self, uid: int, /) -> None:
            super().settle(uid)
            if uid == 1:
                raise KeyboardInterrupt

    hook = Interrupted()
    manager = with_hook(hook)
    for uid in (1, 2):
        manager.apply(uid, uid, CPU, 40)
    with pytest.raises(KeyboardInterrupt):
        manager.admin_reset_all()
    assert manager.count(CPU) == 0
    assert [call for call in hook.calls if call[0] == "settle"] == [("settle", 1), ("settle", 2)]


def test_whatever_ends_app_cpu_is_settled_once() -> None:
    hook = Hook()
    manager, clock = make_manager(policy=Policy(quota=hook))

    def settled_by(call: Any) -> list[Any]:
        manager.apply(700, 71, CPU | GPS, 0, persist=True)
        manager.apply(700, 71, CPU, 0, persist=True, process=True)
        hook.calls.clear()
        call()
        return [call for call in hook.calls if call[0] == "settle"]

    for call in (
        lambda: manager.release(700, 71, ALL),
        lambda: manager.reset_all(700, 71),
        lambda: manager.app_stopped(700),
        lambda: manager.package_removed(700),
        lambda: manager.admin_reset_app(700, CPU),
        manager.admin_reset_all,
        lambda: manager.apply_request(request(CPU, isApply=False), caller=MAIL),
    ):
        assert settled_by(call) == [("settle", 700)]
    for call in (
        lambda: manager.process_died(700, 71),
        lambda: manager.admin_reset_process(71, CPU),
        lambda: manager.release(700, 71, GPS),
        lambda: manager.release(700, 71, CPU | GPS, process=True),
        lambda: manager.admin_reset_app(700, GPS),
        lambda: manager.apply(800, 71, CPU, 0, persist=True, process=True),
    ):
        assert settled_by(call) == []
    clock.advance(1)


def test_expiry_is_settled_by_whatever_meets_it() -> None:
    hook = Hook()
    manager, clock = make_manager(policy=Policy(quota=hook))
    for meet in (
        manager.advance,
        lambda: manager.apply(700, 71, GPS, 40),
        lambda: manager.release(700, 71, GPS),
        manager.records,
        lambda: manager.count(CPU),
        manager.next_deadline,
        manager.stats,
    ):
        manager.apply(700, 71, CPU, 40)
        hook.calls.clear()
        clock.advance(40)
        assert manager.app_mask(700) & CPU == 0
        assert hook.calls == []  # a reader of one record changes nothing
        meet()
        assert hook.calls == [("settle", 700)]


def test_what_expires_while_the_hook_is_asked_is_gone() -> None:
    class Slow(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            clock.advance(50)
            return True

    manager, clock = make_manager(policy=Policy(quota=Slow()))
    manager.apply(700, 71, GPS, 40)
    manager.apply(700, 71, CPU, 40)
    record = manager.find_app(700)
    assert record is not None
    assert [(grant.type, grant.deadline_ms) for grant in record.grants] == [(CPU, 90)]


def test_the_hook_comes_and_goes_with_the_policy() -> None:
    first, second = Hook(), Hook(answer=False)
    manager = with_hook(first)
    manager.apply(700, 71, CPU, 40)
    manager.set_policy(replace(manager.policy, quota=second))
    check_refused(manager, lambda: manager.release(700, 71, CPU), 201, 201)
    manager.set_policy(Policy())
    assert manager.release(700, 71, CPU) == CPU
    assert [call[0] for call in first.calls + second.calls] == ["check", "check"]


def test_a_hook_needs_both_methods() -> None:
    manager, _ = make_manager()
    hook: Any
    for hook in (object(), 7, lambda *_: True):
        with pytest.raises(TypeError, match="quota"):
            manager.set_policy(Policy(quota=hook))


# What is decided again when nothing can come in between any more.


def test_the_hook_is_asked_about_a_renewal_of_held_cpu_only() -> None:
    hook = Hook()
    manager = with_hook(hook)
    manager.apply(700, 71, GPS, 40)
    assert manager.renew(700, 71, CPU | GPS, 90) == GPS
    assert hook.calls == []
    manager.apply(700, 71, CPU, 40)
    hook.calls.clear()
    assert manager.renew(700, 71, CPU | GPS, 90) == CPU | GPS
    assert hook.calls == [("check", 700, "", CPU | GPS, True)]


@pytest.mark.parametrize("has_log", [False, True])
@pytest.mark.parametrize("left", [0, GPS])
def test_what_goes_while_the_hook_is_asked_is_not_renewed(has_log: bool, left: int) -> None:
    class Releasing(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            if is_apply and self.calls:
                manager.admin_reset_app(700, (CPU | GPS) & ~left)
            return super().check(uid, bundle, mask, is_apply)

    hook = Releasing()
    manager, clock = make_manager(policy=Policy(quota=hook), log=MemoryLog() if has_log else None)
    manager.apply(700, 71, CPU | GPS, 40)
    clock.set(10)
    assert manager.renew(700, 71, CPU | GPS, 90) == left
    assert manager.app_mask(700) == left


def test_what_expires_while_the_hook_is_asked_is_not_renewed() -> None:
    class Slow(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            clock.advance(30)
            return True

    manager, clock = make_manager(policy=Policy(quota=Slow()))
    manager.apply(700, 71, CPU, 20)
    manager.apply(700, 71, GPS, 100)
    assert manager.renew(700, 71, CPU | GPS, 500) == GPS
    assert manager.app_mask(700) == GPS


@pytest.mark.parametrize("has_log", [False, True])
def test_a_clock_that_steps_back_while_the_hook_is_asked_refuses_the_call(has_log: bool) -> None:
    class Turning(Hook):
        def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
            clock.set(9)
            return True

    log = MemoryLog() if has_log else None
    manager, clock = make_manager(policy=Policy(quota=Turning()), log=log)
    clock.set(10)
    manager.apply(700, 71, GPS, 40)
    with pytest.raises(ValueError, match="before"):
        manager.apply(700, 71, CPU, 40)
    clock.set(10)
    assert manager.app_mask(700) == GPS
    assert log is None or log.last() == 1
