"""Values and mappings that a documented request may be made of, with what is legal and what is not.

What is drawn are recipes: two of what a recipe makes behave alike, one for the call and one for the oracle.
"""

from collections import ChainMap, OrderedDict, UserDict, defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from grantwheel import CpuLevel, EfficiencyResourcesRequest, ResourceType
from oracle import CODES, LARGEST
from support import View

FIELDS: Final = tuple(CODES)


class Recipe(NamedTuple):
    """Makes the same value each time."""

    make: Callable[..., Any]
    argument: Any

    def __repr__(self) -> str:
        return f"{self.make.__name__}({self.argument!r})"


def made(value: Any) -> Any:
    """The value that a recipe makes; anything else is the value."""
    return value.make(made(value.argument)) if isinstance(value, Recipe) else value


class Indexed:
    """An integer that is no int."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        return self.value


class Failing:
    """Raises whatever it is asked."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def fail(self, *_: object) -> Any:
        raise self.error("asked")

    __index__ = __bool__ = __len__ = __int__ = __float__ = __str__ = __eq__ = fail
    __hash__ = object.__hash__


class Number(int):
    """An integer that lies about its value; nobody is to ask."""

    def __index__(self) -> int:
        return 77


class Real(float):
    """A float that lies in the same way."""

    def __float__(self) -> float:
        return 77.0


class Text(str):
    """A string that lies in the same way."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"lie"

    def __str__(self) -> str:
        return "lie"


class Holding(View):
    """Says whether it has a field without reading it."""

    def __contains__(self, name: object) -> bool:
        return name in self.fields


class Forgetful(Holding):
    """Has a field until it has been read."""

    def __getitem__(self, name: str) -> Any:
        return self.fields.pop(name)


class Promising(View):
    """Says that it has every field."""

    def __contains__(self, name: object) -> bool:
        return True


class Doubting(View):
    """Cannot say whether it has a field that comes late."""

    def __contains__(self, name: object) -> bool:
        if name in FIELDS[4:]:
            raise LookupError("who knows")
        return name in self.fields


class Counting(Holding):
    """Gives another answer each time that a field is read."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.reads = 0

    def __getitem__(self, name: str) -> Any:
        self.reads += 1
        value = self.fields[name]
        return value + self.reads - 1 if isinstance(value, int) and not isinstance(value, bool) else value


class Lying(dict[str, Any]):
    """A dictionary that answers otherwise than what stands in it; nobody is to ask."""

    def __getitem__(self, name: str) -> Any:
        return 77

    def __contains__(self, name: object) -> bool:
        return False

    def get(self, name: str, default: Any = None) -> Any:
        return 77


class Equal:
    """A key that has the hash of a field's name, and fails when it is compared with it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        raise LookupError(f"not to be compared: {self.name}")


class Subclass(EfficiencyResourcesRequest):
    """A request with more to it."""


def defaulting(fields: dict[str, Any]) -> Any:
    """A dictionary with a default, which is no field."""
    return defaultdict(lambda: 1, fields)


def comparing(fields: dict[str, Any]) -> Any:
    """A dictionary with a key that cannot be compared with the name of a field that is not there."""
    return {**fields, **{Equal(name): 3 for name in FIELDS if name not in fields}}


def request_of(fields: dict[str, Any]) -> Any:
    """The type of the documentation."""
    return EfficiencyResourcesRequest(**fields)


def subclass_of(fields: dict[str, Any]) -> Any:
    """A class of one's own that is such a request."""
    return Subclass(**fields)


def proxy(fields: dict[str, Any]) -> Any:
    """A view of a dictionary."""
    return MappingProxyType(fields)


def namespace(fields: dict[str, Any]) -> Any:
    """Has the attributes and is no mapping."""
    return SimpleNamespace(**fields)


errors = st.sampled_from((LookupError, TypeError, ValueError, KeyError, OverflowError, OSError))
texts = st.one_of(
    st.sampled_from(("", "why", "sync", "x" * 1024, "x" * 1025, "é" * 512, "é" * 513, "\ud800", "a\udfff" * 300)),
    st.text(st.characters(exclude_categories=()), max_size=300),
    st.text("潮🌊x", min_size=250, max_size=400),
)
any_texts = st.one_of(texts, texts.map(lambda text: Recipe(Text, text)))
strange: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.binary(max_size=8),
    st.complex_numbers(),
    st.sampled_from(((), ("a",), ..., int, 10**400, -(10**400), 2**31, 2**32 + 1, 2**63, 2**64 + 1)),
    st.lists(st.integers(), max_size=2).map(lambda items: Recipe(list, tuple(items))),
    any_texts,
    errors.map(lambda error: Recipe(Failing, error)),
    st.one_of(st.integers(), st.none(), st.just("x")).map(lambda value: Recipe(Indexed, value)),
)


def rarely(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any], one_in: int) -> st.SearchStrategy[Any]:
    """The usual, or else one time in so many the rare. (`one_of` knows no weights.)"""
    return st.integers(1, one_in).flatmap(lambda number: rare if number == one_in else usual)


def numbers(legal: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """Whole numbers in any form."""
    forms = (Indexed, Number, Real)
    formed = st.builds(lambda form, number: Recipe(form, int(number)), st.sampled_from(forms), legal)
    return rarely(legal, st.one_of(legal.map(float), formed), 4)


masks = rarely(
    st.sampled_from((1, 4, 5, 12, 32, 33, 510, 511, *ResourceType)), st.sampled_from((0, 512, 513, LARGEST)), 12
)
timeouts = rarely(st.integers(1, 100), st.sampled_from((0, 1, 2, 63, 64, 4096, LARGEST)), 3)
levels = rarely(st.sampled_from((0, 1, 2, *CpuLevel)), st.just(3), 12)
legal_fields = st.fixed_dictionaries(
    {
        "resourceTypes": numbers(masks),
        "isApply": st.booleans(),
        "timeOut": numbers(timeouts),
        "reason": rarely(st.sampled_from(("", "why", "sync")), any_texts, 4),
    },
    optional={
        "isPersist": st.booleans(),
        "isProcess": st.booleans(),
        "cpuLevel": numbers(levels),
        "isapply": strange,
        "uid": strange,
    },
)


def spoiled(fields: dict[str, Any], wrong: dict[str, Any], absent: str) -> dict[str, Any]:
    """The fields with some that are wrong, and without one."""
    return {name: value for name, value in {**fields, **wrong}.items() if name != absent}


some_fields = rarely(
    legal_fields,
    st.builds(
        spoiled,
        legal_fields,
        st.dictionaries(st.sampled_from(FIELDS), strange, max_size=2),
        st.sampled_from(("", "", *FIELDS)),
    ),
    3,
)
KINDS: Final = (
    *(dict, defaulting, comparing, Lying, OrderedDict, proxy, UserDict, ChainMap, View),
    *(Forgetful, Promising, Doubting, Counting, request_of, subclass_of, namespace),
)


class Request(NamedTuple):
    """A recipe for the argument of a call."""

    kind: Callable[[dict[str, Any]], Any]
    fields: Mapping[str, Any]

    def make(self) -> Any:
        """The argument, new each time."""
        known = {name: made(value) for name, value in self.fields.items()}
        if self.kind in (request_of, subclass_of):
            known = {name: value for name, value in known.items() if name in FIELDS}
        return self.kind(known)

    def __repr__(self) -> str:
        return f"{self.kind.__name__}({dict(self.fields)!r})"


requests = st.builds(Request, rarely(st.sampled_from(KINDS[:-1]), st.just(namespace), 20), some_fields)
