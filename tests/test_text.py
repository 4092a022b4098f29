"""What callers choose is escaped wherever it is printed for people."""

import sys
import unicodedata

import pytest

from grantwheel import Caller
from grantwheel._text import printable, quoted, shown
from support import CPU, GPS, make_manager

# Whatever could steer a terminal, begin a line, or turn the direction of writing.
HOSTILE = [
    *(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))),
    *"\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u061c\xad",
]


@pytest.mark.parametrize("letter", HOSTILE, ids=ascii)
def test_what_would_not_be_seen_as_itself_is_escaped(letter: str) -> None:
    escaped = printable(f"a{letter}b")
    assert escaped.isascii()
    assert escaped.isprintable()
    assert escaped.startswith("a\\")
    assert escaped.endswith("b")


def test_no_two_texts_look_the_same() -> None:
    assert printable("a\nb") == "a\\nb"
    assert printable("a\\nb") == "a\\\\nb"
    assert printable("\ud800") == "\\ud800"
    assert printable("\U000e0041") == "\\U000e0041"
    assert printable("grün 東京 🧭") == "grün 東京 🧭"
    seen = {printable(chr(code)) for code in range(sys.maxunicode + 1)}
    assert len(seen) == sys.maxunicode + 1
    for text in seen:
        assert not {unicodedata.category(letter) for letter in text} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_quotes_show_where_a_text_ends() -> None:
    assert quoted("nav") == "'nav'"
    assert quoted("it's\n") == "'it\\'s\\n'"
    assert quoted("x\\") == "'x\\\\'"


def test_any_object_can_be_shown() -> None:
    class Forging:
        def __repr__(self) -> str:
            return "fine\nERROR all is lost\x1b[2J"

    class Failing:
        def __repr__(self) -> str:
            raise RuntimeError

    assert shown(Forging()) == "fine\\nERROR all is lost\\x1b[2J"
    assert shown(Failing()).endswith("Failing without a repr>")
    assert shown("a\nb") == "'a\\\\nb'"


@pytest.mark.parametrize("letter", [one for one in HOSTILE if one != "\x00"], ids=ascii)
def test_nobody_can_forge_a_line_of_the_listing(letter: str) -> None:
    manager, _ = make_manager()
    forged = f"x{letter}app uid 0 pid 1, mask 511{letter}    CPU: persistent, reason ''"
    manager.apply(700, 71, GPS | CPU, 40, reason=forged, caller=Caller(bundle=forged, system_app=True))
    lines = manager.admin_list().splitlines()
    assert len(lines) == 3
    assert [line.split(" ")[0:3] for line in lines if not line.startswith(" ")] == [["app", "uid", "700"]]
    assert all(line.isprintable() for line in lines)


def test_a_bundle_cannot_pass_for_what_follows_it() -> None:
    manager, _ = make_manager()
    manager.apply(700, 71, GPS, 40, caller=Caller(bundle="x', mask 511", system_app=True))
    assert manager.admin_list().splitlines()[0] == "app uid 700 pid 71, bundle 'x\\', mask 511', mask 32"
