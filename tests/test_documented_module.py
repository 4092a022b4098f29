"""The documented module backgroundTaskManager, with this process as the caller."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forking import Say, in_child
from grantwheel import (
    BusinessError,
    CpuLevel,
    EfficiencyResourcesInfo,
    Manager,
    ManualClock,
    ResourceType,
    Tasks,
    TransientFigures,
    backgroundTaskManager,
)
from support import check_error, forget_default_manager, refusal, request


@pytest.fixture(autouse=True)
def fresh_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_default_manager(monkeypatch)


def test_the_documented_snippet(capsys: pytest.CaptureFixture[str]) -> None:
    request = backgroundTaskManager.EfficiencyResourcesRequest(
        resourceTypes=backgroundTaskManager.ResourceType.CPU, isApply=True, timeOut=0,
        reason="apply", isPersist=True, isProcess=False)  # fmt: skip
    try:
        backgroundTaskManager.applyEfficiencyResources(request)  # this process is the caller
    except BusinessError as error:
        print(f"failed. code is {error.code} message is {error.message}")
    assert capsys.readouterr().out == ""
    row = EfficiencyResourcesInfo(
        resourceTypes=ResourceType.CPU,
        timeout=0,
        remaining=None,
        isPersistent=True,
        isForProcess=False,
        reason="apply",
        uid=os.getuid(),
        pid=os.getpid(),
        cpuLevel=None,
    )
    assert backgroundTaskManager.getAllEfficiencyResources() == [row]
    backgroundTaskManager.resetAllEfficiencyResources()
    assert backgroundTaskManager.getAllEfficiencyResources() == []


def test_the_calls_return_nothing() -> None:
    calls: list[Callable[[], object]] = [
        lambda: backgroundTaskManager.applyEfficiencyResources(request()),
        lambda: backgroundTaskManager.applyEfficiencyResources(request(isApply=False)),
        backgroundTaskManager.resetAllEfficiencyResources,
    ]
    assert [call() for call in calls] == [None] * 3


def test_errors_are_those_of_the_documentation() -> None:
    call = backgroundTaskManager.applyEfficiencyResources
    check_error(refusal(call), 401, 9800401)
    check_error(refusal(lambda: call(request(), request())), 401, 9800401)
    check_error(refusal(lambda: call(request(isApply=1))), 401, 9800414)
    check_error(refusal(lambda: call(request(1024))), 18700001, 1870000101)
    check_error(refusal(lambda: call(request(reason="\ud800"))), 9800002, 980000201)
    backgroundTaskManager.default_manager().close()
    check_error(refusal(lambda: call(request())), 9800004, 980000402)
    check_error(refusal(backgroundTaskManager.getAllEfficiencyResources), 18700004, 1870000402)


def check_codes(error: BusinessError, code: int, detail: int) -> None:
    """Check the codes of an error whose message has a sentence of its own behind the documented one."""
    assert (error.code, error.detail) == (code, detail)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_wrong_request_is_told_before_the_state_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    path = tmp_path / "grants.db"
    if is_there:
        path.mkdir()  # which can't be opened
    monkeypatch.setenv("GRANTWHEEL_STATE", str(path))
    call = backgroundTaskManager.applyEfficiencyResources
    check_error(refusal(call), 401, 9800401)
    check_error(refusal(lambda: call(request(isApply=1))), 401, 9800414)
    check_error(refusal(lambda: call(request(reason="\ud800"))), 9800002, 980000201)
    assert path.exists() == is_there
    if is_there:
        check_codes(refusal(lambda: call(request())), 9800004, 980000402)
        check_codes(refusal(backgroundTaskManager.resetAllEfficiencyResources), 9800004, 980000402)
        check_codes(refusal(backgroundTaskManager.getAllEfficiencyResources), 18700004, 1870000402)


def test_a_client_that_lacks_its_package_is_a_service_that_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTWHEEL_SOCKET", "/there")
    monkeypatch.setitem(sys.modules, "hiredis", None)
    call = backgroundTaskManager.applyEfficiencyResources
    check_error(refusal(lambda: call(request(isApply=1))), 401, 9800414)
    error = refusal(lambda: call(request()))
    check_codes(error, 9800004, 980000402)
    assert "pip install 'grantwheel[service]'" in str(error)
    check_codes(refusal(backgroundTaskManager.resetAllEfficiencyResources), 9800004, 980000402)
    check_codes(refusal(backgroundTaskManager.getAllEfficiencyResources), 18700004, 1870000402)


def test_there_is_one_default_manager() -> None:
    manager = backgroundTaskManager.default_manager()
    assert backgroundTaskManager.default_manager() is manager
    backgroundTaskManager.applyEfficiencyResources(request(33, 60_000, isProcess=True))
    assert manager.app_mask(os.getuid()) == 32
    assert manager.process_mask(os.getpid()) == 1


def test_the_calls_go_to_the_default_manager_of_the_moment() -> None:
    first, second = Manager(clock=ManualClock()), Manager(clock=ManualClock())
    for manager in (first, second, first):
        backgroundTaskManager.set_default_manager(manager)
        backgroundTaskManager.applyEfficiencyResources(request(32, 60_000))
        assert manager.app_mask(os.getuid()) == 32
        manager.release(os.getuid(), os.getpid(), 32)
    backgroundTaskManager.set_default_manager(None)
    backgroundTaskManager.applyEfficiencyResources(request(32, 60_000))
    assert [manager.app_mask(os.getuid()) for manager in (first, second)] == [0, 0]
    assert backgroundTaskManager.default_manager().app_mask(os.getuid()) == 32


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_the_caller_is_who_the_process_is_at_the_call() -> None:
    def become_another(say: Say) -> None:
        backgroundTaskManager.applyEfficiencyResources(request(32, 60_000))
        os.setuid(12_345)
        backgroundTaskManager.applyEfficiencyResources(request(64, 60_000))
        backgroundTaskManager.resetAllEfficiencyResources()
        manager = backgroundTaskManager.default_manager()
        say(f"{manager.app_mask(0)} {manager.app_mask(12_345)}")
        backgroundTaskManager.applyEfficiencyResources(request(64, 60_000))
        (row,) = backgroundTaskManager.getAllEfficiencyResources()
        say(f"{row.uid} {row.pid == os.getpid()}")

    assert in_child(become_another) == ["32 0", "12345 True"]


def test_the_documented_numbers() -> None:
    assert {kind.name: kind.value for kind in backgroundTaskManager.ResourceType} == {
        "CPU": 1,
        "COMMON_EVENT": 2,
        "TIMER": 4,
        "WORK_SCHEDULER": 8,
        "BLUETOOTH": 16,
        "GPS": 32,
        "AUDIO": 64,
        "RUNNING_LOCK": 128,
        "SENSOR": 256,
    }
    assert int(backgroundTaskManager.ResourceType.ALL) == 511
    assert [mode.name for mode in backgroundTaskManager.BackgroundMode] == [
        "DATA_TRANSFER",
        "AUDIO_PLAYBACK",
        "AUDIO_RECORDING",
        "LOCATION",
        "BLUETOOTH_INTERACTION",
        "MULTI_DEVICE_CONNECTION",
        "WIFI_INTERACTION",
        "VOIP",
        "TASK_KEEPING",
    ]
    assert [mode.value for mode in backgroundTaskManager.BackgroundMode] == list(range(1, 10))
    level = backgroundTaskManager.EfficiencyResourcesCpuLevel
    assert [(one.name, one.value) for one in level] == [
        ("DEFAULT", -1),
        ("SMALL_CPU", 0),
        ("MEDIUM_CPU", 1),
        ("LARGE_CPU", 2),
    ]
    assert CpuLevel is level


def test_every_public_name_is_there() -> None:
    for name in backgroundTaskManager.__all__:
        assert hasattr(backgroundTaskManager, name)


# Transient and continuous tasks.


def test_the_documented_snippet_of_a_transient_task() -> None:
    calls: list[str] = []
    delay_info = backgroundTaskManager.requestSuspendDelay("test", lambda: calls.append("expired"))
    assert delay_info == (delay_info.requestId, delay_info.actualDelayTime) == (1, 180_000)
    assert 0 < backgroundTaskManager.getRemainingDelayTime(delay_info.requestId) <= 180_000
    info = backgroundTaskManager.getTransientTaskInfo()
    assert 590_000 < info.remainingQuota <= 600_000
    assert [task.requestId for task in info.transientTasks] == [1]
    assert backgroundTaskManager.cancelSuspendDelay(delay_info.requestId) is None  # type: ignore[func-returns-value]
    assert backgroundTaskManager.getTransientTaskInfo().transientTasks == []
    assert calls == []


def test_the_documented_snippet_of_a_continuous_task() -> None:
    modes = backgroundTaskManager.BackgroundMode
    assert backgroundTaskManager.startBackgroundRunning("EntryAbility", modes.AUDIO_RECORDING, "agent") == 1
    assert backgroundTaskManager.startBackgroundRunning(
        backgroundTaskManager.Ability("EntryAbility", 1), [modes.LOCATION, modes.DATA_TRANSFER], "agent"
    ) == 2  # fmt: skip
    backgroundTaskManager.updateBackgroundRunning("EntryAbility", [modes.LOCATION])
    tasks = backgroundTaskManager.default_tasks()
    assert [(task.id, task.uid, task.pid, task.modes) for task in tasks.continuous_tasks()] == [
        (1, os.getuid(), os.getpid(), (4,)),
        (2, os.getuid(), os.getpid(), (1, 4)),
    ]
    backgroundTaskManager.stopBackgroundRunning("EntryAbility")
    backgroundTaskManager.default_manager().app_stopped(os.getuid())
    assert tasks.continuous_tasks() == []


CALLS: dict[str, tuple[Callable[..., object], int]] = {
    "requestSuspendDelay": (backgroundTaskManager.requestSuspendDelay, 2),
    "cancelSuspendDelay": (backgroundTaskManager.cancelSuspendDelay, 1),
    "getRemainingDelayTime": (backgroundTaskManager.getRemainingDelayTime, 1),
    "getTransientTaskInfo": (backgroundTaskManager.getTransientTaskInfo, 0),
    "startBackgroundRunning": (backgroundTaskManager.startBackgroundRunning, 3),
    "updateBackgroundRunning": (backgroundTaskManager.updateBackgroundRunning, 2),
    "stopBackgroundRunning": (backgroundTaskManager.stopBackgroundRunning, 1),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_of_tasks_count_their_arguments_and_name_their_source(name: str) -> None:
    call, count = CALLS[name]
    for wrong in {count - 1, count + 1} - {-1}:
        check_error(refusal(lambda: call(*["x"] * wrong)), 401, 9800401)  # noqa: B023
    assert f"(documented API: ``backgroundTaskManager.{name}``)" in (call.__doc__ or "")


def test_errors_of_tasks_are_those_of_the_documentation() -> None:
    module = backgroundTaskManager
    check_error(refusal(lambda: module.requestSuspendDelay("r", None)), 401, 9800403)
    check_error(refusal(lambda: module.cancelSuspendDelay(0)), 401, 9800405)
    check_error(refusal(lambda: module.cancelSuspendDelay(7)), 9900001, 990000103)
    check_error(refusal(lambda: module.startBackgroundRunning("a", 10, True)), 401, 9800411)
    check_error(refusal(lambda: module.startBackgroundRunning("a", 1, None)), 9800006, 980000603)
    check_error(refusal(lambda: module.updateBackgroundRunning("a", 1)), 9800005, 980000502)
    check_error(refusal(lambda: module.stopBackgroundRunning("")), 401, 9800406)
    module.default_manager().close()
    check_error(refusal(lambda: module.requestSuspendDelay("r", print)), 9800004, 980000402)
    check_error(refusal(lambda: module.stopBackgroundRunning("a")), 9800004, 980000402)
    check_error(refusal(module.getTransientTaskInfo), 9900004, 990000402)


def test_the_tasks_of_a_manager_that_is_put_in_place_are_used() -> None:
    manager = Manager(clock=ManualClock())
    mine = Tasks(manager, figures=TransientFigures(request_ms=7_000))
    before = backgroundTaskManager.set_default_manager(manager)
    try:
        assert backgroundTaskManager.default_tasks() is mine
        assert backgroundTaskManager.requestSuspendDelay("r", print).actualDelayTime == 7_000
    finally:
        backgroundTaskManager.set_default_manager(before)


def test_a_manager_keeps_the_tasks_that_the_module_has_made_for_it() -> None:
    manager = Manager(clock=ManualClock())
    before = backgroundTaskManager.set_default_manager(manager)
    try:
        backgroundTaskManager.requestSuspendDelay("r", print)
        backgroundTaskManager.set_default_manager(None)
        backgroundTaskManager.requestSuspendDelay("r", print)
        backgroundTaskManager.set_default_manager(manager)
        assert backgroundTaskManager.getRemainingDelayTime(1) == 180_000
    finally:
        backgroundTaskManager.set_default_manager(before)
