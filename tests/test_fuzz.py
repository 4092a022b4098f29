"""The fuzz targets as far as they need no fuzzer: requests drawn from a few seeds, and the corpus and its script.

The targets in C++ are built, and take their corpora, in test_cpp.py.
"""

from pathlib import Path

import pytest

import connection_fuzz
import request_fuzz
import seeds


@pytest.mark.parametrize("number", range(3))
def test_documented_requests_are_answered_as_the_oracle_answers_them(number: int) -> None:
    request_fuzz.check_seed(number, examples=60)


@pytest.mark.parametrize("number", range(2))
def test_requests_on_connections_are_answered_by_the_rules(number: int) -> None:
    pytest.importorskip("hiredis")
    connection_fuzz.check_seed(number, examples=60)


@pytest.mark.parametrize("path", sorted((seeds.CORPUS / "connection_fuzz").iterdir()), ids=lambda path: path.name)
def test_the_corpus_of_connections_is_answered_by_the_rules(path: Path) -> None:
    pytest.importorskip("hiredis")
    from connection_check import check

    check(path.read_bytes())


@pytest.mark.parametrize(("target", "expected"), list(seeds.all_of_them().items()))
def test_the_corpus_is_what_its_script_writes(target: str, expected: dict[str, bytes]) -> None:
    folder: Path = seeds.CORPUS / target
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: found.get(name) for name in expected} == expected
