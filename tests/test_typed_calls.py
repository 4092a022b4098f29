"""The fast calls apply, release and reset_all: arguments, answers, and who the caller is."""

from array import array
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from grantwheel import Caller, CpuLevel, EfficiencyResourcesRequest, Manager, ManualClock, Policy, ResourceType
from support import (
    ALL,
    AUDIO,
    COMMON_EVENT,
    CPU,
    GPS,
    MAIL,
    PLAIN,
    TIMER,
    check_refused,
    make_manager,
    request,
    unchanged,
)

LEVELS = Policy(cpu_level_max={"": 2, "org.tide.mail": 1})


class Indexed:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.fixture
def manager() -> Manager:
    made, _ = make_manager(policy=LEVELS)
    made.apply(700, 71, TIMER, 1000, reason="held before")
    return made


# Types of arguments.


class Array:
    """A number to look at, but its `__index__` says what numpy's says of an array."""

    def __index__(self) -> int:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")

    def __repr__(self) -> str:
        return "Array()"


NO_INTS: list[Any] = ["1", b"1", 1.0, None, [1], 1j, True, False, Decimal(1), Fraction(1), Array()]
NO_BOOLS: list[Any] = [1, 0, None, "true", 1.0]


@pytest.mark.parametrize("value", NO_INTS, ids=repr)
@pytest.mark.parametrize(("place", "name"), list(enumerate(["uid", "pid", "mask", "timeout_ms"])))
def test_numbers_are_ints(manager: Manager, place: int, name: str, value: Any) -> None:
    arguments: list[Any] = [700, 71, GPS, 40]
    arguments[place] = value
    calls: list[Callable[[], Any]] = [lambda: manager.apply(*arguments)]
    if place < 3:
        calls.append(lambda: manager.release(*arguments[:3]))
    if place < 2:
        calls.append(lambda: manager.reset_all(*arguments[:2]))
    with unchanged(manager):
        for call in calls:
            with pytest.raises(TypeError, match=name):
                call()


@pytest.mark.parametrize("value", NO_BOOLS, ids=repr)
def test_flags_are_bools(manager: Manager, value: Any) -> None:
    with unchanged(manager):
        with pytest.raises(TypeError, match="persist"):
            manager.apply(700, 71, GPS, 40, persist=value)
        with pytest.raises(TypeError, match="process"):
            manager.apply(700, 71, GPS, 40, process=value)
        with pytest.raises(TypeError, match="process"):
            manager.release(700, 71, GPS, process=value)


def test_a_bool_is_no_number_anywhere(manager: Manager) -> None:
    yes: Any = True
    calls: dict[str, list[Callable[[], object]]] = {
        "uid": [
            lambda: manager.app_mask(yes),
            lambda: manager.find_app(yes),
            lambda: manager.process_died(yes, 1),
            lambda: manager.app_stopped(yes),
            lambda: manager.package_removed(yes),
            lambda: manager.admin_reset_app(yes, GPS),
            lambda: manager.renew(yes, 1, GPS, 40),
        ],
        "pid": [
            lambda: manager.process_mask(yes),
            lambda: manager.find_process(yes),
            lambda: manager.process_died(1, yes),
            lambda: manager.admin_reset_process(yes, CPU),
        ],
        "mask": [lambda: manager.admin_reset_app(1, yes), lambda: manager.admin_reset_process(1, yes)],
        "resource_type": [lambda: manager.count(yes), lambda: manager.holders(yes)],
        "limit": [lambda: manager.records(limit=yes)],
        "budget": [lambda: manager.advance(budget=yes)],
        "max_records": [lambda: Manager(max_records=yes)],
        "max_strings": [lambda: Manager(max_strings=yes)],
        "event_capacity": [lambda: Manager(event_capacity=yes)],
        "reserve": [lambda: Manager(reserve=yes)],
        "start_ms": [lambda: ManualClock(yes)],
        "ms": [lambda: ManualClock().set(yes), lambda: ManualClock().advance(yes)],
        "now of the clock": [lambda: Manager(clock=SimpleNamespace(now=lambda: True)).app_mask(1)],
    }
    with unchanged(manager):
        for name, tries in calls.items():
            for call in tries:
                with pytest.raises(TypeError, match=name):
                    call()


@pytest.mark.parametrize("value", [0, 1, None, "yes", 1.0])
def test_ready_is_a_bool(manager: Manager, value: Any) -> None:
    with pytest.raises(TypeError, match="ready"):
        manager.ready = value
    assert manager.ready


