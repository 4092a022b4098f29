"""Options and settings that all tests share."""

import signal

import pytest


def pytest_configure() -> None:
    # Whoever starts the tests in the background of a script has signals ignored that some of them send; what is ignored
    # is so in every child too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--differential-steps", type=int, default=1_000_000, metavar="N", help="steps of the differential run, in total"
    )
