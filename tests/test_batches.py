"""Batch calls: as many single calls, on any buffers of integers."""

import ctypes
import random
from array import array
from typing import Any

import pytest

from grantwheel import Caller, Manager, Policy
from support import ALL, AUDIO, CPU, GPS, TIMER, Hook, brief, make_manager, state, unchanged

Batch = tuple[list[int], list[int], list[int], list[int]]

POLICY = Policy(
    callers={3: Caller(bundle="plain"), 4: Caller(bundle="limited", system_app=True)},
    allowed={"limited": [6, 7]},
)


def random_batch(generator: random.Random, size: int) -> Batch:
    def pick(usual: range, strange: list[int]) -> list[int]:
        return [generator.choice(usual if generator.random() < 0.95 else strange) for _ in range(size)]

    return (
        pick(range(20), [-1, 2**32 - 1, 2**32, 2**62, -(2**62)]),
        pick(range(50), [-1, 2**31, 2**32 + 1]),
        pick(range(1, 512), [0, 512, -1, 2**32 + 1, -(2**40)]),
        pick(range(1, 100), [0, -1, 2**32, 2**32 - 1]),
    )


def single(manager: Manager, call: Any, arguments: tuple[int, ...]) -> int:
    from grantwheel import BusinessError

    try:
        mask: int = call(*arguments)
    except BusinessError as error:
        return -error.code
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_batches_do_what_single_calls_do(seed: int) -> None:
    generator = random.Random(seed)
    by_batch, batch_clock = make_manager(policy=POLICY, max_records=12)
    by_single, single_clock = make_manager(policy=POLICY, max_records=12)
    for _ in range(20):
        uids, pids, masks, timeouts = (array("q", column) for column in random_batch(generator, 70))
        expected = [single(by_single, by_single.apply, row) for row in zip(uids, pids, masks, timeouts, strict=True)]
        assert list(by_batch.apply_many(uids, pids, masks, timeouts)) == expected
        uids, pids, masks, _ = (array("q", column) for column in random_batch(generator, 30))
        expected = [single(by_single, by_single.release, row) for row in zip(uids, pids, masks, strict=True)]
        assert list(by_batch.release_many(uids, pids, masks)) == expected
        expected = [single(by_single, by_single.app_mask, (uid,)) for uid in uids]
        assert list(by_batch.app_masks(uids)) == expected
        assert state(by_batch) == state(by_single)
        by_batch.validate()
        step = generator.randrange(40)
        batch_clock.advance(step)
        single_clock.advance(step)
    assert by_batch.drain() == by_single.drain()


def test_results_are_masks_or_minus_the_public_code() -> None:
    manager, _ = make_manager(policy=POLICY, max_records=2)
    out = manager.apply_many(
        array("q", [1, 1, -1, 3, 4, 5, 1]),
        array("q", [1, 1, 1, 1, 1, 1, 1]),
        array("q", [GPS, 0, GPS, GPS, ALL, GPS, TIMER]),
        array("q", [40, 40, 40, 40, 40, 40, 0]),
    )
    assert isinstance(out, array)
    assert out.typecode == "i"
    assert list(out) == [GPS, -18700001, -18700001, -202, GPS | AUDIO, -9800001, -18700001]
    assert list(manager.release_many(array("i", [1, 3]), array("i", [1, 1]), array("i", [ALL, ALL]))) == [GPS, -202]
    assert list(manager.app_masks(array("q", [4, 1, 2**32 - 1, -1]))) == [GPS | AUDIO, 0, -18700001, -18700001]


def test_nothing_allowed_and_not_ready() -> None:
    manager, _ = make_manager(policy=Policy(default_allowed=[3]))
    one = array("i", [GPS])
    assert list(manager.apply_many(one, one, one, one)) == [-201]
    manager.ready = False
    assert list(manager.apply_many(one, one, one, one)) == [-9800004]
    assert list(manager.release_many(one, one, one)) == [-9800004]


def test_rows_are_carried_out_in_order() -> None:
    manager, _ = make_manager()
    same = array("I", [700] * 4)
    pids = array("I", [71, 72, 73, 74])
    manager.apply_many(same, pids, array("I", [GPS, GPS | AUDIO, CPU, CPU]), array("I", [40, 30, 20, 90]))
    assert brief(manager.drain()) == [
        ("app_apply", 700, 71, GPS),
        ("app_apply", 700, 72, AUDIO),
        ("app_apply", 700, 73, CPU),
    ]
    record = manager.find_app(700)
    assert record is not None
    assert [grant.deadline_ms for grant in record.grants] == [90, 40, 30]


def test_a_batch_meets_what_is_due() -> None:
    manager, clock = make_manager()
    uids = array("I", range(100))
    masks = array("I", [GPS] * 100)
    manager.apply_many(uids, uids, masks, array("I", [10] * 100))
    clock.set(10)
    assert list(manager.app_masks(uids)) == [0] * 100
    assert list(manager.release_many(uids, uids, masks)) == [0] * 100
    assert sum(event.cause == "expired" for event in manager.drain()) == 100


