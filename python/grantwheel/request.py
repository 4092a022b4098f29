"""What a caller hands in: who it is, and what it asks for. Nothing is checked here: the call judges."""

from typing import Any, Final


class _Absent:
    """The value of a field that was left out."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class _Fields:
    """Equality and repr over the slots of a class, absent ones left out."""

    __slots__: tuple[str, ...] = ()

    def _present(self) -> dict[str, Any]:
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not ABSENT}

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._present().items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._present() == other._present()

    __hash__ = None  # type: ignore[assignment]


class EfficiencyResourcesRequest(_Fields):
    """A request for efficiency resources (documented API: ``EfficiencyResourcesRequest``).

    Any value may be given to any field, and a field left out is absent: the call that takes the request judges it.

    Parameters
    ----------
    resourceTypes : int
        The set of types, as the sum of `ResourceType` bits. Mandatory.
    isApply : bool
        True to apply, False to release. Mandatory.
    timeOut : int
        How long the grant lasts, in ms, 0..2147483647. Mandatory, though it counts for a timed apply only.
    reason : str
        Why, at most 1024 bytes of UTF-8. Mandatory; may be empty.
    isPersist : bool
        The grant has no deadline. Default False.
    isProcess : bool
        CPU is granted to the calling process instead of its application. Default False.
    cpuLevel : int
        0, 1 or 2; needs a limit in the policy. Default: no level.
    """

    __slots__ = ("cpuLevel", "isApply", "isPersist", "isProcess", "reason", "resourceTypes", "timeOut")

    def __init__(
        self,
        *,
        resourceTypes: Any = ABSENT,  # noqa: N803 - the documented names
        isApply: Any = ABSENT,  # noqa: N803
        timeOut: Any = ABSENT,  # noqa: N803
        reason: Any = ABSENT,
        isPersist: Any = ABSENT,  # noqa: N803
        isProcess: Any = ABSENT,  # noqa: N803
        cpuLevel: Any = ABSENT,  # noqa: N803
    ) -> None:
        self.resourceTypes = resourceTypes
        self.isApply = isApply
        self.timeOut = timeOut
        self.reason = reason
        self.isPersist = isPersist
        self.isProcess = isProcess
        self.cpuLevel = cpuLevel


class Caller(_Fields):
    """Who calls.

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
    """

    __slots__ = ("bundle", "native", "pid", "service_extension", "system_app", "uid")

    def __init__(
        self,
        *,
        uid: int = -1,
        pid: int = -1,
        bundle: str = "",
        system_app: bool = False,
        service_extension: bool = False,
        native: bool = False,
    ) -> None:
        self.uid = uid
        self.pid = pid
        self.bundle = bundle
        self.system_app = system_app
        self.service_extension = service_extension
        self.native = native
