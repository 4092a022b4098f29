"""grantwheel keeps time-bounded grants of typed resources: who may use what, until when.

Modules and classes that not everybody needs are imported when they are first asked for, so that a program which
only wants the words of the package is there at once.
"""

import importlib as _importlib
from os import PathLike as _PathLike
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import _core, caller, ops, types

_core.use_vocabulary(types, caller, ops)

from . import _process  # noqa: E402, F401 - so that what it does at exit comes after what programs do then
from ._core import (  # noqa: E402
    BootClock,
    BusinessError,
    CallerVerificationError,
    ContinuousTaskError,
    EfficiencyResourcesRequest,
    ManualClock,
    MemoryLog,
    MemoryOperationError,
    MonotonicClock,
    NotSystemAppError,
    ParameterError,
    ParcelOperationError,
    PermissionDeniedError,
    Pipeline,
    QueryParcelError,
    QueryServiceError,
    ServiceOperationError,
    TransactionError,
    __version__,
)
from ._log_errors import Conflict, NotAppended  # noqa: E402
from .caller import Caller  # noqa: E402
from .types import (  # noqa: E402
    AppendTimes,
    BackgroundMode,
    Cause,
    Clock,
    CpuLevel,
    EfficiencyResourcesCpuLevel,
    EfficiencyResourcesInfo,
    Event,
    EventColumns,
    EventKind,
    Grant,
    GrantColumns,
    HolderColumns,
    Holders,
    InfoColumns,
    Infos,
    LatenessCounts,
    Log,
    LogStats,
    OwnerKind,
    Record,
    RecordColumns,
    RecordInfo,
    ResourceType,
    SnapshotStats,
    Stats,
)

if _TYPE_CHECKING:  # the same as _LATER, for whoever reads without running
    from . import backgroundTaskManager
    from ._task_errors import (
        TaskNotificationError,
        TaskStorageError,
        TransientCallerError,
        TransientParcelError,
        TransientServiceError,
        TransientTaskError,
    )
    from .events.subscription import Lateness, Subscription
    from .follower import Follower, replay
    from .hold import Hold
    from .manager import Manager
    from .policy import OverTimeoutMax, Policy, Quota
    from .recovery import DurableManager, open  # noqa: A004 - grantwheel.open, as it reads
    from .run.runner import Runner, ThreadRunner
    from .service.client import Client as _Client
    from .tasks.policy import TaskPolicy
    from .tasks.tasks import Tasks
    from .tasks.tied import TaskSubscription
    from .tasks.values import (
        Ability,
        ContinuousTask,
        DelaySuspendInfo,
        TaskEvent,
        TaskEventKind,
        TransientFigures,
        TransientTaskInfo,
    )

__all__ = [
    "Ability",
    "AppendTimes",
    "BackgroundMode",
    "BootClock",
    "BusinessError",
    "Caller",
    "CallerVerificationError",
    "Cause",
    "Clock",
    "Conflict",
    "ContinuousTask",
    "ContinuousTaskError",
    "CpuLevel",
    "DelaySuspendInfo",
    "DurableManager",
    "EfficiencyResourcesCpuLevel",
    "EfficiencyResourcesInfo",
    "EfficiencyResourcesRequest",
    "Event",
    "EventColumns",
    "EventKind",
    "Follower",
    "Grant",
    "GrantColumns",
    "HolderColumns",
    "Hold",
    "Holders",
    "InfoColumns",
    "Infos",
    "Lateness",
    "LatenessCounts",
    "Log",
    "LogStats",
    "Manager",
    "ManualClock",
    "MemoryLog",
    "MemoryOperationError",
    "MonotonicClock",
    "NotAppended",
    "NotSystemAppError",
    "OverTimeoutMax",
    "OwnerKind",
    "ParameterError",
    "ParcelOperationError",
    "PermissionDeniedError",
    "Pipeline",
    "Policy",
    "QueryParcelError",
    "QueryServiceError",
    "Quota",
    "Record",
    "RecordColumns",
    "RecordInfo",
    "ResourceType",
    "Runner",
    "ServiceOperationError",
    "SnapshotStats",
    "Stats",
    "Subscription",
    "TaskEvent",
    "TaskEventKind",
    "TaskNotificationError",
    "TaskPolicy",
    "TaskStorageError",
    "TaskSubscription",
    "Tasks",
    "ThreadRunner",
    "TransactionError",
    "TransientCallerError",
    "TransientFigures",
    "TransientParcelError",
    "TransientServiceError",
    "TransientTaskError",
    "TransientTaskInfo",
    "__version__",
    "backgroundTaskManager",
    "connect",
    "get_cmake_dir",
    "get_include",
    "open",
    "replay",
]