@pytest.mark.parametrize("code", "iIlLqQ")
def test_integers_of_32_and_64_bits(code: str) -> None:
    manager, _ = make_manager()
    numbers = array(code, [1, 2, 3])
    assert list(manager.apply_many(numbers, numbers, numbers, numbers)) == [1, 2, 3]
    assert list(manager.app_masks(numbers)) == [1, 2, 3]
    assert list(manager.release_many(numbers, numbers, numbers)) == [1, 2, 3]


def test_the_whole_range_of_every_format() -> None:
    manager, _ = make_manager()
    one = array("i", [1])
    assert list(manager.apply_many(array("I", [2**32 - 2]), one, one, one)) == [1]
    assert list(manager.app_masks(array("Q", [2**32 - 2]))) == [1]
    for code, value in (("I", 2**32 - 1), ("Q", 2**64 - 1), ("Q", 2**63), ("q", 2**63 - 1), ("q", -(2**63)), ("i", -1)):
        wrong = array(code, [value])
        assert list(manager.apply_many(wrong, one, one, one)) == [-18700001]
        assert list(manager.apply_many(one, wrong, one, one)) == [-18700001]
        assert list(manager.apply_many(one, one, wrong, one)) == [-18700001]
        assert list(manager.release_many(one, one, wrong)) == [-18700001]
        assert list(manager.app_masks(wrong)) == [-18700001]
    for code, value in (("Q", 2**64 - 1), ("Q", 2**32), ("q", 2**32), ("q", -1), ("i", -1)):
        assert list(manager.apply_many(one, one, one, array(code, [value]))) == [-18700001]
    assert list(manager.apply_many(one, one, one, array("I", [2**32 - 1]))) == [1]


def test_strided_and_reversed_views() -> None:
    manager, _ = make_manager()
    numbers = memoryview(array("q", range(1, 41)))
    odd, backwards = numbers[::2], numbers[::-2]
    assert list(manager.apply_many(odd, odd, odd, odd)) == list(range(1, 41, 2))
    assert list(manager.app_masks(backwards)) == [0] * 20
    assert list(manager.app_masks(numbers[::-1])) == [uid if uid % 2 else 0 for uid in range(40, 0, -1)]
    assert list(manager.app_masks(numbers[5:6])) == [0]


def test_ctypes_arrays_and_read_only_views() -> None:
    manager, _ = make_manager()
    numbers = (ctypes.c_int64 * 3)(1, 2, 3)
    frozen = memoryview(array("i", [1, 2, 3])).toreadonly()
    assert list(manager.apply_many(numbers, frozen, numbers, frozen)) == [1, 2, 3]


def test_an_empty_batch() -> None:
    manager, _ = make_manager()
    none = array("i")
    with unchanged(manager):
        assert manager.apply_many(none, none, none, none) == none
        assert manager.release_many(none, none, none) == none
        assert manager.app_masks(none) == none


def test_results_go_where_they_are_asked_to() -> None:
    manager, _ = make_manager()
    numbers = array("i", [1, 2, 3])
    out = array("i", [9, 9, 9])
    assert manager.apply_many(numbers, numbers, numbers, numbers, out=out) is out
    assert list(out) == [1, 2, 3]
    wide = array("i", [9] * 7)
    with memoryview(wide)[1::2] as gaps:
        manager.app_masks(numbers, out=gaps)
    assert list(wide) == [9, 1, 9, 2, 9, 3, 9]
    assert manager.release_many(numbers, numbers, numbers, out=out) is out
    raw = (ctypes.c_int32 * 3)()
    assert manager.app_masks(numbers, out=raw) is raw
    assert list(raw) == [0, 0, 0]


def test_buffers_are_let_go_of() -> None:
    manager, _ = make_manager()
    numbers, out = array("i", [1]), array("i", [0])
    manager.apply_many(numbers, numbers, numbers, numbers, out=out)
    numbers.append(2)
    out.append(2)
    with pytest.raises(ValueError, match="out"):
        manager.apply_many(numbers, numbers, numbers, numbers, out=array("i", [0]))
    numbers.append(3)
    manager.apply_many(numbers, numbers, numbers, numbers).append(7)


NAMES = ["uids", "pids", "masks", "timeouts_ms"]
NO_BUFFERS: list[Any] = [
    [1, 2, 3],
    (1, 2, 3),
    None,
    7,
    "123",
    b"123",
    array("d", [1, 2, 3]),
    array("f", [1, 2, 3]),
    array("b", [1, 2, 3]),
    array("H", [1, 2, 3]),
    (ctypes.c_wchar * 3)("a", "b", "c"),
    memoryview(array("i", [1, 2, 3, 4])).cast("B").cast("i", (2, 2)),
    memoryview(bytes(3)).cast("?"),
    (ctypes.c_int32.__ctype_be__ * 3)(1, 2, 3),
    (ctypes.c_int64.__ctype_be__ * 3)(1, 2, 3),
    (ctypes.c_void_p * 3)(),
]


