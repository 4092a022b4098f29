"""The documented request: what may carry its fields."""

from collections import ChainMap, OrderedDict, UserDict, defaultdict
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from grantwheel import EfficiencyResourcesRequest, Manager
from support import (
    CPU,
    GPS,
    MAIL,
    TIMER,
    View,
    check_refused,
    make_manager,
    refuse_field,
    request,
    shown,
    unchanged,
)


@pytest.fixture
def manager() -> Manager:
    made, _ = make_manager()
    made.apply(MAIL.uid, MAIL.pid, TIMER, 1000, reason="held before")
    return made


@pytest.mark.parametrize(
    "make",
    [
        dict,
        OrderedDict,
        MappingProxyType,
        UserDict,
        ChainMap,
        View,
        lambda fields: ChainMap({}, fields),
        lambda fields: EfficiencyResourcesRequest(**fields),
    ],
    ids=["dict", "OrderedDict", "MappingProxyType", "UserDict", "ChainMap", "View", "nested", "request"],
)
def test_any_mapping_is_a_request(manager: Manager, make: Any) -> None:
    assert manager.apply_request(make(request(GPS | CPU, isProcess=True)), caller=MAIL) == GPS | CPU
    assert (manager.app_mask(700), manager.process_mask(71)) == (GPS | TIMER, CPU)
    assert manager.apply_request(make(request(GPS, isApply=False)), caller=MAIL) == GPS
    refuse_field(manager, "isPersist", make(request(isPersist=None)))


def test_a_default_of_the_mapping_is_no_field(manager: Manager) -> None:
    fields = defaultdict(lambda: "made up", request())
    assert manager.apply_request(fields, caller=MAIL) == GPS
    assert set(fields) == set(request())
    refuse_field(manager, "reason", defaultdict(str, resourceTypes=GPS, isApply=True, timeOut=40))


@pytest.mark.parametrize("field", ["resourceTypes", "isApply", "timeOut", "reason"])
def test_a_field_that_goes_while_it_is_read_is_not_there(manager: Manager, field: str) -> None:
    class Promising(View):
        def __contains__(self, name: object) -> bool:
            return True

    fields = request()
    del fields[field]
    refuse_field(manager, field, Promising(fields))


@pytest.mark.parametrize("error", [IndexError, OSError, KeyboardInterrupt])
def test_a_mapping_that_fails_ends_the_call_as_it_is(manager: Manager, error: type[BaseException]) -> None:
    class Broken(View):
        def __getitem__(self, name: str) -> Any:
            raise error("no such table")

    with unchanged(manager), pytest.raises(error, match="no such table"):
        manager.apply_request(Broken(request()), caller=MAIL)


def test_a_subclass_of_the_request_is_a_request(manager: Manager) -> None:
    class Request(EfficiencyResourcesRequest):
        pass

    assert manager.apply_request(Request(**request()), caller=MAIL) == GPS


@pytest.mark.parametrize(
    "value",
    shown(
        [
            None,
            True,
            7,
            1.5,
            "resourceTypes",
            b"resourceTypes",
            [],
            [("resourceTypes", 1)],
            (),
            {"resourceTypes"},
            object(),
            SimpleNamespace(**request()),
            MAIL,
            EfficiencyResourcesRequest,
            ...,
        ]
    ),
)
def test_anything_else_is_no_request(manager: Manager, value: Any) -> None:
    refuse_field(manager, "resourceTypes", value)


def test_an_empty_request_lacks_its_first_field(manager: Manager) -> None:
    refuse_field(manager, "resourceTypes", {})
    refuse_field(manager, "resourceTypes", EfficiencyResourcesRequest())


def test_unknown_fields_are_ignored(manager: Manager) -> None:
    fields: dict[Any, Any] = {**request(), "uid": "?", "ISAPPLY": 3, 7: 7, None: None, "": "", ("a",): 1}
    assert manager.apply_request(fields, caller=MAIL) == GPS


@pytest.mark.parametrize("args", [(), (request(), request()), (None, None, None)], ids=["none", "two", "three"])
def test_the_call_takes_exactly_one_argument(manager: Manager, args: tuple[Any, ...]) -> None:
    check_refused(manager, lambda: manager.apply_request(*args, caller=MAIL), 401, 9800401)


# The request object itself.


def test_a_request_checks_nothing_when_it_is_made() -> None:
    made = EfficiencyResourcesRequest(resourceTypes="?", isApply=3)
    assert (made.resourceTypes, made.isApply) == ("?", 3)
    assert not hasattr(made, "timeOut")
    made.timeOut = made
    assert made.timeOut is made


def test_a_request_is_made_of_a_mapping() -> None:
    fields: dict[str, Any] = {"resourceTypes": CPU, "isApply": True, "timeOut": 5, "reason": "why"}
    made = EfficiencyResourcesRequest.of(fields)
    assert made == EfficiencyResourcesRequest(**fields)
    assert EfficiencyResourcesRequest.of(MappingProxyType(fields), strict=True) == made
    misspelt: dict[Any, Any] = {**fields, "isPersistent": True, 3: 4}
    assert EfficiencyResourcesRequest.of(misspelt) == made
    with pytest.raises(TypeError, match="has no field 'isPersistent'"):
        EfficiencyResourcesRequest.of(misspelt, strict=True)
    given: Any
    for given in (None, 3, "isApply", [("isApply", True)], made):
        with pytest.raises(TypeError, match=r"^mapping must be a mapping, not"):
            EfficiencyResourcesRequest.of(given)
    with pytest.raises(TypeError, match="strict"):
        EfficiencyResourcesRequest.of(fields, strict=1)  # type: ignore[arg-type]

    class Request(EfficiencyResourcesRequest):
        pass

    assert type(Request.of(fields)) is Request


def test_a_request_compares_and_shows_its_present_fields() -> None:
    first = EfficiencyResourcesRequest(resourceTypes=CPU, isApply=True)
    assert first == EfficiencyResourcesRequest(isApply=True, resourceTypes=CPU)
    assert first != EfficiencyResourcesRequest(resourceTypes=CPU, isApply=True, timeOut=0)
    mapping: object = {"resourceTypes": CPU, "isApply": True}
    assert first != mapping
    assert repr(first) == f"EfficiencyResourcesRequest(resourceTypes={CPU!r}, isApply=True)"


def test_a_request_may_be_changed_and_used_again(manager: Manager) -> None:
    made = EfficiencyResourcesRequest(**request(GPS))
    assert manager.apply_request(made, caller=MAIL) == GPS
    made.isApply = False
    assert manager.apply_request(made, caller=MAIL) == GPS
    assert manager.app_mask(700) == TIMER
