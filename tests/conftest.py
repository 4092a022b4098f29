"""Options and settings that all tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--differential-steps", type=int, default=1_000_000, metavar="N", help="steps of the differential run, in total"
    )
