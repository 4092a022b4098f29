"""The client of the service: the calls, answers and errors of a manager, and what a socket adds to them."""

import copy
import os
import signal
import socket
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hiredis")

import grantwheel
import grantwheel._documented
from client_stage import OWN, REFUSAL, Careless, Stage, stage
from forking import in_child
from grantwheel import BackgroundMode, BusinessError, Manager, ResourceType, backgroundTaskManager
from grantwheel.journal import MemoryJournal
from support import forget_default_manager, refusal, request
from waiting import wait_for

__all__ = ["stage"]  # a fixture

UID, PID = OWN
OTHER = (7, 8)

# Each is carried out by a client and by a manager, one after the other: both answer the same.
CALLS: dict[str, Callable[[Any], Any]] = {
    "apply": lambda one: one.apply(UID, PID, 33, 50),
    "apply types": lambda one: one.apply(UID, PID, ResourceType.GPS | ResourceType.AUDIO, 50),
    "apply with all": lambda one: one.apply(UID, PID, 35, 70, reason="wé", process=True, cpu_level=-1),
    "apply for another": lambda one: one.apply(*OTHER, 64, persist=True, reason="r"),
    "persistent with a time": lambda one: one.apply(*OTHER, 128, 9, persist=True),
    "without a time": lambda one: one.apply(UID, PID, 1),
    "no type": lambda one: one.apply(UID, PID, 0, 4),
    "no uid": lambda one: one.apply(-1, PID, 3, 4),
    "too long": lambda one: one.apply(UID, PID, 3, 2**32),
    "a text as uid": lambda one: one.apply("a", PID, 3, 4),
    "no text": lambda one: one.apply(UID, PID, 1, 4, reason="\ud800"),
    "a number as reason": lambda one: one.apply(UID, PID, 1, 4, reason=3),
    "a level": lambda one: one.apply(UID, PID, 1, 4, cpu_level=2),
    "renew": lambda one: one.renew(UID, PID, 511, 90),
    "renew nothing": lambda one: one.renew(99, 98, 511, 90),
    "request": lambda one: one.apply_request(request(6)),
    "no request": lambda one: one.apply_request(),
    "a bad request": lambda one: one.apply_request(request(isApply=1)),
    "app_mask": lambda one: one.app_mask(UID),
    "process_mask": lambda one: one.process_mask(PID),
    "find_app": lambda one: one.find_app(7),
    "find nobody": lambda one: one.find_app(99),
    "find_process": lambda one: one.find_process(PID),
    "records": lambda one: one.records(),
    "one record": lambda one: one.records(limit=1),
    "no record": lambda one: one.records(limit=0),
    "records after": lambda one: one.records(one.find_app(7)),
    "a bad limit": lambda one: one.records(limit=-1),
    "infos": lambda one: one.infos(),
    "get_all": lambda one: one.get_all(),
    "holders": lambda one: one.holders(1),
    "count": lambda one: one.count(ResourceType.AUDIO),
    "next_deadline": lambda one: one.next_deadline(),
    "last_sequence": lambda one: one.last_sequence,
    "read": lambda one: one.read(0),
    "read two": lambda one: one.read(1, 2),
    "flush": lambda one: one.flush(),
    "admin_list": lambda one: one.admin_list(),
    "apply_many": lambda one: one.apply_many(
        array("I", [1, 2]), array("i", [1, 2]), array("I", [1, 900]), array("Q", [5, 2**33])
    ),
    "app_masks": lambda one: one.app_masks(array("I", [1, 2])),
    "release_many": lambda one: one.release_many(array("I", [1, 2]), array("i", [1, 2]), array("I", [1, 900])),
    "columns of two lengths": lambda one: one.release_many(array("I", [1]), array("i", [1, 2]), array("I", [1, 9])),
    "release": lambda one: one.release(UID, PID, 32),
    "release of a process": lambda one: one.release(UID, PID, 1, process=True),
    "admin_reset_app": lambda one: one.admin_reset_app(7, 64),
    "process_died": lambda one: one.process_died(UID, PID),
    "process_died of nobody": lambda one: one.process_died(55, 66),
    "reset_all": lambda one: one.reset_all(UID, PID),
    "reset_all of another": lambda one: one.reset_all(*OTHER),
    "app_stopped": lambda one: one.app_stopped(7),
    "package_removed": lambda one: one.package_removed(7),
    "admin_reset_process": lambda one: one.admin_reset_process(1, 1),
    "admin_reset_all": lambda one: one.admin_reset_all(),
    "reset_all_request": lambda one: one.reset_all_request(),
}


