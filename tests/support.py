"""Callers, managers and checks that several test files share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

import grantwheel
from grantwheel import BusinessError, Caller, EventKind, Manager, ManualClock, Policy, ResourceType

CPU, COMMON_EVENT, TIMER, WORK_SCHEDULER, BLUETOOTH, GPS, AUDIO, RUNNING_LOCK, SENSOR = ResourceType
ALL = ResourceType.ALL

MAIL = Caller(uid=700, pid=71, bundle="org.tide.mail", system_app=True)
MAPS = Caller(uid=800, pid=81, bundle="org.tide.maps", system_app=True)
PLAIN = Caller(uid=700, pid=71, bundle="org.tide.mail")

PUBLIC: dict[int, tuple[type[BusinessError], str]] = {
    201: (grantwheel.PermissionDeniedError, "Permission denied."),
    202: (grantwheel.NotSystemAppError, "Not System App."),
    401: (grantwheel.ParameterError, "Parameter error."),
    9800001: (grantwheel.MemoryOperationError, "Memory operation failed."),
    9800002: (grantwheel.ParcelOperationError, "Parcel operation failed."),
    9800003: (grantwheel.TransactionError, "Internal transaction failed."),
    9800004: (grantwheel.ServiceOperationError, "System service operation failed."),
    9800005: (grantwheel.ContinuousTaskError, "Continuous task verification failed."),
    18700001: (
        grantwheel.CallerVerificationError,
        "Caller information verification failed for an energy resource request.",
    ),
    18700002: (grantwheel.QueryParcelError, "Parcel operation failed."),
    18700004: (grantwheel.QueryServiceError, "System service operation failed."),
}
# Those that tasks have beside these.
PUBLIC_OF_TASKS: dict[int, tuple[type[BusinessError], str]] = {
    9800006: (grantwheel.TaskNotificationError, "Notification verification failed for a continuous task."),
    9800007: (grantwheel.TaskStorageError, "Continuous task storage failed."),
    9900001: (grantwheel.TransientCallerError, "Caller information verification failed for a transient task."),
    9900002: (grantwheel.TransientTaskError, "Transient task verification failed."),
    9900003: (grantwheel.TransientParcelError, "Parcel operation failed."),
    9900004: (grantwheel.TransientServiceError, "System service operation failed."),
}


REQUEST_DETAIL = {
    "resourceTypes": 9800413,
    "isApply": 9800414,
    "timeOut": 9800415,
    "reason": 9800402,
    "isPersist": 9800416,
    "isProcess": 9800417,
    "cpuLevel": 9800418,
}


def forget_default_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the documented module make a default manager when it is called next, for the time of a test."""
    for name in ("_manager", "_apply_request"):
        monkeypatch.setattr(grantwheel.backgroundTaskManager._default, name, None)


class Hook:
    """A quota hook that answers what it is told to and remembers what it was asked."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        self.calls.append(("check", uid, bundle, mask, is_apply))
        return self.answer

    def settle(self, uid: int, /) -> None:
        self.calls.append(("settle", uid))


def make_manager(**arguments: Any) -> tuple[Manager, ManualClock]:
    """Make a manager on a clock at 0."""
    clock = ManualClock(start_ms=0)
    return Manager(clock=clock, **arguments), clock


def filled() -> tuple[Manager, ManualClock]:
    """Make a manager with three apps and two processes at 100."""
    policy = Policy(cpu_level_max={"org.tide.mail": 2})
    manager, clock = make_manager(policy=policy)
    manager.apply(900, 91, GPS, 500)
    manager.apply(700, 72, CPU, 300, process=True, cpu_level=1, reason="calc", caller=MAIL)
    manager.apply(700, 71, TIMER | CPU, 0, persist=True, reason="beat", caller=MAIL)
    manager.apply(800, 81, CPU | GPS, 200, process=True, caller=MAPS)
    clock.set(100)
    return manager, clock


def request(mask: Any = GPS, timeout: Any = 40, **fields: Any) -> dict[str, Any]:
    """Make a documented request that passes, but for the fields given."""
    return {"resourceTypes": mask, "isApply": True, "timeOut": timeout, "reason": "why", **fields}


def refusal(call: Callable[[], object]) -> BusinessError:
    """Make a call that has to be refused, and return the error."""
    with pytest.raises(BusinessError) as caught:
        call()
    return caught.value


def check_error(error: BusinessError, code: int, detail: int) -> None:
    """Check code, detail, class and message of an error against the documented table."""
    public_class, message = (PUBLIC | PUBLIC_OF_TASKS)[code]
    assert (error.code, error.detail) == (code, detail)
    assert type(error) is public_class
    if code == 401:
        assert error.message.startswith("Parameter error. ")
        assert error.message.endswith(".")
    else:
        assert error.message == message
    assert str(code) in str(error)
    assert error.message in str(error)


def state(manager: Manager) -> tuple[Any, ...]:
    """Return all that a refused call must not change: records, notes, and the counters but for those of what fails."""
    return manager.records(), manager.notes(), manager.stats()._replace(refused={}, log=None)


@contextmanager
def unchanged(manager: Manager) -> Iterator[None]:
    """Check that what happens inside changes no grant, no deadline, no counter and makes no event."""
    before = state(manager)
    yield
    assert state(manager) == before
    manager.validate()


def check_refused(manager: Manager, call: Callable[[], object], code: int, detail: int) -> BusinessError:
    """Make a call that has to be refused with these codes and to change nothing."""
    with unchanged(manager):
        error = refusal(call)
    check_error(error, code, detail)
    return error


def refuse_field(manager: Manager, field: str, *args: Any) -> str:
    """Make a documented call that has to be refused because of a field, and return the message."""
    error = check_refused(manager, lambda: manager.apply_request(*args, caller=MAIL), 401, REQUEST_DETAIL[field])
    assert field in error.message
    return error.message


def shown(values: Sequence[Any]) -> list[Any]:
    """Turn values into parameters of a test, named by what they look like."""
    return [pytest.param(value, id=repr(value)[:30].split(" object at")[0]) for value in values]


def brief(events: list[grantwheel.Event]) -> list[tuple[EventKind, int, int, int]]:
    """Reduce events to kind, uid, pid and mask."""
    return [(event.kind, event.uid, event.pid, event.mask) for event in events]


class View(Mapping[str, Any]):
    """A mapping that is no dict and has nothing but what a mapping needs."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)