def test_an_index_that_fails_is_the_callers_own(manager: Manager) -> None:
    class Broken:
        def __init__(self, error: type[BaseException]) -> None:
            self.error = error

        def __index__(self) -> int:
            raise self.error("no number")

    for error in (LookupError, ValueError, KeyboardInterrupt):
        broken: Any = Broken(error)
        with unchanged(manager), pytest.raises(error, match="no number"):
            manager.apply(broken, 71, GPS, 40)


@pytest.mark.parametrize("name", ["\ud800", "\x00", "\u202e", "näme"])
def test_a_name_of_any_kind_is_shown_when_it_is_refused(manager: Manager, name: str) -> None:
    calls: list[Callable[..., object]] = [
        lambda **more: manager.apply(1, 1, GPS, 40, **more),
        lambda **more: manager.release(1, 1, GPS, **more),
        manager.records,
        lambda **more: manager.apply_many(array("i"), array("i"), array("i"), array("i"), **more),
        manager.get_all,
        EfficiencyResourcesRequest,
    ]
    for call in calls:
        with pytest.raises(TypeError) as caught:
            call(**{name: 1})
        assert repr(name) in str(caught.value)


def test_the_other_arguments_have_types_too(manager: Manager) -> None:
    wrong: Any
    with unchanged(manager):
        for wrong in (b"why", None, 7, ["why"]):
            with pytest.raises(TypeError, match="reason"):
                manager.apply(700, 71, GPS, 40, reason=wrong)
        for wrong in (1.0, "1", None, True, Array()):
            with pytest.raises(TypeError, match="cpu_level"):
                manager.apply(700, 71, CPU, 40, cpu_level=wrong)
        for wrong in ("mail", 7, {"uid": 700}, Caller):
            with pytest.raises(TypeError, match="caller"):
                manager.apply(700, 71, GPS, 40, caller=wrong)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uid", "1"),
        ("uid", True),
        ("pid", 1.5),
        ("pid", False),
        ("bundle", b"x"),
        ("bundle", None),
        ("system_app", 1),
        ("native", None),
    ],
)
def test_a_caller_is_judged_when_it_calls(manager: Manager, field: str, value: Any) -> None:
    fields: dict[str, Any] = {"uid": 700, "pid": 71, "system_app": True, field: value}
    caller = Caller(**fields)
    calls: list[Callable[[], object]] = [
        lambda: manager.apply(700, 71, GPS, 40, caller=caller),
        lambda: manager.get_all(caller=caller),
        lambda: manager.apply_request({}, caller=caller),
    ]
    with unchanged(manager):
        for call in calls[:2]:
            with pytest.raises(TypeError, match=field):
                call()


def test_too_few_and_too_many_arguments(manager: Manager) -> None:
    call: Any
    numbers = array("q", [700])
    bad: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (manager.apply, (), {}),
        (manager.apply, (700, 71, GPS), {}),
        (manager.apply, (700, 71, GPS, 40, True), {}),
        (manager.apply, (700, 71, GPS, 40), {"uid": 700}),
        (manager.apply, (700, 71, GPS, 40), {"priority": 3}),
        (manager.apply, (700, 71, GPS), {"reason": "why"}),
        (manager.release, (700, 71), {}),
        (manager.release, (700, 71, GPS, 40), {}),
        (manager.release, (700, 71, GPS), {"timeout_ms": 40}),
        (manager.release, (700, 71, GPS), {"reason": "why"}),
        (manager.reset_all, (700,), {}),
        (manager.reset_all, (700, 71, GPS), {}),
        (manager.app_mask, (), {}),
        (manager.app_mask, (700, 71), {}),
        (manager.app_masks, (), {}),
        (manager.app_masks, (numbers, numbers), {}),
        (manager.apply_many, (numbers, numbers, numbers), {}),
        (manager.apply_many, (numbers, numbers, numbers, numbers, numbers), {}),
        (manager.apply_many, (numbers, numbers, numbers, numbers), {"masks": numbers}),
        (manager.release_many, (numbers, numbers, numbers), {"timeouts_ms": numbers}),
        (manager.records, (None, 1, 2), {}),
        (manager.records, (None,), {"after": None}),
        (manager.records, (), {"before": None}),
        (manager.infos, (None,), {}),
        (manager.get_all, (), {"uid": 700}),
        (manager.reset_all_request, (None,), {}),
        (manager.require_native, (None,), {}),
    ]
    with unchanged(manager):
        for call, arguments, keywords in bad:
            with pytest.raises(TypeError):
                call(*arguments, **keywords)


