"""The pytest fixtures of grantwheel.testing: used here directly, and in a project of somebody else."""

import ast
import doctest
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from grantwheel import (
    Caller,
    Cause,
    EventKind,
    Manager,
    ManualClock,
    PermissionDeniedError,
    Policy,
    backgroundTaskManager,
    testing,
)
from support import CPU, GPS, TIMER, request

pytest_plugins = ["grantwheel.testing"]

# The docstring of every fixture, by name.
FIXTURES = {
    node.name: ast.get_docstring(node) or ""
    for node in ast.parse(inspect.getsource(testing)).body
    if isinstance(node, ast.FunctionDef) and node.decorator_list
}


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a project in a folder: with its conftest, and nothing of this project's configuration."""
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_clock_and_manager_are_one_world(grantwheel_clock: ManualClock, grantwheel_manager: Manager) -> None:
    assert grantwheel_clock.now() == 0
    assert grantwheel_manager.clock is grantwheel_clock
    assert grantwheel_manager.policy == Policy()
    grantwheel_manager.apply(1000, 42, GPS, 100)
    grantwheel_clock.advance(99)
    assert grantwheel_manager.app_mask(1000) == GPS
    grantwheel_clock.advance(1)
    assert grantwheel_manager.app_mask(1000) == 0


def test_the_next_test_starts_anew(grantwheel_clock: ManualClock, grantwheel_manager: Manager) -> None:
    assert grantwheel_clock.now() == 0
    assert grantwheel_manager.records() == []


def test_advance_gives_the_events_of_its_span(
    grantwheel_advance: testing.Advance, grantwheel_clock: ManualClock, grantwheel_manager: Manager
) -> None:
    grantwheel_manager.apply(1, 11, GPS, 10)
    grantwheel_manager.apply(2, 22, CPU, 20)
    grantwheel_manager.apply(3, 33, CPU, 30)
    grantwheel_clock.set(10)  # what was due before the span is not in it, though no call has met it yet
    assert [(event.time, event.uid, event.cause) for event in grantwheel_advance(10)] == [(20, 2, Cause.EXPIRED)]
    assert grantwheel_clock.now() == 20
    assert grantwheel_advance(0) == []
    assert grantwheel_advance(9) == []
    assert [event.time for event in grantwheel_advance(3_600_000)] == [30]

    # The manager's own subscription has lost nothing by it.
    kinds = [(event.kind, event.uid) for event in grantwheel_manager.drain()]
    assert kinds == [(EventKind.APP_APPLY, uid) for uid in (1, 2, 3)] + [
        (EventKind.APP_RESET, uid) for uid in (1, 2, 3)
    ]


def test_advance_renews_holds_on_its_way(
    grantwheel_advance: testing.Advance, grantwheel_clock: ManualClock, grantwheel_manager: Manager
) -> None:
    grantwheel_manager.apply(2, 22, GPS, 95)
    with grantwheel_manager.hold(CPU, uid=1, pid=11, timeout_ms=30) as held:
        # Between two renewals something ends, and is told when it does.
        assert [(event.time, event.uid) for event in grantwheel_advance(1_000)] == [(95, 2)]
        assert not held.lost
        assert grantwheel_clock.now() == 1_000
        assert grantwheel_manager.find_app(1).grants[0].deadline_ms == 1_000 + 30  # type: ignore[union-attr]
    assert grantwheel_advance(1_000) == []


def test_advance_drives_tasks_on_its_way(
    grantwheel_advance: testing.Advance, grantwheel_clock: ManualClock, grantwheel_default_manager: Manager
) -> None:
    calls: list[int] = []
    backgroundTaskManager.requestSuspendDelay("sync", lambda: calls.append(grantwheel_clock.now()))
    assert grantwheel_advance(173_999) == []
    assert calls == []
    assert grantwheel_advance(500_000) == []
    assert calls == [174_000]
    assert backgroundTaskManager.getTransientTaskInfo() == (420_000, [])


def test_advance_takes_a_timedelta(
    grantwheel_advance: testing.Advance, grantwheel_clock: ManualClock, grantwheel_manager: Manager
) -> None:
    grantwheel_manager.apply(1, 11, GPS, 1_500)
    assert [event.time for event in grantwheel_advance(timedelta(seconds=2))] == [1_500]
    assert grantwheel_clock.now() == 2_000
    for length, error in (
        (timedelta(microseconds=1), ValueError),
        (-1, ValueError),
        (1.5, TypeError),
        (True, TypeError),
    ):
        with pytest.raises(error, match=r"^length must "):
            grantwheel_advance(length)  # type: ignore[arg-type]
    assert grantwheel_clock.now() == 2_000


class TestUnderAPolicy:
    """A fixture of the same name takes the place of the default policy."""

    @pytest.fixture
    def grantwheel_policy(self) -> Policy:
        here = Caller(bundle="org.tide.mail", system_app=True)
        return Policy(allowed={"org.tide.mail": [1, 3]}, callers={os.getuid(): here})

    def test_typed_calls(self, grantwheel_manager: Manager) -> None:
        assert grantwheel_manager.apply(os.getuid(), 42, CPU | TIMER | GPS, 100) == CPU | TIMER

    @pytest.mark.usefixtures("grantwheel_default_manager")
    def test_documented_calls(self) -> None:
        with pytest.raises(PermissionDeniedError):
            backgroundTaskManager.applyEfficiencyResources(request(GPS))


