"""What a workload is: for each contender a way to set it up, ready to be timed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from grantbench.plan import Plan


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A workload set up for one contender, in fresh state, to be run once.

    Parameters
    ----------
    run : callable
        What is timed.
    loop : callable
        The loop of `run` with nothing in it; its time is subtracted.
    operations : int
        What the time is divided by.
    check : callable
        Raises AssertionError unless the state after `run` is as it should be.
    reading : callable
        Returns the result in ns, where it is not the time of `run`.
    close : callable
        Lets go of everything.
    """

    run: Callable[[], object]
    operations: int
    check: Callable[[], None]
    loop: Callable[[], object] = _nothing
    reading: Callable[[], float] | None = None
    close: Callable[[], None] = _nothing


MakeTrial = Callable[[Plan], Trial]


@dataclass(frozen=True, slots=True)
class Entry:
    """One way to do what a workload asks for; not for more owners than it can take."""

    make: MakeTrial
    max_owners: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A named piece of work, with everybody who does it. The others are compared with `base`."""

    name: str
    what: str
    unit: str
    base: str
    entries: Mapping[str, Entry]

    def entries_for(self, owners: int) -> dict[str, MakeTrial]:
        """Return those that take so many owners."""
        return {name: entry.make for name, entry in self.entries.items() if owners <= entry.max_owners}


def expect(what: str, found: object, wanted: object) -> None:
    """Fail with a message that names what is not as it should be."""
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")
