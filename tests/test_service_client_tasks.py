"""The tasks of the service through its client: as those of a manager, with callbacks in the process of the client."""

import functools
import operator
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

import grantwheel
from client_stage import OWN, REFUSAL, Careless, Stage, stage
from grantwheel import Ability, BackgroundMode, Caller, Manager, ManualClock, Tasks, TransientFigures
from grantwheel.service.client import Client
from grantwheel.service.client_tasks import ClientTasks
from grantwheel.service.peers import Peer
from service_thread import ServiceThread
from support import refusal
from task_stage import attempt
from waiting import own_threads, wait_for

__all__ = ["stage"]  # a fixture

UID, PID = OWN
OTHER = Peer(uid=2000, pid=52, caller=Caller(uid=2000, pid=52, bundle="other"))
MODES = BackgroundMode


def callback() -> None:
    """Do nothing."""


async def work() -> None:
    """Be what nobody awaits."""


# Calls that both have, in their order, with what is the same for both.
CALLS: list[Callable[[Any], Any]] = [
    lambda tasks: tasks.request_suspend_delay("why", callback),
    lambda tasks: tasks.request_suspend_delay("why", callback),
    lambda tasks: tasks.request_suspend_delay("why", print),
    lambda tasks: tasks.request_suspend_delay("why", len),
    lambda tasks: tasks.request_suspend_delay("why", max),
    lambda tasks: tasks.request_suspend_delay("why", min, name="min"),
    lambda tasks: tasks.request_suspend_delay("why"),
    lambda tasks: tasks.request_suspend_delay(5, callback),
    lambda tasks: tasks.request_suspend_delay("x" * 1025, callback),
    lambda tasks: tasks.request_suspend_delay("why", None),
    lambda tasks: tasks.request_suspend_delay("why", work),
    lambda tasks: tasks.request_suspend_delay("\ud800", callback),
    lambda tasks: tasks.remaining_delay_time(1),
    lambda tasks: tasks.remaining_delay_time(1.0),
    lambda tasks: tasks.remaining_delay_time(9),
    lambda tasks: tasks.remaining_delay_time(2**64),
    lambda tasks: tasks.remaining_delay_time(0),
    lambda tasks: tasks.remaining_delay_time("1"),
    lambda tasks: tasks.remaining_delay_time(),
    lambda tasks: tasks.transient_task_info(),
    lambda tasks: tasks.transient_task_info(1),
    lambda tasks: tasks.cancel_suspend_delay(1),
    lambda tasks: tasks.cancel_suspend_delay(1),
    lambda tasks: tasks.cancel_suspend_delay(True),
    lambda tasks: tasks.cancel_suspend_delay(-1),
    lambda tasks: tasks.request_suspend_delay("why", callback),
    lambda tasks: tasks.start_background_running("Sync", MODES.LOCATION, "page"),
    lambda tasks: tasks.start_background_running("Sync", 1, "page"),
    lambda tasks: tasks.start_background_running(Ability("Sync", 7), [8, 1, 1], object()),
    lambda tasks: tasks.start_background_running(Ability("Sync", -1), 1, "page"),
    lambda tasks: tasks.start_background_running(Ability("Sync", 2**70), 1, "page"),
    lambda tasks: tasks.start_background_running("\ud800", 1, "page"),
    lambda tasks: tasks.start_background_running("x" * 1025, 1, "page"),
    lambda tasks: tasks.start_background_running("", 1, "page"),
    lambda tasks: tasks.start_background_running(None, 1, "page"),
    lambda tasks: tasks.start_background_running("Play", 1, None),
    lambda tasks: tasks.start_background_running("Play", 1, False),
    lambda tasks: tasks.start_background_running("Play", [], "page"),
    lambda tasks: tasks.start_background_running("Play", True, "page"),
    lambda tasks: tasks.start_background_running("Play", 10, "page"),
    lambda tasks: tasks.start_background_running("Play", 9, "page"),
    lambda tasks: tasks.start_background_running("Play", 7, "page"),
    lambda tasks: tasks.start_background_running("Play", 1),
    lambda tasks: tasks.update_background_running("Sync", [4, 1]),
    lambda tasks: tasks.update_background_running(None, 1),
    lambda tasks: tasks.update_background_running("Sync", 0),
    lambda tasks: tasks.update_background_running("Sync"),
    lambda tasks: tasks.continuous_tasks(),
    lambda tasks: tasks.continuous_tasks(UID),
    lambda tasks: tasks.continuous_tasks(5),
    lambda tasks: tasks.keeps_running(UID),
    lambda tasks: tasks.keeps_running(5),
    lambda tasks: tasks.stop_background_running(Ability("Sync", 7)),
    lambda tasks: tasks.stop_background_running(Ability("Sync", 7)),
    lambda tasks: tasks.stop_background_running(5),
    lambda tasks: tasks.stop_background_running(),
    lambda tasks: tasks.set_foreground(UID, PID, True),
    lambda tasks: tasks.set_foreground(-1, PID, True),
    lambda tasks: tasks.remaining_delay_time(2),
    lambda tasks: tasks.set_screen(False),
    lambda tasks: tasks.set_battery(True),
    lambda tasks: tasks.last_sequence,
    lambda tasks: tasks.set_foreground(UID, PID, False),
    lambda tasks: tasks.set_screen(True),
    lambda tasks: tasks.request_suspend_delay("why", print),
    lambda tasks: tasks.cancel_suspend_delay(2),
    lambda tasks: tasks.request_suspend_delay("why", print),
]


