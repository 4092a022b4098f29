"""The documented request: what may carry its fields."""

from collections import ChainMap, OrderedDict, UserDict, defaultdict
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from grantwheel import BusinessError, EfficiencyResourcesRequest, Manager
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


class Name(str):
    """A key of a class of its own."""

    __slots__ = ()


class Equal:
    """A key that is no string, and equal to one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self.name == other


@pytest.mark.parametrize("key", [Name, Equal, lambda name: "".join([*name])], ids=["Name", "Equal", "not interned"])
@pytest.mark.parametrize("more", [0, 100])
def test_a_key_is_the_field_that_it_is_equal_to(manager: Manager, key: Any, more: int) -> None:
    others: dict[Any, Any] = {f"other {i}": i for i in range(more)}
    fields = others | {key(name): value for name, value in request(GPS | CPU, isProcess=True).items()}
    assert manager.apply_request(fields, caller=MAIL) == GPS | CPU
    assert manager.process_mask(71) == CPU
    refuse_field(manager, "isProcess", {**request(), key("isProcess"): 1})
    del fields["isApply"]
    refuse_field(manager, "isApply", fields)


def test_a_dict_that_changes_while_it_is_read_does_no_harm(manager: Manager) -> None:
    class Emptying:
        def __index__(self) -> int:
            fields.clear()
            return int(GPS)

    def reason() -> str:
        return "why " * 10  # nobody else has it

    fields: dict[Any, Any] = {**request(reason=reason()), "resourceTypes": Emptying()}
    assert manager.apply_request(fields, caller=MAIL) == GPS  # all was read before
    fields.update(request(reason=reason()), resourceTypes=Emptying())
    fields[1] = 2
    with pytest.raises(BusinessError, match="isApply"):
        manager.apply_request(fields, caller=MAIL)
    assert fields == {}


def test_a_request_that_changes_while_it_is_read_does_no_harm(manager: Manager) -> None:
    class Leaving:
        def __index__(self) -> int:
            del made.resourceTypes, made.cpuLevel
            return int(GPS)

    made = EfficiencyResourcesRequest(**request(), cpuLevel=Leaving())
    made.resourceTypes = Leaving()
    assert manager.apply_request(made, caller=MAIL) == GPS
    assert [hasattr(made, field) for field in ("resourceTypes", "cpuLevel", "reason")] == [False, False, True]


@Mapping.register
class Registered:
    """A mapping by its own account only."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def __contains__(self, name: object) -> bool:
        return name in self.fields

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


class Claiming:
    """The same, which names another class as its own."""

    __contains__ = Registered.__contains__
    __getitem__ = Registered.__getitem__

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return dict


@pytest.mark.parametrize("make", [Registered, Claiming])
def test_what_is_called_a_mapping_is_one(manager: Manager, make: Any) -> None:
    assert manager.apply_request(make(request(GPS)), caller=MAIL) == GPS
    refuse_field(manager, "timeOut", make(request(timeOut=None)))


def test_attributes_are_no_fields_of_a_request(manager: Manager) -> None:
    class Request(EfficiencyResourcesRequest):
        isApply = property(lambda self: True)  # noqa: N815 - the documented name

        def __getattr__(self, name: str) -> object:
            raise AssertionError("asked for")

    made = Request.__new__(Request)
    EfficiencyResourcesRequest.resourceTypes.__set__(made, GPS)
    refuse_field(manager, "isApply", made)


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
