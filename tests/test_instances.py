"""Objects that `__new__` alone has made, and a second `__init__`: a Python error, for every class of the module."""

import copy
import gc
import inspect
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import grantwheel
from grantwheel import _core
from support import GPS, unchanged

# What each class of the module is made with.
FOLLOWER = (10, 10, 10, 0, bytes(16), None, 0)
ARGUMENTS_OF: dict[str, Callable[[], tuple[Any, ...]]] = {
    "AsyncBlock": tuple,
    "Bell": tuple,
    "Block": tuple,
    "BootClock": tuple,
    "Cursor": lambda: (grantwheel.Manager(), 15, None),
    "Descriptor": lambda: (0,),
    "EfficiencyResourcesRequest": tuple,
    "Follower": lambda: FOLLOWER,
    "Groups": tuple,
    "Lease": lambda: (grantwheel.Manager(), 1, 1, 1, 1000, False, "", -1, None),
    "LogGroups": lambda: (_core.MemoryLog(), 0),
    "Manager": lambda: (_core.ManualClock(5), 10, 10, 10, 0, None, bytes(16)),
    "ManualClock": lambda: (5,),
    "MemoryLog": tuple,
    "MonotonicClock": tuple,
    "Ops": lambda: (b"",),
    "Pipeline": lambda: (grantwheel.Manager(),),
    "Schedule": tuple,
    "Sections": lambda: (_core.Follower(*FOLLOWER),),
    "Timer": tuple,
}
CLASSES = {
    name: value
    for name, value in vars(_core).items()
    if isinstance(value, type) and not issubclass(value, BaseException)
}
# Those that live as soon as `__new__` has made them.
PLAIN = {"AsyncBlock", "Block", "EfficiencyResourcesRequest"}
BOUND = sorted(CLASSES.keys() - PLAIN)
# What `object` does for everybody, without looking into the instance.
OF_OBJECTS = {name for name in dir(object) if name not in ("__init__", "__reduce__", "__reduce_ex__")}
OF_OBJECTS |= {"__slotnames__"}  # `copyreg` leaves it with every class of which it has copied an instance

ARGUMENTS: tuple[tuple[Any, ...], ...] = ((), (1,), (1, 1), (1, 1, 1), (1, 1, 1, 1), (None,), ("x", None))


def bare(name: str) -> Any:
    """Make an instance without `__init__`."""
    cls = CLASSES[name]
    return cls.__new__(cls)


def members(name: str) -> list[str]:
    """Methods and properties, those with special names included."""
    found = sorted(set(dir(CLASSES[name])) - OF_OBJECTS - {"__init__", "__new__"})
    return [member for member in found if not isinstance(inspect.getattr_static(CLASSES[name], member), str)]


def use(found: Any) -> None:
    """Call what has been found, with arguments of several kinds, if it can be called."""
    if not callable(found):
        return
    for arguments in ARGUMENTS:
        with pytest.raises(TypeError):
            found(*arguments)


def test_every_class_of_the_module_is_here() -> None:
    assert set(CLASSES) == set(ARGUMENTS_OF)


@pytest.mark.parametrize("name", BOUND)
def test_without_init_every_member_is_a_type_error(name: str) -> None:
    for member in members(name):
        instance = bare(name)
        is_plain = callable(inspect.getattr_static(CLASSES[name], member))
        if is_plain:
            use(getattr(instance, member))
        else:
            with pytest.raises(TypeError):
                getattr(instance, member)
            with pytest.raises((TypeError, AttributeError)):
                setattr(instance, member, 1)
        del instance


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_plain_classes_are_used_as_they_are(name: str) -> None:
    for member in members(name):
        instance = bare(name)
        for arguments in ARGUMENTS:
            try:
                found = getattr(instance, member)
                if callable(found):
                    found(*arguments)
            except (TypeError, AttributeError):
                pass


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_without_init_it_is_shown_collected_and_not_copied(name: str) -> None:
    instance = bare(name)
    assert name in repr(instance)
    assert instance == instance
    if name in BOUND:
        for call in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                call(instance)
    gc.collect()
    del instance
    gc.collect()


