"""Comparing what a scenario expects with what came, as plain JSON values."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from conformance_face import ROW_FIELDS, Json, Row, StepFailed


def shown(value: Json) -> str:
    """Write a value on one line of ASCII."""
    return json.dumps(value, default=str)


def same(expected: Json, got: Any) -> bool:
    """Tell whether two JSON values are equal; unlike in Python, a bool is no number."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return isinstance(expected, bool) and isinstance(got, bool) and expected == got
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(same, expected, got))
    return bool(expected == got)


def require(what: str, expected: Json, got: Any) -> None:
    if not same(expected, got):
        raise StepFailed(f"{what}: expected {shown(expected)}, got {shown(got)}")


def require_fields(what: str, expected: Mapping[str, Json], got: Mapping[str, Any]) -> None:
    """Compare the fields that `expected` names; null stands for a field that is absent."""
    for name, value in expected.items():
        require(f"{what}.{name}", value, got.get(name))


def named_rows(rows: Sequence[Json], fields: Sequence[str]) -> list[Row]:
    """Give rows names: a row is an object already, or the list of the first of `fields`."""
    return [row if isinstance(row, dict) else dict(zip(fields, row, strict=False)) for row in rows]


def rows_by_key(rows: Json, key: str) -> list[Row]:
    """Put the rows of one kind of owner in the order of their keys; an object names them by key."""
    if isinstance(rows, dict):
        rows = [{key: int(name), **row} for name, row in rows.items()]
    named = named_rows(rows, ROW_FIELDS)
    return sorted(named, key=lambda row: row[key]) if all(key in row for row in named) else named


def require_rows(what: str, expected: Json, got: Sequence[Row], fields: Sequence[str]) -> None:
    """Compare complete lists in order. A row names the fields to compare, or lists them from the first of `fields`."""
    named = named_rows(expected, fields)
    if len(named) != len(got):
        brief = [{name: row.get(name) for name in fields} for row in got]
        raise StepFailed(f"{what}: expected {len(named)} rows {shown(expected)}, got {len(got)}: {shown(brief)}")
    for index, (row, other) in enumerate(zip(named, got, strict=True)):
        require_fields(f"{what}[{index}]", row, other)
