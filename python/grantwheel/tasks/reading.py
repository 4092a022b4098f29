"""Reading what is on record of tasks: a value of another kind is an error."""


def number(value: object) -> int:
    """Return a number that is on record."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no number")
    return value


def number_or_none(value: object) -> int | None:
    """Return a number that is on record, or that there is none."""
    return None if value is None else number(value)


def text(value: object) -> str:
    """Return a text that is on record."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def flag(value: object) -> bool:
    """Return whether something is so, by the record."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