@pytest.mark.parametrize("name", BOUND)
def test_a_subclass_that_uses_itself_too_early_gets_a_type_error(name: str) -> None:
    seen: list[BaseException] = []
    (member, *_) = [member for member in members(name) if not member.startswith("_")] or members(name)

    def early(self: Any, *arguments: Any) -> None:
        try:
            found = getattr(self, member)
            if callable(found):
                found()
        except TypeError as error:
            seen.append(error)
        CLASSES[name].__init__(self, *arguments)

    made = type("Early", (CLASSES[name],), {"__init__": early})
    instance = made(*ARGUMENTS_OF[name]())
    assert len(seen) == 1
    assert type(instance) is made


@pytest.mark.parametrize("name", BOUND)
def test_a_subclass_that_forgets_init_cannot_be_made(name: str) -> None:
    made = type("Forgets", (CLASSES[name],), {"__init__": lambda _: None})
    with pytest.raises(TypeError, match="__init__"):
        made()


@pytest.mark.parametrize("name", BOUND)
def test_a_second_init_is_refused(name: str) -> None:
    instance: Any = CLASSES[name](*ARGUMENTS_OF[name]())
    with pytest.raises(TypeError, match=rf"{name}.__init__\(\) has been called already"):
        instance.__init__(*ARGUMENTS_OF[name]())


def test_a_second_init_changes_nothing() -> None:
    manager = grantwheel.Manager(clock=_core.ManualClock(5))
    manager.apply(1, 1, GPS, 10)
    with unchanged(manager), pytest.raises(TypeError, match="already"):
        manager.__init__(clock=_core.ManualClock(7))  # type: ignore[misc]
    clock = _core.ManualClock(5)
    with pytest.raises(TypeError, match="already"):
        clock.__init__(7)  # type: ignore[misc]
    assert clock.now() == 5


def test_an_init_within_the_first_is_refused() -> None:
    seen: list[BaseException] = []

    class Clock:
        @property
        def now(self) -> Any:
            try:
                manager.__init__(*ARGUMENTS_OF["Manager"]())
            except TypeError as error:
                seen.append(error)
            return lambda: 5

    manager: Any = bare("Manager")
    manager.__init__(Clock(), 10, 10, 10, 0, None, bytes(16))
    assert seen
    assert manager.app_mask(1) == 0


def test_an_init_that_failed_may_be_called_again() -> None:
    manager: Any = bare("Manager")
    with pytest.raises(ValueError, match="max_records"):
        manager.__init__(_core.ManualClock(5), 0, 10, 10, 0, None, bytes(16))
    with pytest.raises(TypeError, match="__init__"):
        manager.app_mask(1)
    manager.__init__(*ARGUMENTS_OF["Manager"]())
    assert manager.app_mask(1) == 0


def test_init_needs_an_instance_of_its_class() -> None:
    init: Any = _core.ManualClock.__init__
    for arguments in ((), (1,), (_core.BootClock(),)):
        with pytest.raises(TypeError, match="__init__"):
            init(*arguments)


@pytest.mark.parametrize("name", ["ManualClock", "BootClock", "MonotonicClock"])
def test_a_clock_without_init_is_no_clock(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}.__init__"):
        grantwheel.Manager(clock=bare(name))


def test_a_manager_or_cursor_without_init_is_no_argument() -> None:
    manager, whole = bare("Manager"), grantwheel.Manager()
    cursor = _core.Cursor(whole, 15, None)
    for call in (
        lambda: _core.Cursor(manager, 15, None),
        lambda: _core.alarm_fileno(manager),
        lambda: _core.joint_fileno(manager, cursor),
        lambda: _core.joint_fileno(whole, bare("Cursor")),
        lambda: _core.refuse(manager, 201),
        lambda: cursor.read(manager, None),
        lambda: cursor.pending(manager),
        lambda: cursor.fileno(manager),
    ):
        with pytest.raises(TypeError, match="__init__"):
            call()


def test_a_class_of_two_needs_both() -> None:
    both: Any = type("Both", (_core.ManualClock, _core.Manager), {"__init__": lambda _: None})
    instance: Any = both.__new__(both)
    _core.ManualClock.__init__(instance, 5)
    gc.collect()
    with pytest.raises(TypeError, match="__init__"):
        instance.records()
    seen = weakref.ref(instance)
    del instance
    gc.collect()
    assert seen() is None