def test_arguments_may_be_named(manager: Manager) -> None:
    assert manager.apply(uid=700, pid=71, mask=GPS, timeout_ms=40) == GPS
    assert manager.apply(700, 71, timeout_ms=40, mask=CPU, process=True, reason="r", cpu_level=1, persist=True) == CPU
    process = manager.find_process(71)
    assert process is not None
    assert (process.cpu_level, process.grants[0].persist, process.grants[0].reason) == (1, True, "r")
    assert manager.records(None, 1) == manager.records(limit=1, after=None) == manager.records(limit=1)
    assert list(manager.app_masks(uids=array("q", [700]))) == [manager.app_mask(700)]
    assert manager.release(mask=CPU, uid=700, pid=71, process=True, cpu_level=2) == CPU
    assert manager.reset_all(pid=71, uid=700) == GPS | TIMER


def test_what_is_persistent_needs_no_timeout(manager: Manager) -> None:
    assert manager.apply(701, 71, GPS, persist=True) == GPS
    assert manager.renew(701, 71, GPS, persist=True) == GPS
    assert manager.apply(701, 71, CPU, None, persist=True) == CPU
    record = manager.find_app(701)
    assert record is not None
    assert [(grant.persist, grant.timeout_ms) for grant in record.grants] == [(True, 0), (True, 0)]
    with unchanged(manager):
        for call in (manager.apply, manager.renew):
            for arguments in ((701, 71, GPS), (701, 71, GPS, None)):
                with pytest.raises(TypeError, match=r"^timeout_ms must be given, unless persist is True$"):
                    call(*arguments)


def test_integers_of_every_kind(manager: Manager) -> None:
    mask: Any
    for mask in (ResourceType.GPS, ResourceType.GPS | ResourceType.CPU, Indexed(int(GPS))):
        assert manager.apply(700, 71, mask, 40) == int(getattr(mask, "value", mask))
    assert manager.apply(700, 71, CPU, 40, cpu_level=CpuLevel.LARGE_CPU) == CPU
    assert type(manager.apply(700, 71, ResourceType.GPS, 40)) is int


# Ranges.

HUGE = [2**63, 2**64, 2**200, -(2**63) - 1, -(2**200)]


@pytest.mark.parametrize("mask", [0, -1, 512, 513, 1 << 30, 1 << 31, 1 << 32, (1 << 32) + 1, *HUGE])
def test_masks_out_of_range(manager: Manager, mask: int) -> None:
    check_refused(manager, lambda: manager.apply(700, 71, mask, 40), 18700001, 1870000101)
    check_refused(manager, lambda: manager.release(700, 71, mask), 18700001, 1870000101)


@pytest.mark.parametrize("timeout", [0, -1, 1 << 32, (1 << 32) + 40, *HUGE])
def test_timeouts_out_of_range(manager: Manager, timeout: int) -> None:
    check_refused(manager, lambda: manager.apply(700, 71, GPS, timeout), 18700001, 1870000101)
    if timeout != 0:
        check_refused(manager, lambda: manager.apply(700, 71, GPS, timeout, persist=True), 18700001, 1870000101)


@pytest.mark.parametrize("uid", [-1, (1 << 32) - 1, 1 << 32, (1 << 32) + 700, *HUGE])
def test_uids_out_of_range(manager: Manager, uid: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: manager.apply(uid, 71, GPS, 40),
        lambda: manager.release(uid, 71, GPS),
        lambda: manager.reset_all(uid, 71),
        lambda: manager.process_died(uid, 71),
        lambda: manager.app_stopped(uid),
        lambda: manager.package_removed(uid),
        lambda: manager.admin_reset_app(uid, GPS),
        lambda: manager.app_mask(uid),
        lambda: manager.find_app(uid),
    ]
    for call in calls:
        check_refused(manager, call, 18700001, 1870000102)


@pytest.mark.parametrize("pid", [-1, 1 << 31, 1 << 32, (1 << 32) + 71, *HUGE])
def test_pids_out_of_range(manager: Manager, pid: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: manager.apply(700, pid, GPS, 40),
        lambda: manager.release(700, pid, GPS),
        lambda: manager.reset_all(700, pid),
        lambda: manager.process_died(700, pid),
        lambda: manager.admin_reset_process(pid, CPU),
        lambda: manager.process_mask(pid),
        lambda: manager.find_process(pid),
    ]
    for call in calls:
        check_refused(manager, call, 18700001, 1870000102)


