"""The documented module ``backgroundTaskManager`` (system API), for this process.

Its calls act on one default manager with the default policy and the boot clock, made at the first call; the caller is
this process. A service that judges other callers makes a `grantwheel.Manager` of its own.
"""

import threading
from typing import Any

from ._core import EfficiencyResourcesRequest
from .manager import Manager
from .types import BackgroundMode, EfficiencyResourcesCpuLevel, EfficiencyResourcesInfo, ResourceType

__all__ = [
    "BackgroundMode",
    "EfficiencyResourcesCpuLevel",
    "EfficiencyResourcesInfo",
    "EfficiencyResourcesRequest",
    "ResourceType",
    "applyEfficiencyResources",
    "default_manager",
    "getAllEfficiencyResources",
    "resetAllEfficiencyResources",
]

_manager: Manager | None = None
_making = threading.Lock()


def default_manager() -> Manager:
    """Return the manager that the calls of this module act on; it is made at the first call."""
    global _manager
    if _manager is None:
        with _making:
            if _manager is None:
                _manager = Manager()
    return _manager


def applyEfficiencyResources(*args: Any) -> None:  # noqa: N802 - the documented name
    """Apply for efficiency resources, or release them, as the request says.

    Takes exactly one argument, an `EfficiencyResourcesRequest` or any mapping with its field names.

    Raises
    ------
    BusinessError
        With code 201, 202, 401, 9800001, 9800002, 9800003, 9800004 or 18700001; nothing has changed then.
    """
    default_manager().apply_request(*args)


def resetAllEfficiencyResources() -> None:  # noqa: N802 - the documented name
    """Release all efficiency resources of this application that its bundle is allowed to hold.

    Raises
    ------
    BusinessError
        With code 201, 202, 9800002, 9800003, 9800004 or 18700001; nothing has changed then.
    """
    default_manager().reset_all_request()


def getAllEfficiencyResources() -> list[EfficiencyResourcesInfo]:  # noqa: N802 - the documented name
    """Return a row for each grant of this application and its processes.

    Raises
    ------
    BusinessError
        With code 202, 18700001, 18700002 or 18700004.
    """
    return default_manager().get_all()
