"""The callbacks of the open requests of a client: what is called for what it hears, without a service."""

import pytest

pytest.importorskip("hiredis")

from grantwheel import BusinessError
from grantwheel._documented import refusal
from grantwheel._task_errors import TaskStatus, task_refusal
from grantwheel.backgroundTaskManager import startBackgroundRunning, updateBackgroundRunning
from grantwheel.service.client_requests import OpenRequests
from grantwheel.tasks.values import TaskEvent, TaskEventKind


def callback() -> None:
    """Do nothing."""


def opened() -> OpenRequests:
    made = OpenRequests()
    made.opened("one", 1, made.asked_with(callback, None, (), 7))
    return made


@pytest.mark.parametrize("answer", [None, refusal(401), refusal(201), task_refusal(TaskStatus.REQUEST_UNKNOWN)])
def test_whatever_is_not_said_to_be_open_still_is_over(answer: BusinessError | None) -> None:
    made = opened()
    ((asked, _),) = made.in_doubt("one", 7)
    assert made.settle(asked, 5) is None
    assert len(made) == 1
    assert made.settle(asked, answer) is callback
    assert len(made) == 0
    assert made.settle(asked, answer) is None


def event(kind: TaskEventKind) -> TaskEvent:
    return TaskEvent(1, 1, kind, 1, 1, "one", 1, ())


def doubtful() -> OpenRequests:
    made = opened()
    ((asked, _),) = made.in_doubt("one", 7)
    made.settle(asked, 5)
    return made


def test_the_end_of_a_doubtful_request_calls_and_that_of_one_that_is_given_back_does_not() -> None:
    assert doubtful().heard("one", event(TaskEventKind.TASK_END)) is callback
    made = doubtful()
    with made.giving_back(1):  # its end comes before the answer
        assert made.heard("one", event(TaskEventKind.TASK_END)) is None
    assert len(made) == 0
    made = doubtful()
    with made.giving_back(1) as given:
        ((asked, _),) = made.in_doubt("one", 7)
        assert given is asked
        assert made.settle(asked, refusal(401)) is None
    assert len(made) == 0


def test_a_request_whose_giving_back_has_failed_is_as_before() -> None:
    made = doubtful()
    with pytest.raises(BusinessError), made.giving_back(1):
        raise refusal(401)
    with made.giving_back(2) as none:
        made.drop(none)
    assert made.heard("one", event(TaskEventKind.TASK_END)) is callback


def test_the_documented_calls_for_continuous_tasks_say_that_a_broken_exchange_may_have_changed_something() -> None:
    for call in (startBackgroundRunning, updateBackgroundRunning):
        assert "then, but perhaps with 9800003." in str(call.__doc__)
