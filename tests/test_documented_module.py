"""The documented module backgroundTaskManager, with this process as the caller."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grantwheel import BusinessError, CpuLevel, EfficiencyResourcesInfo, ResourceType, backgroundTaskManager
from support import check_error, refusal, request


@pytest.fixture(autouse=True)
def fresh_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backgroundTaskManager, "_manager", None)


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