@pytest.mark.parametrize("level", [-2, 3, 255, 256, (1 << 32) - 1, *HUGE])
def test_cpu_levels_out_of_range(manager: Manager, level: int) -> None:
    check_refused(manager, lambda: manager.apply(700, 71, CPU, 40, cpu_level=level), 18700001, 1870000107)
    check_refused(manager, lambda: manager.release(700, 71, CPU, cpu_level=level), 18700001, 1870000107)


def test_the_first_rule_wins(manager: Manager) -> None:
    manager.ready = False
    check_refused(manager, lambda: manager.apply(-1, -1, 0, 0, caller=PLAIN, cpu_level=9), 9800004, 980000401)
    manager.ready = True
    check_refused(manager, lambda: manager.apply(-1, -1, 0, 0, caller=PLAIN, cpu_level=9), 18700001, 1870000101)
    check_refused(manager, lambda: manager.apply(-1, -1, CPU, 9, caller=PLAIN, cpu_level=9), 18700001, 1870000102)
    check_refused(manager, lambda: manager.apply(700, 71, CPU, 9, caller=PLAIN, cpu_level=9), 202, 202)
    manager.set_policy(replace(LEVELS, default_allowed=()))
    check_refused(manager, lambda: manager.apply(700, 71, CPU, 9, caller=MAIL, cpu_level=9), 18700001, 1870000107)
    check_refused(manager, lambda: manager.apply(700, 71, CPU, 9, caller=MAIL, cpu_level=1), 201, 201)


# Answers.


def test_apply_answers_the_mask_in_effect(manager: Manager) -> None:
    assert manager.apply(700, 71, ALL, 40) == ALL
    assert manager.apply(700, 71, GPS, 40) == GPS
    manager.set_policy(Policy(default_allowed=[1, 6]))
    assert manager.apply(700, 71, ALL, 40) == CPU | GPS
    assert manager.apply(800, 81, CPU | AUDIO, 40, process=True) == CPU


def test_release_answers_what_was_removed_over_all_records(manager: Manager) -> None:
    manager.apply(700, 71, GPS | COMMON_EVENT, 40)
    manager.apply(700, 72, CPU, 40, process=True)
    assert manager.release(700, 73, CPU | GPS | AUDIO) == CPU | GPS
    assert manager.release(700, 73, CPU | GPS | AUDIO) == 0
    manager.apply(700, 72, CPU, 40, process=True)
    assert manager.release(700, 71, CPU, process=True) == 0
    assert manager.release(700, 72, CPU | COMMON_EVENT, process=True) == CPU | COMMON_EVENT


def test_reset_all_answers_what_was_removed_over_all_records(manager: Manager) -> None:
    manager.apply(700, 72, CPU, 40, process=True)
    assert manager.reset_all(700, 71) == TIMER | CPU
    assert manager.reset_all(700, 71) == 0


def test_deaths_and_administration_answer_what_was_removed(manager: Manager) -> None:
    manager.apply(700, 71, ALL, 40)
    manager.apply(700, 71, CPU, 40, process=True)
    assert manager.process_died(700, 71) == CPU
    assert manager.process_died(700, 71) == 0
    assert manager.app_stopped(700) == ALL - 12
    assert manager.package_removed(700) == 12
    manager.apply(700, 71, GPS | CPU, 40, process=True)
    assert manager.admin_reset_app(700, ALL) == GPS
    assert manager.admin_reset_process(71, ALL) == CPU
    manager.apply(700, 71, GPS | CPU, 40, process=True)
    assert manager.admin_reset_all() == GPS | CPU
    assert manager.admin_reset_all() == 0


def test_what_is_due_is_not_removed_again() -> None:
    manager, clock = make_manager()
    manager.apply(700, 71, GPS | CPU, 40, process=True)
    manager.apply(700, 71, AUDIO, 90)
    clock.set(40)
    assert manager.release(700, 71, CPU | GPS | AUDIO) == AUDIO


def test_a_zero_timeout_is_fine_when_persistent(manager: Manager) -> None:
    assert manager.apply(700, 71, GPS, 0, persist=True) == GPS
    record = manager.find_app(700)
    assert record is not None
    assert record.grants[-1].deadline_ms is None


# Who the caller is.


def test_the_default_policy_trusts_everyone() -> None:
    manager, _ = make_manager()
    assert manager.apply(700, 71, ALL, 40) == ALL
    assert manager.apply(0, 0, CPU, 40, process=True) == CPU
    assert manager.reset_all(700, 71) == ALL


