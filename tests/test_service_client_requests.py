"""The callbacks of the open requests of a client: what is called for what it hears, without a service."""

import pytest

pytest.importorskip("hiredis")

from grantwheel import BusinessError
from grantwheel._documented import refusal
from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.backgroundTaskManager import startBackgroundRunning, updateBackgroundRunning
from grantwheel.service.client_requests import OpenRequests


def callback() -> None:
    """Do nothing."""


def opened() -> OpenRequests:
    made = OpenRequests()
    made.opened("one", 1, made.asked_with(callback, None, ()))
    return made


@pytest.mark.parametrize("answer", [None, refusal(401), refusal(201), task_refusal(TaskStatus.REQUEST_UNKNOWN)])
def test_whatever_is_not_said_to_be_open_still_is_over(answer: BusinessError | None) -> None:
    made = opened()
    ((asked, _),) = made.in_doubt("one", ())
    assert made.settle(asked, 5) is None
    assert len(made) == 1
    assert made.settle(asked, answer) is callback
    assert len(made) == 0
    assert made.settle(asked, answer) is None


def test_the_documented_calls_for_continuous_tasks_say_that_a_broken_exchange_may_have_changed_something() -> None:
    for call in (startBackgroundRunning, updateBackgroundRunning):
        assert "then, but perhaps with 9800003." in str(call.__doc__)
