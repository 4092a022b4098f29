"""What callers have chosen, as text for people: it can neither steer a terminal nor pass for more than it is."""


def printable(text: str) -> str:
    r"""Return the text with every character escaped that would not be seen as itself.

    That is what `str.isprintable` says of it: controls, marks that turn the direction of writing, separators of lines,
    lone surrogates and the like become ``\n``, ``\x1b``, ``\u202e``; and so that nothing else can look like one of
    these, a backslash becomes two.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(letter if letter.isprintable() and letter != "\\" else _escaped(letter) for letter in text)


def quoted(text: str) -> str:
    """Return the same between quotes, for places where its end would not be seen otherwise."""
    return "'" + printable(text).replace("'", "\\'") + "'"


def shown(value: object) -> str:
    """Return the repr of any object as printable text, for log records; an object whose repr fails has its type."""
    try:
        return printable(repr(value))
    except Exception:  # noqa: BLE001 - what a repr raises is not the business of a log record
        return f"<{printable(type(value).__qualname__)} without a repr>"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
