"""The blocks that holds and runners are made of: their end comes through, whatever interrupts it."""

import asyncio
import contextlib
import functools
import gc
import signal
import sys
import weakref
from collections.abc import Callable

import pytest

from grantwheel import _core


class Block(_core.AsyncBlock):
    """Notes what is called, and raises what it is told to, once each."""

    def __init__(self, *, begin: BaseException | None = None, ends: list[BaseException] | None = None) -> None:
        self.begin = begin
        self.ends = ends or []
        self.calls: list[str] = []

    def _begin(self) -> None:
        self.calls.append("begin")
        if self.begin is not None:
            raise self.begin

    def _begin_on_loop(self) -> None:
        self.calls.append("begin on loop")
        if self.begin is not None:
            raise self.begin

    def _end(self) -> None:
        self.calls.append("end")
        if self.ends:
            raise self.ends.pop(0)


def run(block: Block) -> None:
    with block as entered:
        assert entered is block
        block.calls.append("body")


def run_async(block: Block) -> None:
    async def main() -> None:
        async with block as entered:
            assert entered is block
            block.calls.append("body")

    asyncio.run(main())


FORMS = pytest.mark.parametrize(("form", "begin"), [(run, "begin"), (run_async, "begin on loop")])


@FORMS
def test_a_block_begins_and_ends(form: Callable[[Block], None], begin: str) -> None:
    block = Block()
    form(block)
    assert block.calls == [begin, "body", "end"]
    form(block)  # a block of its own may be used again
    assert block.calls == [begin, "body", "end"] * 2


@FORMS
def test_an_end_that_is_cut_off_is_called_again_and_the_first_error_raised(
    form: Callable[[Block], None], begin: str
) -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    block = Block(ends=[first, second])
    with pytest.raises(RuntimeError) as raised:
        form(block)
    assert raised.value is first
    assert block.calls == [begin, "body", "end", "end", "end"]


@FORMS
def test_a_begin_that_fails_is_ended(form: Callable[[Block], None], begin: str) -> None:
    error = ValueError("no")
    block = Block(begin=error, ends=[RuntimeError("meanwhile")])
    with pytest.raises(ValueError, match="no") as raised:
        form(block)
    assert raised.value is error
    assert block.calls == [begin, "end", "end"]


def test_an_interrupt_is_not_lost_behind_an_error() -> None:
    block = Block(begin=ValueError("no"), ends=[RuntimeError("meanwhile"), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        run(block)
    assert block.calls == ["begin", "end", "end", "end"]


def test_an_end_that_never_comes_through_is_given_up() -> None:
    block = Block(ends=[RuntimeError(str(number)) for number in range(1000)])
    with pytest.raises(RuntimeError, match=r"^0$"):
        run(block)
    assert block.calls.count("end") == 100


def test_who_comes_in_a_second_time_ends_nothing() -> None:
    block = Block()
    with block:
        block.begin = ValueError("in use")
        with pytest.raises(ValueError, match="in use"):
            block.__enter__()
        assert "end" not in block.calls
    assert block.calls == ["begin", "begin", "end"]


def test_what_the_body_raises_goes_on() -> None:
    block = Block()
    with pytest.raises(KeyError), block:
        raise KeyError
    with contextlib.suppress(ZeroDivisionError):
        run_async_raising(block)
    assert block.calls == ["begin", "end", "begin on loop", "end"]


def run_async_raising(block: Block) -> None:
    async def main() -> None:
        async with block:
            raise ZeroDivisionError

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there `with` lets signals in behind the call of `__enter__`")
def test_no_signal_comes_between_a_statement_and_its_begin_or_end() -> None:
    # An `__exit__` in Python would sometimes be cut off before its first line. What is called here is in C as well, so
    # that nothing but the statement can be interrupted.
    inside: list[None] = []

    class Marking(_core.Block):
        def __init__(self) -> None:
            self._begin = functools.partial(inside.append, None)
            self._end = inside.clear

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    left = 0
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(500):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.0003)
                while True:
                    with Marking():
                        pass
            left += len(inside)
            inside.clear()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert left == 0


def test_a_block_without_a_begin_says_so() -> None:
    with pytest.raises(AttributeError, match="_begin"), _core.Block():
        pass


def test_blocks_are_collected() -> None:
    gc.collect()

    async def main() -> "weakref.ref[Block]":
        block = Block()
        async with block:
            pass
        awaitable = block.__aenter__()
        block.mine = awaitable  # type: ignore[attr-defined]
        return weakref.ref(block)

    reference = asyncio.run(main())
    gc.collect()
    assert reference() is None
