"""What a policy is made of: types by name or by number, everything checked by field and copied when it is made."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from grantwheel import BackgroundMode, Caller, CpuLevel, OverTimeoutMax, Policy, ResourceType
from support import ALL, AUDIO, GPS, MAIL, MAPS, check_refused, make_manager

TIMER = ResourceType.TIMER


@pytest.mark.parametrize("one", ResourceType, ids=lambda one: one.name)
def test_a_type_stands_for_itself(one: ResourceType) -> None:
    manager, _ = make_manager(policy=Policy(allowed={"org.tide.mail": [one]}))
    assert manager.apply(700, 71, ALL, 40, caller=MAIL) == one


@pytest.mark.parametrize("number", range(1, 10))
def test_a_bare_number_is_the_documented_one(number: int) -> None:
    manager, _ = make_manager(policy=Policy(default_allowed=[number]))
    assert manager.apply(700, 71, ALL, 40) == 1 << (number - 1)


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        ((6, 7), GPS | AUDIO),
        ([7, 6, 6], GPS | AUDIO),
        ({6, 7}, GPS | AUDIO),
        (range(6, 8), GPS | AUDIO),
        (iter((6, 7)), GPS | AUDIO),
        ((n for n in (7, 6)), GPS | AUDIO),
        ({6: "six", 7: "seven"}, GPS | AUDIO),
        ([ResourceType.GPS | ResourceType.AUDIO], GPS | AUDIO),
        ([ResourceType.GPS, 7], GPS | AUDIO),
        (ResourceType.GPS | ResourceType.AUDIO, GPS | AUDIO),
        (ResourceType.ALL, ALL),
        ([0], ALL),
        ([3, 0], ALL),
        ([], 0),
        (ResourceType(0), 0),
    ],
    ids=repr,
)
def test_types_come_from_any_iterable(some: Iterable[int], expected: int) -> None:
    policy = Policy(allowed={"org.tide.mail": some})
    assert policy.allowed["org.tide.mail"] == ResourceType(expected)
    for _ in range(2):  # an iterator would be used up
        manager, _clock = make_manager(policy=policy)
        if expected:
            assert manager.apply(700, 71, ALL, 40, caller=MAIL) == expected
        else:
            check_refused(manager, lambda: manager.apply(700, 71, ALL, 40, caller=MAIL), 201, 201)  # noqa: B023


def test_a_policy_is_a_copy_of_what_it_is_given() -> None:
    numbers = [6]
    allowed = {"org.tide.mail": numbers}
    unknown = ["org.tide.post"]
    timeouts = {"org.tide.mail": {ResourceType.GPS: 50}}
    known = Caller(bundle="org.tide.mail", system_app=True)
    callers = {700: known}
    policy = Policy(allowed=allowed, unknown_bundles=unknown, timeout_max_ms=timeouts, callers=callers)
    numbers.append(7)
    allowed["org.tide.maps"] = []
    unknown.append("org.tide.mail")
    timeouts["org.tide.mail"][ResourceType.GPS] = 1
    known.system_app = False
    callers[800] = known
    manager, _ = make_manager(policy=policy)
    assert manager.apply(700, 71, ALL, 40) == GPS
    assert manager.apply(800, 81, ALL, 40, caller=MAPS) == ALL
    manager.set_policy(manager.policy)
    assert manager.apply(700, 71, ALL, 60) == GPS
    record = manager.find_app(700)
    assert record is not None
    assert record.grants[0].timeout_ms == 50


def test_a_policy_read_back_makes_the_same_one() -> None:
    policy = Policy(
        allowed={"a": [ResourceType.GPS, 2], "b": []},
        unknown_bundles=["c"],
        cpu_level_max={"a": CpuLevel.LARGE_CPU},
        timeout_max_ms={"a": {ResourceType.CPU | ResourceType.GPS: 5, 1: 7}, "b": {0: 9}},
        default_timeout_max_ms={TIMER: 10},
        over_timeout_max="refuse",
        callers={700: MAIL},
    )
    assert replace(policy) == policy
    assert policy.timeout_max_ms["a"] == {ResourceType.CPU: 5, ResourceType.GPS: 5}
    assert len(policy.timeout_max_ms["b"]) == 9
    assert policy.over_timeout_max is OverTimeoutMax.REFUSE


class Hostile:
    def __index__(self) -> int:
        raise TypeError("no number")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"allowed": {"a": [10]}}, ValueError, r"allowed\['a'\]\[0\] must be within 0\.\.9, not 10"),
        ({"allowed": {"a": [1, -1]}}, ValueError, r"allowed\['a'\]\[1\] must be within 0\.\.9, not -1"),
        ({"allowed": {"a": [32]}}, ValueError, r"allowed\['a'\]\[0\]"),
        ({"allowed": {"a": [True]}}, TypeError, r"allowed\['a'\]\[0\] must be a ResourceType or a number, not bool"),
        ({"allowed": {"a": ["GPS"]}}, TypeError, r"allowed\['a'\]\[0\] .*, not str"),
        ({"allowed": {"a": [1.0]}}, TypeError, r"allowed\['a'\]\[0\] .*, not float"),
        ({"allowed": {"a": [None]}}, TypeError, r"allowed\['a'\]\[0\] .*, not NoneType"),
        ({"allowed": {"a": [BackgroundMode.LOCATION]}}, TypeError, r"allowed\['a'\]\[0\] .*, not BackgroundMode"),
        ({"allowed": {"a": [Hostile()]}}, TypeError, r"allowed\['a'\]\[0\] .*, not Hostile"),
        ({"allowed": {"a": [ResourceType(0)]}}, ValueError, r"allowed\['a'\]\[0\] must stand for types"),
        ({"allowed": {"a": [ResourceType(1024)]}}, ValueError, r"allowed\['a'\]\[0\] must stand for types"),
        ({"allowed": {"a": ResourceType(1025)}}, ValueError, r"allowed\['a'\] must stand for types"),
        ({"allowed": {"a": "123"}}, TypeError, r"allowed\['a'\] must be an iterable of types, not str"),
        ({"allowed": {"a": b"\1"}}, TypeError, r"allowed\['a'\] must be an iterable of types, not bytes"),
        ({"allowed": {"a": 7}}, TypeError, r"allowed\['a'\] must be an iterable of types, not int"),
        ({"allowed": {7: [1]}}, TypeError, "a key of allowed must be a str, not int"),
        ({"allowed": {"\ud800": [1]}}, ValueError, "a key of allowed cannot be encoded"),
        ({"allowed": {"b" * 1025: [1]}}, ValueError, "a key of allowed must be a bundle name of at most 1024 bytes"),
        ({"allowed": {"é" * 513: [1]}}, ValueError, "a key of allowed"),
        ({"allowed": [("a", [1])]}, TypeError, "allowed must be a mapping by bundle names, not list"),
        ({"allowed": 7}, TypeError, "allowed must be a mapping"),
        ({"default_allowed": [11]}, ValueError, r"default_allowed\[0\]"),
        ({"default_allowed": 7}, TypeError, "default_allowed must be an iterable of types, not int"),
        ({"default_allowed": "7"}, TypeError, "default_allowed must be an iterable of types, not str"),
        ({"default_allowed": None}, TypeError, "default_allowed must be an iterable of types, not NoneType"),
        ({"unknown_bundles": "mail"}, TypeError, "unknown_bundles must be an iterable of bundle names, not str"),
        ({"unknown_bundles": [7]}, TypeError, r"unknown_bundles\[0\] must be a str, not int"),
        ({"unknown_bundles": 7}, TypeError, "unknown_bundles"),
        ({"cpu_level_max": {"b": 3}}, ValueError, r"cpu_level_max\['b'\] must be within 0\.\.2, not 3"),
        ({"cpu_level_max": {"b": CpuLevel.DEFAULT}}, ValueError, r"cpu_level_max\['b'\]"),
        ({"cpu_level_max": {"b": "1"}}, TypeError, r"cpu_level_max\['b'\] must be an int, not str"),
        ({"cpu_level_max": {"b": True}}, TypeError, r"cpu_level_max\['b'\] must be an int, not bool"),
        ({"cpu_level_max": {"b": ResourceType.CPU}}, TypeError, r"cpu_level_max\['b'\] must be an int"),
        ({"timeout_max_ms": {"b": {TIMER: 0}}}, ValueError, r"timeout_max_ms\['b'\]\[.*TIMER.*\] must be within 1\.\."),
        ({"timeout_max_ms": {"b": {TIMER: 2**32}}}, ValueError, r"timeout_max_ms\['b'\]"),
        ({"timeout_max_ms": {"b": {TIMER: 1.5}}}, TypeError, r"timeout_max_ms\['b'\]\[.*\] must be an int, not float"),
        ({"timeout_max_ms": {"b": {TIMER: True}}}, TypeError, r"timeout_max_ms\['b'\]"),
        ({"timeout_max_ms": {"b": {10: 5}}}, ValueError, r"a key of timeout_max_ms\['b'\] must be within 0\.\.9"),
        ({"timeout_max_ms": {"b": {"CPU": 5}}}, TypeError, r"a key of timeout_max_ms\['b'\]"),
        ({"timeout_max_ms": {"b": 5}}, TypeError, r"timeout_max_ms\['b'\] must be a mapping by types, not int"),
        ({"timeout_max_ms": {TIMER: 5}}, TypeError, "a key of timeout_max_ms must be a str"),
        ({"default_timeout_max_ms": {TIMER: -1}}, ValueError, "default_timeout_max_ms"),
        ({"default_timeout_max_ms": 5}, TypeError, "default_timeout_max_ms must be a mapping by types, not int"),
        ({"over_timeout_max": "drop"}, ValueError, "over_timeout_max must be 'cap' or 'refuse', not 'drop'"),
        ({"over_timeout_max": None}, ValueError, "over_timeout_max"),
        ({"callers": {700: "mail"}}, TypeError, r"callers\[700\] must be a Caller, not str"),
        ({"callers": {700: None}}, TypeError, r"callers\[700\]"),
        ({"callers": {"700": MAIL}}, TypeError, "a key of callers must be an int, not str"),
        ({"callers": {True: MAIL}}, TypeError, "a key of callers must be an int, not bool"),
        ({"callers": {-1: MAIL}}, ValueError, "a key of callers must be within"),
        ({"callers": {2**32 - 1: MAIL}}, ValueError, "a key of callers must be within"),
        ({"callers": {700: Caller(bundle="b" * 1025)}}, ValueError, r"bundle of callers\[700\]"),
        ({"callers": {700: Caller(bundle="\ud800")}}, ValueError, r"bundle of callers\[700\]"),
        ({"callers": {700: Caller(native=1)}}, TypeError, r"native of callers\[700\] must be a bool, not int"),  # type: ignore[arg-type]
        ({"default_caller": None}, TypeError, "default_caller must be a Caller, not NoneType"),
        ({"default_caller": "mail"}, TypeError, "default_caller"),
        ({"quota": 7}, TypeError, r"quota must have the methods check\(\) and settle\(\)"),
    ],
    ids=repr,
)
def test_what_cannot_be_is_refused_by_field_where_the_policy_is_made(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Policy(**fields)


def test_what_is_no_policy_leaves_the_old_one() -> None:
    old = Policy(default_allowed=(6,))
    manager, _ = make_manager(policy=old)
    bad: Any
    for bad in (None, 7, {"allowed": {}}, Policy):
        with pytest.raises(TypeError, match="policy must be a Policy"):
            manager.set_policy(bad)
    assert manager.policy is old
    assert manager.apply(700, 71, ALL, 40) == GPS


def test_a_configuration_may_have_numbers_that_stand_for_nothing() -> None:
    policy = Policy.from_config(
        {"mail": [1, 12, -4, 3, 3], "music": [2, 0], "none": [10]}, default_allowed=[6, 99], cpu_level_max={"mail": 1}
    )
    assert policy.allowed == {"mail": ResourceType.CPU | TIMER, "music": ResourceType.ALL, "none": ResourceType(0)}
    assert policy.default_allowed == ResourceType.GPS
    assert policy.cpu_level_max == {"mail": 1}
    some: Any
    for some in (["1"], [True], [1.5], [None], [ResourceType.GPS], "1", 1):
        with pytest.raises(TypeError, match=r"allowed\['mail'\]"):
            Policy.from_config({"mail": some})