# Where the names are that are imported when they are first asked for.
_LATER = {
    "Ability": "tasks.values",
    "ContinuousTask": "tasks.values",
    "DelaySuspendInfo": "tasks.values",
    "DurableManager": "recovery",
    "Follower": "follower",
    "Hold": "hold",
    "Lateness": "events.subscription",
    "Manager": "manager",
    "OverTimeoutMax": "policy",
    "Policy": "policy",
    "Quota": "policy",
    "Runner": "run.runner",
    "Subscription": "events.subscription",
    "TaskEvent": "tasks.values",
    "TaskEventKind": "tasks.values",
    "TaskNotificationError": "_task_errors",
    "TaskPolicy": "tasks.policy",
    "TaskStorageError": "_task_errors",
    "TaskSubscription": "tasks.tied",
    "Tasks": "tasks.tasks",
    "ThreadRunner": "run.runner",
    "TransientCallerError": "_task_errors",
    "TransientFigures": "tasks.values",
    "TransientParcelError": "_task_errors",
    "TransientServiceError": "_task_errors",
    "TransientTaskError": "_task_errors",
    "TransientTaskInfo": "tasks.values",
    "open": "recovery",
    "replay": "follower",
}
# The modules of which that is so. Some need a package that not everybody has.
_ON_DEMAND = frozenset(
    {"aio", "backgroundTaskManager", "journal", "metrics", "processes", "recovery", "suspend", "testing"}
)


def _installed(*names: str) -> str:
    """Return the name of a folder beside the compiled module, which an editable install keeps apart from this file."""
    from pathlib import Path

    return str(Path(_core.__file__).resolve().parent.joinpath(*names))


def get_include() -> str:
    """Return the folder with the C and C++ headers: ``#include <grantwheel/grantwheel.h>`` is found from there."""
    return _installed("include")


def get_cmake_dir() -> str:
    """Return the folder with the CMake package: ``find_package(grantwheel CONFIG PATHS ...)`` takes it.

    Its targets are ``grantwheel::core`` (the static C++ library) and ``grantwheel::grantwheel`` (the shared library for
    C).
    """
    return _installed("lib", "cmake", "grantwheel")


def connect(path: str | _PathLike[str] | None = None, *, timeout_ms: int | None = 30_000) -> "_Client":
    """Return a client of the service: the calls of a `Manager`, for this process. Needs the extra ``service``.

    It is connected at the first call.

    Parameters
    ----------
    path : str or os.PathLike
        The socket of the service. Default: what ``GRANTWHEEL_SOCKET`` says, else ``/run/grantwheel.sock``.
    timeout_ms : int or None
        How long a call waits for its answer before it raises 9800003; None: for good.

    Raises
    ------
    ImportError
        hiredis is missing: names the extra.
    """
    from .service.client import Client

    return Client(path, timeout_ms=timeout_ms)


def __getattr__(name: str) -> object:
    module = name if name in _ON_DEMAND else _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found: object = _importlib.import_module(f"{__name__}.{module}")
    except ImportError as error:  # hasattr() and the like expect no other error
        raise AttributeError(f"module {__name__!r} cannot import {name!r}: {error}") from error
    if name in _LATER:
        found = globals()[name] = getattr(found, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND, *_LATER})