def check(error: BusinessError, code: int, detail: int) -> None:
    """Check the codes. The message has a sentence of its own behind the documented one."""
    assert (error.code, error.detail) == (code, detail)
    assert type(error) is type(grantwheel._documented.refusal(detail))


def outcome(call: Callable[[Any], Any], one: Any) -> Any:
    try:
        return call(one)
    except BusinessError as error:
        return type(error), error.code, error.detail, error.message
    except (TypeError, ValueError) as error:
        return type(error), str(error)


def test_every_call_is_answered_as_by_a_manager(stage: Stage) -> None:
    client, manager = stage.client(), Manager(clock=stage.clock)
    for name, call in CALLS.items():
        assert outcome(call, client) == outcome(call, manager), name
    told, own = client.stats(), manager.stats()
    assert told._replace(refused={}, delivery_lateness=own.delivery_lateness) == own._replace(refused={})


def test_the_numbers_of_snapshots_are_told(stage: Stage) -> None:
    stage.stop()
    with grantwheel.open(MemoryJournal(), clock=stage.clock) as manager:
        stage.manager = manager
        stage.resume()
        manager.apply(UID, PID, 32, persist=True)
        manager.snapshot()
        told = stage.client().stats().snapshots
        assert told == manager.stats().snapshots
        assert told is not None
        assert told.made == 1
        stage.stop()


def test_an_error_reads_as_the_managers(stage: Stage) -> None:
    error = refusal(lambda: stage.client().apply(UID, PID, 0, 4))
    assert str(error) == str(refusal(lambda: stage.manager.apply(UID, PID, 0, 4)))


def test_a_pipeline_answers_each_call_in_order(stage: Stage) -> None:
    client = stage.client()
    pipe = client.pipeline()
    assert pipe.execute() == []
    for number in range(2000):
        pipe.apply(UID, PID, 1 + number % 255, 50)
    pipe.release(UID, PID, 0)
    pipe.renew(UID, PID, 511, 60)
    pipe.reset_all(UID, PID)
    with pytest.raises(TypeError):
        pipe.apply("a", PID, 1, 4)  # type: ignore[arg-type]
    assert len(pipe) == 2003
    *answers, refused, renewed, _ = pipe.execute()
    assert answers[:3] == [1, 2, 3]
    assert isinstance(refused, BusinessError)
    assert refused.detail == 1870000101
    assert renewed == 255
    assert len(pipe) == 0
    assert client.app_mask(UID) == 0


def test_threads_share_a_client(stage: Stage) -> None:
    client = stage.client()
    wrong: list[Any] = []

    def work(uid: int) -> None:
        for number in range(200):
            if client.apply(uid, 1, 1 << number % 9, 50) != 1 << number % 9:
                wrong.append(uid)
            client.release(uid, 1, 511)

    threads = [threading.Thread(target=work, args=(uid,)) for uid in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_signal_handler_may_call_in_the_middle_of_a_call(stage: Stage) -> None:
    client = stage.client()
    seen: list[int] = []

    def handle(*_: object) -> None:
        seen.append(client.apply(1, 1, 4, 50))

    before = signal.signal(signal.SIGALRM, handle)
    try:
        while len(seen) < 20:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            count = len(seen)
            while len(seen) == count:
                assert client.apply(2, 1, 2, 50) == 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(seen) == {4}


# A socket that was being made when the interrupt came is closed by its finaliser.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_leaves_no_answer_for_the_next_call(stage: Stage) -> None:
    client = stage.client()

    class Interrupt(Exception):
        pass

    def handle(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, handle)
    interrupted = 0
    try:
        for number in range(2000):
            if interrupted == 20:
                break
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00003 + number % 7 * 0.00002)
                for _ in range(100):
                    assert client.apply(2, 1, 2, 50) == 2
            except Interrupt:
                interrupted += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert client.apply(3, 1, 4, 50) == 4
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted


