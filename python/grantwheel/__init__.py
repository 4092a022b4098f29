"""grantwheel keeps time-bounded grants of typed resources: who may use what, until when."""

from pathlib import Path as _Path

from . import _core, caller, types

_core.use_vocabulary(types, caller)

from . import backgroundTaskManager  # noqa: E402 - the module needs its vocabulary first
from ._core import (  # noqa: E402
    BootClock,
    BusinessError,
    CallerVerificationError,
    ContinuousTaskError,
    EfficiencyResourcesRequest,
    ManualClock,
    MemoryOperationError,
    MonotonicClock,
    NotSystemAppError,
    ParameterError,
    ParcelOperationError,
    PermissionDeniedError,
    QueryParcelError,
    QueryServiceError,
    ServiceOperationError,
    TransactionError,
    __version__,
)
from .caller import Caller  # noqa: E402
from .events.subscription import Lateness, Subscription  # noqa: E402
from .hold import Hold  # noqa: E402
from .manager import Manager  # noqa: E402
from .policy import OverTimeoutMax, Policy, Quota  # noqa: E402
from .run.runner import Runner, ThreadRunner  # noqa: E402
from .types import (  # noqa: E402
    BackgroundMode,
    Cause,
    Clock,
    Command,
    CpuLevel,
    EfficiencyResourcesCpuLevel,
    EfficiencyResourcesInfo,
    Event,
    EventColumns,
    EventKind,
    Grant,
    Infos,
    OwnerKind,
    Record,
    RecordInfo,
    ResourceType,
)

__all__ = [
    "BackgroundMode",
    "BootClock",
    "BusinessError",
    "Caller",
    "CallerVerificationError",
    "Cause",
    "Clock",
    "Command",
    "ContinuousTaskError",
    "CpuLevel",
    "EfficiencyResourcesCpuLevel",
    "EfficiencyResourcesInfo",
    "EfficiencyResourcesRequest",
    "Event",
    "EventColumns",
    "EventKind",
    "Grant",
    "Hold",
    "Infos",
    "Lateness",
    "Manager",
    "ManualClock",
    "MemoryOperationError",
    "MonotonicClock",
    "NotSystemAppError",
    "OverTimeoutMax",
    "OwnerKind",
    "ParameterError",
    "ParcelOperationError",
    "PermissionDeniedError",
    "Policy",
    "QueryParcelError",
    "QueryServiceError",
    "Quota",
    "Record",
    "RecordInfo",
    "ResourceType",
    "Runner",
    "ServiceOperationError",
    "Subscription",
    "ThreadRunner",
    "TransactionError",
    "__version__",
    "backgroundTaskManager",
    "get_cmake_dir",
    "get_include",
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
