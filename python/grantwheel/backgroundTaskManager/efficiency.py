"""The documented calls for efficiency resources."""

from typing import Any

from grantwheel._core import BusinessError, business_error, read_request
from grantwheel.types import EfficiencyResourcesInfo

from . import _default
from ._default import NOT_READY, default_manager

_QUERY_NOT_CONNECTED = 1870000402


def applyEfficiencyResources(*args: Any) -> None:  # noqa: N802 - the documented name
    """Apply for efficiency resources, or release them, as the request says.

    Takes exactly one argument, a `grantwheel.EfficiencyResourcesRequest` or any mapping with its field names.

    Raises
    ------
    BusinessError
        With code 201, 202, 401, 9800001, 9800002, 9800003, 9800004 or 18700001;
        nothing has changed then, but perhaps with 9800003 of a service.
    """
    apply = _default._apply_request
    if apply is None:
        read_request(*args)  # what is asked for is judged first, and makes nothing if it is wrong
        apply = default_manager().apply_request
    apply(*args)


def resetAllEfficiencyResources() -> None:  # noqa: N802 - the documented name
    """Release all efficiency resources of this application that its bundle is allowed to hold.

    Raises
    ------
    BusinessError
        With code 201, 202, 9800002, 9800003, 9800004 or 18700001;
        nothing has changed then, but perhaps with 9800003 of a service.
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
        if error.code != NOT_READY:
            raise
        raise business_error(_QUERY_NOT_CONNECTED, str(error)) from error.__cause__
    return manager.get_all()
