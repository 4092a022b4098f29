"""Who may hold what, and for how long: types, cpu levels and timeouts by bundle, callers by uid, and the quota hook."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

from . import _policy_fields as fields
from .caller import Caller
from .types import ResourceType

EVERY_TYPE = 0
TimeoutsByType: TypeAlias = Mapping[ResourceType, int | timedelta] | Mapping[int, int | timedelta]


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


class OverTimeoutMax(StrEnum):
    """What becomes of an apply for longer than the longest timeout that the policy has for it."""

    CAP = "cap"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a manager allows. A value: change it by giving the manager another one (``dataclasses.replace`` helps).

    The default trusts everyone: every caller is a native system app without a bundle name and may hold every type, for
    as long as it likes. What is given is checked and copied when the policy is made.

    A type is named by a `ResourceType`, one of several types names all of them; or by its number in the documented
    configuration: 0 for every type, k in 1..9 for the type of index k-1 (1 CPU, 2 COMMON_EVENT, ... 9 SENSOR). When
    read back, the types of a bundle are one `ResourceType`, and longest timeouts stand by single types.

    Parameters
    ----------
    allowed : mapping of str to iterable of ResourceType or int
        The allowed types by bundle. An empty list allows nothing.
    default_allowed : iterable of ResourceType or int
        Those of every bundle without an entry. Default: every type.
    unknown_bundles : iterable of str
        Bundles that the policy does not know: they may hold nothing and ask for no cpu level.
    cpu_level_max : mapping of str to int
        The highest cpu level, 0..2, that a bundle may ask for. A bundle without an entry may not name a level.
    timeout_max_ms : mapping of str to mapping of ResourceType or int to int or timedelta
        The longest timeout, 1..2^32-1 ms, by bundle and type. Where a type is named twice, the shorter one counts.
    default_timeout_max_ms : mapping of ResourceType or int to int or timedelta
        Those of every bundle without an entry. Default: no limit.
    over_timeout_max : OverTimeoutMax or str
        What becomes of an apply for longer, a persistent one included: ``"cap"``, the default, grants the longest
        timeout; ``"refuse"`` refuses the whole request with 201.
    callers : mapping of int to Caller
        The bundle and the flags of callers by uid, for calls without ``caller=``.
    default_caller : Caller
        The same for every uid without an entry. Default: a native system app.
    quota : Quota or None
        The hook that rations CPU. Default: none.

    Raises
    ------
    TypeError, ValueError
        A field has the wrong type, or a value that cannot be; the message names it, as in ``allowed['a'][0]``.
    """

    allowed: Mapping[str, Iterable[ResourceType | int]] = field(default_factory=dict)
    default_allowed: Iterable[ResourceType | int] = (EVERY_TYPE,)
    unknown_bundles: Iterable[str] = ()
    cpu_level_max: Mapping[str, int] = field(default_factory=dict)
    timeout_max_ms: Mapping[str, TimeoutsByType] = field(default_factory=dict)
    default_timeout_max_ms: TimeoutsByType = field(default_factory=dict)
    over_timeout_max: OverTimeoutMax | str = OverTimeoutMax.CAP
    callers: Mapping[int, Caller] = field(default_factory=dict)
    default_caller: Caller = field(default_factory=lambda: Caller(system_app=True, native=True))
    quota: Quota | None = None

    def __post_init__(self) -> None:
        """Check every field, and keep copies of what was given."""
        timeouts = fields.by_bundle(self.timeout_max_ms, "timeout_max_ms", fields.timeouts)
        checked = {
            "allowed": fields.by_bundle(self.allowed, "allowed", fields.types),
            "default_allowed": fields.types(self.default_allowed, "default_allowed"),
            "unknown_bundles": fields.bundles(self.unknown_bundles, "unknown_bundles"),
            "cpu_level_max": fields.by_bundle(self.cpu_level_max, "cpu_level_max", fields.level),
            "timeout_max_ms": timeouts,
            "default_timeout_max_ms": fields.timeouts(self.default_timeout_max_ms, "default_timeout_max_ms"),
            "over_timeout_max": fields.member(OverTimeoutMax, self.over_timeout_max, "over_timeout_max"),
            "callers": fields.callers(self.callers, "callers"),
            "default_caller": fields.caller(self.default_caller, "default_caller"),
            "quota": fields.quota(self.quota, "quota"),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_config(
        cls,
        allowed: Mapping[str, Iterable[int]],
        *,
        default_allowed: Iterable[int] = (EVERY_TYPE,),
        **others: Any,
    ) -> Self:
        """Make a policy from lists of numbers as the platform's configuration has them.

        Numbers that stand for no type are ignored, where the class itself refuses them.

        Parameters
        ----------
        allowed, default_allowed
            As in the class, as numbers only.
        **others
            The other fields of the class, as they are there.

        Raises
        ------
        TypeError, ValueError
            As the class.
        """
        return cls(
            allowed=fields.by_bundle(allowed, "allowed", fields.configured_types),
            default_allowed=fields.configured_types(default_allowed, "default_allowed"),
            **others,
        )
