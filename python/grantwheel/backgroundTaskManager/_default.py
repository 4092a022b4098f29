"""The default manager that the documented calls act on, and its tasks. Private."""

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from grantwheel._core import BusinessError, business_error
from grantwheel.manager import Manager
from grantwheel.tasks.tasks import Tasks, tasks_of

if TYPE_CHECKING:
    from grantwheel.service.client import Client

NOT_READY = 9800004
_NOT_CONNECTED = 980000402

_manager: Manager | None = None  # None when the next call makes it, which may fail
_apply_request: Callable[..., object] | None = None  # its method: looking that up would take a third of a call
_is_own = False  # whether it was made here
_making = threading.Lock()


def _put(manager: Manager | None, *, is_own: bool = False) -> None:
    """Let the calls act on a manager from now on."""
    global _manager, _apply_request, _is_own
    apply_request = None if manager is None else manager.apply_request
    _manager, _apply_request, _is_own = manager, apply_request, is_own


def _after_fork() -> None:
    """Let the child of a fork make a default manager of its own. One that was put in place stays, and refuses."""
    global _making
    _making = threading.Lock()  # another thread of the parent may have held it
    if _is_own:
        _put(None)


os.register_at_fork(after_in_child=_after_fork)


def default_manager() -> Manager:
    """Return the manager that the calls of this module act on; it is made at the first call.

    Raises
    ------
    BusinessError
        9800004: ``GRANTWHEEL_STATE`` names what can't be opened, as another process has it, or what a client needs for
        ``GRANTWHEEL_SOCKET`` is missing. The next call tries again.
    """
    manager = _manager
    if manager is None:
        with _making:
            manager = _manager
            if manager is None:
                manager = _make()
                _put(manager, is_own=True)
    return manager


def _make() -> Manager:
    if os.environ.get("GRANTWHEEL_SOCKET"):
        from grantwheel.service.client import Client

        try:
            return cast("Manager", Client())  # it has the calls, and knows no callers but this process
        except ImportError as error:
            raise business_error(_NOT_CONNECTED, str(error)) from error
    path = os.environ.get("GRANTWHEEL_STATE")
    if not path:
        return Manager()
    from grantwheel import recovery

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
    if manager is not None and not isinstance(manager, Manager) and not _is_client(manager):
        raise TypeError(f"manager must be a Manager or None, not {type(manager).__name__}")
    with _making:
        before = _manager
        _put(cast("Manager | None", manager))
    return before


def default_tasks() -> Tasks:
    """Return the tasks of the default manager, which the calls of this module act on; they are made at the first call.

    To have some with a policy, figures or a store of your own, make them first: ``Tasks(default_manager(), ...)``.
    Those of a client are the service's, as of ``Client.tasks``.

    Raises
    ------
    BusinessError
        9800004: as `default_manager`, or the client is closed.
    """
    manager = default_manager()
    if _is_client(manager):
        return cast("Tasks", cast("Client", manager).tasks)  # it has the calls
    tasks = tasks_of(manager)
    if tasks is None:
        with _making:
            tasks = tasks_of(manager)
            if tasks is None:
                tasks = manager._kept_tasks = Tasks(manager)
    return tasks
