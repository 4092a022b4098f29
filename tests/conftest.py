"""Options and settings that all tests share, and the choice of what only CI runs."""

import signal

import pytest

_LEFT_OUT = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes long and tells little to whoever has changed nothing; CI runs it")
    # Whoever starts the tests in the background of a script has signals ignored that some of them send; what is ignored
    # is so in every child too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--differential-steps", type=int, default=1_000_000, metavar="N", help="steps of the differential run, in total"
    )
    parser.addoption("--storm-seconds", type=float, default=3, metavar="S", help="how long test_storm.py goes on")
    parser.addoption(
        "--journal-kills", type=int, default=5, metavar="N", help="how often a writer of journals is killed, each way"
    )
    parser.addoption(
        "--durable-kills", type=int, default=15, metavar="N", help="how often a durable manager is killed, each way"
    )
    parser.addoption(
        "--journal-fault-step", type=int, default=0, metavar="N", help="one call in how many fails; 1: each"
    )
    parser.addoption(
        "--durable-fault-step", type=int, default=0, metavar="N", help="the same under a whole manager; 1: each"
    )
    parser.addoption(
        "--journal-places", type=int, default=200, metavar="N", help="bytes of a log that are damaged in turn; 0: all"
    )
    parser.addoption(
        "--cpp-preset",
        choices=("dev", "asan"),
        default="dev",
        help="the preset of CMake that the tests in C++ are built by",
    )
    which = parser.getgroup("grantwheel")
    which.addoption("--long", action="store_true", help="run the tests that take long too")
    which.addoption("--only-long", action="store_true", help="run the tests that take long, and no others")


@pytest.hookimpl(trylast=True)  # after -k, -m and --deselect have chosen: only what they left is counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out, or the others; what is in a file that was named on the command line is wanted."""
    if config.getoption("--long") and not config.getoption("--only-long"):
        return
    named = {(config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args}
    only_long = bool(config.getoption("--only-long"))

    def is_wanted(item: pytest.Item) -> bool:
        is_long = item.get_closest_marker("long") is not None
        return is_long if only_long else not is_long or item.path in named

    left_out = [item for item in items if not is_wanted(item)]
    items[:] = [item for item in items if is_wanted(item)]
    config.hook.pytest_deselected(items=left_out)
    config.stash[_LEFT_OUT] = 0 if only_long else len(left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash.get(_LEFT_OUT, 0)
    if left_out:
        terminalreporter.section("left out")
        terminalreporter.write_line(f"{left_out} tests that take long, which CI runs: pytest --long")
        terminalreporter.write_line("They build the C++ tests, the examples and the packages, or try more of the same.")
