"""Everything that a run has found, as JSON too."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from grantbench.contender import Facts
from grantbench.interleave import Result
from grantbench.machine import Machine
from grantbench.memory import Footprint
from grantbench.native import Native


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The results of a run.

    ``scale`` holds the single calls at further numbers of owners, ``shapes`` calls and batches on owners of every
    shape; ``ending`` and ``skipping`` the cost of one advance, by the number of grants ended and by the milliseconds
    skipped.
    """

    machine: Machine
    contenders: dict[str, Facts]
    results: list[Result]
    scale: list[Result]
    shapes: list[Result]
    ending: dict[int, list[Result]]
    skipping: dict[int, list[Result]]
    native: Native | None
    memory: list[Footprint]


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return asdict(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(field) for name, field in value._asdict().items()}
    if isinstance(value, dict):
        return {str(key): _plain(field) for key, field in value.items()}
    if isinstance(value, list):
        return [_plain(field) for field in value]
    return value


def write_json(outcome: Outcome, path: Path) -> None:
    """Write all numbers of a run."""
    fields = {name: _plain(getattr(outcome, name)) for name in Outcome.__slots__}
    path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
