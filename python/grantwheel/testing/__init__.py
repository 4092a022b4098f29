"""Pytest fixtures for code that uses grantwheel: everything in virtual time, so that an hour takes no time.

In a ``conftest.py``::

    pytest_plugins = ["grantwheel.testing"]

The fixtures of one test share one clock, which starts at 0 and moves only when it is told, and one manager. To test
under a policy of your own, define a fixture `grantwheel_policy` that returns it.

Needs pytest; nothing else in the package imports this module. It may be imported before pytest loads it as a plugin
(PYTEST_DONT_REWRITE: it has no assertions).
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeAlias

import pytest

from grantwheel import Event, Manager, ManualClock, Policy, ServiceOperationError, backgroundTaskManager
from grantwheel._times import to_ms
from grantwheel.tasks.tasks import tasks_of

__all__ = [
    "Advance",
    "grantwheel_advance",
    "grantwheel_clock",
    "grantwheel_default_manager",
    "grantwheel_manager",
    "grantwheel_policy",
]

#: What the fixture `grantwheel_advance` gives: from a length of time to the events of that span.
Advance: TypeAlias = Callable[[int | timedelta], list[Event]]


@pytest.fixture
def grantwheel_clock() -> ManualClock:
    """Return a clock that stands at 0 ms until it is told to move.

    Examples
    --------
    >>> def test_the_clock_is_told(grantwheel_clock):
    ...     grantwheel_clock.advance(250)
    ...     assert grantwheel_clock.now() == 250
    """
    return ManualClock(start_ms=0)


@pytest.fixture
def grantwheel_policy() -> Policy:
    """Return the policy of `grantwheel_manager`: the default one, which trusts everyone. Made to be overridden.

    Examples
    --------
    In a conftest, a test module or a class, a fixture of the same name takes its place:

    >>> import pytest
    >>> from grantwheel import Caller, PermissionDeniedError, Policy, ResourceType
    >>>
    >>> @pytest.fixture
    ... def grantwheel_policy():
    ...     mail = Caller(bundle="org.example.mail", system_app=True)
    ...     return Policy(allowed={"org.example.mail": [1, 3]}, callers={1000: mail})  # CPU and TIMER
    >>>
    >>> def test_mail_may_not_hold_gps(grantwheel_manager):
    ...     assert grantwheel_manager.apply(1000, 42, ResourceType.CPU, 500) == ResourceType.CPU
    ...     with pytest.raises(PermissionDeniedError):
    ...         grantwheel_manager.apply(1000, 42, ResourceType.GPS, 500)
    """
    return Policy()


@pytest.fixture
def grantwheel_manager(grantwheel_clock: ManualClock, grantwheel_policy: Policy) -> Iterator[Manager]:
    """Return a manager on `grantwheel_clock` with `grantwheel_policy`.

    After the test it is validated, unless the test closed it, and closed.

    Examples
    --------
    >>> from grantwheel import ResourceType
    >>>
    >>> def test_a_grant_ends(grantwheel_manager, grantwheel_clock):
    ...     grantwheel_manager.apply(1000, 42, ResourceType.GPS, 30_000)
    ...     grantwheel_clock.advance(29_999)
    ...     assert grantwheel_manager.app_mask(1000) == ResourceType.GPS
    ...     grantwheel_clock.advance(1)
    ...     assert grantwheel_manager.app_mask(1000) == 0
    """
    manager = Manager(clock=grantwheel_clock, policy=grantwheel_policy)
    try:
        yield manager
        with contextlib.suppress(ServiceOperationError):  # a test may close it
            manager.validate()
    finally:
        manager.close()


@pytest.fixture
def grantwheel_default_manager(grantwheel_manager: Manager) -> Iterator[Manager]:
    """Put `grantwheel_manager` behind the documented module for the time of the test, and return it.

    Every call of `grantwheel.backgroundTaskManager` then acts on it, in virtual time. The caller is still this process:
    its uid and pid, and what the policy says of that uid.

    Examples
    --------
    >>> import os
    >>> from grantwheel import backgroundTaskManager
    >>>
    >>> def test_a_documented_grant_ends(grantwheel_default_manager, grantwheel_clock):
    ...     backgroundTaskManager.applyEfficiencyResources({
    ...         "resourceTypes": backgroundTaskManager.ResourceType.CPU,
    ...         "isApply": True, "timeOut": 1_000, "reason": "sync",
    ...     })
    ...     assert grantwheel_default_manager.app_mask(os.getuid()) == 1
    ...     grantwheel_clock.advance(1_000)
    ...     assert backgroundTaskManager.getAllEfficiencyResources() == []
    """
    before = backgroundTaskManager.set_default_manager(grantwheel_manager)
    yield grantwheel_manager
    backgroundTaskManager.set_default_manager(before)


@pytest.fixture
def grantwheel_advance(grantwheel_manager: Manager, grantwheel_clock: ManualClock) -> Advance:
    """Return a function that moves the clock on, by milliseconds or a timedelta, and returns the events of that span.

    The clock goes from one instant at which something happens to the next, the deadline of a grant, the renewal of a
    hold or what is due of a task, so that all live on as on a real clock. The events are those of what became due after
    the old instant and up to the new one, oldest first. The manager's own subscription has them to drain too, the
    newest of them if they are many. The test fails if so many come at one instant that the oldest are lost.

    Examples
    --------
    >>> from grantwheel import Cause, ResourceType
    >>>
    >>> def test_what_ended_and_why(grantwheel_manager, grantwheel_advance):
    ...     grantwheel_manager.apply(1000, 42, ResourceType.GPS, 30_000)
    ...     assert grantwheel_advance(29_999) == []
    ...     (event,) = grantwheel_advance(1)
    ...     assert (event.time, event.cause, event.uid) == (30_000, Cause.EXPIRED, 1000)
    """

    def advance(length: int | timedelta) -> list[Event]:
        ms = to_ms(length, "length")
        if ms < 0:
            raise ValueError(f"length must not be negative, as {ms} ms is")
        end = grantwheel_clock.now() + ms
        grantwheel_manager.advance()  # what is due by now is not of this span
        last = grantwheel_manager.last_sequence
        found: list[Event] = []
        while grantwheel_clock.now() < end:
            _go_to_next(grantwheel_manager, grantwheel_clock, end)
            events, missed, last = grantwheel_manager.read(last)
            if missed:
                pytest.fail(f"{missed} events of one instant were overwritten: they are more than event_capacity")
            found += events
        return found

    return advance


def _go_to_next(manager: Manager, clock: ManualClock, end: int) -> None:
    """Set the clock to the next instant at which something happens, or to the end; let it happen."""
    now, tasks = clock.now(), tasks_of(manager)
    happenings = (manager.renew_holds(), manager.next_deadline(), None if tasks is None else tasks.next_deadline())
    clock.set(min((at for at in happenings if at is not None and now < at < end), default=end))
    manager.renew_holds()
    manager.advance()
    if tasks is not None:
        tasks.advance()
