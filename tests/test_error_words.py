"""What an error says beside its code: which field broke a rule, and which limit is reached."""

from typing import Any

import pytest

from grantwheel import Caller, Manager
from support import CPU, GPS, make_manager, refusal

FIELDS: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((1, 2, 0, 5), {}, "mask must be within 1..511"),
    ((1, 2, -1, 5), {}, "mask must be within 1..511"),
    ((1, 2, 512, 5), {}, "mask must be within 1..511"),
    ((1, 2, GPS, -1), {}, "timeout_ms must be within 0..2^32-1"),
    ((1, 2, GPS, 2**32), {}, "timeout_ms must be within 0..2^32-1"),
    ((1, 2, GPS, 0), {}, "timeout_ms must not be 0 unless persist"),
    ((1, 2, GPS, 5), {"reason": "x" * 1025}, "reason must be at most 1024 bytes of UTF-8"),
    ((-1, 2, GPS, 5), {}, "uid must be within 0..2^32-2"),
    ((2**32 - 1, 2, GPS, 5), {}, "uid must be within 0..2^32-2"),
    ((1, -1, GPS, 5), {}, "pid must be within 0..2^31-1"),
    ((1, 2**31, GPS, 5), {}, "pid must be within 0..2^31-1"),
    ((1, 2, GPS, 5), {"caller": Caller(bundle="x" * 1025)}, "the bundle name must be at most 1024 bytes of UTF-8"),
]


@pytest.mark.parametrize("call", ["apply", "renew"])
@pytest.mark.parametrize(("arguments", "keywords", "rule"), FIELDS, ids=[rule for *_, rule in FIELDS])
def test_the_field_is_named(call: str, arguments: tuple[Any, ...], keywords: dict[str, Any], rule: str) -> None:
    manager, _ = make_manager()
    error = refusal(lambda: getattr(manager, call)(*arguments, **keywords))
    assert str(error) == f"[18700001] {error.message} ({error.detail}: {rule})"


def test_a_release_names_the_field_too() -> None:
    manager, _ = make_manager()
    assert "mask must be within 1..511" in str(refusal(lambda: manager.release(1, 2, 0)))
    assert "pid must be within" in str(refusal(lambda: manager.release(1, -2, GPS)))


def says(manager: Manager, uid: int, mask: int = GPS, **keywords: Any) -> str:
    error = refusal(lambda: manager.apply(uid, uid, mask, 50, **keywords))
    assert error.detail == 980000101
    return str(error)


def test_a_limit_is_named_with_its_value() -> None:
    manager, clock = make_manager(max_records=2)
    manager.apply(1, 1, GPS, 10)
    manager.apply(2, 2, GPS, 1000)
    assert "(980000101: max_records (2) is reached)" in says(manager, 3)
    clock.set(10)  # now there is room for one record, and not for two
    assert "max_records (2) or max_strings (65536) is too small for it" in says(manager, 3, CPU | GPS, process=True)

    manager, _ = make_manager(max_strings=1)
    manager.apply(1, 1, GPS, 10, reason="first")
    assert "(980000101: max_strings (1) is reached)" in says(manager, 2, reason="second")


def test_a_second_subscription_says_so() -> None:
    manager, _ = make_manager()
    manager.subscribe("audit")
    said = str(refusal(lambda: manager.subscribe("audit")))
    assert "980000501: this str is subscribed already" in said
