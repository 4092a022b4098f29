"""grantwheel keeps time-bounded grants of typed resources: who may use what, until when."""

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
from .manager import Manager  # noqa: E402
from .policy import Policy, Quota  # noqa: E402
from .subscription import Subscription  # noqa: E402
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
    "Infos",
    "Manager",
    "ManualClock",
    "MemoryOperationError",
    "MonotonicClock",
    "NotSystemAppError",
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
    "ServiceOperationError",
    "Subscription",
    "TransactionError",
    "__version__",
    "backgroundTaskManager",
]
