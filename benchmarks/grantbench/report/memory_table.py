"""The table of memory."""

from collections.abc import Sequence

from grantbench.memory import Footprint
from grantbench.report.numbers import owners_in_words, table


def _bytes(value: float) -> str:
    return f"{value / 2**20:.1f} MiB"


def memory_table(footprints: Sequence[Footprint]) -> str:
    """Return growth per owner, and the totals behind it."""
    rows = [
        (
            found.entry,
            owners_in_words(found.owners),
            f"{found.per_owner:.0f} bytes",
            _bytes(found.empty),
            _bytes(found.filled),
            "" if found.renewed is None else f"{_bytes(found.renewed - found.filled)}",
        )
        for found in footprints
    ]
    return table(("", "owners", "per owner", "empty", "filled", "growth by ten renewals of each"), rows)