def test_nobody_there(tmp_path: Path) -> None:
    client = grantwheel.connect(tmp_path / "s")
    error = refusal(lambda: client.apply(UID, PID, 1, 5))
    check(error, 9800004, 980000402)
    assert str(tmp_path / "s") in error.message
    check(refusal(client.get_all), 18700004, 1870000402)
    check(refusal(client.apply_request), 401, 9800401)  # which comes before that
    pipe = client.pipeline()
    pipe.apply(UID, PID, 1, 5)
    (answer,) = pipe.execute()
    assert isinstance(answer, BusinessError)
    assert answer.code == 9800004


@pytest.mark.parametrize("says", [b"", b":3"])
def test_an_exchange_that_breaks_in_the_middle_says_that_nobody_knows(tmp_path: Path, says: bytes) -> None:
    careless = Careless(tmp_path / "s", says)
    client = grantwheel.connect(tmp_path / "s")
    error = refusal(lambda: client.apply(UID, PID, 1, 5))
    check(error, 9800003, 980000301)
    assert "may or may not have been carried out" in error.message
    check(refusal(client.get_all), 18700004, 1870000402)
    pipe = client.pipeline()
    pipe.apply(UID, PID, 1, 5)
    assert [getattr(answer, "code", None) for answer in pipe.execute()] == [9800003]
    careless.close()
    client.close()


def test_a_connection_that_was_refused_before_anything_was_sent_says_why(tmp_path: Path) -> None:
    careless = Careless(tmp_path / "s", REFUSAL, takes_calls=False)
    with grantwheel.connect(tmp_path / "s") as client:
        client._link.on_connect = lambda: wait_for(client._link.is_ended)
        check(refusal(lambda: client.app_mask(1)), 9800001, 980000101)
        pipe = client.pipeline()
        pipe.apply(UID, PID, 1, 5)
        pipe.apply(UID, PID, 2, 5)
        assert [getattr(answer, "code", None) for answer in pipe.execute()] == [9800001, 9800003]
    careless.close()


def test_a_service_that_does_not_answer_is_not_waited_for_any_longer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with grantwheel.connect(tmp_path / "s", timeout_ms=20) as client:
            check(refusal(lambda: client.apply(UID, PID, 1, 5)), 9800003, 980000301)


def test_a_service_that_was_started_anew_is_there_at_the_next_call(stage: Stage) -> None:
    client = stage.client()
    assert client.apply(UID, PID, 1, 5) == 1
    stage.stop()
    check(refusal(lambda: client.apply(UID, PID, 1, 5)), 9800004, 980000402)
    stage.start()
    assert client.apply(UID, PID, 2, 5) == 2
    stage.stop()
    stage.start()
    assert client.apply(UID, PID, 4, 5) == 4  # though nothing has told it


def test_a_closed_client_refuses(stage: Stage) -> None:
    with stage.client() as client:
        client.apply(UID, PID, 1, 5)
        pipe = client.pipeline()
        pipe.apply(UID, PID, 1, 5)
    check(refusal(lambda: client.apply(UID, PID, 1, 5)), 9800004, 980000402)
    assert [getattr(answer, "code", None) for answer in pipe.execute()] == [9800004]
    client.close()
    assert repr(client).endswith("closed>")


