"""Who calls."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Caller:
    """Who calls. Nothing is checked here: the call judges.

    Parameters
    ----------
    uid, pid : int
        The user and the process; -1, which no call accepts, when left out. Calls that take uid and pid as arguments of
        their own ignore these.
    bundle : str
        The bundle name that the policy knows the caller by, at most 1024 bytes of UTF-8.
    system_app, service_extension : bool
        One of them is needed to apply, to release and to read one's grants.
    native : bool
        Needed to see the records of everyone and to subscribe.
    keep_background_running : bool
        Needed to start and to update a continuous task.
    """

    uid: int = -1
    pid: int = -1
    bundle: str = ""
    system_app: bool = False
    service_extension: bool = False
    native: bool = False
    keep_background_running: bool = True