def test_the_calls_answer_and_refuse_as_those_of_a_manager(stage: Stage) -> None:
    clock = ManualClock()
    own, client = Tasks(Manager(clock=clock)), stage.client()
    own.drain()
    client.tasks.drain()
    for number, call in enumerate(CALLS):
        for one in (clock, stage.clock):
            one.advance(1000)
        expected = attempt(lambda call=call: call(own))  # type: ignore[misc]
        assert attempt(lambda call=call: call(client.tasks)) == expected, number  # type: ignore[misc]
    events = client.tasks.drain()
    assert events == own.drain()
    assert len(events) > 10
    assert stage.tasks.dump().keys() == own.dump().keys()


def test_the_names_of_tasks() -> None:
    of_manager = {name for name in dir(Tasks) if not name.startswith("_")}
    of_client = {name for name in dir(ClientTasks) if not name.startswith("_")}
    assert of_client < of_manager
    # What is the host's of the manager alone.
    assert of_manager - of_client == {
        "advance",
        "apps",
        "dump",
        "manager",
        "next_deadline",
        "policy",
        "processes",
        "restarted",
        "set_policy",
        "together",
    }


class Called:
    """A callback that remembers when it was called, and by which thread."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.times: list[int] = []
        self.threads: set[str] = set()

    def __call__(self) -> None:
        self.times.append(self._stage.clock.now())
        self.threads.add(threading.current_thread().name)


def pass_ms(stage: Stage, ms: int) -> None:
    stage.clock.advance(ms)
    stage.tasks.advance()


def settled(client: Client) -> None:
    """Wait until what has happened by now has been heard of: a later callback has come."""
    come = threading.Event()
    stage_of(client).tasks.set_battery(False)
    request = client.tasks.request_suspend_delay("to settle", come.set)
    pass_ms(stage_of(client), request.actualDelayTime - 6000)
    assert come.wait(20)


def doubted(client: Client) -> None:
    """Wait until it has asked whether there still is what it had: after the restart, and after the gap since."""
    (listener,) = client.tasks._listeners.values()
    wait_for(lambda: listener.missed and not listener._is_in_doubt)


_STAGES: dict[int, Stage] = {}


def stage_of(client: Client) -> Stage:
    return _STAGES[id(client)]


def client_of(stage: Stage) -> Client:
    client = stage.client()
    _STAGES[id(client)] = stage
    return client


def test_a_callback_is_called_once_by_a_thread_of_its_own(stage: Stage) -> None:
    client, called = client_of(stage), Called(stage)
    assert client.tasks.request_suspend_delay("save", called) == (1, 180_000)
    assert refusal(lambda: client.tasks.request_suspend_delay("save", called)).detail == 990000202
    assert [thread.name for thread in own_threads()] == ["grantwheel callbacks of tasks"]
    pass_ms(stage, 173_999)
    pass_ms(stage, 1)
    wait_for(lambda: called.times)
    assert called.times == [174_000]
    assert called.threads == {"grantwheel callbacks of tasks"}
    assert client.tasks.remaining_delay_time(1) == 6000
    pass_ms(stage, 6000)
    assert refusal(lambda: client.tasks.remaining_delay_time(1)).code == 9900001
    assert client.tasks.request_suspend_delay("save", called).requestId == 2  # the same function again
    settled(client)
    assert len(called.times) == 2
    client.close()
    wait_for(lambda: not own_threads())


def test_what_is_given_back_in_time_is_not_called(stage: Stage) -> None:
    client, called = client_of(stage), Called(stage)
    first = client.tasks.request_suspend_delay("save", called)
    client.tasks.cancel_suspend_delay(first.requestId)
    assert client.tasks.request_suspend_delay("save", called).requestId == 2
    stage.manager.process_died(UID, PID)  # as somebody has said, wrongly
    settled(client)
    assert called.times == []


def test_a_callback_that_raises_is_logged_and_the_others_are_called(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def leave() -> None:
        raise SystemExit(3)

    client, called = client_of(stage), Called(stage)
    client.tasks.request_suspend_delay("one", leave)
    client.tasks.request_suspend_delay("two", called)
    client.tasks.request_suspend_delay("three", functools.partial(operator.call, work))
    pass_ms(stage, 174_000)
    wait_for(lambda: called.times)
    wait_for(lambda: "coroutine" in caplog.text)
    assert "leave" in caplog.text


def test_a_closed_client_calls_nobody(stage: Stage) -> None:
    client, called = stage.client(), Called(stage)
    tasks = client.tasks
    request = tasks.request_suspend_delay("save", called)
    client.close()
    assert not own_threads()
    assert stage.tasks.keeps_running(UID)  # the service has it still
    assert refusal(lambda: tasks.cancel_suspend_delay(request.requestId)).detail == 980000402
    assert refusal(lambda: client.tasks).detail == 980000402
    assert refusal(tasks.transient_task_info).detail == 990000402
    assert called.times == []


def test_by_a_clock_that_goes_on_by_itself(tmp_path: Path) -> None:
    # A real clock, as nothing but the service's own thread is to say that it is time, and to end the request.
    figures = TransientFigures(
        request_ms=300, low_battery_ms=300, quota_ms=1000, least_quota_ms=250, notice_ms=200, forced_ms=50
    )
    with Manager() as manager:
        tasks = Tasks(manager, figures=figures)
        service = ServiceThread(manager, tmp_path / "s", identify=lambda _: Peer(uid=UID, pid=PID), tasks=tasks)
        with grantwheel.connect(tmp_path / "s") as client:
            come = threading.Event()
            assert client.tasks.request_suspend_delay("save", come.set).actualDelayTime == 300
            assert come.wait(30)
            wait_for(lambda: not client.tasks.keeps_running(UID))
            assert client.tasks.transient_task_info().transientTasks == []
        service.stop()


# When the service is started anew.


def test_requests_that_the_service_has_kept_go_on(stage: Stage) -> None:
    client, called = client_of(stage), Called(stage)
    client.tasks.request_suspend_delay("save", called)
    stage.stop()
    stage.resume()
    assert client.tasks.remaining_delay_time(1) == 180_000
    doubted(client)
    pass_ms(stage, 174_000)
    wait_for(lambda: called.times)
    pass_ms(stage, 6000)
    settled(client)
    assert called.times == [174_000]


def test_the_last_seconds_of_a_request_that_began_meanwhile_are_not_missed(stage: Stage) -> None:
    client, called = client_of(stage), Called(stage)
    client.tasks.request_suspend_delay("save", called)
    stage.stop()
    pass_ms(stage, 175_000)  # nobody can hear of it
    stage.resume()
    assert client.tasks.remaining_delay_time(1) == 5000
    doubted(client)
    pass_ms(stage, 5000)
    wait_for(lambda: called.times)
    assert called.times == [180_000]


def test_a_request_that_ended_meanwhile_is_over(stage: Stage) -> None:
    client, called = client_of(stage), Called(stage)
    client.tasks.request_suspend_delay("save", called)
    stage.stop()
    pass_ms(stage, 180_000)
    stage.resume()
    wait_for(lambda: called.times)
    settled(client)
    assert len(called.times) == 1


def test_requests_of_a_service_that_has_kept_nothing_are_over(stage: Stage) -> None:
    client, called, other = client_of(stage), Called(stage), Called(stage)
    client.tasks.request_suspend_delay("save", called)
    stage.stop()
    stage.start()
    assert client.tasks.request_suspend_delay("again", other).requestId == 1  # an id that there was before
    wait_for(lambda: called.times)
    assert other.times == []
    pass_ms(stage, 174_000)
    wait_for(lambda: other.times)
    settled(client)
    assert (len(called.times), len(other.times)) == (1, 1)


def test_events_that_were_overwritten_are_asked_for(stage: Stage) -> None:
    client, called, later = client_of(stage), Called(stage), Called(stage)
    client.tasks.request_suspend_delay("save", called)
    client.tasks.request_suspend_delay("later", later)
    stage.stop()
    for _ in range(100):
        stage.tasks.start_background_running("any", 1, "page", caller=Caller(uid=7, pid=8, bundle="any"))
        stage.tasks.stop_background_running("any", caller=Caller(uid=7, pid=8, bundle="any"))
    stage.tasks.cancel_suspend_delay(1, caller=Caller(uid=UID, pid=PID, bundle=f"uid.{UID}"))
    stage.resume()
    wait_for(lambda: called.times)
    assert later.times == []
    pass_ms(stage, 174_000)
    wait_for(lambda: later.times)


def test_whoever_hears_of_events_goes_on_when_a_limit_refused_it_meanwhile(stage: Stage) -> None:
    client, called = client_of(stage), Called(stage)
    told: list[Any] = []
    client.tasks.request_suspend_delay("save", called)
    client.tasks.subscribe(told.append, kinds=["app_task_end"])
    stage.stop()
    busy = Careless(stage.path, REFUSAL)
    wait_for(lambda: busy.met >= 5)
    busy.close()
    stage.path.unlink()
    stage.resume()
    doubted(client)
    pass_ms(stage, 174_000)
    wait_for(lambda: called.times)
    pass_ms(stage, 6000)
    wait_for(lambda: told)


def test_whoever_hears_in_the_place_of_one_that_has_died_asks_what_became_of_requests(stage: Stage) -> None:
    client, called, other = client_of(stage), Called(stage), Called(stage)
    client.tasks.request_suspend_delay("save", called, uid=7, pid=8)
    stage.stop()
    stage.peer, listed = OTHER, stage.peer
    stage.resume()
    wait_for(lambda: not own_threads())
    stage.stop()
    stage.peer = listed
    stage.manager.process_died(7, 8)
    stage.resume()
    client.tasks.request_suspend_delay("again", other, uid=7, pid=8)
    wait_for(lambda: called.times)
    assert other.times == []


def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    with grantwheel.connect(tmp_path / "none") as client:
        assert refusal(lambda: client.tasks.request_suspend_delay("why")).code == 401
        assert refusal(lambda: client.tasks.request_suspend_delay("why", callback)).detail == 980000402
        assert refusal(lambda: client.tasks.start_background_running("Sync", 1, "page")).detail == 980000402
        assert refusal(client.tasks.transient_task_info).detail == 990000402
        assert not own_threads()


def test_an_exchange_that_broke_off(tmp_path: Path) -> None:
    careless = Careless(tmp_path / "s")
    with grantwheel.connect(tmp_path / "s") as client:
        error = refusal(lambda: client.tasks.start_background_running("Sync", 1, "page"))
        assert error.code == 9800003
        assert "may or may not" in str(error)
        assert refusal(client.tasks.transient_task_info).code == 9900004
    careless.close()


# For others, and by others.


def test_a_client_may_speak_for_others(stage: Stage) -> None:
    client, called = client_of(stage), Called(stage)
    tasks = client.tasks
    assert tasks.request_suspend_delay("save", called, uid=7, pid=8).requestId == 1
    assert tasks.request_suspend_delay("save", Called(stage), uid=7, pid=9).requestId == 2
    assert tasks.start_background_running("Sync", 1, "page", uid=7, pid=8) == 1
    tasks.update_background_running("Sync", 2, uid=7, pid=8)
    assert [(one.uid, one.pid, one.modes) for one in tasks.continuous_tasks(7)] == [(7, 8, (MODES.AUDIO_PLAYBACK,))]
    tasks.stop_background_running("Sync", uid=7, pid=8)
    assert tasks.remaining_delay_time(2, uid=7, pid=8) == 180_000
    assert refusal(lambda: tasks.remaining_delay_time(2)).code == 9900001
    tasks.cancel_suspend_delay(2, uid=7, pid=8)
    assert len(tasks.transient_task_info(uid=7, pid=9).transientTasks) == 1
    stage.manager.process_died(7, 8)
    assert not tasks.keeps_running(7)
    assert tasks.request_suspend_delay("save", called, uid=7, pid=8).requestId == 3
    pass_ms(stage, 174_000)
    wait_for(lambda: called.times)


def test_a_client_that_speaks_for_others_hears_of_each_uid_once_and_while_it_has_requests(stage: Stage) -> None:
    tasks = stage.client().tasks
    for uid in (7, 8):
        for pid in (10, 11, 12):
            tasks.request_suspend_delay("save", callback, name=f"{uid} {pid}", uid=uid, pid=uid * 100 + pid)
    assert len(own_threads()) == 2
    for number in range(1, 4):
        tasks.cancel_suspend_delay(number, uid=7, pid=710)
    wait_for(lambda: len(own_threads()) == 1)
    pass_ms(stage, 180_000)
    wait_for(lambda: not own_threads())
    assert tasks._listeners == {}
    assert len(tasks._open) == 0
    assert refusal(lambda: tasks.request_suspend_delay("save", callback, uid=9, pid=-1)).code == 9900001
    wait_for(lambda: not own_threads())


def test_a_callback_may_give_its_request_back_and_ask_again(stage: Stage) -> None:
    client, called, again = client_of(stage), Called(stage), Called(stage)

    def anew() -> None:
        called()
        client.tasks.cancel_suspend_delay(1)
        client.tasks.request_suspend_delay("again", again)

    client.tasks.request_suspend_delay("save", anew)
    pass_ms(stage, 174_000)
    wait_for(lambda: [key[1] for key in list(client.tasks._open._open)] == [2])
    pass_ms(stage, 174_000)
    wait_for(lambda: again.times)
    assert called.times == [174_000]


def test_whoever_is_not_listed_speaks_for_itself(stage: Stage) -> None:
    stage.peer = OTHER
    client = stage.client()
    client._own = (OTHER.uid, OTHER.pid)
    tasks = client.tasks
    calls: list[Callable[[], object]] = [
        lambda: tasks.request_suspend_delay("save", callback, uid=7, pid=8),
        lambda: tasks.start_background_running("Sync", 1, "page", pid=8),
        tasks.continuous_tasks,
        lambda: tasks.continuous_tasks(7),
        lambda: tasks.keeps_running(7),
        lambda: tasks.set_foreground(2000, 52, True),
        lambda: tasks.set_screen(False),
        lambda: tasks.set_battery(True),
        lambda: tasks.subscribe("all").drain(),
        tasks.drain,
    ]
    for call in calls:
        assert refusal(call).code == 201
    own = tasks.subscribe("own", uids=[2000])
    called = Called(stage)
    assert tasks.request_suspend_delay("save", called).requestId == 1
    assert tasks.start_background_running("Sync", 1, "page") == 1
    assert [task.bundle for task in tasks.continuous_tasks(2000)] == ["other"]
    assert [str(event.kind) for event in own.drain()] == ["task_start", "app_task_start", "continuous_start"]
    pass_ms(stage, 174_000)
    wait_for(lambda: called.times)


def test_subscribers(stage: Stage) -> None:
    client = stage.client()
    got: list[Any] = []
    client.tasks.subscribe(got.append, kinds=["continuous_start"], batch=True)
    client.subscribe(got.append)  # those of grants are others
    assert refusal(lambda: client.tasks.subscribe(got.append)).detail == 980000501
    client.tasks.start_background_running("Sync", 1, "page")
    wait_for(lambda: got)
    assert [event.id for event in got[0]] == [1]
    client.tasks.unsubscribe(got.append)
    assert refusal(lambda: client.tasks.unsubscribe(got.append)).detail == 980000502
    with pytest.raises(ValueError, match="app_apply"):
        client.tasks.subscribe("wrong", kinds=["app_apply"])
    assert client.tasks.missed == 0


def test_many_continuous_tasks_come_in_pages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantwheel.service.client_requests.PAGE", 2)
    for number in range(5):
        caller = Caller(uid=7, pid=8, bundle="any")
        stage.tasks.start_background_running(Ability("any", number), 1, "page", caller=caller)
    assert stage.client().tasks.continuous_tasks() == stage.tasks.continuous_tasks()
