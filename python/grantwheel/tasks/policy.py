"""Which continuous tasks apps may have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grantwheel.types import BackgroundMode

from .arguments import whole
from .continuous import Allowed
from .values import Ability


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPolicy:
    """Which modes the abilities of each bundle declare. A value; what is given is checked and copied.

    Parameters
    ----------
    abilities : mapping of str to mapping of str to iterable of BackgroundMode or int, or None
        By bundle and by the name of the ability. What is not there declares nothing. None in the place of a bundle's
        abilities trusts it, and None, the default, trusts everyone: every ability declares every mode.
    task_keeping : bool
        Whether the device supports TASK_KEEPING.

    Raises
    ------
    TypeError, ValueError
        A field has the wrong type, or a mode is not within 1..9; the message names it.
    """

    abilities: Mapping[str, Mapping[str, Iterable[BackgroundMode | int]] | None] | None = None
    task_keeping: bool = False

    def __post_init__(self) -> None:
        """Check both, and keep a copy."""
        if not isinstance(self.task_keeping, bool):
            raise TypeError(f"task_keeping must be a bool, not {type(self.task_keeping).__name__}")
        if self.abilities is None:
            return
        copied = {
            bundle: None if declared is None else _abilities(declared, f"abilities[{bundle!r}]")
            for bundle, declared in _mapping(self.abilities, "abilities").items()
        }
        object.__setattr__(self, "abilities", copied)

    def allowed(self, bundle: str, ability: Ability) -> Allowed:
        """Return what an ability of a bundle may do."""
        of_bundle = None if self.abilities is None else self.abilities.get(bundle, {})
        declared = None if of_bundle is None else of_bundle.get(ability.name, ())
        return Allowed(None if declared is None else frozenset(map(int, declared)), keeps_tasks=self.task_keeping)


def _abilities(declared: object, place: str) -> dict[str, frozenset[BackgroundMode]]:
    return {name: _modes(modes, f"{place}[{name!r}]") for name, modes in _mapping(declared, place).items()}


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{place} must be a mapping, not {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"a key of {place} must be a str, not {type(key).__name__}")
    return value


def _modes(value: object, place: str) -> frozenset[BackgroundMode]:
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise TypeError(f"{place} must be an iterable of modes, not {type(value).__name__}")
    modes = set()
    for one in value:
        number = whole(one)
        if number is None:
            raise TypeError(f"{place} must be of modes, not of {type(one).__name__}")
        if not 1 <= number <= len(BackgroundMode):
            raise ValueError(f"{place} must be of modes within 1..{len(BackgroundMode)}, not {number}")
        modes.add(BackgroundMode(number))
    return frozenset(modes)
