"""grantwheel keeps time-bounded grants of typed resources: who may use what, until when.

`grantwheel.aio`, `grantwheel.journal`, `grantwheel.processes`, `grantwheel.metrics` and `grantwheel.testing` are
imported when they are first asked for.
"""

import importlib as _importlib
from os import PathLike as _PathLike
from pathlib import Path as _Path
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import _core, caller, ops, types

_core.use_vocabulary(types, caller, ops)

from . import backgroundTaskManager  # noqa: E402 - the module needs its vocabulary first
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
from .events.subscription import Lateness, Subscription  # noqa: E402
from .follower import Follower, replay  # noqa: E402
from .hold import Hold  # noqa: E402
from .manager import Manager  # noqa: E402
from .policy import OverTimeoutMax, Policy, Quota  # noqa: E402
from .recovery import DurableManager, open  # noqa: A004, E402 - grantwheel.open, as it reads
from .run.runner import Runner, ThreadRunner  # noqa: E402
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
    Holders,
    Infos,
    LatenessCounts,
    Log,
    LogStats,
    OwnerKind,
    Record,
    RecordInfo,
    ResourceType,
    SnapshotStats,
    Stats,
)

if _TYPE_CHECKING:
    from .service.client import Client as _Client

__all__ = [
    "AppendTimes",
    "BackgroundMode",
    "BootClock",
    "BusinessError",
    "Caller",
    "CallerVerificationError",
    "Cause",
    "Clock",
    "Conflict",
    "ContinuousTaskError",
    "CpuLevel",
    "DurableManager",
    "EfficiencyResourcesCpuLevel",
    "EfficiencyResourcesInfo",
    "EfficiencyResourcesRequest",
    "Event",
    "EventColumns",
    "EventKind",
    "Follower",
    "Grant",
    "Hold",
    "Holders",
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
    "RecordInfo",
    "ResourceType",
    "Runner",
    "ServiceOperationError",
    "SnapshotStats",
    "Stats",
    "Subscription",
    "ThreadRunner",
    "TransactionError",
    "__version__",
    "backgroundTaskManager",
    "connect",
    "get_cmake_dir",
    "get_include",
    "open",
    "replay",
]

# They lie where the compiled module does, which an editable install keeps apart from this file.
_INSTALLED = _Path(_core.__file__).resolve().parent


def get_include() -> str:
    """Return the folder with the C and C++ headers: ``#include <grantwheel/grantwheel.h>`` is found from there."""
    return str(_INSTALLED / "include")


def get_cmake_dir() -> str:
    """Return the folder with the CMake package: ``find_package(grantwheel CONFIG PATHS ...)`` takes it.

    Its targets are ``grantwheel::core`` (the static C++ library) and ``grantwheel::grantwheel`` (the shared library for
    C).
    """
    return str(_INSTALLED / "lib" / "cmake" / "grantwheel")


# What not everybody needs, or what needs a package that not everybody has.
_ON_DEMAND = frozenset({"aio", "journal", "metrics", "processes", "testing"})


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


def __getattr__(name: str) -> _ModuleType:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return _importlib.import_module(f"{__name__}.{name}")
    except ImportError as error:  # hasattr() and the like expect no other error
        raise AttributeError(f"module {__name__!r} cannot import {name!r}: {error}") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})