def test_callers_come_from_the_registry_by_uid() -> None:
    registered = Caller(uid=1, pid=2, bundle="org.tide.mail", system_app=True)
    policy = Policy(
        callers={700: registered, 800: Caller(bundle="org.tide.maps")},
        default_caller=Caller(bundle="org.tide.rest", service_extension=True),
        allowed={"org.tide.mail": [6], "org.tide.rest": [1]},
    )
    manager, _ = make_manager(policy=policy)
    assert manager.apply(700, 71, ALL, 40) == GPS
    record = manager.find_app(700)
    assert record is not None
    assert (record.uid, record.pid, record.bundle) == (700, 71, "org.tide.mail")
    check_refused(manager, lambda: manager.apply(800, 81, GPS, 40), 202, 202)
    assert manager.apply(900, 91, ALL, 40) == CPU
    assert manager.release(700, 72, ALL) == GPS
    assert manager.reset_all(900, 92) == CPU


class Asked(Caller):
    """A caller whose attributes are made when they are asked for."""

    bundle = property(lambda self: "org.tide.mail", lambda self, value: None)

    @property
    def system_app(self) -> bool:
        return bool(self.uid == 700)

    @system_app.setter
    def system_app(self, value: bool) -> None:
        pass


def test_a_subclass_of_caller_is_asked_for_its_attributes() -> None:
    manager, _ = make_manager()
    asked = Asked(uid=700, pid=71)
    assert manager.apply(700, 71, GPS, 40, caller=asked) == GPS
    assert manager.apply_request(request(TIMER), caller=asked) == TIMER
    record = manager.find_app(700)
    assert record
    assert record.bundle == "org.tide.mail"
    check_refused(manager, lambda: manager.apply(700, 71, GPS, 40, caller=Asked(uid=1)), 202, 202)


@pytest.mark.parametrize("error", [AttributeError, OSError, KeyboardInterrupt])
def test_an_attribute_of_a_caller_that_fails_ends_the_call_as_it_is(error: type[BaseException]) -> None:
    class Broken(Caller):
        def __getattribute__(self, name: str) -> object:
            if name == "native":
                raise error("nobody knows")
            return super().__getattribute__(name)

    manager, _ = make_manager()
    with pytest.raises(error, match="nobody knows"):
        manager.apply(700, 71, GPS, 40, caller=Broken())
    with pytest.raises(error, match="nobody knows"):
        manager.apply_request(request(GPS), caller=Broken())
    assert manager.records() == []


@pytest.mark.parametrize("name", ["uid", "pid", "bundle", "system_app", "service_extension", "native"])
def test_a_caller_without_an_attribute_is_an_error_that_names_it(name: str) -> None:
    manager, _ = make_manager()
    caller = Caller(uid=700, pid=71, system_app=True)
    delattr(caller, name)
    with pytest.raises(AttributeError, match=name):
        manager.apply(700, 71, GPS, 40, caller=caller)
    assert manager.records() == []


def test_a_caller_given_supplies_bundle_and_flags_only() -> None:
    manager, _ = make_manager(policy=Policy(callers={700: MAIL}, allowed={"org.tide.maps": [6]}))
    other = Caller(uid=1, pid=-5, bundle="org.tide.maps", service_extension=True)
    assert manager.apply(700, 71, ALL, 40, caller=other) == GPS
    record = manager.find_app(700)
    assert record is not None
    assert (record.uid, record.pid, record.bundle) == (700, 71, "org.tide.maps")
    assert manager.find_app(1) is None
    check_refused(manager, lambda: manager.release(700, 71, GPS, caller=Caller(uid=700, pid=71)), 202, 202)
    assert manager.apply(700, 71, AUDIO, 40, caller=None) == AUDIO


def test_the_service_sees_the_process_that_calls_documented_calls_by_default() -> None:
    import os

    manager, _ = make_manager(policy=Policy(default_caller=MAIL))
    manager.apply_request({"resourceTypes": GPS | CPU, "isApply": True, "timeOut": 40, "reason": "", "isProcess": True})
    assert [(r.uid, r.pid, r.bundle) for r in manager.records()] == [(os.getuid(), os.getpid(), "org.tide.mail")] * 2
    assert [row.resourceTypes for row in manager.get_all()] == [GPS, CPU]
    assert manager.reset_all_request() == GPS | CPU