@pytest.fixture
def own_default() -> Iterator[Manager]:
    """A default manager of the process that uses the fixture."""
    manager = Manager(clock=ManualClock())
    before = backgroundTaskManager.set_default_manager(manager)
    yield manager
    assert backgroundTaskManager.set_default_manager(before) is manager
    manager.close()


def test_the_documented_module_in_virtual_time(
    own_default: Manager,
    grantwheel_default_manager: Manager,
    grantwheel_manager: Manager,
    grantwheel_clock: ManualClock,
) -> None:
    assert grantwheel_default_manager is grantwheel_manager
    assert backgroundTaskManager.default_manager() is grantwheel_manager
    backgroundTaskManager.applyEfficiencyResources(request(GPS, 40, isProcess=True))
    backgroundTaskManager.applyEfficiencyResources(request(CPU, 90))
    assert [row.remaining for row in backgroundTaskManager.getAllEfficiencyResources()] == [90, 40]
    grantwheel_clock.advance(40)
    (row,) = backgroundTaskManager.getAllEfficiencyResources()
    assert (row.uid, row.pid, row.remaining) == (os.getuid(), os.getpid(), 50)
    assert own_default.records() == []


def test_only_a_manager_can_be_the_default(own_default: Manager) -> None:
    with pytest.raises(TypeError, match=r"^manager must be a Manager or None, not ManualClock$"):
        backgroundTaskManager.set_default_manager(ManualClock())  # type: ignore[arg-type]
    assert backgroundTaskManager.default_manager() is own_default


def test_without_a_default_the_next_call_makes_one(own_default: Manager) -> None:
    assert backgroundTaskManager.set_default_manager(None) is own_default
    made = backgroundTaskManager.default_manager()
    assert made is not own_default
    assert made.policy == Policy()
    assert backgroundTaskManager.set_default_manager(own_default) is made
    made.close()


def test_every_fixture_is_named_after_the_package() -> None:
    assert {"Advance", *FIXTURES} == set(testing.__all__)
    assert [name for name in FIXTURES if not name.startswith("grantwheel_")] == []


def test_the_examples_of_the_docstrings_in_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["grantwheel.testing"]\n', encoding="utf-8")
    for name, text in FIXTURES.items():
        code = "".join(example.source for example in doctest.DocTestParser().get_examples(text))
        assert code.count("def test_") == 1
        (tmp_path / f"test_{name}.py").write_text(code, encoding="utf-8")
    done = run_pytest(tmp_path)
    assert re.search(rf" {len(FIXTURES)} passed in ", done.stdout), done.stdout + done.stderr


# Two of these five fail, as they should.
PROJECT = """\
from grantwheel import Manager, ServiceOperationError, backgroundTaskManager
import pytest

seen = []


def test_it_may_be_closed(grantwheel_manager):
    grantwheel_manager.close()


def test_remember(grantwheel_default_manager):
    seen.append(grantwheel_default_manager)


def test_it_was_closed_and_is_the_default_no_longer():
    with pytest.raises(ServiceOperationError):
        seen[0].records()
    assert backgroundTaskManager.set_default_manager(None) is None


def test_it_is_not_sound(monkeypatch, grantwheel_manager):
    def broken(self):
        raise RuntimeError("an invariant is broken")
    monkeypatch.setattr(Manager, "validate", broken, raising=False)


class TestSmallRing:
    @pytest.fixture
    def grantwheel_manager(self, grantwheel_clock):
        return Manager(clock=grantwheel_clock, event_capacity=1)

    def test_too_many_events_at_once(self, grantwheel_manager, grantwheel_advance):
        grantwheel_manager.apply(1, 11, 1, 10)
        grantwheel_manager.apply(2, 22, 1, 10)
        grantwheel_advance(10)
"""


def test_what_goes_wrong_is_reported(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["grantwheel.testing"]\n', encoding="utf-8")
    (tmp_path / "test_project.py").write_text(PROJECT, encoding="utf-8")
    done = run_pytest(tmp_path, "-rfE")
    assert re.search(r"1 failed, 4 passed, 1 error in ", done.stdout), done.stdout + done.stderr
    assert "ERROR test_project.py::test_it_is_not_sound - RuntimeError: an invariant is broken" in done.stdout
    assert re.search(
        r"FAILED test_project.py::TestSmallRing::test_too_many_events_at_once - Failed: 1 event.* were over",
        done.stdout,
    )


def test_nothing_of_it_is_there_unasked(tmp_path: Path) -> None:
    (tmp_path / "test_project.py").write_text(
        """
import sys
import grantwheel

def test_it_is_not_loaded():
    assert "grantwheel.testing" not in sys.modules

def test_there_is_no_fixture(grantwheel_clock):
    pass
""",
        encoding="utf-8",
    )
    done = run_pytest(tmp_path)
    assert re.search(r"1 passed, 1 error in ", done.stdout), done.stdout + done.stderr
    assert "fixture 'grantwheel_clock' not found" in done.stdout


def test_the_package_does_not_need_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; import grantwheel.command"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
