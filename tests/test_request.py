"""The documented request: every field, every kind of value, in the documented order."""

from array import array
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest

from grantwheel import CpuLevel, EfficiencyResourcesRequest, Manager, ResourceType
from support import (
    ALL,
    AUDIO,
    CPU,
    GPS,
    MAIL,
    PLAIN,
    REQUEST_DETAIL,
    TIMER,
    check_refused,
    make_manager,
    refuse_field,
    request,
    shown,
    unchanged,
)

FIELDS = list(REQUEST_DETAIL)
MANDATORY = ["resourceTypes", "isApply", "timeOut", "reason"]
LIMIT = 2147483647


class Indexed:
    """An integer that is no int, as those of numpy are none."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Number(int):
    pass


class Real(float):
    pass


class Text(str):
    __slots__ = ()


class Level(IntEnum):
    TOP = 2


@pytest.fixture
def manager() -> Manager:
    made, _ = make_manager()
    made.apply(MAIL.uid, MAIL.pid, TIMER, 1000, reason="held before")
    return made


NO_NUMBERS = [
    None,
    True,
    False,
    "1",
    "",
    b"1",
    [1],
    (1,),
    {},
    object(),
    1 + 0j,
    1.5,
    0.1,
    float("nan"),
    float("inf"),
    float("-inf"),
    -1,
    -1.0,
    -0.5,
    -LIMIT,
    LIMIT + 1,
    float(LIMIT + 1),
    2**32,
    2**32 + 1,
    2**63,
    2**64 + 1,
    -(2**63) - 1,
    10**400,
    1e300,
    Indexed(-1),
    Indexed(LIMIT + 1),
    Indexed(2**70),
    Number(-1),
    Real(0.5),
    object(),
]
NO_BOOLS = [None, 0, 1, 1.0, "true", "", b"", [], [True], {}, object(), Level.TOP, Indexed(1)]
NO_TEXTS = [None, True, 0, 7, 1.5, b"why", bytearray(b"why"), ["why"], {}, object()]


@pytest.mark.parametrize("value", shown(NO_NUMBERS))
@pytest.mark.parametrize("field", ["resourceTypes", "timeOut"])
def test_numbers_are_finite_integral_and_within_31_bits(manager: Manager, field: str, value: Any) -> None:
    refuse_field(manager, field, request(**{field: value}))
    refuse_field(manager, field, request(**{field: value, "isPersist": True}))
    refuse_field(manager, field, request(**{field: value, "isApply": False}))
    refuse_field(manager, field, EfficiencyResourcesRequest(**request(**{field: value})))


@pytest.mark.parametrize("value", shown([*NO_NUMBERS[:-1], 3, LIMIT, CpuLevel.DEFAULT]))
@pytest.mark.parametrize("mask", [GPS, GPS | CPU])
def test_a_cpu_level_is_an_integer_0_to_2(manager: Manager, mask: int, value: Any) -> None:
    refuse_field(manager, "cpuLevel", request(mask, cpuLevel=value))
    refuse_field(manager, "cpuLevel", EfficiencyResourcesRequest(**request(mask, cpuLevel=value)))


@pytest.mark.parametrize("value", shown(NO_BOOLS))
@pytest.mark.parametrize("field", ["isApply", "isPersist", "isProcess"])
def test_bools_are_real_bools(manager: Manager, field: str, value: Any) -> None:
    refuse_field(manager, field, request(**{field: value}))
    refuse_field(manager, field, EfficiencyResourcesRequest(**request(**{field: value})))


@pytest.mark.parametrize("value", shown(NO_TEXTS))
def test_a_reason_is_a_string(manager: Manager, value: Any) -> None:
    refuse_field(manager, "reason", request(reason=value))
    refuse_field(manager, "reason", request(reason=value, isApply=False))


@pytest.mark.parametrize("field", MANDATORY)
@pytest.mark.parametrize("more", [{}, {"isPersist": True}, {"isApply": False}], ids=["timed", "persistent", "release"])
def test_mandatory_fields_have_to_be_there(manager: Manager, field: str, more: dict[str, Any]) -> None:
    fields = request(**more)
    del fields[field]
    refuse_field(manager, field, fields)
    refuse_field(manager, field, EfficiencyResourcesRequest(**fields))
    made = EfficiencyResourcesRequest(**request(**more))
    delattr(made, field)
    refuse_field(manager, field, made)


@pytest.mark.parametrize(
    "value",
    shown([GPS, 32.0, ResourceType.GPS, ResourceType.CPU | ResourceType.GPS, Number(32), Real(32.0), Indexed(32), ALL]),
)
def test_any_integral_number_is_a_mask(manager: Manager, value: Any) -> None:
    mask = value.value if isinstance(value, Indexed) else int(value)
    assert manager.apply_request(request(value), caller=MAIL) == mask
    assert manager.app_mask(700) == mask | TIMER


@pytest.mark.parametrize("value", shown([1, 40.0, LIMIT, float(LIMIT), Number(40), Real(40.0), Indexed(40), Level.TOP]))
def test_any_integral_number_is_a_timeout(manager: Manager, value: Any) -> None:
    assert manager.apply_request(request(AUDIO, timeOut=value), caller=MAIL) == AUDIO
    record = manager.find_app(700)
    assert record is not None
    assert record.grants[-1].timeout_ms == (value.value if isinstance(value, Indexed) else int(value))


@pytest.mark.parametrize("value", shown([0, 1, 2, 2.0, Level.TOP, CpuLevel.SMALL_CPU, Indexed(1)]))
def test_any_integral_number_of_0_to_2_is_a_cpu_level(manager: Manager, value: Any) -> None:
    assert manager.apply_request(request(GPS, cpuLevel=value), caller=MAIL) == GPS  # ignored, without CPU


class Broken:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __index__(self) -> int:
        raise self.error("no number")


@pytest.mark.parametrize("field", ["resourceTypes", "timeOut", "cpuLevel"])
@pytest.mark.parametrize("error", [LookupError, ValueError, KeyboardInterrupt])
def test_an_index_that_fails_ends_the_call_as_it_is(manager: Manager, field: str, error: type[BaseException]) -> None:
    with unchanged(manager), pytest.raises(error, match="no number"):
        manager.apply_request(request(**{field: Broken(error)}), caller=MAIL)


@pytest.mark.parametrize("field", ["resourceTypes", "timeOut", "cpuLevel"])
@pytest.mark.parametrize("value", shown([Broken(TypeError), Decimal(1), Fraction(1), array("i", [1]), b"\x01"]))
def test_what_says_that_it_is_no_index_is_no_number(manager: Manager, field: str, value: Any) -> None:
    # So numpy's arrays and masked values do.
    refuse_field(manager, field, request(**{field: value}))


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, LIMIT])
def test_a_timeout_of_0_is_fine_where_none_is_needed(manager: Manager, timeout: float) -> None:
    assert manager.apply_request(request(timeOut=timeout, isPersist=True), caller=MAIL) == GPS
    assert manager.apply_request(request(timeOut=timeout, isApply=False), caller=MAIL) == GPS


def test_values_are_judged_after_fields_and_the_mask_first(manager: Manager) -> None:
    refuse_field(manager, "resourceTypes", request(0))
    refuse_field(manager, "resourceTypes", request(0.0, timeOut=0))
    refuse_field(manager, "resourceTypes", request(0, isApply=False))
    refuse_field(manager, "resourceTypes", request(0, isPersist=True))
    refuse_field(manager, "timeOut", request(timeOut=0))
    refuse_field(manager, "timeOut", request(timeOut=0, isPersist=False, isProcess=True))
    for field in FIELDS[3:]:
        refuse_field(manager, field, request(0, timeOut=0, **{field: b"?"}))


@pytest.mark.parametrize(("first", "second"), list(combinations(FIELDS, 2)))
def test_the_first_failure_wins(manager: Manager, first: str, second: str) -> None:
    refuse_field(manager, first, request(**{first: b"?", second: b"?"}))
    refuse_field(manager, first, EfficiencyResourcesRequest(**{**request(), second: b"?", first: b"?"}))


def test_every_wrong_field_comes_up_in_order(manager: Manager) -> None:
    wrong: dict[str, Any] = dict.fromkeys(reversed(FIELDS), b"?")
    right = request(isPersist=False, isProcess=False, cpuLevel=1)
    for field in FIELDS:
        refuse_field(manager, field, wrong)
        wrong[field] = right[field]
    assert manager.apply_request(wrong, caller=MAIL) == GPS


@pytest.mark.parametrize(
    ("reason", "fits"),
    [
        ("", True),
        ("x" * 1024, True),
        ("x" * 1025, False),
        ("é" * 512, True),
        ("é" * 512 + "x", False),
        ("潮" * 341 + "x", True),
        ("潮" * 342, False),
        ("🌊" * 256, True),
        ("🌊" * 256 + "x", False),
        ("x" * 1_000_000, False),
        ("nul \0 inside", True),
        (Text("why"), True),
    ],
    ids=["empty", "1024", "1025", "2x512", "2x512+1", "3x341+1", "3x342", "4x256", "4x256+1", "1M", "nul", "subclass"],
)
def test_a_reason_has_at_most_1024_bytes_of_utf_8(manager: Manager, reason: str, fits: bool) -> None:
    if fits:
        assert manager.apply_request(request(AUDIO, reason=reason), caller=MAIL) == AUDIO
        record = manager.find_app(700)
        assert record is not None
        assert record.grants[-1].reason == reason
    else:
        refuse_field(manager, "reason", request(reason=reason))
        refuse_field(manager, "reason", request(reason=reason, isApply=False))


@pytest.mark.parametrize("reason", ["\ud800", "a\udfffb", "\udcff" * 3])
def test_a_reason_that_cannot_be_encoded_is_a_parcel_error_after_all_checks(manager: Manager, reason: str) -> None:
    def apply(**fields: Any) -> Any:
        return lambda: manager.apply_request(request(**{"reason": reason, **fields}), caller=MAIL)

    check_refused(manager, apply(), 9800002, 980000201)
    check_refused(manager, apply(isApply=False), 9800002, 980000201)
    check_refused(manager, apply(cpuLevel=9), 401, 9800418)
    check_refused(manager, apply(mask=0), 401, 9800413)
    check_refused(manager, apply(timeout=0), 401, 9800415)
    check_refused(manager, apply(resourceTypes=-1), 401, 9800413)


def test_the_upper_limit_of_the_mask_is_judged_by_the_service(manager: Manager) -> None:
    for mask in (512, 513, LIMIT):
        check_refused(manager, lambda: manager.apply_request(request(mask), caller=MAIL), 18700001, 1870000101)  # noqa: B023


def test_fields_are_checked_before_readiness_and_privilege(manager: Manager) -> None:
    manager.ready = False
    for fields, detail in ((request(reason=7), 9800402), (request(0), 9800413), (request(timeOut=0), 9800415)):
        check_refused(manager, lambda: manager.apply_request(fields, caller=PLAIN), 401, detail)  # noqa: B023
    check_refused(manager, lambda: manager.apply_request(caller=PLAIN), 401, 9800401)
    check_refused(manager, lambda: manager.apply_request(request(), caller=PLAIN), 9800004, 980000401)


def test_every_sentence_names_its_field_and_its_rule(manager: Manager) -> None:
    sentences = {field: refuse_field(manager, field, request(**{field: b"?"})) for field in FIELDS}
    assert len(set(sentences.values())) == len(FIELDS)
    for field, sentence in sentences.items():
        rule = sentence.removeprefix("Parameter error. ")
        assert rule.endswith("."), sentence
        assert ". " not in rule, sentence
        assert len(rule) > len(field) + 10, sentence
        assert not [other for other in FIELDS if other != field and other in rule], sentence


def test_the_fields_mean_what_they_say(manager: Manager) -> None:
    manager.apply_request(request(CPU | GPS, 90, isProcess=True, reason="both"), caller=MAIL)
    app, process = manager.find_app(700), manager.find_process(71)
    assert app is not None
    assert process is not None
    assert [(g.type, g.persist, g.timeout_ms, g.reason) for g in app.grants] == [
        (TIMER, False, 1000, "held before"),
        (GPS, False, 90, "both"),
    ]
    assert [(g.type, g.persist, g.timeout_ms, g.reason) for g in process.grants] == [(CPU, False, 90, "both")]
    manager.apply_request(request(GPS, 0, isPersist=True, reason=""), caller=MAIL)
    app = manager.find_app(700)
    assert app is not None
    assert app.grants[-1][1:] == (True, 0, None, None, "")
