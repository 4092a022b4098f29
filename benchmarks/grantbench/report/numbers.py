"""Numbers for people."""

from collections.abc import Iterable, Mapping, Sequence

_SCALES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def duration(ns: float) -> str:
    """Return a time with three digits and its unit."""
    scale, unit = next((scale, unit) for scale, unit in _SCALES if ns >= scale or unit == "ns")
    value = ns / scale
    digits = 0 if value >= 100 or unit == "ns" else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def ratio(value: float) -> str:
    """Return how many times as long something takes."""
    return f"{value:.1f}x" if value >= 9.95 else f"{value:.2f}x"


def owners_in_words(owners: int) -> str:
    """Return 10k for ten thousand, 1M for a million."""
    if owners >= 1_000_000 and owners % 1_000_000 == 0:
        return f"{owners // 1_000_000}M"
    return f"{owners // 1_000}k" if owners >= 1_000 and owners % 1_000 == 0 else str(owners)


def rounds_in_words(rounds: Mapping[int, int]) -> str:
    """Return how many rounds each number of owners had."""
    return ", ".join(f"{count} with {owners_in_words(owners)} owners" for owners, count in sorted(rounds.items()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