@pytest.mark.parametrize("wrong", NO_BUFFERS, ids=lambda value: repr(value)[:24])
@pytest.mark.parametrize(("place", "name"), list(enumerate(NAMES)))
def test_other_kinds_are_a_type_error_that_names_the_argument(place: int, name: str, wrong: Any) -> None:
    manager, _ = make_manager()
    arguments: list[Any] = [array("i", [1, 2, 3]) for _ in NAMES]
    arguments[place] = wrong
    with unchanged(manager):
        with pytest.raises(TypeError, match=name):
            manager.apply_many(*arguments)
        if place < 3:
            with pytest.raises(TypeError, match=name):
                manager.release_many(*arguments[:3])
        if place == 0:
            with pytest.raises(TypeError, match=name):
                manager.app_masks(wrong)


@pytest.mark.parametrize("size", [0, 2, 4])
@pytest.mark.parametrize(("place", "name"), list(enumerate(NAMES))[1:])
def test_other_lengths_are_a_value_error_that_names_the_argument(place: int, name: str, size: int) -> None:
    manager, _ = make_manager()
    arguments = [array("i", [1, 2, 3]) for _ in NAMES]
    arguments[place] = array("i", range(1, size + 1))
    with unchanged(manager):
        with pytest.raises(ValueError, match=name):
            manager.apply_many(*arguments)
        if place < 3:
            with pytest.raises(ValueError, match=name):
                manager.release_many(*arguments[:3])


@pytest.mark.parametrize(
    ("out", "error"),
    [
        ([0, 0, 0], TypeError),
        (array("I", [0, 0, 0]), TypeError),
        (array("q", [0, 0, 0]), TypeError),
        (array("f", [0, 0, 0]), TypeError),
        (bytes(12), TypeError),
        (memoryview(array("i", [0, 0, 0])).toreadonly(), TypeError),
        (array("i", [0, 0]), ValueError),
        (array("i", [0, 0, 0, 0]), ValueError),
    ],
    ids=["list", "unsigned", "wide", "float", "bytes", "read-only", "short", "long"],
)
def test_an_unfit_out_is_named_and_nothing_happens(out: Any, error: type[Exception]) -> None:
    manager, _ = make_manager()
    numbers = array("i", [1, 2, 3])
    with unchanged(manager):
        with pytest.raises(error, match="out"):
            manager.apply_many(numbers, numbers, numbers, numbers, out=out)
        with pytest.raises(error, match="out"):
            manager.release_many(numbers, numbers, numbers, out=out)
        with pytest.raises(error, match="out"):
            manager.app_masks(numbers, out=out)


def test_a_wrong_clock_stops_the_whole_batch() -> None:
    manager, clock = make_manager()
    clock.set(10)
    numbers = array("i", [1, 2, 3])
    manager.apply_many(numbers, numbers, numbers, numbers)
    with unchanged(manager):
        clock.set(9)
        with pytest.raises(ValueError, match="before"):
            manager.apply_many(numbers, numbers, numbers, numbers)
        with pytest.raises(ValueError, match="before"):
            manager.release_many(numbers, numbers, numbers)
        with pytest.raises(ValueError, match="before"):
            manager.app_masks(numbers)
        clock.set(10)


def test_the_quota_hook_is_asked_for_every_row() -> None:
    hook = Hook()
    manager, _ = make_manager(policy=Policy(quota=hook))
    uids, masks = array("i", [1, 2, 3]), array("i", [CPU, GPS, CPU | GPS])
    assert list(manager.apply_many(uids, uids, masks, masks)) == [CPU, GPS, CPU | GPS]
    assert hook.calls == [("check", 1, "", CPU, True), ("check", 3, "", CPU | GPS, True)]
    hook.calls.clear()
    assert list(manager.release_many(uids, uids, masks)) == [CPU, GPS, CPU | GPS]
    assert hook.calls == [  # all are asked for before any is carried out
        ("check", 1, "", CPU, False),
        ("check", 3, "", CPU | GPS, False),
        ("settle", 1),
        ("settle", 3),
    ]
    hook.answer = False
    assert list(manager.apply_many(uids, uids, masks, masks)) == [-201, GPS, -201]


def test_a_large_batch() -> None:
    manager, clock = make_manager()
    size = 20_000
    uids, masks, timeouts = array("I", range(size)), array("I", [GPS | TIMER]) * size, array("I", range(1, size + 1))
    assert set(manager.apply_many(uids, uids, masks, timeouts)) == {GPS | TIMER}
    assert manager.count(GPS) == size
    clock.set(size // 2)
    assert manager.advance() == size
    assert sum(manager.app_masks(uids)) == (GPS | TIMER) * size // 2
    manager.validate()
