"""The documented module ``backgroundTaskManager`` (system API), for this process.

Its calls act on one default manager with the default policy and the boot clock, made at the first call; the caller is
this process. `set_default_manager` puts another one in its place. A service that judges other callers makes a
`grantwheel.Manager` of its own.

When ``GRANTWHEEL_STATE`` is set in the environment, it is the path of a journal, and the default manager is opened as
by ``grantwheel.open(path, owners="processes")``: what is held survives the end of the process, as far as that says.

When ``GRANTWHEEL_SOCKET`` is set, it is the path of the service's socket, and the calls are the service's to answer:
the default manager is then a client, as of ``grantwheel.connect(path)``. It goes before ``GRANTWHEEL_STATE``.

Transient and continuous tasks are those of the default manager, `default_tasks`; those of a client are the service's.
"""

from grantwheel._core import EfficiencyResourcesRequest
from grantwheel.tasks.values import Ability, DelaySuspendInfo, TransientTaskInfo
from grantwheel.types import BackgroundMode, EfficiencyResourcesCpuLevel, EfficiencyResourcesInfo, ResourceType

from ._default import default_manager, default_tasks, set_default_manager
from .continuous import startBackgroundRunning, stopBackgroundRunning, updateBackgroundRunning
from .efficiency import applyEfficiencyResources, getAllEfficiencyResources, resetAllEfficiencyResources
from .transient import cancelSuspendDelay, getRemainingDelayTime, getTransientTaskInfo, requestSuspendDelay

__all__ = [
    "Ability",
    "BackgroundMode",
    "DelaySuspendInfo",
    "EfficiencyResourcesCpuLevel",
    "EfficiencyResourcesInfo",
    "EfficiencyResourcesRequest",
    "ResourceType",
    "TransientTaskInfo",
    "applyEfficiencyResources",
    "cancelSuspendDelay",
    "default_manager",
    "default_tasks",
    "getAllEfficiencyResources",
    "getRemainingDelayTime",
    "getTransientTaskInfo",
    "requestSuspendDelay",
    "resetAllEfficiencyResources",
    "set_default_manager",
    "startBackgroundRunning",
    "stopBackgroundRunning",
    "updateBackgroundRunning",
]
