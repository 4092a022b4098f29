"""Which counts have grown, and whether that is allowed."""

import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from counting.callgrind import Counts

# A figure may be that many times what it was; misses moreover grow only when a call has so many more of them, as a few
# come and go with where things happen to lie. In Python that is so for many more, and they are not judged; nor are
# mispredictions, as where branches happen to lie decides which of them share a place in the simulated table.
MOST = 1.03
FEW_MISSES = 0.1


class Allowed(NamedTuple):
    """Calls (patterns as of a shell) that may cost more since a change, and why."""

    change: str
    calls: tuple[str, ...]
    most: float
    why: str


class Growth(NamedTuple):
    """A figure that is larger than it was."""

    call: str
    figure: str
    before: float
    now: float
    most: float  # times what it was that it may be

    @property
    def is_allowed(self) -> bool:
        """Whether it may be so large."""
        return self.now <= self.before * self.most

    def __str__(self) -> str:
        ratio = f"{self.now / self.before:.3f} times" if self.before else "from nothing"
        return f"{self.call}: {self.figure} from {self.before:.2f} to {self.now:.2f}, {ratio}; at most {self.most:g}"


def _allowed(entry: Mapping[str, Any]) -> Allowed:
    wanted: dict[str, type | tuple[type, ...]] = {"change": str, "calls": list, "most": (int, float), "why": str}
    for key, kind in wanted.items():
        if not isinstance(entry.get(key), kind) or not entry[key]:
            raise ValueError(f"growth.{key} is missing, empty, or of another type")
    if unknown := set(entry) - set(wanted):
        raise ValueError(f"growth.{min(unknown)} is unknown")
    return Allowed(entry["change"], tuple(entry["calls"]), float(entry["most"]), entry["why"])


def read(path: Path) -> list[Allowed]:
    """Read what may grow; nothing where there is no such file.

    Raises
    ------
    ValueError
        The file is not as it should be; the text names the field.
    """
    if not path.is_file():
        return []
    return [_allowed(entry) for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("growth", [])]


def of_this_change(now: Sequence[Allowed], before: Sequence[Allowed]) -> list[Allowed]:
    """Return what the tree before does not have: the rest was for changes that both have."""
    return [one for one in now if one not in before]


def found(
    now: Mapping[str, Counts], before: Mapping[str, Counts], allowed: Sequence[Allowed]
) -> tuple[list[Growth], list[Growth]]:
    """Return the figures that have grown without permission, and those that have with it."""
    grown = []
    for call, counts in now.items():
        if call not in before:
            continue
        permitted = [one.most for one in allowed if any(fnmatchcase(call, pattern) for pattern in one.calls)]
        most = max([MOST, *permitted])
        for figure, new, old in zip(Counts._fields, counts, before[call], strict=True):
            is_judged = figure == "instructions" or (
                figure != "mispredictions" and new - old >= FEW_MISSES and not call.startswith("python")
            )
            if new > old * MOST and is_judged:
                grown.append(Growth(call, figure, old, new, most))
    return [one for one in grown if not one.is_allowed], [one for one in grown if one.is_allowed]
