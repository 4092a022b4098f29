"""Who may hold what: allowed types and cpu level limit by bundle, callers by uid, and the quota hook."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from .caller import Caller

EVERY_TYPE = 0


@runtime_checkable
class Quota(Protocol):
    """A hook that rations CPU. Both methods run without any lock of the manager held and may call it."""

    def check(self, uid: int, bundle: str, mask: int, is_apply: bool, /) -> bool:
        """Say whether an app-level request may go on; False refuses the whole of it with 201.

        Asked for every timed apply and every release whose allowed types contain CPU, with these types as ``mask``.
        An exception ends the call as it is; nothing has changed then.
        """

    def settle(self, uid: int, /) -> None:
        """Hear that CPU has left the app record of ``uid``, for whatever cause.

        An exception goes to ``sys.unraisablehook``: the change has happened already.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a manager allows. A value: change it by giving the manager another one (``dataclasses.replace`` helps).

    The default trusts everyone: every caller is a native system app without a bundle name and may hold every type.

    Allowed types are numbers, as in the documented configuration: 0 stands for every type, k in 1..9 for the type of
    index k-1 (1 CPU, 2 COMMON_EVENT, ... 9 SENSOR); other numbers are ignored, and an empty list allows nothing.

    Parameters
    ----------
    allowed : mapping of str to iterable of int
        The allowed numbers by bundle.
    default_allowed : iterable of int
        Those of every bundle without an entry. Default: every type.
    unknown_bundles : iterable of str
        Bundles that the policy does not know: they may hold nothing and ask for no cpu level.
    cpu_level_max : mapping of str to int
        The highest cpu level, 0..2, that a bundle may ask for. A bundle without an entry may not name a level.
    callers : mapping of int to Caller
        The bundle and the flags of callers by uid, for calls without ``caller=``.
    default_caller : Caller
        The same for every uid without an entry. Default: a native system app.
    quota : Quota or None
        The hook that rations CPU. Default: none.
    """

    allowed: Mapping[str, Iterable[int]] = field(default_factory=dict)
    default_allowed: Iterable[int] = (EVERY_TYPE,)
    unknown_bundles: Iterable[str] = ()
    cpu_level_max: Mapping[str, int] = field(default_factory=dict)
    callers: Mapping[int, Caller] = field(default_factory=dict)
    default_caller: Caller = field(default_factory=lambda: Caller(system_app=True, native=True))
    quota: Quota | None = None
