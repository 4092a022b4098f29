"""The documented module ``backgroundTaskManager`` (system API), for this process.

Its calls act on one default manager with the default policy and the boot clock, made at the first call; the caller is
this process. `set_default_manager` puts another one in its place. A service that judges other callers makes a
`grantwheel.Manager` of its own.

When ``GRANTWHEEL_STATE`` is set in the environment, it is the path of a journal, and the default manager is opened as
by ``grantwheel.open(path, owners="processes")``: what is held survives the end of the process, as far as that says.

When ``GRANTWHEEL_SOCKET`` is set, it is the path of the service's socket, and the calls are the service's to answer:
the default manager is then a client, as of ``grantwheel.connect(path)``. It goes before ``GRANTWHEEL_STATE``.
"""

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

from ._core import BusinessError, EfficiencyResourcesRequest, business_error, read_request
from .manager import Manager
from .types import BackgroundMode, EfficiencyResourcesCpuLevel, EfficiencyResourcesInfo, ResourceType

if TYPE_CHECKING:
    from .service.client import Client

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
    "set_default_manager",
]

_NOT_READY = 9800004
_NOT_CONNECTED = 980000402
_QUERY_NOT_CONNECTED = 1870000402

_manager: Manager | None = None
_is_own = False  # whether it was made here
_making = threading.Lock()


def _after_fork() -> None:
    """Let the child of a fork make a default manager of its own. One that was put in place stays, and refuses."""
    global _manager, _is_own, _making
    _making = threading.Lock()  # another thread of the parent may have held it
    if _is_own:
        _manager, _is_own = None, False


os.register_at_fork(after_in_child=_after_fork)


def default_manager() -> Manager:
    """Return the manager that the calls of this module act on; it is made at the first call.

    Raises
    ------
    BusinessError
        9800004: ``GRANTWHEEL_STATE`` names what can't be opened, as another process has it, or what a client needs for
        ``GRANTWHEEL_SOCKET`` is missing. The next call tries again.
    """
    global _manager, _is_own
    manager = _manager
    if manager is None:
        with _making:
            manager = _manager
            if manager is None:
                manager = _manager = _make()
                _is_own = True
    return manager


def _make() -> Manager:
    if os.environ.get("GRANTWHEEL_SOCKET"):
        from .service.client import Client

        try:
            return cast("Manager", Client())  # it has the calls, and knows no callers but this process
        except ImportError as error:
            raise business_error(_NOT_CONNECTED, str(error)) from error
    path = os.environ.get("GRANTWHEEL_STATE")
    if not path:
        return Manager()
    from . import recovery

    try:
        return recovery.open(path, owners="processes")
    except BusinessError:
        raise
    except Exception as error:
        raise business_error(_NOT_CONNECTED, f"The state {path} can't be opened: {error}") from error


def _is_client(one: object) -> bool:
    """Whether it is a client of the service. Nothing is one before their module has been imported."""
    module = sys.modules.get("grantwheel.service.client")
    return module is not None and isinstance(one, module.Client)


def set_default_manager(manager: "Manager | Client | None") -> Manager | None:
    """Let the calls of this module act on another manager: one with a policy, or with the clock of a test.

    Parameters
    ----------
    manager : Manager or None
        The new default manager, or a client of the service; None: one that is made at the next call.

    Returns
    -------
    Manager or None
        The one before, neither closed nor changed; None when none had been made.

    Raises
    ------
    TypeError
        It is no manager; the one before stays.
    """
    global _manager, _is_own
    if manager is not None and not isinstance(manager, Manager) and not _is_client(manager):
        raise TypeError(f"manager must be a Manager or None, not {type(manager).__name__}")
    with _making:
        before, _manager, _is_own = _manager, cast("Manager | None", manager), False
    return before


def applyEfficiencyResources(*args: Any) -> None:  # noqa: N802 - the documented name
    """Apply for efficiency resources, or release them, as the request says.

    Takes exactly one argument, a `grantwheel.EfficiencyResourcesRequest` or any mapping with its field names.

    Raises
    ------
    BusinessError
        With code 201, 202, 401, 9800001, 9800002, 9800003, 9800004 or 18700001; nothing has changed then.
    """
    if _manager is None:  # making one may fail: what is asked for is judged first, and makes nothing if it is wrong
        read_request(*args)
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
    try:
        manager = default_manager()
    except BusinessError as error:
        if error.code != _NOT_READY:
            raise
        raise business_error(_QUERY_NOT_CONNECTED, str(error)) from error.__cause__
    return manager.get_all()
