"""What a contender is: something that keeps types per owner until a deadline."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, Self

from grantbench.plan import Mix
from grantbench.shape import DENSE, Shape

EVERYTHING = 1 << 62

Run = Callable[[], object]


class Facts(NamedTuple):
    """What the report says about a contender."""

    what: str
    version: str


class Contender(ABC):
    """Keeps types per owner until a deadline.

    What owners hold is that of a shape: one type, or several, which are granted, renewed and released in one call.

    The methods that end in -ing return a loop that is ready to be timed: conversions and look-ups of methods have been
    done. Each loop walks its sequences with a plain ``for``, as `loops` does without the calls.
    """

    name: ClassVar[str]
    max_owners: ClassVar[int] = 10_000_000
    # Whether time is a number that `pass_time` adds to. Otherwise it is the machine's, and waiting takes time.
    is_virtual: ClassVar[bool] = True
    # Whether it can say who holds a type.
    lists: ClassVar[bool] = True
    # Whether `end` can stop after a number of owners.
    has_slices: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, owners: int, reserve: bool = False) -> None:
        """Make it for so many owners, with memory for them taken at once if it can and is asked to."""

    @classmethod
    def telling(cls, owners: int) -> Self:
        """Make one that can tell of so many ends at once."""
        return cls(owners)

    @classmethod
    @abstractmethod
    def facts(cls) -> Facts:
        """Return what it is, and which version."""

    @abstractmethod
    def apply(self, uid: int, mask: int, timeout_ms: int) -> None:
        """Grant a type to an owner, or renew it."""

    @abstractmethod
    def applying(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> Run:
        """Return a loop of applies of all types of the shape."""

    @abstractmethod
    def releasing(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        """Return a loop of releases of all types of the shape."""

    @abstractmethod
    def asking(self, uids: Sequence[int], shape: Shape = DENSE) -> Run:
        """Return a loop that asks what each owner holds of the shape."""

    @abstractmethod
    def playing(self, mix: Mix) -> Run:
        """Return a loop of applies and releases of `COMMON`, as the mix has them."""

    @abstractmethod
    def holders(self, mask: int) -> list[int]:
        """Return the owners that hold a type."""

    @abstractmethod
    def mask(self, uid: int) -> int:
        """Return what an owner holds."""

    @abstractmethod
    def count(self) -> int:
        """Return how many owners hold anything now, or were not ended yet."""

    @abstractmethod
    def end(self, budget: int) -> bool:
        """End what is due, after about `budget` owners leave the rest if it can; say whether any is left."""

    def end_all(self) -> object:
        """End all that is due in one go, and return what ended as far as the contender tells."""
        return self.end(EVERYTHING)

    @abstractmethod
    def pass_time(self, ms: int) -> None:
        """Let time pass, and nothing else. Only where `is_virtual`."""

    def let_lapse(self, uids: Sequence[int], timeouts_ms: Sequence[int], shape: Shape = DENSE) -> None:
        """Grant all types of the shape to owners, and let time pass until all is due. Nothing is ended yet."""
        self.applying(uids, timeouts_ms, shape)()
        self.pass_time(max(timeouts_ms))

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what outlives a garbage collection."""