def test_a_client_stays_with_its_process(stage: Stage) -> None:
    client = stage.client()
    client.apply(UID, PID, 1, 5)

    def work(say: Callable[[str], object]) -> None:
        say(str(refusal(lambda: client.apply(UID, PID, 2, 5)).code))
        client.close()

    assert in_child(work) == ["9800004"]
    assert client.app_mask(UID) == 1
    with pytest.raises(TypeError, match="cannot pickle or copy"):
        copy.copy(client)


def test_a_client_without_hiredis_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hiredis", None)
    with pytest.raises(ImportError, match=r"grantwheel\[service\]"):
        grantwheel.connect("/nowhere")


def test_the_place_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRANTWHEEL_SOCKET", raising=False)
    assert "/run/grantwheel.sock" in repr(grantwheel.connect())
    monkeypatch.setenv("GRANTWHEEL_SOCKET", "/there")
    assert "/there" in repr(grantwheel.connect())


def test_the_documented_module_speaks_to_the_service(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTWHEEL_SOCKET", str(stage.path))
    forget_default_manager(monkeypatch)
    backgroundTaskManager.applyEfficiencyResources(request(33))
    assert stage.manager.app_mask(UID) == 33
    assert [row.resourceTypes for row in backgroundTaskManager.getAllEfficiencyResources()] == [1, 32]
    backgroundTaskManager.resetAllEfficiencyResources()
    assert stage.manager.app_mask(UID) == 0
    stage.stop()
    check(refusal(lambda: backgroundTaskManager.applyEfficiencyResources(request(isApply=1))), 401, 9800414)
    check(refusal(lambda: backgroundTaskManager.applyEfficiencyResources(request(1))), 9800004, 980000402)
    check(refusal(backgroundTaskManager.getAllEfficiencyResources), 18700004, 1870000402)
    check(refusal(lambda: backgroundTaskManager.requestSuspendDelay("", print)), 9800004, 980000402)
    assert refusal(lambda: backgroundTaskManager.requestSuspendDelay("", None)).detail == 9800403
    check(refusal(lambda: backgroundTaskManager.startBackgroundRunning("Sync", 1, "page")), 9800004, 980000402)
    assert refusal(backgroundTaskManager.getTransientTaskInfo).detail == 990000402
    client: Any = stage.client()
    before = backgroundTaskManager.set_default_manager(client)
    assert backgroundTaskManager.set_default_manager(None) is client
    assert before is not None
    before.close()


def test_the_documented_module_has_the_tasks_of_the_service(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTWHEEL_SOCKET", str(stage.path))
    forget_default_manager(monkeypatch)
    come = threading.Event()
    delay = backgroundTaskManager.requestSuspendDelay("save", come.set)
    assert delay == (1, 180_000)
    assert backgroundTaskManager.getRemainingDelayTime(1) == 180_000
    assert backgroundTaskManager.startBackgroundRunning("Sync", BackgroundMode.LOCATION, "page") == 1
    backgroundTaskManager.updateBackgroundRunning("Sync", [BackgroundMode.VOIP])
    assert [task.modes for task in stage.tasks.continuous_tasks(UID)] == [(BackgroundMode.VOIP,)]
    backgroundTaskManager.stopBackgroundRunning("Sync")
    stage.clock.advance(174_000)
    stage.tasks.advance()
    assert come.wait(20)
    assert backgroundTaskManager.getTransientTaskInfo() == (426_000, [(1, 6000)])
    backgroundTaskManager.cancelSuspendDelay(1)
    assert not stage.tasks.keeps_running(UID)
    assert backgroundTaskManager.default_tasks().last_sequence == stage.tasks.last_sequence
    backgroundTaskManager.default_manager().close()
    forget_default_manager(monkeypatch)


def test_importing_the_package_needs_no_hiredis() -> None:
    code = "import sys; sys.modules['hiredis'] = None; import grantwheel, grantwheel.aio; print('there')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "there\n"
